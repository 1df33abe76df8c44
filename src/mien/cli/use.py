"""Commands that use a trained model: from a mesh or a seed to meshes, clips and rigs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mien.cli.shell import choice, show
from mien.errors import BadSetting

MODEL = typer.Argument(..., metavar="MODEL_DIR", help="A finished run.")
OUT = typer.Option(..., "-o", "--out", help="Where the result goes.")
LANDMARKS = typer.Option(
    [],
    "--landmarks",
    metavar="[MESH=]CSV",
    help="Table name, x, y, z in the unit of a mesh of another topology; the first mesh's, or MESH=CSV.",
)
PIECES = typer.Option(
    [],
    "--piece",
    metavar="[MESH=]NAME=KIND",
    help="What a piece of the first mesh, or of MESH, is: Rims=glasses, b.obj=Jaw=lower teeth.",
)
MOUTH_OPEN = typer.Option(
    False, "--rest-mouth-open", help="Go on with a mouth that stands open: what is made is added to that."
)
CORRECTIVES = typer.Option(False, "--correctives", help="Add eyeBlinkLeft50, jawOpen_mouthClose and others.")
NEUTRAL = typer.Option(None, "--neutral", help="The same person at rest; models that build on it need it.")
STYLE = typer.Option(
    None, "--style-of", metavar="PERSON", help="Perform like a training person, or like the person of a mesh."
)


def generate(
    model_dir: Path = MODEL,
    count: int = typer.Option(8, "-n", "--count", min=1, max=1_000_000, help="How many people."),
    seed: int = typer.Option(0, "--seed", help="The same seed gives the same people."),
    expression: list[str] = typer.Option([], "-e", help="Named weight, e.g. smile=0.8; repeat for more."),
    varied: bool = typer.Option(False, "--varied", help="Everybody with a random expression of the model."),
    hold: list[str] = typer.Option(
        [],
        "--hold",
        metavar="FACTOR",
        help="What all share: identity, expression or a further factor of the model, such as viseme or "
        "noise; implies --varied without -e.",
    ),
    person: str | None = typer.Option(None, "--person", help="Everybody is this training person."),
    expression_of: Path | None = typer.Option(
        None, "--expression-of", metavar="MESH", help="Everybody does what this face does."
    ),
    style: str | None = STYLE,
    landmarks: list[str] = LANDMARKS,
    textured: bool = typer.Option(
        False, "--textured", help="GLB files with the texture that the model makes for each person."
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder of OBJ files, or one array FILE.npy."),
) -> None:
    """Makes new people: at rest, with named expressions, with that of a real face, or with random ones.

    Thousands go into [bold].npy[/bold]: (N, V, 3) float32 millimeters, written as they are made.
    """
    from mien import apply
    from mien.cli.faces import read, style_person
    from mien.cli.models import open_model
    from mien.data.notation import Marks, parse_weights
    from mien.io.arrays import write_faces
    from mien.io.people import write_people, write_textured_people

    model = open_model(model_dir)
    weights = parse_weights(expression, model.expressions)
    asked = [
        flag
        for flag, given in (("-e", weights), ("--varied", varied), ("--expression-of", expression_of))
        if given
    ]
    if len(asked) > 1:
        raise BadSetting("these flags exclude each other", received=" and ".join(asked))
    free = varied or bool(hold and not weights)
    marks = Marks.of(landmarks, expression_of, style)
    options: dict[str, Any] = {"weights": None if free else weights, "hold": hold, "person": person}
    options["style"] = style_person(style, model, marks)
    about = {"seed": seed, "model": str(model_dir), **weights}
    if expression_of:
        options |= {"weights": None, "expression_of": read(expression_of, model, marks).vertices}
        about["expression_of"] = str(expression_of)
    if textured:
        people = apply.generate_textured(model, count, seed=seed, **options)
        write_textured_people(out, people, model.topology, about)
        show(f"{out}: {count} textured people as GLB, listed in {out / 'people.csv'}.")
        return
    batches = apply.generate_batches(model, count, seed=seed, **options)
    if out.suffix.lower() == ".npy":
        write_faces(out, batches, (count, model.topology.vertex_count, 3))
        show(f"{out}: {count} people as one array; triangles are in {model_dir / 'topology.npz'}.")
        return
    faces = (face for batch in batches for face in batch)
    write_people(out, faces, model.topology, about)
    show(f"{out}: {count} people as OBJ, listed in {out / 'people.csv'}.")


def reconstruct(
    model_dir: Path = MODEL,
    mesh: Path = typer.Argument(..., help="A face of the model's topology."),
    neutral: Path | None = NEUTRAL,
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    out: Path = OUT,
) -> None:
    """Encodes a face and decodes it again; prints how many millimeters are lost."""
    from mien import apply
    from mien.cli.faces import read, tell
    from mien.cli.models import open_model
    from mien.data.notation import Marks

    model = open_model(model_dir)
    marks = Marks.of(landmarks, mesh, neutral, pieces=piece)
    face = read(mesh, model, marks)
    rest = read(neutral, model, marks).vertices[None] if neutral else None
    result = apply.reconstruct(model, face.vertices[None], rest)[0]
    tell(face.write(out, result))
    show(f"{out}: mean distance to the input {face.distance(result):.2f} mm.")


def neutralize(
    model_dir: Path = MODEL,
    mesh: Path = typer.Argument(..., help="An expressive face, of any topology."),
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    out: Path = OUT,
) -> None:
    """Takes the expression off a face and keeps the person.

    A mesh of another topology keeps its own vertices and all its detail.
    """
    from mien import apply
    from mien.cli.faces import read, tell
    from mien.cli.models import open_model
    from mien.data.notation import Marks

    model = open_model(model_dir)
    face = read(mesh, model, Marks.of(landmarks, mesh, pieces=piece))
    result = apply.neutralize(model, face.vertices[None], keep_detail=face.registered)[0]
    tell(face.write(out, result))
    show(f"{out}: the face at rest; it moved {face.distance(result):.2f} mm on average.")


def transfer(
    model_dir: Path = MODEL,
    expression: list[Path] = typer.Option(
        ..., "--expression", help="A face that performs it; repeat for the mean of several examples."
    ),
    onto: Path = typer.Option(..., "--onto", help="The face that receives it."),
    expression_neutral: list[Path] = typer.Option(
        [], help="The performer at rest, if the model needs it; one for each example."
    ),
    onto_neutral: Path | None = typer.Option(None, help="The receiver at rest, if --onto is expressive."),
    intensity: float = typer.Option(1.0, "--intensity", help="0 changes nothing, more than 1 exaggerates."),
    keep_detail: bool = typer.Option(
        False, "--keep-detail", help="Keep what the model's codes cannot hold of the receiver."
    ),
    add: bool = typer.Option(False, "--add", help="On top of the receiver's own expression."),
    factor: list[str] = typer.Option(
        ["expression"], "--factor", help="What is carried over: expression, identity or a further factor."
    ),
    style: str | None = typer.Option(
        None, "--style", metavar="NAME", help="Not this very face, but how this person performs NAME."
    ),
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    out: Path = OUT,
) -> None:
    """Puts the expression of one person onto another.

    Meshes may have any topology. The result is the receiver's own mesh: vertices, order, polygons, texture
    coordinates, further pieces and all detail.
    """
    from mien import apply
    from mien.cli.faces import read_posed, tell
    from mien.cli.models import open_model
    from mien.data.notation import Marks

    model = open_model(model_dir)
    if expression_neutral and len(expression_neutral) != len(expression):
        raise BadSetting(
            "every example of the expression needs its own --expression-neutral",
            received=f"{len(expression)} examples and {len(expression_neutral)} neutrals",
        )
    if style and (add or factor != ["expression"]):
        raise BadSetting("--add and --factor mean nothing with --style, which carries a named expression")
    marks = Marks.of(landmarks, onto_neutral or onto, onto, *expression_neutral, *expression, pieces=piece)
    target, rest = read_posed(onto, onto_neutral, model, marks)
    if style:
        return _transfer_style(model, style, expression, target, intensity, marks, out)
    neutrals: list[Path | None] = [*expression_neutral] or [None] * len(expression)
    pairs = [read_posed(*pair, model, marks) for pair in zip(expression, neutrals, strict=True)]
    result = apply.transfer(
        model, [face.vertices for face, _ in pairs], target.vertices[None],
        expression_neutral=[performer.vertices for _, performer in pairs if performer] or None,
        onto_neutral=rest and rest.vertices[None], average=True, intensity=intensity,
        keep_detail=keep_detail or target.registered, add=add, factors=factor,
    )[0]  # fmt: skip
    tell(target.write(out, result))
    names = " and ".join(path.name for path in expression)
    show(f"{out}: {onto.name} with the {' and '.join(factor)} of {names}.")
    return None


def _transfer_style(
    model: Any, name: str, performers: list[Path], onto: Any, intensity: float, marks: Any, out: Path
) -> None:
    """Puts a named expression onto a neutral face, as the person of another mesh performs it."""
    from mien import apply
    from mien.cli.faces import read, tell

    if len(performers) != 1:
        raise BadSetting("--style takes the style of one person", received=f"{len(performers)} meshes")
    weights = apply.named_weights(
        model.expressions, {choice("expression", name, model.expressions): intensity}
    )
    person = read(performers[0], model, marks).vertices
    tell(onto.write(out, apply.animate(model, onto.vertices, weights[None], style=person)[0]))
    show(f"{out}: {name.replace('_', ' ')} in the style of {performers[0].name}.")


def interpolate(
    model_dir: Path = MODEL,
    first: Path = typer.Argument(..., metavar="A", help="Where it starts."),
    second: Path = typer.Argument(..., metavar="B", help="Where it ends."),
    steps: int = typer.Option(9, "--steps", min=2, max=10_000, help="Number of faces, both ends included."),
    factor: str = typer.Option("both", "--factor", help="identity, expression, another factor, or both."),
    first_at: float = typer.Option(0.0, "--from", help="Share of the way at the first face; -0.5: before A."),
    last_at: float = typer.Option(1.0, "--to", help="Share of the way at the last face; 1.5: beyond B."),
    first_neutral: Path | None = typer.Option(
        None, "--a-neutral", help="The person of A at rest; models that build on it need it."
    ),
    second_neutral: Path | None = typer.Option(None, "--b-neutral", help="The person of B at rest."),
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    out: Path = OUT,
) -> None:
    """Walks from one face to another, or beyond them: in identity, expression, another factor or all."""
    from mien import apply
    from mien.cli.faces import read_posed, tell
    from mien.cli.models import open_model
    from mien.data.notation import Marks

    model = open_model(model_dir)
    marks = Marks.of(landmarks, first_neutral or first, first, second_neutral or second, second, pieces=piece)
    start, first_rest = read_posed(first, first_neutral, model, marks)
    end, second_rest = read_posed(second, second_neutral, model, marks)
    shares = [first_at + (last_at - first_at) * step / (steps - 1) for step in range(steps)]
    frames = apply.interpolate(
        model, start.vertices, end.vertices, shares, factor,
        a_neutral=first_rest and first_rest.vertices, b_neutral=second_rest and second_rest.vertices,
    )  # fmt: skip
    tell(start.write_frames(out, frames, "step"))
    show(f"{out}: {steps} faces as OBJ.")


def fit(
    model_dir: Path = MODEL,
    landmarks: Path = typer.Argument(..., metavar="LANDMARKS.csv", help="name, x, y, z in millimeters."),
    prior: float = typer.Option(1.0, "--prior", min=0.0, help="0 follows them; more stays a usual face."),
    align: bool = typer.Option(True, help="The landmarks may lie anywhere; the face is put where they are."),
    out: Path = OUT,
) -> None:
    """Finds the face that passes through a few landmarks."""
    from mien import fit as fitting
    from mien.cli.models import open_model
    from mien.io.landmarks import read_landmarks
    from mien.io.mesh import write_mesh

    model = open_model(model_dir)
    names, points = read_landmarks(landmarks)
    vertices, _, residual = fitting.fit_landmarks(model, points, names, prior_weight=prior, align=align)
    write_mesh(out, vertices, model.topology)
    show(f"{out}: passes {len(names)} landmarks at {residual:.2f} mm on average.")
