"""Processor time as the measure of a run: the same for every method, whatever its steps cost."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch

from mien.data.dataset import FaceDataset
from mien.models.base import FaceModel


@dataclass(frozen=True)
class Budget:
    """How much processor time the stages of a run may have used when they end.

    Stages share it in proportion to their steps; what one does not need is left to the next.

    Args:
        seconds: Of the process, over all its threads, for the whole run.
        steps: Of each stage, in order.
    """

    seconds: float
    steps: tuple[int, ...]

    @staticmethod
    def of(
        minutes: float, model: FaceModel, train: FaceDataset, settings: Any, validation: FaceDataset
    ) -> Budget:
        """A budget for the stages of a model that is about to be trained; the model stays as it is.

        Args:
            minutes: Of processor time.
            model: Prepared, not yet trained.
            train: The training people.
            settings: Of the training.
            validation: The validation people.
        """
        with torch.random.fork_rng():
            stages = [stage.steps for stage in copy.deepcopy(model).stages(train, settings, validation)]
        return Budget(60 * minutes, tuple(stages))

    def until(self, stage: int) -> float:
        """Seconds of the run after which a stage ends."""
        return self.seconds * sum(self.steps[: stage + 1]) / max(1, sum(self.steps))


class ProcessorClock:
    """Processor seconds of a run, those before it was resumed included.

    Args:
        before: Used up by then.
    """

    def __init__(self, before: float = 0.0) -> None:
        self.began = time.process_time() - before

    def seconds(self) -> float:
        """Used up so far."""
        return time.process_time() - self.began
