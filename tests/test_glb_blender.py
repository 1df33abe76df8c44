"""Blender finds the same nodes, skins, materials and tracks in an edited glTF file, and new shape keys."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_gltf import validate

from mien.io.glb_targets import add_glb_targets
from mien.io.mesh import read_mesh

HERE = Path(__file__).parent
PYTHON = os.environ.get("MIEN_BPY_PYTHON")
FORMS = ("plain.glb", "draco.glb", "tangents.glb", "apart.gltf")

pytestmark = pytest.mark.skipif(not PYTHON, reason="MIEN_BPY_PYTHON names no Python that has Blender (bpy)")


def blender(script: str, *words: object) -> None:
    """Runs a script of this folder in Blender's Python."""
    command = [str(PYTHON), str(HERE / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a rigged head in every form that Blender exports."""
    folder = tmp_path_factory.mktemp("scene")
    blender("blender_scene.py", folder)
    return folder


def test_all_is_there_before_and_after(scene: Path) -> None:
    pytest.importorskip("DracoPy", reason='needs the extra "gltf"')
    files: list[Path] = []
    for name in FORMS:
        mesh, out = read_mesh(scene / name), scene / f"{Path(name).stem}_rig.glb"
        assert mesh.names("o") == ("Head", "Eye") and mesh.names()[:2] == ("skin", "lips")
        raised = mesh.vertices.astype(np.float64)
        skin = np.unique(mesh.faces[mesh.polygons_in("Head", "o")])
        raised[skin[raised[skin, 1] > 0], 1] += 0.3
        clip = np.array([[0, 0], [1, 0.5]])
        add_glb_targets(
            scene / name, out, mesh, np.stack([raised, raised]), ["browUp", "jawOpen"], existing="replace",
            clip=clip,
        )  # fmt: skip
        validate(out, scene / "plain.glb")
        files += [scene / name, out]
    blender("blender_contents.py", scene / "report.json", *files)
    reports = json.loads((scene / "report.json").read_text())
    for before, after in zip(reports[::2], reports[1::2], strict=True):
        assert before.pop("actions") == ["nod", "talk"]
        assert after.pop("actions") == ["nod", "performance", "talk"]
        (old,) = [item.pop("keys") for item in before["meshes"].values() if item["keys"]]
        (new,) = [item.pop("keys") for item in after["meshes"].values() if item["keys"]]
        assert list(old) == ["jawOpen", "blink"] and list(new) == ["jawOpen", "blink", "browUp"]
        assert new["blink"] == old["blink"]
        assert new["jawOpen"] == new["browUp"] == pytest.approx(0.3 / 1.5, abs=1e-3)  # the armature is scaled
        assert after == before
