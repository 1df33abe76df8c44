"""The report of the demo: what was made, how good it is, and what to do next."""

from __future__ import annotations

import json

import numpy as np

from mien import __version__, apply, hub
from mien.demo.folder import BASELINES, MAIN, DemoFolder, DemoPeople
from mien.demo.head_page import head_sections
from mien.demo.verdicts import verdict
from mien.report import Figure, Section, pictures_of, write_report

SHOWN = ("neutral", "smile", "mouth_stretch", "anger", "lip_puckerer", "grin", "eye_closed", "brow_raiser")
LEAD = """\
First what needs no training: a rig of one head, a performance, a transfer, new people. Then a small model,
trained here on {faces} procedural faces of {people} people ({trained} people for training), judged on people
that it has never seen, and what it makes. One file, no network."""
RIG = """\
The same for a trained model: {targets} morph targets made for one person who was not in the training data
(`rig.glb`, `clip.glb`). Good: as the receiver's own performance in the picture of transfers above. Sums of
targets are {off:.2f} mm off the model's own mixtures; good: 0."""
DATA = """\
People drawn from published measurements of human faces, performing named expressions with muscles of their
own. Every factor is known exactly, so every claim can be checked."""
JUDGED = """\
`{main}` after a few minutes of training (profile `smoke`), beside {baselines} baselines and the cheap
controls. {conditions}

It is a check of the path, not the best that the method can: {advice}"""
USED = """\
The two people below are unseen. Below the transfer stands how the receiver really performs the expression:
people differ, and no method can know how from a neutral face alone."""
NEXT = """\
Everything on this page lies as files beside it. These commands work on them, and the same ones on your own
faces:

```
{commands}
```
"""


def write_page(demo: DemoFolder) -> None:
    """Writes ``report.html`` and its pictures as PNG."""
    trained = [_people(demo), _judged(demo), _generated(demo), _used(demo), _rig(demo), _next(demo)]
    sections = [*head_sections(demo), *trained]
    pictures = [picture for section in sections for picture in section.pictures]
    folder = demo.out / "pictures"
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures, 1):
        picture.image.save(folder / f"{number:02d}.png")
    write_report(
        demo.report, title="Mien: a rig for a head, and a face model trained, judged and used",
        lead=LEAD.format(
            faces=len(demo.data), people=len(demo.data.subjects),
            trained=demo.judged.conditions["training_people"],
        ),
        sections=sections, footer=_footer(demo),
    )  # fmt: skip


def _rig(demo: DemoFolder) -> Section:
    from mien.figures import face_sheet

    made = apply.rig(demo.model(), DemoPeople.of(demo.test).receiver)
    names = [name for name in SHOWN if name in made.names]
    faces = [made.base, *(made.targets[made.names.index(name)] for name in names)]
    labels = ["neutral", *(name.replace("_", " ") for name in names)]
    row = face_sheet([faces], demo.data.topology, (), labels, size=demo.size.picture)
    return Section(
        "A rig by the trained model",
        RIG.format(targets=len(made.names), off=made.linearity_mm),
        pictures=[Figure(row, "An unseen person at rest, and targets of the rig. Good: nobody else's face.")],
    )


def _people(demo: DemoFolder) -> Section:
    from mien.figures import expression_sheet

    names = [name for name in SHOWN if name in ("neutral", *demo.data.expressions)]
    sheet = expression_sheet(demo.data, people=4, expressions=names, size=demo.size.picture)
    return Section(
        "The data of the trained system",
        DATA,
        pictures=[
            Figure(
                sheet,
                "Four people of the data set, at rest and with seven expressions: a good model makes these.",
            )
        ],
    )


def _judged(demo: DemoFolder) -> Section:
    models = {name: demo.model(name) for name in (MAIN, *BASELINES)}
    pictures = pictures_of(demo.judged, models, demo.data, size=demo.size.picture)
    advice, systems = _advice(demo), demo.judged.systems
    given = [name for name, facts in systems.items() if facts.get("anchored")]
    return Section(
        "Judged on unseen people",
        JUDGED.format(
            main=MAIN, baselines=len(BASELINES), conditions=demo.judged.conditions_text, advice=advice
        ),
        facts={
            _card(demo, "reconstruction", "rec_avd_mesh", ("mean face", "morphable")): _value(
                demo, "rec_avd_mesh"
            ),
            _card(demo, "neutralization", "neu_avd", ("input as prediction", "mean neutral")): _value(
                demo, "neu_avd"
            ),
            _card(demo, "transfer", "transfer_avd", ("mean_expression",)): _value(demo, "transfer_avd"),
        },
        pictures=list(pictures.values()),
        tables=demo.judged.tables,
        verdicts=[verdict(table, MAIN, advice, given) for table in demo.judged.tables],
    )


