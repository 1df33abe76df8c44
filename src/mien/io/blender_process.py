"""Run by Blender, with nothing of Mien: its files in as arrays, and glTF out as its files.

python blender_process.py read HEAD.blend OUT.npz
python blender_process.py convert RIG.glb OUT.fbx|OUT.blend
"""

from __future__ import annotations

import json
import sys
from typing import Any

import bpy
import numpy as np

_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])  # Blender has +Z up, glTF +Y


def read(source: str, out: str) -> None:
    """Writes the meshes of a scene in the form that :mod:`mien.io.pieces` reads, without modifiers."""
    bpy.ops.wm.open_mainfile(filepath=source, load_ui=False, use_scripts=False)
    arrays: dict[str, Any] = {}
    pieces: list[dict[str, Any]] = []
    for item in bpy.context.scene.objects:
        if item.type == "MESH" and len(item.data.polygons):
            pieces.append(_piece(item, f"{len(pieces)}_", arrays))
    named = [item for item in bpy.data.materials if item.users]
    materials = [
        {"name": item.name, "color": list(item.diffuse_color)[:3], "opacity": item.diffuse_color[3],
         "picture": None}
        for item in named
    ]  # fmt: skip
    info = json.dumps({"pieces": pieces, "materials": materials, "pictures": []})
    np.savez(out, info=np.frombuffer(info.encode(), np.uint8), **arrays)


def _values(items: Any, name: str, count: int, kind: str = "f4") -> Any:
    found = np.zeros(len(items) * count, kind)
    items.foreach_get(name, found)
    return found.reshape(-1, count) if count > 1 else found


def _piece(item: Any, key: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Puts the arrays of a mesh among the others; returns its names."""
    mesh = item.data
    arrays[key + "matrix"] = _UPRIGHT @ np.array(item.matrix_world)[:3]
    points = arrays[key + "points"] = _values(mesh.vertices, "co", 3)
    arrays[key + "corners"] = _values(mesh.loops, "vertex_index", 1, "i4")
    arrays[key + "sizes"] = _values(mesh.polygons, "loop_total", 1, "i4")
    arrays[key + "materials"] = _values(mesh.polygons, "material_index", 1, "i4")
    if mesh.uv_layers.active:
        arrays[key + "uv"] = _values(mesh.uv_layers.active.data, "uv", 2)
        arrays[key + "uv_corners"] = np.arange(len(mesh.loops))
    blocks = list(mesh.shape_keys.key_blocks) if mesh.shape_keys else []
    for number, block in enumerate(blocks[1:]):
        rest = _values(block.relative_key.data, "co", 3)
        arrays[f"{key}target{number}"] = _values(block.data, "co", 3) - rest
    if blocks:
        arrays[key + "points"] = _values(blocks[0].data, "co", 3).reshape(points.shape)
    return {
        "name": item.name, "targets": [block.name for block in blocks[1:]],
        "materials": [slot.material.name if slot.material else "default" for slot in item.material_slots],
        "skinned": any(mark.type == "ARMATURE" for mark in item.modifiers),
    }  # fmt: skip


def convert(source: str, out: str) -> None:
    """Writes a glTF file as FBX, in centimeters and +Y up as game engines expect, or as a Blender file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=source, disable_bone_shape=True)
    if out.endswith(".blend"):
        bpy.ops.file.pack_all()
        bpy.ops.wm.save_as_mainfile(filepath=out)
        return
    bpy.ops.export_scene.fbx(
        filepath=out, apply_scale_options="FBX_SCALE_UNITS", axis_forward="-Z", axis_up="Y",
        use_mesh_modifiers=False, add_leaf_bones=False, bake_anim=True, path_mode="COPY", embed_textures=True,
    )  # fmt: skip


verb, *files = sys.argv[-3:]
{"read": read, "convert": convert}[verb](*files)
