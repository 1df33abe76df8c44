"""Where a face template lies on a mesh of unknown unit, axes and place: found from geometry, or refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.errors import BadMesh
from mien.geometry.alignment import UNITS, quarter_turns
from mien.geometry.differential import vertex_areas, vertex_normals
from mien.geometry.procrustes import Alignment, procrustes
from mien.geometry.surface import Places, Surface
from mien.topology import Topology

_COARSE, _FINE = 90, 500  # template vertices that are slid, then aligned
_CLOUD = 2500  # vertices of the mesh that are slid against
_STEPS_FORWARD = (0.0, 45.0, 90.0)  # a mask sits at the front of a head
_STEPS_UP = (-60.0, 0.0, 60.0)  # and a head in the upper part of a bust
_ENOUGH_VERTICES, _CELLS = 20_000, 150.0  # a finer mesh is thinned; cells along its diagonal
_KEPT = 6  # starts that are worth aligning
LARGEST_MISFIT = 6.0  # millimeters, of the better nine tenths after alignment
_SMALLEST_LEAD = 1.15  # how much worse a differently turned alignment has to be
_OTHER_TURN = 35.0  # degrees from which on two alignments differ
_SMALLEST_COVER = 0.6  # of the template, by a mask that ends before it does
_SCALES = (0.55, 1.8)  # how much larger than the template a head may be


@dataclass(frozen=True, eq=False)
class Placement:
    """The similarity that brings a mesh into the template's frame.

    Args:
        rotation: (3, 3) float.
        scale: What the mesh's coordinates are multiplied with to have the template's size.
        translation: (3,) float, millimeters.
        misfit: Mean distance of the template's better nine tenths from the mesh, millimeters; 0 if unknown.
        lead: Misfit of the best differently turned alignment over this one's; infinite with landmarks.
    """

    rotation: NDArray[np.float64]
    scale: float
    translation: NDArray[np.float64]
    misfit: float = 0.0
    lead: float = np.inf

    def apply(self, points: NDArray) -> NDArray[np.float64]:
        """Points of the mesh in the template's frame.

        Args:
            points: (..., 3) float, in the unit and axes of the mesh.

        Returns:
            (..., 3) float64, millimeters.
        """
        return self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.translation

    def back(self, points: NDArray) -> NDArray[np.float64]:
        """Points of the template's frame on the mesh.

        Args:
            points: (..., 3) float, millimeters.

        Returns:
            (..., 3) float64, in the unit and axes of the mesh.
        """
        return (np.asarray(points, np.float64) - self.translation) @ self.rotation / self.scale

    def back_vectors(self, vectors: NDArray) -> NDArray[np.float64]:
        """Displacements of the template's frame on the mesh.

        Args:
            vectors: (..., 3) float, millimeters.

        Returns:
            (..., 3) float64, in the unit and axes of the mesh.
        """
        return np.asarray(vectors, np.float64) @ self.rotation / self.scale

    def followed_by(self, alignment: Alignment) -> Placement:
        """This placement, and then an alignment of the template's frame."""
        rotation, scale = alignment.rotation @ self.rotation, float(alignment.scale) * self.scale
        return replace(
            self, rotation=rotation, scale=scale, translation=alignment.apply(self.translation[None])[0]
        )

    @staticmethod
    def of(alignment: Alignment, misfit: float = 0.0, lead: float = np.inf) -> Placement:
        """From a similarity transform."""
        return Placement(alignment.rotation, float(alignment.scale), alignment.translation, misfit, lead)


def place_by_landmarks(points: NDArray, template_points: NDArray, name: str) -> Placement:
    """The placement of at least three landmarks, given on the mesh in its own unit and axes.

    Args:
        points: (L, 3) float, on the mesh.
        template_points: (L, 3) float, millimeters, on the template.
        name: What to call the mesh in messages.
    """
    if len(points) < 3 or np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-9) < 2:
        raise BadMesh(
            f"{name!r} cannot be placed by its landmarks: three or more that are not in a row are needed",
            received=f"{len(points)} landmarks that the template has too",
            remedy="add some, e.g. the corners of eyes and mouth and the tip of the nose",
        )
    found = procrustes(points, template_points, scale=True)
    rest = np.linalg.norm(found.apply(points) - template_points, axis=1)
    size = np.linalg.norm(template_points - template_points.mean(axis=0), axis=1).mean()
    if rest.mean() > 0.35 * size:
        raise BadMesh(
            f"the landmarks of {name!r} do not lie like those of a face",
            received=f"{rest.mean():.0f} mm off on average after the best alignment",
            remedy="check their names and order; left and right are the person's own",
        )
    return Placement.of(found)