def _advice(demo: DemoFolder) -> str:
    """How long the trained system was trained, and what to do about it."""
    plan = json.loads((demo.run_folder(MAIN) / "run.json").read_text(encoding="utf-8"))["plan"]
    steps = plan["settings"]["steps"]
    return (
        f"it had {steps} steps of training here. Train longer: `mien train {MAIN} "
        f"--data {demo.out / 'faces'} --out runs/longer --profile standard`."
    )


CALLED = {"input as prediction": "doing nothing", "mean neutral": "the mean", "mean face": "the mean"}
"""Controls in plain words."""


def _card(demo: DemoFolder, title: str, metric: str, beside: tuple[str, ...]) -> str:
    """The heading of a number, with what others reach: lower is better."""
    others = ", ".join(f"{CALLED.get(name, name)} {_value(demo, metric, name)}" for name in beside)
    return f"{title}, lower is better ({others})"


def _value(demo: DemoFolder, metric: str, system: str = MAIN) -> str:
    value = demo.judged.value(system, metric)
    return f"{value:.2f} mm" if np.isfinite(value) else "–"


def _generated(demo: DemoFolder) -> Section:
    from mien.figures import face_sheet

    model, names = demo.model(), [name for name in SHOWN if name in ("neutral", *demo.data.expressions)]
    rows = []
    for name in names[:4]:
        weights = {} if name == "neutral" else {name: 1.0}
        rows.append(list(apply.generate(model, 8, seed=1, weights=weights)))
    labels = [name.replace("_", " ") for name in names[:4]]
    sheet = face_sheet(rows, demo.data.topology, labels, size=demo.size.picture)
    return Section(
        "New people by the trained model",
        "Drawn from the model's own distribution; each column is one person. `mien generate` makes them.",
        pictures=[
            Figure(
                sheet,
                "Eight people who do not exist, at rest and with three expressions. Good: as different as "
                "the people of the data, lids and lips as clean.",
            )
        ],
    )


def _used(demo: DemoFolder) -> Section:
    from mien.figures import face_sheet

    people, topology = DemoPeople.of(demo.test), demo.data.topology
    with np.load(demo.out / "use" / "meshes.npz") as file:
        meshes = {name: file[name] for name in file.files}
    labels = [label.replace("_", " ") for label in people.labels]
    size = demo.size.picture
    neutral = face_sheet(
        [[*people.expressive, None], [*meshes["neutralized"], people.neutral]], topology,
        ["scan", "at rest"], [*labels, "true rest"], size=size,
    )  # fmt: skip
    moved = face_sheet(
        [[None, *people.expressive], [people.receiver, *meshes["transferred"]], [None, *people.truth]],
        topology,
        ["performer", "receiver", "receiver's own"], ["", *labels], size=size,
    )  # fmt: skip
    walk = face_sheet([list(meshes["walk"])], topology, size=size)
    return Section(
        "The trained model, used",
        USED,
        pictures=[
            Figure(neutral, "Neutralize: the expression is taken off each scan; on the right the true rest."),
            Figure(moved, "Transfer: the performer's expressions on the receiver, and the receiver's own."),
            Figure(walk, "Interpolate: from one person's smile to another person at rest."),
        ],
    )


def _next(demo: DemoFolder) -> Section:
    example = next((demo.out / "faces" / "examples").glob("*_neutral.obj"))
    other = next((demo.out / "faces" / "examples").glob("*_smile.obj"), example)
    run, out = demo.run_folder(MAIN), demo.out
    commands = (
        f"mien rig {demo.head / 'head.obj'} -o my_rig.glb",
        f"mien view {run} {example} --data {out / 'faces'}",
        f"mien rig {run} {example} -o rig.glb",
        f"mien animate {run} {example} -e smile --onset 0.2 --apex 0.6 --offset 1.0 -o smile.glb",
        f"mien transfer {run} --expression {other} --onto {example} -o transferred.obj",
        f"mien generate {run} -n 8 -e anger=0.7 -o people",
        f"mien evaluate {run} {demo.run_folder('morphable')} --data {out / 'faces'}",
        f"mien train {MAIN} --data {out / 'faces'} --out runs/longer --profile standard",
    )
    return Section("Your turn", NEXT.format(commands="\n".join(commands)))


def _footer(demo: DemoFolder) -> str:
    seconds = ", ".join(f"{title} {value:.0f} s" for title, value in demo.seconds.items())
    citations = "\n\n".join(hub.citation(name) for name in (MAIN, *BASELINES))
    return (
        f"Mien {__version__}; data: {demo.data.license}. {demo.data.citation}.\n\n"
        f"Time: {seconds or 'kept results'}.\n\n"
        f"```\n{citations}\n```"
    )
