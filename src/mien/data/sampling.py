"""Batches for training: pure functions of a random generator, so that runs resume exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.dataset import FaceDataset
from mien.data.labels import Labels
from mien.errors import BadSetting


@dataclass
class Batch:
    """Faces of one training step.

    Args:
        vertices: (B, V, 3) float, millimeters.
        subject: (B,) int64 subject index.
        weights: (B, E) float expression weights.
        neutral: (B, V, 3) float, millimeters: neutral of the same subject, when asked for.
        partner: (B, V, 3) float, millimeters: a second scan, when asked for.
        same: (B,) int64, 1 where ``partner`` shows the same person.
        partner_weights: (B, E) float expression weights of ``partner``, when asked for.
        texture: (B, 3, S, S) float, -1..1 sRGB, when asked for (:func:`mien.data.textures.textured`).
        labels: (B, K) int64 class of each of K factors, -1 where the label is missing, when asked for.
        partner_texture: (B, 3, S, S) float, -1..1 sRGB: somebody with the same expression, when asked for.
        partner_subject: (B,) int64 subject index of ``partner_texture``.
        neutral_texture: (B, 3, S, S) float, -1..1 sRGB: the same person at rest, when asked for.
        twin: (B, V, 3) float, millimeters: somebody else who does the same as strongly, when asked for.
        origin: (B,) int64 subject index of the scan that a row was made of, where ``subject`` may be virtual.
    """

    vertices: Tensor
    subject: Tensor
    weights: Tensor
    neutral: Tensor | None = None
    partner: Tensor | None = None
    same: Tensor | None = None
    partner_weights: Tensor | None = None
    texture: Tensor | None = None
    labels: Tensor | None = None
    partner_texture: Tensor | None = None
    partner_subject: Tensor | None = None
    neutral_texture: Tensor | None = None
    twin: Tensor | None = None
    origin: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Applies a function (a move to a device, a slice of rows) to every tensor."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {name: None if v is None else function(v) for name, v in values.items()}
        return type(self)(**changed)


Sampler = Callable[[torch.Generator], Batch]


def draw_rows(generator: torch.Generator, count: int, size: int) -> NDArray[np.int64]:
    """(size,) int64 of ``count`` rows: without repetition while there are enough."""
    if size > count:
        return torch.randint(count, (size,), generator=generator).numpy()
    return torch.randperm(count, generator=generator)[:size].numpy()


def faces(data: FaceDataset, size: int, *, neutral: bool = False) -> Sampler:
    """Random faces, with each subject's neutral if asked for."""
    count, weights, subject = len(data), data.row_weights, data.row_subject

    def batch(generator: torch.Generator) -> Batch:
        rows = draw_rows(generator, count, size)
        return _batch(data, rows, weights, subject, neutral)

    return batch


def labeled_faces(data: FaceDataset, size: int, labels: Sequence[Labels]) -> Sampler:
    """Random faces with their labels of several factors, one column each."""
    table = torch.from_numpy(np.stack([factor.index for factor in labels], axis=1))
    weights, subject = data.row_weights, data.row_subject

    def batch(generator: torch.Generator) -> Batch:
        rows = draw_rows(generator, len(data), size)
        result = _batch(data, rows, weights, subject, False)
        result.labels = table[torch.from_numpy(rows)]
        return result

    return batch


def same_subject_pairs(data: FaceDataset, size: int, *, neutral: bool = False) -> Sampler:
    """Random faces, each with another scan of the same person; people with a single scan are skipped."""
    groups = _groups(data)
    rows_of = np.concatenate(list(groups.values()))
    weights, subject = data.row_weights, data.row_subject

    def batch(generator: torch.Generator) -> Batch:
        rows = rows_of[draw_rows(generator, len(rows_of), size)]
        result = _batch(data, rows, weights, subject, neutral)
        others = np.array([_other(groups[int(subject[row])], row, generator) for row in rows])
        result.partner = torch.from_numpy(data[others])
        result.same = torch.ones(len(rows), dtype=torch.int64)
        return result

    return batch


