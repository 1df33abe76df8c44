"""The unit and axes of a set of meshes: as its user says, or judged on the mean face or head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh
from mien.geometry.alignment import UNITS, FrameDecision, detect_frame, quarter_turns, unit_named
from mien.geometry.differential import face_areas, face_normals
from mien.geometry.placement import place_by_shape

_UNIT_FACTOR = 1.6  # heads differ less in size than this; farther from every unit a mesh has none


def judge_frame(mean: NDArray, faces: NDArray, name: str, units: str | None = None) -> FrameDecision:
    """Decides unit and axes once for a whole set.

    A mask tells by its size and shape. A closed head with eyes and teeth does not: the embedded face is
    looked for on it. Meshes that are inside out are judged by the other side of their faces, and kept.

    Args:
        mean: (V, 3) float. The mean neutral, in the files' unit and axes.
        faces: (F, 3) int.
        name: What to call the set in messages.
        units: Names the unit in place of the decision; +Y is then up and +Z out of the face.

    Raises:
        BadMesh: Neither tells.
    """
    if units is not None:
        unit = unit_named(units)
        sentence = f"{name}: in {unit}, with +Y up and +Z out of the face (as given)."
        return FrameDecision(unit, UNITS[unit], np.eye(3), sentence)
    mean = np.asarray(mean, np.float64)
    turned = is_inside_out(mean, faces)
    faces = faces[:, ::-1] if turned else faces
    try:
        decision = detect_frame(mean, faces=faces, name=name)
    except BadMesh as unclear:
        try:
            decision = _by_embedded_face(mean, faces, name)
        except BadMesh:
            remedy = f"{unclear.remedy or 'correct it'}, or name its unit with --units"
            raise BadMesh(unclear.cause, received=unclear.received, remedy=remedy) from unclear
    if not turned:
        return decision
    sentence = f"{decision.sentence.rstrip('.')}; its faces are inside out, which is kept."
    return FrameDecision(decision.unit, decision.scale_to_mm, decision.rotation, sentence)


def is_inside_out(vertices: NDArray, faces: NDArray) -> bool:
    """Whether faces look inward: the volume between them and their middle is negative.

    Args:
        vertices: (V, 3) float, any unit.
        faces: (F, 3) int.
    """
    middles = vertices[faces].mean(axis=1)
    areas = face_areas(vertices, faces)
    center = (areas[:, None] * middles).sum(axis=0) / max(float(areas.sum()), 1e-30)
    return float((face_normals(vertices, faces) * (middles - center)).sum()) < 0


def _by_embedded_face(mean: NDArray, faces: NDArray, name: str) -> FrameDecision:
    """The decision by where the embedded face lies on a head."""
    from mien.data.sources.procedural.topology import procedural_topology

    found = place_by_shape(mean, faces, procedural_topology(), name)
    turns = quarter_turns()
    turn = turns[int(np.trace(turns @ found.rotation.T, axis1=1, axis2=2).argmax())]
    unit = min(UNITS, key=lambda item: abs(np.log(found.scale / UNITS[item])))
    if not 1 / _UNIT_FACTOR < found.scale / UNITS[unit] < _UNIT_FACTOR:
        raise BadMesh(f"{name!r} is no head in millimeters, centimeters or meters",
                      received=f"a unit of {found.scale:.3g} mm")  # fmt: skip
    return FrameDecision.of(name, unit, turn, "judged by where a face lies on it")
