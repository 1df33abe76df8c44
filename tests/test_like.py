"""Rigs made like other rigs: copied on the same topology, carried to others, several weighed, trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from heads import Z_UP, ball, joined, remeshed
from numpy.typing import NDArray
from strangers import template

import mien
from mien.apply.rig_people import rig_set
from mien.data.expressions import ARKIT
from mien.data.head_rigs import LEFT_EYE, SKIN, HeadRig, find_head_rigs, read_head_rig
from mien.data.sources.procedural.person import ProceduralPerson
from mien.data.sources.procedural.topology import procedural_topology
from mien.errors import BadMesh
from mien.evaluation.rigs import measures
from mien.evaluation.rigs.controls import controls_beside
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import main_piece
from mien.io.glb import read_glb_targets
from mien.io.gltf import write_glb
from mien.io.mesh import write_obj
from mien.models.base import FaceModel
from mien.models.textbook import Textbook
from mien.topology import Topology

NAMES = ("jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browInnerUp")
Capture = pytest.CaptureFixture[str]


@lru_cache
def surface() -> tuple[Topology, NDArray]:
    """The skin of a small face, and which vertices of a procedural person it has."""
    topology, rows = template()
    kept, skin = main_piece(topology)
    return skin, rows[kept]


def performed(seed: int, name: str, mesh: int) -> NDArray[np.float64]:
    """(N, 3) millimeters: how far a person moves, on a mesh of its skin."""
    person, (skin, rows) = ProceduralPerson.draw(np.random.default_rng(seed)), surface()
    return remeshed(skin, seed=mesh).of((person.perform(dict(ARKIT[name])) - person.neutral)[rows])


@lru_cache
def made_up(seed: int, mesh: int = 3, names: tuple[str, ...] = NAMES) -> HeadRig:
    """A rig that somebody made of a person, on the person's skin meshed in a way of its own."""
    person, (skin, rows) = ProceduralPerson.draw(np.random.default_rng(seed)), surface()
    mine = remeshed(skin, seed=mesh)
    shapes = np.stack([performed(seed, name, mesh) for name in names])
    return HeadRig(
        f"person{seed}", mine.of(person.neutral[rows]), mine.faces.astype(np.int32), names,
        shapes.astype(np.float32), np.full(len(shapes[0]), SKIN, np.uint8),
    )  # fmt: skip


def written(rig: HeadRig, path: Path) -> Path:
    """The rig as a GLB."""
    base = rig.vertices.astype(np.float32)
    write_glb(path, base, Topology(rig.name, rig.faces, base), base + rig.displacements, rig.names)
    return path


@pytest.fixture(scope="module", autouse=True)
def by_shape() -> Iterator[None]:
    """Made-up heads are placed by their shape: looking at each from many sides has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.apply.heads.searcher_for", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def general() -> FaceModel:
    """What brings rigs into correspondence: a small model that knows some people."""
    topology, rows = template()
    faces = np.stack([ProceduralPerson.draw(np.random.default_rng([7, k])).neutral[rows] for k in range(16)])
    aligned = procrustes(faces, topology.template, scale=True).apply(faces)
    modes = (aligned - aligned.mean(axis=0)) / np.sqrt(len(faces))
    model = Textbook(topology, NAMES[:1])
    model.set_shapes(torch.zeros(1, len(rows), 3), torch.from_numpy(modes))
    return model


@pytest.fixture(scope="module")
def like_one(general: FaceModel) -> Textbook:
    model, notes = mien.model_like([made_up(21)], general=general)
    assert len(notes) == 1 and "person21" in notes[0]
    return model


def test_a_head_of_another_topology_does_what_the_rig_does(like_one: Textbook) -> None:
    """Neither person nor mesh are the rig's; the head is in meters and Z up, with eyeballs."""
    head = made_up(11, 2)
    balls = [ball(np.array([x, 34.0, 80.0]), 12.0) for x in (-32.0, 32.0)]
    points, faces = joined((head.vertices, head.faces), *balls)
    mesh = mien.Mesh((0.001 * points @ Z_UP.T).astype(np.float32), faces.astype(np.int32), name="head")
    face = mien.open_face(mesh, like_one)
    assert set(like_one.expressions) == set(NAMES) and face.registered
    assert like_one.topology.vertex_count == len(made_up(21).skin_mesh[0])
    made = mien.rig(like_one, face.vertices)
    moved = (face.carried(made.targets).astype(np.float64) - mesh.vertices) @ Z_UP * 1000
    for name, own in zip(made.names, moved, strict=True):
        wanted = performed(11, name, 2)
        # What the rig's person does at the very same places of the skin: the best that can come.
        best = performed(21, name, 2)
        error = measures.relative_error(own[: len(best)], wanted)
        assert error < measures.relative_error(best, wanted) + 0.2, name
        assert measures.cosine(own[: len(best)], best) > 0.94, name
        assert np.abs(own[len(best) :]).max() < 1e-3, "eyeballs rest"


