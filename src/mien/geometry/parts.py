"""Eyeballs, teeth, lashes and hair: the pieces of a head that are not its skin, and how they follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.openings import Opening, openings
from mien.geometry.procrustes import procrustes
from mien.geometry.surface import Surface, connected
from mien.topology import Topology

Follow = Callable[[NDArray, NDArray, NDArray], NDArray[np.float64]]
"""(points of the piece, registered template, changes (B, V, 3)) -> changes of the piece (B, n, 3)."""

_ROUND = 0.12  # deviation from a sphere, over its radius, up to which a piece is an eyeball
_RADIUS = (0.25, 0.85)  # of an eyeball, over the width of the eye
_STILL_MM, _MOVING_MM = 0.8, 2.0  # a chin that moves less than the first shows no jaw movement


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a mesh that is not skin.

    Args:
        kind: ``eye``, ``upper teeth``, ``lower teeth``, ``mouth`` (gums and tongue in one) or ``bound``.
        members: (n,) vertices of the mesh.
        follows: How it moves; None for a piece that moves with the skin next to it.
        center: (3,) float, millimeters. Of an eye, the point that it turns about.
    """

    kind: str
    members: NDArray[np.int64]
    follows: Follow | None
    center: NDArray[np.float64]


def find_parts(
    points: NDArray, faces: NDArray, skin: NDArray, registered: NDArray, topology: Topology
) -> list[Part]:
    """Tells what the pieces of a mesh are by their place and form.

    A round piece behind an eye is an eyeball and stays where it is, with all that lies inside its sphere.
    What lies inside the mouth is teeth, gums or tongue: above the line of the mouth it stays, below it turns
    rigidly with the jaw. All other pieces (lashes, brows, hair) are bound to the skin.

    Args:
        points: (M, 3) float, millimeters, in the template's frame.
        faces: (F, 3) int.
        skin: (M,) bool. Vertices of the skin.
        registered: (V, 3) float, millimeters. The aligned template.
        topology: The template's.
    """
    label = connected(faces, len(points))
    others = [np.flatnonzero(label == item) for item in np.unique(label[~skin])]
    slits = [opening.on(registered) for opening in openings(topology)]
    eyes = [part for members in others if (part := _eyeball(points, members, slits))]
    spheres = [(part.center, _radius(points[part.members], part.center)) for part in eyes]
    parts = list(eyes)
    taken = {int(part.members[0]) for part in eyes}
    template = Surface(registered, topology.faces.astype(np.int64))
    for members in others:
        if int(members[0]) not in taken:
            parts.append(_other(points, members, slits, spheres, template, topology))
    return parts


def _eyeball(points: NDArray, members: NDArray, slits: list[Opening]) -> Part | None:
    """The piece as an eyeball, if it is round, of an eye's size and behind an eye."""
    cloud = points[members]
    if len(cloud) < 12:
        return None
    for eye in slits:
        center = _sphere_center(cloud)
        radius = _radius(cloud, center)
        spread = float(np.abs(np.linalg.norm(cloud - center, axis=1) - radius).mean())
        near = float(np.linalg.norm(center - eye.center)) < 0.9 * eye.width
        sized = _RADIUS[0] * eye.width < radius < _RADIUS[1] * eye.width
        if eye.kind == "eye" and near and sized and spread < _ROUND * radius and _wraps(cloud - center):
            return Part("eye", members, _still, center)
    return None


