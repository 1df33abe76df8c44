"""Where textbook shapes come from: what is on this machine, and how it is laid on one template."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.expressions import ARKIT, SHAPES
from mien.data.sources.ict import reduced
from mien.data.sources.ict_release import IctModel, load_ict
from mien.data.sources.makehuman.release import has_makehuman, load_makehuman
from mien.data.sources.makehuman.template import landmarks_of
from mien.data.sources.procedural.anthropometry import NORMS
from mien.data.sources.procedural.person import ProceduralPerson
from mien.data.sources.procedural.topology import procedural_topology
from mien.data.textbook import Agreed, Shapes, agree
from mien.errors import DataMissing, UnknownName
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import register
from mien.progress import track
from mien.topology import Topology

ICT = "MIEN_ICT"
"""Environment variable: where the ICT-FaceKit release lies."""
ICT_VERTICES = 4000
MODES, DRAWN = 40, 48
LIDS_AND_LIPS = tuple(f"ibug_{number}" for number in range(36, 68))
"""Landmarks that lie at the same places of every head that has them; rows of brows and jaws do not."""
COMPANIONS = {"mouthClose": "jawOpen"}
"""Shapes that mean nothing but on top of another one: they are followed there, and told apart from it."""


@dataclass(frozen=True, eq=False)
class ShapeSource:
    """A head with textbook shapes.

    Args:
        name: ``ict``, ``makehuman`` or ``procedural``.
        vertices: (N, 3) float64, millimeters, +Y up, +Z out of the face.
        faces: (F, 3) int32.
        shapes: ARKit name -> (N, 3) float64 displacements, millimeters.
        license: Of the shapes.
        topology: What makes it usable as a template: slits, landmarks, regions; None where it has none.
        people: (K, N, 3) float32, millimeters. Principal modes of neutral faces; None where there are none,
            or where they are drawn for a template alone.
        landmarks: Name -> (3,) float64, millimeters. Its lids and lips, which guide a template onto it.
    """

    name: str
    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    shapes: Mapping[str, NDArray[np.float64]]
    license: str
    topology: Topology | None = None
    people: NDArray[np.float32] | None = None
    landmarks: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TextbookShapes:
    """Agreed shapes on one template.

    Args:
        topology: The template's.
        people: (K, V, 3) float32, millimeters. Principal modes of neutral faces.
        agreed: ARKit name -> what the sources have in common.
        licenses: Source -> its license.
        alone: Source -> name -> (V, 3) float64, millimeters: its own shapes on the template.
    """

    topology: Topology
    people: NDArray[np.float32]
    agreed: Mapping[str, Agreed]
    licenses: Mapping[str, str]
    alone: Mapping[str, Shapes] = field(default_factory=dict)


def sources_at_hand() -> tuple[str, ...]:
    """Names of the sources on this machine, the best template first."""
    found = [name for name, there in _AT_HAND.items() if there()]
    return tuple(found)


def textbook_shapes(names: Sequence[str] | None = None) -> TextbookShapes:
    """Lays the shapes of sources on one template and takes what they have in common.

    Args:
        names: Which sources; None for all on this machine.

    Raises:
        UnknownName: No such source.
        DataMissing: A named source is not on this machine.
    """
    names = tuple(names or sources_at_hand())
    for name in names:
        if name not in _SOURCES:
            raise UnknownName("source of shapes", name, _SOURCES)
    sources = [_SOURCES[name]() for name in names]
    template = next((source for source in sources if source.topology is not None), None) or _procedural()
    if template.people is None:
        template = replace(template, people=_procedural_people(template))
    assert template.topology is not None and template.people is not None
    alone = {
        source.name: source.shapes if source.name == template.name else on_template(source, template)
        for source in track(sources, "laying shapes on the template")
    }
    agreed = agree(alone, template.vertices, tuple(ARKIT))
    licenses = {source.name: source.license for source in sources}
    return TextbookShapes(template.topology, template.people, agreed, licenses, alone)


def own_shapes(name: str) -> ShapeSource:
    """One source as it is: its own head, and its shapes by its own names.

    Args:
        name: ``ict`` (its 53 shapes, sides apart), ``makehuman`` or ``procedural``.

    Raises:
        UnknownName: No such source.
        DataMissing: It is not on this machine.
    """
    if name not in _SOURCES:
        raise UnknownName("source of shapes", name, _SOURCES)
    if name == "makehuman":
        head = load_makehuman()
        return replace(_makehuman(), shapes=head.units)
    if name != "ict":
        return _SOURCES[name]()
    model, rows, topology = _ict_release()
    shapes = {shape: model.shapes[k][rows].astype(np.float64) for k, shape in enumerate(SHAPES)}
    return replace(_ict_source(model, rows, topology), shapes=shapes)


def fingerprint(names: Sequence[str]) -> str:
    """What the shapes of these sources depend on: their names, where they lie, how large and old they are."""
    told = [_stamp(name) for name in names]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _stamp(name: str) -> str:
    if name == "ict":
        path = Path(os.environ.get(ICT, ""))
        return f"ict {path.resolve()} {path.stat().st_mtime_ns if path.exists() else 0}"
    if name == "makehuman":
        folder = load_makehuman().places.folder
        return f"makehuman {folder} {folder.stat().st_mtime_ns}"
    return name


def on_template(source: ShapeSource, template: ShapeSource) -> dict[str, NDArray[np.float64]]:
    """A source's shapes where the template's vertices lie on it: name -> (V, 3) float64, millimeters."""
    assert template.topology is not None
    lying = register(
        source.vertices.astype(np.float32), source.faces, template.topology, people=template.people,
        name=source.name, landmarks=source.landmarks,
    )  # fmt: skip
    poses = np.stack([_posed(source, name) for name in source.shapes])
    moved = lying.follow(poses).astype(np.float64) - lying.vertices
    found = dict(zip(source.shapes, moved, strict=True))
    for name, below in COMPANIONS.items():
        if name in found and below in found:
            found[name] = found[name] - found[below]
    return found


def _posed(source: ShapeSource, name: str) -> NDArray[np.float64]:
    """(N, 3) the source's head with one shape, on top of the one that it needs."""
    below = COMPANIONS.get(name)
    carried = source.shapes[below] if below is not None and below in source.shapes else 0.0
    return source.vertices + source.shapes[name] + carried


