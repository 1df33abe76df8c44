"""What people do with a model, written once on its four verbs.

Every function takes faces in millimeters, one (V, 3) or many (B, V, 3), as NumPy arrays or tensors, and gives
NumPy float32 millimeters of the same form. It works for every model, or refuses with the reason.
"""

from __future__ import annotations

from mien.apply.abilities import ABILITIES, ability, refusal
from mien.apply.door import codes_of
from mien.apply.people import blend, generate, interpolate, neutralize, reconstruct, transfer
from mien.apply.rigs import Rig, animate, rig
from mien.data.motion import curves, named_weights, timing_curve

__all__ = [
    "ABILITIES", "Rig", "ability", "animate", "blend", "codes_of", "curves", "generate", "interpolate",
    "named_weights", "neutralize", "reconstruct", "refusal", "rig", "timing_curve", "transfer",
]  # fmt: skip
