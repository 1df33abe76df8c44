"""USD out: a rig as a skinned mesh with named blend shapes (UsdSkel), weights over time, materials.

USD is in meters here, +Y up, as glTF. Needs the extra ``usd`` (the package usd-core).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh, WrongTopology, require
from mien.geometry.differential import vertex_normals
from mien.io.atomic import write_bytes
from mien.io.colors import to_linear
from mien.io.gltf import METERS
from mien.io.materials import ENDINGS, Material, Picture
from mien.io.record import UNNAMED, Mesh
from mien.topology import Topology

_MOVED = 1e-6  # meters: vertices that a target moves less are left out of it


def write_usd(
    path: str | Path, base: NDArray, layout: Topology | Mesh, targets: NDArray, names: Sequence[str], *,
    clip: NDArray | None = None, fps: float = 30.0, name: str = "face",
    materials: Mapping[str, Material] | None = None,
) -> None:  # fmt: skip
    """Writes a rig as USD: one mesh with its polygons, texture coordinates, materials and blend shapes.

    Pictures of materials go into the folder ``<stem>_pictures`` beside it.

    Args:
        path: A ``.usda``, ``.usdc`` or ``.usd`` file.
        base: (V, 3) float, millimeters. The pose of all-zero weights.
        layout: A Topology or a Mesh: polygons, texture coordinates, materials.
        targets: (E, V, 3) float, millimeters. Absolute positions at weight one.
        names: E target names; what USD does not allow in names becomes an underscore.
        clip: (T, E) float. Weights over time, or None.
        fps: Frames per second of the clip.
        name: The name of the mesh.
        materials: Looks of the materials that a Mesh names; others are clay.
    """
    usd = require("pxr.Usd", "usd")
    if Path(path).suffix.lower() not in (".usda", ".usdc", ".usd"):
        raise BadFile("a USD file ends with .usda, .usdc or .usd", received=str(path))
    base, targets = np.asarray(base, np.float64), np.asarray(targets, np.float64)
    wanted = len(layout.template) if isinstance(layout, Topology) else len(layout.vertices)
    if base.shape != (wanted, 3) or targets.shape[1:] != base.shape or len(names) != len(targets):
        raise WrongTopology(
            f"a rig needs a base ({wanted}, 3) and {len(names)} targets of that shape",
            received=f"{base.shape} and {targets.shape}",
        )
    if not len(layout.faces):
        raise BadMesh("blend shapes of USD need faces", received="a point scan", remedy="write a GLB")
    spelled = _spelled(names)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    stage = usd.Stage.CreateInMemory()
    scene = _Scene(stage, _identifier(name), {} if materials is None else dict(materials), Path(path))
    scene.write(base, layout, targets, spelled, clip, fps)
    if not stage.GetRootLayer().Export(str(path)):
        raise BadFile(f"cannot write {str(path)!r}", remedy="free some space or choose another folder")


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name, flags=re.ASCII) or "face"
    return text if not text[0].isdigit() else f"_{text}"


def _spelled(names: Sequence[str]) -> list[str]:
    """Names as USD allows them, all different; none is numbered, as people look for targets by name."""
    spelled = [_identifier(name) for name in names]
    if len(set(spelled)) < len(spelled):
        raise BadMesh("targets need different names, as USD spells them", received=", ".join(names))
    return spelled


def _distinct(names: Sequence[str]) -> list[str]:
    """Names as USD allows them, numbered where several would be spelled alike."""
    spelled: dict[str, None] = {}
    for name in names:
        plain = _identifier(name)
        numbered = (f"{plain}_{number}" for number in range(2, len(names) + 2))
        spelled[next(item for item in (plain, *numbered) if item not in spelled)] = None
    return list(spelled)


class _Scene:
    """A stage with one skeletal root: a skeleton of one joint, its animation, and the mesh."""

    def __init__(self, stage: Any, name: str, materials: dict[str, Material], path: Path) -> None:
        from pxr import UsdGeom, UsdSkel

        self.stage, self.root = stage, f"/{name}"
        self.materials, self.path = materials, path
        self.stored: dict[str, bytes] = {}
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        head = UsdSkel.Root.Define(stage, self.root)
        stage.SetDefaultPrim(head.GetPrim())
        self.head = head

    def write(
        self, base: NDArray, layout: Topology | Mesh, targets: NDArray, names: list[str],
        clip: NDArray | None, fps: float,
    ) -> None:  # fmt: skip
        """All prims of the rig."""
        from pxr import UsdSkel, Vt

        mesh = self._mesh(base, layout)
        self._materials(mesh, layout)
        self._blend_shapes(mesh, base, targets, names, layout)
        skeleton = self._skeleton(mesh, len(base))
        animation = UsdSkel.Animation.Define(self.stage, f"{self.root}/animation")
        animation.CreateBlendShapesAttr(names)
        weights = animation.CreateBlendShapeWeightsAttr(Vt.FloatArray([0.0] * len(names)))
        if clip is not None:
            self.stage.SetTimeCodesPerSecond(fps)
            self.stage.SetFramesPerSecond(fps)
            self.stage.SetStartTimeCode(0)
            self.stage.SetEndTimeCode(len(clip) - 1)
            for frame, row in enumerate(np.asarray(clip, np.float32)):
                weights.Set(Vt.FloatArray.FromNumpy(np.ascontiguousarray(row)), frame)
        UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(
            [animation.GetPath()]
        )
        bounds = np.concatenate([base[None], targets]) * METERS
        extent = np.stack([bounds.min(axis=(0, 1)), bounds.max(axis=(0, 1))]).astype(np.float32)
        self.head.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(extent))

    def _mesh(self, base: NDArray, layout: Topology | Mesh) -> Any:
        from pxr import Sdf, UsdGeom, Vt

        mesh = UsdGeom.Mesh.Define(self.stage, f"{self.root}/mesh")
        points = (base * METERS).astype(np.float32)
        polygons = layout.polygons
        sizes = np.full(len(layout.faces), 3) if polygons is None else polygons.sizes
        corners = layout.faces.ravel() if polygons is None else polygons.corners
        mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
        mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(sizes, np.int32)))
        mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(corners, np.int32)))
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        extent = np.stack([points.min(axis=0), points.max(axis=0)])
        mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(extent))
        normals = vertex_normals(base, layout.faces).astype(np.float32)
        mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(normals))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
        uv_corners = None if layout.uv_faces is None else layout.uv_faces.ravel()
        if polygons is not None:
            uv_corners = polygons.uv_corners
        if layout.uv is not None and uv_corners is not None:
            kind = Sdf.ValueTypeNames.TexCoord2fArray
            uv = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", kind, UsdGeom.Tokens.faceVarying)
            uv.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(layout.uv, np.float32)))
            uv.SetIndices(Vt.IntArray.FromNumpy(np.ascontiguousarray(uv_corners, np.int32)))
        if isinstance(layout, Mesh) and layout.colors is not None:
            colors = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
            colors.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(to_linear(layout.colors))))
        return mesh

    def _materials(self, mesh: Any, layout: Topology | Mesh) -> None:
        """One preview material for the mesh, or one for each material that the layout names."""
        from pxr import UsdGeom, UsdShade, Vt

        names = list(layout.names()) if isinstance(layout, Mesh) else []
        colored = isinstance(layout, Mesh) and layout.colors is not None
        spelled = _distinct(names or [UNNAMED])
        for name, identifier in zip(names or [UNNAMED], spelled, strict=True):
            material = self._material(name, identifier, layout.uv is not None, colored)
            target = mesh.GetPrim()
            if names:
                rows = np.flatnonzero(layout.polygons_in(name)).astype(np.int32)  # type: ignore[union-attr]
                subset = UsdGeom.Subset.CreateGeomSubset(
                    mesh, f"part_{identifier}", UsdGeom.Tokens.face,
                    Vt.IntArray.FromNumpy(rows), UsdShade.Tokens.materialBind,
                )  # fmt: skip
                target = subset.GetPrim()
            UsdShade.MaterialBindingAPI.Apply(target).Bind(material)
        if names:
            apart = UsdGeom.Tokens.nonOverlapping
            UsdShade.MaterialBindingAPI(mesh).SetMaterialBindSubsetsFamilyType(apart)
        UsdGeom.Scope.Define(self.stage, f"{self.root}/materials")

    def _material(self, name: str, identifier: str, has_uv: bool, colored: bool) -> Any:
        """A preview surface of a material or of the vertices' colors; programs show its own name."""
        from pxr import Gf, Sdf, UsdShade

        own, kinds = self.materials.get(name, Material()), Sdf.ValueTypeNames
        material = UsdShade.Material.Define(self.stage, f"{self.root}/materials/{identifier}")
        material.GetPrim().SetDisplayName(name)
        shader = UsdShade.Shader.Define(self.stage, f"{material.GetPath()}/surface")
        shader.CreateIdAttr("UsdPreviewSurface")
        color = shader.CreateInput("diffuseColor", kinds.Color3f)
        color.Set(Gf.Vec3f(*own.color))
        shader.CreateInput("roughness", kinds.Float).Set(0.65)
        if own.opacity < 1:
            shader.CreateInput("opacity", kinds.Float).Set(own.opacity)
        if own.picture is not None and has_uv:
            reader = UsdShade.Shader.Define(self.stage, f"{material.GetPath()}/coordinates")
            reader.CreateIdAttr("UsdPrimvarReader_float2")
            reader.CreateInput("varname", kinds.String).Set("st")
            sampler = UsdShade.Shader.Define(self.stage, f"{material.GetPath()}/picture")
            sampler.CreateIdAttr("UsdUVTexture")
            sampler.CreateInput("file", kinds.Asset).Set(self._stored(own.picture))
            sampler.CreateInput("sourceColorSpace", kinds.Token).Set("sRGB")
            sampler.CreateInput("scale", kinds.Float4).Set(Gf.Vec4f(*own.color, 1.0))
            for side in ("wrapS", "wrapT"):
                sampler.CreateInput(side, kinds.Token).Set("repeat")
            coordinates = sampler.CreateInput("st", kinds.Float2)
            coordinates.ConnectToSource(reader.CreateOutput("result", kinds.Float2))
            color.ConnectToSource(sampler.CreateOutput("rgb", kinds.Float3))
        elif colored and name not in self.materials:
            reader = UsdShade.Shader.Define(self.stage, f"{material.GetPath()}/colors")
            reader.CreateIdAttr("UsdPrimvarReader_float3")
            reader.CreateInput("varname", kinds.String).Set("displayColor")
            color.ConnectToSource(reader.CreateOutput("result", kinds.Float3))
        material.CreateSurfaceOutput().ConnectToSource(shader.CreateOutput("surface", kinds.Token))
        return material

    def _stored(self, picture: Picture) -> str:
        """Writes a picture beside the file, once however many materials have it; how the file names it."""
        folder = self.path.with_name(f"{self.path.stem}_pictures")
        stem = re.sub(r"[^\w.-]", "_", Path(picture.name).stem) or "picture"
        names = (f"{stem}{number}{ENDINGS[picture.kind]}" for number in ("", *range(2, len(self.stored) + 3)))
        name = next(item for item in names if self.stored.get(item, picture.data) == picture.data)
        if name not in self.stored:
            write_bytes(folder / name, picture.data)
            self.stored[name] = picture.data
        return f"./{folder.name}/{name}"

    def _blend_shapes(
        self, mesh: Any, base: NDArray, targets: NDArray, names: list[str], layout: Topology | Mesh
    ) -> None:
        """Sparse offsets of each target, and of its normals."""
        from pxr import UsdSkel, Vt

        rest = vertex_normals(base, layout.faces)
        paths = []
        for name, target in zip(names, targets, strict=True):
            shape = UsdSkel.BlendShape.Define(self.stage, f"{mesh.GetPath()}/{name}")
            change = (target - base) * METERS
            rows = np.flatnonzero(np.abs(change).max(axis=1) > _MOVED).astype(np.int32)
            turned = vertex_normals(target, layout.faces) - rest
            shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(rows))
            shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(change[rows].astype(np.float32)))
            shape.CreateNormalOffsetsAttr(Vt.Vec3fArray.FromNumpy(turned[rows].astype(np.float32)))
            paths.append(shape.GetPath())
        binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
        binding.CreateBlendShapesAttr(names)
        binding.CreateBlendShapeTargetsRel().SetTargets(paths)

    def _skeleton(self, mesh: Any, count: int) -> Any:
        """One joint that holds the whole head: readers want a skeleton where there are blend shapes."""
        from pxr import Gf, UsdSkel, Vt

        skeleton = UsdSkel.Skeleton.Define(self.stage, f"{self.root}/skeleton")
        skeleton.CreateJointsAttr(["head"])
        still = Vt.Matrix4dArray([Gf.Matrix4d(1.0)])
        skeleton.CreateBindTransformsAttr(still)
        skeleton.CreateRestTransformsAttr(still)
        binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
        binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
        binding.CreateJointIndicesPrimvar(False, 1).Set(Vt.IntArray([0] * count))
        binding.CreateJointWeightsPrimvar(False, 1).Set(Vt.FloatArray([1.0] * count))
        return skeleton
