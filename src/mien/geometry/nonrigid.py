"""Non-rigid alignment of a template to a surface: a few smooth modes first, every vertex last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack
from scipy.sparse.linalg import eigsh

from mien.geometry.differential import cotangent_laplacian, vertex_areas, vertex_normals
from mien.geometry.rims import Rim
from mien.geometry.sparse_solver import factored
from mien.geometry.surface import Places, Surface, rim_vertices
from mien.topology import Arrays, Topology

_MODES = 80
_THINNEST = 0.02  # sine of a triangle's angle: collapsed triangles would outweigh all others


@dataclass(frozen=True, eq=False)
class Schedule:
    """How an alignment goes from stiff to soft; lengths in millimeters.

    Args:
        mode_steps: Steps in the basis of smooth modes.
        vertex_steps: Steps of single vertices, after that.
        stiffness: Wavelengths below which the first and the last mode step do not bend.
        vertex_stiffness: The same of the first and the last step of single vertices.
        reach: Longest distance to a match at the first and at the last step.
        tangential: Share of the distance along the surface that a match pulls with; the rest slides.
        landmark_weight: Pull of a landmark against that of all matches together.
        rim_mm: A rim of the mesh pulls the template's rim like a strip of surface of this breadth.
        prior_weight: Pull of the known people (``people`` of :func:`align`) on the first and the last step.
    """

    mode_steps: int = 24
    vertex_steps: int = 10
    stiffness: tuple[float, float] = (110.0, 30.0)
    vertex_stiffness: tuple[float, float] = (14.0, 5.0)
    reach: tuple[float, float] = (30.0, 8.0)
    tangential: float = 0.4
    landmark_weight: float = 0.2
    rim_mm: float = 20.0
    prior_weight: tuple[float, float] = (0.3, 0.03)


@dataclass(frozen=True, eq=False)
class Pulls:
    """Named points of the template and where they belong.

    Args:
        matrix: (L, V) sparse barycentric weights.
        targets: (L, 3) float, millimeters.
    """

    matrix: csr_matrix
    targets: NDArray[np.float64]


class Smoothness:
    """Bending of displacements over a template: the biharmonic energy and its lowest modes.

    With the cotangent Laplacian L and lumped areas M the energy of a displacement d is d' K d,
    K = L M^-1 L: the integral of its squared Laplacian. A mode of eigenvalue e bends with a wavelength of
    2 pi / e^(1/4).
    """

    def __init__(self, topology: Topology) -> None:
        self.areas = np.maximum(vertex_areas(topology.template.astype(np.float64), topology.faces), 1e-6)
        self.areas = np.maximum(self.areas, 0.05 * np.median(self.areas))  # slivers must not weigh nothing
        laplacian = cotangent_laplacian(topology.template, topology.faces, smallest_sine=_THINNEST)
        self.energy = (laplacian.T @ diags(1 / self.areas) @ laplacian).tocsr()
        count = min(_MODES, topology.vertex_count // 4)
        stored = topology.derived(f"bending-modes-of-thin-{count}", lambda: self._modes(count))
        self.modes, self.eigenvalues = stored["modes"], stored["eigenvalues"]

    def _modes(self, count: int) -> Arrays:
        shift = (2 * np.pi / 400.0) ** 4  # below the wavelength of the lowest mode that bends
        mass = diags(self.areas)
        start = np.random.default_rng(0).standard_normal(len(self.areas))
        values, vectors = eigsh(self.energy, k=count, M=mass, sigma=-shift, which="LM", v0=start)
        return {"modes": vectors, "eigenvalues": np.maximum(values, 0)}


def _bending(wavelength: float) -> float:
    """The weight at which a mode of this wavelength costs as much as it gains."""
    return float((wavelength / (2 * np.pi)) ** 4)


def align(
    start: NDArray, topology: Topology, surface: Surface, *, pulls: Pulls | None = None,
    rims: Sequence[Rim] = (), people: NDArray | None = None, schedule: Schedule | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Bends a template onto a surface.

    Each step finds the closest points that face the same way, and solves

        min_d  sum_i a_i w_i [ (n_i . (x_i + d_i - q_i))^2 + t |x_i + d_i - q_i|^2 ] + s bending(d) + pulls

    with areas a, robust weights w, matches q with normals n, and d first in the span of an affine map, the
    lowest bending modes and the known people's modes, then free at every vertex.

    Args:
        start: (V, 3) float, millimeters. The template, placed.
        topology: Its topology.
        surface: What it is to lie on.
        pulls: Landmarks.
        rims: Rims of lids and lips that the surface has, too; see :func:`mien.geometry.rims.shared_rims`.
        people: (K, V, 3) float, millimeters, or None. Modes of known faces, scaled to one standard deviation.
        schedule: Steps and weights.

    Returns:
        (V, 3) float, millimeters.
    """
    schedule = schedule or Schedule()
    smooth = Smoothness(topology)
    problem = _Problem(np.asarray(start, np.float64), topology, surface, smooth, pulls, tuple(rims), schedule)
    return problem.by_vertex(problem.by_modes(people))


