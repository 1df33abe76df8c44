"""Run by bare_install.sh with the core dependencies alone: import, generate from the embedded data, export.

python tools/bare_check.py FOLDER
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

EXTRAS = (
    "lightning_fabric",
    "embreex",
    "matplotlib",
    "sklearn",
    "trimesh",
    "pytest",
    "robust_laplacian",
    "playwright",
)


def main(folder: Path) -> None:
    present = [name for name in EXTRAS if importlib.util.find_spec(name)]
    if present:
        sys.exit(f"the bare environment has optional packages: {', '.join(present)}")
    import mien
    from mien.cli import command

    faces, model = str(folder / "faces"), str(folder / "model")
    run = [
        ["data", "build", "procedural", "--subjects", "6", "--vertices", "800", "--out", faces],
        ["train", "morphable", "--data", faces, "--out", model],
        ["generate", model, "-n", "2", "-e", "smile=0.8", "-o", str(folder / "people")],
    ]
    for arguments in run:
        if command(arguments):
            sys.exit(f"failed with the core dependencies alone: mien {' '.join(arguments)}")
    neutral = next((folder / "faces" / "examples").glob("*_neutral.obj"))
    if command(["rig", model, str(neutral), "-o", str(folder / "rig.glb")]):
        sys.exit("failed with the core dependencies alone: mien rig")
    code = command(["train", "adversarial_vae", "--data", faces, "--out", str(folder / "vae")])
    if code != 2:
        sys.exit(f"a missing optional package must end in one sentence and code 2, not {code}")
    print(f"Bare install: Mien {mien.__version__} imports, generates and exports with its core alone.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
