"""Smaller versions of a topology, and the sparse matrices that lead there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting
from mien.geometry.closest import closest_triangles
from mien.geometry.collapse import EdgeCollapse
from mien.topology import Arrays, Landmarks, Topology

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_LEAST_OF_FITTED = 16  # vertices of the last level: fewer hold no face
_VERSION = 2  # of the algorithm: results cached by an older one are built again


@dataclass(frozen=True, eq=False)
class Decimation:
    """A smaller topology whose vertices are a selection of the original ones.

    Args:
        topology: The smaller topology, v vertices; landmarks, regions, mirror and uv carried over.
        kept: (v,) int. The original vertex of each kept vertex: ``vertices[..., kept, :]`` decimates.
        down: (v, V) sparse float32. The same selection as a matrix.
        up: (V, v) sparse float32. Barycentric weights on the closest triangle; rows sum to one.
    """

    topology: Topology
    kept: NDArray[np.int64]
    down: csr_matrix
    up: csr_matrix


@dataclass(frozen=True, eq=False)
class Level:
    """One step of a hierarchy: from n vertices to m.

    Args:
        faces: (f, 3) int32. Triangles of the m vertices.
        kept: (m,) int. Which of the n vertices stay.
        template: (m, 3) float32, millimeters.
        down: (m, n) sparse float32.
        up: (n, m) sparse float32.
    """

    faces: NDArray[np.int32]
    kept: NDArray[np.int64]
    template: NDArray[np.float32]
    down: csr_matrix
    up: csr_matrix


def decimate(topology: Topology, vertices: int, *, keep: NDArray | None = None) -> Decimation:
    """Decimates by quadric edge collapse onto existing vertices; rims of holes and slits stay.

    Vertices that are landmarks stay. Where a mirror is known both sides are collapsed alike. Cached.

    Args:
        topology: The topology to decimate.
        vertices: How many vertices to keep.
        keep: (V,) bool or (n,) int, or None. Further vertices that must stay.
    """
    mask = _keep_mask(topology, keep)
    if not max(4, mask.sum()) <= vertices <= topology.vertex_count:
        raise BadSetting(
            f"cannot decimate {topology.vertex_count} vertices, of which {int(mask.sum())} must stay",
            received=f"{vertices} vertices wanted",
            remedy=f"choose a number from {max(4, int(mask.sum()))} to {topology.vertex_count}",
        )
    key = f"decimate-{_VERSION}-{vertices}-{_digest(mask, topology)}"
    arrays = topology.derived(key, lambda: _decimated(topology, vertices, mask))
    kept, faces = arrays["kept"], arrays["faces"]
    up = _csr(arrays, (topology.vertex_count, len(kept)))
    smaller = Topology(
        name=f"{topology.name}-{len(kept)}",
        faces=faces,
        template=topology.template[kept],
        uv=arrays.get("uv"),
        uv_faces=arrays.get("uv_faces"),
        landmarks=_carry_landmarks(topology, kept, faces, arrays["representative"]),
        regions={name: mask[kept] for name, mask in topology.regions.items()},
        mirror=_carry_mirror(topology, kept),
    )
    return Decimation(smaller, kept, _selection(kept, topology.vertex_count), up)


def fitting_factors(vertices: int, factors: Sequence[int]) -> tuple[int, ...]:
    """The factors, or the nearest ones that a mesh is large enough for.

    Where the last level would have fewer than four vertices, the largest factor (the last of equal ones)
    shrinks by one until sixteen are left.

    Args:
        vertices: Of the finest mesh.
        factors: How much smaller each level should be than the one before.
    """
    found = [min(factor, vertices) for factor in factors]  # no level has less than one vertex
    if level_counts(vertices, found)[-1] >= 4:
        return tuple(factors)
    while level_counts(vertices, found)[-1] < _LEAST_OF_FITTED and max(found) > 1:
        place = max(range(len(found)), key=lambda k: (found[k], k))
        found[place] -= 1
    return tuple(found)


def level_counts(vertices: int, factors: Sequence[int]) -> list[int]:
    """How many vertices the finest and each further level have: rounded up.

    Args:
        vertices: Of the finest mesh.
        factors: How much smaller each level is than the one before.
    """
    counts = [vertices]
    for factor in factors:
        counts.append(-(-counts[-1] // factor))
    return counts


def hierarchy(topology: Topology, factors: Sequence[int] = (4, 4, 4, 4)) -> list[Level]:
    """Levels that each keep 1 / factor of the vertices, for pooling and unpooling. Cached.

    Args:
        topology: The finest mesh.
        factors: How much smaller each level is than the one before.
    """
    counts = [] if min(factors, default=1) < 1 else level_counts(topology.vertex_count, factors)[1:]
    if len(counts) < len(factors) or (counts and counts[-1] < 4):
        raise BadSetting(
            f"a hierarchy of {topology.vertex_count} vertices cannot shrink that far",
            received=list(factors),
            remedy="use fewer or smaller factors: the last level needs four vertices",
        )
    key = "-".join(map(str, ["hierarchy", _VERSION, *factors]))
    arrays = topology.derived(key, lambda: _levels(topology, counts))
    levels, finer, template = [], topology.vertex_count, topology.template
    for number in range(len(factors)):
        part = {key.split(":")[1]: value for key, value in arrays.items() if key.startswith(f"{number}:")}
        kept = part["kept"]
        template = template[kept]
        up = _csr(part, (finer, len(kept)))
        levels.append(Level(part["faces"], kept, template, _selection(kept, finer), up))
        finer = len(kept)
    return levels


def _levels(topology: Topology, counts: Sequence[int]) -> Arrays:
    arrays: Arrays = {}
    vertices, faces = np.asarray(topology.template, np.float64), topology.faces
    for number, count in enumerate(counts):
        collapse = EdgeCollapse(vertices, faces)
        collapse.run(count)
        kept, smaller, representative, _ = collapse.result()
        columns, weights = _way_up(vertices, faces, kept, smaller, representative)
        arrays |= {
            f"{number}:kept": kept, f"{number}:faces": smaller,
            f"{number}:columns": columns, f"{number}:weights": weights,
        }  # fmt: skip
        vertices, faces = vertices[kept], smaller
    return arrays


def _keep_mask(topology: Topology, keep: NDArray | None) -> NDArray[np.bool_]:
    mask = np.zeros(topology.vertex_count, bool)
    if keep is not None:
        mask[np.asarray(keep)] = True
    on_vertex = topology.landmarks.weights > 0.999
    mask[topology.landmarks.corners[on_vertex]] = True
    return mask


def _digest(mask: NDArray, topology: Topology) -> str:
    """Short hash of what the result depends on beside faces and template, which the cache knows."""
    import hashlib

    digest = hashlib.sha256(np.packbits(mask).tobytes())
    for array in (topology.mirror, topology.uv, topology.uv_faces):
        digest.update(b"-" if array is None else array.tobytes())
    return digest.hexdigest()[:12]


def _decimated(topology: Topology, count: int, keep: NDArray) -> Arrays:
    collapse = EdgeCollapse(
        topology.template, topology.faces, keep, topology.mirror, topology.uv, topology.uv_faces
    )
    collapse.run(count)
    kept, faces, representative, wedges = collapse.result()
    if len(kept) > count:
        raise BadSetting(
            f"the mesh cannot be decimated to {count} vertices without breaking it",
            received=f"{len(kept)} vertices are the least",
            remedy="ask for more vertices, or cut off small parts first",
        )
    template = topology.template.astype(np.float64)
    representative = _adopt(template, kept, representative)
    columns, weights = _way_up(template, topology.faces, kept, faces, representative)
    arrays: Arrays = {"kept": kept, "faces": faces, "representative": representative}
    arrays |= {"columns": columns, "weights": weights}
    if wedges is not None and topology.uv is not None:
        used, inverse = np.unique(wedges, return_inverse=True)
        arrays |= {"uv": topology.uv[used], "uv_faces": inverse.reshape(-1, 3).astype(np.int32)}
    return arrays


def _adopt(template: NDArray, kept: NDArray, representative: NDArray) -> NDArray[np.int32]:
    """Vertices that no triangle used follow the closest kept vertex."""
    lost = representative < 0
    if lost.any():
        from scipy.spatial import cKDTree

        representative = representative.copy()
        representative[lost] = cKDTree(template[kept]).query(template[lost])[1]
    return representative


def _way_up(
    vertices: NDArray, faces: NDArray, kept: NDArray, smaller: NDArray, representative: NDArray
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(V, 3) columns and weights: kept vertices exactly, rims on rims, the rest on the closest triangle."""
    columns, weights = closest_triangles(vertices, vertices[kept], smaller, representative)
    before, after = _rim_neighbors(faces, kept, len(vertices))
    on_rim = np.flatnonzero((before >= 0) & (after >= 0) & (before != after))
    # Where lips meet, a vertex of the upper rim may touch triangles of the lower: rims follow their own rim.
    start = vertices[kept[before[on_rim]]]
    edge = vertices[kept[after[on_rim]]] - start
    along = ((vertices[on_rim] - start) * edge).sum(axis=1) / np.maximum((edge * edge).sum(axis=1), 1e-300)
    along = np.clip(along, 0, 1)
    columns[on_rim] = np.stack([before[on_rim], after[on_rim], after[on_rim]], axis=1)
    weights[on_rim] = np.stack([1 - along, along, np.zeros(len(along))], axis=1)
    columns[kept], weights[kept] = np.arange(len(kept))[:, None], (1.0, 0.0, 0.0)
    return columns, weights