def mixed_pairs(data: FaceDataset, size: int) -> Sampler:
    """Random faces with a partner that is the same person for half of them, another person for the rest."""
    groups = _groups(data)
    rows_of = np.concatenate(list(groups.values()))
    people = np.array(list(groups))
    if len(people) < 2:
        raise BadSetting("pairs of different people need at least two people", received=len(people))
    weights, subject = data.row_weights, data.row_subject

    def batch(generator: torch.Generator) -> Batch:
        rows = rows_of[draw_rows(generator, len(rows_of), size)]
        result = _batch(data, rows, weights, subject, False)
        same = torch.arange(len(rows)) % 2
        others = []
        for row, is_same in zip(rows, same.tolist(), strict=True):
            person = int(subject[row])
            if not is_same:
                shift = int(torch.randint(1, len(people), (1,), generator=generator))
                person = int(people[(np.searchsorted(people, person) + shift) % len(people)])
            others.append(_other(groups[person], row, generator))
        result.partner, result.same = torch.from_numpy(data[np.array(others)]), same
        return result

    return batch


SAME_STRENGTH = 0.1
"""How far the weights of two scans of one expression differ at most if they do the same as strongly."""


def style_pairs(data: FaceDataset, size: int, *, balanced: bool = True, twins: bool = False) -> Sampler:
    """Random faces, each with a scan of somebody else whose expression is labeled.

    Scans without an identity label may be of anybody; of those only the face itself is left out.

    Args:
        data: What to draw from.
        size: B.
        balanced: Partners are drawn evenly over the expressions (neutral is one), else over the scans. Where
            nobody else shows the expression that was drawn, any other one is taken.
        twins: Each face also comes with its own style class (B, 1), -1 where the label is missing, and with
            somebody else who does the same as strongly; with itself where nobody does.
    """
    count, weights, subject = len(data), data.row_weights, data.row_subject
    labeled = np.flatnonzero(data.row_labeled("expression"))
    person = np.where(data.row_labeled("identity"), subject, -1 - np.arange(count))
    if len(np.unique(person[labeled])) < 2:
        raise BadSetting(
            "a style comes from somebody else: scans with an expression label of two people are needed",
            received=f"{len(labeled)} labeled scans of {count}",
        )  # fmt: skip
    label = data.label[labeled]
    classes = [labeled[label == name] for name in np.unique(label)] if balanced else [labeled]

    known = _Twins(data, person)

    def donor(row: int, wanted: NDArray[np.int64], generator: torch.Generator) -> int:
        others = (rows[person[rows] != person[row]] for rows in (wanted, labeled))
        return any_of(next(rows for rows in others if len(rows)), generator)

    def batch(generator: torch.Generator) -> Batch:
        rows = draw_rows(generator, count, size)
        result = _batch(data, rows, weights, subject, False)
        chosen = torch.randint(len(classes), (size,), generator=generator).tolist()
        others = np.array([donor(row, classes[k], generator) for row, k in zip(rows, chosen, strict=True)])
        result.partner = torch.from_numpy(data[others])
        result.partner_weights = torch.from_numpy(weights[others])
        result.same = torch.zeros(size, dtype=torch.int64)
        if twins:
            result.twin = torch.from_numpy(data[np.array([known.of(row, generator) for row in rows])])
            result.labels = torch.from_numpy(known.classes[rows])[:, None]
        return result

    return batch


class _Twins:
    """Who else does what a scan shows, as strongly."""

    def __init__(self, data: FaceDataset, person: NDArray[np.int64]) -> None:
        self.person, self.label = person, data.label
        self.known = data.row_labeled("expression")
        self.strength = data.row_weights.max(axis=1, initial=0.0)
        #: (n,) int64 style class: the strongest expression, their number for neutral, -1 without a label.
        neutral = np.where(self.label < 0, len(data.expressions), self.label)
        self.classes = np.where(self.known, neutral, -1).astype(np.int64)

    def of(self, row: int, generator: torch.Generator) -> int:
        """A row of somebody else of the same class and about the same strength; ``row`` if there is none."""
        alike = (self.classes == self.classes[row]) & (self.person != self.person[row])
        alike &= np.abs(self.strength - self.strength[row]) <= SAME_STRENGTH
        rows = np.flatnonzero(alike & self.known[row])
        return any_of(rows, generator) if len(rows) else int(row)


