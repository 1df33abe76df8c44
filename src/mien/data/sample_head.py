"""A head to begin with, where somebody has brought none."""

from __future__ import annotations

from pathlib import Path

from mien.data.sources.makehuman.build import resting_makehuman
from mien.data.sources.makehuman.release import has_makehuman
from mien.io.gltf import png_bytes, write_glb
from mien.topology import cache_folder

VERSION = 1
"""Part of the path in the cache; raise it when its making changes."""
TEXELS = 1024


def sample_head() -> Path | None:
    """A person of MakeHuman at rest, with painted skin, as a GLB: made once, then read from the cache.

    Returns:
        The file; None where MakeHuman's shapes are not on this machine.
    """
    if not has_makehuman():
        return None
    path = cache_folder() / "samples" / str(VERSION) / "MakeHuman.glb"
    if not path.is_file():
        topology, face, skin = resting_makehuman(TEXELS)
        write_glb(path, face, topology, texture=png_bytes(skin), name="MakeHuman head")
    return path