@dataclass(frozen=True, eq=False)
class _Problem:
    """What stays the same from step to step."""

    start: NDArray[np.float64]
    topology: Topology
    surface: Surface
    smooth: Smoothness
    pulls: Pulls | None
    rims: tuple[Rim, ...]
    schedule: Schedule

    def matches(self, moved: NDArray, reach: float) -> tuple[Places, NDArray[np.float64]]:
        """Closest points of a moved template, and the weight of each: area times how much it is believed."""
        normals = vertex_normals(moved, self.topology.faces)
        found = self.surface.located(moved, normals)
        facing = (found.normals * normals).sum(axis=1)
        distance = np.linalg.norm(found.points - moved, axis=1)
        believed = np.clip((facing - 0.3) / 0.5, 0, 1) * np.exp(-((distance / reach) ** 2))
        rim = rim_vertices(self.topology.faces, len(moved))
        believed[found.among(self.surface.rim) & ~rim] = 0.0  # a hole, or the edge of the scan
        believed[rim] *= 0.1
        return found, self.smooth.areas * believed

    def by_modes(self, people: NDArray | None) -> NDArray[np.float64]:
        """(V, 3) the template bent in a few smooth modes."""
        span = _Span.over(self.start, self.smooth, people)
        schedule, total = self.schedule, self.smooth.areas.sum()
        moved, steps = self.start, schedule.mode_steps
        for step in range(steps):
            share = step / max(1, steps - 1)
            match, weight = self.matches(moved, _between(schedule.reach, share))
            stiff = _bending(_between(schedule.stiffness, share)) * span.bending
            stiff = stiff + _between(schedule.prior_weight, share) * total * span.unusual
            matrix, right = span.normal_equations(
                match.normals, weight, schedule.tangential, match.points - self.start
            )
            points, gap, pull = self.named(moved, self.start)
            at, each = span.at(points), np.repeat(pull, 3)[:, None]
            matrix += at.T @ (each * at)
            right += at.T @ (each[:, 0] * gap.ravel())
            ridge = 1e-9 * np.trace(matrix) / len(matrix)
            moved = self.start + span.apply(np.linalg.solve(matrix + np.diag(stiff + ridge), right))
        return moved

    def named(self, moved: NDArray, base: NDArray) -> tuple[csr_matrix, NDArray, NDArray]:
        """Points whose place is known, landmarks and rims: (L, V) weights, (L, 3) ways from a base, pulls."""
        count = len(moved)
        matrices, gaps, pulls = [csr_matrix((0, count))], [np.zeros((0, 3))], [np.zeros(0)]
        if self.pulls is not None:
            each = self.schedule.landmark_weight * self.smooth.areas.sum() / max(1, len(self.pulls.targets))
            matrices.append(self.pulls.matrix)
            gaps.append(self.pulls.targets - self.pulls.matrix @ base)
            pulls.append(np.full(len(self.pulls.targets), each))
        for rim in self.rims:
            size = len(rim.members)
            picked = (np.ones(size), (np.arange(size), rim.members))
            matrices.append(csr_matrix(picked, (size, count)))
            gaps.append(rim.targets(moved[rim.members]) - base[rim.members])
            pulls.append(np.full(size, self.schedule.rim_mm * rim.length))
        return vstack(matrices).tocsr(), np.concatenate(gaps), np.concatenate(pulls)

    def by_vertex(self, moved: NDArray) -> NDArray[np.float64]:
        """(V, 3) the template bent at every vertex, from where the modes have brought it."""
        schedule, base = self.schedule, moved
        for step in range(schedule.vertex_steps):
            share = step / max(1, schedule.vertex_steps - 1)
            match, weight = self.matches(moved, schedule.reach[1])
            offset = match.points - moved
            across = (offset * match.normals).sum(axis=1, keepdims=True) * match.normals
            target = moved + across + schedule.tangential * (offset - across)
            system = diags(weight) + _bending(_between(schedule.vertex_stiffness, share)) * self.smooth.energy
            right = weight[:, None] * (target - base)
            points, gap, pull = self.named(moved, base)
            system = system + points.T @ diags(pull) @ points
            right = right + points.T @ (pull[:, None] * gap)
            system = system + 1e-9 * diags(self.smooth.areas)
            moved = base + factored(system).solve(right)
        return moved


