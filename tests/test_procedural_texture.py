"""Painted skin: published tones, folds where muscles fold, one person in every performance, any uv."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data.sources.procedural.build import build_procedural
from mien.data.sources.procedural.complexion import ITA_RANGE, Complexion, srgb_of_lab
from mien.data.sources.procedural.mesh import face_mesh
from mien.data.sources.procedural.template import template
from mien.data.sources.procedural.texture import PaintedPerson, Painter, painted
from mien.data.sources.procedural.texture_canvas import fitted_canvas, procedural_canvas, where
from mien.data.sources.procedural.topology import procedural_topology
from mien.data.texture_files import read_texture
from mien.errors import BadSetting, Unsupported
from mien.geometry.texels import texels
from mien.topology import Topology


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(procedural_canvas(256))


@pytest.fixture(scope="module")
def anna(painter: Painter) -> PaintedPerson:
    return painted(painter, [0, 4], "female")


def at(row: float, column: float, size: int = 256) -> tuple[int, int]:
    """The texel of a place of the grid."""
    return int(row / 75 * 0.84 * size), int((column + 28) / 56 * size)


def change(person: PaintedPerson, **active: float) -> np.ndarray:
    """(256, 256) mean absolute change of a texture under activations, 0..255."""
    return np.abs(person.wearing(active).astype(float) - person.wearing({})).mean(axis=2)


def around(image: np.ndarray, row: float, column: float, reach: int = 6) -> float:
    y, x = at(row, column)
    return float(image[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach].max())


def test_known_colors() -> None:
    lab = np.array(
        [[100, 0, 0], [0, 0, 0], [53.2408, 80.0925, 67.2032], [32.297, 79.1875, -107.8602], [50, 0, 0]]
    )
    expected = [[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255], [118.9, 118.9, 118.9]]
    np.testing.assert_allclose(srgb_of_lab(lab), expected, atol=0.6)


def test_skin_has_the_typology_angle_that_was_drawn(painter: Painter) -> None:
    """ITA read off the cheeks of finished pictures is the one drawn, over the whole published range."""
    rng = np.random.default_rng(0)
    people = [Complexion.draw(rng, sex) for sex in ("female", "male") * 150]
    angles = np.array([who.ita for who in people])
    assert angles.min() < ITA_RANGE[0] + 3 and angles.max() > ITA_RANGE[1] - 3
    lightness = np.array([who.skin[0] for who in people])
    assert 28 < lightness.min() < 40 and 68 < lightness.max() < 84
    for who in people[:3]:
        measured = np.degrees(np.arctan2(who.skin[0] - 50, who.skin[2]))
        assert measured == pytest.approx(who.ita, abs=1e-6)
        y, x = at(40, 20)
        patch = PaintedPerson(painter, who).wearing({})[y - 12 : y + 12, x - 12 : x + 12].mean(axis=(0, 1))
        assert np.abs(patch - srgb_of_lab(np.array(who.skin))).max() < 22


def test_the_same_person_and_performance_give_the_same_picture(painter: Painter, anna: PaintedPerson) -> None:
    again = painted(painter, [0, 4], "female")
    smile = {"mouthSmile_L": 0.8, "mouthSmile_R": 0.7}
    np.testing.assert_array_equal(anna.wearing(smile), again.wearing(smile))
    other = painted(painter, [0, 5], "female")
    assert np.abs(anna.wearing({}).astype(int) - other.wearing({})).mean() > 5


@pytest.mark.parametrize(
    ("active", "folded", "still"),
    [
        ({"browInnerUp_L": 1, "browInnerUp_R": 1}, (7, 4), (58, 18)),
        ({"browDown_L": 1, "browDown_R": 1}, (15.5, 2), (50, 10)),
        ({"cheekSquint_L": 1, "cheekSquint_R": 1}, (24, 22), (6, 4)),
        ({"mouthSmile_L": 1, "mouthSmile_R": 1}, (46, 10), (6, 4)),
        ({"mouthFrown_L": 1, "mouthFrown_R": 1}, (60, 13), (6, 4)),
        ({"mouthShrugLower": 1}, (63.4, 0), (8, 4)),
        ({"noseSneer_L": 1, "noseSneer_R": 1}, (25, 3), (69, 18)),
    ],
)  # fmt: skip
def test_each_muscle_folds_its_own_lines(
    anna: PaintedPerson, active: dict[str, float], folded: tuple[float, float], still: tuple[float, float]
) -> None:
    moved = change(anna, **active)
    assert around(moved, *folded) > 6
    assert around(moved, *still) < 0.25 * around(moved, *folded)


def test_one_side_folds_alone(anna: PaintedPerson) -> None:
    moved = change(anna, mouthSmile_L=1.0)
    assert around(moved, 46, 10) > 6 and around(moved, 46, -10, 4) < 0.4 * around(moved, 46, 10, 4)


def test_texture_is_smooth_and_monotone_in_intensity(anna: PaintedPerson) -> None:
    steps = np.linspace(0, 1.5, 7)
    pictures = [
        anna.wearing({"browDown_L": s, "browDown_R": s, "mouthSmile_L": s, "mouthSmile_R": s}).astype(float)
        for s in steps
    ]  # fmt: skip
    far = [np.abs(p - pictures[0]).mean() for p in pictures]
    assert all(b > a for a, b in zip(far, far[1:], strict=False))
    jumps = [np.abs(b - a).max() for a, b in zip(pictures, pictures[1:], strict=False)]
    assert max(jumps) < 45


def test_old_skin_is_folded_at_rest(painter: Painter) -> None:
    """The same face at 22 and at 76 years: nasolabial folds and crow's feet stay."""
    from dataclasses import replace

    who = painted(painter, [0, 4], "female").who
    young, old = (
        PaintedPerson(painter, replace(who, age=age, lines=0.4 + (age > 50))).wearing({}).astype(float)
        for age in (22.0, 76.0)
    )
    darker = (young - old).mean(axis=2)
    assert around(darker, 46, 10) > 8 and around(darker, 24, 22) > 6


