"""Inputs that chance would hardly draw: heads that promise much, bombs, and words that cost time."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from functools import lru_cache

from fuzzing.mutations import glb_of, lying_array

_DEEP = 20_000
_PLY = "ply\nformat {form} 1.0\nelement vertex {count}\n{properties}element face {faces}\n{lists}end_header\n"
_XYZ = "property float x\nproperty float y\nproperty float z\n"
_LIST = "property list uchar int vertex_indices\n"


def _ply(
    form: str = "ascii", count: object = 3, properties: str = _XYZ, faces: object = 1, lists: str = _LIST,
    body: bytes = b"0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
) -> bytes:  # fmt: skip
    head = _PLY.format(form=form, count=count, properties=properties, faces=faces, lists=lists)
    return head.encode() + body


def meshes() -> dict[str, list[bytes]]:
    """Ending -> files."""
    triangle = b"v 0 0 0\nv 1 0 0\nv 0 1 0\n"
    groups = b"".join(b"g %d\nf 1 2 3\n" % k for k in range(30_000))
    materials = b"".join(b"usemtl %d\nf 1 2 3\n" % (k % 4000) for k in range(30_000))
    point_list = b", ".join([b"0 0 0", b"1 0 0", b"0 1 0"])
    return {
        ".obj": [
            triangle + groups, triangle + materials, triangle + b"f 1 2 3" * 60_000, triangle + b"f " + b"1 " * 10**5,
            triangle + b"f 1 2 3\n" + b"#" * 10**6, b"v " + b"1" * 10**6 + b" 0 0\nf 1 1 1\n",
            b"mtllib " + b"a " * 30_000 + b"\n" + triangle + b"f 1 2 3\n", triangle + b"f 1 2 3 \\\n" * 30_000 + b"1\n",
            b" \n" * 10**5 + triangle + b"f 1 2 3\n", b"\t" * 10**6 + triangle + b"f 1 2 3\n",
            triangle + b"o a.mtl b" * 20_000 + b"\nf 1 2 3\n", triangle + b"f 1/1/1/1 2 3\n", triangle + b"f 1/ 2/ 3/\n",
            b"#MRGB " + b"f" * 10**6 + b"\n" + triangle + b"f 1 2 3\n", b"v 1e308 -1e308 1e308\n" + triangle + b"f 2 3 4\n",
        ],
        ".ply": [
            _ply(count=10**10, properties="", body=b""), _ply(faces=10**10, lists="", body=b"0 0 0\n" * 3),
            _ply(count=10**12), _ply("binary_little_endian", 10**9, body=b"\0" * 60), _ply(faces=10**9),
            _ply("binary_little_endian", 3, faces=1, body=b"\0" * 36 + b"\xff" + b"\0" * 20),
            _ply("binary_little_endian", 0, faces=10**6, body=b"\0" * 10**6),
            _ply(properties="property list uchar float x\nproperty float y\nproperty float z\n"),
            _ply(count=2, properties=_XYZ + "property list uchar int vertex_indices\n", body=b"0 0 0 1 5\n1 1 1 2 5 5\n"),
            _ply(properties=_XYZ * 2), _ply(properties=_XYZ.replace("float", "list uchar float")),
            _ply(lists=_LIST * 2, body=b"0 0 0\n1 0 0\n0 1 0\n3 0 1 2 3 0 1 2\n"), _ply(faces=-1), _ply(count="1e3"),
            _ply(body=b"0 0 0\n1 0 0\n0 1 0\n1e300 0 1 2\n"), _ply(body=b"0 0 0\n1 0 0\n0 1 0\nnan 0 1 2\n"),
            b"ply\nformat ascii 1.0\n" + b"element a 0\n" * 50_000 + b"end_header\n",
            b"ply\nformat ascii 1.0\n" + b"comment x\n" * 10**5 + b"end_header\n",
            _ply("binary_little_endian", 3, _XYZ + "".join(f"property uchar p{k}\n" for k in range(5000)), body=b"\0" * 9000),
            _ply("binary_little_endian", 3, lists="property list int int vertex_indices\n", faces=1,
                 body=b"\0" * 36 + struct.pack("<i", -5) + b"\0" * 30),
            _ply("binary_little_endian", 0, "property list uchar int a\n" * 1, 0, body=b""),
            _ply("binary_little_endian", 3, faces=300_000, lists="property list uchar uchar vertex_indices\n",
                 body=b"\0" * 36 + (b"\3\0\1\2" + b"\4\0\1\2\0") * 150_000),
        ],
        ".stl": [
            b"\0" * 80 + struct.pack("<I", 2**32 - 1), b"\0" * 84, b"solid\nendsolid\n", b"solid" + b"\n" * 10**6,
            b"solid\n" + b" " * 10**5 + b"vertex 1 2 3\nendsolid", b"solid\n" + b"vertex 1 1 1\n" * 10**5 + b"endsolid",
            b"solid\n" + b"\n \t" * 10**5 + b"x", b"solid\n" + b"vertex " * 10**5,
        ],
        ".wrl": [
            b"#VRML V2.0 utf8\nShape { geometry IndexedFaceSet { coord Coordinate { point [" + point_list
            + b"] } coordIndex [0,1,2,-1" + b",99999999999999999999" + b"] } }\n",
            b"#VRML V2.0 utf8\n" + b"Group { children [" * 5000, b"#VRML V2.0 utf8\n" + b'"' * 200_000,
            b"#VRML V2.0 utf8\n" + b'"\\' * 100_000, b"#VRML V2.0 utf8\n" + b"[" * 200_000,
            b"#VRML V2.0 utf8\n" + b"[ 1 " * 30_000, b"#VRML V2.0 utf8\nGroup { children [" + b"USE a " * 50_000 + b"] }",
            b"#VRML V2.0 utf8\nGroup { " + b"a 1 " * 100_000 + b"}", b"#VRML V2.0 utf8\n" + b"DEF a Group { children [ "
            + b"USE a, " * 10_000 + b"] }", b"#VRML V2.0 utf8\n" + b'#"' * 100_000,
            b"#VRML V2.0 utf8\nGroup { url [" + b'"a" ' * 60_000 + b"] }", b"#VRML V2.0 utf8\nA { b " + b"1 " * 200_000 + b"}",
            b"#VRML V2.0 utf8\n" + b"".join(b"DEF n%d Group { children [ USE n%d USE n%d ] }\n" % (k, k - 1, k - 1)
                                            if k else b"DEF n0 Group { }\n" for k in range(40)),
            b"#VRML V2.0 utf8\nTransform { scale 1e308 1e308 1e308 rotation 0 0 0 0 }",
        ],
        ".glb": _glbs(),
        ".gltf": [
            json.dumps({"asset": {}, "buffers": [{"byteLength": 3, "uri": uri}]}).encode()
            for uri in ("../x", "/etc/passwd", "file:///etc/passwd", "data:x", "data:;base64,====", "a" * 5000, "a\0b", "http://x/y", "..", "")
        ] + [b"[" * 10**5, b'{"a":' * _DEEP, b"{}", b"[]", b"null", b'"x"', b"1", b"{\"asset\":" + b"9" * 5000 + b"}"],
        ".vrm": [],
    }  # fmt: skip


def _glbs() -> list[bytes]:
    def made(
        accessor: dict, views: list | None = None, binary: bytes = b"\0" * 64, **others: object
    ) -> bytes:
        document = {
            "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}], "accessors": [accessor],
            "bufferViews": views or [{"buffer": 0, "byteLength": len(binary)}],
            "buffers": [{"byteLength": len(binary)}], **others,
        }  # fmt: skip
        return glb_of(json.dumps(document).encode(), binary)

    vec = {"componentType": 5126, "type": "VEC3"}
    stride = [{"buffer": 0, "byteLength": 64, "byteStride": 1}]
    sparse = {
        "count": 10**8,
        "indices": {"bufferView": 0, "componentType": 5125},
        "values": {"bufferView": 0},
    }
    loop = [{"mesh": 0, "children": [1]}, {"children": [0]}]
    many = [{"mesh": 0, "children": list(range(1, 30_000))}, *({"mesh": 0} for _ in range(30_000))]
    shared = {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * 20_000}]}
    targets = {
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "targets": [{"POSITION": 0}] * 50_000}]}]
    }
    packed = {"EXT_meshopt_compression": {"buffer": 0, "byteLength": 60, "byteStride": 256, "count": 10**7,
                                          "mode": "ATTRIBUTES"}}  # fmt: skip
    deep = b'{"asset":{"version":"2.0"},"extras":' + b"[" * _DEEP + b"]" * _DEEP + b"}"
    return [
        made(vec | {"count": 10**9}), made(vec | {"count": 2**24}), made({**vec, "count": 10**9, "bufferView": 0}),
        made({**vec, "count": 50, "bufferView": 0}, stride), made({**vec, "count": 3, "bufferView": 0, "byteOffset": 2**40}),
        made({**vec, "count": 5, "bufferView": 0, "sparse": sparse}), made(vec | {"count": 3}, nodes=loop),
        made(vec | {"count": 2**14}, nodes=many), made(vec | {"count": 2**14}, **shared), glb_of(deep, b""),
        made(vec | {"count": 2**14}, **targets), glb_of(b"{" * 10**5, b""), glb_of(b'"' + b"\\" * 10**6, b""),
        glb_of(b'"' * 200_001, b""), made({**vec, "count": 3, "bufferView": 0, "type": "MAT4"}),
        made({**vec, "count": 10**6, "bufferView": 0}, [{"buffer": 0, "byteLength": 0, "extensions": packed}],
             extensionsRequired=["EXT_meshopt_compression"]),
        made({**vec, "count": 3, "bufferView": 0}, [{"buffer": 0, "byteOffset": 0, "byteLength": 64, "byteStride": 2**40}]),
    ]  # fmt: skip


def curves() -> list[bytes]:
    """Recordings."""
    head = b"frame,jawOpen\n"
    return [
        head + b"0,0.1\n1e12,0.2\n", b"time,jawOpen\n0,0.1\n1e12,0.2\n", b"time,jawOpen\n0,0.1\n100000000,0.2\n",
        b"time,jawOpen\n-1.7e308,0.1\n1.7e308,0.2\n", b"time,jawOpen\n0,1\n1e-300,1\n", b"a\n" + b"1" * 200_000 + b"\n",
        b"time,jawOpen\n0,0\n1e-9,1\n3600,1\n", b"," * 10**6 + b"\n", b"a," * 20_000 + b"b\n" + b"1," * 20_000 + b"1\n",
        b",".join(b"c%d" % k for k in range(20_000)) + b"\n" + b"1," * 19_999 + b"1\n", b"[" * 10**5, b'{"a":' * 10**5,
        b'{"fps":60,"blendshapes":{"a":[1e400,0]}}', json.dumps({"facsNames": ["a"] * 20_000, "weightMat": [[0] * 20_000]}).encode(),
        json.dumps([{f"n{k}": 1, "t": k} for k in range(3000)]).encode(), b"{}\n" * 10**5, b"[" + b"{}," * 10**5 + b"{}]",
        b"Timecode,BlendShapeCount,jawOpen\n23:59:59:59.999,61,0\n00:00:00:00.000,61,1\n", b"timecode,jawOpen\n99:99:99:99,1\n" * 3,
        json.dumps({"fps": 1e-300, "blendshapes": {"jawOpen": [0, 1, 0]}}).encode(), b'{"names":["a"],"frames":[[' + b"9" * 5000 + b"]]}",
        json.dumps({"numFrames": 10**12, "facsNames": ["a"], "weightMat": [[0.0]]}).encode(), head + b"0,1\n-1,2\n", b'"' * 10**5,
        b"time;jawOpen\n" + b"".join(b"%d,5;0,1\n" % k for k in range(2000)),
    ]  # fmt: skip


@lru_cache
def landmarks() -> list[tuple[str, bytes]]:
    """Name and content of landmark files."""
    return [
        ("a.csv", b"name,x,y,z\n" + b"x" * 200_000 + b",1,2,3\n"), ("a.csv", b"name,x,y,z\na," + b"1" * 10**5 + b",2,3\n"),
        ("a.pp", b"<a>" * 50_000), ("a.pp", b'<!DOCTYPE x [<!ENTITY a "b">]><PickedPoints>&a;</PickedPoints>'),
        ("a.pp", b"<" + b"a" * 10**6), ("a.json", b"[" * 10**5), ("a.json", b'{"landmarks":' * 900 + b"1" + b"}" * 900),
        ("a.json", b'{"a":[1,2,3],"a":[1,2,3]}'), ("a.json", b'{"a":{"position":' * 900 + b"1" + b"}" * 1800),
        ("a.pts", b"1 2 3\n" * 10**5), ("a.pts", b"9" * 5000 + b"\n1 2 3\n"), ("a.csv", b"name,vertex\na,-1\nb,1e9\nc,0.5\n"),
        ("a.csv", b'"' * 10**5), ("a.csv", b"name,x,y,z\na,1e308,-1e308,0\nb,0,0,0\nc,1,1,1\n"), ("a.csv", b"\n" * 10**6),
        ("a.csv", b"1" * 10**5 + b"e" + b"1" * 10**5), ("a.csv", b"+" * 10**5 + b" 1 1"), ("a.csv", b"a,1,2,3\n" * 30_000),
    ]  # fmt: skip


def recipes() -> list[bytes]:
    """Recipes."""
    head = b"model: pca\ndata: {name: x}\n"
    laugh = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((k + 1, k + 1, *([k] * 9)))
        for k in range(97, 106)
    )
    return [
        b"model: 5\ndata: {name: x}", b"model:\ndata: {name: x}", b"model: pca\ndata:", b"model: pca\ndata: x", b"model: 2001-99-99\ndata: {a: b}",
        b"model: 2001-01-01\ndata: {a: b}", head + b"seeds:", head + b"seeds: x", head + b"seeds: [a]", head + b"seeds: [-1]",
        head + b"settings: [1]", head + b"settings: " + b"[" * 3000, head + b"settings: {a: " + b"9" * 5000 + b"}", head + b"protocol: [1]",
        head + b"protocol: {a: b}", head + b"protocol: 5", head + b"published: 5", head + b"profile: 1", head + b"notes: [a]",
        b"[" * 5000, b"{a: " * 3000, laugh + head, b"!!python/object/apply:os.system [ls]", head + b"? [a]\n: b", head + b"settings: {1: 2}",
        b"&a [*a]", head + b"settings: &a {x: *a}", head + b"seeds: [1e400]", head + b"seeds: " + b"[0" + b",0" * 50_000 + b"]",
        b"\xff\xfe" + head.decode().encode("utf-16-le"), b"\xe9", head + b"published: {a: .nan}", head + b"settings: {a: 0x" + b"f" * 9000 + b"}",
        head + b"a: " + b"1_" * 20_000 + b"1", head + b"source: " + b"a: " * 3000, b"- " * 3000, b"? " * 3000, b'"' + b"\\" * 10**5,
        head + b"notes: 190:20:30:20:30:20:30" + b":59" * 5000,
    ]  # fmt: skip


@lru_cache  # asked for with each input, and bombs take a second to pack
def pictures() -> list[tuple[str, bytes]]:
    """Ending and content of pictures."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width: int, height: int, *more: bytes, depth: int = 8, color: int = 2) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IEND", b"")

    gray = chunk(b"IDAT", zlib.compress(b"\0" * (1 + 20_000) * 4000))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 10**8))
    return [
        (".png", png(2**31 - 1, 2**31 - 1)), (".png", png(13_000, 13_000)), (".png", png(20_000, 8000, gray, color=0)), (".png", png(0, 0)),
        (".png", png(8, 8, text)), (".png", png(8, 8, *([chunk(b"tEXt", b"a\0" + b"b" * 1000)] * 2000))), (".png", png(8, 8, chunk(b"iCCP", b"a\0\0" + b"x"))),
        (".png", b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + b"\0" * 60),
        (".png", b"DDS " + struct.pack("<IIII", 124, 7, 2**31, 2**31) + b"\0" * 108), (".png", b"GIF89a" + b"\xff" * 7), (".png", b"BM" + b"\xff" * 60),
        (".png", b"P6\n99999999 99999999\n255\n"), (".jpg", b"\xff\xd8\xff\xe0" + b"\0" * 60), (".png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        (".png", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 300), (".png", b"\0\0\1\0\xff\xff" + b"\xff" * 60), (".png", b"#define w_width 99999\n#define w_height 99999\n"),
    ]  # fmt: skip


def archives() -> list[bytes]:
    """Tar archives."""

    def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **others: object) -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.type = size, kind
        for key, value in others.items():
            setattr(info, key, value)
        return info.tobuf(tarfile.GNU_FORMAT)

    pax = tarfile.TarInfo("x")
    pax.pax_headers = {f"k{k}": "v" * 50 for k in range(50_000)}
    huge = tarfile.TarInfo("x")
    huge.pax_headers = {"comment": "v" * 200_000_000}
    sparse = tarfile.TarInfo("x")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)}
    empty = b"\0" * 1024
    return [
        _gzip(entry("a.obj") * 1000, 2000), _gzip(pax.tobuf(tarfile.PAX_FORMAT) + empty), _gzip(huge.tobuf(tarfile.PAX_FORMAT) + empty),
        _gzip(entry("a", 2**40) + empty), _gzip(entry("a.obj", 60 * 2**20) + b"\0" * 60 * 2**20 + empty), _gzip(sparse.tobuf(tarfile.PAX_FORMAT) + empty),
        _gzip(entry("a", 0, tarfile.SYMTYPE, linkname="/etc/passwd") + empty), _gzip(entry("a", 0, tarfile.LNKTYPE, linkname="a") + empty),
        _gzip(entry("a", 0, tarfile.CHRTYPE) + empty), _gzip(entry("x" * 100, 100, b"L") + b"\0" * 512), _gzip(entry("x", 200_000_000, b"L") + b"a" * 10**6),
        _gzip(entry("x", 10**6, b"x") + b"9" * 10**6 + empty), _gzip(entry("../x", 4) + b"evil" + empty), _gzip(b"\0" * 10**7), _gzip(b""), b"",
        _gzip((entry("dir/", 0, tarfile.DIRTYPE)) * 300_000 + empty), _gzip(b"".join(entry("a", 0, b"g") for _ in range(20_000)) + empty),
        _gzip(b"".join(entry("x" * 99, 1, b"L") + b"y" * 512 for _ in range(3000)) + empty),
    ]  # fmt: skip


