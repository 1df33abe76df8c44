"""What the generated faces of all models are measured with: networks, classifier, and the nearest faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import MienError
from mien.evaluation.distances import Meshes
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.draws import SHORT
from mien.evaluation.generation.nearest import NearestMeshes
from mien.evaluation.generation.settings import GenerationSettings
from mien.evaluation.generation.similarity import SimilarityNetwork, label_numbers, similarity_network
from mien.evaluation.scans import TestScans
from mien.machine import device_of

Extremes = tuple[Meshes, NDArray[np.float64]]
Found = TypeVar("Found")


@dataclass
class GenerationSetup:
    """What all models are measured with.

    Args:
        data: The whole data set.
        scans: Test scans, and the training part.
        settings: Numbers of draws.
        networks: (factor, kind) -> similarity network, or the sentence why there is none.
        classifier: Of expressions, or the sentence why there is none.
        training_faces: Finds the training face nearest to a sample.
        samples: System -> its samples nearest to the training faces and farthest from them, (k, V, 3) in
            millimeters, and their distances (k,) in millimeters, for pictures.
    """

    data: FaceDataset
    scans: TestScans
    settings: GenerationSettings
    networks: dict[tuple[str, str], SimilarityNetwork | str]
    classifier: Classifier | str
    training_faces: NearestMeshes
    samples: dict[str, Extremes] = field(default_factory=dict)

    @staticmethod
    def of(data: FaceDataset, scans: TestScans, settings: GenerationSettings) -> GenerationSetup:
        """Networks from the cache, or trained; the classifier; and the index of training faces."""
        train = scans.train
        labels = label_numbers(train, "expression")
        classifier = _or_reason(lambda: Classifier.fit(train, labels))
        index = NearestMeshes(train, data.topology.template)
        return GenerationSetup(data, scans, settings, _networks(data, scans, settings), classifier, index)

    @property
    def factors(self) -> tuple[str, ...]:
        """Identity, expression and the further factors of the data set."""
        return *SHORT, *self.data.factors

    def network(self, factor: str, kind: str) -> SimilarityNetwork | str:
        """The network of a factor, or the sentence why there is none."""
        return self.networks.get((factor, kind), f"the data set has no labels of {factor}")


def _networks(
    data: FaceDataset, scans: TestScans, settings: GenerationSettings
) -> dict[tuple[str, str], SimilarityNetwork | str]:
    """One network for each factor and kind; thresholds are chosen on people outside the training part."""
    train = scans.train
    assert data.rows is not None and train.rows is not None
    held = data.take(np.flatnonzero(~np.isin(data.rows, train.rows)))
    device = device_of(settings.device)
    division = f"{data.fingerprint}-{scans.protocol}-{scans.seed}-{scans.part == 'all'}"
    return {
        (factor, kind): _or_reason(
            lambda factor=factor, kind=kind: similarity_network(  # type: ignore[misc]
                train, held, factor, settings.training(kind), division=division, device=device
            )
        )
        for kind in settings.networks
        for factor in (*SHORT, *data.factors)
    }


def _or_reason(make: Callable[[], Found]) -> Found | str:
    try:
        return make()
    except MienError as error:
        return error.cause
