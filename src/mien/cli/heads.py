"""``mien register`` and ``mien rig``: heads of any topology in, rigs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mien.cli.shell import say, show, show_json, show_table
from mien.cli.use import CORRECTIVES, LANDMARKS, MOUTH_OPEN, OUT, PIECES, STYLE


def register(
    mesh: Path = typer.Argument(
        ..., help="A head of any topology: OBJ, PLY (or points), STL, glTF, FBX, WRL."
    ),
    onto: Path = typer.Option(..., "--onto", metavar="MODEL_DIR", help="The model whose template is laid."),
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    save_landmarks: Path | None = typer.Option(
        None, "--save-landmarks", metavar="CSV", help="Also write a table of landmarks to fill."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path = typer.Option(..., "-o", "--out", help="The registered template, *.obj or *.ply."),
) -> None:
    """Lays a model's template onto a mesh of any topology, and says how well it lies.

    Beside OUT are written: OUT.json with the numbers, OUT.png to look at, and OUT_landmarks.csv with the
    template's landmarks on the mesh. Move those that are off, and give the file with --landmarks. Where no
    face is found, OUT.png shows what came closest; --save-landmarks writes a table to fill instead.
    """
    from mien.apply.heads import open_head
    from mien.cli.faces import tell
    from mien.cli.models import open_model
    from mien.data.notation import Marks
    from mien.errors import BadMesh
    from mien.figures.guess import with_picture
    from mien.figures.registration import registration_sheet
    from mien.io.json_text import write_json
    from mien.io.landmarks import write_landmarks
    from mien.io.landmarks_to_fill import write_landmarks_to_fill
    from mien.io.mesh import read_head, write_mesh

    model = open_model(onto)
    if save_landmarks:
        write_landmarks_to_fill(save_landmarks, model.topology)
    try:
        marks = Marks.of(landmarks, mesh, pieces=piece)
        source = read_head(mesh)
        head = open_head(model, source, landmarks=marks[mesh], pieces=marks.pieces.get(mesh))
    except BadMesh as error:
        raise with_picture(error, mesh.stem, out.with_suffix(".png")) from error
    found = head.registration
    report = {"mesh": str(mesh), "model": str(onto), **head.report()}
    write_mesh(out, found.vertices, model.topology)
    names, points = found.landmarks()
    if names:
        write_landmarks(out.with_name(f"{out.stem}_landmarks.csv"), names, points)
    write_json(out.with_suffix(".json"), report)
    registration_sheet(found, mesh.name).save(out.with_suffix(".png"))
    if as_json:
        return show_json(report)
    tell(head.notes)
    show(f"{out}: {found.quality.sentence}.")
    say(f"Look at {out.with_suffix('.png')}. Numbers: {out.with_suffix('.json')}.")
    return None


def rig(
    model_dir: Path = typer.Argument(..., metavar="[MODEL_DIR]", help="A finished run, or textbook shapes."),
    neutral: Path | None = typer.Argument(None, metavar="NEUTRAL", help="The person at rest."),
    names: str = typer.Option("model", "--names", help="model, arkit, or a CSV: target, name, weight, side."),
    texture: str | None = typer.Option(
        None, "--texture", help="Albedo PNG or JPEG in the mesh's uv, or 'model': made for this person."
    ),
    style: str | None = STYLE,
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    rest_mouth_open: bool = MOUTH_OPEN,
    save_names: Path | None = typer.Option(
        None, "--save-names", help="Also write the table of names, to edit and give back with --names."
    ),
    existing: str = typer.Option("refuse", help="Targets of these names in the file: refuse, keep, replace."),
    source: list[str] = typer.Option([], "--source", help="Without a model: ict, makehuman, procedural."),
    like: list[Path] = typer.Option([], "--like", help="A rigged head to follow, or a folder; repeat."),
    like_names: Path | None = typer.Option(None, help="CSV arkit, shape: for rigs with other names."),
    size: list[str] = typer.Option([], "--size", help="TARGET=1.2: how large; or a CSV; repeat."),
    correctives: bool = CORRECTIVES,
    as_json: bool = typer.Option(False, "--json", help="Print what became of each target, as JSON."),
    out: Path = OUT,
) -> None:
    """Makes a GLB, USD or FBX with named morph targets for this face; the rest pose is the input, exactly.

    Without a model the targets are textbook ARKit shapes, agreed on by the sources on this machine, or those
    of rigged heads of any topology (--like: GLB, VRM, FBX, folder of meshes). The head may have any topology,
    too: it keeps its vertices, order, materials and further pieces; eyes and teeth follow.
    """
    from mien import apply
    from mien.cli.faces import read, style_person, tell
    from mien.data.arkit import rules_table
    from mien.data.notation import Marks
    from mien.data.rig_sizes import given_sizes
    from mien.io.atomic import write_bytes
    from mien.io.gltf import png_bytes
    from mien.io.mesh import mesh_reader

    folder, neutral = (model_dir, neutral) if neutral else (None, model_dir)
    mesh_reader(neutral)  # a file that is missing is told before shapes are made
    model = rigging_model(folder, source, like, neutral, like_names)
    marks = Marks.of(landmarks, neutral, style, pieces=piece)
    if texture is None:
        apply.check_existing_targets(neutral, out, model, names, existing)
    face = read(neutral, model, marks, rest_mouth_open)
    made, rules, notes = apply.rig_by_names(model, face, names, style=style_person(style, model, marks))
    tell(notes)
    if save_names:
        write_bytes(save_names, rules_table(rules).encode())
    image: bytes | Path | None = Path(texture) if texture else None
    if texture == "model":
        face, image = face.in_model_uv(), png_bytes(apply.texture(model, face.vertices)[0])
    sizes = given_sizes(size, made.names)
    options: dict[str, Any] = {"texture": image, "existing": existing}
    options |= {"sizes": sizes, "correctives": correctives}
    tell(face.write_rig(out, made, **options))
    report = apply.report_rig(face, made)
    if as_json:
        return show_json({"rig": str(out), "names": made.names, "report": report and report.as_dict()})
    tell(report.sentences if report else ())
    show(
        f"{out}: {len(made.names)} morph targets; sums of them are {made.linearity_mm:.2f} mm off the model."
    )
    say("Names are in extras.targetNames, where Blender, Unity and three.js look for them.")
    return None


def rigging_model(
    folder: Path | None, sources: list[str], like: list[Path], head: Path | None, table: Path | None
) -> Any:
    """A finished run, textbook shapes, or those of other rigs; says whose."""
    from mien.apply.like import model_like
    from mien.cli.faces import tell
    from mien.cli.models import model_or_textbook
    from mien.errors import BadSetting

    if not like:
        return model_or_textbook(folder, sources)
    if folder:
        raise BadSetting("--like is for rigs without a model", received=f"{folder} and --like {like[0]}")
    model, notes = model_like(like, head, table=table, sources=sources or None)
    tell(notes)
    return model


def evaluate_rig(
    rig: Path = typer.Argument(..., help="What is judged: GLB, VRM, or a folder of meshes."),
    artist: Path | None = typer.Argument(None, help="An artist's rig of the same head; or --judges."),
    beside: list[str] = typer.Option([], "--beside", metavar="NAME=RIG", help="Of this head, or of others."),
    names: Path | None = typer.Option(None, "--names", help="CSV arkit, shape: for other names."),
    judges: bool = typer.Option(False, "--judges", help="Does a network read each shape?"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path | None = typer.Option(None, "--out", help="Write rig.md, .csv, .json and a sheet there."),
) -> None:
    """Judges a rig against an artist's shapes on the same head: error, leak, lids, lips, teeth, stretch."""
    from mien.evaluation.rigs import compare_rig_files
    from mien.figures.rigs import rig_sheet
    from mien.find.reader import FaceReader

    others, judge = dict(item.split("=", 1) for item in beside), FaceReader.open() if judges else None
    report = compare_rig_files(rig, artist, others, names, out, judge)
    if out is not None and artist is not None:
        rig_sheet(report).save(out / "rig.png")
    if as_json:
        return show(report.to_json())
    for table in report.tables:
        show_table(table.header, table.rows, title=table.title)
    return show("\n".join(report.notes))
