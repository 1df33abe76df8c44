"""Where the face of a mesh is: by looking, with its shape as second opinion; or a refusal that helps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh, MissingPackage, require
from mien.find.known_points import KnownPoints, drawn_people, known_points
from mien.find.landmarker import IRISES, Landmarker
from mien.find.looking import Subject
from mien.find.pieces import MeshPieces
from mien.find.search import ALL_TURNS, MOST_SIGHTS, Searcher, Seen
from mien.find.shipped_points import shipped_points
from mien.find.weights import HOW_TO_GET, landmarker_file
from mien.find.windows import LIKELY, STOUT, turns
from mien.geometry.placement import Placement, place_by_shape
from mien.geometry.registration import Guides
from mien.topology import Arrays, Topology

INSIDE_OUT = "the triangles are inside out: they were turned for computing and stay as they are in the file"
BY_SHAPE = "no face was seen on it, it was placed by its shape alone: look at the picture of the registration"
_HIDDEN_MM = 2.5  # views of a face that nothing covers disagree by less
_AGREEING, _AGREE_MM = 4, 5.0  # views on a point that guides the registration, and how well
_LEAST_GUIDES = 30
_FEW_SIGHTS = 2  # are examined where a face is less likely
_CLEAR = 0.6  # of what is seen faces whoever looks: outward; heads have 0.85 to 1, open masks 0.66 to 0.69
_PIECE_OF_HEAD, _PIECE_OF_BODY = 0.4, 0.08  # of the whole's size, a piece that can be a head
_LARGER = 0.97  # scales that differ less are of faces of one size: the first is taken then
_TALL = 2.0  # times as tall as a head is wide or deep: then the head is at one end
_HEAD_SHARE = 0.16  # of a body's height, head and neck


@dataclass(frozen=True, eq=False)
class Found:
    """The face of a mesh.

    Args:
        placement: The mesh in the template's frame.
        faces: (F, 3) int. Its triangles, with outward winding.
        guides: Places of the template that were seen on the mesh, or None.
        seen: What was seen, or None when the face was placed by its shape.
        notes: Sentences for the user.
    """

    placement: Placement
    faces: NDArray
    guides: Guides | None = None
    seen: Seen | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Guess:
    """What came closest to a face, for a picture.

    Args:
        vertices: (N, 3) float, the mesh's unit and axes.
        faces: (F, 3) int.
        seen: What was seen, or None when nothing was.
    """

    vertices: NDArray
    faces: NDArray
    seen: Seen | None


def searcher_for(
    topology: Topology, modes: NDArray | None = None, kept: Arrays | None = None
) -> Searcher | None:
    """What looks for a topology's face; None where networks or renderer are missing or see no face in it.

    Args:
        topology: The template's.
        modes: (K, V, 3) float, millimeters, or None. Modes of known faces, see
            :func:`mien.find.known_points.drawn_people`.
        kept: Name -> (K,) or (K, 3) array, or None. What :func:`face_points` gave, kept with a model; used
            where it is of the same networks; else what comes with Mien for the template.
    """
    if (found := networks_here()) is None:
        return None
    networks, version = found
    known = KnownPoints.kept(kept, topology, version)
    known = known or KnownPoints.kept(shipped_points(topology), topology, version)
    known = known or known_points(topology, drawn_people(topology, modes), networks, version)
    return Searcher(networks, known) if known else None


def face_points(topology: Topology, people: Sequence[NDArray]) -> Arrays | None:
    """Where the networks see their points on a template, to keep with a model; None where they cannot.

    Args:
        topology: The template's.
        people: (V, 3) float, millimeters, each. Faces that are looked at beside the template.

    Returns:
        Name -> (K,) or (K, 3) array, for :func:`searcher_for`.
    """
    if (found := networks_here()) is None:
        return None
    known = known_points(topology, people, *found)
    return known.arrays(found[1]) if known else None


def networks_here() -> tuple[Landmarker, str] | None:
    """The networks and what tells them from others; None where they or the renderer are missing."""
    path = landmarker_file()
    if path is None:
        return None
    try:
        require("embreex", "find")
        return _networks(path, path.stat().st_mtime_ns)
    except MissingPackage:
        return None


@lru_cache(maxsize=1)
def _networks(path: Path, _changed: int) -> tuple[Landmarker, str]:
    import hashlib

    return Landmarker(path), hashlib.sha256(path.read_bytes()).hexdigest()


def find_face(
    vertices: NDArray, faces: NDArray, topology: Topology, searcher: Searcher | None, *, name: str = "mesh"
) -> Found:
    """Finds the face of a mesh without any help.

    Args:
        vertices: (N, 3) float, any unit and axes.
        faces: (F, 3) int; (0, 3) for a point scan.
        topology: What is looked for.
        searcher: See :func:`searcher_for`.
        name: What to call the mesh in messages.

    Raises:
        BadMesh: There is no face, or not one only; ``guess`` holds what came closest.
    """
    faces = np.asarray(faces).reshape(-1, 3)
    best: Seen | None = None
    if searcher is not None and len(faces):
        best, used, notes = _look_everywhere(vertices, faces, searcher)
        if best is not None and best.is_cut:
            raise _not_whole(best, name, Guess(vertices, faces, best))
        if best is not None and best.accepted:
            best, notes = _uncovered(best, vertices, used, notes, searcher)
            return found_by_looking(best, used, searcher.known, notes)
    try:
        # What was looked at piece by piece is not slid over piece by piece once more: a user waits.
        place = _piece_by_piece if searcher is None else place_by_shape
        placement = place(vertices, faces, topology, name)
    except BadMesh as error:
        raise _no_face(error, name, Guess(vertices, faces, best), searcher) from error
    notes = (BY_SHAPE,) if searcher is not None and len(faces) else ()
    return Found(placement, faces, notes=notes)


def found_by_looking(seen: Seen, faces: NDArray, known: KnownPoints, notes: tuple[str, ...]) -> Found:
    """A face that was seen, with the points that views agree on as guides.

    Args:
        seen: The face.
        faces: (F, 3) int. Triangles of the mesh, with outward winding.
        known: Where the points are on the template.
        notes: Sentences for the user.
    """
    fused = seen.fused
    good = (fused.near >= _AGREEING) & (fused.spread < _AGREE_MM) & np.isfinite(fused.points).all(axis=1)
    rows = np.flatnonzero(good[known.numbers])
    guides = None
    if len(rows) >= _LEAST_GUIDES:
        numbers = known.numbers[rows]
        guides = Guides(
            known.corners[rows], known.weights[rows], seen.points[numbers], seen=True, gaze=numbers >= IRISES
        )
    return Found(seen.placement, faces, guides, seen, notes)


def _look_everywhere(
    vertices: NDArray, faces: NDArray, searcher: Searcher
) -> tuple[Seen | None, NDArray, tuple[str, ...]]:
    """The best face, the triangles with outward winding, and what there is to say about them."""
    best: Seen | None = None
    used, notes = faces, tuple[str, ...]()
    for attempt in _attempts(vertices, faces):
        found = searcher.search(attempt.subject, attempt.along, most=attempt.most, thorough=attempt.is_first)
        for seen in found[:1]:
            if best is None or seen.merit > best.merit:
                best = seen
                used, notes = (faces[:, ::-1], (INSIDE_OUT,)) if attempt.is_flipped else (faces, ())
        if best is not None and best.accepted and not best.is_cut:
            best, told = _larger(best, searcher)
            return best, used, notes + told
        if best is not None and best.is_cut:
            break
    return best, used, notes


@dataclass(frozen=True, eq=False)
class _Attempt:
    """What to look at, and how hard.

    Args:
        subject: The whole mesh or a piece of it.
        is_flipped: Whether its triangles were turned.
        along: Turns to look along, (3, 3) each.
        most: How many sights to examine.
        is_first: Whether nothing has been looked at yet.
    """

    subject: Subject
    is_flipped: bool
    along: Sequence[NDArray]
    most: int = _FEW_SIGHTS
    is_first: bool = False


def _attempts(vertices: NDArray, faces: NDArray) -> Iterator[_Attempt]:
    """The whole from the likely sides, its pieces, then the whole from all other sides."""
    likely, every = turns(LIKELY), turns(ALL_TURNS)
    wholes = _wound(vertices, faces)
    for number, (subject, is_flipped) in enumerate(wholes):
        most = MOST_SIGHTS if number == 0 else _FEW_SIGHTS
        yield _Attempt(subject, is_flipped, likely, most, number == 0)
    pieces = MeshPieces.of(vertices, faces)
    smallest = _PIECE_OF_HEAD if _is_stout(vertices) else _PIECE_OF_BODY
    for mask in pieces.large():
        for subject, is_flipped in _wound(vertices, pieces.part(mask)):
            if wholes[0][0].scale / subject.scale > smallest:
                yield _Attempt(subject, is_flipped, likely)
    for subject, is_flipped in wholes:
        yield _Attempt(subject, is_flipped, every[LIKELY:], MOST_SIGHTS)


def _is_stout(vertices: NDArray) -> bool:
    """Whether a mesh is too stout to be a body."""
    thin, middle, long = np.sort(np.ptp(vertices, axis=0))
    return bool(np.sqrt(thin * middle) > STOUT * long)


def _wound(vertices: NDArray, faces: NDArray) -> list[tuple[Subject, bool]]:
    """A mesh with outward triangles, and whether they were turned for that; both if it is not clear."""
    subject = Subject(vertices, faces)
    if subject.outward > _CLEAR:
        return [(subject, False)]
    flipped = (Subject(vertices, faces[:, ::-1]), True)
    if subject.outward < 1 - _CLEAR:
        return [flipped]
    return [(subject, False), flipped] if subject.outward >= 0.5 else [flipped, (subject, False)]


def _larger(best: Seen, searcher: Searcher) -> tuple[Seen, tuple[str, ...]]:
    """The larger one of several faces, and that there are several."""
    others = searcher.others(best.subject, best)
    if not others:
        return best, ()
    # A large face is scaled down most to have the template's size.
    largest = min(others, key=lambda seen: seen.placement.scale)
    if largest.placement.scale < _LARGER * best.placement.scale:
        best = largest
    return best, (f"there are {1 + len(others)} faces in the file; the larger one was taken",)


def _uncovered(
    seen: Seen, vertices: NDArray, faces: NDArray, notes: tuple[str, ...], searcher: Searcher
) -> tuple[Seen, tuple[str, ...]]:
    """The face seen again without glasses, hair and what else may cover it, if that is clearer."""
    pieces = MeshPieces.of(vertices, faces)
    if seen.spread < _HIDDEN_MM or not pieces.large():
        return seen, notes
    mask = pieces.face_alone(seen.placement, searcher.known, seen.points[searcher.known.numbers])
    subject = Subject(vertices, pieces.part(mask))
    again = searcher.examine(subject, subject.placed(seen.placement))
    return (again, notes) if again and again.accepted and again.merit > seen.merit else (seen, notes)


def _piece_by_piece(vertices: NDArray, faces: NDArray, topology: Topology, name: str) -> Placement:
    """The second opinion: the whole, then its largest pieces and what is at its top."""
    try:
        return place_by_shape(vertices, faces, topology, name)
    except BadMesh:
        for mask in _heads(vertices, faces):
            part, index = np.unique(faces[mask[faces].all(axis=1)], return_inverse=True)
            if len(part):
                with contextlib.suppress(BadMesh):
                    return place_by_shape(vertices[part], index.reshape(-1, 3), topology, name)
        raise


def _heads(vertices: NDArray, faces: NDArray) -> list[NDArray[np.bool_]]:
    """(N,) masks of what may be a head when the whole is none: the top of a body, else the largest piece."""
    size = np.ptp(vertices, axis=0)
    along = int(size.argmax())
    if size[along] > _TALL * np.sort(size)[0] and along != 0:  # no file has up along +X
        top = vertices[:, along].max() - _HEAD_SHARE * size[along]
        return [vertices[:, along] > top]
    return MeshPieces.of(vertices, faces).large()[:1] if len(faces) else []


def _not_whole(seen: Seen, name: str, guess: Guess) -> BadMesh:
    refused = BadMesh(
        f"the face of {name!r} is not whole", received=f"no surface at {' and '.join(seen.missing)}",
        remedy="give a head that is not cut through the face",
    )  # fmt: skip
    refused.guess = guess
    return refused


def _no_face(error: BadMesh, name: str, guess: Guess, searcher: Searcher | None) -> BadMesh:
    """The refusal, with what came closest and what would help."""
    seen = "" if searcher is None else (
        f"; looking, {guess.seen.views} of 9 views saw one" if guess.seen else "; looking, none was seen"
    )  # fmt: skip
    remedy = "give landmarks (`mien register --save-landmarks FILE.csv` writes a table to fill)"
    if landmarker_file() is None:
        remedy += f"; or let Mien look for the face ({HOW_TO_GET})"
    refused = BadMesh(f"no face can be found on {name!r}", received=f"{error.received}{seen}", remedy=remedy)
    refused.guess = guess
    return refused
