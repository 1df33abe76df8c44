"""``mien export``: a trained decoder for other runtimes."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.shell import choice, say, show, show_json
from mien.errors import BadSetting

EXTENSIONS = {".onnx": "onnx", ".pt": "torchscript"}


def export(
    model_dir: Path = typer.Argument(..., metavar="MODEL_DIR", help="A finished run."),
    out: Path = typer.Option(..., "-o", "--out", help="A file *.onnx or *.pt; a .json goes beside it."),
    kind: str | None = typer.Option(None, "--format", help="onnx or torchscript; default: by the ending."),
    controls: str = typer.Option("codes", "--controls", help="Inputs: codes, or weights of expressions."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """Writes the decoder as ONNX or TorchScript: codes or named weights in, vertices in millimeters out.

    Any batch size. The file is compared with PyTorch before it is written; the JSON beside it has the names
    and sizes of the inputs, a person at rest to start from, and the triangles.
    """
    from mien.apply.export import CONTROLS, FORMATS, export_decoder
    from mien.cli.models import open_model
    from mien.models.files import model_facts

    format = choice("export format", kind, FORMATS) if kind else EXTENSIONS.get(out.suffix.lower(), "")
    if not format:
        raise BadSetting("a decoder is a .onnx or a .pt file", received=str(out), remedy="name it face.onnx")
    choice("kind of controls", controls, CONTROLS)
    model = open_model(model_dir)
    facts = model_facts(model_dir).get("facts", {})
    result = export_decoder(model, out, format=format, controls=controls, facts=facts)
    size = result.path.stat().st_size
    if as_json:
        return show_json(
            {"path": result.path, "description": result.description, "difference_mm": result.difference_mm,
             "format": format, "controls": controls, "bytes": size}
        )  # fmt: skip
    show(f"{result.path}: {size / 2**20:.1f} MiB, described in {result.description}.")
    if result.difference_mm is None:
        say(
            'It was not compared with PyTorch: that takes the package onnxruntime (pip install "mien[onnx]").'
        )
    else:
        say(f"At most {result.difference_mm:.2g} mm from PyTorch.")
    return None
