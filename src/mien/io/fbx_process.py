"""Reads an FBX file by the package ufbx, in a process of its own.

    python -m mien.io.fbx_process HEAD.fbx OUT.npz MEGABYTES

Foreign code that reads foreign bytes may crash; here it takes no one along. The package also counts the
references to its objects too low, so that those it gave once and were let go are broken the next time: all
are held until the process ends, and it ends without taking them apart.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.io.worker_process import limit_memory

_Item = TypeVar("_Item")
_held: list[Any] = []


def _hold(item: _Item) -> _Item:
    _held.append(item)
    return item


def _each(items: Iterable[_Item]) -> list[_Item]:
    return [_hold(item) for item in _hold(items)]


def main(source: str, out: str) -> None:
    """Writes the meshes of an FBX scene, in meters and +Y up, in the form that :mod:`mien.io.pieces` reads.

    Args:
        source: The FBX file.
        out: The ``.npz`` file to write.
    """
    import ufbx

    scene = _hold(ufbx.load_file(source, target_axes=ufbx.axes_right_handed_y_up, target_unit_meters=1.0))
    materials = [_material(item) for item in _each(scene.materials)]
    arrays: dict[str, Any] = {}
    pieces: list[dict[str, Any]] = []
    for node in _each(scene.nodes):
        mesh = _hold(node.mesh)
        if mesh is not None and mesh.num_faces:
            pieces.append(_piece(node, mesh, f"{len(pieces)}_", arrays))
    pictures = _pictures(scene, arrays)
    info = json.dumps({"pieces": pieces, "materials": materials, "pictures": pictures})
    np.savez(out, info=np.frombuffer(info.encode(), np.uint8), **arrays)


def _piece(node: Any, mesh: Any, key: str, arrays: dict[str, NDArray]) -> dict[str, Any]:
    """Puts the arrays of a mesh among the others; returns its names."""
    matrix = _hold(node.geometry_to_world)
    columns = [_hold(getattr(matrix, name)) for name in ("c0", "c1", "c2", "c3")]
    arrays[key + "matrix"] = np.array([(item.x, item.y, item.z) for item in columns]).T
    arrays[key + "points"] = np.array(_hold(mesh.vertices), np.float64)
    arrays[key + "corners"] = np.array(_hold(mesh.vertex_indices), np.int64)
    arrays[key + "sizes"] = np.array([item.num_indices for item in _each(mesh.faces)], np.int64)
    arrays[key + "materials"] = np.array(_hold(mesh.face_material), np.int64)
    for name, attribute in (("uv", _hold(mesh.vertex_uv)), ("color", _hold(mesh.vertex_color))):
        if attribute.exists:
            arrays[key + name] = np.array(_hold(attribute.values), np.float64)
            arrays[f"{key}{name}_corners"] = np.array(_hold(attribute.indices), np.int64)
    names: list[str] = []
    for deformer in _each(mesh.blend_deformers):
        for channel in _each(deformer.channels):
            shape = _hold(channel.target_shape)
            change = np.zeros_like(arrays[key + "points"])
            at = np.array(_hold(shape.offset_vertices), np.int64)
            if len(at):
                change[at] = np.array(_hold(shape.position_offsets), np.float64)
            arrays[f"{key}target{len(names)}"] = change
            names.append(_hold(channel.name))
    own = [_hold(item.name) for item in _each(node.materials)]
    return {"name": _hold(node.name), "materials": own, "targets": names,
            "skinned": len(_hold(mesh.skin_deformers)) > 0}  # fmt: skip


def _material(item: Any) -> dict[str, Any]:
    """Name, color, opacity and picture of a material."""
    surface = _hold(item.pbr)
    base, opacity = _hold(surface.base_color), _hold(surface.opacity)
    color = _hold(base.value_vec4)
    texture = _hold(base.texture)
    return {
        "name": _hold(item.name), "color": [color.x, color.y, color.z],
        "opacity": float(opacity.value_real) if opacity.has_value else 1.0,
        "picture": None if texture is None else int(texture.typed_id),
    }  # fmt: skip


def _pictures(scene: Any, arrays: dict[str, NDArray]) -> list[str]:
    """The file name of each texture; puts the bytes of those that the file holds among the arrays."""
    names: list[str] = []
    for number, texture in enumerate(_each(scene.textures)):
        names.append(_hold(texture.relative_filename) or _hold(texture.filename))
        content = bytes(_hold(texture.content))
        if content:
            arrays[f"picture{number}"] = np.frombuffer(content, np.uint8)
    return names


if __name__ == "__main__":
    try:
        limit_memory(int(sys.argv[3]))
        main(*sys.argv[1:3])
    except MemoryError:
        sys.stderr.write(f"it needs more than {sys.argv[3]} MB of memory\n")
        sys.stderr.flush()
        os._exit(1)
    except Exception as error:  # whatever the parser says of the file, for the caller's sentence
        sys.stderr.write(f"{error or type(error).__name__}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
