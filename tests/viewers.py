"""A studio with two small models, for tests."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from fixtures import EXPRESSIONS, Planted, planted
from numpy.typing import NDArray

from mien.io.mesh import write_obj
from mien.models import model_class
from mien.models.base import FaceModel
from mien.viewer import Engine, Studio
from mien.viewer.wire import unpack


@lru_cache
def world() -> Planted:
    """People and expressions that add up exactly: what a linear model must find."""
    return planted(subjects=12)


@lru_cache
def small_model(name: str = "morphable") -> FaceModel:
    """A model of the planted world."""
    data = world().data
    options = {"identity_size": 4, "expression_size": 5, "ridge": 1e-6} if name == "morphable" else {}
    model = model_class(name)(data.topology, EXPRESSIONS, **options)
    model.prepare(data)
    model.calibrate(data)
    return model.eval()


def small_studio(*names: str, **options: int) -> Studio:
    """A fresh studio with these models, ``morphable`` by default, and the planted people."""
    engines = [Engine(name, small_model(name)) for name in names or ("morphable",)]
    return Studio(engines, world().data, **options)


def faces_of(studio: Studio, answer: bytes) -> list[NDArray[np.float32]]:
    """The (V, 3) faces of an answer, pane after pane; arrays behind them are dropped."""
    head, numbers = unpack(answer)
    shown, at = [], 0
    for pane in head["panes"]:
        for name, size in pane["arrays"]:
            if name == "vertices":
                shown.append(numbers[at : at + size].reshape(-1, 3))
            at += size
    assert at == len(numbers)
    return shown


def obj_bytes(vertices: NDArray, folder: object) -> bytes:
    """An OBJ file of the planted topology."""
    path = folder / "face.obj"  # type: ignore[operator]
    write_obj(path, vertices, world().data.topology)
    return path.read_bytes()
