"""Action units of the face (FACS): intensities read from activated shapes, and expressions told from units.

An action unit is what a trained coder sees one group of muscles do. Sources that know which shapes they
activated can label faces with units in place of names; and a table of prototypical units
(:func:`read_prototypes`) turns units into names again, as FaceCAM's appendix does for BP4D.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import BadFile, BadSetting
from mien.io.table import table_rows

ACTION_UNITS: Mapping[str, tuple[str, ...]] = {
    "au_1": ("browInnerUp_L", "browInnerUp_R"),
    "au_2": ("browOuterUp_L", "browOuterUp_R"),
    "au_4": ("browDown_L", "browDown_R"),
    "au_5": ("eyeWide_L", "eyeWide_R"),
    "au_6": ("cheekSquint_L", "cheekSquint_R"),
    "au_7": ("eyeSquint_L", "eyeSquint_R"),
    "au_9": ("noseSneer_L", "noseSneer_R"),
    "au_10": ("mouthUpperUp_L", "mouthUpperUp_R"),
    "au_12": ("mouthSmile_L", "mouthSmile_R"),
    "au_14": ("mouthDimple_L", "mouthDimple_R"),
    "au_15": ("mouthFrown_L", "mouthFrown_R"),
    "au_16": ("mouthLowerDown_L", "mouthLowerDown_R"),
    "au_17": ("mouthShrugLower",),
    "au_18": ("mouthPucker",),
    "au_20": ("mouthStretch_L", "mouthStretch_R"),
    "au_22": ("mouthFunnel",),
    "au_24": ("mouthPress_L", "mouthPress_R"),
    "au_26": ("jawOpen",),
    "au_28": ("mouthRollLower", "mouthRollUpper"),
    "au_29": ("jawForward",),
    "au_30_left": ("jawLeft",),
    "au_30_right": ("jawRight",),
    "au_34": ("cheekPuff_L", "cheekPuff_R"),
    "au_43": ("eyeBlink_L", "eyeBlink_R"),
}
"""Unit -> the shapes that show it, as the ICT release lists them; its intensity is their mean activation."""

PARTED = "au_25"
"""Lips part whenever one of these moves them apart; the jaw under closed lips does not."""
_PARTING = ("mouthLowerDown_L", "mouthLowerDown_R", "mouthUpperUp_L", "mouthUpperUp_R")

UNITS: tuple[str, ...] = tuple(
    sorted([*ACTION_UNITS, PARTED], key=lambda unit: (int(unit.split("_")[1]), unit))
)
TRACE = 0.05
"""Weaker activity is not coded: coders see no trace of it, and faces at rest stay neutral."""


def unit_intensities(active: Mapping[str, float]) -> dict[str, float]:
    """Unit -> intensity 0 to 1 of one face.

    Args:
        active: Shape -> activation; shapes that are not named are at rest.
    """
    found = {u: float(np.mean([active.get(s, 0.0) for s in of])) for u, of in ACTION_UNITS.items()}
    open_jaw = active.get("jawOpen", 0.0) - active.get("mouthClose", 0.0)
    found[PARTED] = max(open_jaw, *(active.get(shape, 0.0) for shape in _PARTING))
    return {unit: min(found[unit], 1.0) for unit in UNITS if found[unit] >= TRACE}


ALSO: Mapping[str, str] = {"au_45": "au_43"}
"""Units whose muscles are another unit's: a blink is eyes closed for a moment."""


def unit_curves(curves: Mapping[str, NDArray]) -> dict[str, NDArray[np.float64]]:
    """Unit -> (T,) intensities of curves of shapes: :func:`unit_intensities` for each frame, faint ones, too.

    Args:
        curves: Shape -> (T,) float activations, at least one; shapes that are not named are at rest.
    """
    rest = np.zeros(len(next(iter(curves.values()))))
    at = {shape: np.asarray(curve, np.float64) for shape, curve in curves.items()}
    found = {u: np.mean([at.get(s, rest) for s in of], axis=0) for u, of in ACTION_UNITS.items()}
    parting = [at.get("jawOpen", rest) - at.get("mouthClose", rest), *(at.get(s, rest) for s in _PARTING)]
    found[PARTED] = np.max(parting, axis=0)
    return {unit: np.clip(found[unit], 0, 1) for unit in UNITS}


