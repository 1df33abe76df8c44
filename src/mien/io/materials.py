"""Materials of a user's mesh: base colors and pictures, of OBJ libraries, glTF and FBX files."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mien.io.atomic import write_bytes
from mien.io.endings import GLTF
from mien.io.fbx import fbx_pieces
from mien.io.gltf_document import DAMAGE, Document
from mien.io.record import UNNAMED, Mark, Mesh
from mien.io.spelling import find_spelled
from mien.io.text import read_text

_MAPS = ("map_", "bump", "disp", "norm", "refl")
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
    """Materials of a mesh by name: of an OBJ's libraries, or of a PLY, VRML, glTF or FBX file.

    Returns:
        The materials that were found, and a sentence for each thing of its look that is missing. A mesh
        without any is no mistake: the result is empty.
    """
    if mesh.path is None or not mesh.path.is_file():
        return {}, []
    if mesh.path.suffix.lower() in GLTF:
        return _of_glb(mesh.path)
    if mesh.path.suffix.lower() == ".fbx":
        return _of_fbx(mesh.path)
    return (_of_pictures if mesh.pictures else _of_libraries)(mesh, mesh.path.parent)


def _of_libraries(mesh: Mesh, folder: Path) -> tuple[dict[str, Material], list[str]]:
    """Materials of all libraries that an OBJ names; the first that has a name decides."""
    found: dict[str, Material] = {}
    notes: list[str] = []
    for name in mesh.material_files:
        library = beside(folder, name)
        if library is None:
            notes.append(f"{mesh.name}: its materials are left out, as {name!r} is not beside it.")
            continue
        materials, problems = read_mtl(library)
        found = materials | found
        notes += problems
    for name in mesh.names():
        plain = name.split(" #")[0].rstrip()  # a comment behind the name
        if name not in found and plain in found:
            found[name] = found[plain]
    return found, notes


def _of_pictures(mesh: Mesh, folder: Path) -> tuple[dict[str, Material], list[str]]:
    """A material for each picture that a PLY or VRML file names, under that name if there are several."""
    found, notes = {}, []
    for name in mesh.pictures:
        picture, problem = _picture(folder, name)
        notes += [f"{mesh.name}: {problem}"] if problem else []
        if picture is not None:
            found[name if mesh.names() else UNNAMED] = Material((1.0, 1.0, 1.0), picture=picture)
    return found, notes


def read_mtl(path: Path) -> tuple[dict[str, Material], list[str]]:
    """Reads a material library: ``Kd``, ``d`` or ``Tr``, and ``map_Kd`` of each material.

    Args:
        path: An ``.mtl`` file. Pictures are looked for in its folder and below, nowhere else.

    Returns:
        Materials by name, and a sentence for each picture that is missing or is neither PNG nor JPEG, and
        for the other maps, which only a copy of the library keeps.
    """
    found: dict[str, Material] = {}
    notes: list[str] = []
    others: list[str] = []
    pictures: dict[str, Picture | None] = {}
    name = None
    for keyword, rest in _statements(path):
        if keyword == "newmtl":
            name = " ".join(rest.split())
            found.setdefault(name, Material())
        elif name is not None and keyword == "map_kd":
            file = _picture_file(path.parent, rest)
            if file not in pictures:
                pictures[file], problem = _picture(path.parent, file)
                notes += [f"{path.name}: {problem}"] if problem else []
            found[name] = _changed(found[name], keyword, [], pictures[file])
        elif name is not None and keyword in ("kd", "d", "tr"):
            words = rest.split("#", 1)[0].split()
            found[name] = _changed(found[name], keyword, words, found[name].picture)
        elif keyword.startswith(_MAPS):
            others.append(keyword)
    if others:
        kinds = ", ".join(dict.fromkeys(others))
        notes.append(f"{path.name}: the pictures of {kinds} are left out of GLB and USD files.")
    return found, notes


def _statements(path: Path) -> list[tuple[str, str]]:
    """(keyword, rest) of a material library's lines."""
    found = []
    for line in read_text(path, "the material library").splitlines():
        keyword, _, rest = line.strip().replace("\t", " ").partition(" ")
        if keyword and not keyword.startswith("#"):
            found.append((keyword.lower(), rest.strip()))
    return found


