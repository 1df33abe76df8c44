"""Evenly spread vertices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import BadSetting
from mien.geometry.farthest_points import farthest_points


def test_corners_and_center_of_a_square() -> None:
    side = np.linspace(-1, 1, 11)
    points = np.array([(x, y, 0.0) for x in side for y in side])
    chosen = points[farthest_points(points, 5)]
    assert {tuple(p) for p in chosen} == {(0, 0, 0), (-1, -1, 0), (-1, 1, 0), (1, -1, 0), (1, 1, 0)}


@given(st.integers(1, 60), st.integers(0, 2**31))
def test_no_point_is_far_and_chosen_ones_keep_apart(count: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(60, 3))
    chosen = farthest_points(points, count)
    assert len(np.unique(chosen)) == count and (np.diff(chosen) > 0).all()
    if count > 1:
        between = np.linalg.norm(points[chosen][:, None] - points[chosen][None], axis=2)
        apart = between[~np.eye(count, dtype=bool)].min()
        covered = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(1).max()
        assert covered <= apart + 1e-12  # what farthest-point sampling guarantees


def test_coinciding_points_are_chosen_once_each() -> None:
    assert farthest_points(np.zeros((4, 3)), 4).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [0, 5])
def test_impossible_counts(count: int) -> None:
    with pytest.raises(BadSetting, match="1 to 4"):
        farthest_points(np.zeros((4, 3)), count)
