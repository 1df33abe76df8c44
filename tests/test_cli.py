"""Every command does what its help says, on a tiny data set."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Studio, run, tree
from typer.main import get_command

from mien import apply
from mien.cli import app
from mien.data.dataset import FaceDataset
from mien.figures.paper_faces import ShownScans
from mien.io.gltf import read_glb_targets
from mien.io.mesh import read_mesh, write_obj
from mien.models import load_model

Capture = pytest.CaptureFixture[str]


def vertices(path: Path) -> np.ndarray:
    return read_mesh(path).vertices


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.process_time()\n"
        "from mien.cli import command; command(['--help'])\n"
        "heavy = {'torch', 'scipy', 'lightning_fabric', 'numpy'} & set(sys.modules)\n"
        "print(time.process_time() - start, sorted(heavy))"
    )
    seconds = []
    for _ in range(3):  # again if it was slow: other processes may be at work
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        taken, heavy = done.stdout.splitlines()[-1].split(" ", 1)
        assert heavy == "[]"
        seconds.append(float(taken))
        if seconds[-1] < 0.5:
            break
    assert min(seconds) < 0.5
    for name in (
        "data",
        "train",
        "evaluate",
        "generate",
        "transfer",
        "animate",
        "rig",
        "fit",
        "demo",
        "cite",
    ):
        assert re.search(rf"\b{name}\b", done.stdout)


def all_commands(group: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """Every command of the command line, by its words."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from all_commands(command, *names, name)
        else:
            yield (*names, name)


@pytest.mark.parametrize("words", all_commands(get_command(app)), ids=" ".join)
def test_every_command_has_help_with_examples(words: tuple[str, ...], capsys: Capture) -> None:
    """Each example is a whole command line that the parser accepts."""
    told = run(capsys, *words, "--help")
    assert told.code == 0
    assert len(told.out.split("Usage:")[1].split("Options")[0].split()) > 8, "say what it does"
    shown = told.out.split("Examples", 1)[1]
    assert f"mien {' '.join(words)}" in " ".join(shown.split())
    group: Any = get_command(app)
    for word in words:
        group = group.commands[word]
    assert all("\n" not in part for part in group.help.split("\n\n")), "paragraphs fill the terminal"
    for line in re.findall(r"\[green\](.*?)\[/green\]", group.epilog):
        arguments = shlex.split(line)
        assert tuple(arguments[1 : 1 + len(words)]) == words, line
        group.make_context("mien", arguments[1 + len(words) :], resilient_parsing=False)


def test_groups_explain_themselves(capsys: Capture) -> None:
    assert "prepare" in run(capsys, "data", "--help").out
    assert "mien demo" in run(capsys, "--help").out


def test_version_and_module_entry() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"mien \d+\.\d+\.\d+\n", done.stdout)


def test_a_mistyped_command_is_one_sentence(capsys: Capture) -> None:
    assert "generate" in run(capsys, "genrate", "x").sentence
    assert "mien rig --help" in run(capsys, "rig").sentence


def test_data_info_and_check(studio: Studio, capsys: Capture) -> None:
    facts = run(capsys, "data", "info", studio.data, "--json").json
    assert facts["people"] == 12 and 0 < facts["interaction_fraction"] < 1
    assert "interaction fraction" in run(capsys, "data", "info", studio.data).out
    told = run(capsys, "data", "check", studio.data, "--json")
    assert told.code == 0 and told.json["sound"] and told.json["missing"] == []


