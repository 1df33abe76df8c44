"""FBX out of a GLB rig, by Blender without a window; shape keys, materials and animation are kept.

    blender --background --python examples/blender/fbx_from_glb.py -- rig.glb rig.fbx

With a third argument, a JSON file, the names of the shape keys and how far each moves the mesh are written
to it, in meters: to see that nothing was lost.
"""

import json
import sys

import bpy

source, out, *report = sys.argv[sys.argv.index("--") + 1 :]

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=source)

found = {}
for item in bpy.data.objects:
    if item.type == "MESH" and item.data.shape_keys:
        keys = item.data.shape_keys.key_blocks
        rest = [point.co.copy() for point in keys[0].data]
        found[item.name] = {
            key.name: max((point.co - start).length for point, start in zip(key.data, rest, strict=True))
            for key in keys[1:]
        }
if report:
    with open(report[0], "w") as file:
        json.dump(found, file)

# Centimeters and Y up are what game engines expect of FBX.
bpy.ops.export_scene.fbx(
    filepath=out, apply_scale_options="FBX_SCALE_UNITS", axis_forward="-Z", axis_up="Y",
    use_mesh_modifiers=False, add_leaf_bones=False, bake_anim=True, path_mode="COPY", embed_textures=True,
)  # fmt: skip
print(f"{out}: {sum(map(len, found.values()))} shape keys on {len(found)} meshes")
