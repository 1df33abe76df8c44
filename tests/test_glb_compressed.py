"""Draco and meshopt: read as their encoders wrote it, and valid when edited."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gltf_files import KINDS, File, container, sheet
from test_glb_foreign import change, edit
from test_gltf import validate

from mien.errors import BadFile, MienError, MissingPackage
from mien.io.glb import Document
from mien.io.glb_targets import move_glb
from mien.io.mesh import read_mesh

POINTS, UV, FACES = sheet(9, 7)
JOINTS = np.tile(np.array([0, 1, 2, 3], "u1"), (len(POINTS), 1))
WEIGHTS = np.tile(np.array([0.25] * 4, "<f4"), (len(POINTS), 1))
COLORS = (np.arange(4 * len(POINTS)).reshape(-1, 4) % 251).astype("u1")
DRACO = "KHR_draco_mesh_compression"
#: Draco's number of each attribute that is written here.
NUMBERS = {"POSITION": None, "TEXCOORD_0": 10, "JOINTS_0": 11, "WEIGHTS_0": 12, "COLOR_0": 13}


def packed_primitive(file: File, shift: float = 0.0) -> dict:
    """A skinned, colored primitive that lies in Draco data alone."""
    codec = pytest.importorskip("DracoPy", reason='needs the extra "gltf"')
    attributes = {"POSITION": POINTS + np.float32([shift, 0, 0]), "TEXCOORD_0": UV, "JOINTS_0": JOINTS,
                  "WEIGHTS_0": WEIGHTS, "COLOR_0": COLORS}  # fmt: skip
    data = codec.encode(
        attributes["POSITION"], FACES.astype("u4"), quantization_bits=16, preserve_order=True,
        generic_attributes={number: attributes[name] for name, number in NUMBERS.items() if number},
    )  # fmt: skip
    own = {item["unique_id"] for item in codec.decode(data).attributes} - set(NUMBERS.values())
    numbers = NUMBERS | {"POSITION": own.pop()}
    accessors = {
        name: file.accessor(rows, bounds=name == "POSITION", data=False,
                            **({"normalized": True} if name == "COLOR_0" else {}))
        for name, rows in attributes.items()
    }  # fmt: skip
    indices = file.accessor(FACES.astype("<u2").ravel(), data=False)
    view = file.view(data)
    return {
        "attributes": accessors, "indices": indices, "material": 0,
        "extensions": {DRACO: {"bufferView": view, "attributes": numbers}},
    }  # fmt: skip


def draco(path: Path) -> Path:
    """A skinned head and a hat, both in Draco data."""
    file = File()
    file.json["materials"] = [{"name": "skin"}]
    file.node(mesh=file.mesh(packed_primitive(file)), skin=0)
    file.node(name="neck", children=[2, 3, 4])
    for name in ("jaw", "left", "right"):
        file.node(name=name)
    inverse = np.tile(np.eye(4, dtype="<f4").ravel(), (4, 1))
    binds = file.accessor(inverse, target=None)
    file.json["skins"] = [{"joints": [1, 2, 3, 4], "inverseBindMatrices": binds}]
    file.node(mesh=file.mesh(packed_primitive(file, shift=3.0)), skin=0)
    file.json["scenes"] = [{"nodes": [0, 1, 5]}]
    file.requires(DRACO)
    return file.save(path)


def named_views(item: object) -> set[int]:
    """All buffer views that anything in a glTF document names."""
    if isinstance(item, list):
        return set().union(*map(named_views, item))
    if not isinstance(item, dict):
        return set()
    own = {item["bufferView"]} if "bufferView" in item else set()
    return own.union(*map(named_views, item.values()))


def test_draco_is_unpacked_where_targets_are_added_and_nothing_is_lost(tmp_path: Path) -> None:
    source = draco(tmp_path / "head.glb")
    mesh = read_mesh(source)
    np.testing.assert_allclose(mesh.vertices[: len(POINTS)], POINTS, atol=1e-4)
    np.testing.assert_array_equal(mesh.faces[: len(FACES)], FACES)
    np.testing.assert_allclose(mesh.uv[: len(UV)], UV * (1, -1) + (0, 1), atol=1e-6)
    assert mesh.colors is not None and mesh.names() == ("skin",)
    after = edit(source, tmp_path / "rig.glb", slice(0, len(POINTS)))
    head, hat = (item["primitives"][0] for item in after.json["meshes"])
    assert "extensions" not in head and DRACO in hat["extensions"]
    assert after.json["extensionsRequired"] == [DRACO]
    before = Document(source)
    for number in head["attributes"].values():
        assert "bufferView" in after.json["accessors"][number]
        np.testing.assert_array_equal(after.accessor(number), before.accessor(number))
    np.testing.assert_array_equal(after.raw(head["attributes"]["JOINTS_0"]), JOINTS)
    np.testing.assert_array_equal(after.raw(head["attributes"]["COLOR_0"]), COLORS)
    np.testing.assert_array_equal(after.raw(head["indices"]).ravel(), FACES.ravel())
    assert after.json["skins"] == before.json["skins"] and change(after, 0, 0)[:, 1].min() == 0.25
    both = edit(source, tmp_path / "both.glb")
    for made, kept in ((after, [False, True]), (both, [False, False])):
        # What was unpacked leaves neither its bytes nor a view that nothing names.
        views = (item["primitives"][0]["extensions"][DRACO]["bufferView"] for item in before.json["meshes"])
        assert [before.view(view) in made.binary for view in views] == kept
        assert named_views(made.json) == set(range(len(made.json["bufferViews"])))
    assert "extensionsRequired" not in both.json and "extensionsUsed" not in both.json


def test_draco_without_its_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = draco(tmp_path / "head.glb")
    monkeypatch.setitem(__import__("sys").modules, "DracoPy", None)
    with pytest.raises(MissingPackage, match=r"'DracoPy'.*pip install \"mien\[gltf\]\""):
        read_mesh(source)


def test_damaged_draco_is_one_sentence(tmp_path: Path) -> None:
    content = bytearray(draco(tmp_path / "head.glb").read_bytes())
    start = content.index(b"DRACO")
    for number in range(40):
        broken = bytearray(content)
        broken[start + 5 + 3 * number] ^= 0xFF
        path = tmp_path / "broken.glb"
        path.write_bytes(broken)
        try:
            read_mesh(path)
        except MienError:
            continue


def meshopt(path: Path, name: str = "EXT_meshopt_compression", **wrong: int) -> Path:
    """A quantized head as gltfpack writes it: every view compressed, a second buffer stands in."""
    codec = pytest.importorskip("meshoptimizer", reason='needs the extra "gltf"')
    file = File()
    low, size = POINTS.min(axis=0), float(np.ptp(POINTS, axis=0).max())
    whole = np.zeros((len(POINTS), 4), "<u2")
    whole[:, :3] = np.round((POINTS - low) / size * 65535)
    corners = FACES.astype("u4").ravel()
    data = [
        ("ATTRIBUTES", codec.encode_vertex_buffer(whole), len(whole), 8),
        ("TRIANGLES", codec.encode_index_buffer(corners, len(corners), len(whole)), len(corners), 4),
    ]
    place = 0
    for number, (mode, content, count, stride) in enumerate(data):
        file.view(content)
        packed = file.json["bufferViews"][number]
        stands_in = {"buffer": 1, "byteOffset": place, "byteLength": count * stride}
        if mode == "ATTRIBUTES":
            stands_in |= {"byteStride": stride, "target": 34962}
        packed |= {"byteStride": stride, "count": count, "mode": mode} | (wrong if not number else {})
        file.json["bufferViews"][number] = stands_in | {"extensions": {name: packed}}
        place += count * stride
    file.json["buffers"] = [{}, {"byteLength": place, "extensions": {name: {"fallback": True}}}]
    bounds = {"min": whole[:, :3].min(axis=0).tolist(), "max": whole[:, :3].max(axis=0).tolist()}
    file.json["accessors"] = [
        {"bufferView": 0, "componentType": KINDS[whole.dtype], "normalized": True, "count": len(whole),
         "type": "VEC3", **bounds},
        {"bufferView": 1, "componentType": 5125, "count": len(corners), "type": "SCALAR"},
    ]  # fmt: skip
    file.node(mesh=file.mesh({"attributes": {"POSITION": 0}, "indices": 1}), scale=[size] * 3,
              translation=low.tolist())  # fmt: skip
    file.requires("KHR_mesh_quantization", name)
    return file.save(path)


def test_meshopt_is_read_and_what_does_not_change_stays_packed(tmp_path: Path) -> None:
    source = meshopt(tmp_path / "head.glb")
    mesh = read_mesh(source)
    np.testing.assert_allclose(mesh.vertices, POINTS, atol=2e-5)
    assert {tuple(sorted(face)) for face in mesh.faces} == {tuple(sorted(face)) for face in FACES}
    before, after = Document(source), edit(source, tmp_path / "rig.glb")
    assert after.json["bufferViews"][:2] == before.json["bufferViews"]
    assert after.json["buffers"][1] == before.json["buffers"][1]
    assert after.json["extensionsRequired"] == before.json["extensionsRequired"]
    move_glb(source, tmp_path / "moved.glb", mesh, mesh.vertices * 2)
    validate(tmp_path / "moved.glb")
    np.testing.assert_allclose(read_mesh(tmp_path / "moved.glb").vertices, mesh.vertices * 2, atol=1e-6)


def test_normals_of_meshopt_go_through_their_filter(tmp_path: Path) -> None:
    """Four 8-bit octahedral normals, decoded by hand: +X, +Y, +Z, -Z."""
    codec = pytest.importorskip("meshoptimizer", reason='needs the extra "gltf"')
    from mien.io.gltf_compression import unpack_meshopt

    stored = np.array([[127, 0, 127, 0], [0, 127, 127, 0], [0, 0, 127, 0], [127, 127, 127, 0]], "i1")
    item = {"count": 4, "byteStride": 4, "mode": "ATTRIBUTES", "filter": "OCTAHEDRAL"}
    rows = np.frombuffer(unpack_meshopt(codec.encode_vertex_buffer(stored), item), "i1").reshape(4, 4)[:, :3]
    np.testing.assert_allclose(rows, 127 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]]), atol=1)
    with pytest.raises(BadFile, match="filter that Mien does not know; received COLOR"):
        unpack_meshopt(codec.encode_vertex_buffer(stored), item | {"filter": "COLOR"})
    with pytest.raises(ValueError, match="no rows of 4 bytes"):
        unpack_meshopt(codec.encode_vertex_buffer(stored), item | {"filter": "QUATERNION"})


@pytest.mark.parametrize(
    "wrong", [{"count": 2**31}, {"count": 3}, {"byteStride": 0}, {"byteStride": 512}, {"count": -1}]
)
def test_meshopt_data_that_claims_too_much_is_refused_before_anything_is_allocated(
    tmp_path: Path, wrong: dict[str, int]
) -> None:
    with pytest.raises(BadFile, match="damaged"):
        read_mesh(meshopt(tmp_path / "head.glb", **wrong))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda file: file["accessors"][0].update(count=10**6), "beyond its buffer view"),
        (lambda file: (file["accessors"][0].update(count=10**9), file["accessors"][0].pop("bufferView")),
         "(vertices and .* in all|without data claims)"),
        (lambda file: file["accessors"][0].update(count=-4), "no count"),
        (lambda file: file["accessors"][0].update(count=True), "no count"),
        (lambda file: file["accessors"][0].update(count="many"), "damaged"),
        (lambda file: file["accessors"][0].update(type="VEC2"), "three numbers"),
        (lambda file: file["accessors"][1].update(componentType=5122), "indices of the kind"),
        (lambda file: file["bufferViews"][0].update(byteStride=10**12), "beyond its buffer view"),
        (lambda file: file["bufferViews"][0].update(byteOffset=-8), "no count"),
        (lambda file: file["bufferViews"][0].update(byteLength=10**12), "beyond its buffer"),
        (lambda file: file["buffers"][0].update(byteLength=10**12), "of 1000000000000 bytes"),
        (lambda file: file["nodes"][0].update(children=[0]), "loop"),
        (lambda file: file["nodes"].append({"children": [0, 0]}) or file.update(scenes=[{"nodes": [1]}]),
         "loop"),
        (lambda file: file.update(nodes=[{"mesh": 0}] * 10**5, scenes=[{"nodes": list(range(10**5))}]),
         "more than 32768 nodes"),
        (lambda file: file.update(nodes=[{"mesh": 0}] * 30000, scenes=[{"nodes": list(range(30000))}])
         or file["accessors"][0].update(count=10**6), "30000000000 vertices and"),
        (lambda file: file.update(scene=7), "damaged"),
        (lambda file: file["nodes"][0].update(matrix=[1] * 15), "damaged"),
        (lambda file: file["nodes"][0].update(skin=0) or file.update(skins=[{"joints": [5]}]), None),
        (lambda file: file["meshes"][0]["primitives"][0].update(indices=99), "damaged"),
        (lambda file: file.update(meshes={"0": 1}), "damaged"),
        (lambda file: file.update(extensionsRequired=7), "damaged"),
        (lambda file: file["meshes"][0].update(extras=5, weights=["a"]), None),
    ],
)  # fmt: skip
def test_hostile_numbers_are_one_sentence(tmp_path: Path, wrong, words: str | None) -> None:
    file = File()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES)))
    source = file.save(tmp_path / "head.glb")
    wrong(file.json)
    source.write_bytes(container(json.dumps(file.json).encode(), file.binary))
    if words is None:
        assert len(read_mesh(source).vertices) == len(POINTS)
        return
    with pytest.raises(BadFile, match=words):
        read_mesh(source)


@pytest.mark.parametrize(
    "extras", ["[" * 100_000 + "]" * 100_000, "[" * 500 + "]" * 500, "NaN", '{"a":' * 400 + "1" + "}" * 400]
)
def test_hostile_json_is_one_sentence(tmp_path: Path, extras: str) -> None:
    path = tmp_path / "head.glb"
    path.write_bytes(container(b'{"asset":{"version":"2.0"},"extras":' + extras.encode() + b"}", b""))
    with pytest.raises(BadFile, match="nested too deeply|damaged"):
        read_mesh(path)
