"""Run folders and data sets of processes that are killed, that meet, and that do the same work twice."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures import planted

from mien import temporary
from mien.data import examples
from mien.data.dataset import FaceDataset
from mien.data.examples import add_examples
from mien.data.writer import DatasetWriter
from mien.errors import BadSetting, DataMissing
from mien.io.atomic import atomic_file, whole_folder, write_bytes
from mien.io.lock import alone
from mien.models.base import FaceModel
from mien.temporary import clear_stale, neighbor, passing_folder
from mien.topology import save_npz
from mien.training import fit_model, plan_training

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
PLANS = {
    "pca": {"size": 12, "expression_size": 6},
    "adversarial_vae": {
        "identity_size": 4, "expression_size": 4, "hidden": 8, "steps": 4, "pretraining_steps": 2,
        "batch_size": 4, "validate_every": 2, "discriminator_points": 20, "closed_form_finish": 2,
    },
}  # fmt: skip


def train(out: Path, name: str = "pca", *, resume: bool = False) -> FaceModel:
    plan = plan_training(name, PLANS[name], profile="smoke")
    return fit_model(plan, planted().data, out, accelerator="cpu", progress=False, resume=resume)


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_killed_process(work: Callable[[], object]) -> None:
    """Runs work in a copy of this process, which has to be killed by it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of copies with threads
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", PLANS)
def test_the_same_plan_leaves_the_same_bytes(name: str, tmp_path: Path) -> None:
    if name != "pca":
        pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")
    found = []
    for run in range(3):
        train(tmp_path / f"{run}", name)
        found.append(hashes(tmp_path / f"{run}"))
        found[-1].pop("metrics.jsonl", None)  # the log tells how long the steps took
    assert found[0] == found[1] == found[2]
    files = {"README.md", "config.json", "model.safetensors", "run.json", "split.csv", "topology.npz"}
    assert set(found[0]) == files


# ---- one writer


def test_a_second_writer_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with alone(out, "run folder"):
        before = hashes(out)
        for resume in (False, True):
            with pytest.raises(BadSetting, match="another process writes to this run folder.*wait") as told:
                train(out, resume=resume)
        assert str(out) in str(told.value) and hashes(out) == before
    train(out)
    assert "run.lock" not in hashes(out)


@needs_fork
def test_a_killed_writer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it saves: its lock and its temporary file stay, and the next run does without them."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda a, b: die() if Path(b).name == "config.json" else os.rename(a, b))
        in_a_killed_process(lambda: train(out))
    left = {path.name for path in out.iterdir()}
    assert "run.lock" in left and any(name.endswith(".tmp") for name in left) and "config.json" not in left
    train(out, resume=True)
    train(tmp_path / "whole")
    assert hashes(out) == hashes(tmp_path / "whole")


@needs_fork
def test_a_run_killed_before_it_began_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", die)
        in_a_killed_process(lambda: train(tmp_path / "run"))
    assert {path.suffix for path in (tmp_path / "run").iterdir()} == {".lock", ".tmp"}
    train(tmp_path / "run")
    assert not {path.suffix for path in (tmp_path / "run").iterdir()} & {".lock", ".tmp"}


def test_a_folder_of_something_else_gets_no_lock(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / ".chapter.tmp").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(BadSetting, match="not empty"):
            train(tmp_path / name)
    assert set(hashes(tmp_path)) == {"thesis/.chapter.tmp", "file"}


# ---- what killed processes leave


@needs_fork
@pytest.mark.parametrize("kind", ["file", "folder", "arrays"])
def test_the_next_write_clears_what_a_killed_one_left(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "result"

    def write() -> None:
        if kind == "file":
            with atomic_file(target) as file:
                file.write(b"half")
                file.flush()
                die()
        elif kind == "folder":
            with whole_folder(target) as folder:
                (folder / "half").write_text("half")
                die()
        else:
            monkeypatch.setattr("numpy.savez", die)
            save_npz(target, {})

    in_a_killed_process(write)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".result.") and left.suffix == ".tmp"
    write_bytes(target, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_only_what_nobody_writes_is_cleared(tmp_path: Path) -> None:
    host, here, run = temporary._HOST, os.getpid(), temporary._PROCESS
    living = [f".a.{host}-{here}-{run}-7.tmp", f".a.{host}-{os.getppid()}-00000000-0.tmp"]
    foreign = [
        ".a.tmp",
        "a.tmp",
        ".a.123-abcdefab.tmp",
        f"a.{host}-{here}-00000000-0.tmp",
        ".a.ffffffff-1-0.tmp",
    ]
    recent = ".a.00000000-1-00000000-0.tmp"  # of another machine
    killed = [f".a.{host}-{here}-00000000-0.tmp", f".b.c.{host}-999999999-00000000-3.tmp"]
    old = ".old.00000000-1-00000000-0.tmp"
    for name in (*living, *foreign, recent, *killed, old):
        (tmp_path / name).write_text("")
    os.utime(tmp_path / old, (time.time() - 90_000,) * 2)
    clear_stale(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*living, *foreign, recent}


def test_names_beside_a_target_differ(tmp_path: Path) -> None:
    names = {neighbor(tmp_path / "x") for _ in range(100)}
    assert len(names) == 100 and {name.parent for name in names} == {tmp_path}


@needs_fork
def test_what_a_killed_process_needed_for_a_while_goes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "_CLEARED", set())

    def use(end: Callable[[], object]) -> None:
        with passing_folder() as folder:
            assert folder.parent == tmp_path and folder.stat().st_mode & 0o077 == 0
            (folder / "upload.obj").write_text("v 0 0 0")
            end()

    in_a_killed_process(lambda: use(die))
    assert len(list(tmp_path.rglob("upload.obj"))) == 1
    use(lambda: None)
    assert list(tmp_path.iterdir()) == []


# ---- data sets


@needs_fork
@pytest.mark.parametrize("moment", ["append", "_publish"])
def test_a_killed_build_leaves_no_data_set_and_the_next_one_is_whole(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, calls = planted().data, iter(range(100))
    out, whole, original = tmp_path / "faces", tmp_path / "whole", getattr(DatasetWriter, moment)
    data.save(whole)  # this process has written beside the target before

    def cut(self: DatasetWriter, *given: object, **named: object) -> None:
        original(self, *given, **named) if moment == "append" else None
        if moment == "_publish" or next(calls) == 5:
            die()

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, moment, cut)
        in_a_killed_process(lambda: data.save(out))
    (left,) = set(tmp_path.iterdir()) - {whole}
    for folder in (left, out):
        with pytest.raises(DataMissing):
            FaceDataset.load(folder)
    assert data.save(out).fingerprint == FaceDataset.load(out).fingerprint
    assert hashes(out) == hashes(whole) and set(tmp_path.iterdir()) == {out, whole}


@needs_fork
def test_examples_appear_with_their_data_set_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = planted().data, tmp_path / "faces"

    def build() -> None:
        with DatasetWriter(out, data.topology, data.expressions, further=add_examples) as writer:
            for row in range(len(data)):
                writer.append(data[row], data.row_weights[row], subject=data.subjects[data.row_subject[row]])

    calls, write = iter(range(100)), examples.write_obj

    def cut(*given: Any, **named: Any) -> None:
        die() if next(calls) == 2 else write(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(examples, "write_obj", cut)
        in_a_killed_process(build)
    assert not out.exists() and len(list(tmp_path.rglob("*.obj"))) == 2
    build()
    assert list(tmp_path.iterdir()) == [out] and FaceDataset.load(out).subjects == data.subjects
    assert len(list((out / "examples").glob("*.obj"))) > 2
