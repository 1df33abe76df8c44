"""Small valid files of every kind that Mien reads, as bytes: what the inputs are made of."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import tempfile
from functools import lru_cache
from pathlib import Path

import gltf_files
import numpy as np
import takes
from fixtures import planted, tiny_data
from PIL import Image

from mien.data.dataset import FaceDataset
from mien.io.gltf import write_glb
from mien.io.mesh import Mesh, write_ply
from mien.io.record import assemble
from mien.models.base import FaceModel
from mien.models.files import save_model
from mien.models.registry import model_class

Files = dict[str, bytes]
"""Path within a folder -> content."""

METHODS = {
    "morphable": {"identity_size": 4}, "pca": {"size": 6, "expression_size": 3}, "mean_expression": {},
    "adversarial_vae": {"identity_size": 4, "expression_size": 4, "hidden": 8},
    "facetunegan": {"content_size": 4, "style_size": 3, "channels": (4, 4), "mapping": (4,)},
    "decoupled_gan": {"identity_size": 4, "expression_size": 4, "noise_size": 2, "hidden": 8},
    "facecam": {"hidden": (8, 8), "generator_hidden": (8, 8)},
    "spiralnet": {"size": 4, "expression_size": 3, "channels": (4, 4)},
    "coma": {"size": 4, "expression_size": 3, "channels": (4, 4)},
    "expression_lstm": {"size": 6, "factors": (3, 2), "identity_size": 3}, "pca_lstm": {"size": 4},
}  # fmt: skip
"""Methods whose folders are made, and arguments that make them small."""


def sheet_mesh() -> Mesh:
    """A small bent sheet of quads with texture coordinates."""
    points, uv, _ = gltf_files.sheet()
    first = (np.arange(3)[:, None] * 5 + np.arange(4)).ravel()
    corners = np.stack([first, first + 1, first + 6, first + 5], axis=1).ravel()
    return assemble(points, np.full(12, 4), corners, uv, corners)


@lru_cache
def meshes() -> dict[str, list[bytes]]:
    """Ending of a mesh file -> small files."""
    mesh = sheet_mesh()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        colors = np.linspace(0, 1, 3 * len(mesh.vertices)).reshape(-1, 3)
        write_ply(place / "a.ply", mesh.vertices, mesh, colors=colors)
        targets = np.stack([mesh.vertices * 1000 + (0, 0, k) for k in (5.0, 9.0)])
        write_glb(place / "a.glb", mesh.vertices * 1000, mesh, targets, ("jawOpen", "smile"))
        draft = _gltf_file()
        glb = draft.save(place / "b.glb").read_bytes()
        draft.json["buffers"] = [{"byteLength": len(draft.binary), "uri": "head.bin"}]
        found = {name: (place / name).read_bytes() for name in ("a.ply", "a.glb")}
    return {
        ".obj": [_obj(mesh), _plain_obj(mesh)], ".ply": [found["a.ply"], _ascii_ply(mesh), _uneven_ply()],
        ".stl": [_stl(mesh), _ascii_stl(mesh)], ".glb": [found["a.glb"], glb], ".vrm": [glb],
        ".wrl": [_vrml_2(mesh), _vrml_1(mesh)], ".gltf": [json.dumps(draft.json).encode()],
    }  # fmt: skip


def _gltf_file() -> gltf_files.File:
    """A glTF scene of two nodes, a skin, a sparse accessor and an animation of weights."""
    points, uv, faces = gltf_files.sheet()
    file = gltf_files.File()
    index = file.accessor(faces.ravel().astype("<u2"), target=34963)
    position = file.accessor(points, bounds=True)
    moved = file.accessor(np.full_like(points, 0.1), bounds=True)
    binds = file.accessor(np.eye(4, dtype="<f4").reshape(1, 16), target=None)
    times = file.accessor(np.arange(3, dtype="<f4"), target=None, bounds=True)
    weights = file.accessor(np.linspace(0, 1, 3).astype("<f4"), target=None)
    primitive = {
        "attributes": {"POSITION": position, "TEXCOORD_0": file.accessor(uv)}, "indices": index, "material": 0,
        "targets": [{"POSITION": moved}], "mode": 4,
    }  # fmt: skip
    file.json["meshes"] = [
        {"primitives": [primitive], "weights": [0.0], "extras": {"targetNames": ["jawOpen"]}}
    ]
    file.json["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [0, 1, 0], "children": [1]},
        {"scale": [1, 1, 1], "rotation": [0, 0, 0, 1], "name": "joint"},
    ]
    file.json["skins"] = [{"joints": [1], "inverseBindMatrices": binds}]
    file.json["materials"] = [{"name": "skin", "pbrMetallicRoughness": {"baseColorFactor": [1, 0.5, 0.5, 1]}}]
    sampler = {"input": times, "output": weights, "interpolation": "LINEAR"}
    channel = {"sampler": 0, "target": {"node": 0, "path": "weights"}}
    file.json["animations"] = [{"samplers": [sampler], "channels": [channel]}]
    return file


def gltf_binary() -> bytes:
    """The buffer beside the .gltf file."""
    return _gltf_file().binary


def _rows(word: str, rows: np.ndarray) -> str:
    return "".join(f"{word} {' '.join(f'{value:g}' for value in row)}\n" for row in rows)


def _obj(mesh: Mesh) -> bytes:
    polygons = mesh.polygons.corners.reshape(-1, 4) + 1  # type: ignore[union-attr]
    lines = ["mtllib head.mtl\n", _rows("v", np.hstack([mesh.vertices, mesh.vertices])), _rows("vt", mesh.uv)]
    for number, row in enumerate(polygons):
        lines += [f"g part{number % 3}\nusemtl skin{number % 2}\n"] if number % 4 == 0 else []
        lines.append("f " + " ".join(f"{corner}/{corner}" for corner in row) + "\n")
    return "".join(lines).encode()


def _plain_obj(mesh: Mesh) -> bytes:
    faces = "".join(f"f {a}//1 {b}//1 {c}//1\n" for a, b, c in mesh.faces - len(mesh.vertices))
    return (f"# a comment\n{_rows('v', mesh.vertices)}vn 0 0 1\ns off\n{faces}").encode()


def library() -> bytes:
    """A material library."""
    return (
        b"newmtl skin0\nKd 0.8 0.4 0.2\nd 1\nmap_Kd -s 1 1 1 skin.png\nnewmtl skin1\nTr 0.5\nmap_Bump b.png\n"
    )


def _ascii_ply(mesh: Mesh) -> bytes:
    faces = "".join(f"3 {a} {b} {c}\n" for a, b, c in mesh.faces)
    head = f"ply\nformat ascii 1.0\ncomment TextureFile skin.png\nelement vertex {len(mesh.vertices)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + f"element face {len(mesh.faces)}\n"
    head += "property list uchar int vertex_indices\nend_header\n"
    return (head + _rows("", mesh.vertices) + faces).encode()


def _uneven_ply() -> bytes:
    head = "ply\nformat binary_big_endian 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
    head += (
        "property double z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 2\n"
    )
    head += "property list uchar int vertex_index\nproperty list uchar float texcoord\nend_header\n"
    body = b"".join(struct.pack(">ffdBBB", k % 2, k // 2, k, k, 9, 9) for k in range(5))
    body += struct.pack(">B3iB6f", 3, 0, 1, 2, 6, *range(6)) + struct.pack(
        ">B4iB8f", 4, 0, 1, 3, 4, 8, *range(8)
    )
    return head.encode() + body


def _stl(mesh: Mesh) -> bytes:
    rows = b"".join(struct.pack("<12fH", 0, 0, 1, *mesh.vertices[face].ravel(), 0) for face in mesh.faces)
    return b"\0" * 80 + struct.pack("<I", len(mesh.faces)) + rows


def _ascii_stl(mesh: Mesh) -> bytes:
    facets = "".join(
        "facet normal 0 0 1\nouter loop\n" + _rows("vertex", mesh.vertices[face]) + "endloop\nendfacet\n"
        for face in mesh.faces
    )
    return f"solid head\n{facets}endsolid head\n".encode()


def _vrml_2(mesh: Mesh) -> bytes:
    points = ", ".join(" ".join(f"{value:g}" for value in row) for row in mesh.vertices)
    faces = ", ".join(f"{a}, {b}, {c}, -1" for a, b, c in mesh.faces)
    return (
        (
            "#VRML V2.0 utf8\nDEF all Transform { translation 1 0 0 rotation 0 1 0 0.5 scale 2 2 2 children [\n"
            'Shape { appearance Appearance { texture ImageTexture { url "skin.png" } material Material '
            "{ diffuseColor 1 0.5 0.5 } }\n geometry IndexedFaceSet { ccw FALSE coord DEF pts Coordinate { point ["
            f"{points}] }}\n coordIndex [{faces}] }} }}\n Group {{ children [ USE all2 ] }} ] }}\n"
        )
        .replace("USE all2", "Transform { }")
        .encode()
    )


def _vrml_1(mesh: Mesh) -> bytes:
    points = ", ".join(" ".join(f"{value:g}" for value in row) for row in mesh.vertices)
    faces = ", ".join(f"{a}, {b}, {c}, -1" for a, b, c in mesh.faces)
    return (
        '#VRML V1.0 ascii\nSeparator { Material { diffuseColor 0.8 0.5 0.4 } Texture2 { filename "skin.png" }\n'
        f"Coordinate3 {{ point [{points}] }}\nShapeHints {{ vertexOrdering CLOCKWISE }} # comment\n"
        f"IndexedFaceSet {{ coordIndex [{faces}] }} }}\n"
    ).encode()


@lru_cache
def curves() -> list[bytes]:
    """Recordings in all forms, cut to a few frames."""
    with tempfile.TemporaryDirectory() as folder:
        forms = takes.write_forms(Path(folder))
        short = [path.read_bytes() for path in forms.values() if path.suffix == ".csv"]
        lines = forms["lines.jsonl"].read_bytes()
    found = [b"\n".join(item.split(b"\n")[:9]) + b"\n" for item in short]
    names, frames = ["jawOpen", "mouthSmileLeft"], [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
    documents = [
        {"exportFps": 30, "numPoses": 2, "numFrames": 3, "facsNames": names, "weightMat": frames},
        {"fps": 60, "blendshapes": {"jawOpen": [0.1, 0.2, 0.3], "mouthSmileLeft": [0, 0, 1]}},
        [{"timestamp": k, "faceBlendshapes": [{"categories": [{"categoryName": name, "score": 0.1 * k}
          for name in names]}]} for k in range(3)],
        {"frames": [{"t": 0.1 * k, "jawOpen": 0.5, "mouthSmileLeft": 0.1} for k in range(3)]},
    ]  # fmt: skip
    return [*found, b"\n".join(lines.split(b"\n")[:5]), *(json.dumps(item).encode() for item in documents)]


def landmarks() -> dict[str, bytes]:
    """Name -> a landmark file of each form."""
    points = [("nose_tip", 0, 0, 20), ("left_eye_outer_corner", 45, 40, 0), ("right_eye_outer_corner", -45, 40, 0),
              ("chin", 0, -60, 5)]  # fmt: skip
    comma = "name,x,y,z\n" + "".join(f"{name},{x},{y},{z}\n" for name, x, y, z in points)
    picked = "".join(f'<point active="1" name="{n}" x="{x}" y="{y}" z="{z}"/>' for n, x, y, z in points)
    return {
        "a.csv": comma.encode(), "b.csv": comma.replace(",", ";").encode(),
        "c.csv": b"name,vertex\nnose_tip,3\nchin,5\nleft_eye_outer_corner,7\n",
        "d.pp": f"<!DOCTYPE PickedPoints><PickedPoints>{picked}</PickedPoints>".encode(),
        "e.pts": b"version: 1\nn_points: 4\n{\n1 2 30\n40 5 6\n7 80 9\n1 1 1\n}\n",
        "f.json": json.dumps({name: [x, y, z] for name, x, y, z in points}).encode(),
        "g.json": json.dumps([{"name": n, "position": {"x": x, "y": y, "z": z}} for n, x, y, z in points]).encode(),
    }  # fmt: skip


def tables() -> dict[str, bytes]:
    """What reads a table -> a small one."""
    return {
        "rules": b"target,name,weight,side,half\njawOpen,jaw_open,1,both,all\nmouthSmileLeft,smile,0.5,left,lower\n",
        "rig names": b"arkit,shape,weight\njawOpen,Jaw_Open,1\nmouthSmileLeft,Smile_L,0.5\n",
        "prototypes": b"# units\nexpression,unit,weight\nhappy,au_12,1\nhappy,au_6,0.5\nsad,au_1,1\n",
        "conversion": b"from,to,weight\njawOpen,open,1\nmouthSmileLeft,smile,0.5\n",
        "labels": b"file,subject,expression,weight,clip,frame\na.obj,x,neutral,,,\nb.obj,x,smile,0.5,c,1\n",
        "picks": b"subject,class,frame\nFaceTalk_1,smile,3\nFaceTalk_2,jaw_open,40\n",
        "phases": b"subject,clip,onset,apex_start,apex_end,offset\nx,a,1,2,3,4\nx,b,5,6,7,8\n",
        "units": b"0,1,2,4\n1,0,0,1\n2,0,9,1\n3,0,0,0\n",
        "names": b"# people\nx, y; z\nw\n",
    }  # fmt: skip


def recipes() -> list[bytes]:
    """Recipes."""
    return [
        b"model: pca\ndata:\n  name: procedural\n  build: mien data build procedural\nprofile: full\n"
        b"settings: {size: 8, neutral: false}\nprotocol: subject\nseeds: [0, 1]\n"
        b"published: {rec_avd: 0.5, table: {a: [1, 2]}}\nsource: a paper\nnotes: none\n",
        b"model: adversarial_vae\ndata: {name: ict, note: ask}\n",
    ]


def pictures() -> list[tuple[str, bytes]]:
    """Ending -> small pictures."""
    image = Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
    found = []
    for ending, kind in (
        (".png", "PNG"),
        (".jpg", "JPEG"),
        (".png", "PNG"),
        (".png", "TIFF"),
        (".png", "BMP"),
    ):
        out = io.BytesIO()
        (image.convert("P") if len(found) == 2 else image).save(out, kind)
        found.append((ending, out.getvalue()))
    return found


@lru_cache
def data_folder() -> Files:
    """A data set folder with pictures and a further factor."""
    data = planted(subjects=4).data
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "data"
        (FaceDataset(**{**_plain(data), "facts": {"units": "millimeters"}})).save(place)
        found = _files(place)
    lines = found["samples.csv"].decode().splitlines()
    column = lines[0].split(",").index("texture")
    rows = [line.split(",") for line in lines]
    for number, cells in enumerate(rows[1:3]):
        cells[column] = f"textures/{number}.png"
        found[f"textures/{number}.png"] = pictures()[0][1]
    found["samples.csv"] = ("\n".join(",".join(cells) for cells in rows) + "\n").encode()
    return found


def _plain(data: FaceDataset) -> dict[str, object]:
    keys = ("topology", "expressions", "vertices", "weights", "subject", "subjects")
    return {key: getattr(data, key) for key in keys}


def _files(folder: Path) -> Files:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@lru_cache
def fitted(name: str) -> FaceModel:
    """A small model that was prepared and calibrated, not trained."""
    data = tiny_data()
    model = model_class(name)(data.topology, data.expressions, **METHODS[name])
    model.prepare(data)
    model.calibrate(data)
    return model.eval()


@lru_cache
def model_folder(name: str) -> Files:
    """The folder of such a model."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(
            fitted(name), Path(folder) / "model", facts={"versions": {"mien": "0"}, "plan": {"seed": 0}}
        )
        return _files(Path(folder) / "model")


def archive(members: dict[str, bytes], packing: str = "gz") -> bytes:
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{packing}") as file:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def predictions(rows: np.ndarray, vertices: int) -> bytes:
    """A file of predictions."""
    out = io.BytesIO()
    meshes = np.zeros((len(rows), vertices, 3), np.float32)
    np.savez(out, rows=rows, reconstructions=meshes, samples=meshes[:2])
    return out.getvalue()


def flame() -> bytes:
    """A model in FLAME's form."""
    points, _, faces = gltf_files.sheet()
    out = io.BytesIO()
    np.savez(out, v_template=points / 5.0, f=faces)
    return out.getvalue()


def rig_arrays() -> bytes:
    """A prepared rig."""
    points, _, faces = gltf_files.sheet()
    out = io.BytesIO()
    np.savez(
        out, vertices=points * 100, faces=faces, names=np.array(["jawOpen"]),
        targets=np.full((1, len(points), 3), 3.0, np.float32), piece=np.zeros(len(points), np.uint8),
    )  # fmt: skip
    return out.getvalue()
