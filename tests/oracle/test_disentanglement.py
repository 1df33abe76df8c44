"""Identity consistency: the specification's table of test values, and planted people."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures import EXPRESSIONS, planted, tiny_topology

from mien.evaluation.faces import metrics
from mien.evaluation.faces.metrics import leakage, leakage_chance, rank1_code, rank1_mesh
from mien.evaluation.probes import folds_of
from mien.evaluation.statistics import bootstrap

VERTICES, TAKES = 4547, 20
VARIANTS = ("vertex", "pooled", "mesh", "avd")
MEASURES = {name: getattr(metrics, f"id_std_{name}") for name in VARIANTS} | {"mad": metrics.id_mad}


def face_size_base(generator: np.random.Generator) -> np.ndarray:
    return generator.normal(size=(VERTICES, 3)) * [40, 55, 25]


def unit_vectors(generator: np.random.Generator) -> np.ndarray:
    vectors = generator.normal(size=(VERTICES, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def offsets(case: str, generator: np.random.Generator) -> np.ndarray:
    if case == "iid":
        return generator.normal(size=(TAKES, VERTICES, 3))
    u, result = unit_vectors(generator), np.zeros((TAKES, VERTICES, 3))
    if case == "half":
        result[: TAKES // 2], result[TAKES // 2 :] = u, -u
    else:
        result[7] = u
    return result


@pytest.mark.parametrize(
    ("case", "expected", "tolerance"),
    [
        ("iid", {"vertex": 1.68, "pooled": 0.658, "avd": 1.556, "mad": 1.556}, 0.011),
        ("half", {"vertex": 1.0, "pooled": 0.0, "mesh": 0.0, "avd": 1.0, "mad": 1.0}, 0.001),
        ("one", {"vertex": 0.218, "pooled": 0.196, "mesh": 0.196, "avd": 0.218, "mad": 0.095}, 0.0006),
    ],
)
def test_table_of_test_values(case: str, expected: dict[str, float], tolerance: float) -> None:
    generator = np.random.default_rng(3)
    meshes = face_size_base(generator) + offsets(case, generator)
    for name, value in expected.items():
        assert MEASURES[name](meshes) == pytest.approx(value, abs=tolerance), (case, name)


def test_iid_mesh_variant_on_average() -> None:
    generator = np.random.default_rng(4)
    base = face_size_base(generator)
    draws = [metrics.id_std_mesh(base + offsets("iid", generator)) for _ in range(60)]
    assert np.mean(draws) == pytest.approx(0.0095, abs=0.0005)


def test_a_rigid_motion_counts_except_for_the_aligned_variant() -> None:
    generator = np.random.default_rng(5)
    base = face_size_base(generator)
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    moved = np.stack([base, base @ turn.T + [3.0, -2.0, 1.0]])
    assert metrics.id_std_vertex(moved) < 1e-5
    assert metrics.id_mad(moved) > 1
    assert metrics.neu_avd_aligned(base[None], moved[1:])[0] < 1e-4


def test_alignment_never_mirrors() -> None:
    base = face_size_base(np.random.default_rng(6))
    mirrored = base * [-1, 1, 1]
    assert metrics.neu_avd_aligned(base[None], mirrored[None])[0] > 5


def test_predictors_that_ignore_their_input_are_consistent_and_ratio_is_undefined() -> None:
    same = np.tile(tiny_topology().template, (6, 1, 1))
    assert all(value == pytest.approx(0, abs=1e-5) for value in metrics.consistency(same).values())
    assert np.isnan(metrics.id_ratio(0.0, metrics.id_between_avd(same)))


def perfect_neutrals() -> tuple[np.ndarray, np.ndarray]:
    """(S, k, V, 3) the true neutral for every scan of a person, and (S, V, 3) the truth."""
    world = planted()
    count = len(EXPRESSIONS) + 1
    return np.repeat(world.neutrals[:, None], count, axis=1), world.neutrals


def test_a_perfect_encoder_scores_zero_and_a_shuffled_one_does_not() -> None:
    predicted, truth = perfect_neutrals()
    people, takes = predicted.shape[:2]
    flat_truth = np.repeat(truth, takes, axis=0)
    assert metrics.neu_avd(flat_truth, predicted.reshape(flat_truth.shape)) == pytest.approx(0, abs=1e-5)
    assert [metrics.id_mad(group) for group in predicted] == pytest.approx([0] * people, abs=1e-5)
    shuffled = np.random.default_rng(0).permutation(predicted.reshape(flat_truth.shape))
    groups = shuffled.reshape(predicted.shape)
    assert metrics.neu_avd(flat_truth, shuffled).mean() > 2
    mad = float(np.mean([metrics.id_mad(group) for group in groups]))
    assert mad > 2
    between = metrics.id_between_avd(truth)
    assert metrics.id_ratio(mad, between) > 0.4


def test_recognition_of_planted_people() -> None:
    predicted, truth = perfect_neutrals()
    person = np.repeat(np.arange(len(truth)), predicted.shape[1])
    probes = predicted.reshape(-1, *truth.shape[1:])
    assert rank1_mesh(truth, np.arange(len(truth)), probes, person).all()
    codes = planted().identity_codes
    assert rank1_code(codes, np.arange(len(codes)), codes[person] * 3, person).all()
    raw = planted().data.vertices
    assert rank1_mesh(truth, np.arange(len(truth)), raw, person).mean() < 100


def test_leakage_finds_what_is_there_and_chance_where_nothing_is() -> None:
    generator = np.random.default_rng(1)
    person = np.repeat(np.arange(10), 30)
    label = np.tile(np.arange(6), 50)
    pure = generator.normal(size=(300, 8))
    leaky = pure + 2.5 * generator.normal(size=(10, 8))[person]
    folds = folds_of(label)
    assert leakage_chance(person) == pytest.approx(10)
    assert leakage(pure, person, folds).mean() < 20
    assert leakage(leaky, person, folds).mean() > 90
    wide = leaky @ generator.normal(size=(8, 900))
    assert leakage(wide, person, folds).mean() > 90
    expression = np.eye(6)[label] + 0.1 * generator.normal(size=(300, 6))
    assert leakage(expression, label, folds_of(person)).mean() > 95
    assert leakage(pure, label, folds_of(person)).mean() < 30


def test_folds_keep_groups_together() -> None:
    person = np.repeat(np.arange(7), 5)
    folds = folds_of(person, count=3)
    assert all(len(np.unique(folds[person == p])) == 1 for p in range(7))
    assert set(folds) == {0, 1, 2}


def test_pure_expression_codes_name_the_person_at_chance_not_below() -> None:
    person, label = np.repeat(np.arange(10), 20), np.tile(np.arange(20), 10)
    generator = np.random.default_rng(0)
    pure = generator.normal(size=(20, 12))[label] + 0.05 * generator.normal(size=(200, 12))
    assert 3 < leakage(pure, person, folds_of(label)).mean() < 20


def test_bootstrap_draws_people_not_meshes() -> None:
    generator = np.random.default_rng(2)
    person = np.repeat(np.arange(20), 50)
    values = generator.normal(size=20)[person] + 0.01 * generator.normal(size=1000)
    low, high = bootstrap(values, person)
    assert low < values.mean() < high
    assert high - low > 0.5  # 1000 meshes, but only 20 independent people: not 4 / sqrt(1000)
    assert np.isnan(bootstrap(values[:50], person[:50])).all()
