"""Quadric edge collapse onto existing vertices (Garland and Heckbert 1997).

Every collapse moves a vertex onto a neighbor, so the smaller mesh is a selection of the original vertices:
a mesh in correspondence is decimated by taking rows. Libraries place vertices freely and may drop the rims
of eye and mouth slits, which is why this is written out. A vertex on a rim only slides along its rim.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from mien.geometry.differential import face_normals

# Weights against the squared distance to planes: rims count much, long edges a little. The latter decides
# on flat parts, where all distances are near zero, and keeps triangles from becoming slivers.
_RIM = 10.0
_LENGTH = 2e-3
_SLIT_END = 1.3  # length of the sum of the two unit rim edges: an angle under 99 degrees
_LEAST_TURN = 0.2  # cosine: a collapse may not turn a triangle by more
_LEAST_SHAPE = 0.08  # 4 sqrt(3) area / sum of squared edges: 1 is equilateral


class EdgeCollapse:
    """A mesh that shrinks by edge collapses.

    Args:
        vertices: (V, 3) float, millimeters.
        faces: (F, 3) int.
        keep: (V,) bool or None. Vertices that must stay.
        mirror: (V,) int or None. Left-right mirror of each vertex: collapses are done on both sides.
        uv: (U, 2) float or None. Texture coordinates, carried along; seams are respected.
        uv_faces: (F, 3) int index into ``uv``, or None.
    """

    def __init__(
        self,
        vertices: NDArray,
        faces: NDArray,
        keep: NDArray | None = None,
        mirror: NDArray | None = None,
        uv: NDArray | None = None,
        uv_faces: NDArray | None = None,
    ) -> None:
        points = np.asarray(vertices, np.float64)
        self._points = [tuple(row) for row in points.tolist()]
        self.faces: list[list[int] | None] = faces.tolist()
        self._wedges = None if uv is None or uv_faces is None else uv_faces.tolist()
        self._uv = uv
        self._around: list[set[int]] = [set() for _ in points]
        for number, face in enumerate(faces.tolist()):
            for vertex in face:
                self._around[vertex].add(number)
        self.alive = np.array([bool(around) for around in self._around])
        self.parent = np.arange(len(points))
        edges, counts, owners = _edges(faces)
        self._rim = np.zeros(len(points), bool)
        self._rim[edges[counts == 1].ravel()] = True
        self._locked = np.zeros(len(points), bool) if keep is None else np.array(keep, bool)
        self._locked[edges[counts > 2].ravel()] = True  # no safe collapse where three triangles share an edge
        self._locked |= _slit_ends(points, edges[counts == 1])
        self._mirror = None if mirror is None else np.asarray(mirror).tolist()
        self._quadrics = _quadrics(points, faces, edges[counts == 1], owners[counts == 1]).tolist()
        self._areas = np.bincount(
            faces.ravel(), np.repeat(np.linalg.norm(face_normals(points, faces), axis=1) / 6, 3), len(points)
        ).tolist()
        self._stamp = [0] * len(points)
        self._heap: list[tuple[float, int, int, int, int]] = []

    def run(self, target: int) -> None:
        """Collapses until ``target`` vertices are left, or nothing more can be collapsed safely."""
        count = int(self.alive.sum())
        while count > target:
            self._fill()
            before = count
            while count > target and self._heap:
                _, u, v, stamp_u, stamp_v = heapq.heappop(self._heap)
                if stamp_u != self._stamp[u] or stamp_v != self._stamp[v] or not self._collapse(u, v):
                    continue
                count -= 1
                if self._mirror is not None and count > target:
                    count -= self._collapse_mirrored(self._mirror[u], self._mirror[v], u)
            if count == before:
                return

    def _collapse_mirrored(self, u: int, v: int, done: int) -> bool:
        """The same collapse on the other side of the face, when that is another edge and still there."""
        connected = u != done and bool(self._around[u] & self._around[v])
        return connected and self._collapse(u, v)

    def _fill(self) -> None:
        """Queues all collapses anew."""
        seen = {
            (face[i], face[j])
            for face in self.faces
            if face is not None
            for i in range(3)
            for j in range(3)
            if i != j
        }
        self._heap = [
            (self._cost(u, v), u, v, self._stamp[u], self._stamp[v])
            for u, v in sorted(seen)
            if not self._locked[u]
        ]
        heapq.heapify(self._heap)

    def _cost(self, u: int, v: int) -> float:
        """Error of moving u onto v: the quadrics of both at v, and a little for the edge's length."""
        x, y, z = self._points[v]
        ux, uy, uz = self._points[u]
        (xx, xy, xz, xw, yy, yz, yw, zz, zw, ww) = self._quadrics[u]
        total = x * (xx * x + 2 * (xy * y + xz * z + xw)) + y * (yy * y + 2 * (yz * z + yw))
        total += z * (zz * z + 2 * zw) + ww
        (xx, xy, xz, xw, yy, yz, yw, zz, zw, ww) = self._quadrics[v]
        total += x * (xx * x + 2 * (xy * y + xz * z + xw)) + y * (yy * y + 2 * (yz * z + yw))
        total += z * (zz * z + 2 * zw) + ww
        squared = (x - ux) ** 2 + (y - uy) ** 2 + (z - uz) ** 2
        return total + _LENGTH * squared * (self._areas[u] + self._areas[v])

    def _neighbors(self, vertex: int) -> set[int]:
        found: set[int] = set()
        for number in self._around[vertex]:
            found.update(self.faces[number])  # type: ignore[arg-type]
        found.discard(vertex)
        return found

    def _collapse(self, u: int, v: int) -> bool:
        """Moves u onto v if the surface stays a manifold and no triangle flips; whether it did."""
        if self._locked[u]:
            return False
        shared = self._around[u] & self._around[v]
        moved = self._around[u] - shared
        if not self._keeps_manifold(u, v, shared) or not all(self._keeps_shape(n, u, v) for n in moved):
            return False
        if self._wedges is not None:
            self._move_wedges(u, v, shared, moved)
        for number in shared:
            for vertex in self.faces[number]:  # type: ignore[union-attr]
                self._around[vertex].discard(number)
            self.faces[number] = None
        for number in moved:
            face = self.faces[number]
            face[face.index(u)] = v  # type: ignore[index, union-attr]
        self._around[v] |= moved
        self._around[u] = set()
        self.alive[u] = False
        self.parent[u] = v
        self._quadrics[v] = [a + b for a, b in zip(self._quadrics[u], self._quadrics[v], strict=True)]
        self._areas[v] += self._areas[u]
        self._stamp[u] += 1
        self._stamp[v] += 1
        for other in self._neighbors(v):
            for a, b in ((v, other), (other, v)):
                if not self._locked[a]:
                    heapq.heappush(self._heap, (self._cost(a, b), a, b, self._stamp[a], self._stamp[b]))
        return True

    def _keeps_manifold(self, u: int, v: int, shared: set[int]) -> bool:
        """The link condition, and rims that stay rims."""
        if self._rim[u] and (not self._rim[v] or len(shared) != 1):
            return False
        opposite = {vertex for number in shared for vertex in self.faces[number]} - {u, v}  # type: ignore[union-attr]
        if (self._neighbors(u) & self._neighbors(v)) != opposite:
            return False
        return all(len(self._around[x]) > (1 if self._rim[x] else 3) for x in opposite)

    def _keeps_shape(self, number: int, u: int, v: int) -> bool:
        """Whether a triangle of u neither flips nor becomes a sliver when u moves to v."""
        face: list[int] = self.faces[number]  # type: ignore[assignment]
        at = face.index(u)
        p, q = self._points[face[at - 2]], self._points[face[at - 1]]
        old, new = self._points[u], self._points[v]
        ex, ey, ez = q[0] - p[0], q[1] - p[1], q[2] - p[2]
        ox, oy, oz = old[0] - p[0], old[1] - p[1], old[2] - p[2]
        nx, ny, nz = new[0] - p[0], new[1] - p[1], new[2] - p[2]
        ax, ay, az = ey * oz - ez * oy, ez * ox - ex * oz, ex * oy - ey * ox
        bx, by, bz = ey * nz - ez * ny, ez * nx - ex * nz, ex * ny - ey * nx
        before, after = ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz
        dot = ax * bx + ay * by + az * bz
        if dot <= _LEAST_TURN * (before * after) ** 0.5:
            return before == 0.0 and after > 0.0
        third = (new[0] - q[0]) ** 2 + (new[1] - q[1]) ** 2 + (new[2] - q[2]) ** 2
        edges = ex * ex + ey * ey + ez * ez + nx * nx + ny * ny + nz * nz + third
        shape = 3.4641016 * after**0.5 / edges
        return shape > _LEAST_SHAPE or after >= before

    def _move_wedges(self, u: int, v: int, shared: set[int], moved: set[int]) -> None:
        """Texture coordinates of u's corners become those of v on the same side of a seam."""
        assert self._wedges is not None and self._uv is not None
        partner, choices = {}, set()
        for number in self._around[v]:
            wedge, face = self._wedges[number], self.faces[number]
            at_v = wedge[face.index(v)]  # type: ignore[union-attr]
            choices.add(at_v)
            if number in shared:
                partner[wedge[face.index(u)]] = at_v  # type: ignore[union-attr]
        for number in moved:
            wedge, at = self._wedges[number], self.faces[number].index(u)  # type: ignore[union-attr]
            old = wedge[at]
            if old not in partner:
                near = sorted(choices)
                partner[old] = near[int(((self._uv[near] - self._uv[old]) ** 2).sum(axis=1).argmin())]
            wedge[at] = partner[old]

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray | None]:
        """Kept vertices (v,), triangles (f, 3), representative of each vertex (V,), uv triangles (f, 3)."""
        kept = np.flatnonzero(self.alive)
        number = np.full(len(self.alive), -1, np.int32)
        number[kept] = np.arange(len(kept))
        left = [i for i, face in enumerate(self.faces) if face is not None]
        faces = number[np.array([self.faces[i] for i in left]).reshape(-1, 3)]
        root = self.parent
        while (root != root[root]).any():
            root = root[root]
        wedges = None if self._wedges is None else np.array([self._wedges[i] for i in left], np.int32)
        return kept, faces, number[root], wedges


