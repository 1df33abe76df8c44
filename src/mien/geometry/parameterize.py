"""A face patch on the unit square, and images of geometry sampled there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu

from mien.errors import BadMesh
from mien.geometry.differential import adjacency, cotangent_laplacian, face_areas
from mien.topology import Topology

_VERSION = 1
_FLAT = 1e-12  # twice the area, of the unit square, below which a triangle covers nothing


@dataclass(frozen=True, eq=False)
class SquareMap:
    """A one-to-one map of the largest open component to the unit square.

    Args:
        uv: (V, 2) float64 in 0..1; +u is the face's +X, +v its +Y. Zero outside the patch.
        inside: (V,) bool. Vertices of the patch; other components (eyes, teeth) are left out.
        weights: ``cotangent``, or ``uniform`` where cotangent weights would have flipped triangles.
        cotangent_flips: Triangles that cotangent weights flipped.
        flips: Triangles that are flipped in this map; 0 but for broken meshes.
        flat: Triangles without area: all three corners lie on one side of the square.
        loops: Boundary loops of the patch; the longest is the square's border, the others are filled.
    """

    uv: NDArray[np.float64]
    inside: NDArray[np.bool_]
    weights: str
    cotangent_flips: int
    flips: int
    flat: int
    loops: int

    @property
    def sentence(self) -> str:
        """What was done, in words."""
        note = (
            f" ({self.cotangent_flips} flipped with cotangent weights)" if self.weights == "uniform" else ""
        )
        return (
            f"{self.inside.sum()} of {len(self.inside)} vertices mapped to the square with {self.weights}"
            f" weights{note}: {self.loops} boundary loops, {self.flips} flipped, {self.flat} flat triangles."
        )


def parameterize(topology: Topology) -> SquareMap:
    """The map of a topology's template, cached; see :func:`square_map`."""

    def build() -> dict[str, NDArray]:
        found = square_map(topology.template, topology.faces, topology.components)
        counts = [found.weights == "uniform", found.cotangent_flips, found.flips, found.flat, found.loops]
        return {"uv": found.uv, "inside": found.inside, "counts": np.array(counts, np.int64)}

    arrays = topology.derived(f"square-{_VERSION}", build)
    uniform, *counts = arrays["counts"].tolist()
    return SquareMap(arrays["uv"], arrays["inside"], "uniform" if uniform else "cotangent", *counts)


def square_map(vertices: NDArray, faces: NDArray, components: NDArray) -> SquareMap:
    """Maps the component with the largest area and a boundary harmonically to the unit square.

    The longest boundary loop goes to the border by length, its corners where the face's own are. Other
    holes are filled with a vertex in their middle. When cotangent weights flip a triangle, uniform weights
    are taken, which cannot (Tutte 1963).

    Args:
        vertices: (V, 3) float, any unit, +Y up and +Z out of the face.
        faces: (F, 3) int.
        components: (V,) int, number of each vertex's component.
    """
    vertices = np.asarray(vertices, np.float64)
    faces, loops = _patch(vertices, faces, components)
    lengths = [np.linalg.norm(vertices[loop] - vertices[np.roll(loop, -1)], axis=1).sum() for loop in loops]
    border = loops[int(np.argmax(lengths))]
    holes = [loop for loop in loops if loop is not border]
    filled = np.concatenate([faces, *(_fan(loop, len(vertices) + k) for k, loop in enumerate(holes))])
    everything = np.concatenate([vertices, *(vertices[loop].mean(axis=0, keepdims=True) for loop in holes)])
    fixed = _border_positions(vertices, border)
    cotangent = _solve(-_off_diagonal(cotangent_laplacian(everything, filled)), border, fixed)
    cotangent_flips = _count(cotangent, faces)[0]
    uv, kind = cotangent, "cotangent"
    if cotangent_flips or _count(cotangent, filled)[0]:
        uv, kind = _solve(adjacency(filled, len(everything)), border, fixed), "uniform"
    inside = np.zeros(len(vertices), bool)
    inside[faces] = True
    flips, flat = _count(uv, faces)
    uv = np.where(inside[:, None], uv[: len(vertices)], 0.0)
    return SquareMap(uv, inside, kind, cotangent_flips, flips, flat, len(loops))


