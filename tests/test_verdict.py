"""Registrations and what they carry are judged: right ones pass, planted faults are refused by place."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from heads import Workshop, ball, joined
from meshes import icosphere
from numpy.typing import NDArray
from strangers import on_template, registered, stranger, template

import mien
from mien.errors import BadFile, BadMesh
from mien.find.lids import eyes_are_closed
from mien.geometry.carried import MovedSurface, check_carried
from mien.geometry.differential import adjacency, vertex_normals
from mien.geometry.fit_measures import Measure, eyeballs_beside, likeness, measured, rims_beside
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.nonrigid import Schedule
from mien.geometry.openings import openings, rim_loops
from mien.geometry.registration import main_piece, register
from mien.geometry.rest_pose import mouth_gap
from mien.geometry.seen_lids import seen_eyes
from mien.geometry.surface import Surface
from mien.geometry.verdict import LIMITS, judge_registration

QUICK = Schedule(mode_steps=6, vertex_steps=2)


def placed() -> NDArray:
    """(N, 3) the stranger in the template's frame."""
    return registered().placement.apply(stranger().vertices)


def test_a_right_registration_is_within_all_limits() -> None:
    values = {measure.name: measure.value for measure in registered().measures}
    assert set(values) == {"flipped", "stretch", "uncovered", "unlike", "mouth rims", "eye rims", "no eyes",
                           "no face"}  # fmt: skip
    assert all(value < LIMITS[name].doubtful for name, value in values.items()), values
    assert registered().notes == ()
    assert values["unlike"] < 0.1 and values["mouth rims"] < 1.5 and values["eye rims"] < 1.5


def with_eyeballs() -> tuple[NDArray, NDArray]:
    """The stranger, and a ball in each eye."""
    head = stranger()
    return joined((head.vertices, head.faces), *(ball(eye, 11.5) for eye in head.person.eyes))


def test_a_template_on_the_wrong_place_is_refused_by_the_eyeballs() -> None:
    """It lies on the surface without a gap, and is wrong all the same."""
    vertices, faces = with_eyeballs()
    names, points = registered().landmarks()
    wrong = dict(zip(names, points + (0, 26.0, 0), strict=True))
    with pytest.raises(
        BadMesh, match=r"'mesh' as on a face; received an eyeball lies \d+ mm beside .* near "
    ):
        register(vertices, faces, template()[0], landmarks=wrong, schedule=QUICK)


def test_a_template_that_nothing_guides_is_bent_again_until_it_stays() -> None:
    """Put 26 mm too low it is caught on the way, and goes on from there to where it belongs."""
    vertices, faces = with_eyeballs()
    low = replace(registered().placement, translation=registered().placement.translation - (0, 26.0, 0))
    found = register(vertices, faces, template()[0], placement=low, schedule=QUICK)
    apart = np.linalg.norm(found.landmarks()[1] - registered().landmarks()[1], axis=1)
    assert apart.mean() < 2
    assert {item.name: item.value for item in found.measures}["eyeballs"] < 4


def test_the_measures_know_their_places() -> None:
    kept, main = main_piece(template()[0])
    bent = registered().vertices[kept].astype(np.float64)
    assert likeness(bent, bent, main) == pytest.approx(1)
    middle = bent.mean(axis=0)
    egg = middle + 90 * (bent - middle) / np.linalg.norm(bent - middle, axis=1, keepdims=True)
    assert abs(likeness(egg, bent, main)) < 0.4
    surface = Surface(placed(), stranger().faces)
    moved = rims_beside(bent + (0, 8.0, 0), main, surface)
    there = {item.name: item.value for item in moved}
    assert there["mouth rims"] > 3 and there["eye rims"] > 1.5
    assert max(eye.apart() for eye in seen_eyes(bent, main, surface, [])) < 1
    (left, right) = seen_eyes(bent + (0, 3.0, 0), main, surface, [])  # both lids at once
    assert left.apart() == pytest.approx(3, abs=1) and right.apart() == pytest.approx(3, abs=1)
    nothing = rims_beside(bent, main, Surface(*icosphere(4, 110.0)))
    assert all(item.value == 12.0 for item in nothing)  # as far as one looks
    balls = [ball(eye, 11.5)[0] for eye in registered().placement.apply(stranger().person.eyes)]
    (beside,) = eyeballs_beside(bent + (9.0, 0, 0), main, balls)
    (right,) = eyeballs_beside(bent, main, balls)
    assert right.value < 3 and beside.value == pytest.approx(9, abs=right.value)
    assert eyeballs_beside(bent, main, balls[:1]) == []
    torn = bent.copy()
    torn[main.faces[200]] += (0, 60.0, 0)
    far = measured(torn, main, surface, replace(registered().quality, distance=np.zeros(len(kept))))
    stretch = next(item for item in far if item.name == "stretch")
    assert (
        stretch.value > 2
        and stretch.vertex in main.faces[(main.faces[:, :, None] == main.faces[200]).any((1, 2))]
    )


