"""A procedural person: measurements drawn, a face that measures them, and what that face can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.sources.procedural.anthropometry import Gauge, draw_measurements
from mien.data.sources.procedural.contacts import close_lids, lay_lids, seal_lips, seat_eye
from mien.data.sources.procedural.features import EYE_CENTER
from mien.data.sources.procedural.mesh import EYE_ROW, HALF, MOUTH_ROW, FaceMesh, face_mesh
from mien.data.sources.procedural.muscles import Anatomy, Muscles
from mien.data.sources.procedural.parts import (
    dental_arches,
    eyeball,
    lid_lining,
    lip_pocket,
)
from mien.data.sources.procedural.template import template

Array = NDArray[np.float64]

# Landmark -> (row, column, lower side); those in PAIRED exist on both sides.
MIDDLE = {
    "tr": (2, 0, 0), "g": (14, 0, 0), "n": (20, 0, 0), "prn": (38, 0, 0), "c": (42, 0, 0), "sn": (45, 0, 0),
    "ls": (50, 0, 0), "sto": (MOUTH_ROW, 0, 0), "li": (60, 0, 0), "sl": (64, 0, 0), "pg": (69, 0, 0),
    "gn": (73, 0, 0),
}  # fmt: skip
PAIRED = {
    "al": (38, 4, 0), "mf": (21, 3, 0), "cph": (50, 3, 0), "ch": (MOUTH_ROW, 12, 0), "en": (EYE_ROW, 6, 0),
    "ex": (EYE_ROW, 18, 0), "ps": (EYE_ROW, 12, 0), "pi": (EYE_ROW, 12, 1), "zy": (30, 24, 0),
    "go": (63, 23, 0), "ft": (13, 18, 0), "fz": (17, 19, 0),
}  # fmt: skip

HINGE = np.array([0.0, -8.0, -76.0])  # mandibular condyles on the template, just before the ears
JAW_DEGREES = 17.0
GAZE_DEGREES = 24.0
LIP_THICKNESS = 2.5  # mm from the skin of a lip to the teeth, at the least
ROUGHNESS = ((60.0, 2.0), (28.0, 1.0), (14.0, 0.35))  # wavelength and size, mm, of unmeasured variety
ASYMMETRY = 0.25  # share of that variety which differs between the sides


@lru_cache(maxsize=1)
def landmark_vertices() -> dict[str, int]:
    """Anthropometric landmark -> vertex; eyes' pupils (``p_L``, ``p_R``) are on the eyeballs."""
    mesh = face_mesh()
    places = {name: mesh.at(row, column, bool(low)) for name, (row, column, low) in MIDDLE.items()}
    for name, (row, column, low) in PAIRED.items():
        places |= {
            f"{name}_L": mesh.at(row, column, bool(low)),
            f"{name}_R": mesh.at(row, -column, bool(low)),
        }
    return places | {f"p_{side}": int(mesh.balls[side][0]) for side in "LR"}


def _kernel(a: Array, b: Array) -> Array:
    """Covariance of the warp between points (A, 3) and (B, 3): affine, broad and local parts."""
    distance = ((a[:, None] - b[None]) ** 2).sum(-1)
    affine = 1.0 + (a / 60.0) @ (b / 60.0).T
    return 2.0 * affine + 1.5 * np.exp(-distance / (2 * 45.0**2)) + 0.8 * np.exp(-distance / (2 * 18.0**2)) \
        + 0.12 * np.exp(-distance / (2 * 8.0**2))  # fmt: skip


