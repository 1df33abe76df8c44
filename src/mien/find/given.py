"""Landmarks that a user gives: checked against each other, against the mesh, and against what is seen."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh
from mien.find.face import INSIDE_OUT, Found, Guess, found_by_looking
from mien.find.looking import Subject
from mien.find.search import ALL_TURNS, Searcher, Seen
from mien.find.windows import turns
from mien.geometry.closest import surface_distances
from mien.geometry.placement import LARGEST_MISFIT, Placement, place_by_landmarks, shape_misfit
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import landmark_guides
from mien.landmark_names import landmark_key, landmark_words, other_side
from mien.topology import Topology

EXCHANGED = "left and right of the landmarks are exchanged (they are the person's own): they were swapped"
UNSEEN = "no face was seen where the landmarks place it: it is laid there all the same, look at the picture"
_OFF_MM = 15.0  # from the mesh: eyes may be hollow
_CONTRADICTING_MM = 30.0  # a landmark farther than this from where the others place it
_CONTRADICTING = 0.4  # and without which the others' rest falls below this share
_ENOUGH = 5  # landmarks among which one can be told to be wrong
_SWAPPED = 0.6  # of the rest: then the other sides are meant
_SAME_DEGREES, _SAME_MM = 12.0, 15.0  # a placement that looking corrects by less is the landmarks' own
_TURNED_DEGREES = 120.0  # by more, the landmarks are on the wrong side of the head


@dataclass(frozen=True, eq=False)
class _Given:
    """Landmarks under the template's names, and the placement that they give."""

    landmarks: Mapping[str, NDArray]
    placement: Placement
    rest: NDArray[np.float64]


def place_by_given(
    vertices: NDArray, faces: NDArray, topology: Topology, landmarks: Mapping[str, NDArray],
    searcher: Searcher | None, *, name: str,
) -> tuple[Found, dict[str, NDArray]]:  # fmt: skip
    """Places a template by landmarks, and says where they cannot be right.

    Args:
        vertices: (N, 3) float, any unit and axes.
        faces: (F, 3) int; (0, 3) for a point scan.
        topology: The template's.
        landmarks: Name -> (3,) position in the mesh's own unit and axes, under any known name.
        searcher: What looks for the face, or None.
        name: What to call the mesh in messages.

    Returns:
        The face, and the landmarks that pull on the template: sides exchanged if they were, none where
        looking found the face elsewhere; each (3,) in the mesh's unit.
    """
    known = topology.landmarks.names
    named = {landmark_key(key, known): np.asarray(at, np.float64) for key, at in landmarks.items()}
    given, notes = _right_sides(named, topology, name)
    _check_agreement(given.landmarks, topology, name)
    _check_on_mesh(given, vertices, faces, name)
    kept = dict(given.landmarks)
    if searcher is None or not len(faces):
        return Found(given.placement, faces, notes=notes), kept
    for winding, told in ((faces, ()), (faces[:, ::-1], (INSIDE_OUT,))):
        subject = Subject(vertices, winding)
        seen = searcher.examine(subject, subject.placed(given.placement))
        if seen and seen.accepted:
            return _compared(seen, winding, given, kept, notes + told, searcher)
    subject = Subject(vertices, faces)
    elsewhere = next((seen for seen in searcher.search(subject, turns(ALL_TURNS)) if seen.accepted), None)
    if elsewhere is None:
        _check_shape(given, vertices, faces, topology, name)
        return Found(given.placement, faces, notes=(*notes, UNSEEN)), kept
    turned = _degrees(elsewhere.placement, given.placement)
    if turned > _TURNED_DEGREES:
        raise _refused(
            f"the landmarks of {name!r} place the face on the wrong side of the head",
            f"turned by {turned:.0f} degrees against the face that is seen",
            "check the landmarks, or leave them out: the face is found without them",
            Guess(vertices, faces, elsewhere),
        )
    return _compared(elsewhere, faces, given, kept, notes, searcher)


def _compared(
    seen: Seen, faces: NDArray, given: _Given, kept: dict[str, NDArray], notes: tuple[str, ...],
    searcher: Searcher,
) -> tuple[Found, dict[str, NDArray]]:  # fmt: skip
    """The landmarks' placement where looking agrees, and what was seen where it does not."""
    degrees = _degrees(seen.placement, given.placement)
    middle = searcher.known.center
    apart = float(np.linalg.norm(seen.placement.apply(given.placement.back(middle)) - middle))
    if degrees < _SAME_DEGREES and apart < _SAME_MM:
        return Found(given.placement, faces, seen=seen, notes=notes), kept
    told = (
        f"the landmarks place the face {degrees:.0f} degrees and {apart:.0f} mm from where it is seen: "
        "it was placed where it is seen"
    )
    return found_by_looking(seen, faces, searcher.known, (*notes, told)), {}


