"""Blender's files in, and FBX and Blender's files out, by a Blender that is installed beside Mien."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from mien.errors import BadFile, BadSetting, MissingPackage
from mien.io.atomic import write_bytes
from mien.io.endings import BLENDER
from mien.io.pieces import mesh_of, pieces_by, run_process
from mien.io.record import Mesh
from mien.temporary import passing_folder

_SCRIPT = Path(__file__).with_name("blender_process.py")


def blender_command() -> list[str]:
    """What runs a Python script in Blender: a Python that has ``bpy``, or Blender itself."""
    python = os.environ.get("MIEN_BPY_PYTHON")
    if python is None and importlib.util.find_spec("bpy") is not None:
        python = sys.executable
    if python is not None:
        if shutil.which(python) is None:
            raise BadSetting("MIEN_BPY_PYTHON names no program", received=python,
                             remedy="set it to a Python that has the package bpy")  # fmt: skip
        return [python, str(_SCRIPT)]
    program = shutil.which("blender")
    if program is None:
        raise MissingPackage(
            "this needs Blender, which is not installed",
            remedy="install Blender or run: pip install bpy; for a Python of its own set MIEN_BPY_PYTHON",
        )
    return [program, "--background", "--factory-startup", "--disable-autoexec", "--python-exit-code", "1",
            "--python", str(_SCRIPT), "--"]  # fmt: skip


def read_blend(path: Path) -> Mesh:
    """Reads all polygons of a Blender file, in meters, +Y up, without modifiers, shape keys at rest.

    Args:
        path: A ``.blend`` file.
    """
    return mesh_of(pieces_by([*blender_command(), "read"], path), path)


def write_with_blender(path: Path, glb: bytes) -> None:
    """Writes a glTF file as FBX or as a Blender file: nodes, skins, materials, tracks and shape keys.

    Args:
        path: A ``.fbx`` or ``.blend`` file to write.
        glb: The bytes of a GLB file.
    """
    if path.suffix.lower() not in BLENDER:
        raise BadFile("Blender writes FBX and its own files here", received=str(path),
                      remedy="name the output *.fbx or *.blend")  # fmt: skip
    command = blender_command()
    with passing_folder() as folder:
        source, out = folder / f"{path.stem}.glb", folder / f"out{path.suffix.lower()}"
        source.write_bytes(glb)
        run_process([*command, "convert", str(source), str(out)], path.name, out)
        write_bytes(path, out.read_bytes())
