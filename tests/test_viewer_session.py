"""The studio's state: pure changes, their limits, and the history."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.motion import timing_curve
from mien.errors import BadSetting, MienError, UnknownName
from mien.viewer import actions
from mien.viewer.actions import ACTIONS, act
from mien.viewer.session import History, Move, Person, State
from mien.viewer.wire import grouped, pack, person_json, spoken, state_json, unpack

NAMES = ("smile", "jawOpen", "brow_raiser")


def fresh() -> State:
    head = Person("loaded-1", "Head", "loaded", vertices=np.zeros((3, 3), np.float32))
    people = (Person("average", "Average", "average"), Person("random-1", "Person 1", "random", 1), head)
    return State(NAMES, 4, people, "average")


def test_sliders_are_clamped_named_and_vanish_at_zero() -> None:
    state = act(fresh(), "set_weight", {"name": "smile", "value": 9})
    assert state.pose == {"smile": 2.0}
    assert np.array_equal(state.weights(), [2, 0, 0])
    assert act(state, "set_weight", {"name": "smile", "value": 0}).pose == {}
    assert act(state, "set_identity", {"axis": 2, "value": -9}).deviations().tolist() == [0, 0, -4, 0]
    with pytest.raises(UnknownName, match="did you mean 'smile'"):
        act(state, "set_weight", {"name": "smlie", "value": 1})
    for wrong in (math.nan, math.inf, "x", None, [1]):
        with pytest.raises(BadSetting):
            act(state, "set_weight", {"name": "smile", "value": wrong})
    for axis in (4, -1, 0.5, "0"):
        with pytest.raises(BadSetting):
            act(state, "set_identity", {"axis": axis, "value": 1})


def test_what_has_no_meaning_is_one_sentence() -> None:
    for name, arguments in (
        ("fly", {}), ("set_weight", {}), ("set_weight", {"name": "smile", "value": 1, "more": 2}),
        ("pick", {"key": "nobody"}), ("set_heat", {"kind": "fire"}), ("set_heat", {"kind": "scan"}),
        ("remove_person", {"key": "average"}), ("set_performer", {"key": "random-1"}), ("add_move", {}),
        ("set_move", {"index": 0}), ("set_shown", {"models": []}), ("set_shown", {"models": "ab"}),
        ("set_pose", {"pose": 3}),
        ("set_rest", {"key": "loaded-1", "rest": "nobody"}), ("remove_move", {"index": True}),
    ):  # fmt: skip
        with pytest.raises(MienError) as caught:
            act(fresh(), name, arguments)
        assert str(caught.value).endswith("."), name


def test_people_come_and_go() -> None:
    state = act(fresh(), "set_weight", {"name": "smile", "value": 1})
    picked = act(act(state, "set_identity", {"axis": 0, "value": 1}), "pick", {"key": "random-1"})
    assert picked.pose == {"smile": 1.0} and picked.identity == ()
    assert act(picked, "pick", {"key": "random-1"}) is picked
    more = act(picked, "add_random", {})
    assert more.person == "random-2" and more.somebody.seed == 2
    borrowed = act(
        act(more, "set_performer", {"key": "loaded-1"}), "set_rest", {"key": "random-2", "rest": "loaded-1"}
    )
    gone = act(borrowed, "remove_person", {"key": "loaded-1"})
    assert gone.performer is None and gone.find("random-2").rest is None and len(gone.people) == 3
    assert act(more, "remove_person", {"key": "random-2"}).person == "average"
    heated = act(act(fresh(), "pick", {"key": "loaded-1"}), "set_heat", {"kind": "scan"})
    assert act(heated, "pick", {"key": "average"}).heat == "none"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3), st.floats(0, 25))
def test_handles_keep_their_order_whatever_is_dragged(times: list[float], length: float) -> None:
    state = act(act(fresh(), "set_weight", {"name": "smile", "value": 1}), "add_move", {"at": 0.5})
    onset, apex, offset = times
    state = act(state, "set_move", {"index": 0, "onset": onset, "apex": apex, "offset": offset})
    state = act(state, "set_duration", {"seconds": length})
    move = state.moves[0]
    assert 0 <= move.onset < move.apex < move.offset <= state.duration + 1e-9
    assert state.curves().shape == (round(state.duration * 30) + 1, 3)
    assert 0 <= state.curves().min() and state.curves().max() <= 1


def test_curves_are_the_sum_of_moves() -> None:
    moves = (Move({"smile": 0.5, "jawOpen": 1.0}, 0.2, 0.6, 1.0), Move({"smile": 1.0}, 0.8, 1.4, 2.0))
    state = actions.set_duration(State(NAMES, 0, fresh().people, "average", moves=moves), 3)
    first, second = timing_curve(0.2, 0.6, 1.0, 3, 30), timing_curve(0.8, 1.4, 2.0, 3, 30)
    expected = np.stack([0.5 * first + second, first, 0 * first], axis=1)
    assert np.allclose(state.curves(), expected)
    assert state.curves()[18].tolist() == [0.5, 1.0, 0.0]  # the first apex, at 0.6 s


def test_a_drag_is_one_step_and_errors_are_none() -> None:
    history = History(fresh())
    for value in (0.1, 0.5, 0.9):
        history.do(lambda state, value=value: actions.set_weight(state, "smile", value), merge="smile")
    history.do(lambda state: actions.set_weight(state, "jawOpen", 1.0), merge="jaw")
    with pytest.raises(MienError):
        history.do(lambda state: actions.pick(state, "nobody"))
    assert history.undo().pose == {"smile": 0.9}
    assert history.undo().pose == {}
    assert not history.can_undo and history.undo().pose == {}
    assert history.redo().pose == {"smile": 0.9}
    history.do(lambda state: actions.set_weight(state, "smile", 0.2), merge="smile")
    assert not history.can_redo, "a new change forgets what was undone"
    assert history.undo().pose == {"smile": 0.9}, "after an undo a drag is a new step"


def test_names_for_people_and_groups() -> None:
    assert (spoken("mouth_left"), spoken("mouthSmileLeft")) == ("Mouth left", "Mouth smile left")
    groups = {
        item["title"]: [s["name"] for s in item["sliders"]]
        for item in grouped((*NAMES, "anger", "cheekSquintLeft"))
    }
    assert groups == {
        "Brows": ["brow_raiser"], "Cheeks and nose": ["cheekSquintLeft"],
        "Jaw": ["jawOpen"], "Mouth": ["smile"], "Whole face": ["anger"],
    }  # fmt: skip


def test_the_wire_is_exact_and_holds_no_meshes() -> None:
    array = np.array([1.5, -2.25e-3, 3e8], np.float32)
    head, numbers = unpack(pack({"name": "Zoë"}, [array, array[:1]]))
    assert head == {"name": "Zoë"} and np.array_equal(numbers, [*array, array[0]])
    assert "vertices" not in person_json(fresh().people[2])
    assert set(ACTIONS) >= {"set_weight", "pick"} and state_json(History(fresh()))["person"] == "average"