def shape_curves(intensities: Mapping[str, NDArray]) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Curves of shapes that show units: every shape of a unit (:data:`ACTION_UNITS`) at its intensity.

    The way back from :func:`unit_intensities`. Coders see no sides: both move alike. Lips part by the jaw or
    the upper lip where these units are as strong; what is stronger is the lower lip's, unless it has a unit
    of its own.

    Args:
        intensities: Unit (``au_12``) -> (T,) float, 0 to 1.

    Returns:
        Shape -> (T,) float64, and the units that no shape shows.
    """
    given = {ALSO.get(unit, unit): np.asarray(curve, np.float64) for unit, curve in intensities.items()}
    found = {shape: given[unit] for unit, of in ACTION_UNITS.items() if unit in given for shape in of}
    if PARTED in given and "au_16" not in given:
        rest = np.zeros_like(given[PARTED])
        other = np.maximum(given.get("au_26", rest), given.get("au_10", rest))
        lower = given[PARTED] * np.clip((given[PARTED] - other) / TRACE, 0, 1)
        found |= {"mouthLowerDown_L": lower, "mouthLowerDown_R": lower}
    return found, [unit for unit in given if unit not in (*ACTION_UNITS, PARTED)]


def read_prototypes(path: Path | str | None = None) -> dict[str, dict[str, float]]:
    """Expression -> unit -> weight, from a CSV with the columns expression, unit, weight.

    Args:
        path: The table; None for the example that FaceCAM's appendix prints.
    """
    path = Path(path) if path is not None else Path(__file__).with_name("prototypes.csv")
    columns = ("expression", "unit", "weight")
    remedy = "the first line must be: expression,unit,weight"
    prototypes: dict[str, dict[str, float]] = {}
    for row in table_rows(path, "the table of prototypes", columns, remedy):
        if not row["expression"] or not row["unit"]:
            raise BadFile("a line of the table of prototypes lacks a name", received=row.where)
        prototypes.setdefault(row["expression"], {})[row["unit"]] = row.number("weight")
    if not prototypes:
        raise BadFile("the table of prototypes is empty", received=str(path))
    return prototypes


def canonical(unit: str) -> str:
    """``AU12``, ``au_12`` and ``AU 12`` are one unit: ``au_12``; other names stay as they are."""
    found = re.fullmatch(r"au[_ ]?(\d+)(\w*)", unit.strip().lower())
    return f"au_{int(found[1])}{found[2]}" if found else unit


def scores(
    prototypes: Mapping[str, Mapping[str, float]], units: Sequence[str], intensities: NDArray
) -> tuple[NDArray[np.float64], list[str]]:
    """How much each face shows each expression: sums of weight times intensity over prototypical units.

    Args:
        prototypes: Expression -> unit -> weight.
        units: Names of the E columns.
        intensities: (n, E) float.

    Returns:
        (n, P) scores, and the prototypical units that the columns do not have; they are left out.
    """
    column = {canonical(name): index for index, name in enumerate(units)}
    weights, absent = np.zeros((len(units), len(prototypes))), []
    for place, prototype in enumerate(prototypes.values()):
        for unit, weight in prototype.items():
            if canonical(unit) in column:
                weights[column[canonical(unit)], place] = weight
            else:
                absent.append(unit)
    if not weights.any(axis=0).all():
        raise BadSetting(
            "an expression has no prototypical unit in the data", received=", ".join(units),
            remedy="label the data with action units, e.g. mien data build ict --expressions emotion6_units",
        )  # fmt: skip
    return np.asarray(intensities, float) @ weights, sorted(set(absent))


def name_expressions(
    data: FaceDataset, prototypes: Mapping[str, Mapping[str, float]]
) -> tuple[FaceDataset, list[str]]:
    """A data set with expression names, from one labeled with action units.

    Of each person and expression the face with the highest score is kept, and the calmest face as neutral.

    Args:
        data: Weights are intensities of action units.
        prototypes: Expression -> unit -> weight.

    Returns:
        The data set, and the prototypical units that the data does not have.
    """
    found, absent = scores(prototypes, data.expressions, data.row_weights)
    rows, labels = [], []
    for person in np.unique(data.row_subject):
        own = np.flatnonzero((data.row_subject == person) & data.row_labeled("expression"))
        if not len(own):
            continue
        calm = own[np.abs(data.row_weights[own]).sum(axis=1).argmin()]
        best = own[found[own].argmax(axis=0)]
        shown = found[best, range(len(best))] > 0
        rows += [calm, *best[shown]]
        labels += [-1, *np.flatnonzero(shown)]
    names = tuple(prototypes)
    weights = np.zeros((len(rows), len(names)), np.float32)
    labeled = np.array(labels) >= 0
    weights[labeled, np.array(labels)[labeled]] = 1.0
    facts = dict(data.facts) | {"prototypes": {name: dict(of) for name, of in prototypes.items()}}
    named = FaceDataset(
        data.topology, names, data[np.array(rows)], weights, data.row_subject[rows], data.subjects,
        publishable=data.publishable, source=data.source, license=data.license, citation=data.citation,
        facts=facts, rests=data.rests, truth=data.true_faces(np.array(rows)) if data.has_truth else None,
    )  # fmt: skip
    return named, absent
