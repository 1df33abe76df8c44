"""FBX and Blender files in and out: known vertices, polygons, materials and blend shapes."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from meshes import quad_topology

from mien.errors import BadFile, BadSetting, MienError, MissingPackage
from mien.io.blender import blender_command, write_with_blender
from mien.io.fbx import read_fbx_targets
from mien.io.gltf import read_glb_targets, write_glb
from mien.io.materials import read_materials
from mien.io.mesh import read_mesh

#: Two quads and a triangle, in centimeters, mirrored by their node; two materials; a blend shape.
FBX = """; FBX 7.4.0 project file
FBXHeaderExtension: {
    FBXHeaderVersion: 1003
    FBXVersion: 7400
}
GlobalSettings: {
    Version: 1000
    Properties70: {
        P: "UpAxis", "int", "Integer", "",1
        P: "UpAxisSign", "int", "Integer", "",1
        P: "FrontAxis", "int", "Integer", "",2
        P: "FrontAxisSign", "int", "Integer", "",1
        P: "CoordAxis", "int", "Integer", "",0
        P: "CoordAxisSign", "int", "Integer", "",1
        P: "UnitScaleFactor", "double", "Number", "",1
    }
}
Objects: {
    Geometry: 1, "Geometry::skin", "Mesh" {
        Vertices: *21 {
            a: 0,0,0,10,0,0,10,10,0,0,10,0,20,0,0,20,10,0,10,20,0
        }
        PolygonVertexIndex: *11 {
            a: 0,1,2,-4,1,4,5,-3,3,2,-7
        }
        GeometryVersion: 124
        LayerElementUV: 0 {
            Version: 101
            Name: "map"
            MappingInformationType: "ByPolygonVertex"
            ReferenceInformationType: "IndexToDirect"
            UV: *8 {
                a: 0,0,1,0,1,1,0,1
            }
            UVIndex: *11 {
                a: 0,1,2,3,0,1,2,3,0,1,2
            }
        }
        LayerElementMaterial: 0 {
            Version: 101
            Name: ""
            MappingInformationType: "ByPolygon"
            ReferenceInformationType: "IndexToDirect"
            Materials: *3 {
                a: 0,1,0
            }
        }
        Layer: 0 {
            Version: 100
            LayerElement: {
                Type: "LayerElementUV"
                TypedIndex: 0
            }
            LayerElement: {
                Type: "LayerElementMaterial"
                TypedIndex: 0
            }
        }
    }
    Geometry: 2, "Geometry::open", "Shape" {
        Version: 100
        Indexes: *2 {
            a: 4,6
        }
        Vertices: *6 {
            a: 0,0,5,0,-2,0
        }
    }
    Model: 3, "Model::Head", "Mesh" {
        Version: 232
        Properties70: {
            P: "Lcl Translation", "Lcl Translation", "", "A",0,100,0
            P: "Lcl Scaling", "Lcl Scaling", "", "A",-1,1,1
        }
    }
    Material: 4, "Material::skin", "" {
        Version: 102
        ShadingModel: "lambert"
        Properties70: {
            P: "DiffuseColor", "Color", "", "A",0.8,0.4,0.2
        }
    }
    Material: 5, "Material::lips", "" {
        Version: 102
        ShadingModel: "lambert"
        Properties70: {
            P: "DiffuseColor", "Color", "", "A",1,0,0
        }
    }
    Deformer: 6, "Deformer::shapes", "BlendShape" {
        Version: 100
    }
    Deformer: 7, "SubDeformer::jawOpen", "BlendShapeChannel" {
        Version: 100
        DeformPercent: 0
        FullWeights: *1 {
            a: 100
        }
    }
}
Connections: {
    C: "OO",3,0
    C: "OO",1,3
    C: "OO",4,3
    C: "OO",5,3
    C: "OO",6,1
    C: "OO",7,6
    C: "OO",2,7
}
"""


@pytest.fixture
def fbx(tmp_path: Path) -> Path:
    """A small FBX file."""
    pytest.importorskip("ufbx", reason='needs the extra "fbx"')
    path = tmp_path / "head.fbx"
    path.write_text(FBX)
    return path


def test_polygons_uv_materials_and_places_are_read(fbx: Path) -> None:
    mesh = read_mesh(fbx)
    corners = np.array([(0, 0), (-10, 0), (-10, 10), (0, 10), (-20, 0), (-20, 10), (-10, 20)]) / 100
    np.testing.assert_allclose(mesh.vertices[:, :2], corners + (0, 1), atol=1e-7)  # mirrored, a meter up
    assert mesh.polygons is not None and mesh.polygons.sizes.tolist() == [4, 4, 3]
    # A mirrored node turns polygons over; each begins at the corner it began with.
    assert mesh.polygons.corners.tolist() == [0, 3, 2, 1, 1, 2, 5, 4, 3, 6, 2]
    assert mesh.polygons.uv_corners is not None
    assert mesh.polygons.uv_corners.tolist() == [0, 3, 2, 1, 0, 3, 2, 1, 0, 2, 1]
    assert mesh.names() == ("skin", "lips") and mesh.names("o") == ("Head",)
    assert mesh.polygons_in("lips").tolist() == [False, True, False]
    materials, notes = read_materials(mesh)
    assert (
        materials["skin"].color == pytest.approx((0.8, 0.4, 0.2))
        and materials["lips"].opacity == 1
        and not notes
    )


def test_blend_shapes_are_read(fbx: Path) -> None:
    rig = read_fbx_targets(fbx)
    assert rig.names == ("jawOpen",)
    change = rig.targets[0] - rig.base
    np.testing.assert_allclose(change[[4, 6]], [(0, 0, 50), (0, -20, 0)], atol=1e-3)
    assert not change[[0, 1, 2, 3, 5]].any()


def test_a_damaged_file_is_one_sentence(fbx: Path) -> None:
    content = bytearray(FBX.encode())
    generator = random.Random(0)
    for _ in range(6):
        for _ in range(30):
            content[generator.randrange(len(content))] = generator.randrange(256)
        fbx.write_bytes(content)
        try:
            read_mesh(fbx)
        except MienError:
            continue
    fbx.write_bytes(b"not an FBX file")
    with pytest.raises(BadFile, match="'head.fbx' is damaged or of a version"):
        read_mesh(fbx)


def test_without_ufbx_one_sentence(fbx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ufbx", None)
    with pytest.raises(MissingPackage, match=r"'ufbx'.*pip install \"mien\[fbx\]\""):
        read_mesh(fbx)


def test_without_blender_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "head.blend").write_bytes(b"BLENDER")
    monkeypatch.delenv("MIEN_BPY_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackage, match="needs Blender.*MIEN_BPY_PYTHON"):
        read_mesh(tmp_path / "head.blend")
    monkeypatch.setenv("MIEN_BPY_PYTHON", "/nobody/python")
    with pytest.raises(BadSetting, match="names no program"):
        blender_command()
    with pytest.raises(BadFile, match=r"\*\.fbx or \*\.blend"):
        write_with_blender(tmp_path / "rig.max", b"")


@pytest.mark.skipif(
    "MIEN_BPY_PYTHON" not in os.environ, reason="MIEN_BPY_PYTHON names no Python that has Blender (bpy)"
)
@pytest.mark.parametrize("ending", [".fbx", ".blend"])
def test_a_rig_goes_through_blender_and_returns(tmp_path: Path, ending: str) -> None:
    sheet = quad_topology()
    base = sheet.template.astype(np.float64)
    write_glb(tmp_path / "rig.glb", base, sheet, base[None] + (0, 0, 12), ["jawOpen"], name="Head")
    out = tmp_path / f"rig{ending}"
    write_with_blender(out, (tmp_path / "rig.glb").read_bytes())
    mesh = read_mesh(out)
    assert mesh.names("o") == ("Head",)
    places = {tuple(np.round(point * 1000, 1) + 0.0) for point in mesh.vertices.astype(np.float64)}
    assert places == {tuple(np.round(point, 1) + 0.0) for point in base}
    if ending == ".fbx":
        pytest.importorskip("ufbx", reason='needs the extra "fbx"')
        rig = read_fbx_targets(out)
        assert rig.names == read_glb_targets(tmp_path / "rig.glb").names
        expected = np.tile([0, 0, 12], (len(rig.base), 1))
        np.testing.assert_allclose(rig.targets[0] - rig.base, expected, atol=0.01)