def place_by_shape(vertices: NDArray, faces: NDArray, template: Topology, name: str) -> Placement:
    """Finds the face on a mesh by aligning the template from many starts.

    All 24 axis conventions are tried at several depths and heights, each slid into place; the best are
    aligned by iterative closest points with a scale. Facing the same way counts, so that the back of a head
    is no face.

    Args:
        vertices: (N, 3) float, any unit and axes.
        faces: (F, 3) int; (0, 3) for a point scan.
        template: What is looked for.
        name: What to call the mesh in messages.

    Raises:
        BadMesh: Nothing fits, or two turns fit alike.
    """
    size = float(np.sqrt(vertex_areas(template.template, template.faces).sum()))
    vertices, faces = _thinned(np.asarray(vertices, np.float64), np.asarray(faces).reshape(-1, 3))
    found: list[tuple[float, float, Alignment]] = []
    for scales in _start_scales(vertices, size):
        if not found or min(found, key=lambda item: item[0])[0] > LARGEST_MISFIT:
            found += [item for scale in scales for item in _aligned_from(vertices, faces, template, scale)]
    misfit, scale, best = min(found, key=lambda item: item[0])
    others = [rest for rest, _, other in found if _degrees(other.rotation, best.rotation) > _OTHER_TURN]
    lead = min(others, default=np.inf) / max(misfit, 1e-9)
    if misfit > LARGEST_MISFIT or lead < _SMALLEST_LEAD:
        why = (
            f"the template lies {misfit:.1f} mm off at best"
            if misfit > LARGEST_MISFIT
            else (f"two turns fit alike ({misfit:.1f} and {misfit * lead:.1f} mm)")
        )
        raise BadMesh(
            f"no face can be found on {name!r} by its shape alone", received=why,
            remedy="give landmarks: a CSV with name, x, y, z in the mesh's own coordinates",
        )  # fmt: skip
    return Placement(best.rotation, scale * float(best.scale), best.translation, misfit, lead)


def shape_misfit(vertices: NDArray, faces: NDArray, template: Topology, placement: Placement) -> float:
    """How far a mesh is from a template where that is placed, after a last alignment, millimeters.

    Args:
        vertices: (N, 3) float, any unit and axes.
        faces: (F, 3) int; (0, 3) for a point scan.
        template: What lies there.
        placement: Where.
    """
    surface = Surface(placement.apply(vertices), np.asarray(faces))
    here = Alignment(np.eye(3), np.float64(1.0), np.zeros(3))
    return _align(surface, template, here, points=_FINE, steps=24)[0]


