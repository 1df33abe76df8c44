"""Which pieces of a head are what, and what each does when the face moves: on a dressed head."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
from heads import Workshop, ball, block, joined
from meshes import icosphere
from numpy.typing import NDArray
from strangers import on_template, registered, stranger

import mien
from mien.data.notation import parse_pieces
from mien.data.sources.procedural.topology import procedural_topology
from mien.errors import BadSetting, UnknownName
from mien.geometry.differential import vertex_normals
from mien.geometry.following import with_head
from mien.geometry.named_pieces import NamedPieces, NamedTriangles
from mien.geometry.openings import openings
from mien.geometry.part_list import piece_rows, pieces_sentence
from mien.geometry.piece_forms import eyeball_of, kind_in_mouth
from mien.geometry.piece_kinds import KINDS, kind_of_word, kinds_of_names
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import Registration
from mien.viewer.picking import LoadedHead

Piece = tuple[NDArray, NDArray]
DRESSED = {
    "eye": 2, "upper teeth": 1, "lower teeth": 1, "tongue": 1, "brows": 2, "lashes": 2, "glasses": 3,
    "hair": 1, "clothes": 1, "other": 1,
}  # fmt: skip


def patch_of_skin(inside: NDArray) -> Piece:
    """A card half a millimeter above the skin where its vertices, (N,) bool, are inside."""
    head = stranger()
    faces = head.faces[inside[head.faces].all(axis=1)]
    used, index = np.unique(faces, return_inverse=True)
    lifted = head.vertices + 0.5 * vertex_normals(head.vertices, head.faces)
    return lifted[used], index.reshape(-1, 3)


def row_of_teeth(center: NDArray) -> Piece:
    """A horseshoe around the tongue, front forward: a strip of 24 x 3 vertices."""
    turn = np.linspace(-0.45 * np.pi, 0.45 * np.pi, 24)
    arch = np.stack([22 * np.sin(turn), np.zeros(24), 30 * np.cos(turn) - 30], axis=1)
    points = center + arch[:, None] + np.array([[0, -4.0, 0], [0, 0, 0], [0, 4.0, 0]])
    corner = (np.arange(23)[:, None] * 3 + np.arange(2)).ravel()
    faces = np.concatenate([
        np.stack([corner, corner + 3, corner + 1], 1), np.stack([corner + 1, corner + 3, corner + 4], 1)
    ])  # fmt: skip
    return points.reshape(-1, 3), faces


def lashes(eye_rim: NDArray) -> Piece:
    """A strip that grows 7 mm forward and up from a lid."""
    rim = eye_rim[np.argsort(eye_rim[:, 0])] + (0, 0.2, 0.2)  # beside the lid: where they meet they are one
    points = np.concatenate([rim, rim + (0, 2.0, 6.0)])
    first = np.arange(len(rim) - 1)
    after = first + len(rim)
    faces = [np.stack([first, first + 1, after], 1), np.stack([first + 1, after + 1, after], 1)]
    return points, np.concatenate(faces)


@lru_cache
def wardrobe() -> dict[str, Piece]:
    """Name -> a piece, on the stranger's head, in millimeters."""
    head = stranger()
    mouth, *eyes = (opening.on(head.neutral) for opening in openings(procedural_topology()))
    deep, between = mouth.center - (0, 0, 8.0), (eyes[0].center + eyes[1].center) / 2
    found = {
        f"ball{k}": ball(center, 11.5) for k, center in enumerate(head.person.eyes)
    } | {
        "top row": row_of_teeth(deep + (0, 8.0, 0)), "bottom row": row_of_teeth(deep - (0, 8.0, 0)),
        "muscle": block(deep + (0, -6.0, -18), (24, 7, 30)),
        "frame": block(between + (0, 0, 22), (125, 36, 3)),
        "shirt": block(head.vertices[:, 1].min() * np.array([0, 1.0, 0]) - (0, 40, 30), (200, 50, 120)),
        "balloon": ball(np.array([150.0, 160.0, 0]), 30.0),
    }  # fmt: skip
    for k, eye in enumerate(eyes):
        offset = (head.vertices - eye.center) / eye.width
        above = (np.abs(offset[:, 0]) < 0.7) & (offset[:, 1] > 0.45) & (offset[:, 1] < 0.85)
        found[f"arch{k}"] = patch_of_skin(above & (offset[:, 2] > -1))
        found[f"strip{k}"] = lashes(head.neutral[eye.upper])
        side = np.sign(eye.center[0] - between[0])
        found[f"arm{k}"] = block(between + (side * 75.0, 0, -30), (3, 6, 95))
    points, faces = icosphere(3, 1.0)
    cap = faces[(points[faces][:, :, 1] > 0.15).all(axis=1)]
    top = head.vertices.max(axis=0)
    used, index = np.unique(cap, return_inverse=True)
    found["cap"] = points[used] * (85, 60, 85) + (0, top[1] - 45, top[2] - 95), index.reshape(-1, 3)
    return found