def test_the_rig_itself_comes_back_exactly(general: FaceModel, tmp_path: Path, capsys: Capture) -> None:
    rig = made_up(21)
    eyed = replace(rig, piece=np.where(np.arange(len(rig.piece)) < 40, LEFT_EYE, SKIN).astype(np.uint8))
    mesh = mien.Mesh(rig.vertices.astype(np.float32), rig.faces, name="mine")
    model, (told,) = mien.model_like([eyed], mesh, general=general)
    assert "copied vertex by vertex" in told and "times" not in told
    opened = mien.open_face(mesh, model)
    made = mien.rig(model, opened.vertices)
    assert not opened.registered
    order = [rig.names.index(name) for name in made.names]
    np.testing.assert_allclose(made.targets - made.base, rig.displacements[order], atol=2e-5)


def test_a_larger_head_of_the_same_topology_moves_as_much_more(general: FaceModel) -> None:
    rig = made_up(21)
    large = mien.Mesh((1.25 * rig.vertices + 7).astype(np.float32), rig.faces, name="large")
    model, (told,) = mien.model_like([rig], large, general=general)
    assert "1.25 times as large" in told
    made = mien.rig(model, mien.open_face(large, model).vertices)
    order = [rig.names.index(name) for name in made.names]
    np.testing.assert_allclose(made.targets - made.base, 1.25 * rig.displacements[order], atol=1e-3)


def test_shapes_follow_the_neutral_where_people_show_how() -> None:
    """Three people whose shape grows with the width of their faces: a fourth gets what belongs to its own."""
    topology = procedural_topology()
    rest = topology.template.astype(np.float64)
    wide = np.zeros_like(rest)
    wide[:, 0] = rest[:, 0] * np.exp(-(((rest[:, 1] - rest[:, 1].mean()) / 30) ** 2))
    open_ = np.zeros_like(rest)
    open_[:, 1] = -np.maximum(0, rest[:, 1].mean() - rest[:, 1]) / 5
    amounts = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    model = Textbook(topology, ("jawOpen",))
    model.learn(
        rest + amounts[:, None, None] * wide, ((1 + 2 * amounts)[:, None, None] * open_)[:, None],
        np.ones((5, 1), bool),
    )  # fmt: skip
    moved = np.array([0.0, 30.0, -500.0])  # where a head stands says nothing of it
    for amount in (-0.15, 0.05, 0.15):
        face = (rest + amount * wide + moved).astype(np.float32)
        shape = mien.rig(model, face).targets[0] - face
        size = float((shape * open_).sum() / (open_**2).sum())
        assert size == pytest.approx(1 + 2 * amount, abs=0.04)
    far = (rest + 3 * wide).astype(np.float32)  # nobody like it was seen: no farther than the widest
    size = float(((mien.rig(model, far).targets[0] - far) * open_).sum() / (open_**2).sum())
    assert size == pytest.approx(1.4, abs=0.05)


