"""The bench: a queue that survives interruption, failed runs as rows, and files that are checked first."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import Studio, run, tree

from mien.data.dataset import FaceDataset
from mien.errors import BadFile, BadSetting, MienError
from mien.evaluation.predictions import rows_to_predict
from mien.experiments import queue
from mien.experiments.bench import bench_result, jobs_of, run_bench
from mien.experiments.bench_file import bench_names, read_bench
from mien.experiments.queue import QueuedRun, result_of, run_queue

# ---- the queue


def work(task: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the processes of these tests do: each leaves a mark, so that doing it twice is seen."""
    with (folder / f"mark-{task['do']}").open("a") as file:
        file.write("x")
    if task["do"] == "refused":
        raise BadSetting("the run is refused", received=task["do"])
    if task["do"] == "defect":
        raise ZeroDivisionError("by zero")
    if task["do"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(task.get("seconds", 0))
    return {"threads": os.environ["OMP_NUM_THREADS"], "process": os.getpid()}


def job(do: str, **more: Any) -> QueuedRun:
    return QueuedRun(do, {"do": do, **more})


def marks(folder: Path) -> dict[str, str]:
    return {path.name.removeprefix("mark-"): path.read_text() for path in folder.glob("mark-*")}


def test_failed_runs_have_their_sentence_and_do_not_stop_the_others(tmp_path: Path) -> None:
    jobs = [job("refused"), job("killed"), job("fine"), job("defect"), job("last")]
    run_queue(jobs, work, tmp_path, workers=2)
    found = {item.name: result_of(item, tmp_path) for item in jobs}
    assert [found[name]["state"] for name in found] == ["failed", "failed", "done", "failed", "done"]
    assert found["refused"]["sentence"] == "the run is refused; received refused."
    assert "ended from outside (signal 9)" in found["killed"]["sentence"]
    assert found["defect"]["sentence"] == "a defect: ZeroDivisionError: by zero."
    assert found["fine"]["threads"] == "1" and found["fine"]["process"] != os.getpid()
    run_queue(jobs, work, tmp_path)  # nothing is left to do, failed runs neither
    assert set(marks(tmp_path).values()) == {"x"}


def test_a_cut_queue_keeps_what_is_finished_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job("first"), job("slow", seconds=60), job("third")]

    def cut(_: float) -> None:
        time.monotonic()
        if result_of(jobs[0], tmp_path)["state"] == "done" and "slow" in marks(tmp_path):
            raise KeyboardInterrupt

    began = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(queue, "time", type("Clock", (), {"sleep": staticmethod(cut)}))
        with pytest.raises(KeyboardInterrupt):
            run_queue(jobs, work, tmp_path, workers=1)
    assert time.monotonic() - began < 60  # nobody waited for the slow one
    states = [result_of(item, tmp_path)["state"] for item in jobs]
    assert states == ["done", "waiting", "waiting"]
    quick = [jobs[0], job("slow", seconds=0), jobs[2]]
    run_queue(quick, work, tmp_path)
    assert marks(tmp_path) == {"first": "x", "slow": "xx", "third": "x"}
    assert [result_of(item, tmp_path)["state"] for item in quick] == ["done"] * 3


def test_another_task_is_another_job(tmp_path: Path) -> None:
    assert job("a").key == job("a").key != job("a", seconds=1).key
    assert "/" not in QueuedRun("ict, manner 0/seed-1", {}).key
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{job('a').key}.json").write_text("{")
    with pytest.raises(BadFile, match="the result of a run is damaged.*remove the file"):
        result_of(job("a"), tmp_path)


def test_a_result_is_made_again_when_what_it_needs_has_changed(tmp_path: Path) -> None:
    """A default that changed makes it stale; a setting that did not exist when it was made does not."""

    def state(needs: Mapping[str, Any]) -> str:
        return str(result_of(QueuedRun("a", {"do": "a"}, needs), tmp_path)["state"])

    run_queue([QueuedRun("a", {"do": "a"}, {"plan": {"rate": 1.0, "sizes": (2, 3)}})], work, tmp_path)
    assert state({"plan": {"rate": 1.0, "sizes": (2, 3)}}) == "done"
    assert state({"plan": {"rate": 1.0, "sizes": (2, 3), "new": True}}) == "done"
    assert state({"plan": {"rate": 2.0, "sizes": (2, 3)}}) == state({"plan": {"rate": 1.0}}) == "waiting"


# ---- files


def written(folder: Path, **changes: Any) -> Path:
    told: dict[str, Any] = {
        "data": {"faces": {"source": "folder", "path": "nowhere"}},
        "systems": {"morphable": {"settings": {"identity_size": 4, "expression_size": 2}}, "pca": {}},
    }
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump({**told, **changes}))
    return path


