"""Rigs under other names: targets made of weighted parts of a model's expressions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply.files import OpenedFace
from mien.apply.rigs import Rig, rig
from mien.data.arkit import GAZE_NAMES, Rule, target_rules
from mien.data.expressions import ARKIT, ARKIT_MISSING
from mien.io.endings import GLTF, USD
from mien.io.glb_targets import check_existing
from mien.models.base import FaceModel
from mien.topology import Topology

NO_TONGUE = "No piece of the head is a tongue, so there is no tongueOut: --piece NAME=tongue says which is."
_SOFT_MM = 7.0  # over which one side fades into the other


def rig_by_names(
    model: FaceModel, face: OpenedFace, names: str, *, style: Any = None
) -> tuple[Rig, list[Rule], list[str]]:
    """A rig whose targets have the names that a program expects; eyeballs of the face's own turn.

    Args:
        model: Any model.
        face: The person at rest, opened for the model.
        names: ``model``, ``arkit`` or a CSV file, see :func:`mien.data.arkit.target_rules`.
        style: As for :func:`mien.apply.rig`.

    Returns:
        The rig, what its targets are made of, and sentences about what is missing.
    """
    eyes = GAZE_NAMES if names == "arkit" and face.turns_eyes else ()
    tongue = ARKIT_MISSING if face.has_tongue else ()
    rules, notes = target_rules(names, model.expressions, (*eyes, *tongue))
    made = rig_by_rules(model, face.vertices, rules, style=style)
    turning = [name for name in eyes if name not in made.names]
    if turning:
        notes.append(
            "The eyeballs turn with eyeLook..., the lids do not follow: the model has no such expressions."
        )
    added = turning
    if names == "arkit" or set(ARKIT) <= set(made.names):
        added = turning + [name for name in tongue if name not in made.names]
        if face.registered and not tongue:
            notes.append(NO_TONGUE)
    return made.with_still(added) if added else made, rules, notes


def rig_by_rules(model: FaceModel, neutral: Any, rules: Sequence[Rule], *, style: Any = None) -> Rig:
    """A rig whose targets are made by rules; see :class:`mien.data.arkit.Rule`.

    Args:
        model: Any model.
        neutral: (V, 3) float, millimeters. The person at rest.
        rules: What each target is made of; several rules of one target are added up.
        style: As for :func:`mien.apply.rig`.
    """
    names = tuple(dict.fromkeys(rule.name for rule in rules))
    made = rig(model, neutral, names, style=style)
    targets = tuple(dict.fromkeys(rule.target for rule in rules))
    stacked = np.stack([_target(made, [rule for rule in rules if rule.target == name]) for name in targets])
    return Rig(made.topology, made.base, stacked.astype(np.float32), targets, made.linearity_mm)


def _target(made: Rig, rules: Sequence[Rule]) -> NDArray[np.floating]:
    """(V, 3) millimeters: one target, the sum of what its rules say; what is only renamed stays as it is."""
    expressions = [made.targets[made.names.index(rule.name)] for rule in rules]
    if len(rules) == 1 and rules[0].only_renames:
        return expressions[0]
    result = made.base.astype(np.float64)
    for rule, expression in zip(rules, expressions, strict=True):
        result += rule.weight * share_of_vertices(made.topology, rule)[:, None] * (expression - made.base)
    return result


def share_of_vertices(topology: Topology, rule: Rule) -> NDArray[np.float64]:
    """(V,) how much of an expression each vertex takes: halves of a face fade into each other."""
    template = topology.template.astype(np.float64)
    result = np.ones(len(template))
    if rule.side != "both":
        result *= _fade(template[:, 0] * (1 if rule.side == "left" else -1))
    if rule.half != "all":
        middle = _nose_height(topology)
        result *= _fade((template[:, 1] - middle) * (1 if rule.half == "upper" else -1))
    return result


def _fade(distance: NDArray) -> NDArray[np.float64]:
    """0 to 1 from 7 mm on one side to 7 mm on the other, smoothly."""
    t = np.clip(0.5 + distance / (2 * _SOFT_MM), 0, 1)
    return t * t * (3 - 2 * t)


def _nose_height(topology: Topology) -> float:
    """The height of the middle of the nose, or of the face where no landmarks tell."""
    named = dict(zip(topology.landmarks.names, topology.landmarks.positions(topology.template), strict=True))
    if "ibug_28" in named and "ibug_30" in named:
        return float((named["ibug_28"][1] + named["ibug_30"][1]) / 2)
    return float(np.median(topology.template[:, 1]))


def check_existing_targets(source: Path, out: Path, model: FaceModel, names: str, existing: str) -> None:
    """Refuses a damaged table of names, and targets that a glTF file has already, before the long work.

    Args:
        source: The file of the head.
        out: Where the rig goes; only files that keep the head's own targets are looked at.
        model: The model.
        names: As for :func:`rig_by_names`.
        existing: ``refuse``, ``keep`` or ``replace``.
    """
    keeps = source.suffix.lower() in GLTF and out.suffix.lower() not in USD
    if keeps or names not in ("model", "arkit"):
        rules, _ = target_rules(names, model.expressions)
    if keeps:
        check_existing(source, [rule.target for rule in rules], existing)
