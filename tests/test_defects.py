"""Heads with doubled triangles, fins, stray vertices and slips are rigged; what is wrong is said and held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from heads import ball, joined
from numpy.typing import NDArray
from strangers import on_template, registered, stranger, template

from mien.geometry.defects import Defects, standing_faces
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.nonrigid import Schedule
from mien.geometry.registration import Registration, register
from mien.geometry.surface import rim_vertices

QUICK = Schedule(mode_steps=6, vertex_steps=2)


def with_mesh(vertices: NDArray, faces: NDArray) -> Registration:
    """The registered stranger as if it had been this mesh."""
    count = len(stranger().vertices)
    skin = np.arange(len(vertices)) < count
    return replace(
        registered(), mesh_vertices=vertices, mesh_faces=faces, skin=skin,
        pieces=NamedPieces.of(vertices, faces),
    )  # fmt: skip


def sneer(found: Registration) -> NDArray:
    """(N, 3) how far each vertex goes when the nose wrinkles and the jaw opens, millimeters."""
    head = stranger()
    change = on_template(head.performed(noseSneer_L=1.0, noseSneer_R=1.0, jawOpen=0.5) - head.neutral)
    there = found.vertices + found.placement.scale * change @ found.placement.rotation.T
    return found.carry(there) - found.mesh_vertices.astype(np.float32)


def test_a_vertex_far_off_is_told_and_goes_with_its_neighbors() -> None:
    head = stranger()
    names, points = registered().landmarks()
    gap = np.linalg.norm(head.vertices - points[names.index("ibug_8")], axis=1)
    vertices, chin = head.vertices.copy(), int(gap.argmin())
    around = np.setdiff1d(head.faces[(head.faces == chin).any(axis=1)], chin)
    vertices[chin] += (300.0, 400.0, 0.0)
    found = Defects.of(vertices, head.faces, np.ones(len(vertices), bool))
    assert np.flatnonzero(found.far).tolist() == [chin] and not found.doubled.any() and not found.crowded
    assert not (head.faces[found.sound(head.faces)] == chin).any()
    laid = register(vertices, head.faces, template()[0], placement=registered().placement, schedule=QUICK)
    assert any(note.startswith(f"vertex {chin}, ") and "far off" in note for note in laid.notes), laid.notes
    truth, moved = sneer(registered()), sneer(with_mesh(vertices, head.faces))
    low, high = moved[around].min(axis=0), moved[around].max(axis=0)
    assert (moved[chin] >= low - 1e-4).all() and (moved[chin] <= high + 1e-4).all()
    others = np.arange(len(vertices)) != chin
    assert np.abs(moved - truth)[others].max() < 0.5 and np.linalg.norm(moved[around], axis=1).min() > 1


def test_a_good_head_has_no_defects() -> None:
    head = stranger()
    found = Defects.of(head.vertices, head.faces, np.ones(len(head.vertices), bool))
    assert found.sound(head.faces).all() and not found.crowded and not found.held.any()
    assert found.sentences(head.vertices, head.faces, registered().vertices) == ()
    scan = Defects.of(head.vertices, head.faces[:0], np.ones(len(head.vertices), bool))
    assert not scan.far.any() and scan.sentences(head.vertices, head.faces[:0], head.vertices) == ()


def test_doubled_triangles_count_once() -> None:
    head = stranger()
    faces = np.concatenate([head.faces, head.faces[:300], head.faces[:100, ::-1]])
    found = Defects.of(head.vertices, faces, np.ones(len(head.vertices), bool))
    assert found.doubled.sum() == 400 and not found.crowded
    (said,) = found.sentences(head.vertices, faces, registered().vertices)
    assert said == "400 triangles are there twice: they count once"
    np.testing.assert_allclose(
        sneer(with_mesh(head.vertices, faces)), sneer(with_mesh(head.vertices, head.faces)), atol=1e-4
    )


def test_vertices_of_no_triangle_rest() -> None:
    """They are no pieces: none is called hair or teeth, wherever it lies."""
    head, rng = stranger(), np.random.default_rng(0)
    loose = head.vertices.mean(axis=0) + rng.normal(scale=100.0, size=(500, 3))
    found = with_mesh(np.concatenate([head.vertices, loose]), head.faces)
    assert found.carrier.parts == [] and found.carrier.stray.sum() == 500
    assert not found.carrier.stray[: len(head.vertices)].any()
    moved = sneer(found)
    np.testing.assert_array_equal(moved[len(head.vertices) :], 0)
    np.testing.assert_array_equal(moved[: len(head.vertices)], sneer(with_mesh(head.vertices, head.faces)))


def test_two_hundred_fins_are_told_and_none_flies() -> None:
    head, rng = stranger(), np.random.default_rng(0)
    inner = head.faces[~rim_vertices(head.faces, len(head.vertices))[head.faces].any(axis=1)]
    root = inner[rng.choice(len(inner), 200, replace=False)]
    side = np.cross(*(head.vertices[root[:, k]] - head.vertices[root[:, 0]] for k in (1, 2)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    tips = head.vertices[root].mean(axis=1) + side * rng.uniform(5, 25, (200, 1))
    count = len(head.vertices)
    fins = np.stack([root[:, 0], root[:, 1], count + np.arange(200)], axis=1)
    vertices, faces = np.concatenate([head.vertices, tips]), np.concatenate([head.faces, fins])
    found = with_mesh(vertices, faces)
    found = replace(found, skin=np.ones(len(vertices), bool))
    defects = Defects.of(vertices, faces, found.skin)
    assert 190 < defects.crowded <= 200
    assert np.flatnonzero(defects.fins).tolist() == list(range(count, count + 200))
    crowded, standing, held = defects.sentences(vertices, faces, vertices)
    assert crowded == f"{defects.crowded} edges have more than two triangles"
    first = ", ".join(map(str, fins[0]))
    assert standing.startswith("200 triangles stand on") and f"the first at vertices {first}: " in standing
    assert held == "200 vertices of fins go with their neighbors"
    moved = np.linalg.norm(sneer(found), axis=1)
    assert (moved[count:] <= moved[root].max(axis=1) + 1e-4).all()
    truth = np.linalg.norm(sneer(with_mesh(head.vertices, head.faces)), axis=1)
    np.testing.assert_allclose(moved[:count], truth, atol=1e-3)


def with_eyeballs() -> tuple[NDArray, NDArray]:
    """The stranger, and a ball in each eye."""
    head = stranger()
    return joined((head.vertices, head.faces), *(ball(eye, 11.5) for eye in head.person.eyes))


@pytest.mark.parametrize("count", [50, 200, 500])
def test_triangles_strewn_over_skin_and_eyeballs_join_nothing_and_change_nothing(count: int) -> None:
    """Between any vertices: eyeball to lid, lip to neck; some share an edge with the skin or with a rim."""
    vertices, faces = with_eyeballs()
    rng = np.random.default_rng(count)
    strewn = np.stack([rng.choice(len(vertices), 3, replace=False) for _ in range(count)])
    border = np.flatnonzero(rim_vertices(faces, len(vertices))[faces].sum(axis=1) == 2)[:20]
    strewn[:20, :2] = faces[border, :2]
    strewn[20:40, :2] = faces[rng.choice(len(faces), 20), :2]
    fouled = np.concatenate([faces, strewn])
    standing = standing_faces(fouled)
    assert not standing[: len(faces)].any() and standing[len(faces) :].mean() > 0.98
    pieces, sound = NamedPieces.of(vertices, fouled), NamedPieces.of(vertices, faces)
    np.testing.assert_array_equal(pieces.label, sound.label)
    truth, moved = with_mesh(vertices, faces), with_mesh(vertices, fouled)
    assert [part.kind for part in moved.carrier.parts] == ["eye", "eye"]
    np.testing.assert_allclose(sneer(moved), sneer(truth), atol=0.02)
    defects = Defects.of(vertices, fouled, truth.skin)
    assert not defects.fins.any()
    assert any(
        f"{standing.sum()} triangles stand on" in said
        for said in defects.sentences(vertices, fouled, vertices)
    )


def test_fins_of_an_eyeball_are_no_part_of_its_form_and_turn_with_it() -> None:
    """Lids slide over the ball, not over what stands on it."""
    vertices, faces = with_eyeballs()
    skin, rng = len(stranger().vertices), np.random.default_rng(1)
    root = faces[(faces >= skin).all(axis=1)]
    root = root[rng.choice(len(root), 60, replace=False)]
    middle = vertices[root].mean(axis=1)
    count = len(vertices)
    tips = middle + 8.0 * rng.normal(size=middle.shape)
    fouled = np.concatenate([faces, np.column_stack([root[:, :2], count + np.arange(60)])])
    found, truth = with_mesh(np.concatenate([vertices, tips]), fouled), with_mesh(vertices, faces)
    assert [part.kind for part in found.carrier.parts] == ["eye", "eye"]
    gaze = np.tile([20.0, 0.0], (2, 1))
    there = truth.vertices[None]
    turned, right = (item.carry(there, gaze=gaze[None])[0] - item.mesh_vertices for item in (found, truth))
    np.testing.assert_allclose(turned[:count], right, atol=1e-4)
    assert np.linalg.norm(turned[count:], axis=1).mean() > 1
    np.testing.assert_allclose(sneer(found)[:count], sneer(truth), atol=1e-4)
