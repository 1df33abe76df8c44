"""``mien data prepare`` and ``mien data check``: data sets of others, brought into order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import MISTAKE, choice, existing, say, show, show_json, show_table
from mien.errors import BadSetting

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.data.inspect import DataCheck

FOLDER, RIGS = "folder", "rigs"
KINDS = (FOLDER, RIGS, "facescape", "coma", "bu3dfe", "bosphorus", "bu4dfe", "bp4d", "4dfab", "flame")
_SHOWN = 20  # lines of one kind that a table prints; --json has all


def prepare(
    kind: str = typer.Argument(
        ...,
        metavar="KIND",
        help="folder, rigs, facescape, coma, bu3dfe, bosphorus, bu4dfe, bp4d, 4dfab, flame",
    ),
    source: Path = typer.Argument(..., help="The tree as its owner ships it, or a folder with a CSV."),
    out: Path = typer.Option(..., "--out", help="Folder of the new data set; must not exist."),
    table: Path | None = typer.Option(
        None, "--table", help="folder: the CSV of labels; rigs: a CSV arkit, shape for other names."
    ),
    units: str | None = typer.Option(
        None, "--units", help="millimeters, centimeters or meters, +Y up, +Z out, where it cannot be judged."
    ),
    align: bool = typer.Option(False, "--align", help="Also align every mesh rigidly with the mean face."),
    vertices: int | None = typer.Option(None, "--vertices", min=200, help="Decimate to about this many."),
    select: str = typer.Option("", "--select", help="Which scans and labels; see the page of the set."),
    every: int = typer.Option(1, "--every", min=1, help="Keep one frame of so many of a recording."),
    subjects: int | None = typer.Option(None, "--subjects", min=1, help="Only the first so many people."),
    exclude: Path | None = typer.Option(None, "--exclude", help="A list of people, recordings or files."),
    publishable: Path | None = typer.Option(None, "--publishable", help="Who may be shown in pictures."),
    picks: Path | None = typer.Option(None, "--picks", help="A table of apexes or key frames chosen by eye."),
    flame: Path | None = typer.Option(None, "--flame", help="Your FLAME model as .npz, for its template."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave out damaged meshes, and list them."),
    textures: int | None = typer.Option(
        None,
        "--textures",
        metavar="PIXELS",
        help="Copy texture images at this size; else they stay where they are.",
    ),
    fps: float = typer.Option(30.0, "--fps", min=1.0, help="folder: frames per second of the clips, if any."),
    terms: str = typer.Option("", "--license", help="folder: terms of the meshes, for model cards."),
    citation: str = typer.Option("", "--citation", help="folder: what to cite, for model cards."),
) -> None:
    """Brings registered meshes into a data set; says what it decided about units and axes.

    [bold]folder[/bold] reads your meshes and a table with the columns file, subject, expression and, if you
    like, weight, clip and frame. [bold]rigs[/bold] reads heads with named shapes, of any topology. The other
    kinds read the trees of the field's data sets; a page of docs/data says how each is laid out and where to
    apply for it.
    """
    choice("kind of source", kind, KINDS)
    existing(source, "source folder")
    if kind in (FOLDER, RIGS):
        given = {
            "--vertices": vertices, "--select": select, "--exclude": exclude, "--subjects": subjects,
            "--publishable": publishable, "--picks": picks, "--flame": flame, "--skip-bad": skip_bad,
        }  # fmt: skip
        _refuse(given, "belongs to the data sets of the field; a folder is chosen by its table")
    if kind == FOLDER:
        from mien.data.sources.folder import prepare_folder

        data = prepare_folder(
            source, out, table, units=units, fps=fps, align=align, license=terms, citation=citation,
            textures=textures,
        )  # fmt: skip
    elif kind == RIGS:
        from mien.apply.rig_data import prepare_rigs

        _refuse({"--units": units, "--align": align, "--textures": textures}, "means nothing for rigs")
        data = prepare_rigs(source, out, table, license=terms, citation=citation)
    else:
        from mien.data.sources.field import field_set
        from mien.data.sources.registered import PrepareOptions, prepare_field
        from mien.data.sources.tree import TreeOptions

        _refuse(
            {"--table": table, "--license": terms, "--citation": citation}, "belongs to the kind 'folder'"
        )
        options = TreeOptions(selection=select, publishable=publishable, picks=picks)
        given_options = PrepareOptions(
            units, vertices, align, every, subjects, exclude, skip_bad, flame, textures
        )
        data = prepare_field(field_set(kind), source, out, options, given_options)
    _say_what_was_decided(data)
    finished(out, data)


def check(
    folder: Path = typer.Argument(..., help="A data set, the tree of one of the field, meshes with a table."),
    kind: str = typer.Option("", "--as", help="Which data set of the field it is, if it is one."),
    select: str = typer.Option("", "--select", help="With --as: which scans and labels."),
    read: bool = typer.Option(False, "--read", help="With --as: also read every mesh."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> int:
    """Looks for what is missing, damaged or implausible; exit code 2 if something is.

    Works on a finished data set, and on a tree of the field before you prepare it:
    [bold]--as facescape[/bold].
    """
    existing(folder, "data folder")
    from mien.data.sources.field import check_tree, field_set, recognized
    from mien.data.sources.folder import check_folder, holds_table

    kind = kind or recognized(folder)
    if kind:
        from mien.data.sources.tree import TreeOptions

        result = check_tree(field_set(kind), folder, TreeOptions(selection=select), read=read)
    elif holds_table(folder):
        kind, result = FOLDER, check_folder(folder)
    else:
        from mien.data.inspect import check_dataset

        result = check_dataset(folder)
    if as_json:
        show_json(result.as_dict())
    else:
        show_table(("", "what"), _rows(result))
        show(f"{folder}: {'sound' if result.sound else 'not sound'}{f', read as {kind}' if kind else ''}.")
    return 0 if result.sound else MISTAKE


def _rows(result: DataCheck) -> list[tuple[str, str]]:
    """Found, missing, wrong and noted, a line each; long lists are cut and counted."""
    rows: list[tuple[str, str]] = []
    for name in ("found", "missing", "wrong", "notes"):
        items: Sequence[str] = getattr(result, name)
        rows += [(name, item) for item in items[:_SHOWN]]
        if len(items) > _SHOWN:
            rows.append((name, f"... and {len(items) - _SHOWN} more (--json lists all)"))
    return rows


def _refuse(given: dict[str, Any], why: str) -> None:
    for flag, value in given.items():
        if value:
            raise BadSetting(f"{flag} {why}", received=str(value), remedy="leave it out")


def _say_what_was_decided(data: FaceDataset) -> None:
    say(str(data.facts["units"]))
    for note in data.facts.get("notes", ()):
        say(f"Note: {note}.")
    left_out = data.facts.get("left_out") or ()
    for item in left_out[:_SHOWN]:
        say(f"Left out: {item}.")
    if len(left_out) > _SHOWN:
        say(f"... and {len(left_out) - _SHOWN} more; dataset.json lists all.")


def finished(out: Path, data: FaceDataset) -> None:
    """What was built, and what to do next."""
    people, vertices = len(data.subjects), data.topology.vertex_count
    show(f"{out}: {len(data)} faces of {people} people, {vertices} vertices.")
    shown = any((out / "examples").glob("*.obj"))
    say(
        f"Look at it: mien data info {out}."
        + (f" Try commands on the meshes in {out / 'examples'}." if shown else "")
    )
