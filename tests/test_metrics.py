"""Plain metrics: distances, reconstruction, detail, generation, paths."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures import bumps, planted, tiny_topology
from hypothesis import given
from hypothesis import strategies as st

from mien.evaluation.distances import avd, avd_table
from mien.evaluation.faces import metrics
from mien.evaluation.generation.diversity import diversity_by_labels
from mien.evaluation.generation.metrics import specificity
from mien.evaluation.generation.nearest import NearestMeshes
from mien.evaluation.statistics import Statistics


def test_means_agree_and_spreads_do_not() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(40, 300, 3))
    predicted = truth + generator.gamma(2, 0.5, size=(40, 300, 1)) * [1, 0, 0]
    measures = metrics.rec_avd_mesh, metrics.rec_avd_pooled
    mesh, pooled = (Statistics.of(measure(truth, predicted)) for measure in measures)
    assert mesh.mean == pytest.approx(pooled.mean, rel=1e-6)
    assert mesh.std < 0.2 * pooled.std
    assert (mesh.count, pooled.count) == (40, 12000)


@given(st.integers(0, 1000), st.floats(0.1, 50))
def test_avd_is_a_length(seed: int, scale: float) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 9, 3))
    assert avd(x, y) == pytest.approx(avd(y, x))
    assert avd(scale * x, scale * y) == pytest.approx(scale * avd(x, y), rel=1e-4)
    assert avd(x, x) == 0


def test_avd_table_matches_avd() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(11, 20, 3)), generator.normal(size=(70, 20, 3))
    table = avd_table(x, y)
    assert table.shape == (11, 70)
    assert table[3, 68] == pytest.approx(avd(x[3], y[68]), rel=1e-5)


def test_laplacian_of_a_fan_by_hand() -> None:
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [-2, 0, 4]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    (result,) = metrics.rec_detail(vertices[None], np.zeros((1, 4, 3)), faces)
    around = ([1, 2, 3], [0, 2], [0, 1, 3], [0, 2])  # neighbors of each vertex
    wanted = [np.linalg.norm(vertices[k] - vertices[near].mean(axis=0)) for k, near in enumerate(around)]
    assert result == pytest.approx(np.mean(wanted))


def test_detail_sees_roughness_that_avd_hides() -> None:
    topology = tiny_topology()
    truth = np.tile(topology.template, (5, 1, 1)).astype(float)
    smooth = bumps(5, 1.0, np.random.default_rng(0))
    rough = np.random.default_rng(1).normal(size=truth.shape) / np.sqrt(3)
    one, other = (metrics.rec_detail(truth, truth + e, topology.faces).mean() for e in (smooth, rough))
    assert other > 2.5 * one
    assert metrics.rec_avd_mesh(truth, truth + rough).mean() == pytest.approx(
        metrics.rec_avd_mesh(truth, truth + smooth).mean(), rel=0.35
    )


def test_diversity_of_labels() -> None:
    data = planted(subjects=8).data
    found = diversity_by_labels(
        data.vertices, {"identity": data.subject, "expression": data.label}, pairs=300
    )
    assert found["div_id"].mean() < found["div_all"].mean()
    assert found["div_exp"].mean() < found["div_all"].mean()
    assert all(len(values) == 300 and values.min() > 0 for values in found.values())


def test_specificity_of_training_faces_is_zero() -> None:
    data = planted().data
    vertices, template = data.vertices, data.topology.template
    index = NearestMeshes(vertices, template)
    for moved, wanted in ((0.0, 0.0), (1.0, np.sqrt(3))):
        samples = vertices[:5] + np.float32(moved)
        found = index.nearest(samples)
        assert specificity(samples, vertices[found.row]) == pytest.approx(wanted, rel=1e-3, abs=1e-6)
        assert found.distance == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_paths() -> None:
    ends = planted().data.vertices[[0, 7]].astype(float)
    at = np.linspace(0, 1, 11)[:, None, None]
    straight = ends[0] * (1 - at) + ends[1] * at
    assert metrics.path_length_ratio(straight) == pytest.approx(1, rel=1e-4)
    assert metrics.path_step_cv(straight) == pytest.approx(0, abs=1e-4)
    uneven = ends[0] * (1 - at**3) + ends[1] * at**3
    assert metrics.path_step_cv(uneven) > 0.5
    detour = straight + np.sin(np.pi * at) * 20
    assert metrics.path_length_ratio(detour) > 1.05


def test_statistics_of_nothing_are_nan() -> None:
    nothing = Statistics.of(np.zeros(0))
    assert nothing.count == 0
    assert np.isnan(nothing.mean)
