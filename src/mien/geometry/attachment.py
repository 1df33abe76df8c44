"""Where a mesh lies on a template that was registered to it, and how much of that is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from mien.geometry.differential import adjacency, vertex_normals
from mien.geometry.openings import edge_lengths, inside_of_mouth, opening_loops, openings
from mien.geometry.slit_sides import Sides, sides_of_slits
from mien.geometry.surface import Places, Surface, connected, rim_vertices
from mien.topology import Topology

_BELIEF_MM = 3.0  # farther from the template's surface than this, a vertex is told by its neighbors
_LEAST = 1e-3  # certainty below this is none
_TOLD = 0.1  # and below this says nothing about sides
_PIECE_MM = 25.0  # a card of hair or a lash is not farther from the skin than this
_FADE_MM = 70.0  # along the surface beyond the template: nothing moves from there on
_SMOOTH = 3.0  # edges of the template: bends of shorter wavelength come from its triangles, not from the face
_WRONG_MM = 2.0  # and on the wrong side of it from here on
_TURNED = 0.1  # of a pocket's triangles
_HALF, _ON_POCKET = 0.5, 0.6  # certain enough, and so much of the inside of a mouth
_LABELED = 0.2  # of the label of a side, from -1 to 1: nearer to zero nothing is told


@dataclass(frozen=True, eq=False)
class Attachment:
    """Where vertices of a mesh lie on a registered template.

    Args:
        weights: (M, V) sparse barycentric weights.
        certain: (M,) float. From 0 to 1: places that are near and face the same way.
        belief: (M,) float. How much each place is believed, per fourth power of a length: what bending costs.
        far: (M,) bool. What is so far off that it rests.
        inner: (M,) bool. Skin that is not believed at all though it is neither far off nor beyond the rim
            around the template.
        at_lips: (M,) bool. What lies nearest to the line of the inner lips.
        sides: Of every slit of the template.
        above: (M,) float. Positive on the upper lip, negative on the lower one.
    """

    weights: csr_matrix
    certain: NDArray[np.float64]
    belief: NDArray[np.float64]
    far: NDArray[np.bool_]
    inner: NDArray[np.bool_]
    at_lips: NDArray[np.bool_]
    sides: list[Sides]
    above: NDArray[np.float64]


def attached(
    points: NDArray, faces: NDArray, skin: NDArray, bound: NDArray, registered: NDArray, topology: Topology,
    *, with_pocket: bool = False,
) -> Attachment:  # fmt: skip
    """Lays a mesh on a registered template.

    The pocket that a template may have behind its lips is left out as a rule: registered to a mesh of another
    make it is crumpled, and parts of it lie next to either lip.

    Args:
        points: (M, 3) float, millimeters. The mesh in the template's frame.
        faces: (F, 3) int. Its triangles; none for a point scan.
        skin: (M,) bool. The pieces that the template was aligned to.
        bound: (M,) bool. Further pieces that move with the skin next to them, such as lashes.
        registered: (V, 3) float, millimeters. The template on the mesh.
        topology: Of the template.
        with_pocket: Keeps the pocket, see :func:`pocket_is_laid` and :func:`lies_on_pocket`.
    """
    normals = vertex_normals(points, faces) if len(faces) else Surface(points, faces).normals
    normals = np.where(skin[:, None], normals, 0.0)  # cards of hair and lashes face anywhere
    lips, pocket = inside_of_mouth(topology)
    left_out = pocket[topology.faces].any(axis=1) & (not with_pocket)
    outside = topology.faces[~left_out].astype(np.int64)
    first = Surface(registered, outside).located(points, normals)
    told = ~skin | (_certainty(first, points, normals, skin) > _TOLD)
    sides = sides_of_slits(points, faces, skin | bound, registered, topology, first, told)
    slits, outer = rims(topology, lips)
    place, beyond = _on_own_side(first, points, normals, sides, outside, slits | outer)
    beyond = np.where(skin, beyond, place.among(outer))
    certain = _certainty(place, points, normals, skin, _beside_pieces(place, points, faces, bound))
    certain[beyond | (certain < _LEAST) | ~(skin | bound)] = 0.0
    spacing = _spacing(registered, topology)[place.corners].mean(axis=1)
    rows = np.repeat(np.arange(len(points)), 3)
    weights = csr_matrix(
        (place.weights.ravel(), (rows, place.corners.ravel())), (len(points), len(registered))
    )
    far = _far(points, faces, certain, skin | bound)
    inner = skin & (certain == 0) & ~far & ~place.among(_border(topology))
    belief = certain * (2 * np.pi / (_SMOOTH * spacing)) ** 4
    kinds = [opening.kind for opening in openings(topology)]
    above = _above(sides[kinds.index("mouth")]) if "mouth" in kinds else np.zeros(len(points))
    return Attachment(weights, certain, belief, far, inner, first.among(lips), sides, above)


def pocket_is_laid(registered: NDArray, topology: Topology) -> bool:
    """Whether the pocket behind the lips of a template keeps its form: hardly a triangle is turned over.

    On heads of its own studio an artist's pocket has none that is; ours had 23 to 45 % on artists' heads.

    Args:
        registered: (V, 3) float, millimeters. The template on the mesh.
        topology: Of the template.
    """
    _, pocket = inside_of_mouth(topology)
    faces = topology.faces[pocket[topology.faces].all(axis=1)]
    if not len(faces):
        return False
    ways = [_ways(vertices, faces) for vertices in (topology.template.astype(np.float64), registered)]
    return bool(((ways[0] * ways[1]).sum(axis=1) < 0).mean() < _TURNED)


def lies_on_pocket(lies: Attachment, inside: NDArray) -> bool:
    """Whether the inside of a mesh's mouth lies on the pocket of the template: there it is told how to move.

    Of artists' heads with a rig of their studio 90 to 100 % of it did, with our own template 31 to 54 %.

    Args:
        lies: With the pocket.
        inside: (m,) int. Vertices of the mesh.
    """
    return bool((lies.certain[inside] > _HALF).mean() > _ON_POCKET)


def _ways(vertices: NDArray, faces: NDArray) -> NDArray[np.float64]:
    """(F, 3) normals of triangles, as long as these are large."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def _on_own_side(
    place: Places, points: NDArray, normals: NDArray, sides: list[Sides], faces: NDArray, rim: NDArray
) -> tuple[Places, NDArray[np.bool_]]:
    """Places, on the side of lips and lids that a mesh itself tells, and (M,) which are on the rim."""
    corners, weights, beyond = place.corners.copy(), place.weights.copy(), place.among(rim)
    for slit, sign in product(sides, (1.0, -1.0)):
        # Only what lies clearly on the wrong side is moved: next to the corners both sides are one.
        chosen = np.flatnonzero(slit.there & (sign * slit.label > _LABELED) & (sign * slit.here < -_WRONG_MM))
        triangles = slit.triangles(faces, sign)
        if len(chosen) and triangles.any():
            part = Surface(place.surface.vertices, faces[triangles]).located(points[chosen], normals[chosen])
            corners[chosen], weights[chosen] = part.corners, part.weights
            beyond[chosen] = part.among(rim)
    return Places(corners, weights, place.surface), beyond


