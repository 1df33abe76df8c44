"""What reads each kind of input, and how its inputs are made."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from fixtures import EXPRESSIONS, tiny_data

from fuzzing import by_hand, seeds
from fuzzing import mutations as damage
from fuzzing.workers import Reader
from mien.apply import generate
from mien.apply.abilities import refusal
from mien.apply.conversion import read_conversion
from mien.data.action_units import read_prototypes
from mien.data.archive import archive_members
from mien.data.arkit import read_rules
from mien.data.dataset import FaceDataset
from mien.data.head_rigs import read_head_rig
from mien.data.inspect import check_dataset, inspect_dataset
from mien.data.labels import labels_of
from mien.data.recorded import read_performance
from mien.data.rig_names import named_shapes
from mien.data.sources.coma import read_picks
from mien.data.sources.flame import load_flame
from mien.data.sources.labels import read_table
from mien.data.sources.sequences import read_action_units, read_phases
from mien.data.sources.tree import read_names
from mien.data.texture_files import read_texture
from mien.data.textures import Textures
from mien.errors import BadFile
from mien.evaluation.predictions import read_predictions
from mien.evaluation.report import Report
from mien.evaluation.scans import TestScans
from mien.io import fbx_process, pieces
from mien.io.glb import read_glb_targets
from mien.io.gltf import write_glb
from mien.io.landmarks import read_landmarks
from mien.io.materials import read_materials, read_mtl
from mien.io.mesh import read_mesh, write_obj, write_ply
from mien.models.files import load_model
from mien.models.pca import PCA
from mien.topology import Topology
from mien.training.checkpoint import read_checkpoint
from mien.training.recipes import read_recipe

_HAND = 0.15
"""Share of inputs that are one of those made by hand, each as it stands."""


def of_bytes(
    name: str, valid: Sequence[bytes], mutate: damage.Mutation, hand: Callable[[], Sequence[bytes]] = tuple,
    beside: Callable[[], seeds.Files] = dict,
) -> Callable[[random.Random, Path], Path]:  # fmt: skip
    """Makes inputs that are one file, with files beside it as they should be."""
    made = hand()

    def make(chance: random.Random, folder: Path) -> Path:
        for other, content in beside().items():
            write(folder / other, content)
        content = (
            chance.choice(made) if made and chance.random() < _HAND else mutate(chance.choice(valid), chance)
        )
        return write(folder / name, content)

    return make


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _text_or_bytes(data: bytes, chance: random.Random) -> bytes:
    return (damage.damaged_bytes if chance.random() < 0.25 else damage.damaged_text)(data, chance)


def _mesh_readers() -> list[Reader]:
    """Meshes, read with their materials and written again."""
    mutate = {".glb": damage.damaged_glb, ".vrm": damage.damaged_glb, ".gltf": damage.damaged_json,
              ".stl": damage.damaged_bytes}  # fmt: skip
    beside = {".obj": lambda: {"head.mtl": seeds.library(), "skin.png": seeds.pictures()[0][1]},
              ".gltf": lambda: {"head.bin": seeds.gltf_binary()}}  # fmt: skip
    found = []
    for ending, valid in seeds.meshes().items():
        make = of_bytes(
            f"head{ending}", valid, mutate.get(ending, _text_or_bytes),
            lambda ending=ending: by_hand.meshes()[ending], beside.get(ending, dict),
        )  # fmt: skip
        found.append(Reader(ending[1:], make, use_mesh))
    found.append(
        Reader(
            "mtl",
            of_bytes("head.mtl", [seeds.library()], damage.damaged_text),
            lambda path, _: read_mtl(path),
        )
    )
    return found


def use_mesh(path: Path, out: Path) -> None:
    mesh = read_mesh(path, points=True)
    materials, _ = read_materials(mesh)
    write_obj(out / "again.obj", layout=mesh)
    write_ply(out / "again.ply", layout=mesh)
    write_glb(out / "again.glb", mesh.vertices, mesh, materials=materials)
    if path.suffix in (".glb", ".gltf", ".vrm"):
        read_glb_targets(path)


def _fbx_reader() -> list[Reader]:
    """FBX, where the package that reads it is installed."""
    try:
        import ufbx  # noqa: F401
    except ImportError:
        return []
    from test_fbx import FBX

    return [Reader("fbx", of_bytes("head.fbx", [FBX.encode()], _text_or_bytes), use_fbx, starts=True)]


def use_fbx(path: Path, out: Path) -> None:
    """As :func:`use_mesh`. What reads the file is a fork of this process, which has loaded the package already;
    for one file of 16 it is a program that is started, as for users: a start takes longer than a file."""
    forked = zlib.crc32(path.read_bytes()) % 16 > 0
    with patch.object(pieces, "run_process", _fork) if forked else nullcontext():
        use_mesh(path, out)


def _fork(command: Sequence[str], name: str, out: Path) -> None:
    """As :func:`mien.io.pieces.run_process`; a child that hangs is ended as this process is, by its limit."""
    child = os.fork()
    if not child:
        code = 1
        try:
            fbx_process.main(*command[-2:])
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        os.kill(os.getpid(), signal.SIGXCPU)
    if status or not out.is_file():
        raise BadFile(f"{name!r} is damaged", received=f"status {status}")


def _landmark_input(chance: random.Random, folder: Path) -> Path:
    if chance.random() < _HAND:
        name, content = chance.choice(by_hand.landmarks())
        return write(folder / name, content)
    name, content = chance.choice(list(seeds.landmarks().items()))
    mutate = damage.damaged_json if name.endswith(".json") else _text_or_bytes
    return write(folder / name, mutate(content, chance))


def use_landmarks(path: Path, _: Path) -> None:
    read_landmarks(path, any_unit=True, mesh=seeds.sheet_mesh())


def _curve_mutation(data: bytes, chance: random.Random) -> bytes:
    if data[:1] in b"{[" and b"\n" not in data:
        return damage.damaged_json(data, chance)
    return _text_or_bytes(data, chance)


def use_curves(path: Path, _: Path) -> None:
    read_performance(path, ("jaw_open", "jawOpen", "mouthSmileLeft", "smile"))


def _table_readers() -> list[Reader]:
    uses: dict[str, Callable[[Path], Any]] = {
        "rules": lambda path: read_rules(path, EXPRESSIONS),
        "rig names": lambda path: named_shapes(("Jaw_Open", "Smile_L"), path),
        "prototypes": read_prototypes, "conversion": read_conversion, "labels": read_table,
        "picks": lambda path: read_picks(path, ("smile", "jaw_open")), "phases": read_phases,
        "units": read_action_units, "names": read_names,
    }  # fmt: skip
    return [
        Reader(
            name,
            of_bytes("table.csv", [content], _text_or_bytes),
            lambda path, _, name=name: uses[name](path),
        )
        for name, content in seeds.tables().items()
    ]


def _picture_input(chance: random.Random, folder: Path) -> Path:
    if chance.random() < _HAND:
        ending, content = chance.choice(by_hand.pictures())
    else:
        ending, content = chance.choice(seeds.pictures())
        content = (damage.damaged_png if content[1:4] == b"PNG" else damage.damaged_bytes)(content, chance)
    return write(folder / f"skin{ending}", content)


def _folder_input(
    files: seeds.Files, chance: random.Random, folder: Path, mutations: dict[str, damage.Mutation]
) -> Path:
    """A folder with one of its files damaged, or dropped, or empty."""
    name = chance.choice(list(files))
    mutate = mutations.get(Path(name).suffix, damage.damaged_bytes)
    kind = chance.random()
    for other, content in files.items():
        if other != name:
            write(folder / other, content)
    if kind > 0.03:
        write(folder / name, mutate(files[name], chance) if kind > 0.06 else b"")
    return folder


_KINDS: dict[str, damage.Mutation] = {
    ".json": damage.damaged_json, ".csv": _text_or_bytes, ".npz": damage.damaged_npz, ".npy": damage.damaged_array,
    ".png": damage.damaged_png, ".safetensors": damage.damaged_safetensors,
}  # fmt: skip


def _data_input(chance: random.Random, folder: Path) -> Path:
    files = dict(seeds.data_folder())
    if chance.random() < _HAND:
        files["dataset.json"] = damage.damaged_json(files["dataset.json"], chance)
    return _folder_input(files, chance, folder, _KINDS)


def use_data(path: Path, out: Path) -> None:
    check_dataset(path)
    data = FaceDataset.load(path)
    inspect_dataset(data)
    labels_of(data, "expression")
    data.split("train")
    if data.has_textures.any():
        Textures(data.take(data.has_textures), size=8)[[0]]
    model = PCA(data.topology, data.expressions, size=4, expression_size=2)
    model.prepare(data)
    model.calibrate(data)
    data.save(out / "copy")


def _model_input(chance: random.Random, folder: Path) -> Path:
    """A model folder with its configuration, its tensors or its topology damaged; checksums right again."""
    files = dict(seeds.model_folder(chance.choice(list(seeds.METHODS))))
    kind = chance.random()
    if kind < 0.35:
        config = json.loads(files["config.json"])
        arguments = config["config"]
        for name in chance.sample(list(arguments), min(len(arguments), chance.choice((1, 1, 2)))):
            arguments[name] = (
                damage.damaged_value(arguments[name], chance)
                if chance.random() < 0.4
                else _size(arguments[name], chance)
            )
        files["config.json"] = damage.json_bytes(config)
    elif kind < 0.7:
        files["model.safetensors"] = damage.damaged_safetensors(files["model.safetensors"], chance)
        config = json.loads(files["config.json"])
        config["sha256"] = damage.digest(files["model.safetensors"])
        files["config.json"] = damage.json_bytes(config)
    else:
        return _folder_input(files, chance, folder, _KINDS)
    for name, content in files.items():
        write(folder / name, content)
    return folder


def _size(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [_size(item, chance) for item in value] or [chance.choice((-1, 0, 10**7))]
    return chance.choice(
        (-1, 0, 1, 2, 1000, 10**5, 10**7, 10**8, 10**12, 2**63, 1.5, -0.5, "x", None, True, [], [3])
    )


def use_model(path: Path, _: Path) -> None:
    model = load_model(path)
    if refusal(type(model), "generate") is None:
        generate(model, 1, seed=1, weights={model.expressions[0]: 0.5} if model.expressions else None)


@lru_cache
def _scans() -> TestScans:
    return TestScans.of(tiny_data(), part="test", protocol="subject", seed=0, limit=None)


def _array_readers() -> list[Reader]:
    scans = _scans()
    rows = np.asarray(scans.data.rows)
    predicted = seeds.predictions(rows, scans.data.topology.vertex_count)
    topology = seeds.model_folder("pca")["topology.npz"]
    uses: dict[str, tuple[bytes, tuple[str, ...], Callable[[Path], Any]]] = {
        "predictions": (predicted, ("samples", "rows"), lambda path: read_predictions(path, scans)),
        "topology": (topology, ("template", "faces", "names"), Topology.load),
        "flame": (seeds.flame(), ("v_template", "f"), load_flame),
        "rig": (seeds.rig_arrays(), ("vertices", "targets"), read_head_rig),
    }
    return [
        Reader(name, of_bytes("a.npz", [valid], damage.damaged_npz, lambda names=names: by_hand.arrays(names)),
               lambda path, _, use=use: use(path))
        for name, (valid, names, use) in uses.items()
    ]  # fmt: skip


def _checkpoint() -> bytes:
    about = {"progress": {}, "groups": {}}
    header = {
        "__metadata__": {"mien": json.dumps(about)},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4


def _archive_input(made: Sequence[bytes]) -> Callable[[random.Random, Path], Path]:
    valid = [
        seeds.archive({"a/head.obj": b"v 0 0 0\n" * 50, "b.txt": b"x" * 2000}, packing)
        for packing in ("", "gz", "bz2", "xz")
    ]

    def make(chance: random.Random, folder: Path) -> Path:
        content = (
            chance.choice(made)
            if chance.random() < _HAND
            else damage.damaged_bytes(chance.choice(valid), chance)
        )
        return write(folder / "a.tar.gz", content)

    return make


def use_archive(path: Path, _: Path) -> None:
    for _name, _content in archive_members(path, lambda name: name.endswith(".obj")):
        pass


def readers(names: Sequence[str] | None = None) -> dict[str, Reader]:
    """Name -> reader: those of these names, or all that can be used here."""
    report = json.dumps({"rows": [], "scans": [], "conditions": {}}).encode()
    makers: dict[str, Callable[[], list[Reader]]] = {
        "meshes": _mesh_readers, "fbx": _fbx_reader, "tables": _table_readers, "arrays": _array_readers,
        "archive": lambda: [Reader("archive", _archive_input(by_hand.archives()), use_archive)],
        "others": lambda: [
            Reader("landmarks", _landmark_input, use_landmarks),
            Reader("curves", of_bytes("take.csv", seeds.curves(), _curve_mutation, by_hand.curves), use_curves),
            Reader("picture", _picture_input, lambda path, _: read_texture(path, size=16)),
            Reader("recipe", of_bytes("a.yaml", seeds.recipes(), _text_or_bytes, by_hand.recipes),
                   lambda path, _: read_recipe(path)),
            Reader("data", _data_input, use_data), Reader("model", _model_input, use_model),
            Reader("report", of_bytes("report.json", [report], damage.damaged_json), lambda path, _: Report.load(path)),
            Reader("checkpoint", of_bytes("a.safetensors", [_checkpoint()], damage.damaged_safetensors),
                   lambda path, _: read_checkpoint(path)),
        ],
    }  # fmt: skip
    kinds = {name: group for group, of in _GROUPS.items() for name in of}
    wanted = {kinds.get(name, "others") for name in names} if names else set(makers)
    found = {reader.name: reader for group in makers if group in wanted for reader in makers[group]()}
    return found if names is None else {name: found[name] for name in names}


_GROUPS = {
    "meshes": ("obj", "ply", "stl", "glb", "vrm", "wrl", "gltf", "mtl"), "fbx": ("fbx",), "archive": ("archive",),
    "tables": tuple(seeds.tables()), "arrays": ("predictions", "topology", "flame", "rig"),
}  # fmt: skip
"""Readers whose valid files are made together."""

WEIGHTS = {"model": 3.0, "data": 3.0, "glb": 2.0, "obj": 2.0, "ply": 2.0, "curves": 2.0}
"""How many inputs a reader gets, of one."""
