"""Slow work in a process of its own: limits, canceling, a queue to be seen; and many hands at once."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from test_viewer_studio import foreign_head
from viewers import faces_of, obj_bytes, small_model, small_studio, world

from mien.errors import BadFile, BadMesh, MienError
from mien.io import worker as workers
from mien.io.mesh import read_mesh
from mien.io.worker import Canceled, Worker
from mien.viewer import Engine, Studio, StudioServer
from mien.viewer.picking import Unplaced
from mien.viewer.wire import unpack

HEAD = world().neutrals[2].astype(np.float32)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(seconds=100, megabytes=3000)
    yield worker
    worker.close()


def test_results_and_refusals_come_back(worker: Worker, tmp_path: Path) -> None:
    assert worker.run(os.path.join, "a", "b") == os.path.join("a", "b")
    assert worker.run(os.getpid) == worker.run(os.getpid) != os.getpid(), "one process, and not this one"
    (tmp_path / "bad.obj").write_text("v 0 0 nan\n")
    with pytest.raises(MienError) as here:
        read_mesh(tmp_path / "bad.obj")
    with pytest.raises(type(here.value)) as there:
        worker.run(read_mesh, tmp_path / "bad.obj")
    assert str(there.value) == str(here.value)
    with pytest.raises(RuntimeError, match="ValueError.*invalid literal"):
        worker.run(int, "x")
    assert worker.run(print, "not an answer") is None, "what is printed does not come between answers"


def test_time_and_memory_are_limited(worker: Worker) -> None:
    with pytest.raises(BadFile, match="more memory"):
        worker.run(bytes, 50 * 10**9)
    with pytest.raises(BadFile, match="ended unexpectedly"):
        worker.run(os._exit, 3)
    worker.seconds, began = 0.5, time.monotonic()
    with pytest.raises(BadFile, match="too long"):
        worker.run(time.sleep, 60)
    assert time.monotonic() - began < 30
    worker.seconds = 100
    assert worker.run(len, "abc") == 3, "the next one gets a new process"


def test_what_runs_and_what_waits_can_be_canceled(worker: Worker) -> None:
    studio = Studio([Engine("small", small_model())], worker=worker)
    told: dict[str, str] = {}

    def sleep(title: str) -> None:
        try:
            with studio.jobs.begin(title) as job:
                job.run(time.sleep, 60 if title != "third" else 0.01)
                told[title] = "done"
        except Canceled as error:
            told[title] = str(error)

    threads = [threading.Thread(target=sleep, args=(title,)) for title in ("first", "second", "third")]
    known = -1
    for count, thread in enumerate(threads, 1):
        thread.start()
        while len((head := unpack(studio.watch(0, known))[0])["jobs"]) < count:
            known = head["queue"]
    titles = [(job["title"], job["seconds"] is None) for job in head["jobs"]]
    assert titles == [("first", False), ("second", True), ("third", True)]
    studio.cancel(head["jobs"][1]["number"])
    studio.cancel(head["jobs"][0]["number"])
    studio.cancel(99)
    for thread in threads:
        thread.join(30)
    assert told == {"first": "first was canceled.", "second": "second was canceled.", "third": "done"}
    assert unpack(studio.watch(0, -1))[0]["jobs"] == []


def test_a_job_can_be_canceled_at_any_moment_of_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """While its process starts, and before: it neither stumbles over half a process nor runs to its end."""
    fresh, told, starting = Worker(seconds=100, megabytes=3000), [], threading.Event()
    begin = fresh._started

    def slowly() -> object:
        starting.set()
        time.sleep(0.3)
        return begin()

    def sleep() -> None:
        with pytest.raises(Canceled) as caught:
            fresh.run(time.sleep, 60)
        told.append(str(caught.value))

    monkeypatch.setattr(fresh, "_started", slowly)
    thread, began = threading.Thread(target=sleep), time.monotonic()
    thread.start()
    starting.wait()
    fresh.cancel()
    thread.join(30)
    assert told == ["this was canceled."] and time.monotonic() - began < 30
    assert fresh.run(len, "abc") == 3
    fresh.close()


def test_nothing_is_started_for_what_nobody_wants_any_longer() -> None:
    fresh = Worker()
    with pytest.raises(Canceled):
        fresh.run(len, "abc", unless=lambda: True)
    assert fresh._process is None


def test_a_head_comes_while_the_page_is_there_already(tmp_path: Path) -> None:
    studio = Studio([Engine("small", small_model())])
    gate, path = threading.Event(), tmp_path / "Somebody.obj"
    path.write_bytes(obj_bytes(HEAD, tmp_path))

    def find() -> Path:
        gate.wait(30)
        return path

    coming = studio.load_soon(find)
    before = len(studio.history.state.people)
    assert not any(person.kind == "loaded" for person in studio.history.state.people), "it is not waited for"
    gate.set()
    coming.join(60)
    assert [person.name for person in studio.history.state.people if person.kind == "loaded"] == ["Somebody"]
    studio.load_soon(lambda: None).join(60)
    assert len(studio.history.state.people) == before + 1, "a machine without such a head shows none"


def test_heads_are_read_and_registered_in_the_other_process(worker: Worker, tmp_path: Path) -> None:
    studio = Studio([Engine("small", small_model())], worker=worker)
    shown = faces_of(studio, studio.load("my_head.obj", obj_bytes(HEAD, tmp_path)))[0]
    assert np.abs(shown - HEAD).max() < 1e-3
    head, _ = unpack(studio.load("take.csv", b"smile\n" + b"250\n" * 5000))
    assert head["state"]["duration"] == 60.0 and "first 60 seconds" in head["state"]["take"]["notes"][-2]
    assert studio.history.state.curves().max() == 2.0, "a recording is as bounded as sliders are"
    for name, data in (
        ("bad.glb", b"glTF\2\0\0\0"),
        ("bad.mtl.obj", b"mtllib x.mtl\nv 0 0 0\n"),
        ("t.csv", b"\xff"),
    ):
        with pytest.raises(MienError) as caught:
            studio.load(name, data)
        assert "mien-" not in str(caught.value) and "/tmp" not in str(caught.value)


def test_a_rig_is_measured_in_the_other_process(worker: Worker) -> None:
    there, here = Studio([Engine("small", small_model())], worker=worker), small_studio()
    for studio in (there, here):
        face = foreign_head()
        studio.add_head("game head", face.vertices, "", face)
        studio.act("set_weight", {"name": "smile", "value": 1})  # by now results have been carried
    assert unpack(there.report("0"))[0] == unpack(here.report("0"))[0]


def test_two_hundred_actions_at_once_are_all_done() -> None:
    server = StudioServer(small_studio())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    ready = threading.Barrier(200)

    def act(number: int) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=120)
        body = json.dumps({"action": "add_random", "arguments": {"seed": 1000 + number}})
        ready.wait()
        connection.request("POST", "/api/act", body, {"X-Mien-Key": server.key})
        answer = connection.getresponse()
        return answer.status, unpack(answer.read())[0]["state"]

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(act, range(200)))
    assert {status for status, _ in answers} == {200}
    assert sorted(state["revision"] for _, state in answers) == list(range(1, 201))
    seeds = {person.seed for person in server.studio.history.state.people if person.kind == "random"}
    assert seeds >= set(range(1000, 1200)), "none is lost"
    server.shutdown()
    server.server_close()


def test_a_second_window_hears_what_the_first_one_did() -> None:
    studio = small_studio()
    heard: list[dict[str, object]] = []
    thread = threading.Thread(target=lambda: heard.append(unpack(studio.watch(0, studio.jobs.version))[0]))
    thread.start()
    studio.act("refresh", {})
    thread.join(0.3)
    assert heard == [], "nothing has changed"
    studio.act("set_weight", {"name": "smile", "value": 1})
    thread.join(20)
    assert heard[0]["revision"] == 1
    assert unpack(studio.watch(1, studio.jobs.version, seconds=0.01))[0]["revision"] == 1, (
        "it does not wait for ever"
    )


def test_errors_of_any_kind_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = workers._refusal("mien.errors", "UnknownName", "unknown expression", "'smlie'", "did you mean it")
    assert str(made) == "unknown expression; received 'smlie'; did you mean it."
    assert type(workers._refusal("mien.errors", "BadMesh", "a", None, None)) is BadMesh
    assert type(workers._refusal("mien.viewer.picking", "Unplaced", "a", None, None)) is Unplaced
    assert isinstance(workers._refusal("nowhere", "dict", "a", None, None), MienError)
