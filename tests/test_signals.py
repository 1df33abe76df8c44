"""What ``mien animate`` and ``mien interpolate`` are told: nothing is dropped, nonsense is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clips import moving_data
from commands import run, tree
from fixtures import tiny_topology

from mien import apply
from mien.io.gltf import read_glb_targets
from mien.io.mesh import read_mesh, write_mesh
from mien.models.base import FaceModel
from mien.models.files import save_model
from mien.models.mean_expression import MeanExpression
from mien.models.pca_lstm import PcaLSTM

Capture = pytest.CaptureFixture[str]
DATA = moving_data()
NEUTRAL, OTHER = DATA[0], DATA[np.flatnonzero(DATA.row_subject == 1)[0]]
ENDS = {"smile": 0.5}, {"jaw_open": 0.25}


@pytest.fixture(scope="module")
def models() -> dict[str, FaceModel]:
    torch.manual_seed(3)
    made: dict[str, FaceModel] = {
        "moving": PcaLSTM(DATA.topology, DATA.expressions, 10),
        "settled": MeanExpression(DATA.topology, DATA.expressions),
    }
    for model in made.values():
        model.prepare(DATA)
        model.eval()
        model.calibrate(DATA)
    return made


@pytest.fixture(scope="module")
def folder(models: dict[str, FaceModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signals")
    for kind, model in models.items():
        save_model(model, path / kind)
    write_mesh(path / "rest.obj", NEUTRAL, tiny_topology())
    write_mesh(path / "other.obj", OTHER, tiny_topology())
    (path / "take.csv").write_text("smile,jaw_open\n0,0\n0.5,0\n1,0.25\n")
    return path


def test_walks_honor_ending_and_strength(
    folder: Path, models: dict[str, FaceModel], capsys: Capture, tmp_path: Path
) -> None:
    start = ("animate", folder / "moving", folder / "rest.obj", "--between", "smile,jaw_open=0.5",
             "--strength", 0.5, "--steps", 5)  # fmt: skip
    expected = apply.between_poses(models["moving"], NEUTRAL, *ENDS, 5)
    assert run(capsys, *start, "-o", tmp_path / "w.npz").code == 0
    saved = np.load(tmp_path / "w.npz")
    np.testing.assert_allclose(saved["vertices"], expected, atol=1e-3)
    np.testing.assert_allclose(saved["weights"][:, 0], [0.5, 0.375, 0.25, 0.125, 0], atol=1e-6)
    facts = run(capsys, *start, "-o", tmp_path / "w.glb", "--json").json
    assert facts["frames"] == 5 and facts["walk"] and (tmp_path / "w.glb").is_file()
    morphs = read_glb_targets(tmp_path / "w.glb")
    made = morphs.base + np.einsum("tk,kvc->tvc", morphs.animation[0], morphs.targets - morphs.base)
    assert np.linalg.norm(made - expected, axis=2).mean() == pytest.approx(facts["error_mm"], abs=2e-3)
    assert facts["error_mm"] <= 0.051
    assert "5 faces between two apexes" in run(capsys, *start, "-o", tmp_path / "steps").out
    last = read_mesh(tmp_path / "steps" / "step_0004.obj").vertices
    np.testing.assert_allclose(last, expected[4], atol=1e-3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--between smile,jaw_open -e smile", "received -e and --between"),
        ("--between smile,jaw_open --curves nowhere.csv", "received --curves and --between"),
        ("--curves nowhere.csv", "file of curves does not exist"),
        ("--between smile,jaw_open --onset 0.1", "--onset says nothing about a signal given with --between"),
        ("--between smile,jaw_open --targets named", "neither one mesh nor named targets"),
        ("--between smile,jaw_open -o {}.obj", "neither one mesh nor named targets"),
        ("--curves take.csv --release 0.5", "--release says nothing"),
        ("--curves take.csv --steps 4", "leave out --steps"),
        ("-e smile --curves-fps 30", "--curves-fps says nothing about a signal given with -e"),
        ("-e smile@0.1,0.2,0.3 --apex 0.5", "expressions with moments of their own"),
        ("-e smile --size 100", "--size says nothing about this output"),
        ("-e smile --targets frames -o {}.npz", "--targets says nothing about this output"),
    ],
)
def test_what_means_nothing_is_refused(
    given: str, told: str, folder: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    flags = given.format(tmp_path / "x").split()
    flags += [] if "-o" in flags else ["-o", str(tmp_path / "x.glb")]
    sentence = run(capsys, "animate", "settled", "rest.obj", *flags).sentence
    assert told in sentence and tree(tmp_path) == []


def test_models_that_build_on_neutrals_interpolate(
    folder: Path, models: dict[str, FaceModel], capsys: Capture, tmp_path: Path
) -> None:
    model = models["moving"]
    smile = apply.rig(model, NEUTRAL, ["smile"]).targets[0]
    jaw = apply.rig(model, OTHER, ["jaw_open"]).targets[0]
    for name, face in (("smile", smile), ("jaw", jaw)):
        write_mesh(tmp_path / f"{name}.obj", face, tiny_topology())
    start = ("interpolate", folder / "moving", tmp_path / "smile.obj", tmp_path / "jaw.obj", "--steps", 3)
    out, rests = tmp_path / "walk", ("--a-neutral", folder / "rest.obj", "--b-neutral", folder / "other.obj")
    assert "an option that ends in neutral" in run(capsys, *start, "-o", out).sentence
    assert run(capsys, *start, *rests, "-o", out).code == 0
    faces = [read_mesh(out / f"step_{k:04d}.obj").vertices for k in range(3)]
    expected = apply.interpolate(model, smile, jaw, 3, a_neutral=NEUTRAL, b_neutral=OTHER)
    np.testing.assert_allclose(faces, expected, atol=1e-3)
    assert np.abs(faces[0] - faces[2]).max() > 1
