"""Curves from a file onto a model's expressions: by name, by action units, or by what these are made of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mien.data.action_units import ALSO, UNITS, canonical, shape_curves, unit_curves
from mien.data.expressions import ARKIT, SHAPES, arkit_weights, expression_set, expression_sets
from mien.data.rig_names import ARKIT_52, scheme_key
from mien.errors import BadFile, BadSetting
from mien.io.curve_record import Curves

HEAD = ("headyaw", "headpitch", "headroll", "lefteyeyaw", "lefteyepitch", "lefteyeroll", "righteyeyaw",
        "righteyepitch", "righteyeroll", "neutral")  # fmt: skip
"""Columns of a recording that no expression of the skin answers to, by their key."""

_NOISE = 0.1
"""Weights below zero by no more than this are a tracker's noise about rest, and are raised to it."""
_PERCENT, _MOST_PERCENT, _OPENFACE = 2.0, 250.0, 5.0
"""A strongest weight above the first is of 0 to 100, above the second of no scale; action units go to 5."""
_LIKE_OWN = 0.5  # of the names that are ARKit's: a model that has as many of its own has ARKit's
_LISTED = 6


@dataclass(frozen=True, eq=False)
class Known:
    """The curves of a file that mean something to a model.

    Args:
        names: K names: the model's own, or ARKit's.
        values: (T, K) float64, 0 at rest and 1 at full strength; a row of NaN where the face was lost.
        notes: Sentences about names and scale.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def of(self, expressions: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
        """(T, E) weights of a model's expressions, and sentences about what was decided.

        Names that are the model's go where they belong. Else action units are measured on ARKit's curves, or
        each frame is explained by nonnegative weights of the recipes of the expressions (least squares).

        Args:
            expressions: E names.
        """
        shared = [k for k, name in enumerate(self.names) if name in expressions]
        if shared:
            weights = np.zeros((len(self.values), len(expressions)))
            weights[:, [list(expressions).index(self.names[k]) for k in shared]] = self.values[:, shared]
            absent = [name for name in self.names if name not in expressions]
            return weights, [f"The model has no {', '.join(absent)}."] if absent else []
        units = [canonical(name) for name in expressions]
        if set(units) <= set(UNITS):
            found = unit_curves(_shapes(dict(zip(self.names, self.values.T, strict=True))))
            return np.stack([found[unit] for unit in units], axis=1), [
                "Action units are told from its ARKit curves."
            ]
        return _explained(self, expressions)


def known_curves(curves: Curves, expressions: Sequence[str]) -> Known:
    """Which curves of a file are a model's expressions, or ARKit's blendshapes, and at what scale.

    Names match in any spelling: case, ``_L`` or ``Left``, snake case, prefixes before a dot. Action units
    (``AU12_r``) become ARKit's shapes (:func:`mien.data.action_units.shape_curves`) unless the model has
    units. Weights of 0 to 100 are divided, OpenFace's of 0 to 5, too.

    Args:
        curves: What a file holds.
        expressions: E expression names of the model.

    Raises:
        BadSetting: No name is known.
        BadFile: A weight is clearly negative or of no known scale, or two columns mean one name.
    """
    own = {scheme_key(name): name for name in expressions} | {canonical(name): name for name in expressions}
    own |= {also: own[unit] for also, unit in ALSO.items() if unit in own}
    arkit = {scheme_key(name): name for name in ARKIT_52}
    columns = {name: (scheme_key(name), canonical(_unit(name))) for name in curves.names}
    meant = [own.get(key, own.get(unit)) for key, unit in columns.values()]
    phone = [arkit.get(key) for key, _ in columns.values()]
    if sum(m is not None for m in meant) < _LIKE_OWN * sum(p is not None for p in phone):
        meant = phone  # few of the model's own names are spelled like ARKit's by chance: jaw_left, jawLeft
    elif not any(meant) and any(unit in (*UNITS, *ALSO) for _, unit in columns.values()):
        return _of_units(curves, [unit for _, unit in columns.values()])
    halves = _halves(curves.names, arkit.values() if meant == phone else expressions)
    both = _wholes(curves.names, meant, own)
    if not any(meant) and not halves:
        raise _no_name(curves, expressions)
    kept = [*(k for k, name in enumerate(meant) if name), *both.values()]
    names = (*(str(name) for name in meant if name), *both)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadFile(
            "two columns mean one expression", received=f"{twice}, by {', '.join(curves.names[:8])}"
        )
    taken = {*kept, *(k for pair in halves.values() for k in pair)}
    units, openface = any(canonical(n) in UNITS for n in names), curves.form == "OpenFace"
    scaled, notes = _scaled(curves.values[:, sorted(taken)], units, openface)
    place = {k: number for number, k in enumerate(sorted(taken))}
    values = [scaled[:, place[k]] for k in kept]
    values += [scaled[:, [place[k] for k in pair]].mean(axis=1) for pair in halves.values()]
    told = _names_told(curves, taken, [*own, *arkit], own)
    return Known((*names, *halves), np.stack(values, axis=1), (*told, *notes))


def _unit(name: str) -> str:
    """OpenFace's ``AU12_r``, an intensity, without its mark."""
    return name.strip().removesuffix("_r") if name.strip().upper().startswith("AU") else name


