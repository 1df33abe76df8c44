"""Principal axes of data whose subspace is known."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import BadSetting
from mien.nn.principal import principal_axes


def planted_rows(rank: int, count: int = 300, dimension: int = 60, noise: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(3)
    axes = np.linalg.qr(generator.normal(size=(dimension, rank)))[0].T
    codes = generator.normal(size=(count, rank)) * np.geomspace(20, 2, rank)
    return (5 + codes @ axes + noise * generator.normal(size=(count, dimension))).astype(np.float32)


@pytest.mark.parametrize("size", [1, 4, 8, 30])
def test_axes_equal_those_of_a_full_decomposition(size: int) -> None:
    rows = planted_rows(8, noise=0.3)
    found = principal_axes(rows.__getitem__, np.arange(300), size)
    _, values, exact = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(found.std, values[:size] / np.sqrt(len(rows) - 1), rtol=2e-3)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(size), atol=1e-5)
    apart = min(size, 8)  # beyond the planted axes, the noise has no preferred ones
    cosines = np.abs((found.axes * exact[:size]).sum(axis=1))[:apart]
    np.testing.assert_allclose(cosines, 1, atol=1e-4)


def test_a_planted_subspace_is_recovered_and_no_more() -> None:
    rows = planted_rows(8)
    found = principal_axes(rows.__getitem__, np.arange(300), 50)
    assert len(found.axes) == 8
    centered = rows - found.mean
    np.testing.assert_allclose(centered @ found.axes.T @ found.axes, centered, atol=1e-3)


def test_axes_about_zero_and_of_one_row() -> None:
    rows = planted_rows(3)
    about_zero = principal_axes(rows.__getitem__, np.arange(300), 4, centered=False)
    assert not about_zero.mean.any()
    assert len(about_zero.axes) == 4  # the mean is one more direction
    assert len(principal_axes(rows.__getitem__, np.arange(1), 4).axes) == 1


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(BadSetting, match="at least 1"):
        principal_axes(planted_rows(2).__getitem__, np.arange(300), 0)
    with pytest.raises(BadSetting, match="at least one row"):
        principal_axes(planted_rows(2).__getitem__, np.arange(0), 2)
