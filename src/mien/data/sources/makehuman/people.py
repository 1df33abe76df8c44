"""People over MakeHuman's modeling targets: who is drawn, and how far each target may go.

A person has a sex, an age, a mix of the three ethnic targets and a build, which are the macro targets; and
about 120 further directions, the modeling targets of the head by pairs of opposites (``incr`` and ``decr``,
``in`` and ``out``), both sides of the face alike, with a little asymmetry of its own targets. A target's full
weight is as far as its artist would go: people stay well within it. Adults only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.sources.makehuman.lips import lips_met
from mien.data.sources.makehuman.release import ETHNIC, SEXES, MakeHuman
from mien.errors import DataMissing
from mien.geometry.procrustes import procrustes

OPPOSITES = {
    "decr": "incr", "down": "up", "in": "out", "backward": "forward", "concave": "convex",
    "compress": "uncompress",
}  # fmt: skip
#: Part of the head, or the beginning of a target's name -> standard deviation of its weight; the longest that
#: fits counts, and zero leaves it out: what moves the whole head, bends it sideways, or is no human form.
SPREADS = {
    "cheek": 0.28, "chin": 0.25, "ears": 0.22, "eyebrows": 0.22, "eyes": 0.28, "forehead": 0.2, "head": 0.15,
    "mouth": 0.24, "neck": 0.2, "nose": 0.26,
    "chin/chin-height": 0.16, "chin/chin-bones": 0.16, "ears/ear-shape-pointed": 0.0,
    "ears/ear-shape-triangle": 0.1, "ears/ear-trans": 0.1, "eyes/eye-push": 0.15,
    "eyes/eye-eyefold-concave": 0.0, "forehead/forehead-nubian": 0.0, "forehead/forehead-scale-vert": 0.1,
    "head/head-age": 0.25, "head/head-angle": 0.0, "head/head-fat": 0.35, "head/head-trans": 0.0,
    "mouth/mouth-upperlip-height": 0.15, "mouth/mouth-trans": 0.15, "mouth/mouth-trans-in": 0.0,
    "neck/measure": 0.0, "neck/neck-back": 0.0,
    "neck/neck-scale-vert": 0.0, "neck/neck-trans": 0.0, "nose/nose-trans": 0.2, "nose/nose-trans-in": 0.0,
    "nose/nose-point-down": 0.15,
}  # fmt: skip
ASYMMETRY = 0.1
"""Standard deviation of the weights of the targets of asymmetry."""
FARTHEST = 2.2
"""In standard deviations: no weight is drawn beyond it."""
LEADING = (
    "head/head-fat-decr",
    "head/head-scale-horiz-decr",
    "head/head-scale-vert-decr",
    "nose/nose-scale-depth-decr",
)
"""Directions that come first: what a face foretells of its manner is read from them."""
OLDEST, BUILD = 0.75, 0.45
"""Share of the targets of old age at the most, and deviation of the weight of the body's build."""


@dataclass(frozen=True, eq=False)
class Directions:
    """What tells people apart, beside the macro targets.

    Args:
        names: K names, as paths below the folder of targets.
        spread: (K,) float. Standard deviation of each weight.
        toward: (K, N, 3) float32, millimeters. What a weight of one does.
        away: (K, N, 3) float32, millimeters. What a weight of minus one does; zeros where a target has no
            opposite, as its weights are positive.
    """

    names: tuple[str, ...]
    spread: NDArray[np.float64]
    toward: NDArray[np.float32]
    away: NDArray[np.float32]

    def moved(self, weights: NDArray) -> NDArray[np.float64]:
        """(N, 3) float64, millimeters: what (K,) weights do together."""
        change = np.tensordot(np.maximum(weights, 0), self.toward, 1)
        return change + np.tensordot(np.maximum(-weights, 0), self.away, 1)