def boundary_loops(faces: NDArray) -> list[NDArray[np.int64]]:
    """The boundary loops, each in the order of its faces' edges (the surface lies on the left).

    Args:
        faces: (F, 3) int.

    Returns:
        Loops of (n,) int64 vertices.
    """
    edges = np.stack([faces.ravel(), np.roll(faces, -1, axis=1).ravel()], axis=1).astype(np.int64)
    count = int(faces.max()) + 1
    lone = edges[~np.isin(edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0])]
    following: dict[int, list[int]] = {}
    for first, second in lone.tolist():
        following.setdefault(first, []).append(second)
    loops = []
    while following:
        start = min(following)
        path, place = [start], {start: 0}
        while following.get(path[-1]):
            at = following[path[-1]].pop()
            if not following[path[-1]]:
                del following[path[-1]]
            if at in place:  # where rims touch in one vertex, each closed part is a loop of its own
                loops.append(np.array(path[place[at] :]))
                for item in path[place[at] + 1 :]:
                    del place[item]
                path = path[: place[at] + 1]
                continue
            place[at] = len(path)
            path.append(at)
        following.pop(start, None)
    return loops


def _patch(vertices: NDArray, faces: NDArray, components: NDArray) -> tuple[NDArray, list[NDArray]]:
    """Faces and boundary loops of the largest component that has a boundary."""
    owner = components[faces[:, 0]]
    areas = np.bincount(owner, face_areas(vertices, faces))
    for component in np.argsort(-areas):
        part = faces[owner == component]
        loops = boundary_loops(part) if len(part) else []
        if loops:
            return part, loops
    raise BadMesh(
        "a closed mesh cannot be laid flat", received=f"{len(areas)} components without a boundary",
        remedy="cut it open, at the neck for example",
    )  # fmt: skip


def _fan(loop: NDArray, center: int) -> NDArray:
    """Triangles that fill a hole around a new vertex; they turn as the faces do."""
    return np.stack([np.roll(loop, -1), loop, np.full(len(loop), center)], axis=1)


def _off_diagonal(matrix: csr_matrix) -> csr_matrix:
    return (matrix - diags(matrix.diagonal())).tocsr()


def _border_positions(vertices: NDArray, border: NDArray) -> NDArray[np.float64]:
    """(n, 2) places of the border's vertices on the square, counterclockwise, by length on each side."""
    flat = vertices[border, :2] - (vertices[border, :2].min(axis=0) + vertices[border, :2].max(axis=0)) / 2
    flat /= np.maximum(np.abs(flat).max(axis=0), 1e-300)
    step = np.linalg.norm(vertices[np.roll(border, -1)] - vertices[border], axis=1)
    at = np.concatenate([[0], np.cumsum(step)])
    directions = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = (flat @ directions.T).argmax(axis=0)
    turned = np.sort((corners - corners[0]) % len(border))
    if len(set(turned)) < 4 or not np.array_equal(turned, (corners - corners[0]) % len(border)):
        # The outline is no rounded square seen from the front: quarter it by length, from its lower left.
        goals = (at[corners[0]] + at[-1] * np.arange(4) / 4) % at[-1]
        corners = np.array([np.abs(at[:-1] - goal).argmin() for goal in goals])
        if len(set(corners)) < 4:
            raise BadMesh(
                "the boundary has too few vertices for a square", received=f"{len(border)} vertices"
            )
    places = np.empty((len(border), 2))
    for side in range(4):
        first, last = corners[side], corners[(side + 1) % 4]
        count = (last - first) % len(border)
        along = np.concatenate([[0], np.cumsum(step[(first + np.arange(count)) % len(border)])])[:-1]
        total = step[(first + np.arange(count)) % len(border)].sum()
        share = along / total if total > 0 else np.arange(count) / count
        start, end = (directions[side] + 1) / 2, (directions[(side + 1) % 4] + 1) / 2
        places[(first + np.arange(count)) % len(border)] = start + share[:, None] * (end - start)
    return places


def _solve(weights: csr_matrix, border: NDArray, fixed: NDArray) -> NDArray[np.float64]:
    """(n, 2) positions in which every free vertex is the weighted mean of its neighbors."""
    count = weights.shape[0]
    total = np.asarray(weights.sum(axis=1)).ravel()
    free = np.setdiff1d(np.flatnonzero(np.diff(weights.indptr)), border)
    laplacian = (diags(total) - weights).tocsr()[free]
    uv = np.zeros((count, 2))
    uv[border] = fixed
    if len(free):
        uv[free] = splu(laplacian[:, free].tocsc()).solve(-(laplacian[:, border] @ fixed))
    return uv


