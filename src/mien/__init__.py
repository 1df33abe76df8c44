"""Mien: disentangled 3D face models, who a face is apart from what it is doing.

Every face is (V, 3) millimeters on a known :class:`Topology`. A :class:`FaceModel` turns faces into
:class:`Codes` (identity, expression) and back; everything else is a function on those four verbs:

    import mien

    model = mien.load_model("runs/first")
    people = mien.generate(model, 4, seed=7, weights={"smile": 0.8})   # (4, V, 3) millimeters

Importing this package loads nothing heavy: each public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> module that defines it. One explicit table: what is not here is not promised.
PUBLIC = {
    "Topology": "mien.topology",
    "Codes": "mien.codes",
    "MienError": "mien.errors",
    "FaceDataset": "mien.data.dataset",
    "FaceModel": "mien.models.base",
    "MODELS": "mien.models",
    "load_model": "mien.models",
    "build_procedural": "mien.data.sources.procedural.build",
    "build_ict": "mien.data.sources.ict",
    "prepare_folder": "mien.data.sources.folder",
    "fit_model": "mien.training",
    "generate": "mien.apply",
    "reconstruct": "mien.apply",
    "neutralize": "mien.apply",
    "transfer": "mien.apply",
    "interpolate": "mien.apply",
    "animate": "mien.apply",
    "rig": "mien.apply",
    "Rig": "mien.apply",
    "open_head": "mien.apply",
    "invert": "mien.fit",
    "fit_landmarks": "mien.fit",
    "read_mesh": "mien.io.mesh",
    "write_obj": "mien.io.mesh",
    "read_face": "mien.io.face",
    "write_glb": "mien.io.gltf",
}


__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'mien' has no attribute {name!r}; public names: {', '.join(PUBLIC)}")
    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
