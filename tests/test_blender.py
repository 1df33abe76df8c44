"""Blender imports our GLB with all shape keys, and the example script makes an FBX of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from meshes import quad_topology

from mien.io.gltf import write_glb

SCRIPT = Path(__file__).parent.parent / "examples" / "blender" / "fbx_from_glb.py"
BLENDER = shutil.which("blender")


@pytest.mark.skipif(BLENDER is None, reason="there is no blender on the path")
def test_blender_reads_the_shape_keys_and_writes_fbx(tmp_path: Path) -> None:
    topology = quad_topology(8, 9)
    base = topology.template.astype(np.float64)
    targets = np.stack([base + (0, 0, 12.0), base * (1.1, 1, 1)])
    glb, fbx, report = (tmp_path / f"rig.{ending}" for ending in ("glb", "fbx", "json"))
    write_glb(glb, base, topology, targets, ["jawOpen", "mouthSmileLeft"])
    command = [str(BLENDER), "--background", "--python", SCRIPT, "--", glb, fbx, report]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=300)
    (keys,) = json.loads(report.read_text()).values()
    assert list(keys) == ["jawOpen", "mouthSmileLeft"]
    moved = np.linalg.norm(targets - base, axis=2).max(axis=1) * 0.001
    np.testing.assert_allclose(list(keys.values()), moved, rtol=1e-3)
    assert fbx.stat().st_size > 1000


def test_the_script_needs_nothing_but_blender() -> None:
    imports = {line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("import ")}
    assert imports == {"json", "sys", "bpy"}
