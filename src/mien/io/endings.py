"""What the ending of a file's name says."""

from __future__ import annotations

USD = (".usda", ".usdc", ".usd")
GLTF_BINARY = (".glb", ".vrm")
GLTF = (*GLTF_BINARY, ".gltf")
BLENDER = (".fbx", ".blend")
RIGS = (*GLTF_BINARY, *USD, *BLENDER)
MESHES = (".obj", ".ply", ".stl")
FILMS = (".mp4", ".gif")
WITH_SHAPES = (*GLTF, ".fbx")
