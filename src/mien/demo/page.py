"""The report of the demo: what was made, how good it is, and what to do next."""

from __future__ import annotations

import numpy as np

from mien import __version__, apply, hub
from mien.demo.folder import BASELINES, MAIN, DemoFolder, DemoPeople
from mien.report import Figure, Section, pictures_of, write_report

SHOWN = ("neutral", "smile", "mouth_stretch", "anger", "lip_puckerer", "grin", "eye_closed", "brow_raiser")
LEAD = """\
{faces} procedural faces of {people} people, a disentangled model trained on {trained} of them, and everything
below made for people that it has never seen. One file, no network."""
RIG = """\
Morph targets made for one person who was not in the training data, in a GLB that Blender, Unity, Unreal and
browsers open. Drag to turn, move the sliders, or play the clip. `rig.glb` and `clip.glb` lie beside this
page."""
DATA = """\
People drawn from published measurements of human faces, performing named expressions with muscles of their
own. Every factor is known exactly, so every claim can be checked."""
JUDGED = """\
`{main}` after a few minutes of training (profile `smoke`), beside {baselines} baselines and the cheap
controls. {conditions}"""
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
    sections = [_rig(demo), _people(demo), _judged(demo), _generated(demo), _used(demo), _next(demo)]
    pictures = [picture for section in sections for picture in section.pictures]
    folder = demo.out / "pictures"
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures, 1):
        picture.image.save(folder / f"{number:02d}.png")
    write_report(
        demo.report, title="Mien: a face model, trained, judged and used",
        lead=LEAD.format(
            faces=len(demo.data), people=len(demo.data.subjects),
            trained=demo.judged.conditions["training_people"],
        ),
        sections=sections, footer=_footer(demo),
    )  # fmt: skip


def _rig(demo: DemoFolder) -> Section:
    from mien.figures import face_colors

    made = apply.rig(demo.model(), DemoPeople.of(demo.test).receiver)
    return Section(
        "The product: a rig",
        RIG,
        facts={
            "morph targets": len(made.names),
            "vertices": f"{demo.data.topology.vertex_count:,}",
            "sums off the model": f"{made.linearity_mm:.2f} mm",
        },
        rig=(demo.out / "clip.glb").read_bytes(),
        rig_colors=face_colors(demo.data.topology),
    )


def _people(demo: DemoFolder) -> Section:
    from mien.figures import expression_sheet

    names = [name for name in SHOWN if name in ("neutral", *demo.data.expressions)]
    sheet = expression_sheet(demo.data, people=4, expressions=names, size=demo.size.picture)
    return Section(
        "The data",
        DATA,
        pictures=[Figure(sheet, "Four people of the data set, at rest and with seven expressions.")],
    )


def _judged(demo: DemoFolder) -> Section:
    models = {name: demo.model(name) for name in (MAIN, *BASELINES)}
    pictures = pictures_of(demo.judged, models, demo.data, size=demo.size.picture)
    return Section(
        "Judged on unseen people",
        JUDGED.format(main=MAIN, baselines=len(BASELINES), conditions=demo.judged.conditions_text),
        facts={
            "reconstruction": _millimeters(demo, "rec_avd_mesh"),
            "neutralization": _millimeters(demo, "neu_avd"),
            "transfer": _millimeters(demo, "transfer_avd"),
        },
        pictures=list(pictures.values()),
        tables=demo.judged.tables,
    )


def _millimeters(demo: DemoFolder, metric: str) -> str:
    value = demo.judged.value(MAIN, metric)
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
        "New people",
        "Drawn from the model's own distribution; each column is one person. `mien generate` makes them.",
        pictures=[Figure(sheet, "Eight people who do not exist, at rest and with three expressions.")],
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
        [[None, *people.expressive], [people.receiver, *meshes["transferred"]], [None, *people.truth]], topology,
        ["performer", "receiver", "receiver's own"], ["", *labels], size=size,
    )  # fmt: skip
    walk = face_sheet([list(meshes["walk"])], topology, size=size)
    return Section(
        "Used",
        USED,
        pictures=[
            Figure(
                neutral, "Neutralize: the expression is taken off each scan; on the right the true rest."
            ),
            Figure(moved, "Transfer: the performer's expressions on the receiver, and the receiver's own."),
            Figure(walk, "Interpolate: from one person's smile to another person at rest."),
        ],
    )


def _next(demo: DemoFolder) -> Section:
    example = next((demo.out / "faces" / "examples").glob("*_neutral.obj"))
    other = next((demo.out / "faces" / "examples").glob("*_smile.obj"), example)
    run, out = demo.run_folder(MAIN), demo.out
    commands = (
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
