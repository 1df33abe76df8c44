"""Names of morph targets in other schemes than ARKit's: which of somebody's shapes mean an ARKit shape.

A scheme is a table ARKit name -> shapes that are added up. Two artists never mean quite the same by one name;
a scheme says which shapes are meant to do the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mien.data.expressions import ARKIT, ARKIT_MISSING
from mien.errors import BadFile, BadSetting, UnknownName
from mien.io.table import table_rows
from mien.limits import LARGEST_WEIGHT

ARKIT_52: tuple[str, ...] = tuple(sorted((*ARKIT, *ARKIT_MISSING), key=str.lower))
"""Apple's 52 names, ``tongueOut`` among them."""

Scheme = Mapping[str, Mapping[str, float]]
"""ARKit name -> shapes of the scheme -> weight."""


def _pairs(table: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """``browDown: {}browDown_h`` -> both sides, with L and R in place of the braces."""
    return {
        f"{stem}{side}": {shape.format(side[0]): 1.0}
        for stem, shape in table.items() for side in ("Left", "Right")
    }  # fmt: skip


VALID: Scheme = MappingProxyType({
    "jawOpen": {"MouthOpen_h": 1.0}, "jawForward": {"JawFront_h": 1.0}, "mouthPucker": {"Kiss_h": 1.0},
    "jawLeft": {"Ljaw_h": 1.0}, "jawRight": {"Rjaw_h": 1.0},
    "cheekPuff": {"Lblow_h": 1.0, "Rblow_h": 1.0}, "browInnerUp": {"LbrowUp_h": 1.0, "RbrowUp_h": 1.0},
    "browOuterUpLeft": {"LLbrowUp_h": 1.0}, "browOuterUpRight": {"RRbrowUp_h": 1.0},
    **_pairs({
        "mouthSmile": "{}smileClose_h", "mouthFrown": "{}mouthSad_h", "mouthUpperUp": "{}lipUp_h",
        "mouthLowerDown": "{}lipDown_h", "eyeBlink": "{}eyeClose_h", "eyeWide": "{}eyeOpen_h",
        "eyeSquint": "{}squint_h", "browDown": "{}browDown_h", "noseSneer": "{}disgust_h",
    }),
})  # fmt: skip
"""The 27 shapes of the avatars of VALID (Do et al. 2023) that nearly mean an ARKit shape."""

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {"arkit": MappingProxyType({name: {name: 1.0} for name in ARKIT_52}), "valid": VALID}
)


def scheme_key(name: str) -> str:
    """A shape's name without exporters' prefixes and case: ``Head.eyeBlink_L`` becomes ``eyeblinkleft``."""
    stem = re.split(r"[.:|]", name)[-1].strip()
    side = re.search(r"(?<=[a-z0-9])[LR]$|(?<=[_\- ])[LRlr]$", stem)  # not the last letter of MOUTHFUNNEL
    if side:
        stem = stem[: side.start()] + ("left" if side[0] in "Ll" else "right")
    return re.sub(r"[^a-z0-9]", "", stem.lower())


def named_shapes(names: Sequence[str], table: Path | None = None) -> dict[str, dict[str, float]]:
    """Which shapes of a rig mean which ARKit shape.

    Args:
        names: The rig's own, in any known scheme; case, prefixes and ``_L`` for ``Left`` do not matter.
        table: A CSV with the columns ``arkit`` and ``shape``, and if wanted ``weight``, for other names.

    Returns:
        ARKit name -> the rig's names -> weight; ARKit names that the rig lacks are left out.

    Raises:
        BadSetting: No name is known.
    """
    if table is not None:
        return _read_table(table, names)
    own = {scheme_key(name): name for name in reversed(names)}
    found: dict[str, dict[str, float]] = {}
    for scheme in SCHEMES.values():
        meant = {
            target: {own[scheme_key(shape)]: weight for shape, weight in parts.items()}
            for target, parts in scheme.items() if all(scheme_key(shape) in own for shape in parts)
        }  # fmt: skip
        found = meant if len(meant) > len(found) else found
    if not found:
        raise BadSetting(
            "no shape of the rig has a name of a known scheme",
            received=", ".join(map(_with_nearest, names[:8])) or "no shapes",
            remedy="map them by a table with the columns arkit and shape; known: " + ", ".join(SCHEMES),
        )  # fmt: skip
    return found


def _with_nearest(name: str) -> str:
    """A name, and the known one that is most like it, if there is any."""
    known = {scheme_key(shape): shape for scheme in SCHEMES.values()
             for parts in scheme.values() for shape in parts}  # fmt: skip
    near = difflib.get_close_matches(scheme_key(name), known, n=1, cutoff=0.5)
    return f"{name} (nearest: {known[near[0]]})" if near else name


def _read_table(path: Path, names: Sequence[str]) -> dict[str, dict[str, float]]:
    remedy = "the first line must be: arkit,shape or arkit,shape,weight"
    found: dict[str, dict[str, float]] = {}
    for row in table_rows(path, "the table of names", ("arkit", "shape"), remedy):
        if row["arkit"] not in ARKIT_52:
            raise UnknownName("ARKit name", row["arkit"], ARKIT_52)
        if row["shape"] not in names:
            raise UnknownName("shape of the rig", row["shape"], names)
        parts = found.setdefault(row["arkit"], {})
        if row["shape"] in parts:
            raise BadFile(
                "the table of names has a pair twice", remedy="keep one of them",
                received=f"{row['arkit']}, {row['shape']} in {row.where}",
            )  # fmt: skip
        parts[row["shape"]] = row.number("weight", 1.0, LARGEST_WEIGHT)
    if not found:
        raise BadFile("the table of names has no line", received=str(path))
    return found
