"""What mesh autoencoders share: standardized vertices, L1 training, a linear split, targets at rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler, faces, virtual_people
from mien.data.statistics import vertex_statistics
from mien.errors import BadSetting, MissingNeutral
from mien.models.base import FaceModel, Losses, Stage
from mien.nn.learning_rate import rising_and_decaying
from mien.nn.linear_split import LinearSplit
from mien.nn.muon import optimizer_of
from mien.progress import track
from mien.topology import Topology

BLOCK = 64


@dataclass(frozen=True)
class Settings:
    """Training settings of a mesh autoencoder."""

    batch_size: int = 32
    steps: int = 150_000
    rate: float = 1e-3  #: learning rate
    optimizer: str = "adam"  #: or "muon" (:mod:`mien.nn.muon`), or "sgd"
    momentum: float = 0.9  #: of "sgd"
    weight_decay: float = 0.0
    decay: float = 0.99  #: the rate is multiplied by this ...
    decay_every: int = 500  #: ... every so many steps (an epoch of the publication's data)
    warm_up: int = 0  #: steps in which the rate rises from zero
    virtual_people: float = 0.0  #: share of rows whose person is a mixture of others
    validate_every: int = 500
    patience: int | None = None


#: What makes short runs on two cores worthwhile.
QUICK = {"optimizer": "muon", "rate": 3e-3, "virtual_people": 0.5}


class StandardizedModel(FaceModel):
    """A model of faces in deviations: every coordinate minus its mean, divided by its deviation.

    Args:
        topology: What all faces share.
        expressions: E expression names.
    """

    mean_face: Tensor
    deviation: Tensor

    def __init__(self, topology: Topology, expressions: Sequence[str]) -> None:
        super().__init__(topology, expressions)
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("deviation", torch.ones_like(self.mean_face))

    def standardize(self, data: FaceDataset) -> None:
        """Measures mean and deviation of every coordinate."""
        mean, deviation = vertex_scale(data)
        self.mean_face.copy_(mean)
        self.deviation.copy_(deviation)

    def normalize(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) deviations from the mean face of vertices (B, V, 3), millimeters."""
        return (vertices - self.mean_face) / self.deviation

    def in_millimeters(self, x: Tensor) -> Tensor:
        """(B, V, 3) vertices, millimeters, of x (B, V, 3) in deviations from the mean face."""
        return self.mean_face + self.deviation * x


class MeshAutoencoder(StandardizedModel):
    """An autoencoder of standardized vertices whose code :class:`LinearSplit` divides after training.

    A method adds the two networks: :meth:`compress` and :meth:`expand`.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        size: D, numbers in a code.
        expression_size: How many of them become expression.
    """

    Settings = Settings
    needs_neutrals: ClassVar[bool] = False

    def __init__(
        self, topology: Topology, expressions: Sequence[str], size: int, expression_size: int
    ) -> None:
        super().__init__(topology, expressions)
        self.split = LinearSplit(size, expression_size)

    def compress(self, x: Tensor) -> Tensor:
        """(B, V, 3) standardized vertices to (B, D) codes."""
        raise NotImplementedError

    def expand(self, z: Tensor) -> Tensor:
        """(B, D) codes to (B, V, 3) standardized vertices."""
        raise NotImplementedError

    def prepare(self, data: FaceDataset) -> None:
        """Mean and deviation of every coordinate."""
        self.check_data(data)
        if not data.row_labeled("identity").any():
            raise BadSetting(
                f"{self.name} splits its code after training, by what the scans of a person share",
                received="no scan with an identity label", remedy="say who is who (identity_labeled)",
            )  # fmt: skip
        self.standardize(data)

    def calibrate(self, data: FaceDataset) -> None:
        """Splits the codes of labeled people, then measures the factors as for every model."""
        rows = np.flatnonzero(data.row_labeled("identity"))
        parts = track(np.split(rows, range(BLOCK, len(rows), BLOCK)), "codes")
        with torch.no_grad():
            codes = [self.code(torch.from_numpy(data[part]).to(self.device)) for part in parts]
        self.split.fit(torch.cat(codes), torch.from_numpy(data.row_subject[rows]))
        super().calibrate(data)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        return Codes(*self.split.split(self.code(vertices)))

    def decode(self, codes: Codes) -> Tensor:
        return self.face(self.split.join(codes.identity, codes.expression))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Both parts from normal distributions with mean and covariance of the training codes."""
        return self.calibration.sample(count, generator)

    def code(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) millimeters to (B, D)."""
        return self.compress(self.normalize(vertices))

    def face(self, z: Tensor) -> Tensor:
        """(B, D) to (B, V, 3) millimeters."""
        return self.in_millimeters(self.expand(z))

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        def losses(batch: Batch) -> Losses:
            x = self.normalize(batch.vertices)
            return {"reconstruction": (self.expand(self.compress(x)) - x).abs().mean()}

        yield autoencoder_stage(
            self, virtual_people(faces(data, settings.batch_size), data, settings.virtual_people), losses,
            settings, None if validation is None else partial(self.validation_error, validation),
        )  # fmt: skip

    @torch.no_grad()
    def validation_error(self, data: FaceDataset) -> dict[str, float]:
        """Mean vertex distance on unseen faces, millimeters; the split does not exist yet."""
        wrong = []
        for start in range(0, len(data), BLOCK):
            vertices = torch.from_numpy(data[slice(start, start + BLOCK)]).to(self.device)
            wrong.append((self.face(self.code(vertices)) - vertices).norm(dim=2).mean(1))
        return {"rec_avd_mesh": float(torch.cat(wrong).mean())}