def test_between_the_limits_it_is_said_and_beyond_refused() -> None:
    topology = template()[0]
    vertices = registered().vertices
    nose = int(topology.landmarks.corners[topology.landmarks.names.index("ibug_30"), 0])

    def judged(value: float) -> tuple[str, ...]:
        return judge_registration([Measure("stretch", value, nose)], vertices, topology, "bust")

    limit = LIMITS["stretch"]
    assert judged(limit.doubtful) == ()
    (note,) = judged(limit.doubtful + 1)
    assert note.startswith(
        "the registration is doubtful: the template is stretched or pressed 10-fold near nose"
    )
    with pytest.raises(
        BadMesh, match="does not lie on 'bust' as on a face; received .* 17-fold near nose_tip; "
    ):
        judged(limit.refused + 1)


# ---- what is carried


def checked(fault: NDArray) -> None:
    """The stranger opens the jaw, truly, and a fault (N, 3) millimeters is added to it."""
    head, found = stranger(), registered()
    kept, main = main_piece(template()[0])
    change = found.placement.scale * on_template(head.performed(jawOpen=1.0) - head.neutral)[kept]
    truth = found.placement.scale * (head.remesh.of(head.performed(jawOpen=1.0)) - head.vertices)
    model = MovedSurface(found.vertices[kept].astype(np.float64), main.faces)
    check_carried(MovedSurface(placed(), head.faces), (truth + fault)[None], model, change[None], main)


def test_the_truth_may_be_carried_and_faults_are_refused_where_they_are() -> None:
    head = stranger()
    fault = np.zeros_like(head.vertices)
    checked(fault)
    tip = int(head.vertices[:, 2].argmax())
    spike = fault.copy()
    spike[tip] = (0, 0, 60.0)
    with pytest.raises(BadMesh, match=r"near nose_\w+ fly off; received 60 mm where the model moves 3\d mm"):
        checked(spike)
    with pytest.raises(BadMesh, match="no position"):
        checked(np.where(np.arange(len(fault))[:, None] == tip, np.nan, fault))
    rng = np.random.default_rng(0)
    with pytest.raises(BadMesh, match="its edges stretch"):
        checked(rng.normal(scale=3.0, size=fault.shape))
    mirrored = fault.copy()
    cheek = np.linalg.norm(head.vertices - head.vertices[tip] - (35.0, -20.0, -30.0), axis=1) < 25
    mirrored[cheek] = -1.6 * (head.vertices[cheek] - head.vertices[cheek].mean(axis=0)) * (1, 0, 0)
    with pytest.raises(BadMesh, match="its (triangles turn over|edges stretch)"):
        checked(np.clip(mirrored, -15, 15))