@dataclass(frozen=True, eq=False)
class _Span:
    """Displacements made of scalar fields in each axis, and of whole fields.

    Args:
        fields: (V, m) float. The first four are affine, the others bend.
        whole: (V, 3, k) float. Modes of known people.
        bending: (3 m + k,) what a unit of each costs in bending.
        unusual: (3 m + k,) what a unit of each costs as a deviation from usual people.
    """

    fields: NDArray[np.float64]
    whole: NDArray[np.float64]
    bending: NDArray[np.float64]
    unusual: NDArray[np.float64]

    @staticmethod
    def over(start: NDArray, smooth: Smoothness, people: NDArray | None) -> _Span:
        """Affine fields, the modes of bending, and the people if any are known."""
        count = len(start)
        centered = start - start.mean(axis=0)
        affine = np.column_stack([np.ones(count), centered / np.abs(centered).max(axis=0)])
        fields = np.hstack([affine, smooth.modes[:, 1:]])
        whole = np.zeros((count, 3, 0))
        if people is not None:
            whole = np.asarray(people, np.float64).transpose(1, 2, 0)
        known = whole.shape[2]
        bending = np.concatenate([np.zeros(4), smooth.eigenvalues[1:]])
        return _Span(
            fields, whole,
            np.concatenate([np.tile(bending, 3), np.zeros(known)]),
            np.concatenate([np.zeros(3 * len(bending)), np.full(known, 0.01)]),
        )  # fmt: skip

    def apply(self, amounts: NDArray) -> NDArray[np.float64]:
        """(V, 3) the displacement of (3 m + k,) amounts."""
        size = self.fields.shape[1]
        return self.fields @ amounts[: 3 * size].reshape(3, size).T + self.whole @ amounts[3 * size :]

    def at(self, matrix: csr_matrix) -> NDArray[np.float64]:
        """(3 L, 3 m + k) what each unit does to L points that are weighted means of vertices."""
        fields = matrix @ self.fields
        count, size, known = len(fields), fields.shape[1], self.whole.shape[2]
        columns = np.einsum("lm,cd->lcdm", fields, np.eye(3)).reshape(3 * count, 3 * size)
        whole = matrix @ self.whole.reshape(len(self.whole), 3 * known)
        return np.hstack([columns, whole.reshape(3 * count, known)])

    def normal_equations(
        self, normals: NDArray, weight: NDArray, tangential: float, toward: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Matrix and right side of sum_i w_i [(n_i . (d_i - g_i))^2 + t |d_i - g_i|^2], g = ``toward``."""
        size, known = self.fields.shape[1], self.whole.shape[2]
        matrix = np.empty((3 * size + known, 3 * size + known))
        along = np.einsum("vc,vck->vk", normals, self.whole)
        ahead = (normals * toward).sum(axis=1)
        right = np.empty(3 * size + known)
        for c in range(3):
            row = slice(c * size, (c + 1) * size)
            for d in range(c, 3):
                column = slice(d * size, (d + 1) * size)
                share = weight * (normals[:, c] * normals[:, d] + tangential * (c == d))
                matrix[row, column] = self.fields.T @ (share[:, None] * self.fields)
                matrix[column, row] = matrix[row, column].T
            mixed = normals[:, [c]] * along + tangential * self.whole[:, c]
            matrix[row, 3 * size :] = self.fields.T @ (weight[:, None] * mixed)
            matrix[3 * size :, row] = matrix[row, 3 * size :].T
            right[row] = self.fields.T @ (weight * (normals[:, c] * ahead + tangential * toward[:, c]))
        flat = self.whole.reshape(3 * len(self.whole), known)
        loose = np.repeat(tangential * weight, 3)[:, None]
        matrix[3 * size :, 3 * size :] = along.T @ (weight[:, None] * along) + flat.T @ (loose * flat)
        right[3 * size :] = along.T @ (weight * ahead) + flat.T @ (loose[:, 0] * toward.ravel())
        return matrix, right


def _between(ends: tuple[float, float], share: float) -> float:
    """From the first to the second, by equal factors."""
    return float(ends[0] * (ends[1] / ends[0]) ** share)
