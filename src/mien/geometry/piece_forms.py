"""What a piece of a head is by its place and form, where neither its user nor its names say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.eyeballs import round_piece
from mien.geometry.openings import Opening, eyes_by_landmarks, openings
from mien.geometry.surface import Surface
from mien.topology import Topology

_RADIUS = (0.25, 0.85)  # of an eyeball, over the width of the eye
_AT_EYE = 1.2  # widths of an eye around its middle in which what is called an eye belongs to one
_MIXED = 0.15  # of a piece above and below the line of the mouth: then it is gums, or both rows of teeth
_MIDDLE = 0.12  # widths of the mouth to either side of its middle
_TONGUE = (0.25, 0.85)  # widths of the mouth; rows of teeth are 0.9 and more
_BROAD_TONGUE, _LONG = 1.1, 1.2  # a tongue may be so broad if it is longer; rows of teeth are broader
_IN_FRONT_MM = 2.5  # lenses stand off the face
_BROW_MM = 9.0  # brows lie no farther from the skin
_FAR_MM = 45.0  # what comes nowhere nearer to the face is no part of it


@dataclass(frozen=True, eq=False)
class FacePlan:
    """Where eyes, mouth and chin of a registered face are.

    Args:
        template: The registered template, millimeters.
        eyes: Its eyes.
        mouth: Its mouth, if it has one that can be told.
    """

    template: Surface
    eyes: tuple[Opening, ...]
    mouth: Opening | None

    @staticmethod
    def of(registered: NDArray, topology: Topology) -> FacePlan:
        """The plan of a template (V, 3) millimeters."""
        slits = [opening.on(registered) for opening in openings(topology)]
        mouth = next((slit for slit in slits if slit.kind == "mouth"), None)
        eyes = tuple(slit for slit in slits if slit.kind == "eye")
        eyes = eyes or tuple(eye.on(registered) for eye in eyes_by_landmarks(topology))
        return FacePlan(Surface(registered, topology.faces.astype(np.int64)), eyes, mouth)

    @cached_property
    def eye_width(self) -> float:
        """Of an eye, millimeters."""
        return float(np.mean([eye.width for eye in self.eyes]))

    @cached_property
    def chin(self) -> float:
        """How low the chin reaches, +Y, millimeters."""
        if self.mouth is None:
            return float(self.template.vertices[:, 1].min())
        offset = (self.template.vertices - self.mouth.center) / self.mouth.width
        front = (np.abs(offset[:, 0]) < 0.3) & (offset[:, 2] > -0.6) & (offset[:, 1] > -1.5)
        return float(self.template.vertices[front, 1].min()) if front.any() else float(self.mouth.center[1])

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.template.vertices)

    def gaps(self, cloud: NDArray) -> NDArray[np.float64]:
        """How far points are from the template's vertices.

        Args:
            cloud: (n, 3) float, millimeters.

        Returns:
            (n,) float64, millimeters.
        """
        return self._tree.query(cloud)[0]

    def is_at_an_eye(self, cloud: NDArray) -> bool:
        """Whether the middle of a piece lies where an eye, its lids or lashes are, if it is known where.

        Args:
            cloud: (n, 3) float, millimeters. The piece's vertices.
        """
        middle = (cloud.min(axis=0) + cloud.max(axis=0)) / 2
        near = [float(np.linalg.norm(middle - eye.center)) < _AT_EYE * eye.width for eye in self.eyes]
        return any(near) or not near

    def rim(self, eye: Opening) -> NDArray[np.float64]:
        """(k, 3) where the lids of an eye end, millimeters."""
        return self.template.vertices[eye.outline]


def eyeball_of(cloud: NDArray, plan: FacePlan) -> tuple[NDArray[np.float64], float] | None:
    """Center and radius of a piece that is round, of an eye's size and behind an eye; else None.

    Args:
        cloud: (n, 3) float, millimeters. The piece's vertices.
        plan: Of the face.

    Returns:
        (3,) float64, millimeters, and the radius in millimeters.
    """
    found = round_piece(cloud)
    if found is None:
        return None
    center, radius = found
    near = any(float(np.linalg.norm(center - eye.center)) < 0.9 * eye.width for eye in plan.eyes)
    # Both eyes of a face are of one size: where a corner was not found, the other eye is the better measure.
    width = max((eye.width for eye in plan.eyes), default=0.0)
    return found if near and _RADIUS[0] * width < radius < _RADIUS[1] * width else None


def kind_by_form(cloud: NDArray, plan: FacePlan, balls: Sequence[tuple[NDArray, float]]) -> str:
    """What a piece is that is no eyeball itself.

    Args:
        cloud: (n, 3) float, millimeters. Its vertices.
        plan: Of the face.
        balls: (3,) float center and radius of each eyeball, millimeters.
    """
    for center, radius in balls:
        length = np.linalg.norm(cloud - center, axis=1)
        if (length < 1.02 * radius).all():
            return "eye"  # an iris or a pupil of its own
        if (length < 1.35 * radius).all() and cloud[:, 2].min() > center[2]:
            return "tear film"
    if plan.mouth is not None and inside_mouth(cloud, plan.mouth, plan.template):
        return kind_in_mouth(cloud, plan.mouth)
    if plan.eyes:
        for kind, fits in (("lashes", _are_lashes), ("brows", _are_brows), ("glasses", _are_glasses)):
            if fits(cloud, plan):
                return kind
    if plan.gaps(cloud).min() > _FAR_MM:
        return "other" if np.median(cloud[:, 1]) > plan.chin else "clothes"
    low = plan.mouth is not None and cloud[:, 1].max() < plan.mouth.center[1]
    return "clothes" if low and np.median(cloud[:, 1]) < plan.chin else "hair"


def kind_in_mouth(cloud: NDArray, mouth: Opening) -> str:
    """Which piece of a mouth: rows of teeth have a free middle, a tongue fills it, gums are above and below.

    Args:
        cloud: (n, 3) float, millimeters. The piece's vertices.
        mouth: Of the face.
    """
    offset = (cloud - mouth.center) / mouth.width
    if (offset[:, 1] > _MIDDLE).mean() > _MIXED and (offset[:, 1] < -_MIDDLE).mean() > _MIXED:
        return "gums"
    size = np.ptp(offset, axis=0)
    middle = np.abs(offset[:, 0] - np.median(offset[:, 0])) < _MIDDLE
    low = float(np.median(offset[:, 1])) < 0
    broadest = _BROAD_TONGUE if size[2] > _LONG * size[0] else _TONGUE[1]
    central = low and abs(float(offset[:, 0].mean())) < _MIDDLE and _TONGUE[0] < size[0] < broadest
    # A row of teeth bends around the tongue: in the middle there is its front only.
    if central and size[2] > 0.4 and middle.any() and np.ptp(offset[middle, 2]) > 0.7 * size[2]:
        return "tongue"
    return row_of(cloud, mouth)


def row_of(cloud: NDArray, mouth: Opening) -> str:
    """The row that teeth (n, 3) belong to, by which side of the line of the mouth they are on."""
    return "lower teeth" if float(np.median(cloud[:, 1])) < mouth.center[1] else "upper teeth"


def inside_mouth(cloud: NDArray, mouth: Opening, template: Surface) -> bool:
    """Whether a piece lies behind the lips, not farther back and up or down than a mouth reaches.

    Depth counts from the outermost that faces forward: the inside of the lips faces the teeth, the pocket of
    a mouth lies behind them. A mustache lies before it.

    Args:
        cloud: (n, 3) float, millimeters. The piece's vertices.
        mouth: Of the face.
        template: The registered template.
    """
    offset = (cloud.mean(axis=0) - mouth.center) / mouth.width
    if not (abs(offset[0]) < 0.8 and abs(offset[1]) < 0.9 and -2.0 < offset[2] < 0.15):
        return False
    front = template.vertices[template.normals[:, 2] > 0.2]
    _, near = cKDTree(front[:, :2]).query(cloud[:, :2], k=min(12, len(front)))
    return bool((front[near, 2].max(axis=1) - cloud[:, 2] > 1.0).mean() > 0.6)


def _are_lashes(cloud: NDArray, plan: FacePlan) -> bool:
    """A small piece that grows from the rim of a lid."""
    width = max(eye.width for eye in plan.eyes)  # as in :func:`eyeball_of`
    for eye in plan.eyes:
        apart = cKDTree(plan.rim(eye)).query(cloud)[0] / width
        small = np.ptp(cloud, axis=0).max() < 2.0 * width
        if small and apart.min() < 0.12 and np.median(apart) < 0.35 and apart.max() < 0.7:
            return True
    return False


def _are_brows(cloud: NDArray, plan: FacePlan) -> bool:
    """A piece that lies thin on the skin above an eye, or above both."""
    centers = np.array([eye.center for eye in plan.eyes])
    height = (cloud[:, 1] - centers[:, 1].mean()) / plan.eye_width
    aside = np.abs(cloud[:, [0]] - centers[:, 0]).min(axis=1) / plan.eye_width
    placed = 0.2 < np.median(height) < 1.3 and (aside < 1.2).all() and np.ptp(height) < 1.0
    return bool(placed and height.min() > -0.05 and np.quantile(plan.gaps(cloud), 0.9) < _BROW_MM)


def _are_glasses(cloud: NDArray, plan: FacePlan) -> bool:
    """A frame across both eyes or a lens before one, off the face; or a long thin temple at their height."""
    centers, width = np.array([eye.center for eye in plan.eyes]), plan.eye_width
    size = np.ptp(cloud, axis=0) / width
    middle = (cloud.min(axis=0) + cloud.max(axis=0)) / 2
    at_height = abs(middle[1] - centers[:, 1].mean()) < width and size[1] < 2.6
    if not at_height:
        return False
    if size[2] > 2.5 and size[0] < 1.0 and size[1] < 1.2:
        return bool(abs(middle[0] - centers[:, 0].mean()) > width)
    before = cloud[:, 2] > centers[:, 2].mean() - 0.3 * width
    off = before.any() and float(np.median(plan.gaps(cloud[before]))) > _IN_FRONT_MM
    across = np.ptp(centers[:, 0]) > 0 and size[0] * width > 0.9 * np.ptp(centers[:, 0])
    lens = 0.6 < size[0] < 2.6 and (np.abs(centers[:, :2] - middle[:2]) < 0.7 * width).all(axis=1).any()
    return bool(off and (across or lens and before.all()))
