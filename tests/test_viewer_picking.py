"""Landmarks that are picked in the studio, without a browser."""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from viewers import faces_of, obj_bytes, small_studio, stranger, stranger_file, world

from mien.errors import BadMesh, MienError
from mien.io.landmarks import read_landmarks
from mien.io.worker import Worker
from mien.viewer import StudioServer
from mien.viewer.picking import LoadedHead, Picking, Unplaced
from mien.viewer.studio import Studio
from mien.viewer.wire import unpack

NAMES = world().data.topology.landmarks.names


def picking() -> Picking:
    return Picking(LoadedHead(stranger().mesh, {}), world().data.topology, "stranger")


def clicked(*names: str) -> dict[str, list[float]]:
    """Pairs as the page sends them."""
    return {name: picking().to_page(stranger().landmarks[name]).tolist() for name in names or NAMES}


def refused_studio(folder: Path, worker: Worker | None = None) -> Studio:
    studio = small_studio(worker=worker)
    with pytest.raises(Unplaced, match="no face can be found on 'stranger'.*pick landmarks"):
        studio.load("stranger.obj", stranger_file(folder).read_bytes())
    return studio


def test_a_refused_head_is_registered_where_its_landmarks_are(tmp_path: Path) -> None:
    studio = refused_studio(tmp_path, Worker())
    people = len(studio.history.state.people)
    about, numbers = unpack(studio.pick_on(""))
    assert about["name"] == "stranger" and [spot["name"] for spot in about["landmarks"]] == list(NAMES)
    drawn = numbers[: about["layout"]["vertices"]].reshape(-1, 3)
    back = picking().to_file(drawn)
    np.testing.assert_allclose(back, stranger().mesh.vertices, atol=1e-6)
    answer, _ = unpack(studio.register_picked(clicked()))
    for name, point in clicked().items():
        assert np.linalg.norm(np.subtract(answer["laid"][name], point)) < 0.1  # of a template of 240
    person = studio.history.state.somebody
    assert person.name == "stranger" and person.foreign and len(studio.history.state.people) == people + 1
    placed = person.face.decision.apply(stranger().mesh.vertices)
    assert np.ptp(placed[:100], axis=0).argmin() == 2, "the face looks along +Z"
    rest = stranger().face - person.vertices
    assert np.linalg.norm(rest - rest.mean(axis=0), axis=1).mean() < 6
    studio.register_picked(clicked(*NAMES[:5]))
    assert len(studio.history.state.people) == people + 1, "the head takes its own place"
    assert studio.history.state.person == "loaded-2"
    studio.act("undo", {})
    assert studio.history.state.somebody is person
    studio.act("undo", {})
    assert len(studio.history.state.people) == people
    studio.close()


def test_a_loaded_head_that_looks_wrong_is_registered_again(tmp_path: Path) -> None:
    studio = small_studio()
    studio.load("my_head.obj", obj_bytes(world().neutrals[3] / 1000, tmp_path))
    about, _ = unpack(studio.pick_on("loaded-1"))
    truth = world().data.topology.landmarks.positions(world().neutrals[3])
    middle = np.mean([world().neutrals[3].min(axis=0), world().neutrals[3].max(axis=0)], axis=0)
    scale = np.linalg.norm(np.ptp(world().data.topology.template, axis=0)) / np.linalg.norm(
        np.ptp(world().neutrals[3], axis=0)
    )
    pairs = dict(zip(NAMES, ((truth - middle) * scale).tolist(), strict=True))
    shown = faces_of(studio, studio.register_picked(pairs))
    assert about["person"] == "loaded-1" and len(shown) == 1
    person = studio.history.state.somebody
    assert person.key == "loaded-2" and person.name == "my head" and person.foreign
    assert "in meters" in person.note
    studio.act("set_weight", {"name": "smile", "value": 1})
    assert studio.export("obj").name == "my_head_smile.obj"
    with pytest.raises(MienError, match="triangles of a loaded head"):
        studio.pick_on("average")


@pytest.mark.usefixtures("laid_once")
def test_tables_go_out_and_come_back_with_the_same_places(tmp_path: Path) -> None:
    studio = refused_studio(tmp_path)
    saved = studio.landmark_table(clicked(*NAMES[:4]))
    assert saved.name == "stranger_landmarks.csv"
    (tmp_path / saved.name).write_bytes(saved.data)
    names, points = read_landmarks(tmp_path / saved.name, any_unit=True)
    assert names == NAMES[:4]
    np.testing.assert_allclose(points, [stranger().landmarks[name] for name in names], atol=1e-6)
    table = saved.data + b"nothing,1,2,3\n"
    answer, _ = unpack(studio.read_landmark_table("points.csv", table))
    assert answer["left_out"] == ["nothing"] and list(answer["pairs"]) == list(NAMES[:4])
    for name, point in clicked(*NAMES[:4]).items():
        np.testing.assert_allclose(answer["pairs"][name], point, atol=1e-3)


def test_far_from_the_origin_clicks_keep_their_place() -> None:
    near = stranger().mesh
    far = replace(near, offset=np.array([4e6, -2e6, 1e5]))
    picked = Picking(LoadedHead(far, {}), world().data.topology, "far")
    points = picked.to_file(picked.to_page(far.placed))
    np.testing.assert_allclose(points, near.vertices + far.offset, rtol=0, atol=1e-8)


@pytest.mark.usefixtures("laid_once")
def test_what_cannot_be_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no head to pick landmarks on"):
        small_studio().pick_on("")
    studio = refused_studio(tmp_path)
    before = studio.history.state
    for pairs, message in (
        (clicked(*NAMES[:2]), "3 landmarks are needed"),
        (None, "map names to positions"),
        ({"nose": [0, 0, 0]}, "no such landmark"),
        ({NAMES[0]: [0, float("nan"), 0]}, "no position"),
        ({NAMES[0]: [0, 1e300, 0]}, "no position"),
        ({NAMES[0]: "here"}, "no position"),
        (dict.fromkeys(NAMES[:4], clicked()[NAMES[0]]), "in a row|do not lie like"),
    ):
        with pytest.raises(MienError, match=message):
            studio.register_picked(pairs)
    with pytest.raises(MienError, match="none of these landmarks"):
        studio.read_landmark_table("a.csv", b"name,x,y,z\none,1,2,3\ntwo,2,3,1\nthree,3,1,2\n")
    with pytest.raises(BadMesh) as caught:
        studio.load("small.obj", b"v 0 0 0\nv 100 0 0\nv 0 100 0\nf 1 2 3\n")
    assert not isinstance(caught.value, Unplaced), "no landmark makes three vertices a head"
    assert studio.history.state is before


@pytest.mark.usefixtures("laid_once")
def test_the_page_is_told_that_landmarks_help(tmp_path: Path) -> None:
    server = StudioServer(small_studio())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        host = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
        host.request("POST", "/api/load?name=stranger.obj", stranger_file(tmp_path).read_bytes(),
                     {"X-Mien-Key": server.key})  # fmt: skip
        answer = host.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 422 and told["helps"] == "landmarks" and "pick landmarks" in told["error"]
        host.request("POST", "/api/register", b"[1]", {"X-Mien-Key": server.key})
        answer = host.getresponse()
        assert answer.status == 422 and "no action" in json.loads(answer.read())["error"]
        host.request("POST", "/api/register", json.dumps({"pairs": clicked()}), {"X-Mien-Key": server.key})
        answer = host.getresponse()
        head, _ = unpack(answer.read())
        assert answer.status == 200 and head["state"]["person"] == "loaded-1"
    finally:
        server.shutdown()
        server.server_close()
