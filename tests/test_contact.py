"""What touches: lids close on an eyeball, lips over a dropped jaw, and nothing comes through the skin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.transform import Rotation

from mien.data.arkit import meets_of
from mien.data.head_rigs import LEFT_EYE, SKIN, UPPER_TEETH, HeadRig
from mien.evaluation.rigs.through import Inside, made_up_take, tallest_slit, through_the_skin
from mien.geometry.contact import Eye, Meets, as_far_as_open, find_eyes, find_lips, lids_closed, shut_eyes
from mien.geometry.correctives import turned_with_jaw
from mien.geometry.eyeballs import Ball
from mien.geometry.lid_pieces import lid_pieces
from mien.geometry.lids import CLOSED_MM, OVERLAP_MM, Lids, find_lids
from mien.geometry.openings import Opening

RADIUS, HALF_WIDTH, OPEN = 12.0, 11.0, 4.0
LEFT, RIGHT = np.array([-HALF_WIDTH, 0, 9.6]), np.array([HALF_WIDTH, 0, 9.6])


def ball() -> Ball:
    """A sphere of 12 mm about the origin."""
    number = np.arange(4000) + 0.5
    turn, height = np.pi * (1 + 5**0.5) * number, 1 - 2 * number / 4000
    ring = np.sqrt(1 - height**2)
    cloud = RADIUS * np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    return Ball(np.zeros(3), RADIUS, cloud)


def lid_skin(columns: int = 61, rows: int = 21) -> tuple[np.ndarray, np.ndarray]:
    """Two lids before the ball, open by 8 mm in the middle, joined beyond the corners; no flap behind."""
    x, t = np.meshgrid(np.linspace(-18, 18, columns), np.linspace(0, 1, rows))
    rim = np.maximum(OPEN * (1 - (x / HALF_WIDTH) ** 2), 0)
    halves = []
    for sign in (1.0, -1.0):
        y = sign * (rim + t * (15 - rim))
        halves.append(np.stack([x, y, 12.8 - (x**2 + y**2) / 40], axis=-1).reshape(-1, 3))
    corner = np.arange(columns * rows).reshape(rows, columns)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    upper = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    faces = np.concatenate([upper, upper[:, ::-1] + columns * rows])
    points = np.concatenate(halves)
    _, first, number = np.unique(points.round(6), axis=0, return_index=True, return_inverse=True)
    return points[first], number.ravel()[faces]


def blink(points: np.ndarray, share: float) -> np.ndarray:
    """The upper lid comes down by a share of what is open, and less above its rim."""
    x, y = points[:, 0], points[:, 1]
    rim = np.maximum(OPEN * (1 - (x / HALF_WIDTH) ** 2), 0)
    down = np.where(y > 0, 2 * rim * share * np.clip(1 - (y - rim) / 9, 0, 1), 0)
    return np.stack([0 * x, -down, 0 * x], axis=1)


@pytest.fixture(scope="module")
def eye() -> tuple[np.ndarray, np.ndarray, Lids]:
    points, faces = lid_skin()
    lids = find_lids(points, faces, ball(), LEFT, RIGHT)
    assert lids is not None
    return points, faces, lids


def test_lids_are_found_where_they_end(eye: tuple[np.ndarray, np.ndarray, Lids]) -> None:
    points, _, lids = eye
    rim = OPEN * (1 - (lids.places / HALF_WIDTH) ** 2)
    np.testing.assert_allclose(lids.upper, rim, atol=0.05)
    np.testing.assert_allclose(lids.lower, -rim, atol=0.05)
    assert lids.places[0] < -10 and lids.places[-1] > 10 and lids.opening == pytest.approx(8, abs=0.02)
    assert (lids.is_upper == (points[lids.members, 1] > 1e-3)).mean() > 0.97


@pytest.mark.parametrize("share", [0.0, 0.7, 1.3])
def test_lids_close_all_along_whatever_the_blink_did(
    share: float, eye: tuple[np.ndarray, np.ndarray, Lids]
) -> None:
    points, _, lids = eye
    change = blink(points, share)
    before = lids.seen(change[lids.members])
    assert (before[20:-20].max() > 2) == (share < 1)
    edges = np.full(len(points), 0.9)
    after = lids.closed(change[lids.members], ball(), edges[lids.members])
    gap = lids.seen(after, ball())
    assert gap[1:-1].max() < 0.1 and abs(gap[8:-8].mean() + OVERLAP_MM) < 0.3
    assert np.nanmean(lids.gaps(after, ball())[8:-8]) < CLOSED_MM + 0.1
    lower = points[lids.members, 1] < -0.5
    assert np.abs(after[lower] - change[lids.members][lower]).max() < 1e-9
    depth = np.linalg.norm(points[lids.members] + after, axis=1)
    assert depth.min() > RADIUS  # nothing cuts the ball
    far = points[lids.members, 1] > lids.upper.max() + 0.9 * lids.opening + 0.1
    assert far.any()
    np.testing.assert_array_equal(after[far], change[lids.members][far])


def test_a_lid_that_slid_in_behind_the_other_comes_out(eye: tuple[np.ndarray, np.ndarray, Lids]) -> None:
    points, _, lids = eye
    rest, change = lids.rest, blink(points, 0.9)[lids.members]
    change = change - np.outer(lids.share, (0, 0, 0.9))
    assert lids._behind(rest + change)[30:-30].min() > 0.6
    after = lids.closed(change, None, np.full(len(rest), 0.9))
    assert lids._behind(rest + after)[30:-30].max() < 0.1
    gone = change - np.outer(lids.share, (0, 0, 6.0))  # behind everything: no lid that slid in
    assert (lids.closed(gone, None, np.full(len(rest), 0.9)) - gone)[:, 2].max() < 1.3


def test_what_lies_inside_the_eyeball_does_not_hide_the_slit() -> None:
    points, faces = lid_skin()
    flap = np.array([[-8, 3, 2], [8, 3, 2], [8, -3, 2], [-8, -3, 2]], float)
    more = np.array([[0, 1, 2], [0, 2, 3]]) + len(points)
    lids = find_lids(np.concatenate([points, flap]), np.concatenate([faces, more]), ball(), LEFT, RIGHT)
    assert lids is not None and lids.opening == pytest.approx(8, abs=0.02)


def test_a_closed_eye_has_no_lids() -> None:
    points, faces = lid_skin()
    closed = points * (1, 1, 1)
    closed[:, 1] = np.sign(points[:, 1]) * np.maximum(
        np.abs(points[:, 1]) - np.maximum(OPEN * (1 - (points[:, 0] / HALF_WIDTH) ** 2), 0), 0
    )
    assert find_lids(closed, faces, ball(), LEFT, RIGHT) is None


@pytest.mark.parametrize("hanging", [0.0, 0.5, 1.0])
def test_a_blink_goes_as_far_as_the_eye_is_open(hanging: float) -> None:
    """Lids that hang half-way have half a blink left, closed ones nothing; other skin and shapes stay."""
    points, faces = lid_skin()
    rest, whole = points + blink(points, hanging), blink(points, 1.0)
    edge = OPEN * (1 - (points[:, 0] / HALF_WIDTH) ** 2)
    on = [(edge > 0.5) & (np.abs(points[:, 1] - sign * edge) < 0.05) for sign in (1, -1)]
    upper, lower = (np.flatnonzero(mask) for mask in on)
    registered = np.concatenate([rest, [LEFT, RIGHT, [-40, 0, 0]]])
    registered[upper, 1] += 0.5  # lids of a template hardly meet
    corners = (len(points), len(points) + 1)
    slit = Opening("eye", np.zeros(3), 22.0, upper, lower, np.concatenate([upper, lower]), True, corners)
    eyes = find_eyes(rest, faces, registered, [slit], [])
    shut = shut_eyes(registered, [slit], eyes)
    assert (len(eyes), shut) == ((0, (0,)) if hanging == 1 else (1, ()))
    carried, meets = np.stack([whole, whole, whole]), Meets(np.array([[1, 0], [0, 0], [0, 1]], bool))
    short = as_far_as_open(carried, np.ones(len(points), bool), meets, eyes, shut)
    np.testing.assert_array_equal(short[1:], carried[1:])  # no blink, and one of the other side
    still = np.zeros(len(points), bool)
    found = lids_closed(eyes, short, meets, np.full(len(points), 0.9), still)[0]
    rim = upper[np.abs(points[upper, 0]) < 6]
    assert (found / np.where(whole == 0, 1, whole))[rim, 1].mean() == pytest.approx(1 - hanging, abs=0.05)
    for eye in eyes:
        assert eye.lids.seen(found[eye.lids.members])[8:-8].max() < 0.1
        assert np.abs(eye.lids.gaps(found[eye.lids.members])[8:-8]).max() < 0.6


def test_eyes_without_eyeballs_close_and_lashes_go_along() -> None:
    points, faces = lid_skin()
    lash = np.array([[0.0, OPEN + 0.2, 13.6], [0.5, OPEN + 0.4, 14.6], [-0.5, OPEN + 0.4, 14.6]])
    whole = np.concatenate([points, lash])
    upper, lower = (np.flatnonzero(np.abs(points[:, 1] - sign * OPEN) < 0.3) for sign in (1, -1))
    registered = np.concatenate([points, [LEFT, RIGHT, [-40, 0, 0]]])
    corners = (len(points), len(points) + 1)
    slit = Opening("eye", np.zeros(3), 22.0, upper, lower, np.concatenate([upper, lower]), True, corners)
    (eye,) = find_eyes(whole, faces, registered, [slit], [])
    assert eye.ball is None and eye.side == 0
    carried = np.zeros((2, len(whole), 3))
    spread = np.arange(len(whole)) >= len(points)
    meets = Meets(np.array([[False, False], [True, False]]))
    found = lids_closed([eye], carried, meets, np.full(len(whole), 0.9), spread)
    assert (found[0] == 0).all() and eye.lids.seen(found[1, eye.lids.members])[1:-1].max() < 0.1
    assert found[1, -3:, 1].max() < -7  # lashes come down with the rim of 8 mm


def film_and_lash() -> tuple[np.ndarray, np.ndarray]:
    """A film of 9 x 21 points over the open eye, a little under both lids; a lash of 21 roots and 21 tips."""
    x, t = np.meshgrid(np.linspace(-9, 9, 21), np.linspace(-1.15, 1.15, 9))
    y = t * OPEN * (1 - (x / HALF_WIDTH) ** 2)
    film = np.stack([x, y, np.sqrt(12.3**2 - x**2 - y**2)], axis=-1).reshape(-1, 3)
    along = np.linspace(-9, 9, 21)
    root = OPEN * (1 - (along / HALF_WIDTH) ** 2)
    roots = np.stack([along, root, 12.8 - (along**2 + root**2) / 40], axis=1)
    return film, np.concatenate([roots, roots + (0, 2.0, 4.0)])


def test_films_shrink_between_lids_that_close_and_lashes_turn_with_theirs(
    eye: tuple[np.ndarray, np.ndarray, Lids],
) -> None:
    points, _, lids = eye
    film, lash = film_and_lash()
    whole = np.concatenate([points, film, lash])
    skin = np.arange(len(whole)) < len(points)
    films = np.arange(len(points), len(points) + len(film))
    lashes = np.arange(len(points) + len(film), len(whole))
    far = ("tear film", np.array([0, 1, 2]))  # of another eye, at the corner of the skin
    pieces = [("tear film", films), ("lashes", lashes), ("hair", films), far]
    found = lid_pieces(whole, skin, [Eye(0, lids, ball())], pieces)
    assert [piece.is_film for piece in found] == [True, False]
    carried = np.zeros((3, len(whole), 3))
    for row, share in enumerate((0.5, 1.0)):
        carried[row + 1, : len(points)] = blink(points, share)
    for piece in found:
        carried[:, piece.members] = piece.moved(carried)
    assert np.abs(carried[0]).max() < 1e-12
    posed = whole + carried
    rim = OPEN * (1 - (film[:, 0] / HALF_WIDTH) ** 2)
    half, closed = posed[1, films], posed[2, films]
    share = (film[:, 1] + rim) / (2 * rim)
    np.testing.assert_allclose((half[:, 1] + rim) / rim, share, atol=0.12)  # as high between them as at rest
    np.testing.assert_allclose(closed[:, 1], -rim, atol=0.4)  # in the line where they meet
    lower = cKDTree(points[:, :2]).query(closed[:, :2])[1]
    assert (points[lower, 2] - closed[:, 2]).min() > 0.4  # behind the lower lid
    roots, tips = posed[:, lashes[:21]], posed[:, lashes[21:]]
    np.testing.assert_allclose(roots[2, :, 1], -lash[:21, 1], atol=0.4)
    np.testing.assert_allclose(np.linalg.norm(tips - roots, axis=2), np.sqrt(20.0), atol=0.1)
    assert (tips[0] - roots[0])[:, 1].min() > 1.9 and (tips[2] - roots[2])[10, 1] < -0.5  # up, then down


def lips() -> tuple[np.ndarray, np.ndarray, np.ndarray, Opening]:
    """Two flat lips that lie 0.4 mm apart, a jaw that drops by 20 mm, lips that close over it by 15."""
    x, y = np.meshgrid(np.linspace(-24, 24, 33), np.linspace(0.2, 18, 18))
    half = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    points = np.concatenate([half, half * (1, -1, 1)])
    wide = np.clip(1 - (points[:, 0] / 24) ** 2, 0, None)
    jaw, close = np.zeros_like(points), np.zeros_like(points)
    jaw[points[:, 1] < 0, 1] = -20 * wide[points[:, 1] < 0]
    close[points[:, 1] < 0, 1] = 15 * wide[points[:, 1] < 0]
    mouth = Opening(
        "mouth", np.zeros(3), 48.0, np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), True, (0, 0)
    )
    return points, jaw, close, mouth


def test_lips_meet_over_a_dropped_jaw_from_both_sides() -> None:
    points, jaw, close, mouth = lips()
    found = find_lips(points, np.ones(len(points), bool), jaw, mouth)
    assert found is not None and (points[found.upper, 1] > 0).all() and (points[found.lower, 1] < 0).all()
    assert np.abs(found.apart(jaw + close)).max() > 4
    more = found.closed(jaw + close)
    assert np.abs(found.apart(jaw + close + more)).max() < 0.1
    assert more[found.upper, 1].min() < -1.5 and more[found.lower, 1].max() > 1.5
    assert np.abs(more[np.abs(points[:, 1]) > 17.5]).max() == 0
    assert find_lips(points, np.ones(len(points), bool), 0.05 * jaw, mouth) is None


def test_motion_turns_with_the_jaw() -> None:
    rng = np.random.default_rng(0)
    points, other = rng.normal(size=(50, 3)) * 20, rng.normal(size=(50, 3))
    turn = Rotation.from_rotvec([0.3, 0, 0])
    jaw = turn.apply(points + (0, 20, 30)) - (0, 20, 30) - points
    still = np.concatenate([points, points + (0, 200, 0)])
    whole = np.concatenate([jaw, 0 * jaw])
    more = turned_with_jaw(still, whole, np.concatenate([other, other]))
    np.testing.assert_allclose(more[:50], turn.apply(other) - other, atol=1e-9)
    np.testing.assert_array_equal(more[50:], 0)


@pytest.mark.parametrize(
    ("names", "lids", "rows"),
    [
        (["jawOpen", "eyeBlinkLeft", "mouthClose"], [[0, 0], [1, 0], [0, 0]], (0, 2)),
        (["eyeBlink_R", "eyeSquintLeft"], [[0, 1], [0, 0]], (None, None)),
        (["eye_closed", "smile"], [[1, 1], [0, 0]], (None, None)),
        (["my own"], [[0, 0]], (None, None)),
    ],
)
def test_what_meets_is_told_by_names(names: list[str], lids: list[list[int]], rows: tuple) -> None:
    meets = meets_of(names)
    np.testing.assert_array_equal(meets.lids, np.array(lids, bool))
    assert (meets.jaw, meets.lips) == rows


def face() -> HeadRig:
    """Lids before an eyeball, and below them a tooth behind a wall of skin."""
    skin, faces = lid_skin()
    sphere = ball().cloud
    hull = ConvexHull(sphere).simplices
    side = np.linspace(-10, 10, 21)
    x, y = np.meshgrid(side, side)
    wall = np.stack([x.ravel(), y.ravel() - 40, 0 * x.ravel()], axis=1)
    corner = np.arange(441).reshape(21, 21)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    quads = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    tooth = np.array([[-1.3, -40.2, -1.0], [1.3, -40.2, -1.0], [0.2, -38.1, -1.0]])
    parts = [(skin, faces, SKIN), (wall, quads, SKIN), (sphere, hull, LEFT_EYE),
             (tooth, np.array([[0, 1, 2]]), UPPER_TEETH)]  # fmt: skip
    starts = np.cumsum([0] + [len(part[0]) for part in parts[:-1]])
    vertices = np.concatenate([part[0] for part in parts])
    triangles = np.concatenate([part[1] + start for part, start in zip(parts, starts, strict=True)])
    piece = np.concatenate([np.full(len(part[0]), part[2], np.uint8) for part in parts])
    none = np.zeros((0, *vertices.shape), np.float32)
    return HeadRig("made", vertices, triangles.astype(np.int32), (), none, piece)


def test_a_tooth_that_comes_through_is_told_and_one_in_an_open_mouth_is_not() -> None:
    head = face()
    inside = Inside(head, head.piece)
    assert inside.depth(np.zeros_like(head.vertices)) == 0
    push = np.zeros_like(head.vertices)
    push[head.piece == UPPER_TEETH, 2] = 3.0
    assert inside.depth(push) == pytest.approx(2.0, abs=1e-3)
    aside = push.copy()
    aside[head.piece == UPPER_TEETH, 0] = 40.0  # where there is no skin behind it
    assert inside.depth(aside) == 0
    told = through_the_skin(inside, {"jawOpen": 0 * push, "cheekPuff": push}, frames=6)
    assert told["jawOpen"] == 0 and told["cheekPuff"] == pytest.approx(2.0, abs=1e-3)
    assert 0 <= told["take"] <= 2.0 + 1e-3


def test_an_eyeball_through_its_lid_and_the_slit_of_an_eye_are_measured() -> None:
    head = face()
    assert tallest_slit(head, np.zeros_like(head.vertices), LEFT_EYE) == pytest.approx(8, abs=0.25)
    skin = head.skin
    shut, cut = np.zeros_like(head.vertices), np.zeros_like(head.vertices)
    shut[skin] = 1.05 * blink(head.vertices[skin], 1.0)
    shut[skin, 2] += np.where(shut[skin, 1] < 0, 1.0, 0.0)
    assert tallest_slit(head, shut, LEFT_EYE) < 0.25
    lid = skin & (np.abs(head.vertices[:, 1] - 8) < 2) & (np.abs(head.vertices[:, 0]) < 3)
    cut[lid, 2] = -4.0
    assert Inside(head, head.piece).depth(cut) > 0.5


def test_a_made_up_take_is_the_same_again_and_pairs_go_together() -> None:
    names = ("jawOpen", "mouthClose", "mouthSmileLeft", "mouthSmileRight", "browInnerUp")
    take = made_up_take(names, 50)
    np.testing.assert_array_equal(take, made_up_take(names, 50))
    assert take.min() >= 0 and take.max() <= 1 and (take[:, 1] <= take[:, 0]).all()
    active = take[:, 2] > 0.35
    assert active.any() and (take[active, 3] > 0).all()
