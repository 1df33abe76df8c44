"""How well a template lies on a mesh: distances, what has no counterpart, what is folded over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.differential import face_normals, vertex_normals
from mien.geometry.nonrigid import Pulls
from mien.geometry.procrustes import procrustes
from mien.geometry.surface import Surface, rim_vertices
from mien.topology import Topology


@dataclass(frozen=True, eq=False)
class Quality:
    """How well a template lies on a mesh.

    Args:
        mean_mm: Mean distance of covered vertices from the mesh's surface.
        p95_mm: The distance that 95 % of them stay below.
        covered: Share of the template that has a counterpart on the mesh.
        flipped: Triangles turned inside out against the placed template.
        triangles: All triangles.
        landmark_mm: Mean distance from the given landmarks, or None without any.
        distance: (V,) float, millimeters; NaN where the mesh has no counterpart.
    """

    mean_mm: float
    p95_mm: float
    covered: float
    flipped: int
    triangles: int
    landmark_mm: float | None
    distance: NDArray[np.float64]

    def as_dict(self) -> dict[str, float | int | None]:
        """The numbers, for reports."""
        return {
            "mean_mm": round(self.mean_mm, 4), "p95_mm": round(self.p95_mm, 4),
            "covered": round(self.covered, 4), "flipped_triangles": self.flipped,
            "triangles": self.triangles,
            "landmark_mm": None if self.landmark_mm is None else round(self.landmark_mm, 4),
        }  # fmt: skip

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        landmarks = "" if self.landmark_mm is None else f", {self.landmark_mm:.1f} mm from the landmarks"
        return (
            f"the template lies {self.mean_mm:.2f} mm from the surface (95 % below {self.p95_mm:.2f} mm)"
            f"{landmarks}; {100 * self.covered:.0f} % of it is covered, {self.flipped} of {self.triangles} "
            "triangles are flipped"
        )


def assess(bent: NDArray, topology: Topology, surface: Surface, pulls: Pulls | None) -> Quality:
    """Measures how a bent template, (V, 3) millimeters, lies on a surface."""
    normals = vertex_normals(bent, topology.faces)
    found = surface.located(bent, normals)
    distance = np.linalg.norm(found.points - bent, axis=1)
    rim = rim_vertices(topology.faces, len(bent))
    missing = (found.among(surface.rim) & ~rim & (distance > 1.0)) | (
        (found.normals * normals).sum(axis=1) < 0.3
    )
    missing |= distance > 10.0
    kept = distance[~missing] if (~missing).any() else distance
    # Against the template turned as it lies there: a triangle that looks the other way is folded over.
    rest = procrustes(topology.template, bent, scale=True).apply(topology.template)
    turned = (face_normals(bent, topology.faces) * face_normals(rest, topology.faces)).sum(axis=1) < 0
    apart = None
    if pulls is not None:
        apart = float(np.linalg.norm(pulls.matrix @ bent - pulls.targets, axis=1).mean())
    return Quality(
        float(kept.mean()), float(np.quantile(kept, 0.95)), float((~missing).mean()), int(turned.sum()),
        len(topology.faces), apart, np.where(missing, np.nan, distance),
    )  # fmt: skip
