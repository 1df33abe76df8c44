"""Malformed inputs for every reader of Mien, and what may come of them: a result or one sentence."""
