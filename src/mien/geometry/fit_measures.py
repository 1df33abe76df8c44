"""What tells a good registration from a bad one, each as a number and the place where it is worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.differential import face_normals, vertex_areas, vertex_normals
from mien.geometry.eyeballs import round_piece
from mien.geometry.openings import edge_lengths, visible_openings
from mien.geometry.piece_forms import FacePlan
from mien.geometry.procrustes import procrustes
from mien.geometry.quality import Quality
from mien.geometry.seen_lids import seen_eyes
from mien.geometry.surface import Surface
from mien.topology import Topology

_CREASE_MM, _CREASE_COSINE = 3.0, 0.5  # surfaces so near that look so differently are the sides of a crease
_AROUND_MM = 12.0  # of lips and lids within which creases are looked for
_RELIEF_MM = 6.0  # a nose and lips are wider than this, the folds of a mesh are not
_BALL = (0.1, 0.3)  # radius of an eyeball over the distance between the eyes
_ORDINARY = 0.995  # of the edges; single slivers at a rim stretch without any harm


@dataclass(frozen=True)
class Measure:
    """One number about a registration.

    Args:
        name: Key of :data:`mien.geometry.verdict.LIMITS`.
        value: In the unit that is said there.
        vertex: Of the template, where it is worst; -1 where it holds of the whole.
    """

    name: str
    value: float
    vertex: int = -1


def measured(
    bent: NDArray, topology: Topology, surface: Surface, quality: Quality, others: Sequence[NDArray] = ()
) -> list[Measure]:
    """All that can be measured of a template that was bent onto a mesh.

    Args:
        bent: (V, 3) float, millimeters. The skin of the template, bent.
        topology: Of that skin.
        surface: The mesh's skin, in the template's frame.
        quality: How near the template lies to it.
        others: (n, 3) float, millimeters. Vertices of each piece of the mesh that is not skin.
    """
    rest = procrustes(topology.template, bent, scale=True).apply(topology.template)
    unlike = 1 - likeness(bent, rest, topology)
    found = [_flipped(bent, rest, topology), _stretched(bent, rest, topology),
             Measure("uncovered", 1 - quality.covered, _missing(bent, quality)),
             Measure("unlike", unlike)]  # fmt: skip
    if quality.landmark_mm is not None:
        found.append(Measure("landmarks", quality.landmark_mm))
    if not surface.is_scan:
        found += rims_beside(bent, topology, surface, others)
        absent = {item.name for item in found if item.value >= _AROUND_MM}
        found.append(Measure("no eyes", unlike if "eye rims" in absent else 0.0))
        found.append(Measure("no face", unlike if {"eye rims", "mouth rims"} <= absent else 0.0))
    return eyeballs_beside(bent, topology, others) + found


def _flipped(bent: NDArray, rest: NDArray, topology: Topology) -> Measure:
    """Share of the triangles that are turned inside out against the placed template."""
    now, before = face_normals(bent, topology.faces), face_normals(rest, topology.faces)
    turned = (now * before).sum(axis=1) < 0
    vertex = -1
    if turned.any():
        middle = bent[topology.faces[turned]].mean(axis=1)
        crowded = cKDTree(middle).query_ball_point(middle, 8.0, return_length=True)
        vertex = int(topology.faces[turned][int(np.argmax(crowded)), 0])
    return Measure("flipped", float(turned.mean()), vertex)


def _stretched(bent: NDArray, rest: NDArray, topology: Topology) -> Measure:
    """How many times longer or shorter than the placed template's own the edges have become."""
    edges = edge_lengths(topology.faces, rest).tocoo()
    one = edges.row < edges.col
    a, b = edges.row[one], edges.col[one]
    ratio = np.linalg.norm(bent[a] - bent[b], axis=1) / edges.data[one]
    stretch = np.maximum(ratio, 1 / np.maximum(ratio, 1e-3))
    return Measure("stretch", float(np.quantile(stretch, _ORDINARY)), int(a[stretch.argmax()]))


def _missing(bent: NDArray, quality: Quality) -> int:
    """The vertex around which most of the template has no counterpart, or -1."""
    gone = np.flatnonzero(np.isnan(quality.distance))
    if not len(gone):
        return -1
    crowded = cKDTree(bent[gone]).query_ball_point(bent[gone], 15.0, return_length=True)
    return int(gone[int(np.argmax(crowded))])


def likeness(bent: NDArray, rest: NDArray, topology: Topology) -> float:
    """Correlation of the relief of two faces: nose, lips and eyes stand out and lie deep where they should.

    Args:
        bent: (V, 3) float, millimeters.
        rest: (V, 3) float, millimeters. A face of the same topology.
        topology: Theirs.

    Returns:
        1 for the same relief, 0 for a face on a body without one.
    """
    a, b = relief(bent, topology), relief(rest, topology)
    areas = vertex_areas(rest, topology.faces)
    a, b = a - np.average(a, weights=areas), b - np.average(b, weights=areas)
    spread = np.sqrt((areas * a**2).sum() * (areas * b**2).sum())
    return float((areas * a * b).sum() / max(spread, 1e-12))


