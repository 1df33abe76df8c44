"""Run by Blender: imports glTF files and writes what is in each as JSON. Needs bpy alone.

python blender_contents.py REPORT.json FILE...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy


def contents() -> dict[str, object]:
    """Objects, bones, materials, pictures, tracks and shape keys of the open scene."""
    found: dict[str, object] = {
        "objects": {
            item.name: [
                item.type, item.parent.name if item.parent else None, item.parent_bone,
                [round(value, 4) for row in item.matrix_world for value in row],
                [group.name for group in item.vertex_groups], [mark.type for mark in item.modifiers],
                [slot.material.name if slot.material else None for slot in item.material_slots],
            ]
            for item in bpy.data.objects
        },
        "bones": {item.name: [bone.name for bone in item.bones] for item in bpy.data.armatures},
        "materials": sorted(item.name for item in bpy.data.materials),
        "pictures": [[item.name, list(item.size)] for item in bpy.data.images if item.type == "IMAGE"],
        "actions": sorted(item.name for item in bpy.data.actions),
    }  # fmt: skip
    meshes = [item for item in bpy.data.objects if item.type == "MESH"]
    found["meshes"] = {
        item.name: {
            "vertices": len(item.data.vertices), "polygons": len(item.data.polygons),
            "uv": [layer.name for layer in item.data.uv_layers], "keys": keys(item),
            "weights": round(sum(mark.weight for vertex in item.data.vertices for mark in vertex.groups), 2),
        }
        for item in meshes
    }  # fmt: skip
    return found


def keys(item: bpy.types.Object) -> dict[str, float]:
    """Shape key -> the farthest that it moves a vertex."""
    if item.data.shape_keys is None:
        return {}
    first, *others = item.data.shape_keys.key_blocks
    return {
        key.name: round(max((a.co - b.co).length for a, b in zip(key.data, first.data, strict=True)), 4)
        for key in others
    }


report, *files = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
result = []
for file in files:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=file)
    result.append(contents())
Path(report).write_text(json.dumps(result))
