"""What an outside judge reads off transferred and neutralized faces, beside what it reads off the scans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.errors import BadMesh, MienError, MissingNeutral
from mien.evaluation.distances import Meshes
from mien.evaluation.faces.measured import Measured
from mien.evaluation.faces.rows import rows_of
from mien.evaluation.faces.runner import Runner
from mien.evaluation.faces.sweep import transferred
from mien.evaluation.predictions import Predictions
from mien.evaluation.reading import metrics
from mien.evaluation.reading.shapes import Reader
from mien.evaluation.rows import Row, RowMaker
from mien.evaluation.scans import TestScans, TransferDraws
from mien.render.stills import View

MOST = 40
"""Transfers that are looked at: pictures are dear, and more change the means by less than people differ."""
TURN = 5.0
"""Degrees of the control that shows the same face to the judge again."""
_MARGIN = 1.25  # of the template: jaws open, and the detector wants some surroundings


@dataclass(frozen=True, eq=False)
class FaceReading:
    """Some of the transfers of a test, and what the judge reads off the faces they should give.

    Args:
        scans: The test scans.
        draws: The whole transfer test.
        chosen: (k,) int. Which of the draws are looked at.
        judge: Scores pictures.
    """

    scans: TestScans
    draws: TransferDraws
    chosen: NDArray[np.int64]
    judge: Reader

    @staticmethod
    def of(scans: TestScans, draws: TransferDraws, judge: Reader) -> FaceReading:
        """At most ``MOST`` draws, drawn by the seed of the test.

        Raises:
            BadMesh: The judge sees a face on less than half of the true scans.
        """
        count = len(draws.target)
        chosen = np.sort(np.random.default_rng([scans.seed, 53]).permutation(count)[:MOST])
        found = FaceReading(scans, draws, chosen, judge)
        seen = np.isfinite(found.truth[:, 0])
        if seen.mean() < 0.5:
            raise BadMesh(
                "the judge sees no face on most of the true scans", received=f"{seen.sum()} of {len(seen)}",
                remedy="leave out --judges: these meshes are too narrow or too coarse for it",
            )  # fmt: skip
        return found

    @property
    def target(self) -> NDArray[np.int64]:
        """(k,) int: rows of the faces that the chosen transfers should give."""
        return self.draws.target[self.chosen]

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """(k, 52) scores of those faces."""
        return self._once(self.target, self.scans.data)

    @cached_property
    def rest(self) -> NDArray[np.float64]:
        """(k, 52) scores of the receivers at rest."""
        return self._once(self.scans.person[self.target], self.scans.neutrals)

    def read(self, meshes: Meshes, turn: float = 0.0) -> NDArray[np.float64]:
        """(n, 52) scores of meshes (n, V, 3) float, millimeters, from the front or turned by some degrees."""
        topology = self.scans.data.topology
        view = View.around(topology.template, margin=_MARGIN)
        return self.judge.read(list(meshes), topology.faces, replace(view, yaw=turn))

    def _once(self, rows: NDArray[np.int64], meshes: FaceDataset | NDArray) -> NDArray[np.float64]:
        """(k, 52) scores of faces of which some are the same."""
        every, place = np.unique(rows, return_inverse=True)
        return self.read(meshes[every])[place]

    def measure(self, runner: Runner, found: Measured) -> None:
        """Adds what is read off a model's transfers and neutrals, or why there is nothing to read."""
        try:
            self._measure(runner, found)
        except MienError as error:
            found.refuse(("read_share",), error.cause)

    def _measure(self, runner: Runner, found: Measured) -> None:
        if why := found.refused.get("transfer_avd"):
            return found.refuse(("read_share",), why)
        made = np.empty((len(self.chosen), *self.scans.data.topology.template.shape), np.float32)
        for part, predicted in transferred(runner, self.target, self.draws.style[self.chosen]):
            made[part] = predicted
        self.put_transfers(found, self.read(made))
        if not runner.model.anchored:
            self.put_neutrals(found, self.read(runner.neutral_faces(runner.encode(self.target))))
        return None

    def measure_predictions(self, predictions: Predictions, found: Measured) -> None:
        """Adds what is read off what another program predicted."""
        if predictions.transfers is not None:
            self.put_transfers(found, self.read(predictions.transfers[self.chosen]))
        if predictions.neutrals is not None:
            self.put_neutrals(found, self.read(predictions.neutrals[self.target]))

    def put_transfers(self, found: Measured, scores: NDArray) -> None:
        """Adds metrics of the scores (k, 52) of transferred faces."""
        self._put(found, "read_found", metrics.read_found(scores))
        self._put(found, "read_error", metrics.read_error(self.truth, scores))
        self._put(found, "read_share", metrics.read_share(self.rest, self.truth, scores))

    def put_neutrals(self, found: Measured, scores: NDArray) -> None:
        """Adds metrics of the scores (k, 52) of predicted neutrals."""
        self._put(found, "read_left", metrics.read_left(self.rest, self.truth, scores))

    def _put(self, found: Measured, metric: str, values: NDArray) -> None:
        found.draws[metric] = np.full(len(self.draws.target), np.nan)
        found.draws[metric][self.chosen] = values

    def control_rows(self) -> Iterator[Row]:
        """The same face again, another person's, no expression at all, and the label's mean one."""
        scans, receivers = self.scans, self.scans.neutrals[self.scans.person[self.target]]
        read = {
            f"the scan, turned by {TURN:.0f} degrees": self.read(scans.data[self.target], TURN),
            "the other person's scan": self._once(self.draws.style[self.chosen], scans.data),
            "the neutral itself": self.rest,
        }  # fmt: skip
        try:
            shown = mean_displacements(scans.train)[scans.label[self.target]]
            read["class mean, label given"] = self.read(receivers + shown)
        except MissingNeutral:
            pass  # the training people have no neutral: there is no such mean
        for label, scores in read.items():
            found = Measured(scans)
            self.put_transfers(found, scores)
            yield from rows_of(RowMaker(label, "control", scans.seed), found, self.draws)
