"""Nearest identity: the face of somebody in the training data, and nothing that was learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import displaced_rows, full_displacements, mean_displacements
from mien.models.base import FaceModel, Reference
from mien.progress import track
from mien.topology import Topology

AT_ONCE = 256
SHORTLIST = 16
CALIBRATION_FACES = 400


class NearestIdentity(FaceModel):
    """A scan is answered with the nearest training scan; a person with the nearest training person.

    Reference: nearest neighbor, the memorization control (Cover and Hart, "Nearest neighbor pattern
    classification", IEEE Transactions on Information Theory 1967).

    Equations, with avd the mean vertex distance, n_p the neutral of training person p and d_pe the
    displacement of p at expression e::

        identity(x)  = n_p of the training scan n_p + d_pe that minimizes avd(x, n_p + d_pe)
        decode(n, w) = n + sum_e w_e d_pe,  p = argmin avd(n, n_p)

    With a given neutral, the identity is that neutral and the expression is the label of the nearest
    displacement.

    Departures: one scan a person and expression (its displacement at full weight, by least squares); at most
    ``people`` people, displacements in half precision (0.01 mm), so memory stays bounded; the 16 candidates
    that avd decides between are found by root mean square distance. The model holds scans of its training
    people: do not pass it on where their data may not be.

    Example:
        >>> model = NearestIdentity(data.topology, data.expressions)
        >>> model.prepare(data.split("train"))
        >>> codes = model.encode(faces)
        >>> neutral = model.neutral_face(codes)

    Args:
        topology: What all faces share.
        expressions: E expression names; the expression code is their weights.
        people: How many training people to keep.
    """

    name: ClassVar[str] = "nearest_identity"
    reference: ClassVar[Reference] = Reference(
        "cover1967nearest", "Cover, Thomas and Hart, Peter", "Nearest neighbor pattern classification",
        "IEEE Transactions on Information Theory", 1967,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("recognize",))
    refused: ClassVar[Mapping[str, str]] = {
        "fit": "its identity code is a whole mesh: sparse landmarks would drag single vertices only",
        "export": "it looks for the nearest of all training people",
    }

    neutrals: Tensor
    displacements: Tensor
    shown: Tensor

    def __init__(self, topology: Topology, expressions: Sequence[str], people: int = 256) -> None:
        super().__init__(topology, expressions)
        self.people = people
        size = topology.vertex_count * 3
        self.register_buffer("neutrals", torch.zeros(0, size))
        self.register_buffer("displacements", torch.zeros(0, len(expressions), size, dtype=torch.float16))
        self.register_buffer("shown", torch.zeros(0, len(expressions), dtype=torch.bool))

    def prepare(self, data: FaceDataset) -> None:
        """Neutrals and displacements of the training people; what a person did not show is the mean."""
        self.check_data(data)
        rows = displaced_rows(data)
        subject = data.row_subject[rows]
        people = np.unique(subject)
        if len(people) > self.people:
            people = np.sort(np.random.default_rng(0).permutation(people)[: self.people])
        mean = mean_displacements(data).reshape(len(self.expressions), -1)
        neutrals, displacements, shown = [], [], []
        for person in track(people, "training people"):
            own = rows[subject == person]
            neutral = data.neutral_of(own[:1]).reshape(1, -1)
            solution, known = full_displacements(
                data.row_weights[own], data[own].reshape(len(own), -1) - neutral
            )
            neutrals.append(neutral)
            displacements.append(np.where(known[:, None], solution, mean).astype(np.float16)[None])
            shown.append(known[None])
        self.neutrals = torch.from_numpy(np.concatenate(neutrals)).to(self.device)
        self.displacements = torch.from_numpy(np.concatenate(displacements)).to(self.device)
        self.shown = torch.from_numpy(np.concatenate(shown)).to(self.device)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral (B, V, 3) of the nearest training scan and its label as (B, E) weights."""
        count = len(self.expressions) + 1
        seen = torch.cat([torch.ones_like(self.shown[:, :1]), self.shown], dim=1).flatten().nonzero()[:, 0]
        if neutral is None:
            index = self._nearest(vertices.flatten(1), seen, self._scans)
            identity = self.neutrals[index // count].view(len(vertices), -1, 3)
        else:
            index = self._nearest((vertices - neutral).flatten(1), seen, self._offsets)
            identity = neutral
        labels = torch.eye(count, device=self.device)[:, 1:]  # the first scan of everybody is the neutral
        return Codes(identity, labels[index % count])

    def decode(self, codes: Codes) -> Tensor:
        """The identity mesh plus the weighted displacements of the training person nearest to it."""
        everybody = torch.arange(len(self.neutrals), device=self.device)
        nearest = self._nearest(codes.identity.flatten(1), everybody, lambda index: self.neutrals[index])
        offset = torch.zeros_like(codes.identity).flatten(1)
        for person in nearest.unique():
            rows = nearest == person
            offset[rows] = codes.expression[rows] @ self.displacements[person].float()
        return codes.identity + offset.view_as(codes.identity)

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Training people drawn at random, each with one of the expressions."""
        device = generator.device if generator else self.device
        person = torch.randint(len(self.neutrals), (count,), generator=generator, device=device)
        shown = torch.randint(len(self.expressions), (count,), generator=generator, device=device)
        identity = self.neutrals[person.to(self.device)].view(count, -1, 3)
        return Codes(identity, torch.eye(len(self.expressions), device=self.device)[shown.to(self.device)])

    def express(self, weights: Tensor) -> Tensor:
        """The expression code is the weights."""
        return weights.to(self.neutrals)

    def calibrate(self, data: FaceDataset) -> None:
        """Spreads are measured on some faces; rest and offsets are known."""
        self.measure_codes(data, limit=CALIBRATION_FACES)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)
        self.calibration.offsets = torch.eye(len(self.expressions), device=self.device)

    def _offsets(self, index: Tensor) -> Tensor:
        """(n, 3 V) displacements by number: person by person, first the neutral's zeros, then expressions."""
        person, label = index // (len(self.expressions) + 1), index % (len(self.expressions) + 1)
        offsets = self.displacements[person, (label - 1).clamp_min(0)].float()
        return offsets * (label > 0)[:, None]

    def _scans(self, index: Tensor) -> Tensor:
        """(n, 3 V) training scans by the same number."""
        return self.neutrals[index // (len(self.expressions) + 1)] + self._offsets(index)

    def _nearest(self, target: Tensor, among: Tensor, read: Callable[[Tensor], Tensor]) -> Tensor:
        """(B,) the number, among those given, whose row is nearest in mean vertex distance to the target."""
        center = target.mean(0)  # small coordinates keep the expanded square accurate in float32
        squares = []
        for part in among.split(AT_ONCE):
            rows = read(part) - center
            squares.append(rows.square().sum(1) - 2 * (target - center) @ rows.T)
        short = torch.cat(squares, dim=1).topk(min(SHORTLIST, len(among)), dim=1, largest=False).indices
        chosen = []
        for row, options in zip(target, among[short], strict=True):
            distance = (read(options) - row).view(len(options), -1, 3).norm(dim=2).mean(1)
            chosen.append(options[distance.argmin()])
        return torch.stack(chosen)