FAULTS = {
    "key": ({"system": {}}, "unknown key of a bench file.*did you mean 'systems'"),
    "no systems": ({"systems": {}}, "needs the mapping systems"),
    "source": (
        {"data": {"a": {"source": "icts", "from": "x"}}},
        "source of the data 'a'.*did you mean 'ict'",
    ),
    "from": ({"data": {"a": {"source": "ict"}}}, "the data 'a' needs from"),
    "method": ({"systems": {"comma": {}}}, "did you mean 'coma'"),
    "setting": ({"systems": {"coma": {"settings": {"stepps": 3}}}}, "unknown setting of coma.*'steps'"),
    "word": ({"systems": {"coma": {"setting": {}}}}, "key of the system 'coma'.*'settings'"),
    "data": ({"systems": {"coma": {"data": "clips"}}}, "data of the system 'coma'.*'clips'"),
    "seeds": ({"seeds": [1, 1]}, "different whole numbers"),
    "no numbers": ({"seeds": ["a"]}, "the bench file is damaged.*int.*seeds"),
    "minutes": ({"minutes": -3}, "positive number"),
    "protocol": ({"protocol": "subjects"}, "did you mean 'subject'"),
    "generation": ({"generation": {"pears": 3}}, "did you mean 'pairs'"),
    "against": ({"against": "morphables"}, "system to compare against.*did you mean 'morphable'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_refused_before_anything_runs(fault: str, tmp_path: Path) -> None:
    changes, sentence = FAULTS[fault]
    with pytest.raises(MienError, match=sentence):
        read_bench(written(tmp_path, **changes))


def test_what_is_no_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.yaml").write_text("data: [")
    for name, sentence in (
        (tmp_path / "broken.yaml", "not valid YAML"), (tmp_path / "none.yaml", "does not exist"),
        ("gu2023_adversarial_vae_ict", "a recipe trains one system"), ("feld", "did you mean 'field'"),
    ):  # fmt: skip
        assert sentence in run(capsys, "bench", name, "--out", tmp_path / "out").sentence
    assert tree(tmp_path) == ["broken.yaml"]


@pytest.mark.parametrize("name", bench_names())
def test_the_benches_of_mien_have_equal_code_sizes(name: str) -> None:
    """20 + 5, or 25 where one code holds both: what a table compares is nobody's larger code."""
    bench = read_bench(name)
    for system, told in bench.systems.items():
        sizes = {key: value for key, value in told.get("settings", {}).items() if key.endswith("size")}
        sizes.pop("manner_size", None)  # a part of the identity code
        if "data" not in told:
            assert sorted(sizes.values()) in ([5, 20], [5, 25], [25]), system
    built, runs = jobs_of(bench)
    assert len({item.key for item in [*built, *runs]}) == len(built) + len(runs)


# ---- a small bench from end to end


@pytest.fixture(scope="module")
def made(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bench of two closed forms, a learned system with two seeds, and one that is refused."""
    pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")
    root = tmp_path_factory.mktemp("bench")
    learned = {"identity_size": 4, "expression_size": 2, "batch_size": 4, "steps": 100_000}
    path = written(
        root, title="Small", data={"faces": {"source": "folder", "path": str(studio.data)}}, seeds=[0, 1],
        profile="smoke", minutes=0.005, protocol="fold-1-of-3", against="morphable",
        systems={"morphable": {"settings": {"identity_size": 4, "expression_size": 2}},
                 "learned": {"model": "deep_flame", "settings": learned}, "flame": {}},
    )  # fmt: skip
    run_bench(read_bench(path), root / "out", workers=2)
    return path, root / "out"


def test_one_table_of_everything(made: tuple[Path, Path]) -> None:
    path, out = made
    lines = list(csv.DictReader(io.StringIO((out / "table.csv").read_text())))
    rows = {(line["system"], line["metric"]): line for line in lines}
    learned, closed = rows["learned", "neu_avd"], rows["morphable", "neu_avd"]
    assert learned["seeds"] == closed["seeds"] == "2" and float(closed["seed_std"]) == 0 < float(
        learned["seed_std"]
    )
    assert learned["people"] == "4" and "of 100,000" in learned["steps"]
    assert float(learned["low"]) < float(learned["mean"]) < float(learned["high"])
    # The gain is the paired difference to the additive system: of the means, as everybody has as many scans.
    gain = float(closed["mean"]) - float(learned["mean"])
    assert float(learned["gain"]) == pytest.approx(gain, abs=1e-4) and closed["gain"] == ""
    assert float(learned["gain_low"]) <= float(learned["gain"]) <= float(learned["gain_high"])
    assert "mean face" in {line["system"] for line in lines}  # controls stand in the same table
    failed = rows["flame", "rec_avd_mesh"]
    assert failed["mean"] == "" and "file" in failed["reason"]
    text = (out / "table.md").read_text()
    assert text.startswith("# Small") and "± " in text and "**" in text
    assert "only 4 test people" in text and "### Failed" in text and "faces flame/seed-1" in text


def test_the_same_call_again_does_nothing(made: tuple[Path, Path]) -> None:
    path, out = made
    before = {file: file.stat().st_mtime_ns for file in (out / "results").iterdir()}
    text = (out / "table.csv").read_text()
    run_bench(read_bench(path), out)
    assert {file: file.stat().st_mtime_ns for file in (out / "results").iterdir()} == before
    assert (out / "table.csv").read_text() == text


def test_the_state_of_a_bench(
    made: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, out = made
    told = run(capsys, "bench", path, "--out", out, "--status", "--json").json
    assert {name: state["state"] for name, state in told["states"].items() if "controls" not in name} == {
        f"faces {system}/seed-{seed}": "failed" if system == "flame" else "done"
        for system in ("morphable", "learned", "flame") for seed in (0, 1)
    }  # fmt: skip
    assert re.search(r"flame/seed-0 +failed", run(capsys, "bench", path, "--out", out, "--status").out)
    nothing = run(capsys, "bench", path, "--out", tmp_path / "new", "--status", "--json").json
    assert {state["state"] for state in nothing["states"].values()} == {"waiting"} and tree(tmp_path) == []
    # Another setting is another run: what is done for the others stays done.
    changed = yaml.safe_load(path.read_text())
    changed["systems"]["morphable"]["settings"]["identity_size"] = 3
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(changed))
    states = bench_result(read_bench(tmp_path / "changed.yaml"), out).states
    assert states["faces morphable/seed-0"]["state"] == "waiting"
    assert states["faces learned/seed-0"]["state"] == "done"


def test_what_another_program_predicted_stands_in_the_table(studio: Studio, tmp_path: Path) -> None:
    data = FaceDataset.load(studio.data)
    told = csv.DictReader(io.StringIO(rows_to_predict(data, protocol="fold-1-of-3")))
    rows = np.array([int(line["row"]) for line in told if line["task"] == "scan"])
    file = tmp_path / "predictions.npz"
    np.savez(file, rows=rows, reconstructions=data[rows])
    path = written(
        tmp_path, data={"faces": {"source": "folder", "path": str(studio.data)}}, protocol="fold-1-of-3",
        systems={
            "copy": {"predictions": str(file), "data": "faces"},
            "morphable": {"settings": {"identity_size": 4, "expression_size": 2}},
            "lost": {"predictions": "nowhere.npz", "data": "faces"},
        },
    )  # fmt: skip

    def value(system: str, metric: str = "rec_avd_mesh") -> float | None:
        result = run_bench(read_bench(path), tmp_path / "out", workers=2)
        return result.reports["faces"].row(system, metric).mean

    assert value("copy") == pytest.approx(0, abs=1e-5) and (value("morphable") or 0) > 0.01
    assert value("lost") is None
    np.savez(file, rows=rows, reconstructions=data[rows] + np.float32([0, 0, 2]))
    assert value("copy") == pytest.approx(2, abs=1e-4)  # a file that changed is judged anew
    with pytest.raises(BadFile, match="needs one name as data"):
        read_bench(written(tmp_path, systems={"copy": {"predictions": str(file)}}))


def test_data_that_cannot_be_built_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"a": {"source": "ict", "from": "$MIEN_NO_SUCH_RELEASE", "subjects": 3}}
    path = written(tmp_path, data=told, systems={"pca": {}})
    sentence = run(capsys, "bench", path, "--out", tmp_path / "out", "--workers", "1").sentence
    assert "the data 'a' of the bench could not be built" in sentence and "does not exist" in sentence
    json_files = list((tmp_path / "out").rglob("*.json"))
    assert not json_files and not (tmp_path / "out" / "table.csv").exists(), json.dumps(map(str, json_files))
