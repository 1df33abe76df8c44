"""Manner that follows from the face, own variants of shapes, truth beside scans, and what can be foretold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Studio, run
from meshes import NEEDS_ICT, ict_release_path

from mien.data.ceiling import Ceiling
from mien.data.dataset import FaceDataset
from mien.data.expressions import SHAPES, expression_set
from mien.data.foretold import foretold_share
from mien.data.manner import Manner, traits
from mien.data.performance import FORMER, Style, Variation, shape_sides, shape_stems, take_activations
from mien.data.personal_shapes import EXEMPT, personal_shapes
from mien.data.sources.ict import build_ict
from mien.data.sources.procedural.anthropometry import draw_measurements, leading_coefficients
from mien.data.sources.procedural.build import build_procedural
from mien.data.writer import DatasetWriter
from mien.errors import BadFile, BadSetting, DataMissing
from mien.evaluation import evaluate
from mien.evaluation.faces.denoising import denoiser
from mien.topology import Topology

FACES = expression_set("facescape20")
RELEASE = ict_release_path()


def test_traits_are_standard_uncorrelated_limited_and_not_linear() -> None:
    people = np.random.default_rng(0).standard_normal((20_000, 7))
    found = traits(people)
    np.testing.assert_allclose(np.cov(found.T), np.eye(4), atol=0.12)
    assert np.abs(found.mean(axis=0)).max() < 0.05 and np.abs(found).max() < 3
    np.testing.assert_array_equal(found, traits(people[:, :4]))  # the first four coefficients alone count
    design = np.c_[np.ones(len(people)), people[:, :4]]
    left = found - design @ np.linalg.lstsq(design, found, rcond=None)[0]
    assert 0.4 < 1 - left.var() / found.var() < 0.65, "half of the link is beyond a linear reader"


@pytest.mark.parametrize("share", [0.0, 0.37, 0.7, 1.0])
def test_the_dial_is_the_share_that_the_face_decides(share: float) -> None:
    rng = np.random.default_rng(1)
    told = traits(rng.standard_normal((4000, 4)))
    names = ["amplitude/mouthSmile", "field/browDown/2"]
    own = rng.standard_normal((4000, 2))
    mixed = np.stack([Manner(share, t).mixed(names, o) for t, o in zip(told, own, strict=True)])
    again = np.stack([Manner(share, t).mixed(names, rng.standard_normal(2)) for t in told])
    np.testing.assert_allclose(mixed.std(axis=0), 1, atol=0.06)
    for column in range(2):
        assert np.corrcoef(mixed[:, column], again[:, column])[0, 1] == pytest.approx(share, abs=0.05)


def test_without_manner_every_draw_is_the_person_s_own_bit_by_bit() -> None:
    own = np.random.default_rng(0).standard_normal(3)
    for manner in (Manner(), Manner(0.0, traits(np.ones(4))), Manner(0.7, None)):
        np.testing.assert_array_equal(manner.mixed(["a", "b", "c"], own), own)


def test_names_alone_decide_what_is_read_from_the_traits() -> None:
    manner = Manner(1.0, traits(np.array([1.0, -0.5, 0.3, 2.0])))
    first, second = manner.mixed(["a", "b"], np.zeros(2)), manner.mixed(["b", "a"], np.zeros(2))
    np.testing.assert_array_equal(first, second[::-1])
    assert first[0] != first[1]


@pytest.mark.parametrize("manner", [-0.1, 1.1, float("nan")])
def test_manner_is_a_share(manner: float) -> None:
    with pytest.raises(BadSetting, match="0 to 1; received"):
        Variation(manner=manner)


def test_equal_faces_move_alike_only_as_far_as_the_dial_says() -> None:
    def smiles(manner: float, seed: int) -> np.ndarray:
        style = Style.draw(np.random.default_rng(seed), SHAPES, Variation(manner=manner), np.full(4, 0.8))
        return np.log(style.amplitude)

    apart = [np.abs(smiles(m, 1) - smiles(m, 2)).mean() for m in (0.0, 0.7, 1.0)]
    assert apart[0] > apart[1] > 0.05 and apart[2] < 1e-12


def test_former_spreads_draw_what_they_drew() -> None:
    """Committed results were measured on such faces; their numbers must not move."""
    rng = np.random.default_rng(3)
    style = Style.draw(rng, SHAPES, FORMER, np.full(4, 0.8))
    found = take_activations(rng, style, FACES.recipes, {"smile": 1.0})
    both = [found[SHAPES.index(name)] for name in ("mouthSmile_L", "mouthSmile_R")]
    assert both == pytest.approx([1.1096568656760937, 0.8471632155407752])
    assert found.sum() == pytest.approx(4.6559332292907065)


def template() -> np.ndarray:
    half = np.random.default_rng(0).uniform([1, -60, 0], [60, 60, 40], (60, 3))
    return np.concatenate([half, half * [-1, 1, 1]])


def style_of(seed: int = 0, **changes: float) -> Style:
    return Style.draw(np.random.default_rng(seed), SHAPES, replace(Variation(), **changes))


def test_variants_keep_contacts_sides_and_bounds() -> None:
    place, rng = template(), np.random.default_rng(5)
    one = rng.standard_normal((len(place), 3))
    mirrored = np.concatenate([one[60:], one[:60]]) * [-1, 1, 1]
    shapes = np.stack([mirrored if name.endswith("_R") else one for name in SHAPES])
    found = personal_shapes(place, shapes, SHAPES, style_of())
    length = np.linalg.norm(found, axis=2) / np.linalg.norm(shapes, axis=2)
    assert 0.6 < length.min() < 0.8 and 1.25 < length.max() < 1.66
    for name, before, after in zip(SHAPES, shapes, found, strict=True):
        if name in EXEMPT:
            np.testing.assert_array_equal(after, before)
        elif name.endswith("_L"):  # sides agree: the right one is the mirror image
            right = found[SHAPES.index(name[:-1] + "R")]
            image = np.concatenate([right[60:], right[:60]]) * [-1, 1, 1]
            np.testing.assert_allclose(after, image, atol=1e-9)
            assert np.abs(after - before).max() > 0.02
    rows = np.array([3, 70, 11])
    some = personal_shapes(place, shapes, SHAPES, style_of(), rows)
    np.testing.assert_allclose(some, found[:, rows], rtol=1e-12)
    still = personal_shapes(place, shapes, SHAPES, style_of(personal_gain=0.0, personal_turn=0.0))
    np.testing.assert_array_equal(still, shapes)


def test_what_touches_stays_in_touch() -> None:
    """Two vertices at one place, as lids that meet, get the same variant."""
    place = template()
    place[1] = place[0]
    shapes = np.ones((len(SHAPES), len(place), 3))
    found = personal_shapes(place, shapes, SHAPES, style_of(2))
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-12)
    assert len(shape_stems(SHAPES)) < len(SHAPES) == len(shape_sides(SHAPES))


def test_leading_coefficients_of_measurements_are_standard() -> None:
    drawn = [draw_measurements(np.random.default_rng([2, number])) for number in range(1500)]
    found = np.stack([leading_coefficients(*person) for person in drawn])[:, :4]
    np.testing.assert_allclose(np.cov(found.T), np.eye(4), atol=0.15)


# ---- truth


def small() -> Topology:
    from fixtures import tiny_data

    return tiny_data().topology


def told(people: int = 12, noise: float = 0.6, manner: float = 0.0) -> FaceDataset:
    """Made-up people of three expressions whose truth is known; scans are it with noise."""
    topology, rng = small(), np.random.default_rng(0)
    modes = rng.standard_normal((4, *topology.template.shape))
    moves = 2 * rng.standard_normal((3, *topology.template.shape))
    scans, truth, rests, weights, subject = [], [], [], [], []
    for person in range(people):
        face = rng.standard_normal(4)
        rests.append(topology.template + np.tensordot(face, modes, 1))
        for label in range(-1, 3):
            told, free = 1.4 * np.sin(2 * face[0]), rng.standard_normal()
            own = 1 + 0.3 * (np.sqrt(manner) * told + np.sqrt(1 - manner) * free)
            truth.append(rests[-1] + (own * moves[label] if label >= 0 else 0))
            scans.append(truth[-1] + noise * rng.standard_normal(topology.template.shape))
            weights.append(np.eye(3)[label] if label >= 0 else np.zeros(3))
            subject.append(person)
    return FaceDataset(
        topology, ("a", "b", "c"), np.array(scans, np.float32), np.array(weights), np.array(subject),
        tuple(map(str, range(people))), truth=np.array(truth, np.float32), rests=np.array(rests, np.float32),
    )  # fmt: skip


def test_truth_is_saved_loaded_viewed_and_part_of_the_content(tmp_path: Path) -> None:
    data = told()
    saved = data.take(np.arange(4, 20)).save(tmp_path / "part")
    assert saved.has_truth and len(saved) == 16
    np.testing.assert_array_equal(saved.true_faces(slice(None)), data.truth[4:20])
    np.testing.assert_array_equal(saved.true_rest_of([0, 15]), data.rests[[1, 4]])
    old = FaceDataset.load(tmp_path / "part")
    (tmp_path / "part" / "truth.npy").unlink()
    without = FaceDataset.load(tmp_path / "part")
    assert not without.has_truth and without.fingerprint != old.fingerprint
    with pytest.raises(DataMissing, match="no truth stands beside the scans"):
        without.true_faces([0])


def test_damaged_truth_is_refused(tmp_path: Path) -> None:
    told(3).save(tmp_path / "set")
    np.save(tmp_path / "set" / "truth.npy", np.zeros((3, 3), np.float32))
    with pytest.raises(BadFile, match="truth.npy holds float32"):
        FaceDataset.load(tmp_path / "set")


def test_truth_for_some_faces_only_leaves_nothing(tmp_path: Path) -> None:
    topology = small()
    with pytest.raises(BadSetting, match="for every face of a set"), \
            DatasetWriter(tmp_path / "set", topology, ("a",)) as writer:  # fmt: skip
        writer.append(topology.template, [0.0], subject="x", truth=topology.template)
        writer.append(topology.template, [0.0], subject="x")
    assert list(tmp_path.iterdir()) == []


def test_metrics_stand_twice_and_the_denoised_neutral_beats_the_scan() -> None:
    data = told(40)
    report = evaluate({}, data, controls=("displacement_transfer",), speed=False)
    names = {row.metric for row in report.rows}
    for metric in (
        "rec_avd_mesh",
        "rec_avd_pooled",
        "rec_detail",
        "neu_avd",
        "transfer_avd",
        "transfer_avd/a",
    ):
        base, _, label = metric.partition("/")
        assert {metric, f"{base}_truth" + (f"/{label}" if label else "")} <= names, metric
    plain = report.value("class mean, label given", "transfer_avd_truth")
    clean = report.value("denoised neutral + class mean", "transfer_avd_truth")
    assert clean < 0.85 * plain < report.value("class mean, label given", "transfer_avd")
    assert "Truth: the faces without capture noise." in report.conditions_text
    assert any("truth" in title for table in report.tables for title in table.header)
    raw = report.value("input as prediction", "neu_avd_truth")
    scan = np.linalg.norm(data.split("test")[:] - data.split("test").true_rest_of(slice(None)), axis=2).mean()
    assert raw == pytest.approx(scan, rel=1e-5)


def test_without_truth_there_are_no_columns_and_asking_is_refused() -> None:
    data = replace(told(), truth=None, rests=None)
    report = evaluate({}, data, controls=(), speed=False)
    assert not any("_truth" in row.metric for row in report.rows)
    with pytest.raises(DataMissing, match="no truth stands beside"):
        evaluate({}, data, controls=(), truth=True)
    silent = evaluate({}, told(), controls=(), speed=False, truth=False)
    assert not any("_truth" in row.metric for row in silent.rows)


def test_denoising_needs_people() -> None:
    assert denoiser(told(5), np.zeros((3, *small().template.shape))) is None


# ---- what can be foretold


def test_learners_find_what_is_there_and_nothing_where_nothing_is() -> None:
    nothing, much = (foretold_share(told(120, manner=manner)) for manner in (0.0, 1.0))
    assert nothing.keys() == {"ridge", "kernel", "mlp"}
    assert max(nothing.values()) < 0.1
    assert min(much["kernel"], much["mlp"]) > 0.3
    assert much["kernel"] > much["ridge"] + 0.1, "a sine is not linear"
    assert foretold_share(told(12)) == {}


def test_the_ceiling_is_the_share_that_the_same_face_shares() -> None:
    rng, ceiling = np.random.default_rng(0), Ceiling()
    for number in range(80):
        face, own, other = rng.standard_normal((3, 2, 50, 3))
        ceiling.add(np.sqrt(0.4) * face + np.sqrt(0.6) * own, np.sqrt(0.4) * face + np.sqrt(0.6) * other)
        assert ceiling.wants(number, 80) and not ceiling.wants(number, 39)
    assert ceiling.facts()["foretold_ceiling"] == pytest.approx(0.4, abs=0.03)
    assert Ceiling().facts() == {}


# ---- commands


def test_bad_dials_are_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for dial, range_told in (("1.5", "0 to 1"), ("-0.1", "0 to 1"), ("nan", "out of range")):
        out = tmp_path / "x"
        told = run(capsys, *"data build procedural --subjects 3".split(), "--out", out, "--manner", dial)
        assert f"{range_told}; received" in told.sentence
    assert list(tmp_path.iterdir()) == []


def test_truth_that_is_not_there_is_refused_in_one_sentence(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(capsys, "evaluate", studio.model, "--data", studio.data, "--truth")
    assert "no truth stands beside the scans" in told.sentence


def test_procedural_people_move_by_the_dial(tmp_path: Path) -> None:
    free, bound = (
        build_procedural(tmp_path / str(manner), subjects=2, vertices=700, variation=Variation(manner=manner))
        for manner in (0.0, 0.7)
    )
    assert bound.facts["variation"]["manner"] == 0.7 and not bound.has_truth
    assert np.array_equal(free[free.is_neutral], bound[bound.is_neutral])
    assert np.linalg.norm(free[:] - bound[:], axis=2).mean() > 0.05


@pytest.mark.skipif(RELEASE is None, reason=NEEDS_ICT)
def test_performed_scans_are_their_truth_with_noise(tmp_path: Path) -> None:
    quiet = replace(Variation(), drift=0, rotation=0, translation=0)
    data = build_ict(RELEASE, tmp_path / "quiet", subjects=1, vertices=900, variation=quiet)
    np.testing.assert_allclose(data[:], data.true_faces(slice(None)), atol=2e-5)
    noisy = build_ict(RELEASE, tmp_path / "noisy", subjects=1, vertices=900)
    np.testing.assert_array_equal(noisy.true_faces(slice(None)), data.true_faces(slice(None)))
    assert 0.5 < np.linalg.norm(noisy[:] - noisy.true_faces(slice(None)), axis=2).mean() < 1.4
    slack = noisy.true_faces(noisy.is_neutral) - noisy.true_rest_of(noisy.is_neutral)
    assert 0 < np.abs(slack).max() < 3, "a neutral scan hangs its jaw a little; the rest does not"
