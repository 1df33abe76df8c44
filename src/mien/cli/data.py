"""``mien data``: build, prepare, inspect and check data sets."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.shell import MISTAKE, choice, examples, existing, say, show, show_json, show_table
from mien.errors import BadSetting

app = typer.Typer(
    help="Build a data set, bring your own into order, look at it, check it.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)
BUILT = ("procedural", "ict")
PREPARED = ("folder",)


@app.command(
    epilog=examples(
        "mien data build procedural --subjects 40 --out faces",
        "mien data build ict --from ict-facekit.tar.xz --subjects 200 --vertices 2500 --out ict-200",
        "mien data build procedural --subjects 20 --expressions emotion6 --sequences --out clips",
    )
)
def build(
    source: str = typer.Argument(..., metavar="SOURCE", help="procedural or ict."),
    out: Path = typer.Option(..., "--out", help="Folder of the new data set; must not exist."),
    subjects: int = typer.Option(..., "--subjects", min=3, help="Number of people."),
    expressions: str = typer.Option("facescape20", help="Expression set: facescape20, arkit or emotion6."),
    origin: Path | None = typer.Option(None, "--from", help="ICT-FaceKit archive or unpacked folder."),
    region: str = typer.Option("narrow", help="Part of the ICT head: narrow, face or head."),
    vertices: int | None = typer.Option(None, "--vertices", min=200, help="Decimate to about this many."),
    sequences: bool = typer.Option(False, "--sequences", help="Clips with onset, apex and offset."),
    seed: int = typer.Option(0, help="The same seed gives the same people."),
) -> None:
    """Builds a data set of people performing named expressions, with exact ground truth.

    [bold]procedural[/bold] needs nothing else; [bold]ict[/bold] performs expressions on ICT-FaceKit Light.
    """
    choice("data source", source, BUILT)
    from mien.data.expressions import expression_sets

    choice("expression set", expressions, expression_sets())
    if source == "procedural":
        from mien.data.sources.procedural import build_procedural

        data = build_procedural(
            out, subjects=subjects, expressions=expressions, seed=seed, sequences=sequences, vertices=vertices
        )
    else:
        from mien.data.sources.ict import build_ict

        if origin is None:
            raise BadSetting(
                "the source 'ict' reads the ICT-FaceKit release and no --from was given",
                remedy="add --from ict-facekit.tar.xz, or the unpacked folder",
            )
        data = build_ict(
            existing(origin, "ICT-FaceKit release"), out, subjects=subjects, expressions=expressions,
            region=region, vertices=vertices, sequences=sequences, seed=seed,
        )  # fmt: skip
    _finished(out, data)


@app.command(
    epilog=examples(
        "mien data prepare folder scans --out faces",
        "mien data prepare folder scans --table labels.csv --align --out faces",
    )
)
def prepare(
    kind: str = typer.Argument(..., metavar="KIND", help="How the source is laid out: folder."),
    source: Path = typer.Argument(..., help="Meshes that share vertex order, with a CSV of labels."),
    out: Path = typer.Option(..., "--out", help="Folder of the new data set; must not exist."),
    table: Path | None = typer.Option(None, "--table", help="The CSV; default: labels.csv or the only one."),
    units: str | None = typer.Option(
        None, "--units", help="millimeters, centimeters or meters, +Y up, +Z out, where it cannot be judged."
    ),
    align: bool = typer.Option(False, "--align", help="Also align every mesh rigidly with the mean face."),
    fps: float = typer.Option(30.0, "--fps", min=1.0, help="Frames per second of the clips, if any."),
    terms: str = typer.Option("", "--license", help="Terms of the meshes, for model cards."),
    citation: str = typer.Option("", "--citation", help="What to cite, for model cards."),
) -> None:
    """Brings registered meshes and a table of labels into a data set; says what it decided about units.

    The table has the columns file, subject, expression and, if you like, weight, clip and frame.
    """
    choice("kind of source", kind, PREPARED)
    from mien.data.sources.folder import prepare_folder

    existing(source, "source folder")
    data = prepare_folder(
        source, out, table, units=units, fps=fps, align=align, license=terms, citation=citation
    )
    say(str(data.facts["units"]))
    _finished(out, data)


@app.command(epilog=examples("mien data info faces", "mien data info faces --json"))
def info(
    folder: Path = typer.Argument(..., help="A data set."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """Counts, extents, label coverage, eye distance, and how far expressions are from additive."""
    from mien.data.dataset import FaceDataset
    from mien.data.inspect import inspect_dataset

    facts = inspect_dataset(FaceDataset.load(existing(folder, "data folder")))
    if as_json:
        return show_json(facts)
    show_table(("fact", "value"), [(key.replace("_", " "), _short(value)) for key, value in facts.items()])
    return None


@app.command(epilog=examples("mien data check faces"))
def check(
    folder: Path = typer.Argument(..., help="A data set."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> int:
    """Looks for what is missing, damaged or implausible; exit code 2 if something is."""
    from mien.data.inspect import check_dataset

    result = check_dataset(existing(folder, "data folder"))
    if as_json:
        show_json(result.as_dict())
    else:
        for kind, items in result.as_dict().items():
            for item in items if isinstance(items, list) else ():
                show(f"{kind}: {item}")
        show(f"{folder}: {'sound' if result.sound else 'not sound'}.")
    return 0 if result.sound else MISTAKE


def _finished(out: Path, data: object) -> None:
    """What was built, and what to do next."""
    people = len(data.subjects)  # type: ignore[attr-defined]
    vertices = data.topology.vertex_count  # type: ignore[attr-defined]
    show(f"{out}: {len(data)} faces of {people} people, {vertices} vertices.")  # type: ignore[arg-type]
    say(f"Look at it: mien data info {out}. Try commands on the meshes in {out / 'examples'}.")


def _short(value: object) -> str:
    """A fact in one line of a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_short(item) for item in value)
    return str(value)
