"""A mirrored head and one that is inside out look alike: names and textures tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from heads import Z_UP
from test_registration import stranger

from mien.find.face import INSIDE_OUT
from mien.find.given import EXCHANGED
from mien.find.handedness import MIRRORED, PERHAPS, names_exchanged, texture_sense, told_handedness
from mien.geometry.named_pieces import NamedTriangles
from mien.geometry.placement import Placement
from mien.io.record import Mesh

BESIDE = Placement(np.eye(3), 1.0, np.zeros(3))


def textured() -> Mesh:
    """A head with a texture that is laid on from its front, as it is seen."""
    vertices, faces = stranger().vertices, stranger().faces
    uv = (vertices[:, :2] / 400 + 0.5).astype(np.float32)
    corners = vertices[faces].astype(np.float64)
    front = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
    return Mesh(vertices.astype(np.float32), faces[front].astype(np.int32), uv=uv, uv_faces=faces[front])


def mirrored(mesh: Mesh) -> Mesh:
    return replace(mesh, vertices=mesh.vertices * np.float32([-1, 1, 1]))


def turned(mesh: Mesh) -> Mesh:
    uv_faces = None if mesh.uv_faces is None else mesh.uv_faces[:, ::-1]
    return replace(mesh, faces=mesh.faces[:, ::-1], uv_faces=uv_faces)


def test_the_sense_of_a_texture() -> None:
    mesh = textured()
    assert texture_sense(mesh) == texture_sense(mirrored(mesh)) == 1
    assert texture_sense(turned(mesh)) == 0
    assert texture_sense(replace(mesh, uv=None, uv_faces=None)) == 0.5
    assert mesh.uv is not None
    assert texture_sense(replace(mesh, uv=np.zeros_like(mesh.uv))) == 0.5


def told(mesh: Mesh, *notes: str, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What is said of a mesh whose first name is that of the half at the person's left."""
    half = (mesh.vertices[mesh.faces][..., 0].mean(axis=1) < 0).astype(int)
    naming = [NamedTriangles(names, half)] if names else []
    return told_handedness(notes, mesh, naming, BESIDE)


def test_mirrored_heads_and_inside_out_ones_are_told_apart() -> None:
    mesh = textured()
    assert told(mesh) == ()
    assert told(turned(mesh), INSIDE_OUT) == (INSIDE_OUT,)
    (why, still) = told(mirrored(mesh), INSIDE_OUT)
    assert (
        why.startswith("the head is mirrored: its triangles are inside out, their texture")
        and still == INSIDE_OUT
    )
    bare = replace(mesh, uv=None, uv_faces=None)
    assert told(turned(bare), INSIDE_OUT) == (INSIDE_OUT + PERHAPS,)
    (why, *_) = told(mirrored(bare), INSIDE_OUT, EXCHANGED)
    assert "left and right of the landmarks are exchanged" in why
    assert told(bare, EXCHANGED) == (EXCHANGED,)


def test_names_of_sides_say_more_than_the_texture() -> None:
    bare = replace(textured(), uv=None, uv_faces=None)
    right_ones, wrong_ones = ("Eye_L", "Eye_R"), ("eyeRight", "eyeLeft")
    assert told(bare, names=right_ones) == ()
    assert told(turned(bare), INSIDE_OUT, names=right_ones) == (INSIDE_OUT,)
    said = MIRRORED.format(why="what is named left lies on the person's right")
    assert told(bare, names=wrong_ones) == (said,)
    assert told(mirrored(bare), INSIDE_OUT, names=right_ones[::-1]) == (said, INSIDE_OUT)


@pytest.mark.parametrize(
    ("names", "exchanged"),
    [
        (("brow.L", "brow.R"), False), (("My3D_Eye_R", "My3D_Eye_L"), True), (("LeftEye", "RightEye"), False),
        (("lash_l", "brow_r"), None), (("eye", "teeth"), None), (("l_r_eye", "r_l_eye"), None), ((), None),
    ],
)  # fmt: skip
def test_only_names_that_differ_in_their_side_alone_tell(
    names: tuple[str, ...], exchanged: bool | None
) -> None:
    across = np.array([30.0, 32.0, -31.0, -30.0])
    assert names_exchanged([NamedTriangles(names, np.array([0, 0, 1, 1]))], across) is exchanged
    assert (
        names_exchanged([NamedTriangles(names, np.array([0, 0, 1, 1]))], across / 10) is None
    )  # in the middle


def test_the_placement_says_where_left_is() -> None:
    bare = replace(textured(), uv=None, uv_faces=None)
    half = (bare.vertices[bare.faces][..., 0].mean(axis=1) < 0).astype(int)
    naming = [NamedTriangles(("Eye_L", "Eye_R"), half)]
    lying = replace(bare, vertices=(bare.vertices @ Z_UP.T).astype(np.float32))
    turn = Placement(Z_UP.T, 1.0, np.zeros(3))
    assert told_handedness((), lying, naming, turn) == ()
    backward = Placement(np.diag([-1.0, 1.0, -1.0]), 1.0, np.zeros(3))
    assert told_handedness((), bare, naming, backward)[0].startswith("the head is mirrored")