class Population:
    """Everything that all procedural people share: template, warp kernel, masks. Built once."""

    def __init__(self) -> None:
        self.mesh: FaceMesh = face_mesh()
        self.anatomy = Anatomy()
        self.skin_count = len(self.anatomy.row)
        self.template = template()
        self.eyes = np.array(EYE_CENTER) * np.array([[1, 1, 1], [-1, 1, 1]])
        names = tuple(landmark_vertices())
        self.gauge = Gauge(names)
        vertices = np.array(list(landmark_vertices().values()))
        self.on_skin = vertices < self.skin_count
        self.landmarks = np.concatenate([self.template[vertices[self.on_skin]], self.eyes])
        self.warp_points = np.concatenate([self.template, self.eyes])
        self.basis = _kernel(self.warp_points, self.landmarks)
        self.kernel = _kernel(self.landmarks, self.landmarks)
        self.skin_landmarks = vertices[self.on_skin]
        quads = self.mesh.quads
        quads = quads[(quads < self.skin_count).all(1)]
        self.skin_triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        self.waves = self._waves()

    def _waves(self) -> list[Array]:
        """Smooth random bases for variety that no measurement names: columns sum over scattered centers."""
        rng = np.random.default_rng(1994)
        bases = []
        for length, size in ROUGHNESS:
            centers = self.template[rng.choice(self.skin_count, 40, replace=False)]
            distance = ((self.warp_points[:, None] - centers[None]) ** 2).sum(-1)
            basis = np.exp(-distance / (2 * length**2))
            bases.append(size * basis / np.sqrt((basis**2).sum(1, keepdims=True) + 0.3))
        return bases

    def variety(self, rng: Generator) -> Array:
        """(S + 2, 3) mm: smooth, mostly symmetric shape that the measurements leave open."""
        total = np.zeros_like(self.warp_points)
        mirror = np.concatenate([self.mesh.mirror[: self.skin_count], [self.skin_count + 1, self.skin_count]])
        for basis in self.waves:
            field = basis @ rng.standard_normal((basis.shape[1], 3))
            flipped = field[mirror] * [-1, 1, 1]
            total += (field + flipped) / 2 + ASYMMETRY * (field - flipped) / 2
        return total


@lru_cache(maxsize=1)
def population() -> Population:
    """The shared part, built on first use."""
    return Population()