def _halves(names: Sequence[str], wanted: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Wanted names without sides that are given with both (``browInnerUp``): name -> the two columns."""
    keys = {scheme_key(name): k for k, name in enumerate(names)}
    return {
        name: (keys[f"{low}left"], keys[f"{low}right"])
        for name in wanted
        if (low := scheme_key(name)) not in keys and {f"{low}left", f"{low}right"} <= set(keys)
    }  # fmt: skip


def _wholes(names: Sequence[str], meant: Sequence[str | None], own: Mapping[str, str]) -> dict[str, int]:
    """Names of both sides that are given without sides: name -> the one column."""
    return {
        own[f"{key}{side}"]: k
        for k, (name, known) in enumerate(zip(names, meant, strict=True))
        if known is None and {f"{(key := scheme_key(name))}left", f"{key}right"} <= set(own)
        for side in ("left", "right")
    }


def _of_units(curves: Curves, units: Sequence[str]) -> Known:
    """ARKit's curves that show action units."""
    kept = {unit: k for k, unit in enumerate(units) if unit.startswith("au_")}
    scaled, notes = _scaled(curves.values[:, list(kept.values())], True, curves.form == "OpenFace")
    shapes, left = shape_curves(dict(zip(kept, scaled.T, strict=True)))
    names = {name: of for name, of in ARKIT.items() if any(shape in shapes for shape in of)}
    values = [np.mean([shapes[s] for s in of if s in shapes], axis=0) for of in names.values()]
    told = f"{len(kept) - len(left)} action units move {len(names)} ARKit shapes, both sides alike"
    told += f"; {', '.join(left)} show in none of them." if left else "."
    return Known(tuple(names), np.stack(values, axis=1), (told, *notes))


def _shapes(curves: dict[str, NDArray]) -> dict[str, NDArray]:
    """ARKit's curves as those of the shapes that they are made of."""
    return {
        shape: curves[name] for name, of in ARKIT.items() if name in curves for shape in of if shape in SHAPES
    }


def _scaled(values: NDArray, units: bool, openface: bool = False) -> tuple[NDArray[np.float64], list[str]]:
    """Weights of 0 to 1, and how they came to it."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    size, notes = 1.0, []
    if high > _MOST_PERCENT:
        raise BadFile("weights are neither of 0 to 1 nor of 0 to 100", received=f"up to {high:g}")
    if units and (openface or high > 1) and high <= _OPENFACE:
        size, notes = _OPENFACE, ["Intensities of 0 to 5 are divided by 5."]
    elif high > _PERCENT:
        size, notes = 100.0, ["Weights of 0 to 100 are divided by 100."]
    if low / size < -_NOISE:
        raise BadFile(
            "a weight of the curves is negative", received=f"down to {low:g}",
            remedy="weights are 0 at rest and 1 (or 100) at full strength; --rest subtracts an actor's rest",
        )  # fmt: skip
    if low < 0:
        notes.append(f"Weights slightly below zero (down to {low:g}) are raised to it.")
    return np.maximum(values / size, 0), notes


def _names_told(curves: Curves, taken: set[int], keys: Sequence[str], own: dict[str, str]) -> list[str]:
    """How many names are known, and which are not."""
    turning = [name for name in curves.names if scheme_key(name) in HEAD]
    turns = any(scheme_key(name) != "neutral" for name in turning)
    unknown = [n for k, n in enumerate(curves.names) if k not in taken and n not in turning]
    counted = len(curves.names) - len(turning)
    text = f"{len(taken)} of {counted} curves are known"
    text += " (turns of head and eyes are left out)" if turns else ""
    if unknown:
        shown = [f"{name} (do you mean {near}?)" if (near := _nearest(name, keys, own)) else name
                 for name in unknown[:_LISTED]]  # fmt: skip
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        text += f"; left out: {', '.join(shown)}{more}"
    return [text + "."]


def _nearest(name: str, keys: Sequence[str], own: dict[str, str]) -> str | None:
    arkit = {scheme_key(known): known for known in ARKIT_52}
    if scheme_key(name) in arkit or canonical(_unit(name)).startswith("au_"):
        return None
    found = difflib.get_close_matches(scheme_key(name), list(keys), n=1, cutoff=0.75)
    return own.get(found[0], arkit.get(found[0])) if found else None


def _no_name(curves: Curves, expressions: Sequence[str]) -> BadSetting:
    own = {scheme_key(name): name for name in expressions}
    keys = [*own, *(scheme_key(name) for name in ARKIT_52)]
    near = [f"{name} is near {found}" for name in curves.names if (found := _nearest(name, keys, own))]
    hint = f"{'; '.join(near[:3])}; " if near else ""
    listed = ", ".join(expressions[:12]) + (", ..." if len(expressions) > 12 else "")
    return BadSetting(
        "no curve of the file is an expression of the model", received=", ".join(curves.names[:8]),
        remedy=f"{hint}name the columns after the model's expressions ({listed}), ARKit's or action units",
    )  # fmt: skip


def _explained(known: Known, expressions: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Nonnegative weights whose recipes come nearest to ARKit curves."""
    names = next((s for s in expression_sets() if set(expressions) <= set(expression_set(s).names)), None)
    columns = [k for k, name in enumerate(known.names) if name in ARKIT]
    if not columns or names is None:
        raise _no_name(Curves(known.names, known.values), expressions)
    recipes = np.array(
        [[arkit_weights(e, of=names).get(known.names[k], 0.0) for e in expressions] for k in columns]
    )
    goal = known.values[:, columns]
    weights = np.array([nnls(recipes, frame)[0] for frame in goal])
    left = np.square(goal - weights @ recipes.T).sum() / max(np.square(goal).sum(), 1e-12)
    return weights, [
        f"ARKit curves are explained by the {len(expressions)} expressions of the model; "
        f"{100 * left:.0f} % of the motion of the curves is beyond them."
    ]
