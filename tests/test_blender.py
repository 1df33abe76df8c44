"""Blender imports our GLB with all shape keys, and the example script makes an FBX of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from meshes import quad_topology

from mien.io.gltf import write_glb

SCRIPT = Path(__file__).parent.parent / "examples" / "blender" / "fbx_from_glb.py"


def blender() -> list[str] | None:
    """How to run a script in Blender: the program, or a Python that has it as the module ``bpy``."""
    if program := shutil.which("blender"):
        return [program, "--background", "--python"]
    python = os.environ.get("MIEN_BPY_PYTHON")
    return [python] if python else None


BLENDER = blender()


@pytest.mark.skipif(BLENDER is None, reason="no blender on the path and no Python with bpy (MIEN_BPY_PYTHON)")
def test_blender_reads_the_shape_keys_and_writes_fbx(tmp_path: Path) -> None:
    topology = quad_topology(8, 9)
    base = topology.template.astype(np.float64)
    targets = np.stack([base + (0, 0, 12.0), base * (1.1, 1, 1)])
    glb, fbx, report = (tmp_path / f"rig.{ending}" for ending in ("glb", "fbx", "json"))
    write_glb(glb, base, topology, targets, ["jawOpen", "mouthSmileLeft"])
    assert BLENDER is not None
    command = [*BLENDER, str(SCRIPT), "--", str(glb), str(fbx), str(report)]
    # A Python of its own: nothing of ours belongs into it.
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=surroundings)
    assert done.returncode == 0, done.stdout + done.stderr
    (keys,) = json.loads(report.read_text()).values()
    assert list(keys) == ["jawOpen", "mouthSmileLeft"]
    moved = np.linalg.norm(targets - base, axis=2).max(axis=1) * 0.001
    np.testing.assert_allclose(list(keys.values()), moved, rtol=1e-3)
    assert fbx.stat().st_size > 1000


def test_the_script_needs_nothing_but_blender() -> None:
    imports = {line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("import ")}
    assert imports == {"json", "sys", "bpy"}