def autoencoder_stage(
    model: FaceModel, batch: Sampler, losses: Callable[[Batch], Losses], settings: Any,
    validate: Callable[[], dict[str, float]] | None, *, name: str = "autoencoder",
) -> Stage:  # fmt: skip
    """One phase of training with one optimizer, whose rate rises and then decays.

    Args:
        model: What is trained and kept.
        batch: Draws the faces.
        losses: Of a batch.
        settings: :class:`Settings`, or those of a method that has the same ones and more.
        validate: As for :class:`mien.models.base.Stage`.
        name: Of the stage.
    """

    def step(drawn: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        yield "autoencoder", losses(drawn)

    return Stage(
        name, settings.steps, batch, step, {"model": model}, {"autoencoder": optimizer(model, settings)},
        rates={"autoencoder": rising_and_decaying(settings)}, validate=validate,
        validate_every=settings.validate_every, patience=settings.patience,
    )  # fmt: skip


def vertex_scale(data: FaceDataset) -> tuple[Tensor, Tensor]:
    """(V, 3) mean and (V, 3) deviation of every coordinate, millimeters, float32.

    A coordinate that never moves would be divided by zero: it gets a trace of the mean deviation.
    """
    mean, variance = vertex_statistics(data)
    deviation = np.sqrt(variance)
    raised = np.maximum(deviation, 1e-3 * deviation.mean() + 1e-6)
    return torch.from_numpy(mean).float(), torch.from_numpy(raised).float()


def require_neutrals(model: FaceModel, data: FaceDataset) -> None:
    """Refuses data in which somebody has no neutral scan.

    Raises:
        MissingNeutral: How many scans are of such people.
    """
    if not data.has_neutral.all():
        raise MissingNeutral(
            f"{model.name} learns the neutral of every person",
            received=f"{int((~data.has_neutral).sum())} scans of people without one",
            remedy="label neutral scans by all-zero weights",
        )  # fmt: skip


def neutral_validation(model: FaceModel, data: FaceDataset | None) -> Callable[[], dict[str, float]] | None:
    """What measures the predicted neutrals of unseen people; None where their neutrals are not known."""
    if data is None or not data.has_neutral.all():
        return None
    return partial(_neutral_error, model, data)


@torch.no_grad()
def _neutral_error(model: FaceModel, data: FaceDataset) -> dict[str, float]:
    """Mean vertex distance of the neutrals, millimeters."""
    wrong = []
    for start in range(0, len(data), BLOCK):
        rows = slice(start, start + BLOCK)
        truth = torch.from_numpy(data.neutral_of(rows)).to(model.device)
        found = model.decode(model.encode(torch.from_numpy(data[rows]).to(model.device)))
        wrong.append((found - truth).norm(dim=2).mean(1))
    return {"neu_avd": float(torch.cat(wrong).mean())}


def optimizer(model: FaceModel, settings: Settings) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, or what :func:`optimizer_of` has."""
    decay = settings.weight_decay
    if settings.optimizer == "sgd":
        momentum = settings.momentum
        return torch.optim.SGD(model.parameters(), settings.rate, momentum=momentum, weight_decay=decay)
    return optimizer_of(model, settings.rate, weight_decay=decay, kind=settings.optimizer)