def test_fins_are_held_by_what_they_stand_on() -> None:
    """A smooth continuation would fling a fin on a rim about; its neighbors hold it, and it is said."""
    head, found = stranger(), registered()
    sides = np.sort(head.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, times = np.unique(sides, axis=0, return_counts=True)
    rim = edges[times == 1]  # on any other edge it is known for a fin by its third triangle
    nose = head.vertices[head.vertices[:, 2].argmax()]
    root = rim[np.linalg.norm(head.vertices[rim].mean(axis=1) - nose, axis=1).argmin()]
    out = vertex_normals(head.vertices, head.faces)[root[0]]
    count, fin, triangles = len(head.vertices), [], []
    a, b = int(root[0]), int(root[1])
    for step in range(1, 12):
        fin.append(head.vertices[root[step % 2]] + 6.0 * step * out)
        new = count + step - 1
        triangles.append((a, b, new))
        a, b = b, new
    vertices = np.concatenate([head.vertices, fin])
    faces = np.concatenate([head.faces, triangles])
    finned = replace(
        found, mesh_vertices=vertices, mesh_faces=faces, skin=np.ones(len(vertices), bool),
        pieces=NamedPieces.of(vertices, faces),
    )  # fmt: skip
    assert finned.carrier.loose[-8:].all() and finned.carrier.loose[:count].sum() < 5
    assert finned.carrier.fins.sum() >= 3 and not found.carrier.fins.any()
    change = on_template(head.performed(noseSneer_L=1.0, noseSneer_R=1.0) - head.neutral)
    moved = found.vertices + found.placement.scale * change @ found.placement.rotation.T
    way = np.linalg.norm(finned.carry(moved) - vertices.astype(np.float32), axis=1)
    assert 0.5 < way[:count].max() and way[count:].max() <= way[:count].max()


def test_what_lies_behind_lids_is_held_by_what_is_around_it() -> None:
    """A smooth continuation would go on in the socket with the slope of the lids; means never go beyond."""
    head, found = stranger(), registered()
    eye = next(item for item in openings(template()[0]) if item.kind == "eye")
    center = found.placement.back(eye.on(found.vertices).center)
    loops = rim_loops(head.faces, len(head.vertices))
    rim = min(loops, key=lambda loop: float(np.linalg.norm(head.vertices[loop].mean(axis=0) - center)))
    count, deeper = len(head.vertices), np.array([0.0, 0.0, -2.0]) / found.placement.scale
    wall = [head.vertices[rim] + step * deeper @ found.placement.rotation for step in range(1, 9)]
    rings = [rim, *(count + len(rim) * step + np.arange(len(rim)) for step in range(len(wall)))]
    triangles = []
    for near, far in itertools.pairwise(rings):
        beside, behind = np.roll(near, -1), np.roll(far, -1)
        # The rim is walked as its triangles have it: the socket's go the other way.
        triangles += [np.stack([beside, near, far], axis=1), np.stack([beside, far, behind], axis=1)]
    vertices, faces = np.concatenate([head.vertices, *wall]), np.concatenate([head.faces, *triangles])
    deep = replace(
        found, mesh_vertices=vertices, mesh_faces=faces, skin=np.ones(len(vertices), bool),
        pieces=NamedPieces.of(vertices, faces),
    )  # fmt: skip
    change = on_template(head.performed(eyeBlink_L=1.0, eyeBlink_R=1.0) - head.neutral)
    moved = found.vertices + found.placement.scale * change @ found.placement.rotation.T
    way = (deep.carry(moved) - vertices.astype(np.float32)).astype(np.float64)
    graph = adjacency(faces, len(vertices)).astype(np.float64)
    around = (graph @ way) / np.asarray(graph.sum(axis=1)).reshape(-1, 1)
    socket = np.concatenate(rings[-4:])
    assert np.ptp(way[rim, 1]) > 5 and np.abs(way[socket]).max() > 1
    np.testing.assert_allclose(way[socket], around[socket], atol=1e-3)


# ---- at rest


def test_an_open_mouth_is_measured() -> None:
    topology, head = template()[0], stranger()
    gaps = [mouth_gap(on_template(head.performed(jawOpen=amount)), topology) for amount in (0, 0.15, 0.6)]
    assert [gap.is_parted for gap in gaps] == [False, True, True]
    assert [gap.is_open for gap in gaps] == [False, False, True] and 8 < gaps[2].millimeters < 25


def test_closed_eyes_are_seen() -> None:
    def seen(height: float) -> SimpleNamespace:
        points = np.full((478, 3), np.nan)
        for upper, lower, inner, outer in ((159, 145, 33, 133), (386, 374, 362, 263)):
            points[[upper, lower, inner, outer]] = [(0, height, 0), (0, 0, 0), (-15, 0, 0), (15, 0, 0)]
        return SimpleNamespace(points=points)

    assert eyes_are_closed(seen(1.5)) and not eyes_are_closed(seen(6.0))  # type: ignore[arg-type]
    assert not eyes_are_closed(seen(np.nan)) and not eyes_are_closed(None)  # type: ignore[arg-type]


def test_rigs_of_a_mouth_that_stands_open_are_made_on_demand(workshop: Workshop, tmp_path) -> None:
    model = mien.load_model(str(workshop.model))
    mesh = replace(workshop.mesh, vertices=workshop.posed(jawOpen=0.7), path=None)
    face = mien.open_face(mesh, model)
    assert any("lips stand" in note and "jawOpen opens the mouth further" in note for note in face.notes)
    made = mien.rig(model, face.vertices)
    with pytest.raises(BadMesh, match=r"'head' stands open at rest; received \d+ mm .*--rest-mouth-open"):
        face.write_rig(tmp_path / "rig.glb", made)
    assert not (tmp_path / "rig.glb").exists()
    face.write(tmp_path / "shown.obj", face.vertices)  # one face may have any expression
    replace(face, rest_mouth_open=True).write_rig(tmp_path / "rig.glb", made)
    np.testing.assert_allclose(
        mien.read_mesh(tmp_path / "rig.glb").vertices, face.in_millimeters(face.vertices) / 1000, atol=1e-6
    )


def onto_front(vertices: NDArray) -> dict[str, NDArray]:
    """The template's landmarks, put where the front of a shape is seen at their places."""
    topology = template()[0]
    points = topology.landmarks.positions(topology.template)
    front = vertices[vertices[:, 2] > np.median(vertices[:, 2])]
    gap = np.linalg.norm((points - points.mean(axis=0))[:, None, :2] - front[None, :, :2], axis=2)
    return dict(zip(topology.landmarks.names, front[gap.argmin(axis=1)], strict=True))


def shapes_without_a_face() -> dict[str, tuple[NDArray, NDArray]]:
    """A ball, an egg, a ring, a hand, a body without its head, and the back of the stranger's head."""
    ball_points, faces = icosphere(4, 1.0)
    fingers = [(ball_points * (9, 40, 9) + (x, 80, 0), faces) for x in (-36, -12, 12, 36)]
    limbs = [(60, 280, 60, x, -40) for x in (-250, 250)] + [(80, 400, 80, x, -600) for x in (-100, 100)]
    body = joined(
        (ball_points * (190, 300, 110), faces), (ball_points * (60, 60, 60) + (0, 300, 0), faces),
        *((ball_points * limb[:3] + (*limb[3:], 0), faces) for limb in limbs),
    )  # fmt: skip
    turn, around = np.meshgrid(np.linspace(0, 2 * np.pi, 48, False), np.linspace(0, 2 * np.pi, 24, False))
    wide = 70 + 35 * np.cos(around)
    ring = np.stack([wide * np.cos(turn), wide * np.sin(turn), 35 * np.sin(around)], axis=-1).reshape(-1, 3)
    place = np.arange(len(ring)).reshape(24, 48)
    right, up = np.roll(place, -1, 1), np.roll(place, -1, 0)
    corner = np.roll(right, -1, 0)
    ring_faces = np.concatenate(
        [np.stack(t, -1).reshape(-1, 3) for t in ((place, right, corner), (place, corner, up))]
    )
    head = stranger()
    is_back = head.vertices[:, 2] < np.median(head.vertices[:, 2])
    kept = np.flatnonzero(is_back)
    number = np.cumsum(is_back) - 1
    return {
        "ball": (ball_points * 95, faces), "egg": (ball_points * (75, 110, 95), faces),
        "ring": (ring, ring_faces), "hand": joined((ball_points * (45, 55, 15), faces), *fingers),
        "body": body,
        "back": (head.vertices[kept] * (-1, 1, -1), number[head.faces[is_back[head.faces].all(axis=1)]]),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ball", "egg", "ring", "hand", "back", "body"])
def test_what_is_no_face_is_refused_with_landmarks_too(name: str) -> None:
    vertices, faces = shapes_without_a_face()[name]
    words = "neither lids nor lips" if name in ("ball", "egg") else "do not lie like those of a face"
    with pytest.raises((BadMesh, BadFile), match=words) as caught:
        register(vertices, faces, template()[0], landmarks=onto_front(vertices), schedule=QUICK)
    assert "\n" not in str(caught.value)