def _thinned(vertices: NDArray, faces: NDArray) -> tuple[NDArray, NDArray]:
    """A mesh of more vertices than placing needs, one a cell of a grid; others as they are."""
    if len(vertices) <= _ENOUGH_VERTICES:
        return vertices, faces
    cell = float(np.linalg.norm(np.ptp(vertices, axis=0))) / _CELLS
    _, first, of_cell = np.unique(
        np.floor(vertices / cell).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    corners = of_cell.reshape(-1)[faces]
    kept = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
    return vertices[first], corners[kept]


def _aligned_from(
    vertices: NDArray, faces: NDArray, template: Topology, scale: float
) -> list[tuple[float, float, Alignment]]:
    """(misfit, scale, alignment) of the best starts at one scale of the mesh."""
    surface = Surface(np.asarray(vertices, np.float64) * scale, np.asarray(faces))
    rough = [
        _align(surface, template, start, points=_FINE // 3, steps=12)
        for start in _apart(_slide_all(surface, template))
    ]
    rough.sort(key=lambda item: item[0])
    fine = _align(surface, template, rough[0][1], points=_FINE, steps=24)
    return [(misfit, scale, _inverse(found)) for misfit, found in (fine, *rough[1:])]


def _apart(starts: list[tuple[float, Alignment]]) -> list[Alignment]:
    """The best starts, of each turn two at most."""
    chosen: list[Alignment] = []
    of_turn: Counter[bytes] = Counter()
    for _, start in starts:
        turn = start.rotation.tobytes()
        of_turn[turn] += 1
        if of_turn[turn] <= 2 and len(chosen) < _KEPT:
            chosen.append(start)
    return chosen


def _start_scales(vertices: NDArray, face_mm: float) -> list[list[float]]:
    """What to multiply coordinates with: units that make the mesh a head, then any size."""
    diagonal = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    if not diagonal > 0:
        return [[1.0]]
    known = [factor for factor in UNITS.values() if 0.7 * face_mm <= diagonal * factor <= 5 * face_mm]
    return [known, [share * face_mm / diagonal for share in (1.25, 1.8, 2.6, 3.7)]]


def _slide_all(surface: Surface, template: Topology) -> list[tuple[float, Alignment]]:
    """(misfit, start) of every turn and place, the best first; the template moved onto the mesh."""
    chosen = np.linspace(0, template.vertex_count - 1, _COARSE).astype(int)
    normals = vertex_normals(template.template, template.faces)[chosen]
    points = template.template[chosen].astype(np.float64)
    middle = np.median(points, axis=0)
    step = max(1, len(surface.vertices) // _CLOUD)
    cloud, directions = surface.vertices[::step], surface.normals[::step]
    tree = cKDTree(np.hstack([cloud, 20.0 * directions]))
    center = np.median(surface.vertices, axis=0)
    turned, facing, places, turns = [], [], [], []
    for turn in quarter_turns():
        # The turn brings the mesh into the template's frame; its rows are the template's axes on the mesh.
        for ahead in _STEPS_FORWARD:
            for up in _STEPS_UP:
                place = center + ahead * turn[2] + up * turn[1]
                turned.append((points - middle) @ turn + place)
                facing.append(20.0 * normals @ turn)
                places.append(place - middle @ turn)
                turns.append(turn)
    misfits, shifts = _slide(np.stack(turned), np.stack(facing), tree, cloud)
    order = np.argsort(misfits, kind="stable")
    return [(float(misfits[k]), Alignment(turns[k].T, np.float64(1.0), places[k] + shifts[k])) for k in order]


def _slide(
    points: NDArray, facing: NDArray, tree: cKDTree, cloud: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slides each of S sets of points (S, n, 3) to the closest place near its start: misfits, and shifts."""
    shift = np.zeros((len(points), 1, 3))
    for _ in range(5):
        distance, near = tree.query(np.concatenate([points + shift, facing], axis=-1), workers=-1)
        close = distance <= np.quantile(distance, 0.8, axis=1, keepdims=True)
        offset = np.where(close[..., None], cloud[near] - points - shift, 0)
        shift = shift + offset.sum(axis=1, keepdims=True) / close.sum(axis=1)[:, None, None]
    distance = np.sort(tree.query(np.concatenate([points + shift, facing], axis=-1), workers=-1)[0], axis=1)
    return distance[:, : int(0.9 * distance.shape[1])].mean(axis=1), shift[:, 0]


def _align(
    surface: Surface, template: Topology, start: Alignment, *, points: int, steps: int
) -> tuple[float, Alignment]:
    """Iterative closest points with a scale: the misfit, and the template's way onto the mesh."""
    chosen = np.linspace(0, template.vertex_count - 1, points).astype(int)
    cloud = template.template[chosen].astype(np.float64)
    normals = vertex_normals(template.template, template.faces)[chosen]
    move = start
    for step in range(steps):
        moved, facing = move.apply(cloud), normals @ move.rotation.T
        match = surface.located(moved, facing)
        distance = _gap(match, moved) + 10.0 * (1 - (match.normals * facing).sum(axis=1))
        weight = distance <= np.quantile(distance, 0.75 if step < steps // 2 else 0.85)
        beyond = match.among(surface.rim)
        if 1 - beyond.mean() >= _SMALLEST_COVER:  # what a mask lacks must not pull the rest
            weight &= ~beyond
        offset = match.points - moved
        if step > steps // 4:  # the plane counts more than the point: the template may slide
            offset = (offset * match.normals).sum(axis=1, keepdims=True) * match.normals
        found = procrustes(cloud, moved + offset, scale=step >= steps // 4, weights=weight)
        move = Alignment(found.rotation, np.clip(found.scale, *_SCALES), found.translation)
    moved, facing = move.apply(cloud), normals @ move.rotation.T
    match = surface.located(moved, facing)
    distance = _gap(match, moved) + 10.0 * np.maximum(0, 1 - (match.normals * facing).sum(axis=1))
    return _misfit(distance, match.among(surface.rim)) / float(move.scale), move


def _misfit(distance: NDArray, beyond: NDArray) -> float:
    """The mean of the better nine tenths of distances (n,), without what lies beyond a mesh's border.

    A mask may end before the template does; the less of the template it covers, the better that has to fit.
    """
    covered = 1 - float(beyond.mean())
    if covered < _SMALLEST_COVER:
        beyond, covered = np.zeros_like(beyond), 1.0
    kept = np.sort(distance[~beyond])
    return float(kept[: int(0.9 * len(kept))].mean()) / covered


def _gap(match: Places, points: NDArray) -> NDArray[np.float64]:
    return np.linalg.norm(match.points - points, axis=1)


def _inverse(move: Alignment) -> Alignment:
    """The mesh's way onto the template."""
    scale = 1 / move.scale
    return Alignment(move.rotation.T, scale, -scale * (move.rotation.T @ move.translation))


def _degrees(a: NDArray, b: NDArray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(a @ b.T) - 1) / 2, -1, 1))))
