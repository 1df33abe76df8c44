"""Draws what a trained decoupled GAN can do, in the forms of its publication.

python tools/decoupled_pictures.py RUN [FOLDER]

samples.png   random faces; faces with the same code of one factor, a row for each factor (figures 3 and 5)
sums.png      source, target, the target's expression replaced, and both added (figure 7)
walks.png     interpolation and extrapolation in expression, identity and the whole code (figure 6)
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from numpy.typing import NDArray
from PIL import Image

from mien.codes import Codes
from mien.figures.faces import face_sheet
from mien.models import load_model
from mien.models.base import FaceModel

SHARES = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)


def drawn(model: FaceModel, codes: Codes) -> list[NDArray]:
    with torch.no_grad():
        return list(model.decode(codes).numpy())


def samples(model: FaceModel, columns: int = 8) -> Image.Image:
    generator = torch.Generator().manual_seed(0)
    rows = [drawn(model, model.sample(columns, generator=generator))]
    names = ["random"]
    factors = ("identity", "expression", *(name for name in model.sample(1).others if name != "noise"))
    for factor in factors:
        codes = model.sample(columns, generator=generator)
        held = codes.factor(factor)[:1].expand_as(codes.factor(factor))
        rows.append(drawn(model, codes.replace(**{factor: held})))
        names.append(f"same {factor}")
    return face_sheet(rows, model.topology, names, size=150)


def sums(model: FaceModel, rows: int = 4) -> Image.Image:
    generator = torch.Generator().manual_seed(1)
    weights = torch.eye(len(model.expressions))[torch.randperm(len(model.expressions), generator=generator)]
    source, target = (model.sample(rows, generator=generator) for _ in range(2))
    source = source.replace(expression=model.express(weights[torch.arange(rows) % len(weights)]))
    target = target.replace(expression=model.express(weights[torch.arange(rows, 2 * rows) % len(weights)]))
    added = model.add("expression", target.expression, source.expression)
    columns = [source, target, target.replace(expression=source.expression), target.replace(expression=added)]
    faces = [drawn(model, codes) for codes in columns]
    table = [[column[row] for column in faces] for row in range(rows)]
    return face_sheet(table, model.topology, (), ["source", "target", "replaced", "added"], size=190)


def walks(model: FaceModel) -> Image.Image:
    ends = model.sample(2, generator=torch.Generator().manual_seed(5))
    first, second = ends[:1], ends[1:]
    way = Codes.cat([model.mix(first, second, share) for share in SHARES])
    whole = drawn(model, way)
    still = first.repeat(len(SHARES))
    rows = [drawn(model, still.replace(**{name: way.factor(name)})) for name in ("expression", "identity")]
    labels = [f"{share:g}" for share in SHARES]
    return face_sheet(
        [*rows, whole], model.topology, ["expression", "identity", "whole code"], labels, size=150
    )


def main() -> None:
    model = load_model(sys.argv[1])
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("samples", samples), ("sums", sums), ("walks", walks)):
        picture = make(model)
        picture.save(folder / f"{name}.png", optimize=True)
        print(f"{folder / name}.png: {picture.width} x {picture.height} pixels")


if __name__ == "__main__":
    main()
