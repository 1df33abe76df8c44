"""Files that promise more than they hold are refused before memory is taken, in one sentence."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.apply.conversion import read_conversion
from mien.data import archive, texture_files
from mien.data.archive import archive_members
from mien.data.head_rigs import read_head_rig
from mien.data.rig_names import named_shapes
from mien.data.texture_files import read_texture
from mien.errors import BadFile, BadMesh, DataMissing
from mien.io import bounds
from mien.io import mesh as mesh_files
from mien.io.bounds import depth_of
from mien.io.gltf import read_glb_targets, write_glb
from mien.io.gltf_document import Document
from mien.io.mesh import Mesh, read_head, read_mesh
from mien.io.stated_count import stated_vertices
from mien.io.table import table_rows
from mien.limits import MOST_HEAD_VERTICES, MOST_VERTICES, UNPACKED_ALWAYS
from mien.models.bounded import BoundedTensors
from mien.npz import array_heads, open_array, read_npz


def lying_head(shape: object, kind: str = "<f4", follows: int = 64) -> bytes:
    """A ``.npy`` file that claims a shape."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + b"\0" * follows


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(BadFile, match=words) as caught:
        read_npz(path, "the file", "make it again")
    assert "\n" not in str(caught.value)


def test_a_header_of_a_hundred_thousand_columns_answers_at_once(tmp_path: Path) -> None:
    path, began = tmp_path / "a.csv", time.process_time()
    path.write_text(",".join(f"c{number}" for number in range(100_000)) + ",c1\n")
    with pytest.raises(BadFile, match="the table has a column twice; received 'c1'"):
        table_rows(path, "the table", ["c0"], "write it again")
    assert time.process_time() - began < 5


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b c": np.array(["x", "yz"]),
        "none": np.zeros((0, 3), "i4"),
        "columns first": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        "one": np.array(7.0),
        "long": np.arange(100_000),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_npz(tmp_path / "a.npz", "the file", "")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    found["a"] += 1.0  # it is the reader's own
    np.save(tmp_path / "columns.npy", arrays["columns first"])
    np.testing.assert_array_equal(
        open_array(tmp_path / "columns.npy", np.dtype(">i2")), arrays["columns first"]
    )
    assert array_heads(tmp_path / "a.npz", "the file", "")["a"].shape == (2, 3)
    assert list(read_npz(tmp_path / "a.npz", "the file", "", ["b c"])) == ["b c"]
    with pytest.raises(BadFile, match="no array 'b'"):
        read_npz(tmp_path / "a.npz", "the file", "", ["b"])


@pytest.mark.parametrize("shape", [(10**9, 3), (-1, 3), (2**62, 4), (15,), (17,), "(3,"])
def test_a_head_has_to_fit_what_follows(tmp_path: Path, shape: object) -> None:
    refused(zipped(tmp_path / "a.npz", {"a.npy": lying_head(shape)}), "the file is damaged")
    (tmp_path / "a.npy").write_bytes(lying_head(shape))
    with pytest.raises(ValueError):
        open_array(tmp_path / "a.npy", np.dtype("<f4"))


def test_a_broken_checksum_and_an_odd_start_of_the_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(40.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(np.arange(40.0).tobytes()) + 9] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    refused(tmp_path / "a.npz", "Bad CRC-32")
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (5,) }\n"
    odd = b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + np.arange(5.0).tobytes()
    found = read_npz(zipped(tmp_path / "b.npz", {"a.npy": odd}), "the file", "")["a"]
    assert (found == np.arange(5.0)).all() and found.flags.aligned and (10 + len(head)) % 8


def test_arrays_that_would_run_or_wrap_are_not_opened(tmp_path: Path) -> None:
    refused(zipped(tmp_path / "a.npz", {"a.npy": lying_head((8,), "|O")}), "neither numbers nor texts")
    np.save(tmp_path / "b.npy", np.arange(4, dtype="f8"))
    with pytest.raises(ValueError, match="holds float64, not float32"):
        open_array(tmp_path / "b.npy", np.dtype("f4"))


