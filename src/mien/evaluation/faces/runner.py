"""A model's verbs on rows of the test scans, in batches; short codes are found once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.apply import codes_of
from mien.codes import Codes
from mien.evaluation.distances import Meshes
from mien.evaluation.scans import TestScans
from mien.models.base import FaceModel

SHORT = 4096
"""Codes of at most this many numbers are kept; longer ones (whole meshes) are found again for each test."""


class Runner:
    """A model on the test scans.

    Args:
        model: Any model on the topology of the scans.
        scans: The test scans.
        batch: Meshes at once.
    """

    def __init__(self, model: FaceModel, scans: TestScans, batch: int) -> None:
        self.model, self.scans, self.batch = model.eval(), scans, batch
        self._found: dict[tuple[int, bool], Codes] = {}
        model.check_data(scans.data)

    def encode(self, rows: NDArray[np.integer], *, with_neutral: bool = False) -> Codes:
        """Codes of test scans; anchored models are always given each person's true neutral.

        Args:
            rows: (n,) int. Which scans; a scan that comes twice is encoded once.
            with_neutral: Give the neutral to every model.
        """
        given = with_neutral or self.model.anchored
        every, place = np.unique(rows, return_inverse=True)
        new = np.array([row for row in every.tolist() if (row, given) not in self._found], int)
        parts = [self.encode_anew(new[k : k + self.batch], given) for k in range(0, len(new), self.batch)]
        fresh = dict(zip(new.tolist(), (part[k : k + 1] for part in parts for k in range(len(part)))))
        known = [fresh.get(row) or self._found[row, given] for row in every.tolist()]
        if _numbers(known[0]) <= SHORT:
            self._found |= {(row, given): code for row, code in fresh.items()}
        return Codes.cat([known[k] for k in place])

    def encode_anew(self, rows: NDArray[np.integer], given: bool) -> Codes:
        """Codes of test scans (n,) int, at once and without a look at what is known; neutrals if given."""
        neutrals = self._rest_faces[self.scans.person[rows]] if given else None
        return codes_of(self.model, self.scans.data[rows], neutrals)

    @cached_property
    def neutral_codes(self) -> Codes:
        """Codes of every person's true neutral, given that neutral; of the template where there is none."""
        return codes_of(self.model, self._rest_faces, self._rest_faces)

    @cached_property
    def expressions_at_rest(self) -> Tensor:
        """(S, *X) float: expression codes of the true neutrals, found without telling that they are."""
        return codes_of(self.model, self._rest_faces).expression

    @cached_property
    def _rest_faces(self) -> Meshes:
        known = np.isfinite(self.scans.neutrals)
        return np.where(known, self.scans.neutrals, self.scans.data.topology.template)

    def decode(self, codes: Codes) -> Meshes:
        """(B, V, 3) float32, millimeters."""
        return self._in_batches(codes, self.model.decode)

    def neutral_faces(self, codes: Codes) -> Meshes:
        """(B, V, 3) float32, millimeters: predicted neutrals."""
        return self._in_batches(codes, self.model.neutral_face)

    @torch.no_grad()
    def _in_batches(self, codes: Codes, function: Callable[[Codes], Tensor]) -> Meshes:
        starts = range(0, len(codes), self.batch)
        return np.concatenate([function(codes[slice(k, k + self.batch)]).cpu().numpy() for k in starts])


def _numbers(codes: Codes) -> int:
    return sum(codes.factor(name)[0].numel() for name in codes.names)
