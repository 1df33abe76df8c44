"""The inside of a mouth goes with the bones that it lies on, and nothing of it stands in the open mouth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data.sources.procedural.person import ProceduralPerson
from mien.data.sources.procedural.topology import procedural_topology
from mien.geometry.attachment import attached
from mien.geometry.carry import Carrier
from mien.geometry.cover import Cover
from mien.geometry.following import jaw_region, with_jaw
from mien.geometry.mouth_inside import find_mouth_inside
from mien.geometry.mouth_opening import covered_share
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.openings import edge_lengths, inside_of_mouth, openings
from mien.geometry.registration import main_piece
from mien.render.rays import Camera, ray_scene
from mien.topology import Topology

CRUMPLED = 0.3  # of its size: registered to a bag of another form, a pocket is left next to the lips


@pytest.fixture(scope="module")
def skin() -> tuple[NDArray[np.int64], Topology]:
    return main_piece(procedural_topology())


@pytest.fixture(scope="module")
def pocket(skin: tuple[NDArray[np.int64], Topology]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return inside_of_mouth(skin[1])


@pytest.fixture(scope="module")
def opened(skin: tuple[NDArray[np.int64], Topology]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(V, 3) somebody at rest, and (V, 3) how the jaw opens."""
    person = ProceduralPerson.draw(np.random.default_rng(5))
    rest = person.neutral[skin[0]].astype(np.float64)
    return rest, person.perform({"jawOpen": 1.0})[skin[0]] - rest


@pytest.fixture(scope="module")
def carrier(skin, pocket, opened) -> Carrier:  # type: ignore[no-untyped-def]
    """A head whose mouth goes on into a bag, under a template whose pocket is crumpled behind the lips."""
    topology, (line, inside), rest = skin[1], pocket, opened[0]
    laid = rest.copy()
    front = rest[line, 2].max()
    laid[inside, 2] = front + CRUMPLED * (rest[inside, 2] - front)
    laid[inside, 1] = rest[line, 1].mean() + CRUMPLED * (rest[inside, 1] - rest[line, 1].mean())
    pieces = NamedPieces.of(rest, topology.faces, [], None)
    return Carrier(rest, topology.faces, laid, topology, np.ones(len(rest), bool), pieces)


def test_a_pocket_is_what_the_line_of_the_inner_lips_cuts_off(pocket, skin) -> None:  # type: ignore[no-untyped-def]
    line, inside = pocket
    mouth = openings(skin[1])[0]
    assert line[[*mouth.corners, *mouth.upper, *mouth.lower]].all() and not (line & inside).any()
    points = skin[1].template
    assert 100 < inside.sum() < 400 and points[inside, 2].min() < mouth.center[2] - 30
    assert points[inside, 2].max() < points[line, 2].max()


def test_nothing_stands_in_an_open_mouth(carrier, opened, skin, pocket) -> None:  # type: ignore[no-untyped-def]
    rest, change = opened
    moved = carrier.carry(carrier.registered + change)
    lips = carrier.lips(change)
    assert lips is not None
    upper, lower = lips.foremost(rest)
    for part in (0.5, 1.0):
        assert covered_share(rest + part * moved, skin[1].faces, upper, lower) == 0
    # The sheet that is looked for: the lower lip's inside drawn up to the upper lip.
    torn = rest + moved
    torn[np.flatnonzero(pocket[1])] -= moved[np.flatnonzero(pocket[1])]
    assert covered_share(torn, skin[1].faces, upper, lower) > 0.2
    assert covered_share(rest, skin[1].faces, upper, lower) == 0  # shut: there is no opening


def test_the_inside_rests_above_and_turns_with_the_jaw_below(carrier, opened, pocket, skin) -> None:  # type: ignore[no-untyped-def]
    rest, change = opened
    moved = carrier.carry(carrier.registered + change)
    line, inside = pocket
    depth = rest[line, 2].max() - rest[:, 2]
    height = rest[:, 1] - rest[line, 1].mean()
    middle = np.abs(rest[:, 0] - rest[line, 0].mean()) < 12  # at the corners both bones pull
    deep = inside & middle & (depth > 12) & (depth < 30)
    above, below = deep & (height > 6), deep & (height < -6)
    assert above.sum() > 5 and below.sum() > 5
    assert np.linalg.norm(moved[above], axis=1).mean() < 5
    jaw = with_jaw(jaw_region(rest, openings(skin[1])[0].on(rest)), np.ones(1))
    turned = jaw(rest[below], rest, change[None])[0]
    assert np.linalg.norm(turned, axis=1).min() > 10
    assert np.linalg.norm(moved[below] - turned, axis=1).mean() < 5


