"""ARKit's blendshapes out of expressions that a model has under other names: by a table that people edit."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.expressions import ARKIT, ARKIT_MISSING, expression_set
from mien.errors import BadFile, BadSetting, UnknownName
from mien.geometry.contact import Meets
from mien.io.table import TableRow, table_rows
from mien.limits import LARGEST_WEIGHT

GAZE_DEGREES = {"In": 30.0, "Out": 30.0, "Up": 20.0, "Down": 30.0}
"""How far an eyeball turns at full weight: about as far as eyes go before the head follows. The lids of the
ICT release's ``eyeLookUp`` and ``eyeLookDown`` belong to turns of 11 and 24 degrees."""

GAZE_NAMES = tuple(f"eyeLook{way}{side}" for way in ("Down", "In", "Out", "Up") for side in ("Left", "Right"))

SIDES, HALVES = ("both", "left", "right"), ("all", "upper", "lower")
COLUMNS = ("target", "name", "weight", "side", "half")


@dataclass(frozen=True)
class Rule:
    """What a morph target is made of.

    Args:
        target: Its name.
        name: The model's expression.
        weight: At which weight.
        side: ``both``, or the ``left`` or ``right`` half of the face alone (the person's own).
        half: ``all``, or what lies above (``upper``) or below (``lower``) the middle of the nose.
    """

    target: str
    name: str
    weight: float = 1.0
    side: str = "both"
    half: str = "all"

    @property
    def only_renames(self) -> bool:
        """Whether it takes all of the expression at full weight."""
        return self.weight == 1.0 and self.side == "both" and self.half == "all"


def _sided(stem: str, name: str, half: str = "all") -> list[Rule]:
    return [Rule(f"{stem}{side}", name, 1.0, side.lower(), half) for side in ("Left", "Right")]


_FACESCAPE20 = [
    Rule("jawOpen", "mouth_stretch"), Rule("jawLeft", "jaw_left"), Rule("jawRight", "jaw_right"),
    Rule("jawForward", "jaw_forward"), Rule("mouthLeft", "mouth_left"), Rule("mouthRight", "mouth_right"),
    Rule("mouthPucker", "lip_puckerer"), Rule("mouthFunnel", "lip_funneler"),
    Rule("mouthShrugLower", "chin_raiser"), Rule("cheekPuff", "cheek_blowing", half="lower"),
    Rule("browInnerUp", "sadness", half="upper"), *_sided("browDown", "brow_lower", "upper"),
    *_sided("browOuterUp", "brow_raiser", "upper"), *_sided("eyeBlink", "eye_closed", "upper"),
    *_sided("mouthSmile", "smile", "lower"), *_sided("cheekSquint", "smile", "upper"),
    *_sided("mouthFrown", "sadness", "lower"), *_sided("mouthDimple", "dimpler", "lower"),
]  # fmt: skip
"""FaceScape's expressions move both sides at once, and some more than one place: halves of the face are the
nearest that they have. What has no near relative (``mouthRollUpper``, ``noseSneerLeft`` ...) is left out."""


def gaze_of(names: Sequence[str], weights: NDArray | None = None) -> NDArray[np.float64] | None:
    """Where eyeballs look under named weights, by ARKit's ``eyeLook`` names.

    Args:
        names: E names, ARKit's or any others.
        weights: (..., E) float, or None for each name alone at full weight, (E, E).

    Returns:
        (..., 2, 2) degrees that the left and the right eye (the person's own) turn to the left, and up; None
        where no eye turns.
    """
    each = np.zeros((len(names), 2, 2))
    for number, name in enumerate(names):
        for eye, side in enumerate(("Left", "Right")):
            outward = 1.0 if side == "Left" else -1.0
            ways = {"Out": (outward, 0.0), "In": (-outward, 0.0), "Up": (0.0, 1.0), "Down": (0.0, -1.0)}
            for way, direction in ways.items():
                if name == f"eyeLook{way}{side}":
                    each[number, eye] = GAZE_DEGREES[way] * np.array(direction)
    turns = each if weights is None else np.tensordot(np.asarray(weights, np.float64), each, axes=1)
    return turns if turns.any() else None


