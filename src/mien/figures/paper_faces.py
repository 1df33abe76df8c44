"""The papers' figures of an evaluation on scans: models on people they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from mien import apply
from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.figures.comparison import transfer_sheet, variation_sheet, walk_sheet
from mien.figures.faces import error_maps
from mien.figures.sheets import save_pictures
from mien.figures.textures import textured_people, textured_sheet
from mien.models.base import FaceModel

SHARES = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Of the way between two faces: FaceTuneGAN's figures step by a quarter inside and by a half outside."""

_SCANS = 4  # with error maps
_VARIATIONS = 10  # of one person at rest
_TRANSFERS = 5
_TEXTURED = 7  # expressions of one person, beside rest
_TEXTURED_WALKS = 3

Models = Mapping[str, FaceModel]


def draw_pictures(models: Models, data: FaceDataset, folder: Path, *, seed: int) -> list[Path]:
    """Draws every figure that the models can fill, and returns the files.

    Args:
        models: Name -> model.
        data: Scans of unseen people.
        folder: Where the PNG files go.
        seed: Of the choice of people.
    """
    scans = ShownScans.of(data, seed)
    able = {
        verb: {name: model for name, model in models.items() if not apply.refusal(type(model), verb)}
        for verb in ("reconstruct", "neutralize", "transfer", "interpolate")
    }
    drawn: dict[str, Image] = {}
    if able["reconstruct"]:
        drawn["reconstruction"] = _reconstructions(able["reconstruct"], scans)
    for name, model in able["neutralize"].items():
        drawn[f"neutrals-{name}"] = _variations(name, model, scans)
    pairs = scans.pairs(_TRANSFERS)
    if able["transfer"] and pairs:
        drawn["transfer"] = _transfers(able["transfer"], scans, *pairs)
    for name, model in able["interpolate"].items():
        drawn[f"walk-{name}"] = _walk(name, model, scans)
    for name, model in models.items():
        if model.makes_textures:
            drawn[f"textures-{name}"], drawn[f"texture-walk-{name}"] = _textured(name, model, seed)
    return save_pictures(folder, drawn)