@dataclass(frozen=True, eq=False)
class DrawnPerson:
    """Somebody who was drawn.

    Args:
        face: (N, 3) float64, millimeters. At rest.
        identity: (K,) float64. Standardized weights of the directions, the leading ones first.
        sex: ``female`` or ``male``.
    """

    face: NDArray[np.float64]
    identity: NDArray[np.float64]
    sex: str


@lru_cache(maxsize=2)
def directions(head: MakeHuman) -> Directions:
    """The modeling targets of the head, as directions.

    Args:
        head: The release.

    Raises:
        DataMissing: The release has no modeling targets.
    """
    root = head.places.targets
    pairs = sorted(_pairs(root), key=lambda pair: (_rank(pair[0]), pair[0]))
    if not pairs:
        raise DataMissing("the modeling targets of MakeHuman are missing", received=str(root))
    spread = [_spread(name) for name, _, _ in pairs]
    toward = np.stack([_summed(head, files) for _, files, _ in pairs])
    away = np.stack([_summed(head, files) for _, _, files in pairs])
    return Directions(tuple(name for name, _, _ in pairs), np.array(spread), toward, away)


def draw_person(head: MakeHuman, rng: Generator) -> DrawnPerson:
    """Draws an adult.

    Args:
        head: The release.
        rng: Randomness of this person.
    """
    among = directions(head)
    drawn = np.clip(rng.standard_normal(len(among.names)), -FARTHEST, FARTHEST)
    sex = SEXES[int(rng.integers(2))]
    own = rng.uniform(0.75, 1.0)
    shares = {name: own if name == sex else 1 - own for name in SEXES}
    ethnic = dict(zip(ETHNIC, rng.dirichlet([0.7] * len(ETHNIC)).tolist(), strict=True))
    old = OLDEST * rng.beta(1.0, 1.6)
    build = float(np.clip(BUILD * rng.standard_normal(), -1, 1))
    face = head.base + among.moved(drawn * among.spread)
    for age, share in (("young", 1 - old), ("old", old)):
        face += share * head.grown(age, shares, ethnic, build)
    face = lips_met(head, face)
    return DrawnPerson(procrustes(face, head.mean).apply(face), drawn, sex)


def _pairs(root: Path) -> Iterator[tuple[str, list[Path], list[Path]]]:
    """Name, files of the direction, and files of its opposite; sides of the face are taken together."""
    for folder in sorted({*(name.split("/")[0] for name in SPREADS), "asym"}):
        files: dict[str, list[Path]] = {}
        for path in sorted((root / folder).glob("*.target*")):
            stem = path.name.removesuffix(".gz").removesuffix(".target")
            if not stem.startswith("asymm-"):  # of the body
                files.setdefault(stem if folder == "asym" else stem.removeprefix("l-").removeprefix("r-"), [])
                files[stem if folder == "asym" else stem.removeprefix("l-").removeprefix("r-")].append(path)
        for stem, own in files.items():
            first, _, end = stem.rpartition("-")
            if folder == "asym":
                if end == "l":
                    yield f"{folder}/{stem}", own, files[f"{first}-r"]
            elif end in OPPOSITES and _spread(f"{folder}/{stem}"):
                yield f"{folder}/{stem}", files.get(f"{first}-{OPPOSITES[end]}", []), own
            elif end not in OPPOSITES.values() and _spread(f"{folder}/{stem}"):
                yield f"{folder}/{stem}", own, []


def _spread(name: str) -> float:
    """Standard deviation of the weight of a direction."""
    if name.startswith("asym/"):
        return ASYMMETRY
    fitting = [key for key in SPREADS if name.startswith(key)]
    return SPREADS[max(fitting, key=len)]


def _rank(name: str) -> int:
    return LEADING.index(name) if name in LEADING else len(LEADING)


def _summed(head: MakeHuman, files: list[Path]) -> NDArray[np.float32]:
    moved = np.zeros_like(head.base)
    for path in files:
        moved += head.target(path)
    return moved.astype(np.float32)
