"""MakeHuman's head as a topology: landmarks, regions, a uv map that the head fills, and what closes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from mien.data.expressions import SHAPES
from mien.data.sources.ict_release import mirror_of
from mien.data.sources.makehuman.release import VERTEX_COUNT, MakeHuman
from mien.data.sources.makehuman.shapes import performed_shapes
from mien.data.sources.moved_regions import moved_regions
from mien.geometry.hierarchy import decimate
from mien.geometry.openings import edge_lengths
from mien.topology import Landmarks, Polygons, Topology

# iBUG's 68 points as vertices of the base mesh: where ICT-FaceKit's lie after its head was registered to
# this one, made symmetric; those of the lids on the ring of edges that meet when the eyes close.
LANDMARKS = (
    5237, 5236, 5092, 910, 5240, 3698, 5294, 5167, 5225, 11780, 11900, 10366, 11849, 7612, 11707, 11845,
    11846, 262, 232, 229, 223, 228, 7001, 6997, 7002, 7005, 7031, 132, 131, 164, 5134, 360, 5138, 343, 11752,
    7121, 24, 6, 54, 69, 47, 36, 6853, 6838, 6790, 6808, 6820, 6831, 3736, 410, 456, 455, 7215, 7170, 10404,
    7233, 7245, 496, 490, 478, 3733, 471, 474, 7227, 10401, 7236, 523, 481,
)  # fmt: skip
# Closed rows of landmarks along which the mesh's own edges outline lids and lips.
_OUTLINES = (range(36, 42), range(42, 48), range(48, 60), range(60, 68))

#: Island of the base mesh's uv: its box there, and where its lower left corner and how large it is here. In
#: the base mesh the head is a tenth of a whole body's map; here it fills the square.
ISLANDS = {
    "head": ((0.640, 0.148, 0.996, 0.820), (0.010, 0.012), 1.45),
    "mouth": ((0.757, 0.011, 0.925, 0.137), (0.545, 0.010), 1.45),
    "neck": ((0.265, 0.902, 0.496, 0.975), (0.545, 0.205), 1.45),
    "right_socket": ((0.011, 0.546, 0.078, 0.634), (0.795, 0.010), 1.45),
    "left_socket": ((0.085, 0.546, 0.152, 0.634), (0.895, 0.010), 1.45),
    "left_eye": ((0.7595, 0.9435, 0.7731, 0.9574), (0.545, 0.325), 15.0),
    "left_eye_back": ((0.7719, 0.9310, 0.7857, 0.9445), (0.545, 0.545), 7.0),
    "right_eye": ((0.8003, 0.9435, 0.8139, 0.9574), (0.770, 0.325), 15.0),
    "right_eye_back": ((0.7877, 0.9310, 0.8013, 0.9445), (0.660, 0.545), 7.0),
    "upper_teeth": ((0.677, 0.8750, 0.739, 0.89779), (0.545, 0.660), 3.4),
    "lower_teeth": ((0.677, 0.89780, 0.739, 0.9205), (0.545, 0.750), 3.4),
    "tongue": ((0.622, 0.929, 0.648, 0.985), (0.790, 0.560), 4.0),
}
OVERLAP_MM = 0.5
"""Closed lids overlap by so much where they meet latest."""
IRIS_DEGREES, PUPIL_DEGREES = 25.0, 14.0
"""Rings of the eyeballs' vertices lie at 11 and 22 degrees about the look; these lie between the rings."""


@lru_cache(maxsize=2)
def makehuman_topology(head: MakeHuman) -> Topology:
    """The head of the mean young adult, ready as a template: 4,748 vertices, 68 landmarks, 12 regions.

    Args:
        head: The release.
    """
    island = islands(head)
    uv = _laid_out(head.uv, island)
    polygons = head.polygons
    faces, uv_faces = polygons.triangulate()
    marks = _marks(head)
    mean = np.round(head.mean, 3).astype(np.float32)
    bare = Topology(
        "makehuman", faces, mean, polygons, uv, uv_faces, Landmarks.at_vertices(marks),
        mirror=mirror_of(head.base, tolerance=0.1),
    )  # fmt: skip
    return replace(bare, regions=_regions(head, bare, _of_island(polygons, island, "mouth", len(mean))))


def _marks(head: MakeHuman) -> dict[str, int]:
    """Landmark -> vertex of the head."""
    places = np.full(VERTEX_COUNT, -1)
    places[head.rows] = np.arange(len(head.rows))
    return {f"ibug_{number}": int(places[vertex]) for number, vertex in enumerate(LANDMARKS)}


def landmarks_of(head: MakeHuman) -> dict[str, NDArray[np.float64]]:
    """Landmark -> (3,) float64, millimeters, on the head of the mean young adult.

    Args:
        head: The release.
    """
    return {name: np.asarray(head.mean[vertex], np.float64) for name, vertex in _marks(head).items()}


def reduced_makehuman(head: MakeHuman, vertices: int | None) -> tuple[Topology, NDArray[np.int64]]:
    """The topology with so many vertices, and (V,) int64 which of the full one's they are.

    Args:
        head: The release.
        vertices: How many; None keeps all. The outlines of lids and lips, and the irises, stay where there is
            room for them.
    """
    topology = makehuman_topology(head)
    if vertices is None or vertices >= topology.vertex_count:
        return topology, np.arange(topology.vertex_count)
    outlines = [outline(topology, row) for row in _OUTLINES]
    stay = np.unique(np.concatenate([*outlines, np.flatnonzero(topology.regions["iris"])]))
    smaller = decimate(topology, vertices, keep=stay if vertices >= 4 * len(stay) else None)
    return smaller.topology, smaller.kept


