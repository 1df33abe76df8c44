"""Action units: coded from what shapes did, turned into names by prototypes, and learned as intensities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from fixtures import bumps, run_stage, tiny_topology

from mien.data.action_units import (
    TRACE,
    UNITS,
    canonical,
    name_expressions,
    read_prototypes,
    scores,
    unit_intensities,
)
from mien.data.dataset import FaceDataset
from mien.data.expressions import expression_set
from mien.errors import BadFile, BadSetting, DataMissing
from mien.models.facecam.model import FaceCAM, Settings

Capture = pytest.CaptureFixture[str]


def units_of_people(subjects: int = 8, scans: int = 14) -> FaceDataset:
    """Faces whose displacement is the sum of unit intensities times planted fields."""
    generator = np.random.default_rng(0)
    names = ("au_4", "au_12", "au_26")
    identity, fields = bumps(3, 3.0, generator), bumps(len(names), 5.0, generator)
    weights = generator.uniform(0, 1, (subjects * scans, len(names)))
    weights *= generator.random(weights.shape) < 0.6
    weights[::scans] = 0
    who = np.repeat(np.arange(subjects), scans)
    faces = (
        tiny_topology().template
        + np.einsum("si,ivc->svc", generator.normal(size=(subjects, 3)), identity)[who]
    )
    faces = (faces + np.einsum("nk,kvc->nvc", weights, fields)).astype(np.float32)
    people = tuple(f"person-{k}" for k in range(subjects))
    return FaceDataset(tiny_topology(), names, faces, weights, who, people)


def test_units_are_read_off_the_shapes() -> None:
    found = unit_intensities({"mouthSmile_L": 0.8, "mouthSmile_R": 0.6, "jawOpen": 0.5, "mouthClose": 0.5})
    assert found == pytest.approx({"au_12": 0.7, "au_26": 0.5})
    parted = unit_intensities({"jawOpen": 0.5, "mouthUpperUp_L": 0.2})
    assert parted == pytest.approx({"au_26": 0.5, "au_25": 0.5, "au_10": 0.1})
    assert unit_intensities({"jawOpen": TRACE / 2, "browDown_L": 1.4, "browDown_R": 1.4}) == {"au_4": 1.0}


def test_a_set_coded_in_units_is_performed_alike() -> None:
    plain, coded = expression_set("emotion6"), expression_set("emotion6_units")
    assert coded.recipes is plain.recipes and coded.columns == UNITS and plain.columns == plain.names
    happy = {"happy": 1.0}
    assert plain.coded(happy, {"mouthSmile_L": 1.0}) is happy
    assert coded.coded(happy, {"mouthSmile_L": 1.0}) == {"au_12": 0.5}


def test_the_printed_prototype_scores_happiness(tmp_path: Path) -> None:
    table = read_prototypes()
    printed = {"AU12": 0.82, "AU25": 0.70, "AU6": 0.57, "AU77": 0.83, "AU10": 0.63}
    assert table == {"happiness": printed}
    intensities = np.zeros((2, len(UNITS)))
    intensities[1, [UNITS.index("au_12"), UNITS.index("au_6")]] = (1.0, 0.5)
    found, absent = scores(table, UNITS, intensities)
    np.testing.assert_allclose(found[:, 0], [0.0, 0.82 + 0.5 * 0.57])
    assert absent == ["AU77"]
    assert [canonical(name) for name in ("AU12", "au_12", "AU 4", "au_30_left", "smile")] == [
        "au_12", "au_12", "au_4", "au_30_left", "smile"]  # fmt: skip
    with pytest.raises(BadSetting, match="no prototypical unit"):
        scores(table, ("smile", "anger"), np.zeros((1, 2)))
    with pytest.raises(DataMissing):
        read_prototypes(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text("expression,unit\nx,AU1\n")
    with pytest.raises(BadFile, match="expression, unit, weight"):
        read_prototypes(tmp_path / "bad.csv")


def test_every_person_gives_the_face_that_shows_an_expression_most() -> None:
    data = units_of_people()
    table = {"frown": {"au_4": 1.0}, "laugh": {"au_12": 0.5, "au_26": 0.5, "AU99": 1.0}}
    named, absent = name_expressions(data, table)
    assert absent == ["AU99"] and named.expressions == ("frown", "laugh") and len(named) == 8 * 3
    for person in range(8):
        own = np.flatnonzero(data.row_subject == person)
        weights = data.row_weights[own]
        best = own[weights[:, 0].argmax()], own[(weights[:, 1] + weights[:, 2]).argmax()]
        mine = named.take(named.row_subject == person)
        np.testing.assert_array_equal(mine.label, [-1, 0, 1])
        np.testing.assert_array_equal(mine[:], data[np.array([own[0], *best])])


def test_facecam_learns_from_intensities_of_units() -> None:
    data = units_of_people()
    torch.manual_seed(0)
    net = FaceCAM(
        data.topology, data.expressions, hidden=(64, 32), generator_hidden=(64, 64), labels="intensities"
    )
    assert net.class_count == 3 and net.generators["expression"][0].in_features == 20 + 3 + 5
    net.prepare(data)
    quick = {"rate": 3e-3, "batch_size": 16, "latent_batch_size": 16, "latent_rate": 3e-3}
    terms = {"swap": 1.0, "matching": 10.0, "adversarial": 0.2}
    train(net, data, Settings(steps=200, latent_steps=200, **quick, **terms))
    people = net.training_people([data.subjects[k] for k in (0, 3, 6)])
    levels = np.linspace(0, 1.5, 7)
    for unit in range(3):
        weights = torch.zeros(7, 3)
        weights[:, unit] = torch.from_numpy(levels)
        moved = np.array(
            [
                net.decode(people.replace(expression=net.express(w[None]).expand(3, -1))).detach().numpy()
                for w in weights
            ]
        )
        field = planted_field(data, unit)
        along = np.einsum("tpvc,vc->tp", moved - moved[:1], field) / (field**2).sum()
        assert (np.diff(along, axis=0) > 0).all(), "more of a unit moves the face further its way"
        assert 0.8 < along[4].mean() < 1.2  # full intensity is about the planted displacement


def planted_field(data: FaceDataset, unit: int) -> np.ndarray:
    """Least squares of the displacements from neutral on the intensities: the field itself."""
    moved = data[:] - data.neutral_of(np.arange(len(data)))
    return np.linalg.lstsq(data.row_weights, moved.reshape(len(data), -1), rcond=None)[0][unit].reshape(-1, 3)


def train(net: FaceCAM, data: FaceDataset, settings: Settings) -> None:
    generator = torch.Generator().manual_seed(0)
    for stage in net.stages(data, settings, None):
        if stage.begin:
            stage.begin()
        run_stage(stage, generator)
    net.eval()
    net.calibrate(data)


def test_the_command_names_expressions(tmp_path: Path, capsys: Capture) -> None:
    units_of_people().save(tmp_path / "units")
    done = run(capsys, "data", "name", tmp_path / "units", "--out", tmp_path / "named")
    assert done.code == 0 and "happiness" in done.out and "AU77" in done.err
    named = FaceDataset.load(tmp_path / "named")
    assert named.expressions == ("happiness",) and len(named) == 16
    assert run(capsys, "data", "name", tmp_path / "named", "--out", tmp_path / "x").code == 2