def test_chance_is_not_taken_for_a_rule() -> None:
    """Shapes that have nothing to do with the neutral: everybody gets the mean."""
    topology = procedural_topology()
    random = np.random.default_rng(0)
    smooth = np.cos(topology.template / 40)
    neutrals = topology.template + random.normal(size=(8, 1, 3)) * smooth
    shapes = np.ones((8, 1, 1, 1)) * smooth + random.normal(size=(8, 1, *smooth.shape))
    model = Textbook(topology, ("jawOpen",))
    model.learn(neutrals, shapes, np.ones((8, 1), bool))
    made = mien.rig(model, neutrals[0].astype(np.float32))
    np.testing.assert_allclose(made.targets[0] - made.base, shapes.mean(axis=0)[0], atol=0.02)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rigs: two on one mesh, one with a shape less on another."""
    folder = tmp_path_factory.mktemp("rigs")
    for seed in (21, 22):
        written(made_up(seed), folder / f"person{seed}.glb")
    written(made_up(23, 4, NAMES[:3]), folder / "person23.glb")
    return folder


def test_rigs_of_several_topologies_become_a_data_set_that_models_train_on(
    studio: Path, general: FaceModel, tmp_path: Path
) -> None:
    data = mien.prepare_rigs(studio, tmp_path / "data", license="mine", general=general)
    assert data.subjects == ("person21", "person22", "person23") and len(data) == 3 + 4 + 4 + 3
    assert data.topology.vertex_count == len(made_up(21).skin_mesh[0]) and data.license == "mine"
    assert set(data.expressions) == set(NAMES)
    rows = made_up(21).skin_mesh[0]
    for name in NAMES[:3]:  # of a person on another mesh: the shapes are those that it makes on this one
        row = np.flatnonzero(
            (data.row_subject == 2) & (data.row_weights[:, data.expressions.index(name)] == 1)
        )
        made = (data[row] - data.neutral_of(row))[0]
        assert measures.cosine(made, performed(23, name, 3)[rows]) > 0.95, name
    for method in ("mean_expression", "textbook", "morphable"):
        model = mien.train(method, data, out=tmp_path / method, protocol="everyone", progress=False)
        assert set(mien.rig(model, data.neutral_of(np.array([0]))[0]).names) == set(NAMES)


def test_a_single_rig_is_a_data_set(general: FaceModel, tmp_path: Path) -> None:
    data = mien.prepare_rigs(written(made_up(21), tmp_path / "one.glb"), tmp_path / "data", general=general)
    model = mien.train("textbook", data, out=tmp_path / "run", protocol="everyone", progress=False)
    neutral = data.neutral_of(np.array([0]))[0]
    made, rig = mien.rig(model, neutral), made_up(21)
    rows = rig.skin_mesh[0]
    np.testing.assert_allclose(neutral, rig.vertices[rows], atol=1e-2)
    for name, target in zip(made.names, made.targets, strict=True):
        np.testing.assert_allclose(target - neutral, rig.shape(name)[rows], atol=1e-2)


def test_rigs_that_share_a_mesh_keep_all_its_pieces(general: FaceModel) -> None:
    rig = made_up(21)
    ball = rig.vertices[:60] * 0.1 + np.array([0, 0, 40.0])
    extra = np.array([[0, 1, 2], [2, 3, 4]]) + len(rig.vertices)
    pieces = [
        replace(
            item, vertices=np.concatenate([item.vertices, ball]), faces=np.concatenate([item.faces, extra]),
            displacements=np.pad(item.displacements, ((0, 0), (0, 60), (0, 0)), constant_values=0.5),
            piece=np.pad(item.piece, (0, 60), constant_values=LEFT_EYE),
        )
        for item in (rig, made_up(22))
    ]  # fmt: skip
    found = rig_set(pieces, general=general)
    people = list(found.people())
    assert found.topology.vertex_count == len(rig.vertices) + 60
    np.testing.assert_allclose(people[0].displacements[0, -1], 0.5, atol=1e-4)
    assert people[1].shown.all()


def test_lips_that_touch_are_no_seam() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, -1, 0.0]])
    faces = np.array([[0, 1, 2], [4, 3, 5]], np.int32)
    still = np.zeros((1, 6, 3), np.float32)
    apart = still.copy()
    apart[0, 3:, 1] = -1
    for moved, places in ((still, 4), (apart, 3)):
        rig = HeadRig("lips", vertices, faces, ("jawOpen",), moved, np.full(6, SKIN, np.uint8))
        rows, triangles = rig.skin_mesh
        assert len(rows) == places and triangles.max() == places - 1  # apart: the larger piece is left


def obj(rig: HeadRig, folder: Path) -> Path:
    """The head of a rig at rest."""
    base = rig.vertices.astype(np.float32)
    write_obj(folder / "head.obj", base, Topology(rig.name, rig.faces, base))
    return folder / "head.obj"


def rigs(folder: Path) -> Path:
    (folder / "rigs").mkdir()
    return folder / "rigs"


def misnamed(folder: Path) -> Path:
    names = ("Key 1", "smyle", "eyeBlnkLeft", "x")
    return written(replace(made_up(21), names=names), folder / "misnamed.glb")


def motionless(folder: Path) -> Path:
    rig = made_up(21)
    return written(replace(rig, displacements=0 * rig.displacements), folder / "motionless.glb")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (misnamed, "eyeBlnkLeft (nearest: eyeBlinkLeft)"), (motionless, "moves anything"),
        (lambda folder: folder / "none.glb", "does not exist"), (lambda folder: folder, "no rigs"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(
    make: Callable[[Path], Path], said: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out.glb"
    told = run(capsys, "rig", obj(made_up(11, 2), tmp_path), "--like", make(rigs(tmp_path)), "-o", out)
    assert told.code == 2 and said in told.err and "Traceback" not in told.err
    assert not out.exists()


def test_a_source_that_is_no_face_is_refused(general: FaceModel) -> None:
    points = np.random.default_rng(0).normal(size=(40, 3)) * 60
    moved = np.full((1, 40, 3), 5, np.float32)
    lump = HeadRig(
        "lump",
        points,
        np.arange(39).reshape(13, 3).astype(np.int32),
        ("jawOpen",),
        moved,
        np.zeros(40, np.uint8),
    )
    with pytest.raises(BadMesh, match="the rig 'lump' cannot be followed"):
        mien.model_like([lump], general=general)


def test_what_moves_nothing_is_said_and_left_out(general: FaceModel) -> None:
    rig = made_up(21)
    still = replace(rig, displacements=rig.displacements * np.array([1, 0, 1, 1])[:, None, None])
    mesh = mien.Mesh(rig.vertices.astype(np.float32), rig.faces)
    model, notes = mien.model_like([still], mesh, general=general)
    assert (
        any("move nothing: eyeBlinkLeft" in note for note in notes)
        and "eyeBlinkLeft" not in model.expressions
    )


def test_a_table_names_what_no_scheme_knows(tmp_path: Path, capsys: Capture) -> None:
    rig = made_up(21)
    path = written(replace(rig, names=("Key 1", "Key 2", "Key 3", "Key 4")), tmp_path / "keys.glb")
    table = tmp_path / "names.csv"
    table.write_text("arkit,shape,weight\njawOpen,Key 1,0.5\n")
    head = tmp_path / "head.obj"
    write_obj(
        head, rig.vertices.astype(np.float32), Topology("h", rig.faces, rig.vertices.astype(np.float32))
    )
    like = ["--like", path, "--like-names", table]
    told = run(capsys, "rig", obj(rig, tmp_path), *like, "-o", tmp_path / "out.glb")
    assert told.code == 0, told.err
    made = read_glb_targets(tmp_path / "out.glb")
    assert made.names == ("jawOpen",)
    np.testing.assert_allclose(made.targets[0] - made.base, 0.5 * rig.displacements[0], atol=2e-3)


def test_a_folder_is_a_rig_or_holds_rigs(studio: Path, tmp_path: Path) -> None:
    assert [path.stem for path in find_head_rigs(studio)] == ["person21", "person22", "person23"]
    rig = made_up(21)
    shapes = tmp_path / "shapes"
    shapes.mkdir()
    topology = Topology("r", rig.faces, rig.vertices.astype(np.float32))
    write_obj(shapes / "neutral.obj", rig.vertices.astype(np.float32), topology)
    write_obj(shapes / "jawOpen.obj", (rig.vertices + rig.displacements[0]).astype(np.float32), topology)
    assert find_head_rigs(shapes) == [shapes] and find_head_rigs(tmp_path) == [shapes]
    assert read_head_rig(shapes).has_topology_of(rig)


def test_rigs_of_other_heads_stand_beside_a_judged_one(general: FaceModel, tmp_path: Path) -> None:
    for seed in (11, 21, 22):
        written(made_up(seed), tmp_path / f"p{seed}.glb")
    artist = read_head_rig(tmp_path / "p11.glb").in_arkit_names()
    found = controls_beside(artist, "studio", tmp_path, general=general)
    mean, nearest = found  # the head itself is in the folder, and left out
    assert mean == "studio: mean of 2" and nearest in ("studio: nearest, p21", "studio: nearest, p22")
    report = mien.judge_rig(replace(artist, name="own"), artist, beside=found)
    assert report.mean("own", "error") == 0
    for name in found:
        assert report.mean(name, "error") < 0.6 and report.mean(name, "cosine") > 0.85
    assert report.values[mean]["error"] != report.values[nearest]["error"]
    (alone,) = controls_beside(artist, "same", tmp_path / "p11.glb").values()
    np.testing.assert_array_equal(alone.displacements, artist.displacements)


VALID = os.environ.get("MIEN_VALID")


@pytest.mark.skipif(not VALID, reason="artists' heads are not here: MIEN_VALID names their folder")
def test_an_artists_head_like_another_of_the_studio() -> None:
    """A woman's head like a man's rig, strangers to each other: measured 0.27, 0.95, 3.2 and 0.

    Hidden skin: the mouth of one lies on the mouth of the other, and 0.24 of its motion is missed (0.40 where
    bones told it).
    """
    source, target = (Path(str(VALID)) / f"{name}.npz" for name in ("Asian_M_2_Casual", "Asian_F_1_Casual"))
    artist = read_head_rig(target).in_arkit_names()
    model, _ = mien.model_like([source])
    face = mien.open_face(mien.Mesh(artist.vertices.astype(np.float32), artist.faces), model)
    made = mien.rig(model, face.vertices)
    moved = face.carried(made.targets).astype(np.float64) - face.mesh.vertices
    report = mien.judge_rig(
        replace(artist, name="made", names=made.names, displacements=moved.astype(np.float32)), artist
    )
    error, cosine, stretch, teeth = (
        report.mean("made", name) for name in ("error", "cosine", "stretch", "upper_teeth")
    )
    hidden = report.mean("made", "hidden_error")
    assert error < 0.3 and cosine > 0.94 and hidden < 0.3 and stretch < 4.5 and teeth < 0.2
