"""Names of landmarks: the numbers of the iBUG 68 convention, and names that people know."""

from __future__ import annotations

from collections.abc import Iterable

# Left and right are the person's own.
_KNOWN = {
    "chin": 8, "nose_bridge": 27, "nose_tip": 30, "nose_base": 33,
    "right_nose_wing": 31, "left_nose_wing": 35,
    "right_jaw_corner": 4, "left_jaw_corner": 12, "right_ear_front": 0, "left_ear_front": 16,
    "right_brow_outer_end": 17, "right_brow_middle": 19, "right_brow_inner_end": 21,
    "left_brow_inner_end": 22, "left_brow_middle": 24, "left_brow_outer_end": 26,
    "right_eye_outer_corner": 36, "right_eye_inner_corner": 39,
    "left_eye_inner_corner": 42, "left_eye_outer_corner": 45,
    "right_mouth_corner": 48, "left_mouth_corner": 54,
    "upper_lip_top": 51, "lower_lip_bottom": 57, "upper_lip_inner_edge": 62, "lower_lip_inner_edge": 66,
}  # fmt: skip
# Rows of numbers that run from one side of the face to the other, then single pairs.
_ACROSS = ((0, 16), (17, 26), (31, 35), (48, 54), (55, 59), (60, 64), (65, 67))
_PAIRS = {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}
_MIRRORED = _PAIRS | {other: one for one, other in _PAIRS.items()}
_MIRRORED |= {number: first + last - number for first, last in _ACROSS for number in range(first, last + 1)}
_OTHER_SIDE = {f"ibug_{one}": f"ibug_{other}" for one, other in _MIRRORED.items()}
_NUMBERED = {f"ibug_{number}" for number in range(68)}
_CANONICAL = {name: f"ibug_{number}" for name, number in _KNOWN.items()}
_SPOKEN = {canonical: name for name, canonical in _CANONICAL.items()}


def landmark_key(name: str, known: Iterable[str] = ()) -> str:
    """The name that templates use: ``ibug_45`` for ``left_eye_outer_corner`` or ``Left Eye Outer Corner``.

    Args:
        name: As a user wrote it.
        known: Names that stand for themselves, a topology's own.
    """
    if name in known:
        return name
    plain = "_".join(name.strip().lower().replace("-", " ").replace("_", " ").split())
    return _CANONICAL.get(plain, plain if plain in _NUMBERED else name)


def landmark_words(name: str) -> str:
    """The name that people know, or the name itself: ``left_eye_outer_corner`` for ``ibug_45``."""
    return _SPOKEN.get(name, name)


def other_side(name: str) -> str:
    """The landmark on the other side of the face; of those in the middle themselves."""
    return _OTHER_SIDE.get(name, name)
