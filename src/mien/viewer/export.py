"""What leaves the studio as a file: the face, its rig, its clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import NDArray

from mien import apply
from mien.apply.correctives import contact_of
from mien.apply.files import resized
from mien.data.arkit import gaze_of
from mien.data.rig_sizes import sizes_table
from mien.errors import BadSetting, UnknownName
from mien.io.gltf import write_glb
from mien.io.mesh import write_mesh
from mien.temporary import passing_folder
from mien.viewer.engine import Engine
from mien.viewer.session import State
from mien.viewer.uploads import plain_name

GLB, OBJ, CSV = "model/gltf-binary", "text/plain", "text/csv"


@dataclass(frozen=True)
class Download:
    """A file for the browser to keep.

    Args:
        name: What it is called.
        kind: Its media type.
        data: Its bytes.
    """

    name: str
    kind: str
    data: bytes


def export(kind: str, engine: Engine, state: State) -> Download:
    """The file of a kind: ``obj`` and ``glb`` the face as shown, ``rig`` its targets, ``clip`` with motion.

    And ``sizes``, the table of how far expressions move.

    Args:
        kind: One of :data:`EXPORTS`.
        engine: The model that makes the face.
        state: What is shown.
    """
    if kind not in EXPORTS:
        raise UnknownName("export", kind, EXPORTS)
    return EXPORTS[kind](engine, state)


def _obj(engine: Engine, state: State) -> Download:
    return Download(f"{_stem(state)}.obj", OBJ, _face(engine, state, ".obj"))


def _glb(engine: Engine, state: State) -> Download:
    return Download(f"{_stem(state)}.glb", GLB, _face(engine, state, ".glb"))


def _face(engine: Engine, state: State, suffix: str) -> bytes:
    """The face as shown; a loaded head as its file came: topology, unit, axes, polygons, further pieces."""
    vertices, file = engine.face(state), state.somebody.face
    if file is not None:
        gaze = gaze_of(state.expressions, state.sized(state.weights()))
        contact = contact_of(engine.model, file.head, file.vertices)
        weights = engine.known(state, state.weights()[None])[0].numpy(force=True)
        added = None if contact is None else contact.added(weights)
        return _written(suffix, lambda path: file.write(path, vertices, gaze, added))
    topology = engine.model.topology
    write = write_glb if suffix == ".glb" else write_mesh
    return _written(suffix, lambda path: write(path, vertices, topology))


def _rig(engine: Engine, state: State) -> Download:
    return Download(f"{_stem(state)}_rig.glb", GLB, _targets(state, engine.rig(state)))


def _clip(engine: Engine, state: State) -> Download:
    if not state.moving:
        raise BadSetting(
            "the time line is empty, so there is no clip to export",
            remedy="pose the face and add it to the time line first",
        )
    if engine.model.frame_rate is None:
        plain = replace(state, sizes={})  # the targets have them
        rig, clip = engine.rig(state), engine.known(plain, state.curves()).numpy(force=True)
    else:  # what has learned motion is no sum of poses: its own clip, as a few targets
        base = engine.rest(state)
        targets, clip, _ = apply.few_targets(engine.clip(state), base)
        names = tuple(f"motion_{number}" for number in range(1, len(targets) + 1))
        rig = apply.Rig(engine.model.topology, base, targets, names)
    return Download(f"{_stem(state)}_clip.glb", GLB, _targets(state, rig, clip))


def _targets(state: State, rig: apply.Rig, clip: NDArray | None = None) -> bytes:
    """A rig as a file; that of a loaded head goes through the file it came from."""
    person, face, sizes = state.somebody, state.somebody.face, state.sizes
    if face is not None:
        return _written(".glb", lambda path: face.write_rig(path, rig, clip=clip, fps=state.fps, sizes=sizes))
    targets = resized(rig.base, rig.targets, rig.names, sizes)
    return _written(
        ".glb",
        lambda path: write_glb(
            path, rig.base, rig.topology, targets, rig.names, clip=clip, fps=state.fps, name=person.name,
        ),
    )  # fmt: skip


def _sizes(engine: Engine, state: State) -> Download:
    sizes = {name: state.sizes.get(name, 1.0) for name in engine.model.expressions}
    return Download("sizes.csv", CSV, sizes_table(sizes).encode())


EXPORTS: dict[str, Callable[[Engine, State], Download]] = {
    "obj": _obj, "glb": _glb, "rig": _rig, "clip": _clip, "sizes": _sizes,
}  # fmt: skip


MENU = (
    ("obj", "Face as OBJ", "millimeters, vertex order of the model"),
    ("glb", "Face as GLB", "as shown"),
    ("rig", "Rig as GLB", "this person with named morph targets"),
    ("clip", "Clip as GLB", "the rig with the time line as animation"),
    ("sizes", "Sizes as CSV", "for mien rig --size; drop it to have them back"),
)


def _written(suffix: str, write: Callable[[Path], object]) -> bytes:
    with passing_folder() as folder:
        path = folder / f"face{suffix}"
        write(path)
        return path.read_bytes()


def _stem(state: State) -> str:
    """A file name of who is shown and what they do most."""
    strongest = max(state.pose, key=lambda name: abs(state.pose[name]), default="")
    words = [plain_name(state.somebody.name).split(".")[0], strongest]
    return "_".join(word.replace(" ", "_") for word in words if word)
