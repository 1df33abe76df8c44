"""Materials of a user's mesh: base colors and pictures, of OBJ libraries, glTF and FBX files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mien.io.endings import GLTF
from mien.io.fbx import fbx_pieces
from mien.io.gltf_document import DAMAGE, Document
from mien.io.record import Mesh

MOST_BYTES = 256_000_000  # of one picture
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg"}
# Options of a texture statement and how many words each takes; the file name comes after them.
_OPTIONS = {
    "-blendu": 1, "-blendv": 1, "-boost": 1, "-bm": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1, "-mm": 2,
    "-o": 3, "-s": 3, "-t": 3, "-texres": 1, "-type": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """An encoded picture.

    Args:
        name: Its file's name, or a made-up one.
        data: Its bytes.
        kind: ``image/png`` or ``image/jpeg``.
    """

    name: str
    data: bytes
    kind: str

    @staticmethod
    def of(name: str, data: bytes) -> Picture | None:
        """The picture, if its bytes are those of a PNG or a JPEG."""
        for signature, kind in _SIGNATURES.items():
            if data.startswith(signature):
                return Picture(name, data, kind)
        return None


@dataclass(frozen=True)
class Material:
    """What a surface looks like, as far as all our formats can say it.

    Args:
        color: Red, green, blue, 0 to 1. With a picture, what its colors are multiplied with.
        opacity: 1 hides what is behind, 0 is invisible.
        picture: In the mesh's texture coordinates, or None.
    """

    color: tuple[float, float, float] = (0.72, 0.66, 0.61)
    opacity: float = 1.0
    picture: Picture | None = None


def read_materials(mesh: Mesh) -> tuple[dict[str, Material], list[str]]:
    """Materials of a mesh by name, from beside its OBJ file or from within its glTF or FBX file.

    Returns:
        The materials that were found, and a sentence for each thing that is missing. A mesh without any is
        no mistake: the result is empty.
    """
    if mesh.path is None or not mesh.path.is_file():
        return {}, []
    if mesh.path.suffix.lower() in GLTF:
        return _of_glb(mesh.path)
    if mesh.path.suffix.lower() == ".fbx":
        return _of_fbx(mesh.path)
    if not mesh.material_file:
        return {}, []
    library = beside(mesh.path.parent, mesh.material_file)
    if library is None:
        return {}, [f"{mesh.name}: its materials are left out, as {mesh.material_file!r} is not beside it."]
    return read_mtl(library)


def read_mtl(path: Path) -> tuple[dict[str, Material], list[str]]:
    """Reads a material library: ``Kd``, ``d`` or ``Tr``, and ``map_Kd`` of each material.

    Args:
        path: An ``.mtl`` file. Pictures are looked for in its folder and below, nowhere else.

    Returns:
        Materials by name, and a sentence for each picture that is missing or is neither PNG nor JPEG.
    """
    found: dict[str, Material] = {}
    notes: list[str] = []
    pictures: dict[str, Picture | None] = {}
    name = None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        keyword, rest = words[0].lower(), words[1:]
        if keyword == "newmtl":
            name = " ".join(rest)
            found[name] = Material()
        elif name is not None and keyword in ("kd", "d", "tr", "map_kd"):
            if keyword == "map_kd" and (file := _file_name(rest)) not in pictures:
                pictures[file], problem = _picture(path.parent, file)
                notes += [f"{path.name}: {problem}"] if problem else []
            picture = pictures[_file_name(rest)] if keyword == "map_kd" else found[name].picture
            found[name] = _changed(found[name], keyword, rest, picture)
    return found, notes


def _changed(material: Material, keyword: str, words: list[str], picture: Picture | None) -> Material:
    """A material after one statement; numbers that are none leave it as it was."""
    color, opacity = material.color, material.opacity
    try:
        if keyword == "kd":
            red, green, blue = (min(max(float(word), 0.0), 1.0) for word in (words * 3)[:3])
            color = red, green, blue
        elif keyword in ("d", "tr"):
            value = min(max(float(words[-1]), 0.0), 1.0)
            opacity = value if keyword == "d" else 1 - value
    except (ValueError, IndexError):
        return material
    if picture is not None and keyword == "map_kd" and material.color == Material().color:
        color = 1.0, 1.0, 1.0  # the picture alone
    return Material(color, opacity, picture)


def _file_name(words: list[str]) -> str:
    """The file of a texture statement, without options; names may hold spaces."""
    while words and words[0].lower() in _OPTIONS:
        count = _OPTIONS[words[0].lower()]
        if words[0].lower() in ("-o", "-s", "-t"):  # one to three numbers
            count = next((k for k in range(count) if not _is_number(words[1 + k : 2 + k])), count)
        words = words[1 + count :]
    return " ".join(words)


def _is_number(words: list[str]) -> bool:
    try:
        float(words[0])
    except (ValueError, IndexError):
        return False
    return True


def beside(folder: Path, name: str) -> Path | None:
    """The file that a mesh names, if it lies in the mesh's folder or below; no name leads out of there.

    Absolute names and such with ``..``, which other people's exports are full of, count by their last part.
    """
    parts = PureWindowsPath(name.strip().strip('"')).parts if "\\" in name or ":" in name else ()
    given = PurePosixPath(*parts) if parts else PurePosixPath(name.strip().strip('"'))
    root = folder.resolve()
    for candidate in (given, PurePosixPath(given.name)):
        if candidate.is_absolute() or not candidate.name or "\0" in name:
            continue
        try:
            path = (folder / candidate).resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
        except OSError:
            continue
    return None


def _picture(folder: Path, name: str) -> tuple[Picture | None, str]:
    """A picture that a library names, or why there is none."""
    path = beside(folder, name)
    if path is None:
        return None, f"the picture {name!r} is not there; its material keeps its color alone."
    if path.stat().st_size > MOST_BYTES:
        return None, f"the picture {name!r} is too large; its material keeps its color alone."
    picture = Picture.of(path.name, path.read_bytes())
    return picture, "" if picture else f"the picture {name!r} is neither PNG nor JPEG; convert it to PNG."


def _of_glb(path: Path) -> tuple[dict[str, Material], list[str]]:
    """Base colors and pictures of a glTF file's materials."""
    found: dict[str, Material] = {}
    notes: list[str] = []
    try:
        document = Document(path)
        for name, item in zip(document.material_names, document.json.get("materials") or [], strict=True):
            found[name], problem = _glb_material(document, item)
            notes += [f"{path.name}: of material {name!r} {problem}"] if problem else []
    except DAMAGE:
        return {}, [f"{path.name}: its materials are damaged and left out."]
    return found, notes