def dressed(said: dict[str, str] | None = None, names: dict[str, str] | None = None) -> Registration:
    """The registered stranger with all pieces; ``names`` gives pieces of the wardrobe other names."""
    head, skin = registered(), stranger()
    pieces = [(skin.vertices, skin.faces), *wardrobe().values()]
    vertices, faces = joined(*pieces)
    owner = np.repeat(np.arange(len(pieces)), [len(part) for _, part in pieces])
    titles = ("head", *((names or {}).get(name, "") for name in wardrobe()))
    shown = tuple(dict.fromkeys(title for title in titles if title))
    of_piece = np.array([shown.index(title) if title else -1 for title in titles])
    named = NamedPieces.of(vertices, faces, [NamedTriangles(shown, of_piece[owner])], said)
    mask = np.arange(len(vertices)) < len(skin.vertices)
    return replace(head, mesh_vertices=vertices, mesh_faces=faces, skin=mask, pieces=named)


@lru_cache
def plain() -> Registration:
    return dressed()


def rows(name: str) -> slice:
    """Where a piece of the wardrobe is among the vertices."""
    start = len(stranger().vertices)
    for key, (points, _) in wardrobe().items():
        if key == name:
            return slice(start, start + len(points))
        start += len(points)
    raise KeyError(name)


def moved(found: Registration, **shapes: float) -> NDArray:
    """(N, 3) how far each vertex of the dressed head goes, millimeters."""
    change = on_template(stranger().performed(**shapes) - stranger().neutral)
    there = found.vertices + found.placement.scale * change @ found.placement.rotation.T
    return found.carry(there).astype(np.float64) - found.mesh_vertices.astype(np.float32)


def kinds(found: Registration) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in found.carrier.parts:
        counts[part.kind] = counts.get(part.kind, 0) + 1
    return counts


def test_pieces_are_told_by_place_and_form() -> None:
    assert kinds(plain()) == DRESSED
    assert {part.told_by for part in plain().carrier.parts} == {"form"}


def test_each_kind_does_what_it_says_when_the_jaw_opens() -> None:
    jaw = moved(plain(), jawOpen=1.0)
    for name in ("ball0", "ball1", "top row", "frame", "arm0", "arm1", "shirt", "balloon"):
        np.testing.assert_array_equal(jaw[rows(name)], 0, err_msg=name)
    for name in ("bottom row", "muscle"):
        before = plain().mesh_vertices[rows(name)]
        fit = procrustes(before, before + jaw[rows(name)])
        np.testing.assert_allclose(fit.apply(before), before + jaw[rows(name)], atol=1e-3)
        assert np.linalg.norm(jaw[rows(name)], axis=1).min() > 4, name
    assert np.linalg.norm(jaw[rows("cap")], axis=1).max() < 1.5


def test_brows_and_lashes_go_with_the_skin_beneath_them() -> None:
    raised = moved(plain(), browInnerUp_L=1.0, browInnerUp_R=1.0, browOuterUp_L=1.0, browOuterUp_R=1.0)
    skin = raised[: len(stranger().vertices)]
    for name in ("arch0", "arch1"):
        points = plain().mesh_vertices[rows(name)]
        gap = np.linalg.norm(stranger().vertices[:, None] - points, axis=2)
        below = skin[gap.argmin(axis=0)]
        assert np.linalg.norm(below, axis=1).mean() > 2
        assert np.linalg.norm(raised[rows(name)] - below, axis=1).mean() < 0.8
    blink = moved(plain(), eyeBlink_L=1.0, eyeBlink_R=1.0)
    for name in ("strip0", "strip1"):
        assert np.linalg.norm(blink[rows(name)], axis=1).max() > 4
    np.testing.assert_array_equal(blink[rows("frame")], 0)


