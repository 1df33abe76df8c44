"""Named expressions, and what each is made of.

People speak of ``smile``; faces are moved by shapes such as ``mouthSmile_L``. A set gives each named
expression a recipe over the 53 shapes of ICT-FaceKit, which are ARKit's with the sides written ``_L`` and
``_R``. The names and order of ``facescape20`` are those of the FaceScape capture protocol; its recipes and
those of ``emotion6`` follow the FACS units that the ICT release lists for each shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mien.data.action_units import UNITS, unit_intensities
from mien.errors import UnknownName

Recipe = Mapping[str, float]

PAIRED_SHAPES = (
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink", "eyeLookDown",
    "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown",
    "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
SINGLE_SHAPES = (
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
)  # fmt: skip
SHAPES: tuple[str, ...] = tuple(
    sorted([*SINGLE_SHAPES, *(f"{name}_{side}" for name in PAIRED_SHAPES for side in "LR")])
)
"""The 53 shapes, in the order of the ICT release."""

_UNSPLIT_IN_ARKIT = ("browInnerUp", "cheekPuff")


def _arkit_recipes() -> dict[str, dict[str, float]]:
    """ARKit name -> shapes; ARKit keeps two of the pairs as one blendshape each."""
    recipes: dict[str, dict[str, float]] = {name: {name: 1.0} for name in SINGLE_SHAPES}
    for name in PAIRED_SHAPES:
        if name in _UNSPLIT_IN_ARKIT:
            recipes[name] = {f"{name}_L": 1.0, f"{name}_R": 1.0}
        else:
            recipes |= {f"{name}Left": {f"{name}_L": 1.0}, f"{name}Right": {f"{name}_R": 1.0}}
    return dict(sorted(recipes.items()))


ARKIT: Mapping[str, Recipe] = MappingProxyType(_arkit_recipes())
"""ARKit blendshape name -> weights over :data:`SHAPES`; all of Apple's 52 but ``tongueOut``, as the scans
behind the shapes hold no tongue."""

ARKIT_MISSING = ("tongueOut",)


def _both(**weights: float) -> dict[str, float]:
    """A recipe with unsided names meaning both sides: ``_both(mouthSmile=1)``."""
    recipe: dict[str, float] = {}
    for name, weight in weights.items():
        names = (f"{name}_L", f"{name}_R") if name in PAIRED_SHAPES else (name,)
        recipe |= dict.fromkeys(names, weight)
    return recipe


_FACESCAPE20 = {
    "smile": _both(mouthSmile=1.0, cheekSquint=0.4, eyeSquint=0.2),
    "mouth_stretch": _both(jawOpen=0.85, mouthLowerDown=0.2, mouthStretch=0.15),
    "anger": _both(browDown=1.0, noseSneer=0.4, eyeSquint=0.6, mouthPress=0.6, mouthFrown=0.3),
    "jaw_left": _both(jawLeft=1.0, mouthLeft=0.15),
    "jaw_right": _both(jawRight=1.0, mouthRight=0.15),
    "jaw_forward": _both(jawForward=1.0),
    "mouth_left": _both(mouthLeft=1.0),
    "mouth_right": _both(mouthRight=1.0),
    "dimpler": _both(mouthDimple=1.0, mouthPress=0.4),
    "chin_raiser": _both(mouthShrugLower=1.0, mouthShrugUpper=0.6),
    "lip_puckerer": _both(mouthPucker=1.0),
    "lip_funneler": _both(mouthFunnel=1.0),
    "sadness": _both(browInnerUp=0.9, browDown=0.2, mouthFrown=1.0, mouthShrugLower=0.35),
    "lip_roll": _both(mouthRollLower=1.0, mouthRollUpper=1.0),
    "grin": _both(mouthSmile=0.6, mouthStretch=0.5, mouthUpperUp=0.6, mouthLowerDown=0.9, cheekSquint=0.3),
    "cheek_blowing": _both(cheekPuff=1.0, mouthPress=0.3),
    "eye_closed": _both(eyeBlink=1.0),
    "brow_raiser": _both(browInnerUp=1.0, browOuterUp=1.0, eyeWide=0.4),
    "brow_lower": _both(browDown=1.0, noseSneer=0.15, eyeSquint=0.2),
}

_EMOTION6 = {
    "angry": _both(browDown=1.0, noseSneer=0.5, eyeSquint=0.6, mouthPress=0.7, mouthFrown=0.4),
    "disgust": _both(noseSneer=1.0, mouthUpperUp=0.6, browDown=0.5, cheekSquint=0.4, mouthFrown=0.4),
    "fear": _both(browInnerUp=1.0, browOuterUp=0.4, browDown=0.3, eyeWide=1.0, mouthStretch=0.8, jawOpen=0.2),
    "happy": _both(mouthSmile=1.0, cheekSquint=0.7, eyeSquint=0.3, mouthUpperUp=0.3, jawOpen=0.1),
    "sad": _both(browInnerUp=1.0, browDown=0.3, mouthFrown=1.0, mouthShrugLower=0.4, eyeLookDown=0.3),
    "surprise": _both(browInnerUp=1.0, browOuterUp=1.0, eyeWide=0.9, jawOpen=0.45),
}


@dataclass(frozen=True)
class ExpressionSet:
    """Named expressions and their recipes; the neutral is implied and has no name.

    Args:
        name: Name of the set.
        recipes: Expression -> shape -> activation of a full performance.
        companions: Expression -> further expressions of this set that it cannot be performed without, with
            their weight for a weight of one. Lips close over a dropped jaw (``mouthClose``) only when the jaw
            is open; a mesh of it is labeled with both.
        units: Faces are labeled with the intensities of action units in place of these names.
    """

    name: str
    recipes: Mapping[str, Recipe]
    companions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    units: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The E expression names in order."""
        return tuple(self.recipes)

    @property
    def columns(self) -> tuple[str, ...]:
        """What faces are labeled with: the names, or action units."""
        return UNITS if self.units else self.names

    def coded(self, weights: Mapping[str, float], active: Mapping[str, float]) -> Mapping[str, float]:
        """The label of a performed face: its named weights, or what a coder of action units would see.

        Args:
            weights: Named weights that were performed.
            active: Shape -> activation.
        """
        return unit_intensities(active) if self.units else weights

    def __len__(self) -> int:
        return len(self.recipes)

    def recipe(self, expression: str) -> Recipe:
        """Shape weights of one expression; an unknown name suggests the nearest."""
        if expression not in self.recipes:
            raise UnknownName("expression", expression, self.names)
        return self.recipes[expression]

    def label(self, expression: str) -> dict[str, float]:
        """Named weights of a mesh that performs an expression: itself and its companions."""
        self.recipe(expression)
        companions = self.companions.get(expression, {})
        # With a companion the peak is moderate: a jaw half open is the usual pose of closed lips.
        share = 0.5 if companions else 1.0
        return {expression: share} | {name: share * weight for name, weight in companions.items()}

    def matrix(self, shapes: Sequence[str] = SHAPES) -> NDArray[np.float32]:
        """The recipes as (E, S) weights over named shapes; shapes that are not listed are left out."""
        column = {shape: index for index, shape in enumerate(shapes)}
        matrix = np.zeros((len(self), len(column)), np.float32)
        for row, recipe in enumerate(self.recipes.values()):
            for shape, weight in recipe.items():
                if shape in column:
                    matrix[row, column[shape]] = weight
        return matrix


