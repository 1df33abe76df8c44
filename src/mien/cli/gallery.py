"""``mien gallery``: what a generative model makes, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mien.cli.shell import choice, say, show, show_json


def gallery(
    model_dir: Path = typer.Argument(..., metavar="MODEL_DIR", help="A finished run of a generative model."),
    only: list[str] = typer.Option([], "--only", help="One of the pictures; repeat for more. Default: all."),
    expression: list[str] = typer.Option([], "-e", help="Expressions to show; default: six of the model's."),
    people: int = typer.Option(250, "--people", min=3, help="People in the t-SNE pictures."),
    seed: int = typer.Option(0, "--seed", help="The same seed gives the same pictures."),
    as_json: bool = typer.Option(False, "--json", help="Print the silhouettes as JSON only."),
    out: Path = typer.Option(..., "-o", "--out", help="Folder of the PNG files and of silhouettes.json."),
) -> None:
    """Draws sampled people: expressions, intensities, styles, textures, and t-SNE with silhouettes."""
    from mien.cli.models import open_model
    from mien.figures.gallery import PICTURES
    from mien.figures.gallery import gallery as draw
    from mien.figures.sheets import save_pictures
    from mien.io.json_text import write_json

    for name in only:
        choice("picture", name, PICTURES)
    model = open_model(model_dir)
    names = [choice("expression", name, model.expressions) for name in expression]
    scores: dict[str, Any] = {}
    for name, picture, found in draw(model, only, names, people=people, seed=seed):
        say(f"{save_pictures(out, {name: picture})[0]}")
        scores |= found
    if scores:
        write_json(out / "silhouettes.json", scores)
    if as_json:
        return show_json(scores)
    for name, value in scores.items():
        text = ", ".join(f"{key} {number:.3f}" for key, number in value.items())
        show(f"silhouettes, {name}: {text}")
    return None
