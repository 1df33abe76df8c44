"""Slits of a template: where lips and lids are cut apart, and which side of a slit a place is on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from mien.geometry.differential import adjacency
from mien.topology import Topology

_MOUTH = {"corners": (60, 64), "upper": (61, 62, 63), "lower": (65, 66, 67)}
"""The inner lips among the 68 iBUG landmarks."""
_EYES = (
    {"corners": (36, 39), "upper": (37, 38), "lower": (40, 41)},
    {"corners": (42, 45), "upper": (43, 44), "lower": (46, 47)},
)
"""And the lids of the right and the left eye."""
_NOTHING = -9999  # what SciPy gives for a vertex that no path leads to
_POCKET = 0.6  # widths of the mouth: a rim so far behind the lips is where the pocket of the mouth ends


@dataclass(frozen=True, eq=False)
class Opening:
    """What lies between two corners: the mouth, or an eye.

    Args:
        kind: ``mouth`` or ``eye``.
        center: (3,) float, millimeters.
        width: Distance between the corners, millimeters.
        upper: (n,) vertices of the upper lip or lid, without the corners.
        lower: (m,) vertices of the lower one, without the corners.
        outline: (k,) vertices all around.
        is_open: Whether the outline is a rim of the mesh; otherwise the mesh goes on inward.
        corners: Vertices of the left and the right corner, by x.
    """

    kind: str
    center: NDArray[np.float64]
    width: float
    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    outline: NDArray[np.int64]
    is_open: bool
    corners: tuple[int, int]

    def on(self, vertices: NDArray) -> Opening:
        """The opening where it lies on another face of the topology, (V, 3) millimeters."""
        around = np.asarray(vertices, np.float64)[self.outline]
        return replace(self, center=around.mean(axis=0), width=float(np.ptp(around[:, 0])))


def openings(topology: Topology) -> list[Opening]:
    """The mouth, if it can be told, and then the eyes.

    Every loop of the skin's rim but the longest is an opening. The mouth is the widest that lies in the
    middle; what lies above it and to the sides are eyes; nostrils and small holes are left out. A mouth that
    goes on into a pocket has no rim, or one at the pocket's end, and is found by its iBUG landmarks.
    """
    vertices = topology.template.astype(np.float64)
    skin = topology.components == np.bincount(topology.components).argmax()
    loops = [loop for loop in rim_loops(topology.faces, len(vertices)) if len(loop) >= 6 and skin[loop].all()]
    size = [float(np.linalg.norm(np.ptp(vertices[loop], axis=0))) for loop in loops]
    outer = int(np.argmax(size)) if loops else -1
    inner = [loop for k, loop in enumerate(loops) if k != outer and size[k] > 0.06 * size[outer]]
    middle, width = float(np.median(vertices[:, 0])), float(np.ptp(vertices[:, 0]))
    mouth = _of_landmarks("mouth", _MOUTH, topology)
    if mouth is not None:
        back = mouth.center[2] - _POCKET * mouth.width
        inner = [loop for loop in inner if vertices[loop, 2].mean() > back]
    aside = {id(loop): abs(vertices[loop, 0].mean() - middle) >= 0.08 * width for loop in inner}
    central = [loop for loop in inner if not aside[id(loop)]]
    if central:
        mouth = opening_of_loop("mouth", max(central, key=lambda loop: np.ptp(vertices[loop, 0])), vertices)
    above = -np.inf if mouth is None else mouth.center[1]
    eyes = [loop for loop in inner if aside[id(loop)] and vertices[loop, 1].mean() > above]
    return ([] if mouth is None else [mouth]) + [opening_of_loop("eye", loop, vertices) for loop in eyes]


def opening_loops(topology: Topology) -> list[NDArray[np.int64]]:
    """The rims of all openings, each (n,) int64 vertices in order."""
    return [opening.outline for opening in openings(topology) if opening.is_open]


def eyes_by_landmarks(topology: Topology) -> list[Opening]:
    """Eyes by the iBUG landmarks of their lids, also where these go on inward and have no rim."""
    return [eye for rows in _EYES if (eye := _of_landmarks("eye", rows, topology))]


def visible_openings(topology: Topology) -> list[Opening]:
    """Mouth and eyes as one sees them: the lips by their landmarks, as their rim may lie deep behind them."""
    rims = openings(topology)
    mouth = _of_landmarks("mouth", _MOUTH, topology)
    mouths = [mouth] if mouth else [item for item in rims if item.kind == "mouth"]
    return mouths + ([item for item in rims if item.kind == "eye"] or eyes_by_landmarks(topology))


def _of_landmarks(kind: str, rows: Mapping[str, Sequence[int]], topology: Topology) -> Opening | None:
    """An opening by the landmarks of its corners and sides."""
    names = list(topology.landmarks.names)
    found = {
        part: [names.index(f"ibug_{number}") for number in numbers if f"ibug_{number}" in names]
        for part, numbers in rows.items()
    }
    if not all(found.values()):
        return None
    vertex = topology.landmarks.corners[np.arange(len(names)), topology.landmarks.weights.argmax(axis=1)]
    corners, upper, lower = (vertex[found[part]].astype(np.int64) for part in ("corners", "upper", "lower"))
    outline = np.concatenate([corners, upper, lower])
    there = topology.template[outline].astype(np.float64)
    left, right = sorted(corners.tolist(), key=lambda corner: float(topology.template[corner, 0]))
    return Opening(
        kind, there.mean(axis=0), float(np.ptp(there[:, 0])), upper, lower, outline, False, (left, right)
    )


def inside_of_mouth(topology: Topology) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) the line of the inner lips, and (V,) the pocket of the mouth behind it, if there is one.

    The line is the mouth's rim. Without one it goes through the iBUG landmarks of the inner lips, along
    edges, and counts as such if it cuts a pocket off.
    """
    line, pocket = np.zeros((2, topology.vertex_count), bool)
    mouth = next((item for item in openings(topology) if item.kind == "mouth"), None)
    if mouth is None:
        return line, pocket
    if mouth.is_open:
        line[mouth.outline] = True
        return line, pocket
    points = topology.template.astype(np.float64)
    lengths = edge_lengths(topology.faces, points)
    left, right = mouth.corners
    for side in (mouth.upper, mouth.lower):
        stops = [left, *side[np.argsort(points[side, 0])], right]
        before = dijkstra(lengths, False, stops[:-1], return_predecessors=True)[1]
        for row, (start, place) in enumerate(pairwise(stops)):
            while place not in (start, _NOTHING):
                line[place], place = True, before[row, place]
            line[start] = True
    return _pocket_behind(line, topology)


