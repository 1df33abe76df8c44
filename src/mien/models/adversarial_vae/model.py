"""Adversarial VAE (Gu, Pears and Sun, FG 2023): identity apart from expression, with or without neutrals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.statistics import vertex_statistics
from mien.geometry.farthest_points import farthest_points
from mien.models.adversarial_vae.losses import IdentityDiscriminator, Settings, joint_training, pretraining
from mien.models.adversarial_vae.pointnet import PointNetFeatures
from mien.models.base import FaceModel, Reference, Stage
from mien.nn.gaussian import reparameterize
from mien.topology import Topology

#: What makes short runs on two cores worthwhile; the full profile keeps the paper's schedule.
QUICK = {
    "encoder_points": 128, "discriminator_points": 128, "identity_code_every": 8, "virtual_people": 1.0,
    "closed_form_start": True, "closed_form_finish": 300, "rate": 6e-4, "decoder_rate": 0.05, "warm_up": 200,
}  # fmt: skip


class AdversarialVAE(FaceModel):
    """Splits a face into an identity shape and an expression offset that add up to it.

    Reference: Y. Gu, N. Pears, H. Sun. Adversarial 3D Face Disentanglement of Identity and Expression.
    IEEE FG 2023.

    Equations (X face, X_m mean face, E encoder, D_id and D_exp decoders)::

        z_id = mu_id + sigma_id * eps,  z_exp = mu_exp + sigma_exp * eps,  (mu, sigma) = E(X)
        X_id_hat = X_m + D_id(z_id),    X_hat = X_id_hat + D_exp(z_exp)                                  (1)

    The losses, with a discriminator D of pairs of faces, stand in :mod:`mien.models.adversarial_vae.losses`.
    With ``neutrals`` off, no neutral scan is used: the discriminator alone pulls X_id_hat to what a person's
    scans have in common; or, with ``rest``, a face at rest that is found from the same identity labels
    (:mod:`mien.data.rest`) stands for the neutral scan, at the start and as a target.

    Departures:
        - Eq. 7 as printed would let the VAE help the discriminator; the VAE only gets the "same" label of its
          own pair. The neutral term, absent from the printed list, is in the authors' runs with neutrals.
        - KL is analytic instead of a one-sample estimate (same mean, less noise).
        - L_code compares posterior means, and its second encoding leaves the batch norm's running statistics
          alone, so that they describe faces as they are encoded later.
        - In joint training the discriminator keeps its pre-training's running statistics, without dropout;
          the authors' code leaves out its batch norm altogether, but for CoMA with neutrals.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles start and finish in closed form (``linear.py``),
          train decoders slower than the encoder, take fewer steps, show encoder and discriminator 128
          vertices, apply L_code every eighth step, eight times as heavy, and mix people
          (:func:`mien.data.sampling.virtual_people`).
        - ``rest`` is not in the paper; "none", the default, is its form.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Size of z_id (4 CoMA, 40 BU-3DFE, 64 FaceScape).
        expression_size: Size of z_exp (the same sizes).
        divisor: Networks see coordinates about the mean face's centroid divided by this many millimeters
            (the paper: CoMA 260, BU-3DFE 156, FaceScape 573); decoders start at noise in proportion to it.
        hidden: Width of both decoders.
        encoder_points: How many evenly spread vertices the encoder sees; None: all, as published.
        sampled_codes: Encode to a random code of the posterior instead of its mean.

    Example:
        >>> model = mien.load_model("runs/vae")
        >>> codes = model.encode(vertices)              # (B, V, 3) millimeters
        >>> neutral = model.neutral_face(codes)         # the people at rest
        >>> moved = model.decode(codes.replace(expression=model.express(weights)))
    """

    name = "adversarial_vae"
    needs_neutrals = False
    native = frozenset({"reconstruct", "neutralize", "transfer", "interpolate", "generate", "recognize"})
    reference = Reference(
        "gu2023adversarial", "Gu, Yajie and Pears, Nick and Sun, Hao",
        "Adversarial 3D Face Disentanglement of Identity and Expression",
        "IEEE International Conference on Automatic Face and Gesture Recognition", 2023,
        "https://github.com/rmraaron/FaceExpDisentanglement",
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": QUICK | {
            "closed_form_finish": 60, "steps": 200, "pretraining_steps": 50, "decay_every": 30,
            "validate_every": 100,
        },
        "standard": QUICK | {
            "steps": 10_000, "pretraining_steps": 1000, "decay_every": 1000, "validate_every": 500,
        },
        "full": {},
    }  # fmt: skip

    mean_face: Tensor
    seen: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 64,
        expression_size: int = 64,
        hidden: int = 256,
        encoder_points: int | None = None,
        sampled_codes: bool = False,
        divisor: float = 100.0,
    ) -> None:
        super().__init__(topology, expressions)
        self.unit = divisor
        self.sampled_codes = sampled_codes
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        seen = min(encoder_points or topology.vertex_count, topology.vertex_count)
        self.register_buffer("seen", torch.arange(seen))  # chosen in prepare()
        self.features = PointNetFeatures((3, 64, 64, 64, 128, 1024))
        sizes = {"identity": identity_size, "expression": expression_size}
        self.means = nn.ModuleDict({name: nn.Linear(1024, size) for name, size in sizes.items()})
        self.log_variances = nn.ModuleDict({name: nn.Linear(1024, size) for name, size in sizes.items()})
        self.decoders = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, self.mean_face.numel())
                )
                for name, size in sizes.items()
            }
        )

    def prepare(self, data: FaceDataset) -> None:
        mean, _ = vertex_statistics(data)
        self.mean_face.copy_(torch.from_numpy(mean))
        self.seen.copy_(torch.from_numpy(farthest_points(self.mean_face.numpy(force=True), len(self.seen))))

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        means, log_variances = self.posterior(self.normalize(vertices))
        if self.sampled_codes:
            means = [reparameterize(m, v) for m, v in zip(means, log_variances, strict=True)]
        identity, expression = means
        return Codes(identity, expression)

    def decode(self, codes: Codes) -> Tensor:
        return self.neutral_face(codes) + self.expression_offset(codes)

    def neutral_face(self, codes: Codes) -> Tensor:
        """X_id_hat, (B, V, 3) millimeters: the identity shape, which needs no rest code here."""
        return self.mean_face + self.unit * self.shape("identity", codes.identity)

    def expression_offset(self, codes: Codes) -> Tensor:
        """X_exp_hat, (B, V, 3) millimeters: what the expression adds, to be put on any neutral."""
        return self.unit * self.shape("expression", codes.expression)

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        sizes = (self.config["identity_size"], self.config["expression_size"])
        identity, expression = (torch.randn(count, size, generator=generator) for size in sizes)
        return Codes(identity.to(self.device), expression.to(self.device))

    # ---- the networks in their own unit

    def normalize(self, vertices: Tensor) -> Tensor:
        """Coordinates about the mean face's centroid in units of ``divisor``.

        Args:
            vertices: (..., V, 3) float, millimeters.

        Returns:
            (..., V, 3) float.
        """
        return (vertices - self.mean_face.mean(0)) / self.unit

    def restore(self, x: Tensor) -> Tensor:
        """(..., V, 3) millimeters of normalized faces (..., V, 3)."""
        return self.unit * x + self.mean_face.mean(0)

    def features_of(self, vertices: Tensor) -> Tensor:
        """(B, 1024) encoder features of faces (B, V, 3) in millimeters."""
        return self.features(self.normalize(vertices)[:, self.seen])

    def posterior(self, x: Tensor) -> tuple[list[Tensor], ...]:
        """Mean and variance of both codes.

        Args:
            x: (B, V, 3) float, normalized.

        Returns:
            [mu_id, mu_exp] and [log sigma^2_id, log sigma^2_exp], each (B, D) with the size of its code.
        """
        features = self.features(x[:, self.seen])
        heads = (self.means.values(), self.log_variances.values())
        return tuple([head(features) for head in group] for group in heads)

    def shape(self, factor: str, code: Tensor) -> Tensor:
        """D_id(z_id) or D_exp(z_exp): codes (B, D) to (B, V, 3) in units of ``divisor``."""
        return self.decoders[factor](code).unflatten(-1, (-1, 3))

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        discriminator = IdentityDiscriminator().to(self.device)
        if settings.identity_discriminator and settings.pretraining_steps:
            yield pretraining(self, discriminator, data, settings)
        yield joint_training(self, discriminator, data, settings, validation)
