"""An outside judge: what a network for photographs reads off pictures of faces."""
