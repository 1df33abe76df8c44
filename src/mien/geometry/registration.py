"""Registration: a template bent onto a mesh of any topology, judged, and ready to carry results back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mien.errors import BadMesh
from mien.geometry.carry import Carrier
from mien.geometry.contact import Meets
from mien.geometry.defects import Defects, standing_faces
from mien.geometry.differential import vertex_normals
from mien.geometry.fit_measures import Measure, measured
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.nonrigid import Pulls, Schedule, align
from mien.geometry.openings import openings
from mien.geometry.placement import Placement, place_by_landmarks, place_by_shape
from mien.geometry.procrustes import procrustes
from mien.geometry.quality import Quality, assess
from mien.geometry.rims import Rim, shared_rims
from mien.geometry.surface import Surface, welded
from mien.geometry.verdict import judge_registration
from mien.landmark_names import landmark_key
from mien.limits import check_head_size
from mien.topology import Landmarks, Topology

_SHARE = 0.05  # of the template that only a further piece of the mesh covers: then the piece is skin
_COVER_MM = 8.0
_LARGEST_ERROR = 2.5  # millimeters from the surface on average: worse is no registration
_MANY_GUIDES = 30  # as many as where a face was seen: eyes are there, though a statue's have no lids
_SMALLEST_COVER, _SEEN_COVER = 0.55, 0.4  # of the template; less is enough where a face was seen
_FLATTEST = 1e-3  # thickness over length; a face is a fifth as deep as it is high
_STAYS_MM = 1.0  # right templates move by 0.2 mm when they are bent again
_MOST_AGAIN = 4  # times
_ABOVE_EYES = 0.45  # widths of an eye from its middle up to brows


@dataclass(frozen=True, eq=False)
class Guides:
    """Places of the template, and where they are on a mesh.

    Args:
        corners: (L, 3) int. Vertices of the template's triangle that each lies in.
        weights: (L, 3) float. Barycentric weights there.
        targets: (L, 3) float, the mesh's own unit and axes.
        seen: Whether pictures told them, and no person: they yield where the mesh itself tells better.
        gaze: (L,) bool. Which are of irises, that lie behind the lids and look about; None for none.
    """

    corners: NDArray[np.integer]
    weights: NDArray[np.floating]
    targets: NDArray[np.float64]
    seen: bool = False
    gaze: NDArray[np.bool_] | None = None

    def matrix(self, count: int) -> csr_matrix:
        """(L, V) barycentric weights over a template of V vertices."""
        rows = np.repeat(np.arange(len(self.corners)), 3)
        return csr_matrix((self.weights.ravel(), (rows, self.corners.ravel())), (len(self.corners), count))


@dataclass(frozen=True, eq=False)
class Registration:
    """A mesh and the template that lies on it.

    Args:
        topology: The template's topology.
        vertices: (V, 3) float32, millimeters, in the template's frame. The template, bent onto the mesh.
        placement: How the mesh came into the template's frame.
        mesh_vertices: (N, 3) float, the mesh's own unit and axes.
        mesh_faces: (F, 3) int.
        skin: (N,) bool. The pieces of the mesh that the template lies on.
        pieces: The connected pieces of the mesh.
        quality: How well it lies there.
        measures: What it was judged by.
        notes: Sentences about the mesh that its user should read.
    """

    topology: Topology
    vertices: NDArray[np.float32]
    placement: Placement
    mesh_vertices: NDArray
    mesh_faces: NDArray
    skin: NDArray[np.bool_]
    pieces: NamedPieces
    quality: Quality
    measures: tuple[Measure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> NDArray[np.int64]:
        """(n,) int64: the template's vertices that its skin is made of."""
        return main_piece(self.topology)[0]

    @cached_property
    def carrier(self) -> Carrier:
        """What carries displacements of the template to the mesh, in the template's frame."""
        placed = self.placement.apply(self.mesh_vertices)
        kept, topology = main_piece(self.topology)
        return Carrier(placed, self.mesh_faces, self.vertices[kept], topology, self.skin, self.pieces)

    def carry(
        self, moved: NDArray, gaze: NDArray | None = None, meets: Meets | None = None
    ) -> NDArray[np.float32]:
        """The mesh when the template is elsewhere.

        Args:
            moved: (..., V, 3) float, millimeters, in the template's frame.
            gaze: (..., 2, 2) degrees that the eyeballs turn, see :meth:`Carrier.carry`, or None.
            meets: In which of (B, V, 3) movements lids or lips close, or None.

        Returns:
            (..., N, 3) float32 in the mesh's own unit and axes. Where the template has not moved, the
            vertices are those of the mesh, bit by bit.
        """
        kept, _ = main_piece(self.topology)
        change = self.placement.back_vectors(self.carrier.carry(np.asarray(moved)[..., kept, :], gaze, meets))
        return (self.mesh_vertices + change).astype(np.float32)

    def follow(self, mesh_vertices: NDArray) -> NDArray[np.float32]:
        """The template when the same mesh is in another pose: it is moved by where it lies on the mesh.

        Args:
            mesh_vertices: (..., N, 3) float, the mesh's own unit and axes, same vertex order.

        Returns:
            (..., V, 3) float32, millimeters, in the template's frame.
        """
        placed = self.placement.apply(self.mesh_vertices)
        # A piece of skin only: teeth behind lips are close, too.
        faces = (
            self.mesh_faces[self.skin[self.mesh_faces].all(axis=1)]
            if len(self.mesh_faces)
            else self.mesh_faces
        )
        kept, _ = main_piece(self.topology)
        rest = self.vertices[kept].astype(np.float64)
        found = self.carrier.places_of_template(placed, faces)
        change = (np.asarray(mesh_vertices, np.float64) - self.mesh_vertices) @ self.placement.rotation.T
        skin = rest + self.carrier.read_back(self.placement.scale * change, found)
        return with_pieces(self.vertices, self.topology, kept, skin)

    def landmarks(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the template's L landmarks, and (L, 3) where they lie on the mesh, in its unit and
        axes.
        """
        named = self.topology.landmarks
        return named.names, self.placement.back(named.positions(self.vertices))


def register(
    vertices: NDArray, faces: NDArray, topology: Topology, *, landmarks: Mapping[str, NDArray] | None = None,
    people: NDArray | None = None, schedule: Schedule | None = None, name: str = "mesh",
    placement: Placement | None = None, guides: Guides | None = None, pieces: NamedPieces | None = None,
) -> Registration:  # fmt: skip
    """Brings the template of a topology into correspondence with a mesh of any other.

    Unit, axes and place are found from the mesh's shape, from landmarks, or known; then the template is bent
    onto those pieces of the mesh that are skin.

    Args:
        vertices: (N, 3) float, any unit and axes.
        faces: (F, 3) int; (0, 3) for a point scan.
        topology: What brings the template, and names for landmarks.
        landmarks: Name -> (3,) position in the mesh's own unit and axes; names that the topology lacks are
            left out.
        people: (K, V, 3) float, millimeters, or None. Modes of known faces, see :func:`align`.
        schedule: Steps and weights of the alignment.
        name: What to call the mesh in messages.
        placement: Where the template lies on the mesh, if that is known.
        guides: Further places that belong together; landmarks pull in their stead where both are given.
        pieces: Of the mesh, where something is said of them; what is said to be no skin is left out.

    Raises:
        BadMesh: No face is found, or the result is no face.
    """
    vertices, faces = np.asarray(vertices), np.asarray(faces).reshape(-1, 3)
    check_head(vertices, faces, name)
    named = landmark_guides(topology, landmarks or {})
    if placement is None and landmarks:
        known = _points_of(named, topology.template)
        placement = place_by_landmarks(named.targets, known, name)
    elif placement is None:
        placement = place_by_shape(vertices, faces, topology, name)
    used = named if len(named.targets) else guides
    pieces = NamedPieces.of(vertices, faces) if pieces is None else pieces
    if used is None:
        bent = _settled(vertices, faces, topology, placement, people, schedule, pieces)
    else:
        bent = _bent(vertices, faces, topology, placement, used, people, schedule, pieces)
    return _laid(vertices, faces, topology, bent, name, pieces)


@dataclass(frozen=True, eq=False)
class _Bent:
    """A template that was bent onto a mesh, not yet judged.

    Args:
        placement: From where it was bent.
        skin: (N,) bool. What it was bent onto.
        surface: The same as a surface in the template's frame, without defects.
        defects: Of the mesh.
        pulls: What guided it, or None.
        points: (V, 3) float, millimeters. The skin of the template.
    """

    placement: Placement
    skin: NDArray[np.bool_]
    surface: Surface
    defects: Defects
    pulls: Pulls | None
    points: NDArray[np.float64]


def _bent(
    vertices: NDArray, faces: NDArray, topology: Topology, placement: Placement, guides: Guides | None,
    people: NDArray | None, schedule: Schedule | None, pieces: NamedPieces,
) -> _Bent:  # fmt: skip
    """Bends a placed template onto the skin of a mesh."""
    placed = placement.apply(vertices)
    kept, main = main_piece(topology)
    skin = _skin(placed, faces[~standing(placed, faces)], main, pieces)
    defects, sound = _defects(placed, faces, skin)
    surface = _part(placed, sound, skin)
    pulls, gaze = None, np.zeros(0, bool)
    if guides is not None:
        on_skin = np.isin(guides.corners, kept).all(axis=1)
        matrix = guides.matrix(topology.vertex_count)[on_skin]
        pulls = Pulls(matrix[:, kept], placement.apply(guides.targets[on_skin]))
        gaze = np.zeros(len(pulls.targets), bool) if guides.gaze is None else guides.gaze[on_skin]
    known_people = None if people is None else people[:, kept]
    rims = shared_rims(main, surface)
    guiding = believed(pulls, gaze, main, rims) if pulls and guides and guides.seen else pulls
    points = align(
        main.template, main, surface, pulls=guiding, rims=rims, people=known_people, schedule=schedule
    )
    return _Bent(placement, skin, surface, defects, pulls, points)


def believed(pulls: Pulls, gaze: NDArray, topology: Topology, rims: Sequence[Rim]) -> Pulls:
    """What was seen, without what the mesh tells better.

    Where the mesh shares the rims of both eyes, all up to the lids: a network sees brows where it is used to
    them, and a mesh without paint has none. On artists' heads of one mesh they were 4.5 mm off with what it
    saw there, and 3.8 without. Elsewhere all but the irises: on eyes that stand open wider than the
    template's they draw its lid down to where they are seen, as far as 5 mm.

    Args:
        pulls: Of what was seen.
        gaze: (L,) bool. Which of them are of irises.
        topology: The template's.
        rims: That the mesh shares with it.
    """
    eyes = [opening for opening in openings(topology) if opening.kind == "eye"]
    shared = np.concatenate([np.zeros(0, np.int64), *(rim.members for rim in rims)])
    if eyes and all(np.isin(eye.corners, shared).all() for eye in eyes):
        level = max(eye.center[1] + _ABOVE_EYES * eye.width for eye in eyes)
        rows = np.flatnonzero((pulls.matrix @ topology.template)[:, 1] < level)
    else:
        rows = np.flatnonzero(~gaze)
    return Pulls(pulls.matrix[rows], pulls.targets[rows])


def _settled(
    vertices: NDArray, faces: NDArray, topology: Topology, placement: Placement, people: NDArray | None,
    schedule: Schedule | None, pieces: NamedPieces,
) -> _Bent:  # fmt: skip
    """Bends a template that nothing guides, and again from where it came to lie, until it stays there.

    One that was placed beside the face slides toward it and is caught on the way, by a crease or a rim;
    bent from there without what it was stretched by, it slides on.
    """
    template = main_piece(topology)[1].template
    found = _bent(vertices, faces, topology, placement, None, people, schedule, pieces)
    for _ in range(_MOST_AGAIN):
        there = procrustes(found.points, template, scale=True)
        old = found
        found = _bent(
            vertices, faces, topology, old.placement.followed_by(there), None, people, schedule, pieces
        )
        way = found.placement.back(found.points) - old.placement.back(old.points)
        if found.placement.scale * np.linalg.norm(way, axis=1).mean() < _STAYS_MM:
            break
    return found


def _laid(
    vertices: NDArray, faces: NDArray, topology: Topology, found: _Bent, name: str, pieces: NamedPieces
) -> Registration:
    """Judges a template that was bent onto a mesh."""
    placed = found.placement.apply(vertices)
    kept, main = main_piece(topology)
    quality = assess(found.points, main, found.surface, found.pulls)
    least = _SMALLEST_COVER if found.pulls is None else _SEEN_COVER
    if quality.mean_mm > _LARGEST_ERROR or quality.covered < least:
        raise BadMesh(
            f"the template could not be laid onto {name!r}", received=quality.sentence,
            remedy="give landmarks, or check that the mesh is one face, eyes and mouth included",
        )  # fmt: skip
    clouds = other_clouds(placed, pieces, found.skin | found.defects.fins)
    measures = measured(found.points, main, found.surface, quality, clouds)
    if found.pulls is not None and len(found.pulls.targets) >= _MANY_GUIDES:
        measures = [measure for measure in measures if measure.name != "no eyes"]
    notes = judge_registration(measures, found.points, main, name)
    distance = np.full(topology.vertex_count, np.nan)  # of all vertices: other pieces have no counterpart
    distance[kept] = quality.distance
    quality = replace(quality, distance=distance)
    whole = with_pieces(topology.template, topology, kept, found.points)
    return Registration(
        topology, whole, found.placement, vertices, faces, found.skin, pieces, quality, tuple(measures),
        (*found.defects.sentences(placed, faces, found.points), *notes),
    )  # fmt: skip


def standing(vertices: NDArray, faces: NDArray) -> NDArray[np.bool_]:
    """(F,) the triangles (F, 3) that are no part of the surfaces of a mesh of vertices (N, 3), any unit."""
    return standing_faces(welded(np.asarray(vertices, np.float32))[faces])


def _defects(placed: NDArray, faces: NDArray, skin: NDArray) -> tuple[Defects, NDArray]:
    """The defects of a mesh, seams closed, and (f, 3) the triangles without any."""
    place = welded(placed.astype(np.float32))
    _, first = np.unique(place, return_index=True)
    closed = first[place][faces]
    defects = Defects.of(placed, closed, skin)
    return defects, faces[defects.sound(closed)]


def other_clouds(placed: NDArray, pieces: NamedPieces, skin: NDArray) -> list[NDArray[np.float64]]:
    """The vertices of each piece that is not skin.

    Args:
        placed: (N, 3) float, millimeters, in the template's frame.
        pieces: Of the mesh.
        skin: (N,) bool. What is left out.

    Returns:
        (n, 3) float64, millimeters, of each.
    """
    rows = np.flatnonzero(~skin)
    order = rows[np.argsort(pieces.label[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(pieces.label[order]))
    return np.split(np.asarray(placed, np.float64)[order], starts + 1) if len(order) else []


def check_head(vertices: NDArray, faces: NDArray, name: str) -> None:
    """Refuses what cannot be a head in any unit, or is more than memory is sure to hold.

    Args:
        vertices: (N, 3) float, any unit.
        faces: (F, 3) int; (0, 3) for a point scan. Vertices of no triangle say nothing.
        name: What to call it.
    """
    check_head_size(len(vertices), name)
    if len(faces):
        vertices = vertices[np.unique(faces)]
    if len(vertices) < 50 or not np.isfinite(vertices).all():
        raise BadMesh(f"{name!r} is no head: it needs 50 finite vertices or more", received=len(vertices))
    middle = np.asarray(vertices, np.float64) - vertices[0]
    middle -= middle.mean(axis=0)
    spread = np.linalg.eigvalsh(middle.T @ middle)
    if not spread[0] > _FLATTEST**2 * spread[2]:
        raise BadMesh(
            f"{name!r} is no head", received="vertices that lie in one place, on a line or in a plane",
            remedy="export the mesh again, at rest and with its modifiers",
        )  # fmt: skip


def landmark_guides(topology: Topology, landmarks: Mapping[str, NDArray]) -> Guides:
    """The named landmarks that a topology has, under any of their names, as guides.

    Args:
        topology: The template's.
        landmarks: Name -> (3,) position in the mesh's own unit and axes.
    """
    names = topology.landmarks.names
    given = {landmark_key(key, names): np.asarray(at, np.float64) for key, at in landmarks.items()}
    given = {key: at for key, at in given.items() if key in names}
    rows = [names.index(key) for key in given]
    return Guides(
        topology.landmarks.corners[rows], topology.landmarks.weights[rows],
        np.array(list(given.values()), np.float64).reshape(-1, 3),
    )  # fmt: skip


def _points_of(guides: Guides, vertices: NDArray) -> NDArray[np.float64]:
    """(L, 3) where guides are on the template."""
    return np.einsum("lk,lkc->lc", guides.weights, np.asarray(vertices, np.float64)[guides.corners])


def main_piece(topology: Topology) -> tuple[NDArray[np.int64], Topology]:
    """The largest component of a topology, its skin: (n,) int64 its vertices, and they alone as a
    topology.
    """
    pieces = topology.components
    kept = np.flatnonzero(pieces == np.bincount(pieces).argmax())
    if len(kept) == topology.vertex_count:
        return kept, topology
    number = np.full(topology.vertex_count, -1)
    number[kept] = np.arange(len(kept))
    faces = number[topology.faces[(number[topology.faces] >= 0).all(axis=1)]]
    named = topology.landmarks
    on_skin = [row for row in range(len(named)) if (number[named.corners[row]] >= 0).all()]
    landmarks = Landmarks(
        tuple(named.names[row] for row in on_skin), number[named.corners[on_skin]].astype(np.int32),
        named.weights[on_skin],
    )  # fmt: skip
    name = f"{topology.name}-skin"
    return kept, Topology(name, faces.astype(np.int32), topology.template[kept], landmarks=landmarks)


def with_pieces(rest: NDArray, topology: Topology, kept: NDArray, skin: NDArray) -> NDArray[np.float32]:
    """(..., V, 3) the whole template when its skin is (..., n, 3): other pieces go with the skin near them.

    Args:
        rest: (V, 3) float, millimeters. The whole template where its skin is known, too.
        topology: The template's.
        kept: (n,) vertices of the skin.
        skin: (..., n, 3) float, millimeters. Where it is now.
    """
    whole = np.broadcast_to(rest, (*skin.shape[:-2], *rest.shape)).astype(np.float64)
    whole[..., kept, :] = skin
    pieces = topology.components
    for item in np.unique(pieces):
        members = np.flatnonzero(pieces == item)
        if members[0] in kept:
            continue
        gap = np.linalg.norm(rest[kept] - rest[members].mean(axis=0), axis=1)
        near = np.argsort(gap)[: max(20, len(kept) // 25)]
        move = procrustes(rest[kept[near]], skin[..., near, :], scale=True)
        whole[..., members, :] = move.apply(
            np.broadcast_to(rest[members], (*skin.shape[:-2], len(members), 3))
        )
    return whole.astype(np.float32)


def _skin(placed: NDArray, faces: NDArray, topology: Topology, pieces: NamedPieces) -> NDArray[np.bool_]:
    """(N,) the pieces that the template lies on: one, and others where that one is missing."""
    if not len(faces):
        return np.ones(len(placed), bool)
    piece = pieces.label
    normals = vertex_normals(topology.template, topology.faces)
    covers: list[tuple[int, NDArray[np.bool_]]] = []
    large = [int(item) for item in np.flatnonzero(np.bincount(piece) >= 30)]
    # A file may call all it has a hat: then the names say nothing.
    for item in [item for item in large if pieces.may_be_skin(item)] or large:
        surface = _part(placed, faces, piece == item)
        found = surface.located(topology.template, normals)
        near = np.linalg.norm(found.points - topology.template, axis=1) < _COVER_MM
        covers.append((int(item), near & ((found.normals * normals).sum(axis=1) > 0.5)))
    covers.sort(key=lambda cover: -int(cover[1].sum()))
    chosen = [item for item, kind in pieces.said.items() if kind == "skin"]
    covered = np.zeros(topology.vertex_count, bool)
    for number, near in covers:
        if not chosen or number in chosen or (near & ~covered).mean() > _SHARE:
            chosen.append(number)
            covered |= near
    return np.isin(piece, chosen)


def _part(placed: NDArray, faces: NDArray, mask: NDArray) -> Surface:
    """The triangles of some vertices, with seams welded; points of a scan as they are."""
    if not len(faces):
        return Surface(placed[mask], faces, toward=np.array([0.0, 0.0, 1.0]))
    place = welded(placed.astype(np.float32))
    _, first = np.unique(place, return_index=True)
    kept = place[faces[mask[faces].all(axis=1)]]
    used, index = np.unique(kept, return_inverse=True)
    return Surface(placed[first[used]], index.reshape(-1, 3))