def test_names_and_the_users_word_stand_above_the_form() -> None:
    found = dressed(
        {"CAP": "Hat"},
        {"cap": "cap", "top row": "Teeth_Lower", "balloon": "Beard", "frame": "Visor"},
    )
    by_title = {part.title: part for part in found.carrier.parts if not part.title.startswith("piece_")}
    assert {title: (part.kind, part.told_by) for title, part in by_title.items()} == {
        "cap": ("hat", "user"), "Teeth_Lower": ("lower teeth", "name"), "Beard": ("hair", "name"),
        "Visor": ("glasses", "form"),
    }  # fmt: skip
    jaw = moved(found, jawOpen=1.0)
    assert np.linalg.norm(jaw[rows("top row")], axis=1).min() > 4
    np.testing.assert_array_equal(jaw[rows("cap")], 0)
    report = {row["name"]: row for row in piece_rows(found.carrier.parts)}
    assert report["cap"]["behavior"] == KINDS["hat"] and report["cap"]["vertices"] == len(
        wardrobe()["cap"][0]
    )
    said = pieces_sentence(found.carrier.parts)
    assert "hat (cap; as you say)" in said and "hair (Beard; by name)" in said and "2 x eye (" in said


def test_a_piece_that_is_said_to_be_something_else_is_no_skin() -> None:
    head = stranger()
    vertices, faces = joined((head.vertices, head.faces), (head.vertices * 1.01, head.faces))
    owner = np.repeat([0, 1], len(head.faces))
    naming = [NamedTriangles(("person", "helper-hair"), owner)]
    pieces = NamedPieces.of(vertices, faces, naming)
    assert pieces.uncovered(faces).max() < len(head.vertices)  # nor is it looked at
    assert pieces.may_be_skin(int(pieces.label[0])) and not pieces.may_be_skin(int(pieces.label[-1]))
    mine = NamedPieces.of(vertices, faces, naming, {"HELPER-hair": "skin"})
    assert mine.may_be_skin(int(mine.label[-1]))
    assert (pieces.kind(int(mine.label[-1])), mine.kind(int(mine.label[-1]))) == ("hair", "skin")
    with pytest.raises(UnknownName, match="unknown piece of the mesh; received 'glasses'"):
        NamedPieces.of(vertices, faces, naming, {"glasses": "hat"})


def test_words_in_names() -> None:
    names = (
        ["Wolf3D_Head"], ["Wolf3D_Teeth"], ["EyeLeft"], ["Wolf3D_Glasses"], ["Wolf3D_Outfit_Top"],
        ["helper-l-eyelashes-1"], ["helper-upper-teeth"], ["joint-r-eye"], ["teeth_bottom.001"], ["Eyelids"],
        ["node7", "N00_000_Hair_00_HAIR"], ["hairband"], ["eyebrows"], ["headShape"], ["tearLine"], [],
    )  # fmt: skip
    assert kinds_of_names(names) == [
        None, "teeth", "eye", "glasses", "clothes", "lashes", "upper teeth", "other", "lower teeth", None,
        "hair", "hat", "brows", None, "tear film", None,
    ]  # fmt: skip
    # What all pieces are called says nothing of any.
    assert kinds_of_names([["hat_man_body"], ["hat_man_eye"]]) == [None, "eye"]
    assert kinds_of_names([["glasses"]]) == [None]


def test_of_two_rows_below_the_line_of_the_mouth_the_higher_is_the_upper() -> None:
    lower = plain().mesh_vertices.copy()
    top, bottom = rows("top row"), rows("bottom row")
    line = (lower[top, 1].mean() + lower[bottom, 1].mean()) / 2
    for row in (top, bottom):
        lower[row, 1] -= lower[top, 1].mean() - line + 2.0
    found = replace(plain(), mesh_vertices=lower)
    assert (kinds(found)["upper teeth"], kinds(found)["lower teeth"]) == (1, 1)
    jaw = moved(found, jawOpen=1.0)
    np.testing.assert_array_equal(jaw[top], 0)
    assert np.abs(jaw[bottom]).max() > 5


