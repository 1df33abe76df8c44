"""``mien gallery``: what a generative model makes, in the pictures of FaceCAM's appendix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import choice, examples, plain, say, show, show_json

if TYPE_CHECKING:
    from PIL.Image import Image

    from mien.models.base import FaceModel

PANEL = "Judge"
PICTURES = (
    "expressions",
    "intensity",
    "blends",
    "people",
    "styles",
    "style-transfer",
    "clusters",
    "levels",
    "textures",
    "texture-people",
    "texture-intensity",
    "texture-walk",
)


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
    from mien.io.atomic import atomic_file, write_bytes

    for name in only:
        choice("picture", name, PICTURES)
    model = open_model(model_dir)
    names = [choice("expression", name, model.expressions) for name in expression]
    scores: dict[str, Any] = {}
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in _pictures(model, only or _able(model), names, people, seed, scores):
        with atomic_file(out / f"{name}.png") as file:
            picture.save(file, "PNG", optimize=True)
        say(f"{out / name}.png")
    if scores:
        write_bytes(out / "silhouettes.json", json.dumps(plain(scores), indent=1).encode())
    if as_json:
        return show_json(scores)
    for name, value in scores.items():
        text = ", ".join(f"{key} {number:.3f}" for key, number in value.items())
        show(f"silhouettes, {name}: {text}")
    return None


def _able(model: FaceModel) -> list[str]:
    """The pictures that a model can fill."""
    from mien.models.base import FaceModel

    styled = type(model).restyle is not FaceModel.restyle
    able = [name for name in PICTURES if styled or not name.startswith("style")]
    return [name for name in able if model.makes_textures or not name.startswith("texture")]


def _pictures(
    model: FaceModel, wanted: list[str], names: list[str], people: int, seed: int, scores: dict[str, Any]
) -> Iterator[tuple[str, Image]]:
    from mien.figures import styles, textures

    shown = names or spread_names(model.expressions, 6)
    cast = styles.people_at_rest(model, 8, seed)
    sheets = {
        "expressions": lambda: styles.expressions_sheet(model, cast),
        "intensity": lambda: styles.intensity_sheet(model, cast[: len(shown)], shown),
        "blends": lambda: styles.blend_sheet(model, cast, shown[:5]),
        "people": lambda: styles.people_sheet(model, cast, [None, *shown[:2]]),
        "styles": lambda: styles.style_sheet(model, cast[:3], shown[0], cast[3:]),
        "style-transfer": lambda: styles.style_transfer_sheet(model, cast, shown[:4]),
        "textures": lambda: textures.expressions_of_one(model, cast, (names or list(model.expressions))[:7]),
        "texture-people": lambda: textures.people_in_color(model, cast, names[0] if names else None),
        "texture-intensity": lambda: textures.intensities_in_color(model, cast[: len(shown)], shown),
        "texture-walk": lambda: textures.walk_beyond(model, cast, [None, *shown[:2]]),
        "clusters": lambda: _clusters(model, people, seed, scores),
        "levels": lambda: _levels(model, seed, scores),
    }
    for name in wanted:
        yield name, sheets[name]()


def spread_names(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spread over their list."""
    count = min(count, len(names))
    return [names[round(k * (len(names) - 1) / max(1, count - 1))] for k in range(count)]


def _clusters(model: FaceModel, people: int, seed: int, scores: dict[str, Any]) -> Image:
    from mien.figures import embeddings

    found = embeddings.embedded(model, people, [1.0], neutral=True, seed=seed)
    scores["clusters"] = embeddings.silhouettes(found)
    return embeddings.cluster_picture(found, model.expressions, scores["clusters"], seed=seed)


def _levels(model: FaceModel, seed: int, scores: dict[str, Any]) -> Image:
    from mien.figures import embeddings

    found = embeddings.embedded(model, 10, embeddings.LEVELS, neutral=False, seed=seed)
    by_level = embeddings.silhouettes_by_level(found)
    scores["expression by level"] = {f"{level:.2f}": value for level, value in by_level.items()}
    return embeddings.level_picture(found, model.expressions, by_level, seed=seed)


def add_to(app: typer.Typer) -> None:
    """Adds this command to ``mien``."""
    lines = (
        "mien gallery runs/facecam -o pictures",
        "mien gallery runs/facecam --only styles -e smile -o smiles",
    )
    app.command(epilog=examples(*lines), rich_help_panel=PANEL)(gallery)