@dataclass(eq=False)
class ProceduralPerson:
    """One procedural person.

    Args:
        sex: ``female`` or ``male``: whose norms were drawn from.
        measurements: Measurement -> millimeters or degrees, as drawn; :data:`anthropometry.NORMS` cites
            them.
        skin: (S, 3) float, millimeters. The neutral skin.
        eyes: (2, 3) float, millimeters. Centers of the left and right eyeball.

    Example:
        >>> person = ProceduralPerson.draw(np.random.default_rng(0))
        >>> smiling = person.perform({"mouthSmile_L": 1.0, "mouthSmile_R": 1.0})
    """

    sex: str
    measurements: dict[str, float]
    skin: Array
    eyes: Array

    @staticmethod
    def draw(rng: Generator) -> ProceduralPerson:
        """Draws measurements, and the face that measures them."""
        return ProceduralPerson.draw_all([rng])[0]

    @staticmethod
    def draw_all(rngs: Sequence[Generator]) -> list[ProceduralPerson]:
        """Draws a person from each generator; many at once take less time than one after the other."""
        drawn = [(*draw_measurements(rng), population().variety(rng)) for rng in rngs]
        skins, eyes = _seated([measurements for _, measurements, _ in drawn], [more for *_, more in drawn])
        return [
            ProceduralPerson(sex, measurements, skin, centers)
            for (sex, measurements, _), skin, centers in zip(drawn, skins, eyes, strict=True)
        ]

    @staticmethod
    def measuring(
        measurements: dict[str, float], sex: str = "", variety: Array | float = 0.0
    ) -> ProceduralPerson:
        """A face with given measurements.

        Args:
            measurements: A value for each of :data:`anthropometry.NORMS`.
            sex: Recorded with the person.
            variety: (S + 2, 3) mm of further shape for skin and eyes, as :meth:`Population.variety` draws.
        """
        skins, eyes = _seated([measurements], [variety])
        return ProceduralPerson(sex, measurements, skins[0], eyes[0])

    def __post_init__(self) -> None:
        shared = population()
        self.scale = self.measurements["face_height"] / 118.0
        ears = self.skin[[shared.mesh.at(28, 27), shared.mesh.at(28, -27)]].mean(axis=0)
        ears_template = shared.template[[shared.mesh.at(28, 27), shared.mesh.at(28, -27)]].mean(axis=0)
        self.hinge = HINGE + ears - ears_template
        self.pocket = lip_pocket(self.skin[shared.mesh.lips[0]])
        self.arches = dental_arches(
            self.skin[shared.mesh.at(MOUTH_ROW, 0)], self.measurements["mouth_breadth"]
        )
        for name, (lips, front) in self._lips_and_crowns(self.skin, self.arches).items():
            intrusion = np.max(front + LIP_THICKNESS - self.skin[lips, 2])
            self.arches[name][..., 2] -= max(float(intrusion), 0.0)  # teeth stay behind lips at rest
        self.neutral = self.perform({})

    @cached_property
    def _pulls(self) -> dict[str, Array]:
        """Made when the face first moves: people at rest are drawn without."""
        normals = _broad_normals(population(), self.skin)
        return Muscles(self.skin, normals, self.scale, population().anatomy).fields()

    @property
    def actions(self) -> tuple[str, ...]:
        """What the face can do: the names of its A shapes."""
        return tuple(self._pulls)

    @cached_property
    def fields(self) -> Array:
        """(A, 3 S) float, millimeters: how far each action pulls the skin."""
        return np.stack(list(self._pulls.values())).reshape(len(self._pulls), -1)

    def perform(self, activations: dict[str, float]) -> Array:
        """The face while shapes (ARKit-like names, ``_L``/``_R`` sides) are active.

        Args:
            activations: Shape -> activation, 0 rest to 1 full; unknown names count for nothing.

        Returns:
            (V, 3) float, millimeters.
        """
        shared, level = population(), activations.get
        skin = self.skin
        if any(activations.values()):
            drive = np.array([level(name, 0.0) for name in self.actions])
            skin = skin + (drive @ self.fields).reshape(-1, 3)
        turn, slide = self._jaw(activations)
        jaw = shared.anatomy.jaw
        closing = np.clip(level("mouthClose", 0.0) / max(level("jawOpen", 0.0), 1e-6), 0, 1)
        jaw = jaw + closing * shared.anatomy.lips * (0.45 - jaw)
        skin = skin + jaw[:, None] * (self._move(skin, turn, slide) - skin)
        skin = close_lids(skin, self.eyes, activations)
        skin = self._before_teeth(skin, turn, slide)
        skin = seal_lips(skin)
        return self._assemble(skin, turn, slide, activations)

    def _jaw(self, activations: dict[str, float]) -> tuple[Array, Array]:
        """(3, 3) rotation about the hinge and (3,) mm of sliding of the lower jaw."""
        level = activations.get
        opening = np.radians(JAW_DEGREES * level("jawOpen", 0.0))
        sideways = level("jawLeft", 0.0) - level("jawRight", 0.0)
        yaw = np.radians(5.5 * sideways)
        pitch = np.array(
            [[1, 0, 0], [0, np.cos(opening), -np.sin(opening)], [0, np.sin(opening), np.cos(opening)]]
        )
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]) @ pitch
        forward = 7.0 * level("jawForward", 0.0) + 2.5 * level("jawOpen", 0.0)
        lower = -0.8 * abs(sideways) - 1.0 * level("jawForward", 0.0)
        return turn, self.scale * np.array([3.0 * sideways, lower, forward])

    def _lips_and_crowns(self, skin: Array, arches: dict[str, Array]) -> dict[str, tuple[NDArray, Array]]:
        """For each arch: the vertices of the lip before it, and the depth of the crowns behind each."""
        mesh = population().mesh
        rows, columns = np.arange(46, 64), HALF + np.arange(-16, 17)
        found = {}
        for name, grid, on in (
            ("upper", mesh.upper, rows <= MOUTH_ROW), ("lower", mesh.lower, rows >= MOUTH_ROW),
        ):  # fmt: skip
            lips, crown = grid[np.ix_(rows[on], columns)], arches[name][2]
            found[name] = lips, np.interp(skin[lips, 0], crown[:, 0], crown[:, 2])
        return found

    def _before_teeth(self, skin: Array, turn: Array, slide: Array) -> Array:
        """Lips are held in front of the teeth that they cover."""
        arches = self.arches | {"lower": self._move(self.arches["lower"], turn, slide)}
        result = skin.copy()
        for lips, front in self._lips_and_crowns(skin, arches).values():
            result[lips, 2] = np.maximum(skin[lips, 2], front + LIP_THICKNESS)
        return result

    def _move(self, points: Array, turn: Array, slide: Array) -> Array:
        return (points - self.hinge) @ turn.T + self.hinge + slide

    def _assemble(self, skin: Array, turn: Array, slide: Array, activations: dict[str, float]) -> Array:
        """Adds linings, eyes and teeth to the skin."""
        shared, level = population(), activations.get
        mesh = shared.mesh
        vertices = np.empty((mesh.count, 3))
        vertices[: len(skin)] = skin
        for index, side in enumerate("LR"):
            center, inward = self.eyes[index], "In" if side == "R" else "Out"
            outward = "Out" if side == "R" else "In"
            up = level(f"eyeLookUp_{side}", 0.0) - level(f"eyeLookDown_{side}", 0.0)
            left = level(f"eyeLook{inward}_{side}", 0.0) - level(f"eyeLook{outward}_{side}", 0.0)
            vertices[mesh.lids[side][1:]] = lid_lining(skin[mesh.lids[side][0]], center)
            gaze = np.radians(GAZE_DEGREES) * np.array([up, left])
            vertices[mesh.balls[side]] = eyeball(center, *gaze)
        loop = mesh.lips[0]
        rest, moved = self.skin[loop], skin[loop] - self.skin[loop]
        half = len(loop) // 2
        lower = (np.arange(len(loop)) > half)[:, None]
        for ring, (offset, follow) in enumerate(
            zip(self.pocket, (1.0, 1.0, 0.75, 0.3, 0.0), strict=True), start=1
        ):
            place = rest + offset
            share = np.where(lower, 1.0, 0.0) if ring < len(self.pocket) else np.full((len(loop), 1), 0.5)
            share[[0, half]] = 0.5
            bone = share * (self._move(place, turn, slide) - place)
            vertices[mesh.lips[ring]] = place + follow * moved + (1 - follow) * bone
        vertices[mesh.teeth["upper"]] = self.arches["upper"]
        vertices[mesh.teeth["lower"]] = self._move(self.arches["lower"], turn, slide)
        return vertices