def outline(topology: Topology, row: range) -> NDArray[np.int64]:
    """(n,) int64 vertices of the closed path of edges along a row of iBUG landmarks.

    Args:
        topology: Of MakeHuman's head, whole.
        row: Numbers of the landmarks, around.
    """
    marks = dict(zip(topology.landmarks.names, topology.landmarks.corners[:, 0].tolist(), strict=True))
    stops = [marks[f"ibug_{number}"] for number in row]
    lengths = edge_lengths(topology.faces, topology.template)
    _, before = dijkstra(lengths, directed=False, indices=stops, return_predecessors=True)
    path: list[int] = []
    for number, goal in enumerate([*stops[1:], stops[0]]):
        leg = []
        while goal != stops[number]:
            leg.append(goal)
            goal = int(before[number, goal])
        path += leg[::-1]
    return np.array(path, np.int64)


@dataclass(frozen=True, eq=False)
class LidRims:
    """The rims of an eye's lids.

    Args:
        upper: (n,) int64 vertices of the upper rim, without the corners.
        lower: (m,) int64 vertices of the lower one, in the order of x.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]

    def closing(self, face: NDArray, blink: NDArray) -> NDArray[np.float64]:
        """The share of a blink at which the rims have met, and overlap by half a millimeter.

        Args:
            face: (V, 3) float, millimeters. With open eyes.
            blink: (V, 3) float, millimeters. What the whole blink adds.

        Returns:
            (V,) float64: every place follows the part of the rim above or below it.
        """
        x, place = face[self.upper, 0], face[self.lower]
        order = np.argsort(place[:, 0])
        rim, rises = (np.interp(x, place[order, 0], y[order]) for y in (place[:, 1], blink[self.lower, 1]))
        gap, closed = face[self.upper, 1] - rim, rises - blink[self.upper, 1]
        moving = closed > 0.4 * closed.max()  # at the corners lids hardly move, and stay where they are
        share = (gap[moving] + OVERLAP_MM) / closed[moving]
        along = np.argsort(x[moving])
        return np.interp(face[:, 0], x[moving][along], share[along])


def lid_rims(topology: Topology) -> dict[str, LidRims]:
    """``eyeBlink_L`` and ``eyeBlink_R`` -> the rims that meet.

    Args:
        topology: Of MakeHuman's head, whole.
    """
    found = {}
    for name, row in (("eyeBlink_R", range(36, 42)), ("eyeBlink_L", range(42, 48))):
        around = outline(topology, row)  # starts behind the first corner; the second is the fourth landmark
        marks = topology.landmarks
        first, second = (marks.corners[marks.names.index(f"ibug_{row[k]}"), 0] for k in (0, 3))
        turn = int(np.flatnonzero(around == second)[0])
        assert around[-1] == first
        found[name] = LidRims(around[:turn], around[turn + 1 : -1])
    return found


def islands(head: MakeHuman) -> NDArray[np.int64]:
    """(U,) int64 the island, in the order of ``ISLANDS``, of every texture coordinate.

    Args:
        head: The release.
    """
    found = np.full(len(head.uv), -1)
    for number, ((left, low, right, high), _, _) in enumerate(ISLANDS.values()):
        u, v = head.uv.T
        found[(u >= left) & (u <= right) & (v >= low) & (v <= high) & (found < 0)] = number
    assert (found >= 0).all()
    return found


def _laid_out(uv: NDArray, island: NDArray) -> NDArray[np.float32]:
    corner = np.array([box[:2] for box, _, _ in ISLANDS.values()])
    place = np.array([place for _, place, _ in ISLANDS.values()])
    scale = np.array([scale for _, _, scale in ISLANDS.values()])
    moved = (uv - corner[island]) * scale[island, None] + place[island]
    return moved.astype(np.float32)


def _of_island(polygons: Polygons, island: NDArray, name: str, count: int) -> NDArray[np.bool_]:
    """(V,) bool vertices all of whose texture coordinates lie on an island."""
    assert polygons.uv_corners is not None
    inside = island[polygons.uv_corners] == list(ISLANDS).index(name)
    found = np.zeros(count, bool)
    found[polygons.corners[inside]] = True
    found[polygons.corners[~inside]] = False
    return found


def _regions(
    head: MakeHuman, bare: Topology, interior: NDArray[np.bool_]
) -> dict[str, NDArray[np.bool_]]:  # fmt: skip
    mean, points = bare.template, bare.landmarks.positions(bare.template)
    skin, front = head.piece["skin"], mean[:, 2] > points[60, 2] - 6
    shapes = performed_shapes(head)[1][: len(SHAPES)]
    found = {name: mask & skin for name, mask in moved_regions(mean, shapes, points[27], points[31]).items()}
    red = outline(bare, range(48, 60))
    lips = _inside(mean, mean[red])
    lips[red] = True
    balls = head.piece["left_eye"] | head.piece["right_eye"]
    aside = np.full(len(mean), 180.0)
    for side in ("left_eye", "right_eye"):
        ball = head.piece[side]
        ray = head.base[ball] - head.base[ball].mean(axis=0)
        aside[ball] = np.degrees(np.arccos(ray[:, 2] / np.linalg.norm(ray, axis=1)))
    teeth = head.piece["upper_teeth"] | head.piece["lower_teeth"]
    return found | {
        "lips": lips & skin & front & ~interior,
        "mouth_interior": interior,
        "eyeballs": balls,
        "iris": aside < IRIS_DEGREES,
        "pupil": aside < PUPIL_DEGREES,
        "teeth": teeth,
        "tongue": head.piece["tongue"],
    }


def _inside(points: NDArray, loop: NDArray) -> NDArray[np.bool_]:
    """(V,) whether points lie inside of a loop as seen from the front."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for (x1, y1, _), (x2, y2, _) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        crosses = ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1 + 1e-12) + x1)
        inside ^= crosses
    return inside
