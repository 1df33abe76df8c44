"""What the ending of an output's name asks for."""

from __future__ import annotations

USD = (".usda", ".usdc", ".usd")
RIGS = (".glb", *USD)
MESHES = (".obj", ".ply", ".stl")
FILMS = (".mp4", ".gif")