@dataclass(frozen=True, eq=False)
class Ball:
    """An eyeball as an obstacle: nearly round, with a cornea that stands out.

    Args:
        center: (3,) float, millimeters.
        radius: Millimeters.
        cloud: (n, 3) float, its vertices from the center.
    """

    center: NDArray[np.float64]
    radius: float
    cloud: NDArray[np.float64]

    @cached_property
    def _directions(self) -> tuple[cKDTree, NDArray[np.float64]]:
        length = np.linalg.norm(self.cloud, axis=1)
        kept = length > 0.9 * self.radius  # not what lies inside, like the back of an iris
        return cKDTree(self.cloud[kept] / length[kept, None]), length[kept]

    def reach(self, offset: NDArray) -> NDArray[np.float64]:
        """(...,) how far the ball reaches from its center toward (..., 3) offsets, millimeters."""
        tree, length = self._directions
        flat = offset.reshape(-1, 3) / np.maximum(np.linalg.norm(offset, axis=-1).reshape(-1, 1), 1e-9)
        return length[tree.query(flat, k=min(3, len(length)))[1]].max(axis=-1).reshape(offset.shape[:-1])

    def slid_over(self, points: NDArray, change: NDArray, edges: NDArray) -> NDArray[np.float64]:
        """Displacements of lids that slide over the ball where they would cut through it.

        A triangle dips below its corners: on a ball of radius r by e^2 / 6 r, with edges e (equilateral).

        Args:
            points: (n, 3) float, millimeters. Skin around the eye at rest.
            change: (B, n, 3) float, millimeters.
            edges: (n,) float, millimeters. The longest edge at each vertex.

        Returns:
            (B, n, 3) float, millimeters.
        """
        rest, offset = points - self.center, points + change - self.center
        gap = np.linalg.norm(rest, axis=1) - self.reach(rest)
        room = np.minimum(gap, np.maximum(0.03 * self.radius, edges**2 / (5 * self.radius)))
        # Lids lie as close to the ball as they did, a hair outside it at least; what was inside stays inside.
        limit = np.where(gap > 0, self.reach(offset) + room, 0.0)
        stretch = np.maximum(0.0, limit / np.maximum(np.linalg.norm(offset, axis=-1), 1e-9) - 1)
        return change + offset * np.where(np.any(change != 0, axis=-1), stretch, 0.0)[..., None]


def turned(points: NDArray, center: NDArray, degrees: NDArray) -> NDArray[np.float64]:
    """Displacements of an eyeball that looks elsewhere.

    Args:
        points: (n, 3) float, millimeters.
        center: (3,) float, millimeters. What it turns about.
        degrees: (B, 2) float, to the person's left (from +Z toward +X), and up.

    Returns:
        (B, n, 3) float, millimeters.
    """
    left, up = np.radians(np.asarray(degrees, np.float64)).T
    zero, one = np.zeros_like(left), np.ones_like(left)
    pitch = np.array([[one, zero, zero], [zero, np.cos(up), np.sin(up)], [zero, -np.sin(up), np.cos(up)]])
    yaw = np.array(
        [[np.cos(left), zero, np.sin(left)], [zero, one, zero], [-np.sin(left), zero, np.cos(left)]]
    )
    rotation = np.einsum("ijb,jkb->bik", yaw, pitch)
    offset = points - center
    return np.einsum("bik,nk->bni", rotation - np.eye(3), offset)


def eyeballs(parts: list[Part], points: NDArray) -> list[Ball]:
    """The eyeballs of a head; irises and other pieces inside one are left out.

    Args:
        parts: The pieces of the head.
        points: (V, 3) float, millimeters.
    """
    found: list[Ball] = []
    for part in parts:
        if part.kind == "eye":
            cloud = points[part.members] - part.center
            radius = _radius(points[part.members], part.center)
            if all(np.linalg.norm(part.center - other.center) > 0.5 * other.radius for other in found):
                found.append(Ball(part.center, radius, cloud))
    return found


def _sphere_center(cloud: NDArray) -> NDArray[np.float64]:
    """(3,) the center of the sphere of least squares through points."""
    middle = cloud.mean(axis=0)
    offset = cloud - middle
    matrix = np.hstack([2 * offset, np.ones((len(offset), 1))])
    solution, *_ = np.linalg.lstsq(matrix, (offset**2).sum(axis=1), rcond=None)
    return middle + solution[:3]


def _radius(cloud: NDArray, center: NDArray) -> float:
    return float(np.median(np.linalg.norm(cloud - center, axis=1)))