def _right_sides(
    named: Mapping[str, NDArray], topology: Topology, name: str
) -> tuple[_Given, tuple[str, ...]]:
    """Landmarks on their own sides: the names as given, or exchanged where that fits much better."""
    given: _Given | None = None
    with contextlib.suppress(BadMesh):
        given = _fitted(named, topology, name)
    with contextlib.suppress(BadMesh):
        swapped = _fitted({other_side(key): at for key, at in named.items()}, topology, name)
        if given is None or swapped.rest.mean() < _SWAPPED * given.rest.mean():
            return swapped, (EXCHANGED,)
    if given is None:
        _check_agreement(named, topology, name)
    # Where neither can be placed this raises, about the names as they were given.
    return given or _fitted(named, topology, name), ()


def _fitted(landmarks: Mapping[str, NDArray], topology: Topology, name: str) -> _Given:
    guides = landmark_guides(topology, landmarks)
    template = topology.template.astype(np.float64)
    points = np.einsum("lk,lkc->lc", guides.weights, template[guides.corners])
    placement = place_by_landmarks(guides.targets, points, name)
    rest = np.linalg.norm(placement.apply(guides.targets) - points, axis=1)
    used = {key: at for key, at in landmarks.items() if key in topology.landmarks.names}
    return _Given(used, placement, rest)


def _check_agreement(named: Mapping[str, NDArray], topology: Topology, name: str) -> None:
    """Refuses a single landmark that contradicts all others: without it they agree."""
    guides = landmark_guides(topology, named)
    names = [key for key in named if key in topology.landmarks.names]
    if len(names) < _ENOUGH:
        return
    template = topology.template.astype(np.float64)
    points = np.einsum("lk,lkc->lc", guides.weights, template[guides.corners])
    every = _rest(guides.targets, points, np.ones(len(names)))
    for row in np.argsort(-every):
        others = np.arange(len(names)) != row
        rest = _rest(guides.targets, points, others)
        if rest[row] > _CONTRADICTING_MM and rest[others].mean() < _CONTRADICTING * every.mean():
            raise BadMesh(
                f"the landmark {landmark_words(names[row])!r} of {name!r} contradicts the others",
                received=f"{rest[row]:.0f} mm from where they place it",
                remedy="check its name and position; left and right are the person's own",
            )


def _rest(points: NDArray, template_points: NDArray, used: NDArray) -> NDArray[np.float64]:
    """(L,) distances from the template's points, millimeters, after an alignment by some of them."""
    found = procrustes(points, template_points, scale=True, weights=used)
    return np.linalg.norm(found.apply(points) - template_points, axis=1)


def _check_on_mesh(given: _Given, vertices: NDArray, faces: NDArray, name: str) -> None:
    """Refuses landmarks that lie off the mesh."""
    if not len(faces):
        return
    names, points = list(given.landmarks), np.array(list(given.landmarks.values()))
    off = given.placement.scale * surface_distances(points, np.asarray(vertices, np.float64), faces)
    if off.max() > _OFF_MM:
        raise BadMesh(
            f"the landmark {landmark_words(names[int(off.argmax())])!r} does not lie on {name!r}",
            received=f"{off.max():.0f} mm from its surface",
            remedy="give landmarks in the mesh's own unit and axes, as its file has them",
        )


def _check_shape(given: _Given, vertices: NDArray, faces: NDArray, topology: Topology, name: str) -> None:
    """Refuses what neither looks like a face nor has the shape of one where the landmarks place it."""
    misfit = shape_misfit(vertices, faces, topology, given.placement)
    if misfit > LARGEST_MISFIT:
        raise _refused(
            f"{name!r} is no face where the landmarks place it",
            f"no face is seen, and the template lies {misfit:.1f} mm off",
            "check the landmarks, and that the mesh is a head",
            Guess(vertices, faces, None),
        )


def _refused(cause: str, received: str, remedy: str, guess: Guess) -> BadMesh:
    error = BadMesh(cause, received=received, remedy=remedy)
    error.guess = guess
    return error


def _degrees(a: Placement, b: Placement) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(a.rotation @ b.rotation.T) - 1) / 2, -1, 1))))