def _ict_release() -> tuple[IctModel, NDArray[np.int64], Topology]:
    """The release, the vertices of it that are kept, and their topology."""
    place = os.environ.get(ICT)
    if not place:
        raise DataMissing(
            "where the ICT-FaceKit release lies is not known", received=f"{ICT} is not set",
            remedy=f"set {ICT} to its archive or folder",
        )  # fmt: skip
    model = load_ict(place, "face")
    topology, rows = reduced(model.topology, ICT_VERTICES)
    return model, rows, topology


def _ict() -> ShapeSource:
    return _ict_source(*_ict_release())


def _ict_source(model: IctModel, rows: NDArray[np.int64], topology: Topology) -> ShapeSource:
    """The release with its shapes summed to ARKit's."""
    shapes = {
        name: sum(weight * model.shapes[SHAPES.index(shape)][rows].astype(np.float64)
                  for shape, weight in recipe.items())
        for name, recipe in ARKIT.items()
    }  # fmt: skip
    return ShapeSource(
        "ict", topology.template.astype(np.float64), topology.faces, shapes, "MIT (ICT-FaceKit)", topology,
        model.modes[:MODES, rows],
    )  # fmt: skip


def _makehuman() -> ShapeSource:
    head = load_makehuman()
    faces, _ = head.polygons.triangulate()
    shapes = {name: unit for name, unit in head.units.items() if name in ARKIT}
    marks = landmarks_of(head)
    landmarks = {name: marks[name] for name in LIDS_AND_LIPS}
    return ShapeSource("makehuman", head.mean, faces, shapes, "CC0 (MakeHuman)", landmarks=landmarks)


def _procedural() -> ShapeSource:
    topology = procedural_topology()
    norms = {norm.name: (norm.men[0] + norm.women[0]) / 2 for norm in NORMS}
    person = ProceduralPerson.measuring(norms)
    shapes = {name: person.perform(dict(recipe)) - person.neutral for name, recipe in ARKIT.items()}
    for name, below in COMPANIONS.items():
        both = person.perform({**ARKIT[below], **ARKIT[name]})
        shapes[name] = both - person.neutral - shapes[below]
    points = dict(zip(topology.landmarks.names, topology.landmarks.positions(person.neutral), strict=True))
    return ShapeSource(
        "procedural", person.neutral, topology.faces, shapes, "MIT (Mien)", topology,
        landmarks={name: points[name] for name in LIDS_AND_LIPS},
    )  # fmt: skip


def _procedural_people(template: ShapeSource) -> NDArray[np.float32]:
    """(K, V, 3) float32, millimeters: principal modes of drawn people, which takes seconds."""
    assert template.topology is not None
    drawn = ProceduralPerson.draw_all([np.random.default_rng([0, k]) for k in range(DRAWN)])
    faces = np.stack([person.neutral for person in drawn])
    aligned = procrustes(faces, template.topology.template, scale=True).apply(faces)
    flat = (aligned - aligned.mean(axis=0)).reshape(DRAWN, -1)
    _, spread, axes = np.linalg.svd(flat, full_matrices=False)
    modes = spread[:MODES, None] / np.sqrt(DRAWN) * axes[:MODES]
    return modes.reshape(MODES, -1, 3).astype(np.float32)


_SOURCES: Mapping[str, Callable[[], ShapeSource]] = {
    "ict": _ict, "makehuman": _makehuman, "procedural": _procedural,
}  # fmt: skip
_AT_HAND: Mapping[str, Callable[[], bool]] = {
    "ict": lambda: Path(os.environ.get(ICT) or "/nonexistent").exists(),
    "makehuman": has_makehuman,
    "procedural": lambda: True,
}