def _wraps(offset: NDArray) -> bool:
    """Whether points surround a center far enough to be a ball, not a shell like a lid or a film of tears."""
    extent = np.ptp(offset, axis=0) / np.linalg.norm(offset, axis=1).mean()
    return bool(extent.min() > 0.9)


def _other(
    points: NDArray, members: NDArray, slits: list[Opening], spheres: list[tuple[NDArray, float]],
    template: Surface, topology: Topology,
) -> Part:  # fmt: skip
    """A piece that is no eyeball itself."""
    cloud = points[members]
    middle = cloud.mean(axis=0)
    for center, radius in spheres:
        if (np.linalg.norm(cloud - center, axis=1) < 1.02 * radius).all():
            return Part("eye", members, _still, center)  # an iris or a pupil of its own
    mouth = next((slit for slit in slits if slit.kind == "mouth"), None)
    if mouth is not None and _inside_mouth(cloud, mouth, template):
        jaw = jaw_region(template.vertices, mouth)
        height = cloud[:, 1] - mouth.center[1]
        span = 0.12 * mouth.width
        share = np.clip(0.5 - height / (2 * span), 0, 1)
        mixed = (height > span).mean() > 0.15 and (height < -span).mean() > 0.15
        if not mixed:
            share[:] = float(np.median(height) < 0)
        kind = "mouth" if mixed else "lower teeth" if share[0] else "upper teeth"
        return Part(kind, members, _with_jaw(jaw, share), middle)
    return Part("bound", members, None, middle)


def _inside_mouth(cloud: NDArray, mouth: Opening, template: Surface) -> bool:
    """Whether a piece lies behind the lips, not farther back and up or down than a mouth reaches.

    Depth counts from the outermost that faces forward: the inside of the lips faces the teeth, the pocket of
    a mouth lies behind them. A mustache lies before it.
    """
    offset = (cloud.mean(axis=0) - mouth.center) / mouth.width
    if not (abs(offset[0]) < 0.8 and abs(offset[1]) < 0.9 and -2.0 < offset[2] < 0.15):
        return False
    front = template.vertices[template.normals[:, 2] > 0.2]
    _, near = cKDTree(front[:, :2]).query(cloud[:, :2], k=min(12, len(front)))
    return bool((front[near, 2].max(axis=1) - cloud[:, 2] > 1.0).mean() > 0.6)


def jaw_region(vertices: NDArray, mouth: Opening) -> NDArray[np.int64]:
    """Vertices of the chin and the front of the lower jaw: what moves like the bone below it.

    Args:
        vertices: (V, 3) float, millimeters.
        mouth: Of this face.

    Returns:
        (n,) int64 indices.
    """
    offset = (vertices - mouth.center) / mouth.width
    low = (offset[:, 1] < -0.45) & (offset[:, 1] > -1.3) & (np.abs(offset[:, 0]) < 0.9)
    return np.flatnonzero(low & (offset[:, 2] > -1.2))


def _still(points: NDArray, registered: NDArray, change: NDArray) -> NDArray[np.float64]:
    """Eyeballs rest in the skull."""
    return np.zeros((len(change), len(points), 3))


def _with_jaw(jaw: NDArray, share: NDArray) -> Follow:
    """A piece that turns with the jaw, each vertex by its share."""

    def follow(points: NDArray, registered: NDArray, change: NDArray) -> NDArray[np.float64]:
        if not share.any() or len(jaw) < 4:
            return np.zeros((len(change), len(points), 3))
        chin = registered[jaw]
        motion = procrustes(chin, chin + change[:, jaw])
        # A chin that only wrinkles has moved no bone.
        size = np.linalg.norm(change[:, jaw].mean(axis=1), axis=1)
        sure = np.clip((size - _STILL_MM) / (_MOVING_MM - _STILL_MM), 0, 1)
        moved = motion.apply(np.broadcast_to(points, (len(change), *points.shape)))
        return sure[:, None, None] * share[:, None] * (moved - points)

    return follow