def test_skin_that_comes_toward_the_inside_pushes_it_back(carrier, opened, pocket, skin, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A chin pressed far in: what lies behind it does not come out through the skin."""
    rest, inside, faces = opened[0], pocket[1], skin[1].faces
    covered = carrier._inside.members[carrier._inside.cover.rows]
    place = rest[covered][np.argsort(rest[covered, 1])[1]]  # the bottom of the mouth
    near = np.exp(-(((rest - place) / 10) ** 2).sum(axis=1))
    change = -np.array([0.0, 0.0, 25.0]) * near[:, None] * ~inside[:, None]

    def seen(points: NDArray) -> int:
        hit = Camera(np.eye(3), place, 40.0, 300).cast(ray_scene(points.astype(np.float32), faces))
        return int(inside[faces[hit.triangles]].all(axis=1).sum())

    assert seen(rest + carrier.carry(carrier.registered + change)) < 1.1 * seen(rest)
    monkeypatch.setattr(Cover, "pushed", lambda self, moves, carried: moves)
    assert seen(rest + carrier.carry(carrier.registered + change)) > 3 * seen(rest)


def test_a_pocket_that_lies_on_the_bag_tells_how_it_moves(carrier, opened, pocket, skin) -> None:  # type: ignore[no-untyped-def]
    """As on heads of the template's own make; crumpled it says nothing, and the bag goes with the bones."""
    topology, inside, rest = skin[1], pocket[1], opened[0]
    pieces = NamedPieces.of(rest, topology.faces, [], None)
    own = Carrier(rest, topology.faces, rest, topology, np.ones(len(rest), bool), pieces)
    behind = np.clip((rest[~inside, 2].max() - 20 - rest[:, 2]) / 20, 0, 1)  # the back of the bag goes up
    change = np.array([0.0, 4.0, 0.0]) * (behind * inside)[:, None]
    told, by_bones = own.carry(rest + change), carrier.carry(carrier.registered + change)
    assert np.linalg.norm(told - change, axis=1)[inside].max() < 1
    assert np.linalg.norm(told, axis=1).max() > 3.5 and np.linalg.norm(by_bones[inside], axis=1).max() < 0.5


def test_in_the_corners_the_inside_goes_with_both_lips(carrier, opened, pocket, skin) -> None:  # type: ignore[no-untyped-def]
    """Where neither lip is told: a corner that is drawn back takes along what hangs on it."""
    points, faces, mouth = carrier.points, carrier._faces, openings(skin[1])[0].on(carrier.registered)
    lies = attached(points, faces, carrier.skin, ~carrier.skin, carrier.registered, skin[1])
    corner = points[lies.at_lips][points[lies.at_lips, 0].argmax()]
    away = np.linalg.norm(points - corner, axis=1)
    side = np.where(away < 6, 0.0, lies.above)
    found = find_mouth_inside(points, faces, lies.inner, lies.at_lips, side, carrier.registered, mouth)
    assert found is not None
    change = np.array([5.0, 4.0, -6.0]) * np.exp(-((away / 12) ** 2))[:, None]
    moved = change.copy()
    still = np.zeros((1, *carrier.registered.shape))
    moved[found.members] = found.moved(change[None], points, carrier.registered, still)[0]
    edges = np.argwhere(np.triu(edge_lengths(faces, points).toarray() > 0))
    inner = np.isin(edges, found.members).any(axis=1) & (away[edges].max(axis=1) < 6)
    ways = [at[edges[inner, 0]] - at[edges[inner, 1]] for at in (points, points + moved)]
    length = np.linalg.norm(ways, axis=2)
    assert inner.sum() > 8 and (length[1] / length[0]).max() < 2.5


def test_teeth_that_would_come_through_the_chin_are_drawn_back() -> None:
    """As one piece: by what the tooth that comes out farthest needs, and not at all where none does."""
    x, y = np.meshgrid(np.arange(-20.0, 21, 4), np.arange(-20.0, 21, 4))
    skin = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    grid = np.arange(x.size).reshape(x.shape)
    first, right, up = grid[:-1, :-1].ravel(), grid[:-1, 1:].ravel(), grid[1:, :-1].ravel()
    faces = np.concatenate([np.stack([first, right, up], 1), np.stack([right, grid[1:, 1:].ravel(), up], 1)])
    teeth = np.array([[-6.0, 0, -3], [0, 0, -2], [6, 0, -5]])
    points = np.concatenate([skin, teeth, [[0.0, 100, 0]]])
    members, lips = len(skin) + np.arange(3), np.array([len(points) - 1])
    cover = Cover.of(points, faces, members, lips)
    assert cover.rows.tolist() == [0, 1, 2] and cover.depth.round(6).tolist() == [3, 2, 5]
    pressed, moves = np.zeros((2, len(points), 3)), np.zeros((2, 3, 3))
    pressed[0, :, 2] = -4.0  # the chin comes back by 4 mm, in the second pose by none
    drawn = cover.drawn_back(moves, pressed)
    np.testing.assert_allclose(drawn[0], np.tile([0, 0, -3.0], (3, 1)), atol=1e-9)  # one of skin is left
    np.testing.assert_array_equal(drawn[1], 0)
    near = Cover.of(points, faces, members, np.array([grid[5, 5]]))
    assert near.rows.tolist() == [], "next to the lips there is no cover"
    bare = Cover.of(points, faces[:0], members, lips)
    np.testing.assert_array_equal(bare.drawn_back(moves, pressed), moves)
    np.testing.assert_array_equal(bare.pushed(moves.copy(), pressed), moves)