_SETS = {
    "facescape20": ExpressionSet("facescape20", MappingProxyType(_FACESCAPE20)),
    "arkit": ExpressionSet("arkit", ARKIT, {"mouthClose": {"jawOpen": 0.98}}),
    "emotion6": ExpressionSet("emotion6", MappingProxyType(_EMOTION6)),
}
# The same performances, labeled with intensities of action units.
for _name in ("facescape20", "emotion6"):
    _SETS[f"{_name}_units"] = replace(_SETS[_name], name=f"{_name}_units", units=True)


def expression_set(name: str) -> ExpressionSet:
    """The named set: ``facescape20``, ``arkit``, ``emotion6``; ``*_units`` are labeled with action units."""
    if name not in _SETS:
        raise UnknownName("expression set", name, _SETS)
    return _SETS[name]


def expression_sets() -> tuple[str, ...]:
    """Names of all sets."""
    return tuple(_SETS)


def arkit_weights(expression: str, of: str) -> dict[str, float]:
    """An expression of another set as ARKit blendshape weights.

    Args:
        expression: Name within the set.
        of: Name of the set.

    Example:
        >>> arkit_weights("eye_closed", of="facescape20")
        {'eyeBlinkLeft': 1.0, 'eyeBlinkRight': 1.0}
    """
    recipe = expression_set(of).recipe(expression)
    weights = {name: max(recipe.get(shape, 0.0) for shape in shapes) for name, shapes in ARKIT.items()}
    return {name: weight for name, weight in weights.items() if weight}
