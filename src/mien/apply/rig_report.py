"""What became of a rig on a head: how large each target is, how far it leaks, whether lids and lips meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.apply.files import OpenedFace
from mien.apply.rigs import Rig
from mien.data.arkit import gaze_of, meets_of
from mien.data.correctives import HALFWAY
from mien.geometry.carry import Carrier
from mien.geometry.contact import Meets
from mien.geometry.lids import CLOSED_MM
from mien.geometry.mouth_opening import covered_share
from mien.geometry.tongue import JAW_BELOW_TONGUE

FAR_MM, MOVED_MM = 15.0, 0.3
"""Motion of skin farther than the first from all that the model moves by more than the second is a leak."""
MET_MM = 0.3
"""Lids and lips that come nearer than this have met."""
FREE = 0.05
"""Of an open mouth, skin of its inside covers no more."""
_SIDES = ("left", "right")


@dataclass(frozen=True)
class TargetReport:
    """One target on the mesh.

    Args:
        name: Of the target.
        largest_mm: How far it moves a vertex of the skin at most.
        size: That over what the model's own target moves on its template at most; None where it rests.
        leak: Share of its squared motion on skin that lies far from all that the model moves.
        lids: ``left`` and ``right`` -> mean millimeters that the upper lid stays above where lids
            touch; negative where it goes farther.
        halfway_mm: How far lids cut into an eyeball half-way through a blink, where targets are lines.
    """

    name: str
    largest_mm: float
    size: float | None
    leak: float
    lids: dict[str, float]
    halfway_mm: float = 0.0


@dataclass(frozen=True)
class RigOnHead:
    """All targets of a rig on a mesh.

    Args:
        targets: One by one.
        eyes: Which eyes have lids that stand open at rest.
        lips_mm: Mean distance of the lips from where they touch at rest, in mouthClose over jawOpen; None
            without these targets, or where no lips part.
        covered: The share of the opened mouth that skin covers, see :func:`covered_share`, in jawOpen or half
            of it; None as before.
        tongue: How far the tongue comes out over the lower lip, and how deep lips lie in it, millimeters, in
            tongueOut over a jaw that is open below it; None without a tongue or these targets.
        shut: Which eyes are closed at rest.
    """

    targets: tuple[TargetReport, ...]
    eyes: tuple[str, ...]
    lips_mm: float | None
    covered: float | None = None
    tongue: tuple[float, float] | None = None
    shut: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """What a user should know without reading the table."""
        said = []
        gaps = [max(gap, 0.0) for target in self.targets for gap in target.lids.values()]
        if gaps:
            how = "meet" if max(gaps) <= MET_MM else "do not meet everywhere"
            said.append(f"Lids {how} in blinks ({max(gaps):.1f} mm apart on average at worst).")
        if self.shut:
            closed = "Both eyes are" if len(self.shut) > 1 else f"The {self.shut[0]} eye is"
            said.append(f"{closed} closed at rest: nothing is left for a blink to close there.")
        elif not gaps and any(target.name.startswith("eyeBlink") for target in self.targets):
            said.append("No lids that stand open were found on the mesh: blinks move skin only.")
        if (cut := max((target.halfway_mm for target in self.targets), default=0.0)) > MET_MM:
            said.append(
                f"Half-way through a blink lids go {cut:.1f} mm into the eyeball, as a target is a "
                "straight line: --correctives adds what goes around it."
            )
        if self.lips_mm is not None:
            how = "meet" if self.lips_mm <= MET_MM else "do not meet"
            said.append(f"Lips {how} in mouthClose over jawOpen ({self.lips_mm:.1f} mm off).")
        if self.covered is not None and self.covered > FREE:
            said.append(
                f"Skin stands across {self.covered:.0%} of the open mouth in jawOpen (good: {FREE:.0%} "
                "at most): look at it; landmarks of the lips help."
            )
        if self.tongue is not None:
            out, inside = self.tongue
            how = "free of the lips" if inside <= MET_MM else f"{inside:.1f} mm into the lips"
            said.append(
                f"The tongue comes {out:.0f} mm out over the lower lip in tongueOut, {how}, where jawOpen is "
                f"{JAW_BELOW_TONGUE}; closed lips leave it no way."
            )
        still = [target.name for target in self.targets if target.largest_mm < MOVED_MM]
        if still:
            said.append(f"Targets that move no skin: {', '.join(still)}.")
        return said

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            {"name": item.name, "largest_mm": round(item.largest_mm, 3), "leak": round(item.leak, 4),
             "size": None if item.size is None else round(item.size, 3),
             "lid_gap_mm": {side: round(gap, 3) for side, gap in item.lids.items()},
             "halfway_mm": round(item.halfway_mm, 3)}
            for item in self.targets
        ]  # fmt: skip
        lips = None if self.lips_mm is None else round(self.lips_mm, 3)
        covered = None if self.covered is None else round(self.covered, 4)
        return {
            "targets": rows, "eyes": list(self.eyes), "shut": list(self.shut), "lips_mm": lips,
            "mouth_covered": covered,
            "tongue_mm": None if self.tongue is None else [round(value, 3) for value in self.tongue],
            "notes": self.sentences,
        }  # fmt: skip


def report_rig(face: OpenedFace, rig: Rig) -> RigOnHead | None:
    """Measures a rig on the mesh that it was made for; None for a mesh that has the model's topology.

    Args:
        face: The person at rest, of another topology than the model's.
        rig: On the model's topology.
    """
    if face.head is None:
        return None
    registration = face.head.registration
    carrier, kept, names = registration.carrier, registration.kept, rig.names
    meets = meets_of(names)
    moved = carrier.welded(carrier.carry(rig.targets[:, kept], gaze_of(names), meets))
    change = (rig.targets - rig.base)[:, kept].astype(np.float64)
    lids: list[dict[str, float]] = [{} for _ in names]
    for eye in carrier.eyes:
        for row in np.flatnonzero(meets.lids[:, eye.side]):
            gaps = eye.lids.gaps(moved[row, eye.lids.members] @ eye.lids.facing.axes.T, eye.ball)
            if np.isfinite(gaps).any():
                lids[row][_SIDES[eye.side]] = float(np.nanmean(gaps)) - CLOSED_MM
    seen = np.tile(carrier.skin, (len(names), 1))
    if meets.tongue is not None:
        seen[meets.tongue, carrier.tongue] = True
    rows = tuple(
        replace(
            _target(name, moved[k][seen[k]], carrier.points[seen[k]], change[k], carrier.registered, lids[k]),
            halfway_mm=_halfway(carrier, moved[k], meets.lids[k]),
        )
        for k, name in enumerate(names)
    )
    eyes = tuple(_SIDES[eye.side] for eye in carrier.eyes)
    covered = None if meets.jaw is None else _covered(carrier, moved[meets.jaw])
    tongue = None
    if meets.jaw is not None and meets.tongue is not None:
        tongue = carrier.tongue_through(moved[meets.jaw], moved[meets.tongue])
    shut = tuple(_SIDES[side] for side in carrier.shut)
    return RigOnHead(rows, eyes, _lips_apart(carrier, moved, meets), covered, tongue, shut)


def _halfway(carrier: Carrier, moved: NDArray, side: NDArray) -> float:
    """How far lids (M, 3) cut into an eyeball half-way through a movement that closes eyes, millimeters."""
    if not side.any():
        return 0.0
    more = carrier.halfway(moved, side, HALFWAY)[carrier.skin]
    return float(np.linalg.norm(more, axis=1).max(initial=0))


def _lips_apart(carrier: Carrier, moved: NDArray, meets: Meets) -> float | None:
    """How far lips are from where they touch at rest, millimeters on average, in mouthClose over jawOpen."""
    if meets.jaw is None or meets.lips is None:
        return None
    lips = carrier.lips(moved[meets.jaw])
    if lips is None:
        return None
    return float(np.linalg.norm(lips.apart(moved[meets.jaw] + moved[meets.lips]), axis=1).mean())


def _covered(carrier: Carrier, jaw_open: NDArray) -> float | None:
    """How much of the mouth skin covers when displacements (M, 3), or half of them, open it."""
    lips = carrier.lips(jaw_open)
    if lips is None:
        return None
    foremost = lips.foremost(carrier.points)
    faces = carrier.skin_faces
    return max(covered_share(carrier.points + part * jaw_open, faces, *foremost) for part in (0.5, 1.0))


def _target(
    name: str, moved: NDArray, points: NDArray, change: NDArray, template: NDArray, lids: dict[str, float]
) -> TargetReport:
    """Measures one target: ``moved`` (M, 3) of points (M, 3), and the model's ``change`` (V, 3)."""
    own = np.linalg.norm(change, axis=1)
    length = np.linalg.norm(moved, axis=1)
    active, energy = template[own > MOVED_MM], float((length**2).sum())
    leak = 0.0
    if len(active) and energy:
        far = cKDTree(active).query(points, distance_upper_bound=FAR_MM)[0] > FAR_MM
        leak = float((length[far] ** 2).sum()) / energy
    size = float(length.max(initial=0)) / float(own.max()) if own.max() > MOVED_MM else None
    return TargetReport(name, float(length.max(initial=0)), size, leak, lids)