def test_train_says_what_next_and_leaves_a_card(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    told = run(capsys, "train", "pca", "--data", studio.data, "--out", tmp_path / "run", "--set", "size=30")
    assert told.code == 0 and "mien evaluate" in told.err
    card = (tmp_path / "run" / "README.md").read_text()
    assert "license: mit" in card and "blanz1999morphable" in card and "| size | 30 |" in card


def test_control_c_says_what_is_kept(
    studio: Studio, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.training.train", stopped)
    told = run(capsys, "train", "pca", "--data", studio.data, "--out", tmp_path / "run")
    assert told.code == 130 and "--resume" in told.err and "Traceback" not in told.err


def test_dry_run_prints_the_resolved_settings(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    told = run(
        capsys, "train", "adversarial_vae", "--data", studio.data, "--out", tmp_path / "run", "--dry-run",
        "--profile", "smoke", "--set", "neutrals=false", "--set", "rate=2e-4",
    )  # fmt: skip
    settings = told.json["settings"]
    assert settings["neutrals"] is False and settings["rate"] == 2e-4 and told.json["profile"] == "smoke"
    assert not (tmp_path / "run").exists()


def test_evaluate_prints_tables_and_updates_the_card(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    told = run(capsys, "evaluate", studio.model, "--data", studio.data, "--out", tmp_path / "tables")
    assert told.code == 0 and "Reconstruction" in told.out and "none of them seen in training" in told.out
    assert {path.suffix for path in (tmp_path / "tables").iterdir()} >= {".json", ".csv", ".md", ".tex"}
    assert "rec_avd_mesh" in (studio.model / "README.md").read_text()
    metrics = json.loads((studio.model / "metrics.json").read_text())
    assert metrics["rec_avd_mesh"]["unit"] == "mm"


def test_evaluate_draws_pictures_of_people_with_three_expressions(
    studio: Studio, capsys: Capture, tmp_path: Path
) -> None:
    pytest.importorskip("embreex")
    faces = studio.faces
    rows = np.flatnonzero(faces.weights[:, 3:].sum(axis=1) == 0)
    few = FaceDataset(
        faces.topology, faces.expressions[:3], faces.vertices[rows], faces.weights[rows, :3],
        faces.subject[rows], faces.subjects,
    ).save(tmp_path / "few")  # fmt: skip
    person = ShownScans.of(few.split("test"), seed=0)
    assert len(person.people) == 1 and len(set(person.labels(person.mixed(4)))) == 3
    several = ShownScans.of(few, seed=0).mixed(4)
    assert len(set(few.subject[several])) == 4 and len(set(few.label[several])) == 3
    model = tmp_path / "model"
    assert run(capsys, "train", "morphable", "--data", tmp_path / "few", "--out", model).code == 0
    line = ("evaluate", model, "--data", tmp_path / "few", "--no-controls", "--out", tmp_path, "--pictures",
            "--part", "all")  # fmt: skip
    told = run(capsys, *line)
    assert told.code == 0, told.err
    wanted = {"reconstruction.png", "neutrals-model.png", "transfer.png", "walk-model.png"}
    assert {path.name for path in tmp_path.glob("*.png")} == wanted
    assert all(name in told.err for name in wanted)


def test_evaluate_generation_writes_tables_and_pictures(
    studio: Studio, capsys: Capture, tmp_path: Path
) -> None:
    small = ("networks=lite", "lite_steps=20", "components=8", "faces=4", "resamples=4", "samples=10",
             "people=2", "sparse_scans=2", "sparse_steps=10")  # fmt: skip
    options = [word for setting in small for word in ("--set", setting)]
    line = ("evaluate", studio.model, "--data", studio.data, "--generation", "--profile", "smoke")
    told = run(capsys, *line, "--pairs", "20", *options, "--out", tmp_path, "--json")
    assert told.code == 0, told.err
    rows = {(row["system"], row["metric"]): row for row in told.json["rows"]}
    label = studio.model.name
    assert rows[label, "div_all"]["count"] == 20 and rows[label, "div_all"]["mean"] > 0
    assert told.json["conditions"]["generation"]["pairs"] == 20
    names = {path.name for path in tmp_path.iterdir()}
    pictures = {f"generation_samples_{label}.png", f"generation_expressions_{label}.png",
                "generation_specificity.png"}  # fmt: skip
    assert names == pictures | {f"generation.{ending}" for ending in ("md", "csv", "tex", "json")}
    assert (studio.data / "similarity_networks").is_dir()
    refused = run(capsys, "evaluate", studio.model, "--data", studio.data, "--pairs", "20")
    assert refused.code == 2 and "--generation" in refused.err


def test_evaluate_json_is_only_json(studio: Studio, capsys: Capture) -> None:
    report = run(capsys, "evaluate", studio.model, "--data", studio.data, "--json", "--no-controls").json
    assert {row["system"] for row in report["rows"]} >= {"model"}
    assert report["conditions"]["people_seen_in_training"] == 0


def test_generate_is_repeatable_and_listed(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    for name in ("a", "b"):
        told = run(
            capsys, "generate", studio.model, "-n", 3, "--seed", 5, "-e", "smile=0.8", "-o", tmp_path / name
        )
        assert told.code == 0
    rows = list(csv.DictReader((tmp_path / "a" / "people.csv").open()))
    assert len(rows) == 3 and rows[0]["smile"] == "0.8" and rows[0]["seed"] == "5"
    for row in rows:
        assert (tmp_path / "a" / row["file"]).read_bytes() == (tmp_path / "b" / row["file"]).read_bytes()
    model = load_model(str(studio.model))
    expected = apply.generate(model, 3, seed=5, weights={"smile": 0.8})
    np.testing.assert_allclose(vertices(tmp_path / "a" / "person_0002.obj"), expected[2], atol=1e-4)


def test_generate_at_rest_or_varied(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    model = load_model(str(studio.model))
    for flags, weights in (((), {}), (("--varied",), None)):
        run(capsys, "generate", studio.model, "-n", 2, *flags, "-o", tmp_path / str(len(flags)))
        expected = apply.generate(model, 2, seed=0, weights=weights)
        found = vertices(tmp_path / str(len(flags)) / "person_0001.obj")
        np.testing.assert_allclose(found, expected[1], atol=1e-4)
    told = run(capsys, "generate", studio.model, "--varied", "-e", "smile", "-o", tmp_path / "x")
    assert "exclude" in told.sentence


def test_reconstruct_and_neutralize(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    model, smile = load_model(str(studio.model)), vertices(studio.smile)
    told = run(capsys, "reconstruct", studio.model, studio.smile, "-o", tmp_path / "again.obj")
    assert told.code == 0 and "mm" in told.out
    np.testing.assert_allclose(vertices(tmp_path / "again.obj"), apply.reconstruct(model, smile), atol=1e-3)
    run(capsys, "neutralize", studio.model, studio.smile, "-o", tmp_path / "rest.ply")
    np.testing.assert_allclose(vertices(tmp_path / "rest.ply"), apply.neutralize(model, smile), atol=1e-3)


def test_transfer_and_interpolate(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    options = ("--expression", studio.smile, "--onto", studio.neutral)
    assert run(capsys, "transfer", studio.model, *options, "-o", tmp_path / "smiling.obj").code == 0
    model = load_model(str(studio.model))
    expected = apply.transfer(model, vertices(studio.smile), vertices(studio.neutral))
    np.testing.assert_allclose(vertices(tmp_path / "smiling.obj"), expected, atol=1e-3)
    options = ("--steps", 4, "--factor", "expression", "-o", tmp_path / "walk")
    told = run(capsys, "interpolate", studio.model, studio.neutral, studio.smile, *options)
    assert told.code == 0 and tree(tmp_path / "walk") == [f"step_{number:04d}.obj" for number in range(4)]
    options = ("--steps", 2, "--from", -0.5, "--to", 1.5, "-o", tmp_path / "beyond")
    assert run(capsys, "interpolate", studio.model, studio.neutral, studio.smile, *options).code == 0
    inside = apply.interpolate(model, vertices(studio.neutral), vertices(studio.smile), 2)
    across = inside[1] - inside[0]  # the model is linear, so going on is going straight on
    found = [vertices(tmp_path / "beyond" / f"step_{number:04d}.obj") for number in range(2)]
    np.testing.assert_allclose(found, [inside[0] - across / 2, inside[1] + across / 2], atol=1e-2)


def test_fit_passes_landmarks_wherever_they_lie(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    topology = load_model(str(studio.model)).topology
    points = topology.landmarks.positions(vertices(studio.smile)) + (100, 0, -50)
    table = tmp_path / "landmarks.csv"
    lines = [f"{name},{x},{y},{z}" for name, (x, y, z) in zip(topology.landmarks.names, points.tolist())]
    table.write_text("name,x,y,z\n" + "\n".join(lines) + "\n")
    told = run(capsys, "fit", studio.model, table, "--prior", 0, "-o", tmp_path / "fitted.obj")
    assert told.code == 0
    found = topology.landmarks.positions(vertices(tmp_path / "fitted.obj"))
    assert np.linalg.norm(found - points, axis=1).mean() < 1.0


def test_animate_as_clip_and_as_frames(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    timing = ("--onset", 0.1, "--apex", 0.3, "--offset", 0.6, "--fps", 10)
    told = run(
        capsys, "animate", studio.model, studio.neutral, "-e", "smile", *timing, "-o", tmp_path / "a.glb"
    )
    assert told.code == 0 and "8 frames" in told.out
    run(
        capsys, "animate", studio.model, studio.neutral, "-e", "smile=0.5", *timing, "-o", tmp_path / "frames"
    )
    frames = [vertices(tmp_path / "frames" / name) for name in tree(tmp_path / "frames")]
    assert len(frames) == 8
    np.testing.assert_allclose(frames[0], vertices(studio.neutral), atol=1e-4)
    moved = np.linalg.norm(frames[3] - frames[0], axis=1)
    assert moved.max() > 1.0


def test_rig_rests_on_the_input_and_keeps_names(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    told = run(capsys, "rig", studio.model, studio.neutral, "-o", tmp_path / "rig.glb")
    assert told.code == 0 and "5 morph targets" in told.out
    morphs = read_glb_targets(tmp_path / "rig.glb")
    assert tuple(morphs.names) == load_model(str(studio.model)).expressions
    np.testing.assert_allclose(morphs.base, vertices(studio.neutral), atol=1e-4)


def test_rig_with_a_table_of_names(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("name,target\nsmile,mouthSmile\njaw_open,jawOpen\n")
    run(capsys, "rig", studio.model, studio.neutral, "--names", table, "-o", tmp_path / "rig.glb")
    assert tuple(read_glb_targets(tmp_path / "rig.glb").names) == ("mouthSmile", "jawOpen")
    assert "no ARKit" in run(
        capsys, "rig", studio.model, studio.neutral, "--names", "arkit", "-o", tmp_path / "b.glb"
    ).sentence  # fmt: skip


@pytest.mark.parametrize(("scale", "turned"), [(0.001, False), (0.1, True)])
def test_results_come_back_in_the_unit_and_axes_of_the_input(
    studio: Studio, capsys: Capture, tmp_path: Path, scale: float, turned: bool
) -> None:
    mesh = read_mesh(studio.smile)
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32) if turned else np.eye(3, dtype=np.float32)
    write_obj(tmp_path / "given.obj", mesh.vertices @ turn.T * scale, mesh)
    told = run(capsys, "neutralize", studio.model, tmp_path / "given.obj", "-o", tmp_path / "rest.obj")
    assert told.code == 0 and ("meters" if scale < 0.01 else "centimeters") in told.err
    model = load_model(str(studio.model))
    expected = apply.neutralize(model, mesh.vertices) @ turn.T * scale
    np.testing.assert_allclose(vertices(tmp_path / "rest.obj"), expected, atol=1e-3 * scale * 10)


def test_list_info_and_cite(studio: Studio, capsys: Capture) -> None:
    table = run(capsys, "list", "--json").json
    assert table["adversarial_vae"]["neutralize"] == "native"
    assert table["displacement_transfer"]["generate"] == "refused"
    listed = run(capsys, "list").out
    assert "adversarial_vae" in listed and "●" in listed
    facts = run(capsys, "info", studio.model, "--json").json
    assert facts["model"] == "morphable" and facts["facts"]["data"]["source"] == "planted"
    assert "Intended use" in run(capsys, "info", studio.model).out
    assert run(capsys, "cite", "adversarial_vae").out.startswith("@inproceedings{gu2023adversarial")
    assert run(capsys, "cite").out.startswith("@software{mien")


def test_json_is_not_disturbed_by_a_terminal(studio: Studio) -> None:
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "40"}
    command = [sys.executable, "-m", "mien", "info", str(studio.model), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout)["model"] == "morphable"


def test_rig_takes_under_two_seconds_after_start(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    run(capsys, "rig", studio.model, studio.neutral, "-o", tmp_path / "first.glb")
    start = time.perf_counter()
    run(capsys, "rig", studio.model, studio.neutral, "-o", tmp_path / "second.glb")
    assert time.perf_counter() - start < 2