def test_small_textures_are_large_ones_averaged(painter: Painter, anna: PaintedPerson) -> None:
    small = PaintedPerson(Painter(procedural_canvas(32)), anna.who).wearing({"mouthSmile_L": 1.0})
    large = anna.wearing({"mouthSmile_L": 1.0}).astype(float).reshape(32, 8, 32, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - large).max() <= 1.0


def test_places_of_the_grid_are_the_template() -> None:
    mesh, skin = face_mesh(), template()
    rows, columns = np.array([0, 10, 30, 55, 75]), np.array([-28, 3, 0, 20, 28])
    expected = np.stack([skin[mesh.at(r, c)] for r, c in zip(rows, columns, strict=True)])
    np.testing.assert_allclose(where(rows - 1e-9, columns.astype(float)), expected, atol=1e-5)
    # The slit between the lids has two sides.
    above, below = where(np.array([23.999, 24.001]), np.array([12.0, 12.0]))
    assert above[1] - below[1] > 8


def test_the_uv_map_overlaps_nowhere() -> None:
    """Each texel belongs to one triangle: areas add up to what is covered."""
    topology = procedural_topology()
    assert topology.uv is not None and topology.uv_faces is not None
    sides = topology.uv[topology.uv_faces][:, 1:] - topology.uv[topology.uv_faces][:, :1]
    covered, _, _ = texels(topology.uv, topology.uv_faces, 256)
    assert np.abs(np.linalg.det(sides)).sum() / 2 == pytest.approx(len(covered) / 256**2, abs=3e-3)


def test_a_foreign_uv_is_painted_by_its_landmarks() -> None:
    """Laid over itself, the procedural topology finds the grid that it is made of."""
    exact, found = procedural_canvas(64), fitted_canvas(procedural_topology(), 64)
    both, a, b = np.intersect1d(exact.skin, found.skin, return_indices=True)
    inner = (exact.row[a] > 2) & (exact.row[a] < 70) & (exact.away[a] < 24)
    assert len(both) > 0.95 * len(exact.skin)
    assert np.quantile(np.abs(exact.row[a] - found.row[b])[inner], 0.9) < 0.5
    assert np.quantile(np.abs(exact.column[a] - found.column[b])[inner], 0.9) < 0.5
    bare = Topology("bare", np.array([[0, 1, 2]]), np.eye(3, dtype=np.float32))
    with pytest.raises(Unsupported, match="uv and the landmarks"):
        fitted_canvas(bare, 64)
    with pytest.raises(BadSetting, match="8 to 2048"):
        procedural_canvas(4)


def test_a_set_with_textures_has_the_same_faces_and_people_who_stay_themselves(tmp_path: Path) -> None:
    options = {"subjects": 3, "expressions": "emotion6", "vertices": 500}
    plain = build_procedural(tmp_path / "plain", **options)
    data = build_procedural(tmp_path / "colored", textures=32, **options)
    np.testing.assert_array_equal(plain[:], data[:])
    assert data.has_textures.all() and data.textures is not None
    assert data.facts["textures"] == {"pixels": 32, "crop": [0.09, 0.0, 0.91, 0.84]}
    images = np.stack([read_texture(tmp_path / "colored" / name) for name in data.textures]).astype(float)
    means = np.stack([images[data.subject == person].mean(axis=0) for person in range(3)])
    within = np.abs(images - means[data.subject]).mean()
    between = min(np.abs(means[a] - means[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > 3 * within > 0


def test_a_beard_has_no_edge(painter: Painter) -> None:
    """From row to row the shadow of a beard deepens little by little, on cheeks and at the sides."""
    from dataclasses import replace

    who = replace(painted(painter, [0, 0], "male").who, beard=1.0)
    shaved, bearded = (
        PaintedPerson(painter, replace(who, beard=amount)).wearing({}).astype(float).mean(axis=2)
        for amount in (0.0, 1.0)
    )
    darker = shaved - bearded
    assert darker[at(68, 12)[0], 100:150].mean() > 10
    for column in (24, -24):
        x = at(0, column)[1]
        bands = darker[:210, x - 10 : x + 10].reshape(42, 5, 20).mean(axis=(1, 2))
        assert np.abs(np.diff(bands)).max() < 8