def _glb_material(document: Document, item: dict[str, Any]) -> tuple[Material, str]:
    """A material of a glTF file, and what is missing of it."""
    look = item.get("pbrMetallicRoughness") or {}
    red, green, blue, opacity = (float(value) for value in look.get("baseColorFactor", (1, 1, 1, 1)))
    picture, problem = None, ""
    if (at := look.get("baseColorTexture")) is not None:
        picture, problem = _glb_picture(document, document.json["textures"][at["index"]], at["index"])
    return Material((red, green, blue), opacity, picture), problem


def _glb_picture(document: Document, texture: dict[str, Any], number: int) -> tuple[Picture | None, str]:
    """The picture of a texture, or why there is none."""
    others = [item["source"] for item in (texture.get("extensions") or {}).values() if "source" in item]
    source = texture.get("source", *others[:1])
    if source is None:
        return None, "the texture has no picture; its color alone is taken."
    image = document.json["images"][source]
    data = document.view(image["bufferView"]) if "bufferView" in image else document.pictures.get(source)
    if data is None:
        return None, f"the picture {str(image.get('uri'))[:80]!r} is not there; its color alone is taken."
    picture = Picture.of(str(image.get("name") or f"picture_{number}"), data)
    kept = "it stays in a .glb, other formats take the color alone."
    return picture, "" if picture else f"the picture is neither PNG nor JPEG: {kept}"


def _of_fbx(path: Path) -> tuple[dict[str, Material], list[str]]:
    """Colors and pictures of an FBX file's materials; pictures within it, or in its folder or below."""
    scene, notes = fbx_pieces(path), []
    found: dict[str, Material] = {}
    for item in scene.materials:
        red, green, blue = item["color"]
        picture = None
        if item["picture"] is not None:
            name, data = scene.pictures[item["picture"]]
            file = beside(path.parent, name) if data is None else None
            picture, problem = _picture(path.parent, name) if file else (Picture.of(name, data or b""), "")
            if picture is None:
                problem = problem or f"the picture {name!r} is not there; its material keeps its color alone."
            notes += [f"{path.name}: {problem}"] if problem else []
        color = (red, green, blue) if picture is None else (1.0, 1.0, 1.0)
        found[item["name"]] = Material(color, item["opacity"], picture)
    return found, notes


def copy_library(mesh: Mesh, folder: Path) -> None:
    """Puts an OBJ's material library and its pictures beside a copy of the mesh in another folder.

    They keep their names; what is there already stays as it is.
    """
    if mesh.path is None or not mesh.material_file:
        return
    library = beside(mesh.path.parent, mesh.material_file)
    if library is None or folder.resolve() == mesh.path.parent.resolve():
        return
    files = [library]
    for line in library.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split("#", 1)[0].split()
        if words and words[0].lower().startswith(("map_", "bump", "disp", "norm")):
            files += [found for found in [beside(library.parent, _file_name(words[1:]))] if found]
    for file in files:
        target = folder / file.relative_to(mesh.path.parent.resolve())
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