def _double_areas(uv: NDArray, faces: NDArray) -> NDArray[np.float64]:
    a, b, c = (uv[faces[:, k]] for k in range(3))
    return (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]


def _count(uv: NDArray, faces: NDArray) -> tuple[int, int]:
    """Flipped triangles and flat ones."""
    areas = _double_areas(uv, faces)
    return int((areas < -_FLAT).sum()), int((np.abs(areas) <= _FLAT).sum())


@dataclass(frozen=True, eq=False)
class GeometryImage:
    """Which point of the surface each pixel shows.

    Args:
        corners: (n, n, 3) int32. The vertices of the triangle under each pixel's center.
        weights: (n, n, 3) float32. Barycentric weights there; all zero where there is no surface.
        inside: (n, n) bool. Pixels that show the surface; others lie in holes.
        seen: (V,) bool. Vertices that some pixel depends on.
    """

    corners: NDArray[np.int32]
    weights: NDArray[np.float32]
    inside: NDArray[np.bool_]
    seen: NDArray[np.bool_]

    def sample(self, values: NDArray) -> NDArray:
        """Images (..., n, n, C) of vertex values (..., V, C); the first row is the top, zero in holes."""
        return np.einsum("...ijkc,ijk->...ijc", values[..., self.corners, :], self.weights)

    def matrix(self) -> csr_matrix:
        """(n n, V) sparse matrix of the same sampling."""
        pixels = np.repeat(np.arange(self.inside.size), 3)
        entries = (self.weights.ravel(), (pixels, self.corners.ravel()))
        return coo_matrix(entries, (self.inside.size, len(self.seen))).tocsr()


def geometry_image(uv: NDArray, faces: NDArray, size: int) -> GeometryImage:
    """The triangle and barycentric weights under each pixel of an image of the unit square.

    Args:
        uv: (V, 2) float in 0..1. Vertices without a place must not be in ``faces``.
        faces: (F, 3) int.
        size: n, pixels along each side.
    """
    corner = np.asarray(uv, np.float64)[faces] * size - 0.5  # in pixels; pixel centers are whole numbers
    low = np.clip(np.ceil(corner.min(axis=1) - 1e-9), 0, size).astype(int)
    high = np.clip(np.floor(corner.max(axis=1) + 1e-9), -1, size - 1).astype(int)
    spans = np.maximum(high - low + 1, 0)
    counts = spans.prod(axis=1)
    face = np.repeat(np.arange(len(faces)), counts)
    within = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    pixel = low[face] + np.stack([within % spans[face, 0], within // spans[face, 0]], axis=1)
    weights = _barycentric(pixel, corner[face])
    hit = weights.min(axis=1) > -1e-9
    face, pixel, weights = face[hit], pixel[hit], np.clip(weights[hit], 0, None)
    flat = (size - 1 - pixel[:, 1]) * size + pixel[:, 0]
    chosen, first = np.unique(flat, return_index=True)  # the first triangle where two share an edge
    corners, shares = np.zeros((size * size, 3), np.int32), np.zeros((size * size, 3), np.float32)
    corners[chosen] = faces[face[first]]
    shares[chosen] = weights[first] / weights[first].sum(axis=1, keepdims=True)
    seen = np.zeros(len(uv), bool)
    seen[corners[shares > 0]] = True
    shape = (size, size, 3)
    return GeometryImage(
        corners.reshape(shape), shares.reshape(shape), shares.any(axis=1).reshape(size, size), seen
    )


def _barycentric(points: NDArray, triangles: NDArray) -> NDArray[np.float64]:
    """(n, 3) weights of (n, 2) points in (n, 3, 2) triangles; negative outside, -1 where there is no area."""
    a, b, c = (triangles[:, k] for k in range(3))
    ab, ac, ap = b - a, c - a, points - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    safe = np.where(np.abs(area) > 1e-12, area, np.inf)
    second = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / safe
    third = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / safe
    weights = np.stack([1 - second - third, second, third], axis=1)
    return np.where(np.isfinite(safe)[:, None], weights, -1.0)