def _rim_neighbors(faces: NDArray, kept: NDArray, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(V,) the kept vertices before and after each vertex along its rim, by new number; -1 without."""
    edges = np.stack([faces.ravel(), np.roll(faces, -1, axis=1).ravel()], axis=1).astype(np.int64)
    lone = edges[~np.isin(edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0])]
    number = np.full(count, -1)
    number[kept] = np.arange(len(kept))
    found = []
    for first, second in ((1, 0), (0, 1)):
        step = np.arange(count)
        # A vertex where two rims touch has no single neighbor: it is left to the closest triangle.
        single = np.bincount(lone[:, first], minlength=count)[lone[:, first]] == 1
        step[lone[single, first]] = lone[single, second]
        step[kept] = kept
        for _ in range(int(np.ceil(np.log2(count))) + 1):  # doubling the stride passes any rim
            step = step[step]
        found.append(number[step])
    return found[0], found[1]


def _carry_landmarks(topology: Topology, kept: NDArray, faces: NDArray, representative: NDArray) -> Landmarks:
    """The same points on the smaller surface; those on kept vertices stay there exactly."""
    marks = topology.landmarks
    if not len(marks):
        return marks
    strongest = marks.corners[np.arange(len(marks)), marks.weights.argmax(axis=1)]
    template = topology.template.astype(np.float64)
    corners, weights = closest_triangles(
        marks.positions(template), template[kept], faces, representative[strongest]
    )
    number = np.full(topology.vertex_count, -1)
    number[kept] = np.arange(len(kept))
    on_vertex = (marks.weights.max(axis=1) > 0.999) & (number[strongest] >= 0)
    corners[on_vertex] = number[strongest[on_vertex], None]
    weights[on_vertex] = (1, 0, 0)
    return Landmarks(marks.names, corners, weights)


def _carry_mirror(topology: Topology, kept: NDArray) -> NDArray[np.int32] | None:
    """The mirror among kept vertices; where a partner is gone, the kept vertex nearest to it."""
    if topology.mirror is None:
        return None
    from scipy.spatial import cKDTree

    partner = topology.mirror[kept]
    number = np.full(topology.vertex_count, -1)
    number[kept] = np.arange(len(kept))
    nearest = cKDTree(topology.template[kept]).query(topology.template[partner])[1]
    return np.where(number[partner] >= 0, number[partner], nearest).astype(np.int32)


def _csr(arrays: Arrays, shape: tuple[int, int]) -> csr_matrix:
    """Rows of three columns and weights as a sparse matrix."""
    from scipy.sparse import csr_matrix

    rows = np.repeat(np.arange(shape[0]), 3)
    matrix = csr_matrix(
        (arrays["weights"].ravel(), (rows, arrays["columns"].ravel())), shape, dtype=np.float32
    )
    matrix.eliminate_zeros()
    return matrix


def _selection(kept: NDArray, count: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    ones = np.ones(len(kept), np.float32)
    return csr_matrix((ones, (np.arange(len(kept)), kept)), (len(kept), count))
