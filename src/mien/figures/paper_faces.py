"""``mien evaluate --pictures``: the papers' figures, drawn for models on people they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.io.atomic import atomic_file

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mien.data.dataset import FaceDataset
    from mien.models.base import FaceModel

SHARES = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Of the way between two faces: FaceTuneGAN's figures step by a quarter inside and by a half outside."""


def draw_pictures(
    models: Mapping[str, FaceModel], data: FaceDataset, folder: Path, *, seed: int
) -> list[Path]:
    """Draws every figure that the models can fill, and returns the files.

    Args:
        models: Name -> model.
        data: Scans of unseen people.
        folder: Where the PNG files go.
        seed: Of the choice of people.
    """
    cast = _cast(data, seed)
    drawn: dict[str, Image] = {}
    able = {verb: _able(models, verb) for verb in ("reconstruct", "neutralize", "transfer", "interpolate")}
    if able["reconstruct"]:
        drawn["reconstruction"] = _reconstructions(able["reconstruct"], data, cast)
    for name, model in able["neutralize"].items():
        drawn[f"neutrals-{name}"] = _variations(name, model, data, cast)
    if able["transfer"] and len(cast.people) > 1:
        drawn["transfer"] = _transfers(able["transfer"], data, cast)
    for name, model in able["interpolate"].items():
        drawn[f"walk-{name}"] = _walk(name, model, data, cast)
    for name, model in models.items():
        if model.makes_textures:
            drawn |= {f"{kind}-{name}": image for kind, image in _textured(name, model, seed).items()}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, image in drawn.items():
        paths.append(folder / f"{name}.png")
        with atomic_file(paths[-1]) as file:
            image.save(file, "PNG", optimize=True)
    return paths


class _Cast:
    """Who is shown: rows of people who may be published and have a neutral and several expressions."""

    def __init__(self, data: FaceDataset, people: NDArray[Any]) -> None:
        self.data, self.people = data, people

    def rows(self, person: int) -> NDArray[Any]:
        """Expressive scans of a person, one a label, strongest first come in order of the labels."""
        mine = np.flatnonzero(self.data.row_subject == self.people[person])
        label, weight = self.data.label[mine], self.data.row_weights[mine].sum(axis=1)
        best = {
            int(k): int(mine[label == k][weight[label == k].argmax()]) for k in np.unique(label) if k >= 0
        }
        return np.array([best[k] for k in sorted(best)])

    def shared(self, first: int, second: int, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows of two people with the same labels, ``count`` of them spread over the labels."""
        rows = [self.rows(person) for person in (first, second)]
        labels = [self.data.label[part] for part in rows]
        both = np.intersect1d(*labels)
        both = both[np.linspace(0, len(both) - 1, min(count, len(both))).round().astype(int)]
        picked = [part[np.searchsorted(known, both)] for part, known in zip(rows, labels, strict=True)]
        return picked[0], picked[1]

    def label(self, row: int) -> str:
        """The expression of a row, spoken."""
        return self.data.expressions[self.data.label[row]].replace("_", " ")


def _cast(data: FaceDataset, seed: int) -> _Cast:
    from mien.errors import BadSetting

    known = data.row_labeled("expression") & data.has_neutral & (data.label >= 0)
    shown: NDArray[Any] = np.flatnonzero(np.asarray(data.publishable))
    people = np.intersect1d(np.unique(data.row_subject[known]), shown)
    if not len(people):
        raise BadSetting(
            "no picture can be drawn: nobody may be shown who has a neutral and a labeled expression",
            received=f"{len(data)} scans", remedy="leave out --pictures or choose another part",
        )  # fmt: skip
    return _Cast(data, np.random.default_rng([seed, 60]).permutation(people))


def _able(models: Mapping[str, FaceModel], verb: str) -> dict[str, FaceModel]:
    from mien import apply

    return {name: model for name, model in models.items() if apply.refusal(type(model), verb) is None}


def _reconstructions(models: Mapping[str, FaceModel], data: FaceDataset, cast: _Cast) -> Image:
    from mien import apply
    from mien.figures.faces import error_maps

    rows = np.array([cast.rows(k % len(cast.people))[5 * k % 7] for k in range(min(4, 4 * len(cast.people)))])
    scans, neutrals = data[rows], data.neutral_of(rows)
    made = {name: apply.reconstruct(model, scans, neutrals) for name, model in models.items()}
    return error_maps(scans, made, data.topology, [cast.label(row) for row in rows], size=180)


def _variations(name: str, model: FaceModel, data: FaceDataset, cast: _Cast) -> Image:
    from mien import apply
    from mien.figures.comparison import variation_sheet

    rows = cast.rows(0)[:10]
    neutrals = apply.neutralize(model, data[rows])
    labels = [cast.label(row) for row in rows]
    return variation_sheet(data[rows], neutrals, data.topology, labels, title=f"One person at rest, {name}")


def _transfers(models: Mapping[str, FaceModel], data: FaceDataset, cast: _Cast) -> Image:
    from mien import apply
    from mien.figures.comparison import transfer_sheet

    performer, receiver = cast.shared(0, 1, 5)
    rest, onto = data.neutral_of(performer), data.neutral_of(receiver)
    made = {
        name: apply.transfer(model, data[performer], onto, expression_neutral=rest, onto_neutral=onto)
        for name, model in models.items()
    }
    labels = [cast.label(row) for row in receiver]
    return transfer_sheet(data[performer], onto, data[receiver], made, data.topology, labels)


def _textured(name: str, model: FaceModel, seed: int) -> dict[str, Image]:
    """One new person with the same texture noise under eight expressions, and walks beyond two people."""
    import torch

    from mien import apply
    from mien.codes import Codes
    from mien.figures.textures import textured_people, textured_sheet

    names = model.expressions[:7]
    weights = torch.eye(len(model.expressions))[: len(names)]
    weights = torch.cat([torch.zeros_like(weights[:1]), weights]).to(model.device)
    with torch.no_grad():
        people = model.sample(3, generator=torch.Generator().manual_seed(seed))
        poses = model.express(weights)
        one = people[torch.zeros(len(poses), dtype=torch.long)].replace(expression=poses)
        labels = [spoken.replace("_", " ") for spoken in ("neutral", *names)]
        sheet = textured_sheet(
            *apply.colored(model, one), model.topology, labels, title=f"One generated person, {name}",
        )  # fmt: skip
        rows = []
        for pose in range(min(3, len(poses))):
            first, second = (people[k : k + 1].replace(expression=poses[pose : pose + 1]) for k in (1, 2))
            rows.append(Codes.cat([model.mix(first, second, share) for share in SHARES]))
        colored = [apply.colored(model, row) for row in rows]
        meshes, maps = (np.stack(parts) for parts in zip(*colored, strict=True))
        walks = textured_people(
            meshes, maps, model.topology, labels[: len(rows)], [f"{share:g}" for share in SHARES],
            f"From one person to another and beyond, {name}",
        )  # fmt: skip
    return {"textures": sheet, "texture-walk": walks}


def _walk(name: str, model: FaceModel, data: FaceDataset, cast: _Cast) -> Image:
    from mien import apply
    from mien.figures.comparison import walk_sheet

    first = cast.rows(0)[0]
    second = cast.rows(1 % len(cast.people))[-1]
    neutral = {"a_neutral": data.neutral_of([first])[0], "b_neutral": data.neutral_of([second])[0]}
    walks = {
        factor: apply.interpolate(model, data[first], data[second], SHARES, factor, **neutral)
        for factor in ("identity", "expression", "both")
    }
    return walk_sheet(walks, SHARES, data.topology, title=f"From one face to another, {name}")
