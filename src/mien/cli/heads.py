"""``mien register``: a model's template laid onto a mesh of any topology."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mien.cli.shell import examples, plain, say, show, show_json

PANEL = "Use a model"


def register(
    mesh: Path = typer.Argument(..., help="A head of any topology: OBJ, PLY (points too), STL, GLB or WRL."),
    onto: Path = typer.Option(
        ..., "--onto", metavar="MODEL_DIR", help="The model whose template is laid on."
    ),
    landmarks: Path | None = typer.Option(
        None, "--landmarks", help="CSV name, x, y, z in the mesh's own unit; found by shape without it."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path = typer.Option(..., "-o", "--out", help="The registered template, *.obj or *.ply."),
) -> None:
    """Lays a model's template onto a mesh of any topology, and says how well it lies.

    Beside OUT are written: OUT.json with the numbers, OUT.png to look at, and OUT_landmarks.csv with the
    template's landmarks on the mesh. Move those that are off, and give the file with --landmarks.
    """
    from mien.cli.faces import open_model
    from mien.cli.foreign import register_head, registration_report
    from mien.figures.registration import registration_sheet
    from mien.io.atomic import write_bytes
    from mien.io.landmarks import write_landmarks
    from mien.io.mesh import read_mesh, write_mesh

    model = open_model(onto)
    head = register_head(read_mesh(mesh, points=True), model, landmarks)
    found = head.registration
    report = registration_report(head, str(mesh), str(onto))
    write_mesh(out, found.vertices, model.topology)
    names, points = found.landmarks()
    if names:
        write_landmarks(out.with_name(f"{out.stem}_landmarks.csv"), names, points)
    write_bytes(out.with_suffix(".json"), _text(report))
    registration_sheet(found, mesh.name).save(out.with_suffix(".png"))
    if as_json:
        return show_json(report)
    say(head.decision.sentence)
    show(f"{out}: {found.quality.sentence}.")
    say(f"Look at {out.with_suffix('.png')}. Numbers: {out.with_suffix('.json')}.")
    return None


def _text(report: dict[str, Any]) -> bytes:
    import json

    return (json.dumps(plain(report), indent=1) + "\n").encode()


def add_to(app: typer.Typer) -> None:
    """Adds these commands to ``mien``."""
    lines = (
        "mien register head.obj --onto runs/first -o head_registered.obj",
        "mien register scan.ply --onto runs/first --landmarks points.csv -o scan_registered.obj --json",
    )
    app.command("register", epilog=examples(*lines), rich_help_panel=PANEL)(register)
