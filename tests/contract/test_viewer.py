"""Every model in the studio: what it cannot do it says, and everything else gives faces."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from mien.errors import MienError
from mien.models import model_class
from mien.models.base import FaceModel
from mien.viewer import Engine, Studio
from mien.viewer.wire import unpack

from . import cases


@lru_cache
def engine(name: str) -> Engine:
    """A model that was prepared and calibrated, and never trained."""
    model = cases.fresh(name)
    model.prepare(cases.data())
    model.calibrate(cases.data())
    return Engine(name, model)


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_model_can_be_viewed(name: str) -> None:
    studio = Studio([engine(name)], cases.data())
    neutral = cases.data()[0]
    studio.add_head("head", neutral, "")
    wishes = [("pick", {"key": person.key}) for person in studio.history.state.people[:8:3]]
    if model_class(name).encode is FaceModel.encode:  # codes found by descent take their time
        wishes = wishes[:1]
    wishes += [
        ("pick", {"key": "loaded-1"}), ("set_weight", {"name": "smile", "value": 1}),
        ("set_intensity", {"value": 0.5}), ("set_variation", {"seed": 2}), ("set_heat", {"kind": "scan"}),
        ("set_style", {"key": "loaded-1"}), ("set_performer", {"key": "loaded-1"}), ("reset", {}),
    ]  # fmt: skip
    if studio.history.state.axes:
        wishes.append(("set_identity", {"axis": 0, "value": 1.5}))
    for action, arguments in wishes:
        head, numbers = unpack(studio.act(action, arguments))
        problem = head["panes"][0]["problem"]
        assert problem == "" or (action in ("set_performer",) and "rest" in problem), (action, problem)
        assert np.isfinite(numbers).all() and (problem or len(numbers) >= neutral.size), action


@pytest.mark.parametrize("name", cases.NAMES)
def test_sliders_and_clips_of_a_loaded_head_start_from_the_head(name: str) -> None:
    studio = Studio([engine(name)], cases.data())
    head = cases.data()[0]
    studio.add_head("head", head, "")
    _, numbers = unpack(studio.act("refresh", {}))
    assert np.abs(numbers[: head.size].reshape(-1, 3) - head).max() < 2e-3, "a scan is shown as it is"
    if studio.history.state.axes:
        _, moved = unpack(studio.act("set_identity", {"axis": 0, "value": 2.0}))
        size = np.linalg.norm((moved - numbers)[: head.size].reshape(-1, 3), axis=1).mean()
        assert 0.4 < size / (2 * studio.engines[0].axes.millimeters[0]) < 2.5, (
            "the slider says how far it moves"
        )
        studio.act("undo", {})
    studio.act("set_pose", {"pose": {"smile": 1.0}})
    studio.act("add_move", {"at": 0.0})
    try:
        about, frames = unpack(studio.clip())
    except MienError as error:
        pytest.fail(f"{name}: {error}")
    assert about["panes"][0]["problem"] == ""
    assert studio.export("clip").data[:4] == b"glTF"
    assert np.abs(frames[: head.size].reshape(-1, 3) - head).max() < 0.6, "a clip begins at rest"
