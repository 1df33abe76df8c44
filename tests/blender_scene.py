"""Run by Blender: makes a rigged head and exports it in every form that the tests edit. Needs bpy alone.

python blender_scene.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy


def head() -> bpy.types.Object:
    """A head with two materials, a picture and two shape keys."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=24, ring_count=16, radius=1.0)
    made = bpy.context.object
    made.name = "Head"
    picture = bpy.data.images.new("pores", 8, 8)
    picture.pixels = [0.5] * 256
    picture.pack()
    for name in ("skin", "lips"):
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        made.data.materials.append(material)
    nodes = bpy.data.materials["skin"].node_tree
    texture = nodes.nodes.new("ShaderNodeTexImage")
    texture.image = picture
    nodes.links.new(texture.outputs["Color"], nodes.nodes["Principled BSDF"].inputs["Base Color"])
    for polygon in made.data.polygons:
        polygon.material_index = int(polygon.center.z < -0.5)
    made.shape_key_add(name="Basis")
    for name in ("jawOpen", "blink"):
        key = made.shape_key_add(name=name)
        key.value = 0
        for point in key.data:
            if (point.co.z < 0) == (name == "jawOpen"):
                point.co.z *= 1.2
    return made


def bound(made: bpy.types.Object) -> bpy.types.Object:
    """An armature of two bones, turned and scaled, that holds the head and, by a bone, an eye."""
    bpy.ops.object.armature_add(location=(0, 0, -1))
    armature = bpy.context.object
    armature.name, armature.rotation_euler, armature.scale = "Rig", (0.1, 0, 0.2), (1.5, 1.5, 1.5)
    bpy.ops.object.mode_set(mode="EDIT")
    neck, jaw = armature.data.edit_bones[0], armature.data.edit_bones.new("jaw")
    neck.name, jaw.head, jaw.tail, jaw.parent = "neck", neck.tail, (0, -0.5, 1), neck
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.update()
    made.parent, made.matrix_parent_inverse = armature, armature.matrix_world.inverted()
    made.modifiers.new("Armature", "ARMATURE").object = armature
    groups = [made.vertex_groups.new(name=name) for name in ("neck", "jaw")]
    for vertex in made.data.vertices:
        groups[int(vertex.co.z < -0.3)].add([vertex.index], 1.0, "REPLACE")
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8, radius=0.2, location=(0.4, -1, 0.3))
    eye = bpy.context.object
    eye.name, eye.scale = "Eye", (1, 1, 1.2)
    eye.parent, eye.parent_type, eye.parent_bone = armature, "BONE", "neck"
    return armature


def animated(made: bpy.types.Object, armature: bpy.types.Object) -> None:
    """One action of the bones and one of the shape keys."""
    armature.animation_data_create().action = bpy.data.actions.new("nod")
    bone = armature.pose.bones["neck"]
    for frame, turn in ((20, (0.98, 0.2, 0, 0)), (1, (1, 0, 0, 0))):
        bone.rotation_quaternion = turn
        bone.keyframe_insert("rotation_quaternion", frame=frame)
    keys = made.data.shape_keys
    keys.animation_data_create().action = bpy.data.actions.new("talk")
    for frame, value in ((10, 1), (20, 0), (1, 0)):
        keys.key_blocks["jawOpen"].value = value
        keys.key_blocks["jawOpen"].keyframe_insert("value", frame=frame)


def export(folder: Path) -> None:
    """Writes the scene in each form."""
    forms: dict[str, dict] = {
        "plain": {}, "draco": {"export_draco_mesh_compression_enable": True},
        "tangents": {"export_tangents": True, "export_morph_tangent": True},
    }  # fmt: skip
    for name, options in forms.items():
        bpy.ops.export_scene.gltf(filepath=str(folder / f"{name}.glb"), export_format="GLB", **options)
    bpy.ops.export_scene.gltf(filepath=str(folder / "apart.gltf"), export_format="GLTF_SEPARATE")
    bpy.ops.export_scene.fbx(filepath=str(folder / "head.fbx"), add_leaf_bones=False)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "head.blend"))


bpy.ops.wm.read_factory_settings(use_empty=True)
made = head()
animated(made, bound(made))
export(Path(sys.argv[-1]))
