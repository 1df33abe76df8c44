"""The first part of the demo's page: a head rigged without training, its performance, a transfer, people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien import apply
from mien.apply.rig_report import FREE, MET_MM
from mien.data.texture_files import read_texture
from mien.data.textures import texture_paths
from mien.demo.folder import DemoFolder, DemoPeople
from mien.demo.head import ACTS, FPS, resting_row
from mien.figures import expression_sheet, face_colors, face_sheet
from mien.io.gltf import read_glb_targets
from mien.models.deformation_transfer import DeformationTransfer
from mien.report import Figure, Section

POSES: Mapping[str, Mapping[str, float]] = {
    "at rest": {},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "jaw open": {"jawOpen": 0.8},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "pucker": {"mouthPucker": 1.0},
}
"""What the picture of the rig shows: sums of the targets in its file."""
CAST = ("neutral", "smile", "mouth_stretch", "anger", "eye_closed", "brow_raiser")
LARGER = 1.25  # pictures of one head over those of sheets
RIG = """\
`mien rig head.obj -o rig.glb`: one head at rest went in, {targets} morph targets came out, made for this face
and on its own vertices. No training, no hand work. {shapes} Drag to turn, move the sliders, or play the
clip; Blender, Unity, Unreal and browsers open the file.

{said}"""
PICKED = """

Not good yet: on some heads shut lids have dark edges, and corners of an open mouth small folds."""
PERFORMED = """\
`head/clip.glb`: the rig with {seconds:.1f} seconds of weights at {fps:.0f} frames a second, as
`mien animate head.obj --curves TAKE` writes from a phone's recording. Good: every expression arrives, the
lids shut, and the face comes back to rest, from which its last frame is {back:.2f} mm away (good: 0)."""
MOVED = """\
What one person does, put on another head by deformation transfer, which needs no training either. People
perform differently: no method can know the last row from a face at rest, so 0 mm is out of reach.