def _edges(faces: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """(n, 2) edges, how many triangles share each, and one of those."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, first, counts = np.unique(edges, axis=0, return_index=True, return_counts=True)
    return edges, counts, first % len(faces)


def _slit_ends(points: NDArray, rims: NDArray) -> NDArray[np.bool_]:
    """(V,) whether a rim turns back at a vertex, as at the corners of lips and lids; they hold slits open."""
    both = np.concatenate([rims, rims[:, ::-1]])
    away = points[both[:, 1]] - points[both[:, 0]]
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-20)
    total = np.stack([np.bincount(both[:, 0], away[:, axis], len(points)) for axis in range(3)], axis=1)
    # Two unit vectors at an angle a sum to length 2 cos(a / 2); a is 180 degrees on a straight rim.
    return (np.bincount(both[:, 0], minlength=len(points)) == 2) & (np.linalg.norm(total, axis=1) > _SLIT_END)


def _quadrics(points: NDArray, faces: NDArray, rims: NDArray, owners: NDArray) -> NDArray[np.float64]:
    """(V, 10) sums of area-weighted squared-distance forms: planes of triangles, and walls along rims."""
    scaled = face_normals(points, faces)
    length = np.linalg.norm(scaled, axis=1)
    normals = scaled / np.maximum(length, 1e-20)[:, None]
    total = _spread(normals, points[faces[:, 0]], length / 2, faces, len(points))
    along = points[rims[:, 1]] - points[rims[:, 0]]
    walls = np.cross(along, normals[owners])
    walls /= np.maximum(np.linalg.norm(walls, axis=1), 1e-20)[:, None]
    return total + _spread(walls, points[rims[:, 0]], _RIM * (along**2).sum(axis=1), rims, len(points))


def _spread(normals: NDArray, on_plane: NDArray, weights: NDArray, owners: NDArray, count: int) -> NDArray:
    """Adds weighted plane forms to the vertices that own them."""
    planes = np.concatenate([normals, -(normals * on_plane).sum(axis=1, keepdims=True)], axis=1)
    rows, columns = np.triu_indices(4)
    forms = planes[:, rows] * planes[:, columns] * weights[:, None]
    total = np.zeros((count, 10))
    for column in range(owners.shape[1]):
        np.add.at(total, owners[:, column], forms)
    return total
