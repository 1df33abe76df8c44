"""MAE (Fernandez Abrevaya, Wuhrer and Boyer, 2018): an image encoder in front of a multilinear decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.labels import labels_of
from mien.data.sampling import Batch, labeled_faces
from mien.data.statistics import vertex_statistics
from mien.data.tensor import cell_means, labeled_cells
from mien.errors import BadSetting
from mien.models.autoencoder import autoencoder_stage
from mien.models.base import FaceModel, Losses, Reference, Stage, validation_errors
from mien.nn.geometry_image import GeometryMapping
from mien.nn.principal import principal_axes
from mien.nn.tucker import bilinear_model
from mien.topology import Topology

FACTORS = ("identity", "expression")


@dataclass(frozen=True)
class Settings:
    """Training settings."""

    labels: float = 0.1  #: weight of L_lab relative to L_rec
    batch_size: int = 64
    steps: int = 50_000
    rate: float = 1e-3
    optimizer: str = "adam"  #: or "muon" (:mod:`mien.nn.muon`)
    weight_decay: float = 0.0
    decay: float = 0.5  #: the rate is multiplied by this ...
    decay_every: int = 10_000  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rate rises from zero
    validate_every: int = 500
    patience: int | None = None


class MultilinearAutoencoder(FaceModel):
    """A convolutional encoder finds both codes of a face; a multilinear core, trained along, decodes them.

    Reference: V. Fernandez Abrevaya, S. Wuhrer, E. Boyer. Multilinear Autoencoder for 3D Face Model Learning.
    WACV 2018.

    Equations (I the geometry image of a face x, E a convolutional encoder, M the core of ``multilinear``)::

        (z_id, z_exp) = E(I),   x_hat = m + M x_1 (1, z_id) x_2 (1, z_exp)
        L_rec = mean |x_hat - x|^2 / mean |x - mean face|^2
        L_lab = mean |z_id - mean z_id of the person|^2 + mean |z_exp - mean z_exp of the expression|^2
        L = L_rec + 0.1 L_lab                                                  (means over a batch's labels)

    Departures:
        - The encoder's details are not at hand. It sees the geometry image of Abrevaya et al. (ICCV 2019) by
          five convolutions of stride 2 and a linear layer.
        - Codes are in units of standard deviations, as in ``multilinear``, whose solution M starts at.
        - M acts on ``vertex_axes`` principal axes of all scans, so that it fits in memory.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon and take fewer steps.

    Args:
        topology: What all faces share; its template is laid on the unit square.
        expressions: E expression names.
        identity_size: Size of z_id; no more of it is used than there are training people.
        expression_size: Size of z_exp; likewise.
        vertex_axes: Principal axes of the scans; no more are used than there are scans.
        image_size: Pixels along each side of the geometry image.
        channels: Channels of the convolutions, each of which halves the image.

    Example:
        >>> model = mien.load_model("runs/mae")
        >>> codes = model.encode(vertices)              # (B, V, 3) millimeters
        >>> moved = model.decode(codes.replace(expression=other.expression))
    """

    name: ClassVar[str] = "multilinear_autoencoder"
    needs_neutrals: ClassVar[bool] = False
    native: ClassVar[frozenset[str]] = frozenset(
        ("reconstruct", "transfer", "interpolate", "generate", "fit")
    )
    reference: ClassVar[Reference] = Reference(
        "abrevaya2018multilinear",
        "Fernandez Abrevaya, Victoria and Wuhrer, Stefanie and Boyer, Edmond",
        "Multilinear Autoencoder for 3D Face Model Learning",
        "IEEE Winter Conference on Applications of Computer Vision", 2018,
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": {"optimizer": "muon", "rate": 3e-3, "batch_size": 32, "steps": 150, "decay": 0.5,
                  "decay_every": 40, "validate_every": 50, "warm_up": 10},
        "standard": {"optimizer": "muon", "rate": 3e-3, "batch_size": 32, "steps": 8_000, "decay": 0.7,
                     "decay_every": 800, "warm_up": 100},
        "full": {},
    }  # fmt: skip

    mean_face: Tensor
    spread: Tensor
    axes: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 65,
        expression_size: int = 20,
        vertex_axes: int = 300,
        image_size: int = 64,
        channels: Sequence[int] = (32, 64, 128, 128, 128),
    ) -> None:
        super().__init__(topology, expressions)
        if image_size % 2 ** len(channels):
            raise BadSetting(
                "every convolution halves the geometry image, and this one does not divide",
                received=f"{image_size} pixels, {len(channels)} convolutions",
                remedy=f"choose a multiple of {2 ** len(channels)}, or fewer channels",
            )
        self.sizes = (identity_size, expression_size)
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("axes", torch.zeros(vertex_axes, topology.vertex_count * 3))
        self.image = GeometryMapping(topology, image_size, cover=True)
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *channels), channels, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ELU()]
        wide = channels[-1] * (image_size // 2 ** len(channels)) ** 2
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(wide, sum(self.sizes)))
        self.core = nn.Parameter(torch.zeros(1 + identity_size, 1 + expression_size, vertex_axes))

    def prepare(self, data: FaceDataset) -> None:
        """Mean and spread of the scans, and the multilinear model that M starts at."""
        self.check_data(data)
        rows, cells = labeled_cells(data)
        found = principal_axes(data.__getitem__, rows, len(self.axes), label="axes of the scans")
        tensor, known = cell_means(data, rows, cells, found.mean, found.axes)
        fitted = bilinear_model(tensor, known, self.sizes)
        mean = found.mean + (fitted.center @ found.axes).astype(np.float32)
        self.mean_face.copy_(torch.from_numpy(mean).view(-1, 3))
        self.spread.fill_(float(np.sqrt(vertex_statistics(data)[1].mean())))
        people, shown, count = fitted.core.shape  # few people or scans: what they do not span stays zero
        with torch.no_grad():
            self.axes.zero_()[:count] = torch.from_numpy(found.axes)
            self.core.zero_()[:people, :shown, :count] = torch.from_numpy(fitted.core)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """(z_id, z_exp) = E(I)."""
        image = self.image((vertices - self.mean_face) / self.spread)
        return Codes(*self.encoder(image).split(self.sizes, dim=1))

    def decode(self, codes: Codes) -> Tensor:
        """m + M x_1 (1, z_id) x_2 (1, z_exp)."""
        who, what = (torch.cat([torch.ones_like(z[:, :1]), z], 1) for z in (codes.identity, codes.expression))
        mixed = torch.einsum("abc,na->nbc", self.core, who)
        return self.mean_face + ((what[:, None] @ mixed)[:, 0] @ self.axes).unflatten(1, (-1, 3))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Codes with mean and covariance of the training codes."""
        return self.calibration.sample(count, generator)

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        labels = [labels_of(data, factor) for factor in FACTORS]
        yield autoencoder_stage(
            self, labeled_faces(data, settings.batch_size, labels), partial(self._losses, settings), settings,
            None if validation is None else partial(self._validation_error, validation),
        )  # fmt: skip

    def _losses(self, settings: Any, batch: Batch) -> Losses:
        assert batch.labels is not None
        codes = self.encode(batch.vertices)
        wrong = (self.decode(codes) - batch.vertices) / self.spread
        losses = {"reconstruction": wrong.square().mean()}
        for column, factor in enumerate(FACTORS):
            apart = spread_within(codes.factor(factor), batch.labels[:, column])
            losses[f"labels_{factor}"] = settings.labels * apart
        return losses

    def _validation_error(self, data: FaceDataset) -> dict[str, float]:
        """Reconstruction and neutralization on unseen faces, millimeters; reconstruction decides."""
        self.calibrate(data)
        return validation_errors(self, data, False)


def spread_within(codes: Tensor, label: Tensor) -> Tensor:
    """Mean squared distance of codes to the mean of their label.

    Args:
        codes: (B, D) float.
        label: (B,) int64, -1 where it is missing; such rows do not count.

    Returns:
        Scalar; 0 where no row has a label.
    """
    known = label >= 0
    if not known.any():
        return codes.sum() * 0
    values, index = codes[known], label[known].unique(return_inverse=True)[1]
    total = torch.zeros(int(index.max()) + 1, codes.shape[1]).to(codes).index_add(0, index, values)
    return (values - (total / index.bincount()[:, None])[index]).square().mean()