{verdict}"""


def head_sections(demo: DemoFolder) -> list[Section]:
    """What needs no training, the best first."""
    return [_rig(demo), _performance(demo), _transfer(demo), _people(demo)]


def rig_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """The numbers of a rig's report, each with what good would be.

    Args:
        facts: As ``head/report.json`` has them.
    """
    found = {
        f"sums of targets off the model (good: 0; lids and lips meet below {MET_MM} mm)":
            f"{facts['linearity_mm']:.2f} mm",
    }  # fmt: skip
    report = facts["report"]
    if report is None:
        return found
    gaps = [max(gap, 0.0) for item in report["targets"] for gap in item["lid_gap_mm"].values()]
    if gaps:
        found[f"lids apart in a blink, the worst (good: below {MET_MM} mm)"] = f"{max(gaps):.2f} mm"
    if report["lips_mm"] is not None:
        found[f"lips apart when closed over an open jaw (good: below {MET_MM} mm)"] = (
            f"{report['lips_mm']:.2f} mm"
        )
    if report["mouth_covered"] is not None:
        found[f"of the open mouth have skin standing across it (good: below {100 * FREE:.0f} %)"] = (
            f"{100 * report['mouth_covered']:.1f} %"
        )
    worst = max(report["targets"], key=lambda item: item["leak"])
    found[
        f"of {worst['name']}, the worst, moves skin far from where it belongs (good: 0 %); it moves "
        f"{worst['largest_mm']:.1f} mm at most"
    ] = f"{100 * worst['leak']:.1f} %"
    return found


def _rig(demo: DemoFolder) -> Section:
    facts = json.loads((demo.head / "report.json").read_text(encoding="utf-8"))
    report = facts["report"]
    said = " ".join(report["notes"]) if report else (
        "The head has the topology of the shapes: nothing had to be carried over to it."
    )  # fmt: skip
    morphs = read_glb_targets(demo.head / "rig.glb")
    weights = np.array([[pose.get(name, 0.0) for name in morphs.names] for pose in POSES.values()])
    row = _drawn(demo, posed(morphs.base, morphs.targets, weights), list(POSES))
    return Section(
        "A rig for one head, without training",
        RIG.format(targets=facts["targets"], shapes=facts["shapes"], said=said)
        + (PICKED if demo.cast.source == "makehuman" else ""),
        facts=rig_facts(facts),
        rig=(demo.head / "clip.glb").read_bytes(),
        rig_colors=None if demo.size.skin else face_colors(demo.cast.topology),
        pictures=[
            Figure(
                row,
                "Drawn from the file of the rig. Good: lids shut without a slit, lips stay sealed where "
                "they should, no skin of the neck or ears moves.",
            )
        ],
    )


def posed(base: NDArray, targets: NDArray, weights: NDArray) -> NDArray[np.float32]:
    """(T, V, 3) float32, millimeters: what a program shows of a rig.

    Args:
        base: (V, 3) float, millimeters.
        targets: (E, V, 3) float, millimeters. Absolute positions at weight one.
        weights: (T, E) float.
    """
    return (base + np.tensordot(weights, targets - base, 1)).astype(np.float32)


def _drawn(demo: DemoFolder, faces: NDArray, labels: list[str]) -> Image.Image:
    """The rigged head, (K, V, 3) millimeters, with its skin if it has one."""
    skin = _skin(demo, resting_row(demo))
    size = round(LARGER * demo.size.picture)
    maps = [[skin] * len(faces)]
    return face_sheet([list(faces)], demo.cast.topology, (), labels, size=size, maps=maps)


def _skin(demo: DemoFolder, row: int) -> NDArray[np.uint8] | None:
    """(H, W, 3) sRGB: the skin of one of the people, or None."""
    return read_texture(texture_paths(demo.cast.take([row]))[0]) if demo.size.skin else None


def _performance(demo: DemoFolder) -> Section:
    morphs = read_glb_targets(demo.head / "clip.glb")
    assert morphs.animation is not None
    weights = morphs.animation[0]
    apexes = [((act.onset + act.apex) / 2, (act.apex + act.release) / 2) for act in ACTS]
    busy = np.array([0, *(round(time * FPS) for pair in apexes for time in pair), len(weights) - 1])
    frames = posed(morphs.base, morphs.targets, weights[busy])
    back = float(np.linalg.norm(frames[-1] - morphs.base, axis=1).mean())
    strip = _drawn(demo, frames, [f"{frame / FPS:.1f} s" for frame in busy])
    return Section(
        "A performance",
        PERFORMED.format(seconds=len(weights) / FPS, fps=FPS, back=back),
        pictures=[
            Figure(strip, "Frames of the clip, from its file: a smile, a blink, an open jaw, a pucker.")
        ],
    )


def _transfer(demo: DemoFolder) -> Section:
    cast = demo.cast
    people = DemoPeople.of(cast, 4)
    model = DeformationTransfer(cast.topology, cast.expressions)
    moved = apply.transfer(model, people.expressive, people.receiver, expression_neutral=people.neutral)
    at_rest = np.flatnonzero(cast.is_neutral)
    skins = [_skin(demo, int(at_rest[k])) for k in (0, -1, -1)]
    sheet = face_sheet(
        [[people.neutral, *people.expressive], [people.receiver, *moved], [None, *people.truth]],
        cast.topology, ["performer", "receiver", "receiver's own"],
        ["at rest", *(label.replace("_", " ") for label in people.labels)], size=demo.size.picture,
        maps=[[skin] * (1 + len(people.labels)) for skin in skins],
    )  # fmt: skip
    apart = np.linalg.norm(moved - people.truth, axis=-1).mean()
    nothing = np.linalg.norm(people.receiver - people.truth, axis=-1).mean()
    return Section(
        "A transfer",
        MOVED.format(verdict=transfer_verdict(float(apart), float(nothing))),
        facts={
            f"from the receiver's own expressions, lower is better (doing nothing: {nothing:.2f} mm)":
                f"{apart:.2f} mm",
        },
        pictures=[Figure(sheet, "Good: the performer's expression with the receiver's face.")],
    )  # fmt: skip


def transfer_verdict(apart: float, nothing: float) -> str:
    """Whether a transfer is better than leaving the receiver at rest.

    Args:
        apart: Mean millimeters from the receiver's own expressions.
        nothing: The same for the receiver at rest.
    """
    if apart < nothing:
        return f"**The transfer wins**: it is {1 - apart / nothing:.0%} nearer to them than doing nothing."
    return "**Doing nothing wins**: these people perform too differently for one to foretell the other."


def _people(demo: DemoFolder) -> Section:
    cast = demo.cast
    names = [name for name in CAST if name in ("neutral", *cast.expressions)]
    sheet = expression_sheet(cast, people=len(cast.subjects), expressions=names, size=demo.size.picture)
    return Section(
        "New people",
        f"Nobody was scanned: people are drawn by `mien data build {cast.source}`, each with a face and "
        "a manner of their own. They are what models can be trained on when no scans are at hand.",
        pictures=[Figure(sheet, "Good: different faces, the same expression recognizable in each column.")],
    )
