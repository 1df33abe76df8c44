"""Named expressions and their recipes."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.expressions import (
    ARKIT,
    ARKIT_MISSING,
    SHAPES,
    arkit_weights,
    expression_set,
    expression_sets,
)
from mien.errors import UnknownName


def test_sizes_and_names() -> None:
    assert expression_sets() == ("facescape20", "arkit", "emotion6", "facescape20_units", "emotion6_units")
    assert len(SHAPES) == 53 and len(expression_set("facescape20")) == 19
    assert expression_set("facescape20").names[:3] == ("smile", "mouth_stretch", "anger")
    assert set(expression_set("emotion6").names) == {"angry", "disgust", "fear", "happy", "sad", "surprise"}


def test_arkit_has_all_but_the_tongue() -> None:
    names = expression_set("arkit").names
    assert len(names) == 51 and ARKIT_MISSING == ("tongueOut",) and not set(ARKIT_MISSING) & set(names)
    assert ARKIT["mouthSmileLeft"] == {"mouthSmile_L": 1.0} and ARKIT["jawOpen"] == {"jawOpen": 1.0}
    assert ARKIT["browInnerUp"] == {"browInnerUp_L": 1.0, "browInnerUp_R": 1.0}
    assert sorted(shape for recipe in ARKIT.values() for shape in recipe) == sorted(SHAPES)


@pytest.mark.parametrize("name", expression_sets())
def test_recipes_use_known_shapes_within_range(name: str) -> None:
    for recipe in expression_set(name).recipes.values():
        assert recipe and set(recipe) <= set(SHAPES)
        assert all(0 < weight <= 1 for weight in recipe.values())
    matrix = expression_set(name).matrix()
    assert matrix.shape == (len(expression_set(name)), 53) and np.linalg.matrix_rank(matrix) == len(matrix)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'facescape20'"):
        expression_set("facescape")
    with pytest.raises(UnknownName, match="received 'smlie'.*did you mean 'smile'"):
        expression_set("facescape20").recipe("smlie")


def test_lips_close_only_over_an_open_jaw() -> None:
    assert expression_set("arkit").label("mouthClose") == {"mouthClose": 0.5, "jawOpen": 0.49}
    assert expression_set("arkit").label("jawOpen") == {"jawOpen": 1.0}


def test_other_sets_speak_arkit() -> None:
    assert arkit_weights("eye_closed", "facescape20") == {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
    assert arkit_weights("brow_raiser", "facescape20")["browInnerUp"] == 1.0
    for name in expression_sets():
        for expression in expression_set(name).names:
            assert arkit_weights(expression, name)
