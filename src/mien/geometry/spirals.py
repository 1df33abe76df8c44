"""Spiral orderings of vertex neighborhoods (SpiralNet++), for convolutions on a fixed topology.

A spiral starts with its vertex, goes once around the first ring, on around the second, and so on. The first
neighbor is the next vertex on the shortest path to a reference vertex near the nose tip, one for each
component; the turn is the faces' own (counterclockwise from outside). All choices depend on geometry alone,
so a mesh with its vertices in another order has the same spirals up to relabeling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from mien.errors import BadSetting
from mien.geometry.differential import adjacency, uniform_laplacian
from mien.topology import Topology

_VERSION = 1
_NOSE_TIPS = ("nose_tip", "nosetip", "pronasale", "prn", "nose")


def spirals(
    topology: Topology, *, length: int, dilation: int = 1, rings: int | None = None
) -> NDArray[np.int32]:
    """Spirals of a topology, cached; toward its nose tip if that is a landmark. See `spiral_indices`.

    Returns:
        (V, length) int32 vertices. Where a component or the rings end early, the vertex itself fills the
        rest.
    """
    tip = nose_tip(topology)
    place = "front" if tip is None else "-".join(f"{value:.3f}" for value in tip)
    key = f"spirals-{_VERSION}-{length}-{dilation}-{rings or 'all'}-{place}"
    arrays = topology.derived(
        key,
        lambda: {
            "spirals": spiral_indices(
                topology.template, topology.faces, length=length, dilation=dilation, rings=rings, tip=tip
            )
        },
    )
    return arrays["spirals"]


def nose_tip(topology: Topology) -> NDArray | None:
    """(3,) position of the nose tip, millimeters, if it is among the landmarks."""
    names = {name.lower().replace(" ", "_"): row for row, name in enumerate(topology.landmarks.names)}
    row = next((names[name] for name in _NOSE_TIPS if name in names), None)
    return None if row is None else topology.landmarks.positions(topology.template)[row]


def spiral_indices(
    vertices: NDArray,
    faces: NDArray,
    *,
    length: int,
    dilation: int = 1,
    rings: int | None = None,
    tip: NDArray | None = None,
) -> NDArray[np.int32]:
    """The spiral of each vertex.

    Args:
        vertices: (V, 3) float, any unit. The template of this level.
        faces: (F, 3) int.
        length: S, entries of each spiral.
        dilation: Takes every dilation-th vertex of a spiral that is as many times longer.
        rings: At most so many rings; None goes on until the spiral is full.
        tip: (3,) float or None. Where the nose tip is; None takes the vertex that is most in front.

    Returns:
        (V, S) int32. Where a component or the rings end early, the vertex itself fills the rest.
    """
    if length < 1 or dilation < 1:
        raise BadSetting("a spiral needs a length and a dilation of at least 1", received=(length, dilation))
    vertices = np.asarray(vertices, np.float64)
    order = _geometric_rank(vertices, faces)
    first = _first_neighbors(vertices, faces, order, tip)
    around = [_ring(fan, int(start), order) for fan, start in zip(_fans(faces, len(vertices)), first)]
    wanted = length * dilation
    rows = np.empty((len(vertices), length), np.int32)
    for vertex in range(len(vertices)):
        found = _spiral(vertex, around, wanted, rings)[::dilation]
        rows[vertex, : len(found)] = found
        rows[vertex, len(found) :] = vertex
    return rows


def _spiral(vertex: int, around: list[list[int]], wanted: int, rings: int | None) -> list[int]:
    """Up to ``wanted`` vertices from the center outward."""
    found, seen = [vertex], {vertex}
    ring = [(item, vertex) for item in around[vertex]]
    seen.update(around[vertex])
    found += around[vertex]
    done = 1
    while ring and len(found) < wanted and (rings is None or done < rings):
        outer = []
        for item, parent in ring:
            near = around[item]
            at = near.index(parent) + 1
            # From the parent on, the turn about a ring vertex sweeps the outside in the sense of the spiral.
            for other in (*near[at:], *near[:at]):
                if other not in seen:
                    seen.add(other)
                    outer.append((other, item))
        ring = outer
        found += [item for item, _ in ring]
        done += 1
    return found[:wanted]


def _geometric_rank(vertices: NDArray, faces: NDArray) -> NDArray[np.int64]:
    """(V,) place of each vertex in an order that knows positions only, to break ties.

    Vertices at one place, as on closed lips, differ in where their neighbors are.
    """
    offset = np.round(uniform_laplacian(faces, len(vertices)) @ vertices, 6)
    order = np.lexsort((*offset.T, *vertices.T))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _first_neighbors(
    vertices: NDArray, faces: NDArray, order: NDArray, tip: NDArray | None
) -> NDArray[np.int64]:
    """(V,) the neighbor on the shortest way to the component's reference vertex; -1 without neighbors."""
    near = adjacency(faces, len(vertices)).tocoo()
    length = np.linalg.norm(vertices[near.row] - vertices[near.col], axis=1)
    floor = 1e-12 * max(length.max(initial=0), 1e-300)  # zero would mean "no edge" to a sparse matrix
    weighted = csr_matrix((np.maximum(length, floor), (near.row, near.col)), near.shape)
    if tip is None:
        tip = vertices[np.lexsort((order, -vertices[:, 2]))[0]]
    component = connected_components(weighted, directed=False)[1]
    by_distance = np.lexsort((order, ((vertices - tip) ** 2).sum(axis=1), component))
    references = by_distance[np.unique(component[by_distance], return_index=True)[1]]
    distance = dijkstra(weighted, directed=False, indices=references, min_only=True)
    choice = np.lexsort((order[near.col], distance[near.col] + length, near.row))
    rows, at = np.unique(near.row[choice], return_index=True)
    first = np.full(len(vertices), -1)
    first[rows] = near.col[choice[at]]
    return first


def _fans(faces: NDArray, count: int) -> list[dict[int, int]]:
    """For each vertex: which neighbor follows which, counterclockwise."""
    fans: list[dict[int, int]] = [{} for _ in range(count)]
    for a, b, c in faces.tolist():
        if a != b and b != c and c != a:
            fans[a][b], fans[b][c], fans[c][a] = c, a, b
    return fans


def _ring(fan: dict[int, int], start: int, order: NDArray) -> list[int]:
    """The neighbors of a vertex in turn, from ``start`` on; a fan with a rim goes on at its other end."""
    left = set(fan) | set(fan.values())
    heads = sorted(left - set(fan.values()), key=order.__getitem__)
    chains = []
    while left:
        at: int | None = heads.pop(0) if heads else min(left, key=order.__getitem__)
        chain = []
        while at is not None and at in left:
            left.discard(at)
            chain.append(at)
            at = fan.get(at)
        if chain:
            chains.append(chain)
    # Several chains meet where two parts of the surface touch in one vertex: the one with the start leads.
    chains.sort(key=lambda chain: start not in chain)
    if chains and start in chains[0]:
        at_start = chains[0].index(start)
        chains[0] = chains[0][at_start:] + chains[0][:at_start]
    return [item for chain in chains for item in chain]