def test_what_is_called_an_eye_is_one_only_where_eyes_are() -> None:
    found = dressed(names={"shirt": "eye_of_a_needle", "ball0": "EyeLeft", "strip0": "eye_lid_hair"})
    by_title = {part.title: (part.kind, part.told_by) for part in found.carrier.parts}
    assert by_title["eye_of_a_needle"] == ("clothes", "form")
    assert by_title["EyeLeft"] == ("eye", "name")
    said = dressed({"shirt": "eye"}, {"shirt": "shirt"})  # but the user's word counts anywhere
    assert ("shirt", "eye", "user") in {(part.title, part.kind, part.told_by) for part in said.carrier.parts}


def test_an_eye_whose_corner_was_not_found_is_told_by_the_size_of_the_other() -> None:
    """A stylized head: eyeballs as large as they may be, and one eye is read too narrow."""
    center = [np.array([side * 32.0, 0.0, 0.0]) for side in (-1, 1)]
    balls = [icosphere(2, radius=21.0)[0] + middle - (0, 0, 15) for middle in center]
    plan = SimpleNamespace(eyes=[SimpleNamespace(center=middle, width=width)
                                 for middle, width in zip(center, (26.0, 22.0), strict=True)])  # fmt: skip
    found = [eyeball_of(cloud, plan) for cloud in balls]  # type: ignore[arg-type]
    assert [item is not None and round(item[1]) for item in found] == [21, 21]
    assert eyeball_of(balls[0] * 1.2, plan) is None  # type: ignore[arg-type]


def test_teeth_with_a_palate_and_a_row_that_is_filled_are_no_tongues() -> None:
    mouth = next(iter(openings(procedural_topology()))).on(stranger().neutral)
    deep = mouth.center - (0, 0, 8.0)
    width = mouth.width
    for center, size, kind in (
        ((0, -6.0, -18.0), (0.5 * width, 7, 30), "tongue"),
        ((0, 8.0, -18.0), (0.5 * width, 7, 30), "upper teeth"),
        ((0, -6.0, -18.0), (1.0 * width, 7, 30), "lower teeth"),
    ):
        points, _ = block(deep + np.array(center), size)
        assert kind_in_mouth(points, mouth) == kind


@pytest.mark.usefixtures("laid_once")
def test_the_same_mesh_in_another_pose_may_have_its_pieces_named(workshop: Workshop) -> None:
    model = mien.load_model(str(workshop.model))
    neutral = replace(workshop.mesh, path=None)
    face = mien.open_face(neutral, model)
    assert face.head is not None
    title = face.head.registration.carrier.parts[0].title
    posed = face.posed(neutral, model, pieces={title: "glasses"})
    assert posed.pieces == {title: "glasses"} and posed.head is not None
    told = {(part.title, part.kind, part.told_by) for part in posed.head.registration.carrier.parts}
    assert (title, "glasses", "user") in told
    np.testing.assert_array_equal(posed.head.registration.skin, face.head.registration.skin)
    assert posed.posed(neutral, model).pieces == {title: "glasses"}
    assert LoadedHead.of_face(posed).pieces == {title: "glasses"}  # when landmarks are picked on it


def test_what_a_user_writes() -> None:
    assert parse_pieces(["a=b=Upper-Teeth", "Rims = glasses", "x=eyes"]) == {
        "a=b": "upper teeth", "Rims": "glasses", "x": "eye",
    }  # fmt: skip
    with pytest.raises(BadSetting, match="NAME=KIND; received teeth"):
        parse_pieces(["teeth"])
    with pytest.raises(UnknownName, match="did you mean 'tongue'"):
        kind_of_word("tounge")


def test_glasses_go_with_a_head_that_moves_and_not_with_its_face() -> None:
    found, points = registered(), np.array([[0.0, 30.0, 120.0], [60.0, 30.0, 60.0], [-60.0, 25.0, 60.0]])
    rest = found.vertices.astype(np.float64)
    smile = on_template(stranger().performed(jawOpen=1.0) - stranger().neutral)
    angle = np.radians(12)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    nod = rest @ turn.T + (0, 5.0, 0) - rest
    still, turned_head, both = with_head(points, rest, np.stack([smile, nod, nod + smile @ turn.T]))
    np.testing.assert_array_equal(still, 0)
    np.testing.assert_allclose(points + turned_head, points @ turn.T + (0, 5.0, 0), atol=1e-6)
    np.testing.assert_allclose(points + both, points @ turn.T + (0, 5.0, 0), atol=1.0)
