"""Sizes of expressions: on the face, in the rig and the clip, as a table that goes out and comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures import EXPRESSIONS
from test_viewer_studio import foreign_head
from viewers import faces_of, small_studio, world

from mien.data.rig_sizes import given_sizes, read_sizes, sizes_table
from mien.errors import MienError
from mien.io.gltf import read_glb_targets
from mien.viewer.studio import Studio
from mien.viewer.wire import unpack

SMILE = world().expression_axes[0]


def shown(studio: Studio, action: str, /, **arguments: object) -> np.ndarray:
    return faces_of(studio, studio.act(action, arguments))[0]


def test_a_size_scales_what_the_slider_does_and_undo_takes_it_back() -> None:
    studio = small_studio()
    rest = shown(studio, "refresh")
    plain = shown(studio, "set_weight", name="smile", value=0.5)
    large = shown(studio, "set_size", name="smile", value=1.5)
    assert np.allclose(large - rest, 1.5 * (plain - rest), atol=1e-3) and np.abs(plain - rest).max() > 1
    assert np.allclose(shown(studio, "set_size", name="smile", value=0), rest, atol=1e-4)
    assert np.allclose(shown(studio, "undo"), large) and np.allclose(shown(studio, "undo"), plain)
    assert studio.history.state.sizes == {} and np.allclose(shown(studio, "redo"), large)
    assert shown(studio, "set_size", name="smile", value=9) is not None
    assert studio.history.state.sizes == {"smile": 3.0}, "a factor is 0 to 3"
    assert shown(studio, "set_size", name="smile", value=1) is not None and studio.history.state.sizes == {}
    for wrong in ({"smlie": 1}, {"smile": "x"}, {"smile": 3.5}, 7):
        with pytest.raises(MienError):
            studio.act("set_sizes", {"sizes": wrong})


@pytest.mark.parametrize("own", (False, True))
def test_sizes_leave_once_with_rig_and_clip(tmp_path: Path, own: bool) -> None:
    studio = small_studio()
    if own:
        face = foreign_head()
        studio.add_head("game head", face.vertices, "", face)
    targets = {}
    for size in (1.0, 1.5):
        studio.act("set_size", {"name": "smile", "value": size})
        studio.act("set_pose", {"pose": {"smile": 1.0}})
        studio.act("add_move", {"at": 0.0})
        for kind in ("rig", "clip"):
            (tmp_path / "a.glb").write_bytes(studio.export(kind).data)
            morphs = read_glb_targets(tmp_path / "a.glb")
            targets[kind, size] = morphs.targets - morphs.base
        assert morphs.animation is not None
        assert morphs.animation[0][12].tolist() == [1, 0, 0, 0, 0], "weights stay: the targets are larger"
        studio.act("clear_moves", {})
    for kind in ("rig", "clip"):
        plain, large = targets[kind, 1.0], targets[kind, 1.5]
        assert np.allclose(large[0], 1.5 * plain[0], atol=1e-3) and np.abs(plain[0]).max() > 1
        assert np.allclose(large[1:], plain[1:], atol=1e-4), "other expressions keep their size"
    studio.act("add_move", {"at": 0.0})
    head, numbers = unpack(studio.clip())
    frames = numbers.reshape(head["frames"], -1, 3)
    apex = faces_of(studio, studio.act("refresh", {}))[0]
    assert np.allclose(frames[12], apex, atol=1e-2), "the time line shows what the slider shows"


def test_the_table_goes_out_and_comes_back() -> None:
    studio, other = small_studio(), small_studio()
    studio.act("set_sizes", {"sizes": {"smile": 1.25, EXPRESSIONS[2]: 0.5}})
    table = studio.export("sizes")
    assert table.name == "sizes.csv" and table.data.decode().splitlines()[:2] == ["target,size", "smile,1.25"]
    head, _ = unpack(other.load("sizes.csv", table.data))
    assert head["state"]["sizes"] == {"smile": 1.25, EXPRESSIONS[2]: 0.5} and "5 expressions" in head["told"]
    for bad in (
        b"target,size\nsmile",
        b"target,size\nnobody,1",
        b"target,size\nsmile,7",
        b"target,size\nsmile,nan",
    ):
        with pytest.raises(MienError):
            other.load("sizes.csv", bad)
    assert other.history.state.sizes == head["state"]["sizes"]


def test_a_rig_takes_the_table_and_single_sizes(tmp_path: Path) -> None:
    table = tmp_path / "sizes.csv"
    table.write_text(sizes_table({"smile": 1.5, "jaw_open": 0.25}))
    known = ("smile", "jaw_open", "blink")
    assert given_sizes([str(table), "smile=2", "blink"], known) == {"smile": 2, "jaw_open": 0.25, "blink": 1}
    refused = {
        "target,size\nsmile,1\nsmile,2\n": "two sizes", "target,size\nsmlie,1\n": "did you mean 'smile'",
        "name,factor\nsmile,1\n": "columns target and size", "target,size\nsmile,inf\n": "finite",
        "target,size\nsmile\n": "finite",
    }  # fmt: skip
    for text, sentence in refused.items():
        table.write_text(text)
        with pytest.raises(MienError, match=sentence):
            read_sizes(table, known)
    table.write_bytes(b"target,size\n\xff,1\n")
    with pytest.raises(MienError, match="cannot be read"):
        read_sizes(table, known)
    with pytest.raises(MienError, match="does not exist"):
        given_sizes(["none.csv"], known)