class ShownScans:
    """Who is shown: scans of people who may be published and have a neutral and labeled expressions.

    Args:
        data: Scans of unseen people.
        people: (P,) int. Numbers of the people, in the order in which they are shown.
    """

    def __init__(self, data: FaceDataset, people: NDArray[np.integer]) -> None:
        self.data, self.people = data, people

    @staticmethod
    def of(data: FaceDataset, seed: int) -> ShownScans:
        """Everybody who may be shown, in random order; refuses data that has nobody."""
        known = data.row_labeled("expression") & data.has_neutral & (data.label >= 0)
        allowed = np.flatnonzero(np.asarray(data.publishable))
        people = np.intersect1d(np.unique(data.row_subject[known]), allowed)
        if not len(people):
            raise BadSetting(
                "no picture can be drawn: nobody may be shown who has a neutral and a labeled expression",
                received=f"{len(data)} scans", remedy="leave out --pictures or choose another part",
            )  # fmt: skip
        return ShownScans(data, np.random.default_rng([seed, 60]).permutation(people))

    def rows(self, place: int) -> NDArray[np.int64]:
        """(K,) expressive scans of a person: of each label the strongest, in the order of the labels."""
        mine = np.flatnonzero(self.data.row_subject == self.people[place % len(self.people)])
        label, weight = self.data.label[mine], self.data.row_weights[mine].sum(axis=1)
        return np.array(
            [mine[label == k][weight[label == k].argmax()] for k in np.unique(label[label >= 0])], np.int64
        )

    def mixed(self, count: int) -> NDArray[np.int64]:
        """(n,) up to ``count`` different scans: of one person after the other, spread over their labels."""
        found: list[int] = []
        for place in range(count):
            rows = self.rows(place)
            found.append(int(rows[place * (len(rows) - 1) // max(count - 1, 1)]))
        return np.array(list(dict.fromkeys(found)), np.int64)

    def pairs(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """(n,) scans each of the first two people with the same labels, up to ``count``; None without."""
        if len(self.people) < 2:
            return None
        rows = [self.rows(place) for place in (0, 1)]
        labels = [self.data.label[part] for part in rows]
        both = np.intersect1d(labels[0], labels[1])
        if not len(both):
            return None
        both = both[np.linspace(0, len(both) - 1, min(count, len(both))).round().astype(int)]
        first, second = (part[np.searchsorted(own, both)] for part, own in zip(rows, labels, strict=True))
        return first, second

    def labels(self, rows: NDArray[np.integer]) -> list[str]:
        """The expressions of scans (n,), spoken."""
        return [self.data.expressions[self.data.label[row]].replace("_", " ") for row in rows]


def _reconstructions(models: Models, shown: ShownScans) -> Image:
    rows = shown.mixed(_SCANS)
    scans, neutrals = shown.data[rows], shown.data.neutral_of(rows)
    made = {name: apply.reconstruct(model, scans, neutrals) for name, model in models.items()}
    return error_maps(scans, made, shown.data.topology, shown.labels(rows), size=180)


def _variations(name: str, model: FaceModel, shown: ShownScans) -> Image:
    rows = shown.rows(0)[:_VARIATIONS]
    scans, title = shown.data[rows], f"One person at rest, {name}"
    neutrals = apply.neutralize(model, scans)
    return variation_sheet(scans, neutrals, shown.data.topology, shown.labels(rows), title=title)


def _transfers(models: Models, shown: ShownScans, performer: NDArray, receiver: NDArray) -> Image:
    data = shown.data
    rest, onto = data.neutral_of(performer), data.neutral_of(receiver)
    made = {
        name: apply.transfer(model, data[performer], onto, expression_neutral=rest, onto_neutral=onto)
        for name, model in models.items()
    }
    labels = shown.labels(receiver)
    return transfer_sheet(data[performer], onto, data[receiver], made, data.topology, labels)


def _walk(name: str, model: FaceModel, shown: ShownScans) -> Image:
    data, first, second = shown.data, shown.rows(0)[0], shown.rows(1)[-1]
    neutral = {"a_neutral": data.neutral_of([first])[0], "b_neutral": data.neutral_of([second])[0]}
    walks = {
        factor: apply.interpolate(model, data[first], data[second], SHARES, factor, **neutral)
        for factor in ("identity", "expression", "both")
    }
    return walk_sheet(walks, SHARES, data.topology, title=f"From one face to another, {name}")


@torch.no_grad()
def _textured(name: str, model: FaceModel, seed: int) -> tuple[Image, Image]:
    """One new person with the same texture noise under several expressions, and walks beyond two people."""
    names = model.expressions[:_TEXTURED]
    weights = torch.eye(len(model.expressions))[: len(names)]
    poses = model.express(torch.cat([torch.zeros_like(weights[:1]), weights]).to(model.device))
    labels = [label.replace("_", " ") for label in ("neutral", *names)]
    people = model.sample(3, generator=torch.Generator().manual_seed(seed))
    one = people[torch.zeros(len(poses), dtype=torch.long)].replace(expression=poses)
    title = f"One generated person, {name}"
    sheet = textured_sheet(*apply.colored(model, one), model.topology, labels, title=title)
    walks = []
    for pose in poses[:_TEXTURED_WALKS].split(1):
        first, second = (people[k : k + 1].replace(expression=pose) for k in (1, 2))
        between = Codes.cat([model.mix(first, second, share) for share in SHARES])
        walks.append(apply.colored(model, between))
    meshes, maps = (np.stack(parts) for parts in zip(*walks, strict=True))
    walk = textured_people(
        meshes, maps, model.topology, labels[: len(walks)], [f"{share:g}" for share in SHARES],
        f"From one person to another and beyond, {name}",
    )  # fmt: skip
    return sheet, walk
