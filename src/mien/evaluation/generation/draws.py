"""Faces that a model generates, a few at a time, with one factor of their codes held if asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mien.codes import Codes
from mien.errors import Unsupported
from mien.evaluation.distances import Meshes
from mien.evaluation.scans import TestScans
from mien.models.base import FaceModel

SHORT = {"identity": "id", "expression": "exp"}
"""Factor -> how metrics name it; further factors keep their names."""

PARTS = 100
"""Drawn faces are averaged to this many numbers, which claims resample."""

NEVER_HELD = ("noise", "style", "texture")
"""Further codes that are no factor of their own."""


def name_in_metrics(factor: str) -> str:
    """How the metrics of generated faces name a factor: ``id`` for identity."""
    return SHORT.get(factor, factor)


def by_part(values: NDArray) -> dict[str, float]:
    """Means of up to ``PARTS`` consecutive parts, which claims resample as they resample persons.

    Args:
        values: (n,) float, in any unit. One value a drawn face.
    """
    parts = np.array_split(np.asarray(values, np.float64), min(PARTS, len(values)))
    return {f"draw-{number:03}": float(part.mean()) for number, part in enumerate(parts)}


class RandomFaces:
    """Draws codes with a generator of its own and decodes them.

    Args:
        model: A model that can sample.
        seed: The same seed gives the same faces.
        batch: Faces decoded at once.
    """

    def __init__(self, model: FaceModel, *, seed: int, batch: int = 100) -> None:
        self.model, self.batch = model.eval(), batch
        self.generator = torch.Generator().manual_seed(seed)

    def codes(self, count: int) -> Codes:
        """Random codes; all factors are drawn."""
        return self.model.sample(count, generator=self.generator).to(self.model.device)

    @torch.no_grad()
    def faces(self, codes: Codes) -> NDArray[np.float32]:
        """(B, V, 3) float, millimeters: the faces of codes."""
        found = [self.model.decode(codes[k : k + self.batch]) for k in range(0, len(codes), self.batch)]
        if found[0].dim() != 3:
            raise Unsupported(f"{self.model.name} decodes motion, and these metrics are about single faces")
        return torch.cat(found).cpu().numpy()

    def held(self, codes: Codes, factor: str) -> Codes:
        """Fresh codes with one factor kept."""
        return self.codes(len(codes)).replace(**{factor: codes.factor(factor)})

    def factors(self) -> tuple[str, ...]:
        """Which factors can be held: identity, expression and further named ones."""
        further = (name for name in self.codes(1).others if name not in NEVER_HELD)
        return "identity", "expression", *further

    def relatives(self, count: int) -> Iterator[dict[str, NDArray[np.float32]]]:
        """``count`` random faces a part at a time, each with one relative that shares a factor's code.

        Yields:
            ``random``: (b, V, 3) float, millimeters; for each factor the same of faces with its codes.
        """
        factors = self.factors()
        for start in range(0, count, self.batch):
            codes = self.codes(min(self.batch, count - start))
            part = {"random": self.faces(codes)}
            yield part | {factor: self.faces(self.held(codes, factor)) for factor in factors}

    def families(self, factor: str, count: int, members: int) -> Iterator[NDArray[np.float32]]:
        """A random face and others with its code of one factor, ``count`` times.

        Yields:
            (1 + members, V, 3) float, millimeters.
        """
        for _ in range(count):
            codes = self.codes(1)
            family = self.held(codes.repeat(members), factor)
            yield self.faces(Codes.cat([codes, family]))


@dataclass(frozen=True)
class Subjects:
    """People to put expressions on.

    Args:
        codes: One row a person, at whatever they were doing.
        source: ``sampled people`` or ``test people``.
    """

    codes: Codes
    source: str


def subjects_of(model: FaceModel, scans: TestScans, count: int, *, seed: int) -> Subjects:
    """People that the model samples; if it cannot, test people that it encodes.

    Args:
        model: Any model.
        scans: Test scans, for models that cannot sample.
        count: How many people, or fewer if there are fewer test people.
        seed: Of the sampled people.

    Raises:
        Unsupported: It can neither sample nor encode.
    """
    drawn = RandomFaces(model, seed=seed)
    try:
        return Subjects(drawn.codes(count), "sampled people")
    except Unsupported:
        known = scans.people_with_neutral[:count]
        neutrals = torch.from_numpy(scans.neutrals[known]).to(model.device)
        with torch.no_grad():
            return Subjects(model.encode(neutrals, neutral=neutrals), "test people")


def perform(model: FaceModel, people: Codes, weights: NDArray) -> Iterator[Meshes]:
    """Every person with every row of named weights; everything else of the person stays.

    Args:
        model: A model that can express.
        people: P rows of codes.
        weights: (n, E) float, 0 to 1 and beyond.

    Yields:
        For each person (n, V, 3) float, millimeters.
    """
    drawn = RandomFaces(model, seed=0)
    with torch.no_grad():
        shown = model.express(torch.from_numpy(np.asarray(weights, np.float32)).to(model.device))
    for k in range(len(people)):
        yield drawn.faces(people[k : k + 1].repeat(len(weights)).replace(expression=shown))