def virtual_people(sampler: Sampler, data: FaceDataset, share: float, *, neutral: bool = False) -> Sampler:
    """Lets a share of every batch show people who do not exist, so that few subjects teach many faces.

    A virtual person is a random mixture of all P real ones, ``sum_k w_k face_k`` with ``sum w = 1``, so that
    it lies among faces, and ``sum w^2 = 1``, so that virtual people vary as much as real ones. A row keeps
    what its scan differs from its own person's face; neutral and partner of the same person move along.
    Virtual people have no identity label: their subject is -1, their origin whose scan was moved.

    Args:
        sampler: Draws the real batch. Its rows without an identity label stay as they are.
        data: What the sampler draws from.
        share: Probability that a row becomes virtual, 0 to 1.
        neutral: A person's face is the neutral, else the mean of the person's scans (needs no expression
            labels).
    """
    if not share:
        return sampler
    people = _people(data, neutral)
    if len(people) < 2:
        raise BadSetting(
            "virtual people are mixtures of at least two people with an identity label",
            received=f"{len(people)} of them",
            remedy="label identities, or switch virtual people off with --set virtual_people=0",
        )
    index = torch.full((len(data.subjects),), -1)
    index[list(people)] = torch.arange(len(people))
    known = torch.stack(list(people.values()))

    def batch(generator: torch.Generator) -> Batch:
        result = sampler(generator)
        count = len(result.vertices)
        mixture = (mixing_weights(count, len(people), generator) @ known.flatten(1)).view_as(result.vertices)
        own = index[result.subject]
        moved = (torch.rand(count, generator=generator) < share) & (own >= 0)
        shift = (mixture - known[own]) * moved[:, None, None]
        result.vertices = result.vertices + shift
        result.origin, result.subject = result.subject, torch.where(moved, -1, result.subject)
        if result.neutral is not None:
            result.neutral = result.neutral + shift
        if result.partner is not None:
            assert result.same is not None
            result.partner = result.partner + shift * result.same[:, None, None]
        return result

    return batch


def _people(data: FaceDataset, neutral: bool) -> dict[int, Tensor]:
    """Subject -> (V, 3) neutral or mean scan, for labeled subjects in ascending order."""
    subject, known = data.row_subject, data.row_labeled("identity")
    rows = {int(person): np.flatnonzero(known & (subject == person)) for person in np.unique(subject[known])}
    if neutral:
        return {person: torch.from_numpy(data.neutral_of(own[:1])[0]) for person, own in rows.items()}
    return {person: torch.from_numpy(data[own].mean(axis=0)) for person, own in rows.items()}


def mixing_weights(count: int, mixed: int, generator: torch.Generator) -> Tensor:
    """Random weights whose sum and whose sum of squares are 1.

    Args:
        count: B, how many mixtures.
        mixed: P, how many people are mixed.
        generator: Draws them.

    Returns:
        (B, P) float.
    """
    weights = torch.randn(count, mixed, generator=generator)
    weights -= weights.mean(1, keepdim=True)
    weights *= (1 - 1 / mixed) ** 0.5 / weights.norm(dim=1, keepdim=True)
    return weights + 1 / mixed


def _groups(data: FaceDataset) -> dict[int, NDArray[np.int64]]:
    """Subject -> rows, for labeled subjects with at least two scans, in ascending order."""
    subject, known = data.row_subject, data.row_labeled("identity")
    groups = {int(p): np.flatnonzero((subject == p) & known) for p in np.unique(subject[known])}
    groups = {person: rows for person, rows in groups.items() if len(rows) > 1}
    if not groups:
        raise BadSetting(
            "pairs of the same person need identity labels and at least two scans of somebody",
            received=f"{len(data)} scans", remedy="use a data set with several scans a person",
        )  # fmt: skip
    return groups


def _other(rows: NDArray[np.int64], row: int, generator: torch.Generator) -> int:
    """One of the rows that is not ``row``."""
    return any_of(rows[rows != row], generator)


def any_of(rows: NDArray[np.int64], generator: torch.Generator) -> int:
    """One of the rows (n,) int64."""
    return int(rows[int(torch.randint(len(rows), (1,), generator=generator))])


def _batch(
    data: FaceDataset, rows: NDArray[np.int64], weights: NDArray, subject: NDArray, neutral: bool
) -> Batch:
    return Batch(
        torch.from_numpy(data[rows]),
        torch.from_numpy(subject[rows].astype(np.int64)),
        torch.from_numpy(weights[rows]),
        torch.from_numpy(data.neutral_of(rows)) if neutral else None,
    )