def test_a_bomb_is_told_by_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is unpacked: the limit hangs on the size of the file."""
    monkeypatch.setattr("mien.limits.UNPACKED_ALWAYS", 10_000)
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(100_000))
    refused(tmp_path / "zeros.npz", "bytes claim to unpack to 800")
    np.savez_compressed(tmp_path / "noise.npz", a=np.random.default_rng(0).normal(size=100_000))
    assert len(read_npz(tmp_path / "noise.npz", "the file", "")["a"]) == 100_000
    refused(zipped(tmp_path / "many.npz", {f"{k}.npy": b"" for k in range(5000)}), "5000 members")


SPARSE = {"major": "1", "minor": "0", "realsize": "99"}


def packed(path: Path, *entries: tarfile.TarInfo) -> Path:
    content = b"".join(entry.tobuf(tarfile.PAX_FORMAT) for entry in entries) + b"\0" * 1024
    path.write_bytes(gzip.compress(content, 1))
    return path


def entry(name: str = "a.obj", size: int = 0, **headers: str) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size = size
    found.pax_headers = headers
    return found


def read_all(path: Path) -> dict[str, bytes]:
    return dict(archive_members(path, lambda name: True))


def test_archives_that_are_not_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar.gz"
    for entries, words in (
        ([entry(comment="x" * 2_000_000)], "head of 2000"),  # read in one piece by the library
        ([entry(**{f"GNU.sparse.{k}": v for k, v in SPARSE.items()})], "damaged|link"),
        ([entry(size=2**50)], "more than 64 MiB"), ([entry(size=60 * 2**20)] * 8, "too much|damaged"),
    ):  # fmt: skip
        with pytest.raises(BadFile, match=words):
            read_all(packed(path, *entries))
    monkeypatch.setattr(archive, "MOST_MEMBERS", 10)
    with pytest.raises(BadFile, match="11 members"):
        read_all(packed(path, *[entry()] * 12))
    assert read_all(packed(path, entry("one"), entry("two"))) == {"one": b"", "two": b""}


@pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
def test_archives_of_every_packing(tmp_path: Path, packing: str) -> None:
    path, content = tmp_path / "release.data", b"v 0 0 0\n" * 40_000
    with tarfile.open(path, f"w:{packing}") as file:
        for name in ("a/head.obj", "x" * 150 + ".obj"):
            made = entry(name, len(content))
            file.addfile(made, io.BytesIO(content))
    assert read_all(path) == {"a/head.obj": content, "x" * 150 + ".obj": content}


def picture(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82"


def test_pictures_are_bounded_in_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "skin.png"
    for content in (
        picture(2**31 - 1, 2**31 - 1),
        picture(13_000, 13_000),
        b"8BPS\0\1" + b"\xff" * 60,
        b"GIF89a",
    ):
        path.write_bytes(content)
        with pytest.raises(BadFile, match="no readable image"):
            read_texture(path)
    Image.new("RGB", (8, 8)).save(path)
    assert read_texture(path).shape == (8, 8, 3)
    monkeypatch.setattr(texture_files, "MOST_PIXELS", 63)
    with pytest.raises(BadFile, match="no readable image"):
        read_texture(path)
    with pytest.raises(DataMissing, match="a texture is missing"):
        read_texture(tmp_path / ("x" * 300))


def test_meshes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "head.ply"
    header = "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"
    header += "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    for count in (10**10, MOST_VERTICES + 1):
        path.write_bytes(header.format(count).encode() + b"\0" * 60)
        with pytest.raises(BadFile, match=r"too large to be read; received .* at most 2,000,000"):
            read_mesh(path)
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    monkeypatch.setattr(mesh_files, "MOST_VERTICES", 2)
    with pytest.raises(BadMesh, match="3 vertices, at most 2"):
        read_mesh(tmp_path / "a.obj")
    monkeypatch.setattr(mesh_files, "MOST_MESH_BYTES", 10)
    with pytest.raises(BadFile, match="too large"):
        read_mesh(tmp_path / "a.obj")


def test_constructors_take_no_more_than_files_hold() -> None:
    import torch
    from torch import nn

    with BoundedTensors(1000):
        assert nn.Linear(8, 4).weight.shape == (4, 8)
    for make in (
        lambda: nn.Linear(10**8, 100), lambda: torch.zeros((10**6, 10**4)), lambda: torch.eye(10**5),
        lambda: nn.LSTM(10**5, 10**5), lambda: nn.ModuleList(nn.Linear(2000, 2000) for _ in range(10**6)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="ask for more than 128 MiB"), BoundedTensors(1000):
            make()


def test_the_limit_grows_with_the_file() -> None:
    from mien.limits import unpacked_limit

    assert unpacked_limit(0) == UNPACKED_ALWAYS and unpacked_limit(2**30) == 64 * 2**30


def stated(kind: str, count: int, path: Path) -> Path:
    """A file that says how many vertices it has, and holds a few of them at most."""
    file = path / f"large.{kind}"
    if kind == "obj":
        file.write_bytes(b"v 0 1 2\n" * (count - 1) + b"v\t0 1 2\r\nvn 0 0 1\nf 1 2 3\n")
    elif kind == "ply":
        file.write_bytes(
            b"ply\r\nformat ascii 1.0\r\ncomment x\r\nelement vertex %d\r\nend_header\r\n" % count
        )
    elif kind == "stl":
        file.write_bytes(b"\0" * 80 + struct.pack("<I", 2 * count))
        os.truncate(file, 84 + 100 * count)
    else:
        primitives = [{"attributes": {"POSITION": number}} for number in (0, 1, 1, -1, 7, None)]
        document = {"accessors": [{"count": count - 5}, {"count": 5}, {"count": 9}, 3],
                    "meshes": [{"primitives": primitives}, {"primitives": [4]}, 5]}  # fmt: skip
        text = json.dumps(document).encode()
        head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A)
        file.write_bytes(text if kind == "gltf" else head + text)
    return file


@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "glb", "vrm", "gltf"])
def test_a_head_of_a_million_vertices_is_refused_before_it_is_read(kind: str, tmp_path: Path) -> None:
    assert stated_vertices(stated(kind, 1234, tmp_path)) == 1234
    path = stated(kind, 1_000_000, tmp_path)
    began = time.process_time()
    with pytest.raises(
        BadMesh, match=f"'large' has more .* received 1,000,000; allowed are {MOST_HEAD_VERTICES:,}"
    ):
        read_head(path)
    assert time.process_time() - began < 1


def test_what_a_file_does_not_say_is_no_vertex(tmp_path: Path) -> None:
    for name, data in (
        ("a.obj", b""), ("a.ply", b"ply\n" + b"x" * 70_000), ("a.stl", b"solid\n"), ("a.glb", b"glTF"),
        ("a.glb", b"glTF\2\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffJSON"), ("a.gltf", b"[1"), ("a.gltf", b"[]"),
        ("a.wrl", b"#VRML V2.0 utf8\n"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert stated_vertices(tmp_path / name) == 0, name
    assert stated_vertices(tmp_path / "nothing.obj") == 0


TRIANGLE = struct.pack("<9f3I", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2)


def gltf(path: Path, **other: object) -> Path:
    """A triangle as a ``.gltf`` file beside which ``big.bin`` lies, with parts of its JSON exchanged."""
    (path / "big.bin").write_bytes(TRIANGLE.ljust(3_000_000, b"\0"))
    document = {
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
                      {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 12}],
        "buffers": [{"byteLength": 400, "uri": "big.bin"}],
    }  # fmt: skip
    file = path / "head.gltf"
    file.write_text(json.dumps(document | other))
    return file


def test_what_a_gltf_file_names_many_times_is_read_once(tmp_path: Path) -> None:
    buffers = [{"byteLength": 400, "uri": "big.bin"}] * 40
    path = gltf(tmp_path, buffers=buffers, images=[{"uri": "big.bin"}] * 40)  # 240 MB one by one
    began = time.process_time()
    document = Document(path)
    assert len({id(data) for data in document.pictures.values()}) == 1 and document.size == 3_000_000
    assert len(read_mesh(path).vertices) == 3
    assert time.process_time() - began < 2


def test_lists_of_corners_and_targets_are_not_repeated_without_end(tmp_path: Path) -> None:
    primitive = {"attributes": {"POSITION": 0}, "indices": 1}
    long = {"componentType": 5125, "count": 300_000, "type": "SCALAR"}
    position = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
    many = gltf(tmp_path, meshes=[{"primitives": [primitive] * 50}], accessors=[position, long])
    with pytest.raises(BadFile, match=r"3 vertices and 15000000 corners in all"):
        read_mesh(many)
    empty = {"componentType": 5126, "count": 400_000, "type": "VEC3"}
    accessors = [empty, {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"}]
    meshes = [{"primitives": [primitive | {"targets": [{"POSITION": 0}] * 3000}], "weights": [1.0] * 3000}]
    path = gltf(tmp_path, accessors=accessors, meshes=meshes)
    for read in (read_mesh, read_glb_targets, read_head_rig):
        began = time.process_time()
        with pytest.raises(BadFile, match="its morph targets have 1200000000 vertices in all"):
            read(path)
        assert time.process_time() - began < 2


def test_a_long_text_in_json_takes_no_memory_of_its_own() -> None:
    text = b'{"a": "' + b"A" * 30_000_000 + b'\\\\\\"[[", "b": [[1]]}'
    began = time.process_time()
    tracemalloc.start()
    assert depth_of(text) == 3
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * len(text) and time.process_time() - began < 3


@given(st.recursive(st.text('a"\\[]{}', max_size=4), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text('"\\[{', max_size=2), inner, max_size=2), max_leaves=8),
       st.integers(1, 9))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_depth_of_json_is_that_of_its_lists_and_mappings(value: object, part: int) -> None:
    def depth(item: object) -> int:
        inside = list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else None
        return 0 if inside is None else 1 + max(map(depth, inside), default=0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_PART", part)
        assert depth_of(json.dumps(value).encode()) == depth(value)


def test_a_picture_of_billions_of_pixels_is_put_into_no_rig(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side, words in ((60_000, "too many pixels"), (12_000, "too many pixels; received 12000 x 12000"),
                        (0, "damaged")):  # fmt: skip
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) if side else b"IHDR"
        picture = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
        mesh = Mesh(
            np.eye(3, dtype=np.float32),
            np.array([[0, 1, 2]]),
            uv=np.zeros((3, 2), np.float32),
            uv_faces=np.array([[0, 1, 2]]),
        )
        with pytest.raises(BadFile, match=words):
            write_glb(tmp_path / "rig.glb", mesh.vertices, mesh, texture=picture)
        assert not (tmp_path / "rig.glb").exists()


def test_numbers_of_tables_have_limits_and_so_have_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arkit,shape,weight\njawOpen,a,1e308\n")
    with pytest.raises(BadFile, match="'weight' has a number that is too large; received '1e308' in line 2"):
        named_shapes(["a"], path)
    path.write_text("arkit,shape\njawOpen,a\njawOpen,a\n")
    with pytest.raises(BadFile, match="has a pair twice; received jawOpen, a in line 3"):
        named_shapes(["a"], path)
    path.write_text("from,to,weight\na,b,-1e300\n")
    with pytest.raises(BadFile, match="too large; received '-1e300'"):
        read_conversion(path)
    monkeypatch.setattr("mien.io.table.MOST_TABLE_LINES", 2)
    with pytest.raises(BadFile, match="the table is too large; received 3 lines"):
        path.write_text("a\n1\n2\n")
        table_rows(path, "the table", ["a"], "write it again")
