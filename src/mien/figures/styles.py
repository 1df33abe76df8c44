"""Sheets of what a generative model controls: expression, intensity, style, identity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from PIL import Image

from mien.codes import Codes
from mien.figures.faces import face_sheet
from mien.figures.sheets import stacked
from mien.models.base import FaceModel

SHOWN_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Intensities of a sheet's columns."""
BEYOND = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Of the way between two people: inside, and half a step beyond both."""


def people_at_rest(model: FaceModel, count: int, seed: int) -> Codes:
    """Sampled people at rest."""
    codes = model.sample(count, generator=torch.Generator().manual_seed(seed)).to(model.device)
    return performing(model, codes, [None] * count, 0.0)


def performing(model: FaceModel, people: Codes, names: Sequence[str | None], level: float = 1.0) -> Codes:
    """Each person with the expression of the same place; None is neutral."""
    weights = torch.zeros(len(names), len(model.expressions))
    for row, name in enumerate(names):
        if name is not None:
            weights[row, model.expressions.index(name)] = level
    return people.replace(expression=model.express(weights.to(model.device)))


@torch.no_grad()
def rows_of_faces(model: FaceModel, rows: Sequence[Codes]) -> list[list[NDArray | None]]:
    """A row of faces, (V, 3) float32 in millimeters, for each batch of codes."""
    return [list(model.decode(codes).float().cpu().numpy()) for codes in rows]


def expressions_sheet(model: FaceModel, people: Codes, *, columns: int = 7, size: int = 170) -> Image.Image:
    """One person at rest and with every expression (the appendix's figure 6)."""
    names: list[str | None] = [None, *model.expressions]
    faces = rows_of_faces(model, [performing(model, people[:1].repeat(len(names)), names)])[0]
    labels = ["neutral", *(readable(name) for name in model.expressions)]
    title = f"One person with every expression, {model.name}"
    parts = [slice(k, k + columns) for k in range(0, len(names), columns)]
    return stacked(
        [
            face_sheet(
                [faces[part]], model.topology, [], labels[part], "" if part.start else title, size=size
            )
            for part in parts
        ]
    )


def intensity_sheet(model: FaceModel, people: Codes, names: Sequence[str], *, size: int = 170) -> Image.Image:
    """Expressions down, intensities across; each row a person, whose noise is held."""
    rows = [
        Codes.cat([performing(model, people[k : k + 1], [name], level) for level in SHOWN_LEVELS])
        for k, name in enumerate(names)
    ]
    return face_sheet(
        rows_of_faces(model, rows), model.topology, [readable(n) for n in names],
        [f"{level:g}" for level in SHOWN_LEVELS], f"Intensity, {model.name}", size=size,
    )  # fmt: skip


def blend_sheet(model: FaceModel, people: Codes, names: Sequence[str], *, size: int = 170) -> Image.Image:
    """All pairs of expressions, each at full weight, added on one person; the diagonal shows them alone."""
    rows = []
    for first in names:
        weights = torch.zeros(len(names), len(model.expressions))
        for place, second in enumerate(names):
            for name in {first, second}:
                weights[place, model.expressions.index(name)] = 1.0 if first == second else 0.8
        shown = model.express(weights.to(model.device))
        rows.append(people[:1].repeat(len(names)).replace(expression=shown))
    labels = [readable(name) for name in names]
    return face_sheet(
        rows_of_faces(model, rows), model.topology, labels, labels, f"Blends, {model.name}",
        note="Off the diagonal both expressions at 0.8.", size=size,
    )  # fmt: skip


def style_sheet(model: FaceModel, people: Codes, name: str, styles: Codes, *, size: int = 170) -> Image.Image:
    """People down, their own style of one expression and those of others across (figure 1a)."""
    rows = []
    for k in range(len(people)):
        own = performing(model, people[k : k + 1], [name])
        taken = [model.restyle(own, styles[j : j + 1]) for j in range(len(styles))]
        rows.append(Codes.cat([model.restyle(own, own), *taken]))
    labels = ["own style", *(f"style {j + 1}" for j in range(len(styles)))]
    title = f"Styles of {readable(name)}, {model.name}"
    sides = [f"person {k + 1}" for k in range(len(people))]
    return face_sheet(rows_of_faces(model, rows), model.topology, sides, labels, title, size=size)


def style_transfer_sheet(
    model: FaceModel, people: Codes, names: Sequence[str], *, size: int = 170
) -> Image.Image:
    """Expressions down: two people's own, and the first person in the second one's style (figure 1b)."""
    rows = []
    for name in names:
        source, target = (performing(model, people[k : k + 1], [name]) for k in (0, 1))
        rows.append(
            Codes.cat([*(model.restyle(c, c) for c in (source, target)), model.restyle(source, target)])
        )
    columns = ("source", "target", "source, target's style")
    sides = [readable(name) for name in names]
    title = f"Style transfer, {model.name}"
    return face_sheet(rows_of_faces(model, rows), model.topology, sides, columns, title, size=size)


def people_sheet(
    model: FaceModel, people: Codes, names: Sequence[str | None], *, size: int = 170
) -> Image.Image:
    """From one person to another and beyond, with several expressions."""
    walk = Codes.cat([model.mix(people[:1], people[1:2], amount) for amount in BEYOND])
    rows = [performing(model, walk, [name] * len(BEYOND)) for name in names]
    sides = ["neutral" if name is None else readable(name) for name in names]
    return face_sheet(
        rows_of_faces(model, rows), model.topology, sides, [f"{amount:g}" for amount in BEYOND],
        f"From one person to another, {model.name}", size=size,
    )  # fmt: skip


def readable(name: str) -> str:
    """An expression's name for people."""
    return name.replace("_", " ")
