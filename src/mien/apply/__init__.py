"""What people do with a model, written once on its four verbs.

Every function takes faces in millimeters, one (V, 3) or many (B, V, 3), as NumPy arrays or tensors, and gives
NumPy float32 millimeters of the same form. It works for every model, or refuses with the reason.
"""

from __future__ import annotations

from mien.apply.abilities import ABILITIES, ability, refusal
from mien.apply.animation import Stream, animate, between_poses, few_targets
from mien.apply.clips import Signal, write_clip
from mien.apply.coding import codes_of
from mien.apply.editing import blend, interpolate, neutralize, reconstruct, transfer
from mien.apply.files import OpenedFace, open_face
from mien.apply.generation import generate, generate_batches
from mien.apply.heads import Head, open_head
from mien.apply.rig_report import report_rig
from mien.apply.rigs import Rig, rig
from mien.apply.targets import check_existing_targets, rig_by_names, rig_by_rules
from mien.apply.textures import colored, generate_textured, texture
from mien.data.motion import Act, curves, named_weights, score, timing_curve

__all__ = [
    "ABILITIES", "Act", "Head", "OpenedFace", "Rig", "Signal", "Stream", "ability", "animate",
    "between_poses", "blend", "check_existing_targets", "codes_of", "colored", "curves", "few_targets",
    "generate", "generate_batches", "generate_textured", "interpolate", "named_weights", "neutralize",
    "open_face", "open_head", "reconstruct", "refusal", "report_rig", "rig", "rig_by_names", "rig_by_rules",
    "score", "texture", "timing_curve", "transfer", "write_clip",
]  # fmt: skip
