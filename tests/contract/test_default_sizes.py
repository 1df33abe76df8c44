"""Every learned method trains on a mesh of 300 vertices with its default sizes, and says what it shrank."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from fixtures import run_stage
from scipy.spatial import Delaunay

from mien.data.dataset import FaceDataset
from mien.errors import Note
from mien.geometry.hierarchy import fitting_factors
from mien.models import MODELS, model_class
from mien.topology import Topology

LEARNED = tuple(name for name in MODELS if hasattr(model_class(name), "Settings"))
SHRINKING = (
    "coma", "spiralnet", "facetunegan", "expression_lstm", "di_meshencoder", "deep_flame",
    "kacem", "conv_mesh_ae",
)  # fmt: skip


def small_set() -> FaceDataset:
    """6 people with 3 expressions on a bent sheet of 300 vertices."""
    x, y = (part.ravel() for part in np.meshgrid(np.linspace(-60, 60, 20), np.linspace(-80, 80, 15)))
    template = np.stack([x, y, 30 - (x / 60) ** 2 * 30], axis=1).astype(np.float32)
    faces = Delaunay(template[:, :2]).simplices.astype(np.int32)
    topology, rng = Topology("sheet", faces, template), np.random.default_rng(0)
    waves = np.cos(template @ rng.standard_normal((3, 5)) / 30)[:, None, :] * rng.standard_normal((3, 5))
    weights = np.tile(np.concatenate([np.zeros((1, 3)), np.eye(3)]), (6, 1))
    subject = np.repeat(np.arange(6), 4)
    people = rng.standard_normal((6, 2))
    coefficients = np.concatenate([people[subject], 3 * weights], axis=1)
    scans = (template + np.einsum("nk,vck->nvc", coefficients, waves)).astype(np.float32)
    return FaceDataset(topology, ("a", "b", "c"), scans, weights, subject, tuple("uvwxyz"))


@pytest.mark.parametrize("name", LEARNED)
def test_default_sizes_fit_three_hundred_vertices(name: str) -> None:
    data, kind = small_set(), model_class(name)
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = kind(data.topology, data.expressions)
    notes = [str(note.message) for note in told if issubclass(note.category, Note)]
    assert (name in SHRINKING) == any("300 vertices" in note for note in notes), notes
    model.prepare(data)
    generator = torch.Generator().manual_seed(0)
    settings = dataclasses.replace(kind.Settings(), batch_size=4)  # type: ignore[attr-defined]
    for stage in model.stages(data, settings, data):
        for losses in run_stage(stage, generator, 1):
            assert all(np.isfinite(value) for value in losses.values()), losses
    with warnings.catch_warnings():
        warnings.simplefilter("error", Note)
        kind(data.topology, data.expressions, **model.config)  # a model that is loaded has nothing to say


@pytest.mark.parametrize(
    ("vertices", "wanted", "found"),
    [
        (28_431, (5, 5, 5, 5), (5, 5, 5, 5)), (2_500, (5, 5, 5, 5), (5, 5, 5, 5)),
        (1_000, (5, 5, 5, 5), (3, 3, 3, 2)), (300, (4, 4, 4, 4), (2, 2, 2, 2)), (8, (4, 4), (1, 1)),
    ],
)  # fmt: skip
def test_factors_change_only_where_a_mesh_is_too_small(
    vertices: int, wanted: tuple[int, ...], found: tuple[int, ...]
) -> None:
    assert fitting_factors(vertices, wanted) == found