def _seated(
    measurements: Sequence[dict[str, float]], varieties: Sequence[Array | float]
) -> tuple[list[Array], list[Array]]:
    """Skins (S, 3) that measure what is asked of each person, lids on the eyeballs, and the eyes (2, 3)."""
    shared = population()
    base = np.stack([shared.warp_points + variety for variety in varieties])
    targets = np.stack([shared.gauge.targets(wanted) for wanted in measurements])
    # Lids are laid on the eyeballs after the warp, which shifts them a little: measure and warp again.
    for _ in range(4):
        landmarks = np.concatenate([base[:, shared.skin_landmarks], base[:, -2:]], axis=1)
        warped = base + shared.basis @ shared.gauge.solve(landmarks, targets, shared.kernel)
        eyes = [np.stack([seat_eye(one, side) for side in (0, 1)]) for one in warped]
        skins = [lay_lids(one[:-2], centers) for one, centers in zip(warped, eyes, strict=True)]
        base = base + (np.concatenate([np.stack(skins), np.stack(eyes)], axis=1) - warped)
    return skins, eyes


def _broad_normals(shared: Population, skin: Array, steps: int = 30) -> Array:
    """(S, 3) unit normals of the form beneath the details: flesh swells as a whole, not lip against lip."""
    corners = skin[shared.skin_triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(skin)
    for corner in range(3):
        np.add.at(normals, shared.skin_triangles[:, corner], faces)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    upper, lower = shared.mesh.upper, shared.mesh.lower
    grid = normals[upper] + normals[lower]
    for _ in range(steps):
        edge = np.pad(grid, ((1, 1), (1, 1), (0, 0)), mode="edge")
        grid = (2 * grid + edge[:-2, 1:-1] + edge[2:, 1:-1] + edge[1:-1, :-2] + edge[1:-1, 2:]) / 6
    grid /= np.linalg.norm(grid, axis=2, keepdims=True)
    normals[lower], normals[upper] = grid, grid
    return normals
