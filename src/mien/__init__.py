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
from typing import TYPE_CHECKING, Any

from mien.version import __version__

if TYPE_CHECKING:  # what editors and type checkers see; PUBLIC says the same for the running program
    from mien.apply import OpenedFace as OpenedFace
    from mien.apply import Rig as Rig
    from mien.apply import animate as animate
    from mien.apply import codes_of as codes_of
    from mien.apply import curves as curves
    from mien.apply import generate as generate
    from mien.apply import interpolate as interpolate
    from mien.apply import neutralize as neutralize
    from mien.apply import open_face as open_face
    from mien.apply import reconstruct as reconstruct
    from mien.apply import rig as rig
    from mien.apply import transfer as transfer
    from mien.apply.default_model import default_model as default_model
    from mien.apply.export import export_decoder as export_decoder
    from mien.apply.like import model_like as model_like
    from mien.apply.rig_data import prepare_rigs as prepare_rigs
    from mien.codes import Codes as Codes
    from mien.data.dataset import FaceDataset as FaceDataset
    from mien.data.head_rigs import HeadRig as HeadRig
    from mien.data.head_rigs import read_head_rig as read_head_rig
    from mien.data.inspect import inspect_dataset as inspect_dataset
    from mien.data.recorded import read_performance as read_performance
    from mien.data.sampling import Batch as Batch
    from mien.data.sources.folder import prepare_folder as prepare_folder
    from mien.data.sources.ict import build_ict as build_ict
    from mien.data.sources.makehuman.build import build_makehuman as build_makehuman
    from mien.data.sources.makehuman.release import has_makehuman as has_makehuman
    from mien.data.sources.procedural.build import build_procedural as build_procedural
    from mien.errors import MienError as MienError
    from mien.evaluation import Report as Report
    from mien.evaluation import evaluate as evaluate
    from mien.evaluation.rigs import RigReport as RigReport
    from mien.evaluation.rigs import judge_rig as judge_rig
    from mien.fit import fit_landmarks as fit_landmarks
    from mien.fit import invert as invert
    from mien.geometry.registration import register as register
    from mien.io.face import read_face as read_face
    from mien.io.gltf import write_glb as write_glb
    from mien.io.mesh import Mesh as Mesh
    from mien.io.mesh import read_mesh as read_mesh
    from mien.io.mesh import write_obj as write_obj
    from mien.models.base import FaceModel as FaceModel
    from mien.models.base import Reference as Reference
    from mien.models.base import Stage as Stage
    from mien.models.files import load_model as load_model
    from mien.models.files import save_model as save_model
    from mien.models.registry import MODELS as MODELS
    from mien.sharing import from_pretrained as from_pretrained
    from mien.sharing import push_to_hub as push_to_hub
    from mien.sharing import save_pretrained as save_pretrained
    from mien.topology import Topology as Topology
    from mien.training import train as train

# Public name -> module that defines it. One explicit table: what is not here is not promised.
PUBLIC = {
    "Topology": "mien.topology",
    "Codes": "mien.codes",
    "MienError": "mien.errors",
    "FaceDataset": "mien.data.dataset",
    "inspect_dataset": "mien.data.inspect",
    "build_procedural": "mien.data.sources.procedural.build",
    "build_ict": "mien.data.sources.ict",
    "build_makehuman": "mien.data.sources.makehuman.build",
    "has_makehuman": "mien.data.sources.makehuman.release",
    "prepare_folder": "mien.data.sources.folder",
    "MODELS": "mien.models.registry",
    "train": "mien.training",
    "load_model": "mien.models.files",
    "save_model": "mien.models.files",
    "save_pretrained": "mien.sharing",
    "from_pretrained": "mien.sharing",
    "push_to_hub": "mien.sharing",
    "evaluate": "mien.evaluation",
    "Report": "mien.evaluation",
    "generate": "mien.apply",
    "reconstruct": "mien.apply",
    "neutralize": "mien.apply",
    "transfer": "mien.apply",
    "interpolate": "mien.apply",
    "animate": "mien.apply",
    "curves": "mien.apply",
    "rig": "mien.apply",
    "default_model": "mien.apply.default_model",
    "model_like": "mien.apply.like",
    "prepare_rigs": "mien.apply.rig_data",
    "HeadRig": "mien.data.head_rigs",
    "read_head_rig": "mien.data.head_rigs",
    "read_performance": "mien.data.recorded",
    "judge_rig": "mien.evaluation.rigs",
    "RigReport": "mien.evaluation.rigs",
    "Rig": "mien.apply",
    "codes_of": "mien.apply",
    "export_decoder": "mien.apply.export",
    "register": "mien.geometry.registration",
    "open_face": "mien.apply",
    "OpenedFace": "mien.apply",
    "invert": "mien.fit",
    "fit_landmarks": "mien.fit",
    "Mesh": "mien.io.mesh",
    "read_mesh": "mien.io.mesh",
    "write_obj": "mien.io.mesh",
    "read_face": "mien.io.face",
    "write_glb": "mien.io.gltf",
    "FaceModel": "mien.models.base",
    "Reference": "mien.models.base",
    "Stage": "mien.models.base",
    "Batch": "mien.data.sampling",
}

__all__ = ["__version__", *PUBLIC]


if not TYPE_CHECKING:  # a type checker would take every misspelled name for one of these

    def __getattr__(name: str) -> Any:
        """Imports a public name on first use."""
        if name not in PUBLIC:
            raise AttributeError(
                f"module 'mien' has no attribute {name!r}; public names: {', '.join(PUBLIC)}"
            )
        value = getattr(importlib.import_module(PUBLIC[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
