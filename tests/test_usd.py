"""USD rigs: the checker finds nothing, and what is read back is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from meshes import quad_topology

from mien.errors import BadFile, BadMesh
from mien.io.record import Mark, Mesh

pytest.importorskip("pxr", reason='needs pip install "mien[usd]"')

from mien.io.usd import write_usd


def complaints(stage: Any) -> list[str]:
    """What ``usdchecker`` says: its validators, or in older releases its compliance checker."""
    try:
        from pxr import UsdValidation
    except ImportError:
        from pxr import UsdUtils

        checker = UsdUtils.ComplianceChecker()
        checker.CheckCompliance(stage.GetRootLayer().identifier)
        return [*checker.GetErrors(), *checker.GetFailedChecks()]
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 10
    found = UsdValidation.ValidationContext(validators).Validate(stage)
    return [error.GetMessage() for error in found]


def test_the_checker_does_find_mistakes(tmp_path: Path) -> None:
    from pxr import Usd, UsdSkel

    stage = Usd.Stage.CreateNew(str(tmp_path / "bad.usda"))
    stage.DefinePrim("/face", "Mesh").CreateRelationship("skel:skeleton").SetTargets(["/nowhere"])
    UsdSkel.Skeleton.Define(stage, "/bones")
    stage.Save()
    assert complaints(stage)


@pytest.mark.parametrize("ending", ["usda", "usdc"])
def test_the_checker_finds_nothing_and_the_rig_comes_back(tmp_path: Path, ending: str) -> None:
    from pxr import Usd, UsdGeom, UsdShade, UsdSkel

    topology = quad_topology(8, 9)
    base = topology.template.astype(np.float64)
    lift = base + np.where(base[:, 1:2] > base[:, 1].mean(), (0, 0, 4.0), 0)
    targets = np.stack([lift, base * 1.1])
    half = topology.polygons.sizes.size // 2
    marks = (Mark(0, "usemtl", "skin 1"), Mark(half, "usemtl", "2nd"))
    layout = Mesh(
        topology.template, topology.faces, topology.polygons, topology.uv, topology.uv_faces, marks=marks
    )
    clip = np.array([[0, 0], [0.5, 0.25], [1, 0]])
    path = tmp_path / f"rig.{ending}"
    write_usd(path, base, layout, targets, ["jawOpen", "mouth smile"], clip=clip, fps=24, name="my head")

    stage = Usd.Stage.Open(str(path))
    assert complaints(stage) == []
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1 and UsdGeom.GetStageUpAxis(stage) == "Y"
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/my_head/mesh"))
    np.testing.assert_array_equal(mesh.GetFaceVertexCountsAttr().Get(), topology.polygons.sizes)
    np.testing.assert_array_equal(mesh.GetFaceVertexIndicesAttr().Get(), topology.polygons.corners)
    np.testing.assert_array_equal(np.array(mesh.GetPointsAttr().Get()), (base * 0.001).astype(np.float32))
    uv = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    np.testing.assert_array_equal(uv.GetIndices(), topology.polygons.uv_corners)
    subsets = UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets()
    assert [len(subset.GetIndicesAttr().Get()) for subset in subsets] == [
        half,
        len(topology.polygons.sizes) - half,
    ]

    # The library's own skinning gives the sum of targets at each frame.
    cache = UsdSkel.Cache()
    root = UsdSkel.Root(stage.GetPrimAtPath("/my_head"))
    cache.Populate(root, Usd.PrimDefaultPredicate)
    skeleton = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath("/my_head/skeleton")))
    skinning = cache.GetSkinningQuery(mesh.GetPrim())
    shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(mesh.GetPrim()))
    weights = skeleton.GetAnimQuery().ComputeBlendShapeWeights(1)
    own = skinning.GetBlendShapeMapper().Remap(weights) if skinning.GetBlendShapeMapper() else weights
    np.testing.assert_allclose(np.array(own), clip[1])
    sub_weights, indices, sub_shapes = shapes.ComputeSubShapeWeights(own)
    points = mesh.GetPointsAttr().Get()
    assert shapes.ComputeDeformedPoints(
        sub_weights, indices, sub_shapes, shapes.ComputeBlendShapePointIndices(),
        shapes.ComputeSubShapePointOffsets(), points,
    )  # fmt: skip
    wanted = base + 0.5 * (targets[0] - base) + 0.25 * (targets[1] - base)
    np.testing.assert_allclose(np.array(points), wanted * 0.001, atol=1e-6)


def test_refusals(tmp_path: Path) -> None:
    topology = quad_topology(8, 9)
    base = topology.template
    with pytest.raises(BadFile, match="ends with"):
        write_usd(tmp_path / "rig.fbx", base, topology, base[None], ["a"])
    with pytest.raises(BadMesh, match="different names"):
        write_usd(tmp_path / "rig.usda", base, topology, np.stack([base, base]), ["a b", "a_b"])


def test_materials_of_any_name_stay_distinct(tmp_path: Path) -> None:
    """Names that USD cannot spell, and pictures of one name, are told apart."""
    from pxr import Usd, UsdShade

    from mien.io.materials import Material, Picture

    topology = quad_topology(8, 9)
    names = ["皮肤", "眼睛", "a b", "a_b", "a-b", ""]
    marks = tuple(Mark(3 * place, "usemtl", name) for place, name in enumerate(names))
    layout = Mesh(
        topology.template, topology.faces, topology.polygons, topology.uv, topology.uv_faces, marks=marks
    )
    looks = {name: Material((place / 10, 0, 0)) for place, name in enumerate(names)}
    pictures = [Picture("skin.png", data, "image/png") for data in (b"one", b"two", b"one")]
    for name, picture in zip(names, pictures, strict=False):
        looks[name] = Material(looks[name].color, picture=picture)
    path = tmp_path / "rig.usda"
    write_usd(path, topology.template, layout, topology.template[None], ["jawOpen"], materials=looks)
    stage = Usd.Stage.Open(str(path))
    subsets = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/face/mesh")).GetMaterialBindSubsets()
    bound = [UsdShade.MaterialBindingAPI(item.GetPrim()).ComputeBoundMaterial()[0] for item in subsets]
    shaders = [UsdShade.Shader(stage.GetPrimAtPath(f"{item.GetPath()}/surface")) for item in bound]
    reds = [item.GetInput("diffuseColor").Get()[0] for item in shaders]
    np.testing.assert_allclose(reds, np.arange(len(names)) / 10, atol=1e-6)
    assert [item.GetPrim().GetDisplayName() for item in bound] == names
    firsts = [item.GetIndicesAttr().Get()[0] for item in subsets]
    assert firsts == [3 * place for place in range(len(names))]
    files = sorted((tmp_path / "rig_pictures").iterdir())
    assert [file.name for file in files] == ["skin.png", "skin2.png"]
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