def _pocket_behind(line: NDArray, topology: Topology) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A line (V,) that may cut a pocket off, if it does, and (V,) the smaller part that it cuts off."""
    rest, graph = np.flatnonzero(~line), adjacency(topology.faces, len(line))
    count, label = connected_components(graph[rest][:, rest], directed=False)
    beside = np.bincount(label, weights=graph[rest] @ line.astype(float), minlength=count) > 0
    face = np.argmax(np.where(beside, np.bincount(label, minlength=count), 0))
    pocket = np.zeros(len(line), bool)
    pocket[rest] = beside[label] & (label != face)
    return line & pocket.any(), pocket


def opening_of_loop(kind: str, loop: NDArray, vertices: NDArray) -> Opening:
    """What a closed rim surrounds, its corners the outermost vertices to the left and right.

    Args:
        kind: What to call it.
        loop: (k,) vertices in order.
        vertices: (V, 3) float, millimeters.
    """
    points = vertices[loop]
    left, right = int(points[:, 0].argmin()), int(points[:, 0].argmax())
    turned = np.roll(loop, -left)
    first, second = turned[1 : (right - left) % len(loop)], turned[(right - left) % len(loop) + 1 :]
    if vertices[first, 1].mean() < vertices[second, 1].mean():
        first, second = second, first
    width = float(np.linalg.norm(points[right] - points[left]))
    corners = int(loop[left]), int(loop[right])
    return Opening(kind, points.mean(axis=0), width, first, second, loop, True, corners)


def rim_loops(faces: NDArray, count: int) -> list[NDArray[np.int64]]:
    """Closed loops of open borders; borders that touch themselves are left out.

    Args:
        faces: (F, 3) int.
        count: V.

    Returns:
        Loops of (n,) int64 vertices in order.
    """
    ring = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    low, high = ring.min(axis=1), ring.max(axis=1)
    _, first, uses = np.unique(low * count + high, return_index=True, return_counts=True)
    edges = ring[first[uses == 1]]
    following = np.full(count, -1, np.int64)
    following[edges[:, 0]] = edges[:, 1]
    branching = np.bincount(edges[:, 0], minlength=count) > 1
    graph = csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    label = connected_components(graph, directed=False)[1]
    loops = []
    for item in np.unique(label[edges[:, 0]]):
        members = np.flatnonzero(label == item)
        if branching[members].any():
            continue
        walk = [int(members[0])]
        while (ahead := int(following[walk[-1]])) not in (walk[0], -1) and len(walk) < len(members):
            walk.append(ahead)
        if following[walk[-1]] == walk[0]:
            loops.append(np.array(walk))
    return loops


def side_of(topology: Topology, opening: Opening, vertices: NDArray) -> tuple[NDArray, NDArray]:
    """How far vertices are from both sides of an opening, along the surface.

    Args:
        topology: The template's topology.
        opening: One of its openings.
        vertices: (V, 3) float, millimeters. The template, or a face in correspondence.

    Returns:
        (V,) distance to the upper and (V,) distance to the lower rim; infinite beyond one and a half widths.
    """
    graph = edge_lengths(topology.faces, np.asarray(vertices, np.float64))
    reach = 1.5 * opening.width
    upper, lower = (
        dijkstra(graph, False, rim, min_only=True, limit=reach) for rim in (opening.upper, opening.lower)
    )
    return upper, lower


def edge_lengths(faces: NDArray, vertices: NDArray) -> csr_matrix:
    """Lengths of edges as a symmetric matrix.

    Args:
        faces: (F, 3) int.
        vertices: (N, 3) float.

    Returns:
        (N, N) sparse, in the unit of the vertices; nothing where two vertices share no edge.
    """
    graph = adjacency(faces, len(vertices)).tocoo()
    length = np.linalg.norm(vertices[graph.row] - vertices[graph.col], axis=1)
    return csr_matrix((np.maximum(length, 1e-9), (graph.row, graph.col)), graph.shape)