def relief(vertices: NDArray, topology: Topology) -> NDArray[np.float64]:
    """(V,) how far vertices stand out of their smoothed surroundings, millimeters.

    Args:
        vertices: (V, 3) float, millimeters.
        topology: Their topology.
    """
    points = np.asarray(vertices, np.float64)
    near = cKDTree(points).sparse_distance_matrix(cKDTree(points), 3 * _RELIEF_MM, output_type="coo_matrix")
    weights = near.tocsr()
    areas = np.maximum(vertex_areas(points, topology.faces), 1e-9)
    weights.data = np.exp(-0.5 * (weights.data / _RELIEF_MM) ** 2)
    weights = weights.multiply(areas[None]).tocsr()
    total = np.asarray(weights.sum(axis=1)).ravel()
    smooth = (weights @ points) / np.maximum(total, 1e-12)[:, None]
    return ((points - smooth) * vertex_normals(points, topology.faces)).sum(axis=1)


def rims_beside(
    bent: NDArray, topology: Topology, surface: Surface, others: Sequence[NDArray] = ()
) -> list[Measure]:
    """How far from any rim or crease of the mesh the rims of lips and lids lie: of each kind the worst side.

    Where the slit between lids is seen on both, it tells; a mesh of few vertices has no crease beside it.

    Args:
        bent: (V, 3) float, millimeters.
        topology: The template's.
        surface: The mesh's skin.
        others: (n, 3) float, millimeters. Vertices of each piece of the mesh that is not skin.
    """
    found: dict[str, Measure] = {}
    seen = {eye.opening.corners: eye.apart() for eye in seen_eyes(bent, topology, surface, others)}
    for opening in visible_openings(topology):
        here = opening.on(bent)
        lines = _creases(surface, bent[here.outline])
        for side in (here.upper, here.lower):
            apart = np.full(1, _AROUND_MM) if lines is None else lines.query(bent[side])[0]
            name, value = f"{here.kind} rims", float(np.median(np.minimum(apart, _AROUND_MM)))
            value = min(seen.get(here.corners, value), _AROUND_MM)
            if len(side) and (name not in found or value > found[name].value):
                found[name] = Measure(name, value, int(side[len(side) // 2]))
    return list(found.values())


def eyeballs_beside(bent: NDArray, topology: Topology, others: Sequence[NDArray]) -> list[Measure]:
    """How far beside the template's eyes the mesh's eyeballs look out, millimeters; nothing without both.

    Args:
        bent: (V, 3) float, millimeters.
        topology: The template's.
        others: (n, 3) float, millimeters. Vertices of each piece of the mesh that is not skin.
    """
    eyes = FacePlan.of(bent, topology).eyes
    if len(eyes) != 2:
        return []
    between = np.mean([eye.center for eye in eyes], axis=0)
    reach = float(np.linalg.norm(eyes[0].center - eyes[1].center))
    balls = [center for cloud in others if (center := _ball(cloud, reach)) is not None]
    balls = [center for center in balls if np.linalg.norm(center - between) < reach]
    if len(balls) < 2:
        return []
    aside = [min(float(np.linalg.norm((center - eye.center)[:2])) for center in balls) for eye in eyes]
    worst = int(np.argmax(aside))
    return [Measure("eyeballs", aside[worst], int(eyes[worst].outline[0]))]


def _ball(cloud: NDArray, between: float) -> NDArray[np.float64] | None:
    """The center of a piece that is a ball of an eye's size, for eyes so far apart, or None."""
    found = round_piece(cloud)
    return found[0] if found and _BALL[0] * between < found[1] < _BALL[1] * between else None


def _creases(surface: Surface, around: NDArray) -> cKDTree | None:
    """Places near a line, (n, 3) millimeters, where a mesh ends or turns back; None without any."""
    near = np.flatnonzero(
        cKDTree(around).query(surface.vertices, distance_upper_bound=_AROUND_MM)[0] < np.inf
    )
    if not len(near):
        return None
    pairs = cKDTree(surface.vertices[near]).query_pairs(_CREASE_MM, output_type="ndarray")
    edges = edge_lengths(surface.faces, surface.vertices)[near][:, near].tocoo()
    pairs = np.concatenate([pairs, np.stack([edges.row, edges.col], axis=1)])
    normals = surface.normals[near]
    folded = (normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(axis=1) < _CREASE_COSINE
    chosen = np.union1d(near[pairs[folded].ravel()], near[surface.rim[near]])
    return cKDTree(surface.vertices[chosen]) if len(chosen) else None