def _picture_file(folder: Path, rest: str) -> str:
    """The file of a texture statement; what follows " #" is a comment unless a file is so called."""
    whole = _file_name(rest.split())
    return whole if beside(folder, whole) else _file_name(rest.split(" #")[0].split())


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
        path = find_spelled(folder, candidate)
        if path is not None and path.resolve().is_relative_to(root):
            return path.resolve()
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


def bring_materials(mesh: Mesh, path: Path) -> tuple[Mesh, list[str]]:
    """Puts beside a mesh file that is about to be written what its look needs: libraries and pictures.

    An OBJ's own libraries and pictures are copied; what is there already stays as it is. For a mesh from
    another kind of file a library ``<stem>.mtl`` is written. A PLY file refers to a picture itself.

    Args:
        mesh: As read from its file.
        path: The OBJ or PLY file to be written.

    Returns:
        The mesh as it is to be written, and a sentence for each thing that this kind of file cannot say.
    """
    ending = path.suffix.lower()
    if mesh.path is None or ending not in (".obj", ".ply"):
        return mesh, []
    if ending == ".ply":
        return _for_ply(mesh, path)
    if mesh.material_files:
        _copy_libraries(mesh, path.parent)
        return mesh, []
    found, notes = read_materials(mesh)
    if not found:
        return mesh, notes
    library = path.with_suffix(".mtl")
    text = [_mtl_text(name, look, path) for name, look in found.items()]
    write_bytes(library, "".join(text).encode())
    marks = mesh.marks if mesh.names() else (Mark(0, "usemtl", next(iter(found))), *mesh.marks)
    return replace(mesh, material_files=(library.name,), marks=marks), notes


def _for_ply(mesh: Mesh, path: Path) -> tuple[Mesh, list[str]]:
    """The mesh with the one picture that a PLY file may refer to; says what it cannot."""
    found, notes = read_materials(mesh)
    pictures = {look.picture.data: look.picture for look in found.values() if look.picture}
    names: tuple[str, ...] = ()
    if mesh.pictures:
        names = mesh.pictures
        _copy_beside([file for name in names if (file := _file_beside(mesh, name))], mesh, path.parent)
    elif len(pictures) == 1 and mesh.uv is not None:
        names = (_store(next(iter(pictures.values())), path),)
    if len(pictures) > 1 and not mesh.pictures:
        notes.append(
            f"{path.name}: PLY holds one picture; the {len(pictures)} of its materials are left out."
        )
    colors = {look.color for look in found.values() if look.picture is None}
    if colors:
        notes.append(f"{path.name}: PLY has no materials; the colors of {len(found)} are left out.")
    return replace(mesh, pictures=names), notes


def _mtl_text(name: str, look: Material, path: Path) -> str:
    """A material's lines in a library beside ``path``, where its picture is put."""
    red, green, blue = look.color
    lines = [f"newmtl {name}", f"Kd {red:.6g} {green:.6g} {blue:.6g}", f"d {look.opacity:.6g}"]
    if look.picture is not None:
        lines.append(f"map_Kd {_store(look.picture, path)}")
    return "\n".join(lines) + "\n\n"


def _store(picture: Picture, path: Path) -> str:
    """Writes a picture beside a mesh file under that file's name; what it is called."""
    plain = re.sub(r"[^\w.-]", "_", Path(picture.name).stem) or "picture"
    name = f"{path.stem}_{plain}{ENDINGS[picture.kind]}"
    write_bytes(path.with_name(name), picture.data)
    return name


def _file_beside(mesh: Mesh, name: str) -> Path | None:
    return None if mesh.path is None else beside(mesh.path.parent, name)


def _copy_libraries(mesh: Mesh, folder: Path) -> None:
    """Puts an OBJ's material libraries and their pictures beside a copy of the mesh in another folder."""
    libraries = [file for name in mesh.material_files if (file := _file_beside(mesh, name))]
    files = list(libraries)
    for library in libraries:
        for keyword, rest in _statements(library):
            if keyword.startswith(_MAPS):
                found = beside(library.parent, _picture_file(library.parent, rest))
                files += [found] if found else []
    _copy_beside(files, mesh, folder)


def _copy_beside(files: list[Path], mesh: Mesh, folder: Path) -> None:
    """Copies files from a mesh's folder into another; they keep their names, and what is there stays."""
    assert mesh.path is not None
    home = mesh.path.parent.resolve()
    for file in files if folder.resolve() != home else ():
        target = folder / file.relative_to(home)
        if not target.exists():
            write_bytes(target, file.read_bytes())