def _above(mouth: Sides) -> NDArray[np.float64]:
    """(M,) as told along the mesh, and as the closest place says where nothing is told."""
    return np.where(np.abs(mouth.label) > _LABELED, mouth.label, mouth.here)


def _certainty(
    place: Places, points: NDArray, normals: NDArray, skin: NDArray, nearer: NDArray | float = 0.0
) -> NDArray[np.float64]:
    """(M,) from 0 to 1: places that are near, or ``nearer`` by so many millimeters, and face the same way."""
    distance = np.linalg.norm(place.points - points, axis=1) - nearer
    facing = np.where(skin, (place.normals * normals).sum(axis=1), 1.0)
    return np.exp(-((distance / _BELIEF_MM) ** 2)) * np.clip((facing - 0.1) / 0.5, 0, 1)


def _beside_pieces(place: Places, points: NDArray, faces: NDArray, bound: NDArray) -> NDArray[np.float64]:
    """(M,) how near the piece of each bound vertex comes to the template; 0 for others."""
    distance = np.linalg.norm(place.points - points, axis=1)
    return np.where(bound, _nearest_of_piece(faces, distance, len(points)), 0.0)


def _nearest_of_piece(faces: NDArray, distance: NDArray, count: int) -> NDArray[np.float64]:
    """(M,) how near the piece of each vertex comes to the template, as far as it can be part of the face."""
    piece = connected(faces, count)
    nearest = np.full(piece.max() + 1, np.inf)
    np.minimum.at(nearest, piece, distance)
    return np.minimum(nearest, _PIECE_MM)[piece]


def rims(topology: Topology, lips: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) rim of lips and lids, and (V,) every other rim of a template whose lips have the line (V,)."""
    slits = lips.copy()
    for loop in opening_loops(topology):
        slits[loop] = True
    return slits, rim_vertices(topology.faces, topology.vertex_count) & ~slits


def _border(topology: Topology) -> NDArray[np.bool_]:
    """(V,) the rim around a template: of its rims the largest, as slits and pockets end in smaller ones."""
    rim = np.flatnonzero(rim_vertices(topology.faces, topology.vertex_count))
    mask = np.zeros(topology.vertex_count, bool)
    if len(rim):
        count, label = connected_components(adjacency(topology.faces, len(mask))[rim][:, rim], False)
        size = [
            np.linalg.norm(np.ptp(topology.template[rim[label == item]], axis=0)) for item in range(count)
        ]
        mask[rim[label == int(np.argmax(size))]] = True
    return mask


def _spacing(vertices: NDArray, topology: Topology) -> NDArray[np.float64]:
    """(V,) mean length of the edges around each vertex, millimeters."""
    lengths = edge_lengths(topology.faces, vertices)
    return np.asarray(lengths.sum(axis=1)).ravel() / np.maximum(np.diff(lengths.indptr), 1)


def _far(points: NDArray, faces: NDArray, certain: NDArray, moving: NDArray) -> NDArray[np.bool_]:
    """(M,) vertices farther from the believed ones, along the mesh, than anything reaches."""
    known = np.flatnonzero(certain > 0.2)
    if not len(known):
        return ~moving
    distance = dijkstra(edge_lengths(faces, points), False, known, min_only=True, limit=_FADE_MM)
    alone = connected(faces, len(points))
    reached = np.zeros(alone.max() + 1, bool)
    reached[alone[known]] = True
    return (distance > _FADE_MM) & reached[alone] | ~reached[alone]
