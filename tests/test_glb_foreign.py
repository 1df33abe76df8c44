"""Foreign glTF files of every situation: read as the format says, and valid when edited."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gltf_files import File, sheet
from test_gltf import validate

from mien.errors import BadFile, BadMesh, BadSetting, DataMissing, UnknownName
from mien.io.glb import Document, names_of, read_glb_targets
from mien.io.glb_targets import add_glb_targets, check_existing, move_glb, target_names
from mien.io.gltf_nodes import shown_meshes
from mien.io.materials import read_materials
from mien.io.mesh import read_mesh

POINTS, UV, FACES = sheet()
NORMALS = np.tile(np.array([0, 0, 1], "<f4"), (len(POINTS), 1))
QUARTER = [0, 0.70710678, 0, 0.70710678]


def lifted(mesh, rows: slice = slice(None), by: float = 0.25) -> np.ndarray:
    """(1, N, 3) the mesh with some vertices lifted."""
    moved = mesh.vertices.astype(np.float64)
    moved[rows, 1] += by
    return moved[None]


def edit(source: Path, out: Path, rows: slice = slice(None), **options) -> Document:
    """Adds one target ``up`` that lifts some vertices, checks the file with the validator, and opens it."""
    mesh = read_mesh(source)
    add_glb_targets(source, out, mesh, lifted(mesh, rows), ["up"], **options)
    validate(out, source)
    again = read_mesh(out)
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.faces, mesh.faces)
    return Document(out)


def change(document: Document, mesh: int, primitive: int, target: int = -1) -> np.ndarray:
    return document.accessor(
        document.json["meshes"][mesh]["primitives"][primitive]["targets"][target]["POSITION"]
    )


def skinned(file: File, node: dict) -> np.ndarray:
    """A skinned sheet: node 0 with a transform that does not count, an armature that is turned and scaled."""
    joints, weights = np.zeros((len(POINTS), 4), "u1"), np.zeros((len(POINTS), 4), "<f4")
    joints[:, 1], weights[:, 0], weights[:, 1] = 1, 0.75, 0.25
    skin = file.mesh(file.primitive(POINTS, FACES, NORMAL=NORMALS, JOINTS_0=joints, WEIGHTS_0=weights))
    file.node(name="head", mesh=skin, skin=0, **node)
    file.node(name="armature", scale=[2, 2, 2], rotation=QUARTER, children=[2])
    file.node(name="neck", translation=[0, 1, 0], children=[3])
    file.node(name="jaw", translation=[0, 0.5, 0], children=[4])
    eye = file.mesh(file.primitive(POINTS[:3] * 0.1, [[0, 1, 2]]))
    file.node(name="eye", mesh=eye, translation=[0, 0, 1])
    inverse = np.tile(np.eye(4, dtype="<f4"), (2, 1, 1))
    inverse[:, 1, 3] = -1, -1.5
    columns = np.ascontiguousarray(inverse.transpose(0, 2, 1)).reshape(2, 16)
    file.json["skins"] = [{"joints": [2, 3], "inverseBindMatrices": file.accessor(columns, target=None)}]
    file.json["scenes"] = [{"nodes": [0, 1]}]
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    return 2 * turn


@pytest.mark.parametrize(
    "node", [{}, {"translation": [0, 9, 0], "scale": [3, 3, 3]}], ids=["plain", "placed"]
)
@pytest.mark.parametrize("posed", [False, True])
def test_a_skin_stands_in_its_bind_pose_and_only_its_joints_place_it(
    tmp_path: Path, node: dict, posed
) -> None:
    file = File()
    turn = skinned(file, node)
    if posed:  # an open jaw: the bind pose does not know of it, and the eye on the jaw follows back
        file.json["nodes"][3]["rotation"] = [0.3, 0, 0, 0.9539392]
    source = file.save(tmp_path / "head.glb")
    mesh = read_mesh(source)
    np.testing.assert_allclose(mesh.vertices[: len(POINTS)], POINTS @ turn.T, atol=1e-6)
    eye = (POINTS[:3] * 0.1 + (0, 1.5, 1)) @ turn.T
    np.testing.assert_allclose(mesh.vertices[len(POINTS) :], eye, atol=1e-6)
    after = edit(source, tmp_path / "rig.glb", slice(0, len(POINTS)))
    np.testing.assert_allclose(change(after, 0, 0), np.tile([0, 0.125, 0], (len(POINTS), 1)), atol=1e-6)
    assert "targets" not in after.json["meshes"][1]["primitives"][0]  # the eye does not move
    for key in ("nodes", "skins", "scenes"):
        assert after.json[key] == Document(source).json[key]


def test_tracks_and_weights_of_existing_targets_are_padded(tmp_path: Path) -> None:
    file = File()
    breath = {"POSITION": file.accessor(NORMALS * np.float32(0.1), bounds=True)}
    primitive = file.primitive(POINTS, FACES, NORMAL=NORMALS)
    mesh = file.mesh(primitive | {"targets": [breath, breath]}, extras={"targetNames": ["in", "out"]})
    still = file.mesh(file.primitive(POINTS + np.float32([3, 0, 0]), FACES) | {"targets": [breath, breath]})
    file.node(mesh=mesh, weights=[0.5, 0])
    file.node(mesh=still)
    file.json["scenes"] = [{"nodes": [0, 1]}]
    linear = np.array([[0, 1], [1, 0], [0, 0.5]], "<f4")
    file.animation("idle", [0, 1, 2], [(linear, [0, 1])])  # one sampler of two meshes, one of which grows
    file.animation("byte", [0, 1, 2], [((linear * 255).astype("u1"), [0])])
    spline = np.arange(18, dtype="<f4").reshape(3, 3, 2)
    file.animation("spline", [0, 1, 2], [(spline, [0])], kind="CUBICSPLINE")
    source = file.save(tmp_path / "head.glb")
    read = read_mesh(source)
    np.testing.assert_allclose(read.vertices[: len(POINTS), 2], POINTS[:, 2] + 0.05, atol=1e-6)  # at rest
    clip = np.array([[0.0], [1.0]])
    after = edit(source, tmp_path / "rig.glb", slice(0, len(POINTS)), clip=clip, fps=10)
    assert after.json["meshes"][0]["extras"]["targetNames"] == ["in", "out", "up"]
    assert after.json["nodes"][0]["weights"] == [0.5, 0, 0] and "weights" not in after.json["nodes"][1]
    idle, byte, cubic, performance = after.json["animations"]

    def track(animation: dict, channel: int) -> np.ndarray:
        sampler = animation["samplers"][animation["channels"][channel]["sampler"]]
        return after.accessor(sampler["output"]).ravel()

    np.testing.assert_array_equal(track(idle, 0).reshape(3, 3), np.hstack([linear, np.zeros((3, 1))]))
    np.testing.assert_array_equal(track(idle, 1).reshape(3, 2), linear)
    np.testing.assert_allclose(track(byte, 0).reshape(3, 3)[:, :2], linear, atol=1 / 255)
    wide = track(cubic, 0).reshape(3, 3, 3)
    np.testing.assert_array_equal(wide[..., :2], spline)
    assert not wide[..., 2].any()
    np.testing.assert_allclose(track(performance, 0).reshape(2, 3), [[0.5, 0, 0], [0.5, 0, 1]])
    assert performance["name"] == "performance" and len(performance["channels"]) == 1


def test_all_primitives_of_a_moving_mesh_have_as_many_targets(tmp_path: Path) -> None:
    file = File()
    skin = file.primitive(POINTS, FACES, NORMAL=NORMALS)
    teeth = file.primitive(POINTS + np.float32([2, 0, 0]), FACES)
    far = file.accessor(POINTS[:4] + np.float32([4, 0, 0]), bounds=True)
    strip = {"attributes": {"POSITION": far}, "mode": 5}
    outline = {"attributes": skin["attributes"], "mode": 1}
    stars = {"attributes": {"POSITION": file.accessor(POINTS[:2], bounds=True)}, "mode": 0}
    mesh = file.mesh(skin, teeth, strip, outline, stars)
    hat = file.mesh(file.primitive(POINTS + np.float32([0, 3, 0]), FACES), {**stars, "mode": 3})
    file.node(mesh=mesh)
    file.node(mesh=hat)
    file.json["scenes"] = [{"nodes": [0, 1]}]
    source = file.save(tmp_path / "head.glb")
    read = read_mesh(source)
    assert len(read.vertices) == 3 * len(POINTS) + 4 and len(read.faces) == 3 * len(FACES) + 2
    start = 2 * len(POINTS)
    assert (read.faces[2 * len(FACES) : 2 * len(FACES) + 2] - start).tolist() == [[0, 1, 2], [2, 1, 3]]
    after = edit(source, tmp_path / "rig.glb", slice(0, len(POINTS)))
    assert after.json["meshes"][1] == Document(source).json["meshes"][1]  # a mesh that stands is left alone
    counts = [len(item["targets"]) for item in after.json["meshes"][0]["primitives"]]
    assert counts == [1] * 5
    assert [bool(change(after, 0, number).any()) for number in range(5)] == [True, False, False, True, False]
    size = {item["count"]: item for item in after.json["accessors"]}[2]
    assert "bufferView" not in size and "sparse" not in size  # what stands costs no bytes


def test_targets_stand_in_the_axes_of_their_node(tmp_path: Path) -> None:
    """A node turned about an oblique axis, scaled unevenly: what it shows at full weight is the target."""
    file = File()
    turn = (np.array([1, 2, 3, 4]) / np.sqrt(30)).tolist()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES)), rotation=turn, scale=[1, 2, 4])
    source = file.save(tmp_path / "head.glb")
    mesh = read_mesh(source)
    target = mesh.vertices + np.random.default_rng(0).normal(size=mesh.vertices.shape)
    add_glb_targets(source, tmp_path / "rig.glb", mesh, target[None], ["up"])
    after = Document(tmp_path / "rig.glb")
    (place,) = shown_meshes(after)
    shown = (POINTS + change(after, 0, 0)) @ place.matrix[:3, :3].T
    np.testing.assert_allclose(shown, target, atol=1e-5)


def test_targets_of_a_few_vertices_are_stored_sparse(tmp_path: Path) -> None:
    file = File()
    grid, _, faces = sheet(40, 40)
    file.node(mesh=file.mesh(file.primitive(grid, faces)))
    source = file.save(tmp_path / "head.glb")
    after = edit(source, tmp_path / "rig.glb", slice(100, 120))
    item = after.json["accessors"][after.json["meshes"][0]["primitives"][0]["targets"][0]["POSITION"]]
    assert item["sparse"]["count"] == 20 and item["max"] == [0, 0.25, 0]
    assert np.flatnonzero(change(after, 0, 0)[:, 1]).tolist() == list(range(100, 120))
    assert (tmp_path / "rig.glb").stat().st_size < source.stat().st_size + 1500
    start = Document(source).binary
    assert after.binary[: len(start)] == start  # what was there lies where it lay


def test_sparse_positions_are_read(tmp_path: Path) -> None:
    file = File()
    primitive = file.primitive(POINTS, FACES)
    item = file.json["accessors"][primitive["attributes"]["POSITION"]]
    at, values = np.array([1, 3], "<u2"), np.array([[5, 5, 5], [6, 6, 6]], "<f4")
    item["sparse"] = {
        "count": 2, "indices": {"bufferView": file.view(at.tobytes()), "componentType": 5123},
        "values": {"bufferView": file.view(values.tobytes())},
    }  # fmt: skip
    expected = POINTS.copy()
    expected[at] = values
    item["max"] = expected.max(axis=0).tolist()
    file.node(mesh=file.mesh(primitive))
    source = file.save(tmp_path / "head.glb")
    np.testing.assert_array_equal(read_mesh(source).vertices, expected)
    edit(source, tmp_path / "rig.glb")


def test_quantized_positions_and_texture_coordinates(tmp_path: Path) -> None:
    file = File()
    low, size = POINTS.min(axis=0), float(np.ptp(POINTS, axis=0).max())
    whole = np.round((POINTS - low) / size * 32767).astype("<i2")
    primitive = file.primitive(whole, FACES)
    file.json["accessors"][primitive["attributes"]["POSITION"]]["normalized"] = True
    primitive["attributes"]["TEXCOORD_0"] = file.accessor(np.round(UV * 65535).astype("<u2"), normalized=True)
    file.node(mesh=file.mesh(primitive), scale=[size] * 3, translation=low.tolist())
    file.requires("KHR_mesh_quantization")
    source = file.save(tmp_path / "head.glb")
    mesh = read_mesh(source)
    np.testing.assert_allclose(mesh.vertices, POINTS, atol=size / 32767)
    np.testing.assert_allclose(mesh.uv, UV * (1, -1) + (0, 1), atol=1e-4)
    after = edit(source, tmp_path / "rig.glb")
    np.testing.assert_allclose(change(after, 0, 0)[:, 1], 0.25 / size, rtol=1e-5)
    there = mesh.vertices + np.float32([0, 0.5, 0])
    move_glb(source, tmp_path / "moved.glb", mesh, there)
    validate(tmp_path / "moved.glb")
    np.testing.assert_allclose(read_mesh(tmp_path / "moved.glb").vertices, there, atol=1e-6)


def test_a_mirrored_node_turns_triangles_over(tmp_path: Path) -> None:
    plain, mirrored = File(), File()
    plain.node(mesh=plain.mesh(plain.primitive(POINTS, FACES, NORMAL=NORMALS)))
    flip = np.float32([-1, 1, 1])
    primitive = mirrored.primitive(POINTS * flip, FACES[:, ::-1], NORMAL=NORMALS)
    mirrored.node(mesh=mirrored.mesh(primitive), scale=[-1, 1, 1])
    first = read_mesh(plain.save(tmp_path / "plain.glb"))
    second = read_mesh(mirrored.save(tmp_path / "mirrored.glb"))
    np.testing.assert_array_equal(second.vertices, first.vertices)
    np.testing.assert_array_equal(second.faces, first.faces)
    for name, mesh in (("plain", first), ("mirrored", second)):
        moved = mesh.vertices.astype(np.float64)
        moved[:, 2] += 0.3 * moved[:, 0]  # a shear that turns normals towards -x in the scene
        add_glb_targets(tmp_path / f"{name}.glb", tmp_path / f"{name}_rig.glb", mesh, moved[None], ["shear"])
        validate(tmp_path / f"{name}_rig.glb")
    rigs = [Document(tmp_path / f"{name}_rig.glb") for name in ("plain", "mirrored")]
    for attribute in ("POSITION", "NORMAL"):
        one, other = (
            rig.accessor(rig.json["meshes"][0]["primitives"][0]["targets"][0][attribute]) for rig in rigs
        )
        np.testing.assert_allclose(other * flip, one, atol=1e-5)
        assert np.abs(one).max() > 0.05


def test_the_default_scene_is_read_and_it_is_said(tmp_path: Path) -> None:
    file = File()
    one = file.mesh(file.primitive(POINTS, FACES))
    two = file.mesh(file.primitive(POINTS + np.float32([9, 0, 0]), FACES))
    file.node(mesh=one)
    file.node(mesh=two)
    file.json |= {"scene": 1, "scenes": [{"nodes": [0], "name": "draft"}, {"nodes": [1], "name": "final"}]}
    source = file.save(tmp_path / "head.glb")
    mesh = read_mesh(source)
    assert mesh.vertices[:, 0].min() == 9 and mesh.notes == (
        "head.glb: of 2 scenes the default one (final) is read.",
    )
    after = edit(source, tmp_path / "rig.glb")
    assert after.json["meshes"][0] == Document(source).json["meshes"][0]


def test_a_mesh_that_two_nodes_show_is_one_mesh_for_each_in_the_rig(tmp_path: Path) -> None:
    file = File()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES)))
    file.node(mesh=0, translation=[3, 0, 0])
    file.json["scenes"] = [{"nodes": [0, 1]}]
    source = file.save(tmp_path / "eyes.glb")
    mesh = read_mesh(source)
    target = mesh.vertices.astype(np.float64)
    target[: len(POINTS), 0] -= 0.1
    target[len(POINTS) :, 0] += 0.1
    add_glb_targets(source, tmp_path / "rig.glb", mesh, target[None], ["apart"])
    validate(tmp_path / "rig.glb")
    after = Document(tmp_path / "rig.glb")
    meshes = [node["mesh"] for node in after.json["nodes"]]
    assert [change(after, number, 0)[0, 0] for number in meshes] == pytest.approx([-0.1, 0.1])


def named(file: File, place: str) -> None:
    """A mesh with the targets jawOpen and breath, named in the mesh or in its primitive."""
    target = {"POSITION": file.accessor(NORMALS, bounds=True)}
    primitive = file.primitive(POINTS, FACES) | {"targets": [target, target]}
    extras = {"extras": {"targetNames": ["jawOpen", "breath"], "own": 1}}
    if place == "mesh":
        file.node(mesh=file.mesh(primitive, **extras))
    else:
        file.node(mesh=file.mesh(primitive | extras))


@pytest.mark.parametrize("place", ["mesh", "primitive"])
def test_existing_targets_are_refused_kept_or_replaced(tmp_path: Path, place: str) -> None:
    file = File()
    named(file, place)
    source = file.save(tmp_path / "head.glb")
    assert target_names(source) == read_glb_targets(source).names == ("jawOpen", "breath")
    with pytest.raises(BadMesh, match="1 morph targets of these names.*jawOpen.*--existing replace"):
        check_existing(source, ["jawOpen", "smile"])
    with pytest.raises(BadSetting, match="nothing to add.*--existing replace"):
        check_existing(source, ["jawOpen"], "keep")
    with pytest.raises(UnknownName, match="did you mean 'replace'"):
        check_existing(source, ["smile"], "replaced")
    check_existing(source, ["smile"])
    mesh, out = read_mesh(source), tmp_path / "rig.glb"
    targets = np.concatenate([lifted(mesh, by=0.5), lifted(mesh, by=0.25)])
    clip = np.array([[1.0, 0.5]])
    for existing, jaw in (("keep", [0, 0, 1]), ("replace", [0, 0.5, 0])):
        add_glb_targets(source, out, mesh, targets, ["jawOpen", "smile"], existing=existing, clip=clip)
        validate(out)
        after = Document(out)
        item = after.json["meshes"][0]
        assert names_of(item) == ["jawOpen", "breath", "smile"] and item["weights"] == [0, 0, 0]
        if place == "primitive":
            assert item["primitives"][0]["extras"] == {"targetNames": names_of(item), "own": 1}
        for target, expected in enumerate((jaw, [0, 0, 1], [0, 0.25, 0])):
            np.testing.assert_allclose(change(after, 0, 0, target)[0], expected, atol=1e-6)
        output = after.json["animations"][0]["samplers"][0]["output"]
        assert after.accessor(output).ravel().tolist() == [1, 0, 0.5]
        with pytest.raises(BadMesh, match="jawOpen"):
            add_glb_targets(source, out, mesh, targets, ["jawOpen", "smile"])


def test_a_replaced_target_is_still_where_the_new_one_moves_nothing(tmp_path: Path) -> None:
    file = File()
    named(file, "mesh")
    source = file.save(tmp_path / "head.glb")
    mesh = read_mesh(source)
    still = mesh.vertices[None].astype(np.float64)
    add_glb_targets(source, tmp_path / "rig.glb", mesh, still, ["jawOpen"], existing="replace")
    validate(tmp_path / "rig.glb")
    after = Document(tmp_path / "rig.glb")
    assert not change(after, 0, 0, 0).any() and change(after, 0, 0, 1).any()


def test_a_second_clip_is_an_animation_of_its_own(tmp_path: Path) -> None:
    file = File()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES)))
    source, out = file.save(tmp_path / "head.glb"), tmp_path / "rig.glb"
    mesh, clip = read_mesh(source), np.array([[0.0], [1.0]])
    add_glb_targets(source, out, mesh, lifted(mesh), ["up"], clip=clip)
    add_glb_targets(out, tmp_path / "two.glb", mesh, lifted(mesh), ["down"], clip=clip)
    validate(tmp_path / "two.glb")
    after = Document(tmp_path / "two.glb")
    assert [item["name"] for item in after.json["animations"]] == ["performance", "performance_2"]
    outputs = [after.accessor(item["samplers"][0]["output"]).ravel() for item in after.json["animations"]]
    assert [values.tolist() for values in outputs] == [[0, 0, 1, 0], [0, 0, 0, 1]]


def test_texture_coordinates_go_through_the_transform_of_their_texture(tmp_path: Path) -> None:
    from PIL import Image

    file = File()
    primitive = file.primitive(POINTS, FACES, TEXCOORD_0=UV * np.float32(7), TEXCOORD_1=UV)
    Image.new("RGB", (2, 2), (9, 9, 9)).save(tmp_path / "skin.png")
    picture = file.view((tmp_path / "skin.png").read_bytes())
    file.json["images"] = [{"bufferView": picture, "mimeType": "image/png"}]
    file.json["textures"] = [{"source": 0}]
    moved = {"offset": [0.5, 0.25], "scale": [2, 4], "rotation": np.pi / 2, "texCoord": 1}
    texture = {"index": 0, "extensions": {"KHR_texture_transform": moved}}
    unlit = {"extensions": {"KHR_materials_unlit": {}}, "pbrMetallicRoughness": {"baseColorTexture": texture}}
    file.json["materials"] = [{"name": "skin", **unlit}, {"name": "skin"}]
    file.node(mesh=file.mesh(primitive | {"material": 0}, primitive | {"material": 1}))
    file.requires("KHR_texture_transform", "KHR_materials_unlit")
    source = file.save(tmp_path / "head.glb")
    mesh = read_mesh(source)
    # A quarter turn counter-clockwise where v points down: (u, v) becomes (v, -u).
    down = np.stack([4 * UV[:, 1] + 0.5, -2 * UV[:, 0] + 0.25], axis=1)
    np.testing.assert_allclose(mesh.uv[: len(UV)], down * (1, -1) + (0, 1), atol=1e-5)
    np.testing.assert_allclose(mesh.uv[len(UV) :], 7 * UV * (1, -1) + (0, 1), atol=1e-5)
    assert mesh.names() == ("skin", "skin_1") and mesh.polygons_in("skin_1").sum() == len(FACES)
    materials, notes = read_materials(mesh)
    assert materials["skin"].picture is not None and materials["skin_1"].picture is None and not notes
    edit(source, tmp_path / "rig.glb")


def test_vertex_colors_are_read_from_linear_light(tmp_path: Path) -> None:
    file = File()
    colors = np.tile(np.array([0, 55, 255, 128], "u1"), (len(POINTS), 1))
    primitive = file.primitive(POINTS, FACES)
    primitive["attributes"]["COLOR_0"] = file.accessor(colors, normalized=True)
    file.node(mesh=file.mesh(primitive))
    mesh = read_mesh(file.save(tmp_path / "head.glb"))
    np.testing.assert_allclose(mesh.colors[0], [0, 0.5, 1], atol=0.002)


def test_objects_keep_their_names(tmp_path: Path) -> None:
    file = File()
    file.node(name="Head", mesh=file.mesh(file.primitive(POINTS, FACES)))
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES), name="Teeth"))
    file.json["scenes"] = [{"nodes": [0, 1]}]
    mesh = read_mesh(file.save(tmp_path / "head.glb"))
    assert mesh.names("o") == ("Head", "Teeth") and mesh.names() == ()
    assert mesh.polygons_in("Teeth", "o").tolist() == [False] * len(FACES) + [True] * len(FACES)


def test_a_list_of_split_vertices_that_no_longer_fits_is_not_believed(tmp_path: Path) -> None:
    """Blender carries our list along and writes the vertices in another order."""
    file = File()
    for repeats in ([3, 7], [999], ["a"], 5, [[1], [2]]):
        file.json["meshes"], file.json["nodes"] = [], []
        file.node(mesh=file.mesh(file.primitive(POINTS, FACES), extras={"splitVertices": repeats}))
        mesh = read_mesh(file.save(tmp_path / "head.glb"))
        np.testing.assert_array_equal(mesh.vertices, POINTS)


def test_gltf_with_its_files(tmp_path: Path) -> None:
    from PIL import Image

    file = File()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES, TEXCOORD_0=UV) | {"material": 0}))
    file.json["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    file.json["textures"], file.json["images"] = [{"source": 0}], [{"uri": "skin.png"}]
    source = file.save_apart(tmp_path)
    assert "skin.png" in read_materials(read_mesh(source))[1][0]  # the picture is missing, the head is not
    Image.new("RGB", (2, 2), (9, 9, 9)).save(tmp_path / "skin.png")
    document = Document(source)
    mesh = read_mesh(source)
    np.testing.assert_array_equal(mesh.vertices, POINTS)
    assert read_materials(mesh)[0]["material_0"].picture.data == (tmp_path / "skin.png").read_bytes()
    for beside in (tmp_path / "skin.png", tmp_path / "data" / "a b.bin"):
        beside.unlink()
    elsewhere = tmp_path / "out" / "rig.glb"  # a document does not need its files again
    add_glb_targets(document, elsewhere, mesh, lifted(mesh), ["up"])
    validate(elsewhere)
    again = read_mesh(elsewhere)
    np.testing.assert_array_equal(again.vertices, POINTS)
    assert read_materials(again)[0]["material_0"].picture is not None


def test_vrm_is_read_and_its_expressions_stay(tmp_path: Path) -> None:
    file = File()
    named(file, "primitive")
    bind = {"mesh": 0, "index": 1, "weight": 100}
    groups = {"blendShapeMaster": {"blendShapeGroups": [{"name": "A", "binds": [bind]}]}}
    file.json |= {"extensionsUsed": ["VRM"], "extensions": {"VRM": groups}}
    source = file.save(tmp_path / "head.vrm")
    after = edit(source, tmp_path / "rig.vrm")
    assert after.json["extensions"] == {"VRM": groups}
    assert names_of(after.json["meshes"][0]) == ["jawOpen", "breath", "up"]


@pytest.mark.parametrize(
    ("address", "kind", "words"),
    [
        ("../secret.bin", BadFile, "outside its own folder"),
        ("data/../../secret.bin", BadFile, "outside its own folder"),
        ("%2e%2e/secret.bin", BadFile, "outside its own folder"),
        ("/etc/passwd", BadFile, "outside its own folder"),
        ("file:///etc/passwd", BadFile, "outside its own folder"),
        ("https://example.org/a.bin", BadFile, "outside its own folder"),
        ("C:\\a.bin", BadFile, "outside its own folder"),
        ("nobody.bin", DataMissing, "'nobody.bin', which is not beside it"),
        ("data:application/octet-stream;base64,@@@", BadFile, "not base64"),
        ("link.bin", BadFile, "outside its own folder"),
    ],
)
def test_gltf_reads_no_other_files(tmp_path: Path, address: str, kind: type, words: str) -> None:
    folder = tmp_path / "head"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"secret" * 1000)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    file = File()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES)))
    source = file.save_apart(folder)
    content = json.loads(source.read_text())
    content["buffers"][0]["uri"] = address
    source.write_text(json.dumps(content))
    with pytest.raises(kind, match=words):
        read_mesh(source)


def test_unknown_required_extensions_are_named(tmp_path: Path) -> None:
    file = File()
    file.node(mesh=file.mesh(file.primitive(POINTS, FACES)))
    file.requires("EXT_mesh_gpu_instancing", "KHR_materials_clearcoat")
    with pytest.raises(BadFile, match="received EXT_mesh_gpu_instancing; export it without"):
        read_mesh(file.save(tmp_path / "head.glb"))


def test_bind_pose_of_a_second_skin_agrees_with_the_first(tmp_path: Path) -> None:
    """Two meshes on one posed skeleton, bound to different joints of it, stay together."""
    file = File()
    turn = skinned(file, {})
    file.json["nodes"][2]["rotation"] = QUARTER
    second = file.json["skins"][0]["joints"][1:]
    inverse = np.eye(4, dtype="<f4")
    inverse[1, 3] = -1.5
    number = file.accessor(np.ascontiguousarray(inverse.T).reshape(1, 16), target=None)
    file.json["skins"].append({"joints": second, "inverseBindMatrices": number})
    file.node(mesh=0, skin=1)
    file.json["scenes"] = [{"nodes": [0, 1, 5]}]
    places = shown_meshes(Document(file.save(tmp_path / "head.glb")))
    matrices = [place.matrix for place in places if place.mesh == 0]
    np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-6)
    assert not np.allclose(matrices[0][:3, :3], turn)
