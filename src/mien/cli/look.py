"""Commands that show a model: the studio in the browser, and a page to share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.shell import existing, say, show
from mien.cli.use import LANDMARKS, PIECES

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.viewer import Studio

MODEL = typer.Argument(..., metavar="MODEL_DIR", help="A finished run.")
MAYBE = typer.Argument(None, metavar="[MODEL_DIR]", help="A finished run, or textbook shapes.")
DATA = typer.Option(None, "--data", help="A data set: its training people can be picked.")


def view(
    model_dir: Path | None = MAYBE,
    meshes: list[Path] = typer.Argument(None, metavar="[MESH]...", help="Heads to load at once."),
    compare: list[Path] = typer.Option([], "--compare", help="Another finished run beside it; repeatable."),
    like: list[Path] = typer.Option([], "--like", help="Without a model: a rigged head to follow; repeat."),
    data: Path | None = DATA,
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    port: int = typer.Option(8750, "--port", min=0, max=65535, help="Of this machine; 0 takes any."),
    limit: int = typer.Option(64, "--limit", min=1, max=1000, help="Largest file to load, megabytes."),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda or mps."),
    browser: bool = typer.Option(True, help="Open the browser."),
) -> None:
    """Opens the studio: sliders, people, transfer, comparison and a time line in the browser.

    A head needs no model: textbook shapes move it, or those of rigged heads (--like).
    """
    import webbrowser

    from mien.data.sample_head import sample_head
    from mien.viewer import StudioServer

    if model_dir and existing(model_dir, "model folder or head").is_file():  # a head in the model's place
        meshes = [model_dir, *(meshes or [])]
        model_dir = None
    studio = _studio(model_dir, compare, like, data, device, limit)
    _open_heads(studio, meshes or [], landmarks, piece)
    if not (model_dir or meshes or like):
        studio.load_soon(sample_head)
    server = StudioServer(studio, port, title=f"Mien · {studio.engines[0].label}")
    show(server.url)
    say("The studio listens on this machine only. Control-C closes it.")
    if browser:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("Closed.")
    finally:
        server.server_close()


def share(
    model_dir: Path = MODEL,
    meshes: list[Path] = typer.Argument(None, metavar="[MESH]...", help="Heads that come first on the page."),
    data: Path | None = DATA,
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    people: int = typer.Option(8, "--people", min=1, max=64, help="The most people on the page."),
    title: str = typer.Option("", "--title", help="Of the page; the model's name by default."),
    out: Path = typer.Option(..., "-o", "--out", help="The .html file."),
) -> None:
    """Writes one page that works offline: people, sliders, a time line; to send by mail."""
    from mien.cli.models import open_model
    from mien.errors import BadSetting
    from mien.viewer import Engine, Studio
    from mien.viewer.share import share as write_page

    if out.suffix.lower() not in (".html", ".htm"):
        raise BadSetting("a page is an HTML file", received=str(out), remedy="name the output *.html")
    engine = Engine(title or model_dir.resolve().name, open_model(model_dir))
    studio = Studio([engine])
    _open_heads(studio, meshes or [], landmarks, piece)
    heads = [person for person in studio.history.state.people if person.kind == "loaded"]
    made = write_page(out, engine, heads=heads, data=_data(data), people=people, title=title)
    show(f"{out}: {made.people} people, {made.megabytes:.1f} MB; it opens in any browser, without a network.")
    say(f"Sums of its targets are {made.linearity_mm:.2f} mm off the model.")


def _studio(
    folder: Path | None, compare: list[Path], like: list[Path], data: Path | None, device: str, limit: int
) -> Studio:
    from mien.cli.heads import rigging_model
    from mien.cli.models import open_model
    from mien.io.worker import Worker
    from mien.machine import device_of
    from mien.viewer import Engine, Studio
    from mien.viewer.uploads import MEGABYTE

    where = device_of(device)
    name = folder.resolve().name if folder else f"like {like[0].stem}" if like else "textbook"
    engines = [Engine(name, rigging_model(folder, [], like, None, None).to(where))]
    engines += [Engine(other.resolve().name, open_model(other).to(where)) for other in compare]
    return Studio(engines, _data(data), limit=limit * MEGABYTE, worker=Worker())


def _open_heads(studio: Studio, meshes: list[Path], landmarks: list[str], pieces: list[str]) -> None:
    """Shows heads from the start, from where they are: with their materials, landmarks and pieces."""
    from mien.data.notation import Marks

    marks = Marks.of(landmarks, *meshes, pieces=pieces)
    for path in meshes:
        studio.open(existing(path, "mesh"), marks[path], marks.pieces.get(path))


def _data(folder: Path | None) -> FaceDataset | None:
    from mien.data.dataset import FaceDataset

    return None if folder is None else FaceDataset.load(existing(folder, "data set folder"))
