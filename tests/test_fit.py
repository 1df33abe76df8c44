"""Codes by descent: planted codes are found again, from whole meshes and from landmarks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures import planted, tiny_topology

from mien.codes import Codes
from mien.errors import BadMesh, BadSetting, MienError, UnknownName, Unsupported, WrongTopology
from mien.fit import fit_landmarks, invert, rigid_motion
from mien.models import model_class
from mien.models.base import FaceModel
from mien.models.morphable import Morphable


@pytest.fixture(scope="module")
def model() -> FaceModel:
    data = planted(subjects=12).data
    built = Morphable(data.topology, data.expressions)
    built.prepare(data)
    built.calibrate(data)
    return built.eval()


def likely_face(model: FaceModel) -> tuple[Codes, np.ndarray]:
    codes = model.sample(1, generator=torch.Generator().manual_seed(4))
    codes = codes.map(lambda value: value * 0.7)
    return codes, model.decode(codes)[0].numpy()


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    x, y, z = torch.tensor(angles, dtype=torch.float64)
    none = torch.zeros_like(x)
    spin = torch.stack([none, -z, y, z, none, -x, -y, x, none]).view(3, 3)
    return torch.linalg.matrix_exp(spin).numpy()


def test_dense_fit_recovers_planted_codes(model: FaceModel) -> None:
    codes = model.sample(3, generator=torch.Generator().manual_seed(1))
    found = invert(model, model.decode(codes))
    torch.testing.assert_close(found.identity, codes.identity, atol=2e-2, rtol=0)
    torch.testing.assert_close(found.expression, codes.expression, atol=2e-2, rtol=0)


def test_faces_are_fitted_one_by_one_however_many(model: FaceModel) -> None:
    codes = model.sample(40, generator=torch.Generator().manual_seed(2))
    found = invert(model, model.decode(codes).numpy(), steps=60)
    torch.testing.assert_close(model.decode(found), model.decode(codes), atol=0.05, rtol=0)


def test_a_prior_pulls_to_the_origin(model: FaceModel) -> None:
    _, face = likely_face(model)
    sizes = [
        float(invert(model, face[None], steps=50, prior_weight=weight).identity.norm())
        for weight in (0.0, 1e3, 1e7)
    ]
    assert sizes[0] > sizes[1] > sizes[2] and sizes[2] < 0.05


def test_landmarks_recover_a_planted_face(model: FaceModel) -> None:
    _, face = likely_face(model)
    places = tiny_topology().landmarks
    vertices, codes, residual = fit_landmarks(model, places.positions(face), places.names, prior_weight=0.0)
    np.testing.assert_allclose(vertices, face, atol=0.1)  # 33 numbers decide 9 codes
    assert vertices.dtype == np.float32 and residual < 0.05
    np.testing.assert_allclose(model.decode(codes)[0].numpy(), vertices, atol=1e-4)


def test_more_prior_follows_the_landmarks_less(model: FaceModel) -> None:
    _, face = likely_face(model)
    places = tiny_topology().landmarks
    goal = places.positions(face) + np.random.default_rng(0).normal(size=(len(places), 3))
    residuals = [fit_landmarks(model, goal, places.names, prior_weight=w)[2] for w in (0.0, 10, 1e5)]
    assert residuals == sorted(residuals) and residuals[0] < residuals[-1]


def test_places_on_triangles_work_without_names(model: FaceModel) -> None:
    _, face = likely_face(model)
    corners = tiny_topology().faces[5::6]
    weights = np.random.default_rng(0).dirichlet([1, 1, 1], len(corners))
    goal = np.einsum("lkc,lk->lc", face[corners], weights)
    vertices, _, residual = fit_landmarks(model, goal, corners=corners, weights=weights, prior_weight=0.0)
    np.testing.assert_allclose(vertices, face, atol=0.1)
    assert residual < 0.05


def test_aligned_fit_finds_the_frame_of_the_landmarks(model: FaceModel) -> None:
    _, face = likely_face(model)
    moved = face @ rotation((0.3, -0.8, 0.2)).T + [100, -40, 900]
    places = tiny_topology().landmarks
    goal = places.positions(moved)
    vertices, _, residual = fit_landmarks(model, goal, places.names, prior_weight=1e-3, align=True)
    assert residual < 0.05
    assert np.linalg.norm(vertices - moved, axis=1).mean() < 0.2


def test_rigid_motion_never_reflects() -> None:
    points = np.random.default_rng(0).normal(size=(6, 3))
    turn, shift = rotation((1.0, 2.0, -0.5)), np.array([3.0, 2, 1])
    found = rigid_motion(points, points @ turn.T + shift)
    np.testing.assert_allclose(found[0], turn, atol=1e-9)
    np.testing.assert_allclose(found[1], shift, atol=1e-9)
    assert np.linalg.det(rigid_motion(points, points * [-1, 1, 1])[0]) > 0


@pytest.mark.parametrize("name", ["displacement_transfer", "deformation_transfer", "nearest_identity"])
def test_codes_that_are_meshes_are_refused(name: str) -> None:
    topology = tiny_topology()
    refusing = model_class(name)(topology, ("smile",))
    with pytest.raises(Unsupported, match=f"{name} cannot fit"):
        fit_landmarks(refusing, topology.landmarks.positions(topology.template), topology.landmarks.names)


def test_bad_landmarks_get_one_sentence(model: FaceModel) -> None:
    places = tiny_topology().landmarks
    goal = places.positions(tiny_topology().template)
    bad = goal.copy()
    bad[0] = np.nan
    cases: list[tuple[type[MienError], str, tuple, dict]] = [
        (UnknownName, "unknown landmark", (goal[:1], ["nose"]), {}),
        (BadSetting, "match the positions", (goal, places.names[:-1]), {}),
        (BadMesh, "finite points", (bad, places.names), {}),
        (BadMesh, "finite points", (goal[0], places.names), {}),
        (BadSetting, "need names", (goal,), {}),
        (BadSetting, "not be negative", (goal, places.names), {"prior_weight": -1.0}),
        (BadSetting, "at least 1", (goal, places.names), {"steps": 0}),
    ]
    for error, cause, args, options in cases:
        with pytest.raises(error, match=cause):
            fit_landmarks(model, *args, **options)
    with pytest.raises(WrongTopology):
        invert(model, np.zeros((120, 3)))
    with pytest.raises(WrongTopology):
        invert(model, np.zeros((1, 119, 3)))