def meets_of(names: Sequence[str]) -> Meets:
    """In which targets the eyes close, which drops the jaw, closes the lips over it, or puts the tongue out.

    Args:
        names: E names, ARKit's, the ICT release's or of another set whose recipe closes the eyes.
    """
    recipes = {**{name: ARKIT[name] for name in ARKIT}, **expression_set("facescape20").recipes}
    shapes = [recipes.get(_in_arkit(name), {}) for name in names]
    lids = [[shape.get(f"eyeBlink_{side}", 0.0) >= 1 for side in "LR"] for shape in shapes]
    plain = [_in_arkit(name) for name in names]
    rows = (
        plain.index(name) if name in plain else None for name in ("jawOpen", "mouthClose", *ARKIT_MISSING)
    )
    return Meets(np.array(lids, bool).reshape(-1, 2), *rows)


def _in_arkit(name: str) -> str:
    """``eyeBlink_L`` as ``eyeBlinkLeft``."""
    sides = {"_L": "Left", "_R": "Right"}
    return name[:-2] + sides[name[-2:]] if name[-2:] in sides else name


def target_rules(
    names: str, expressions: Sequence[str], also: Sequence[str] = ()
) -> tuple[list[Rule], list[str]]:
    """What the morph targets of a rig are made of, and sentences about what is missing.

    Args:
        names: ``model`` keeps the model's names, ``arkit`` takes those that are ARKit's or the nearest that
            the model has, a CSV file takes what it lists (see :func:`read_rules`).
        expressions: E expression names of the model.
        also: ARKit names that the head has without the model.
    """
    if names == "model":
        return [Rule(name, name) for name in expressions], []
    if names.lower().endswith(".csv"):
        return read_rules(Path(names), expressions), []
    if names != "arkit":
        raise UnknownName("kind of names", names, ("model", "arkit", "FILE.csv"))
    rules, notes = arkit_rules(expressions), []
    if rules[0].name != rules[0].target:
        notes.append("Its expressions are not ARKit's: the nearest, and halves of them, take the names.")
    if absent := [name for name in lacking(rules) if name not in also]:
        notes.append(f"Of ARKit's 52 names the model lacks: {', '.join(absent)}.")
    return rules, notes


def arkit_rules(expressions: Sequence[str]) -> list[Rule]:
    """ARKit targets that a model with these expressions can have: its own, or the nearest that it has."""
    own = [Rule(name, name) for name in ARKIT if name in expressions]
    if own:
        return own
    if set(expression_set("facescape20").names) <= set(expressions):
        return list(_FACESCAPE20)
    raise BadSetting(
        "this model has no ARKit expressions", received=", ".join(expressions),
        remedy="train on data built with --expressions arkit, or give a table: --names table.csv",
    )  # fmt: skip


def lacking(rules: Sequence[Rule]) -> list[str]:
    """ARKit's names that no rule makes."""
    made = {rule.target for rule in rules}
    return [name for name in (*ARKIT, *ARKIT_MISSING) if name not in made]


def read_rules(path: Path, expressions: Sequence[str]) -> list[Rule]:
    """Reads a table with the columns target and name, and if wanted weight, side and half.

    Several lines of one target are added up.
    """
    remedy = "the first line must be: target,name or target,name,weight,side,half"
    rows = table_rows(path, "the table of names", ("target", "name"), remedy)
    rules = [_rule(row, expressions) for row in rows]
    if not rules or not all(rule.target for rule in rules):
        raise BadFile("the table of names is empty or has a line without a target", received=str(path))
    return rules


def _rule(row: TableRow, expressions: Sequence[str]) -> Rule:
    if row["name"] not in expressions:
        raise UnknownName("expression", row["name"], expressions)
    side, half = row["side"] or "both", row["half"] or "all"
    for kind, value, known in (("side", side, SIDES), ("half", half, HALVES)):
        if value not in known:
            raise UnknownName(kind, value, known)
    return Rule(row["target"], row["name"], row.number("weight", 1.0, LARGEST_WEIGHT), side, half)


def rules_table(rules: Sequence[Rule]) -> str:
    """The rules as a CSV that :func:`read_rules` reads: a start for one's own."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows((rule.target, rule.name, f"{rule.weight:g}", rule.side, rule.half) for rule in rules)
    return text.getvalue()
