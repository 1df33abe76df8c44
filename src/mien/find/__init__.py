"""Where the face is on any mesh: found as people do, by looking."""