def _gzip(content: bytes, times: int = 1) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(content) for _ in range(times)) + packer.flush()


def arrays(names: tuple[str, ...]) -> list[bytes]:
    """.npz files with members of these names."""
    found = []
    for shape in ((10**9, 3), (2**40,), (-1,), (10**5, 10**5)):
        found.append(_zip({f"{name}.npy": lying_array(shape) for name in names}))
        found.append(_zip({f"{name}.npy": lying_array(shape) + b"\0" * 10**8 for name in names[:1]}))
    found.append(_zip({f"{name}.npy": lying_array((3,), "|O") for name in names}))
    found.append(
        _zip({f"{name}.npy": b"\x93NUMPY\1\0" + struct.pack("<H", 60_000) + b"(" * 60_000 for name in names})
    )
    found.append(_zip({f"{name}.npy": b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + b"{" for name in names}))
    found.append(_zip({f"m{k}.npy": b"" for k in range(30_000)}))
    return [*found, _bomb(f"{names[0]}.npy")]


def _bomb(name: str, blocks: int = 80) -> bytes:
    """An array of 1.3 GB of zeros in a file of 6 MB."""
    out, block = io.BytesIO(), b"\0" * 2**24
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as file,
    ):
        file.write(lying_array((blocks * 2**24 // 12, 3)))
        for _ in range(blocks):
            file.write(block)
    return out.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()
