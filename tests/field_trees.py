"""Small made-up trees in the form in which the field's data sets are shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fixtures import EXPRESSIONS, Planted, planted
from numpy.typing import NDArray
from PIL import Image

from mien.data.sources.coma import SEQUENCES
from mien.data.sources.facescape import NAMES
from mien.io.mesh import write_mesh
from mien.topology import Topology

PEOPLE = 4


def people() -> Planted:
    """Four people whose chin is narrower than the forehead, by which a reader knows what is up."""
    found = planted(subjects=PEOPLE, interaction=0.0, noise=0.0)
    template = found.data.topology.template
    taper = np.array([1.0, 0, 0]) * 0.002 * template[:, 1:2] + 1.0
    topology = replace(found.data.topology, template=(template * taper).astype(np.float32))
    return replace(found, data=replace(found.data, topology=topology), neutrals=found.neutrals * taper)


def ramp(count: int, apex: int) -> NDArray[np.float64]:
    """(count,) 0 at the first frame, 1 at the apex, 0.1 at the last."""
    return np.interp(np.arange(count), [0, apex, count - 1], [0.0, 1.0, 0.1])


def move(person: int, axis: int, weight: float) -> NDArray[np.float64]:
    """(V, 3) a person's face with one planted expression, millimeters."""
    found = people()
    return found.neutrals[person] + weight * found.expression_axes[axis % len(EXPRESSIONS)]


def aside(person: int, shift: float) -> NDArray[np.float64]:
    """(V, 3) a person whose mouth is moved along X by so many millimeters."""
    found = people()
    mouth = found.data.topology.regions["mouth"]
    return found.neutrals[person] + mouth[:, None] * np.array([shift, 0.0, 0.0])


def write(path: Path, vertices: NDArray, scale: float = 1.0, topology: Topology | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mesh(path, vertices * scale, topology or people().data.topology)


def facescape_tree(folder: Path, *, subjects: Sequence[str] = ("1", "2", "10", "847")) -> Path:
    """TU models in the folders of the archives, with textures, displacement maps and the owner's lists."""
    for person, subject in enumerate(subjects):
        home = folder / ("facescape_trainset_001_100" if int(subject) <= 100 else "part2") / subject
        for number, name in enumerate(NAMES, start=1):
            path = home / "models_reg" / f"{number}_{name}.obj"
            write(path, move(person, number, 0.0 if number == 1 else 0.1 * number))
            Image.new("RGB", (24, 24), (10 * person, number, 0)).save(path.with_suffix(".jpg"), quality=100)
            (home / "dpmap").mkdir(exist_ok=True)
            (home / "dpmap" / f"{number}_{name}.png").write_bytes(b"map")
    (folder / "publishable_list_v1.txt").write_text("2, 10,\n122")
    rows = ["1 m 24 1 0 0 0 0", "2 f - 1 0000", "10 f 31 10000", "847 m 19 0 0100"]
    (folder / "info_list_v1.txt").write_text("\n".join(rows))
    return folder


def coma_tree(folder: Path, *, frames: int = 41, apex: int = 20, names: Sequence[str] = SEQUENCES) -> Path:
    """Recordings in meters; ``mouth_*`` sideways ones go 6 mm to the left first, then 4 mm to the right."""
    from mien.data.sources.coma import ONE_SIDED

    both = np.concatenate([6 * ramp(frames // 2, apex // 2), -4 * ramp(frames - frames // 2, apex // 2)])
    for person in range(2):
        home = folder / f"FaceTalk_17072{person}_00137_TA"
        for number, name in enumerate(names):
            for frame in range(frames):
                if name in ONE_SIDED:
                    shape = aside(person, both[frame])
                else:
                    shape = move(person, number, 2 * ramp(frames, apex)[frame])
                write(home / name / f"{name}.{frame + 1:06d}.ply", shape, 0.001)
    return folder


def clip_tree(
    folder: Path, places: Sequence[str], *, frames: int = 9, apex: int = 6, digits: int = 3,
    shape: Callable[[int, int, float], NDArray] = move,
) -> Path:  # fmt: skip
    """Recordings of registered frames below ``<person>/<clip>`` places."""
    owners = list(dict.fromkeys(place.split("/")[0] for place in places))
    for number, place in enumerate(places):
        person = owners.index(place.split("/")[0]) % PEOPLE
        for frame in range(frames):
            path = folder / place / f"{frame:0{digits}d}.obj"
            write(path, shape(person, number, 3 * ramp(frames, apex)[frame]))
    return folder
