"""Adversarial VAE (Gu, Pears and Sun, FG 2023): identity apart from expression, with or without neutrals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.nn.functional import mse_loss

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces, mixed_pairs, same_subject_pairs, virtual_people
from mien.data.statistics import vertex_statistics
from mien.geometry.spread import evenly_spread
from mien.models.base import FaceModel, Losses, Reference, Stage, validation_errors
from mien.models.base_closed_form import closed_form_finish, closed_form_start
from mien.nn.gaussian import divergence, draw
from mien.nn.mesh import MeshLaplacian
from mien.nn.pointnet import PointNetClassifier, PointNetFeatures, running_statistics_kept, thin
from mien.topology import Topology

DIFFERENT, SAME = 0, 1


@dataclass(frozen=True)
class Settings:
    """Training settings; weights carry the name of their term and hold for coordinates in units of 100 mm.

    The paper's weights belong to each data set's own divisor; recipes rescale them by (100 / divisor)^2.
    """

    neutrals: bool = True  #: use each person's neutral scan as the target of the identity shape ("ne-gt")
    identity_discriminator: bool = True  #: train against the discriminator of pairs ("id-dis")
    reconstruction: float = 150.0  #: a1, weight of the squared reconstruction error
    neutral: float = 1.0  #: a6, weight of the neutral term relative to reconstruction (inside a1's bracket)
    expression_offset: float = 0.0  #: a6 on BU-3DFE, weight of the offset term relative to reconstruction
    divergence: float = 3e-5  #: a2, weight of both KL terms
    adversarial: float = 5e-4  #: a3, weight of the pair (X, X_id) called "same"
    identity_code: float = 1e-2  #: a4, weight of |z_id - z_id(encode(X_id))|
    smoothness: float | None = None  #: a5, weight of L_lap; None: 3e-4 without neutrals, else 0
    divergence_until: int | None = None  #: steps after which KL has faded to zero (CoMA runs); None keeps it
    batch_size: int = 32
    steps: int = 40_000  #: joint steps
    pretraining_steps: int = 10_000  #: steps of the discriminator alone; 0 starts it untrained
    rate: float = 1e-4  #: Adam's learning rate of the VAE
    decoder_rate: float = 1.0  #: learning rate of the decoders relative to ``rate``
    discriminator_rate: float = 1e-4
    weight_decay: float = 1e-4  #: of the VAE
    decay: float = 0.7  #: both rates are multiplied by this ...
    decay_every: int = 5_000  #: ... every so many steps (50 epochs in the paper)
    discriminator_batch_norm: bool = False  #: batch statistics in joint training too (CoMA with neutrals)
    discriminator_points: int | None = None  #: random points a step that the discriminator sees; None: all
    discriminator_noise: float = 0.0  #: deviation of noise on the faces it sees, millimeters ...
    discriminator_noise_last: float | None = None  #: ... and where it ends; None: it stays the same
    discriminator_noise_until: int = 3000  #: joint step at which it has faded to its last value
    identity_code_every: int = 1  #: apply the code term every so many steps, as many times heavier
    closed_form_start: bool = False  #: begin at a linear model (:mod:`mien.nn.start`) instead of at noise
    closed_form_finish: int = 0  #: batches of a final exact least squares of heads and decoders; 0: none
    virtual_people: float = 0.0  #: share of rows whose person is a mixture of others (joint training)
    warm_up: int = 0  #: steps in which the learning rates rise from zero
    validate_every: int = 500
    patience: int | None = None


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
        L = a1 (L_recon + a6 L_neutral) + a2 (KL_id + KL_exp) + a3 L_adv + a4 L_code + a5 L_lap          (7)
        L_recon = mean |X_hat - X|^2,   L_code = mean |z_id - z_id(E(X_id_hat))|,   L_lap = |L X_id_hat|^2 / V
        L_D = CE(D(X, X'), same) + CE(D(X, X_id_hat), different),   L_adv = CE(D(X, X_id_hat), same)     (8)

    X' is another scan of the person of X. With ``neutrals`` off, no neutral scan is used: the discriminator
    alone pulls X_id_hat to what a person's scans have in common.

    Departures:
        - Eq. 7 as printed would let the VAE help the discriminator; the VAE only gets the "same" label of its
          own pair. The neutral term, absent from the printed list, is in the authors' runs with neutrals.
        - KL is analytic instead of a one-sample estimate (same mean, less noise).
        - L_code compares posterior means, and its second encoding leaves the batch norm's running statistics
          alone, so that they describe faces as they are encoded later.
        - In joint training the discriminator keeps its pre-training's running statistics, without dropout.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles start and finish in closed form (:mod:`models.base_closed_form`),
          train decoders slower than the encoder, take fewer steps, show encoder and discriminator 128
          vertices, apply L_code every eighth step, eight times as heavy, and mix people
          (:func:`mien.data.sampling.virtual_people`).

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
        self.seen.copy_(torch.from_numpy(evenly_spread(self.mean_face.numpy(force=True), len(self.seen))))

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        means, log_variances = self.posterior(self.normalize(vertices))
        if self.sampled_codes:
            means = [draw(m, v) for m, v in zip(means, log_variances, strict=True)]
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
        """Millimeters to coordinates about the mean face's centroid in units of ``divisor``."""
        return (vertices - self.mean_face.mean(0)) / self.unit

    def features_of(self, vertices: Tensor) -> Tensor:
        """(B, 1024) encoder features of faces (B, V, 3) in millimeters."""
        return self.features(self.normalize(vertices)[:, self.seen])

    def posterior(self, x: Tensor) -> tuple[list[Tensor], ...]:
        """[mu_id, mu_exp] and [log sigma^2_id, log sigma^2_exp] of normalized faces (B, V, 3)."""
        features = self.features(x[:, self.seen])
        heads = (self.means.values(), self.log_variances.values())
        return tuple([head(features) for head in group] for group in heads)

    def shape(self, factor: str, code: Tensor) -> Tensor:
        """D_id(z_id) or D_exp(z_exp), (B, V, 3) in units of ``divisor``."""
        return self.decoders[factor](code).unflatten(-1, (-1, 3))

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        discriminator = IdentityDiscriminator().to(self.device)
        if settings.identity_discriminator and settings.pretraining_steps:
            yield pretraining(self, discriminator, data, settings)
        yield joint_training(self, discriminator, data, settings, validation)


class IdentityDiscriminator(PointNetClassifier):
    """Two faces, stacked by vertex index into six channels, to logits of (different person, same person).

    Shapes:
        first (B, V, 3), second (B, V, 3) -> logits (B, 2).
    """

    def __init__(self) -> None:
        super().__init__(channels=6, classes=2)

    def judge(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits (B, 2) of pairs of normalized faces."""
        return self(torch.cat([first, second], dim=2))

    def settle(self, batch_norm: bool) -> None:
        """Joint training: no dropout; running instead of batch statistics unless ``batch_norm``."""
        for module in self.modules():
            if isinstance(module, nn.Dropout) or (isinstance(module, nn.BatchNorm1d) and not batch_norm):
                module.eval()


def shown(meshes: list[Tensor], settings: Settings, unit: float, index: int = 0) -> list[Tensor]:
    """What the discriminator sees at a joint step; noise keeps it from living on the decoder's own."""
    noise = settings.discriminator_noise
    if noise and settings.discriminator_noise_last:
        fading = min(1.0, index / settings.discriminator_noise_until)
        noise *= (settings.discriminator_noise_last / noise) ** fading
    meshes = thin(meshes, settings.discriminator_points)
    return [mesh + noise / unit * torch.randn_like(mesh) for mesh in meshes]


def pretraining(
    model: AdversarialVAE, discriminator: IdentityDiscriminator, data: FaceDataset, settings: Settings
) -> Stage:
    """The discriminator learns to tell same from different people on real scans."""

    def step(batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        assert batch.partner is not None and batch.same is not None
        first, second = (model.normalize(x) for x in (batch.vertices, batch.partner))
        first, second = shown([first, second], settings, model.unit)
        loss = functional.cross_entropy(discriminator.judge(first, second), batch.same)
        yield "discriminator", {"pairs": loss}

    optimizer = torch.optim.Adam(discriminator.parameters(), settings.discriminator_rate)
    return Stage(
        "identity discriminator", settings.pretraining_steps, mixed_pairs(data, settings.batch_size), step,
        {"discriminator": discriminator}, {"discriminator": optimizer},
    )  # fmt: skip


def joint_training(
    model: AdversarialVAE, discriminator: IdentityDiscriminator, data: FaceDataset, settings: Settings,
    validation: FaceDataset | None,
) -> Stage:  # fmt: skip
    """One step of the discriminator and one of the VAE per batch, eqs. 7 and 8."""
    modules: dict[str, nn.Module] = {"model": model}
    decoders = list(model.decoders.parameters())
    others = [p for name, p in model.named_parameters() if not name.startswith("decoders.")]
    groups: list[dict[str, Any]] = [
        {"params": others},
        {"params": decoders, "lr": settings.rate * settings.decoder_rate},
    ]
    optimizers: dict[str, torch.optim.Optimizer] = {
        "vae": torch.optim.Adam(groups, settings.rate, weight_decay=settings.weight_decay)
    }
    batch = faces(data, settings.batch_size, neutral=settings.neutrals)
    if settings.identity_discriminator:
        modules["discriminator"] = discriminator
        optimizers["discriminator"] = torch.optim.Adam(
            discriminator.parameters(), settings.discriminator_rate
        )
        batch = same_subject_pairs(data, settings.batch_size, neutral=settings.neutrals)
    batch = virtual_people(batch, data, settings.virtual_people, neutral=settings.neutrals)
    objective, known = Objective(model, discriminator, settings), settings.neutrals

    def rate(index: int) -> float:
        rise = min(1.0, (index + 1) / max(1, settings.warm_up))
        return rise * settings.decay ** (index // settings.decay_every)

    return Stage(
        "joint training", settings.steps, batch, objective.step, modules, optimizers,
        rates=dict.fromkeys(optimizers, rate),
        validate=None if validation is None else partial(validation_errors, model, validation, known),
        validate_every=settings.validate_every, patience=settings.patience,
        begin=partial(closed_form_start, model, data, known) if settings.closed_form_start else None,
        finish=partial(closed_form_finish, model, data, batch, known, settings.closed_form_finish)
        if settings.closed_form_finish else None,
    )  # fmt: skip


class Objective:
    """The losses of joint training, term by term."""

    def __init__(
        self, model: AdversarialVAE, discriminator: IdentityDiscriminator, settings: Settings
    ) -> None:
        self.model, self.discriminator, self.settings = model, discriminator, settings
        smoothness = settings.smoothness
        if smoothness is None:
            smoothness = 0.0 if settings.neutrals else 3e-4
        scale = (model.unit / 100) ** 2  # weights of squared lengths hold for units of 100 mm
        self.reconstruction, self.smoothness = settings.reconstruction * scale, smoothness * scale
        self.laplacian = MeshLaplacian(model.topology).to(model.device) if smoothness else None

    def step(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """Discriminator first, then the VAE; both use one forward pass of the VAE."""
        model, settings = self.model, self.settings
        x = model.normalize(batch.vertices)
        means, log_variances = model.posterior(x)
        z_id, z_exp = (draw(m, v) for m, v in zip(means, log_variances, strict=True))
        mean = model.normalize(model.mean_face)
        x_id = mean + model.shape("identity", z_id)  # X_id_hat
        offset = model.shape("expression", z_exp)
        if settings.identity_discriminator:
            assert batch.partner is not None
            self.discriminator.settle(settings.discriminator_batch_norm)
            yield "discriminator", self.discriminate(x, model.normalize(batch.partner), x_id.detach(), index)
        losses = {"reconstruction": self.reconstruction * mse_loss(x_id + offset, x)}
        fading = 1.0 if settings.divergence_until is None else max(0.0, 1 - index / settings.divergence_until)
        for name, m, v in zip(("identity", "expression"), means, log_variances, strict=True):
            losses[f"divergence_{name}"] = fading * settings.divergence * divergence(m, v)
        if settings.neutrals:
            assert batch.neutral is not None
            losses |= self.supervised(x, x_id, offset, model.normalize(batch.neutral))
        if settings.identity_discriminator:
            losses["adversarial"] = settings.adversarial * self.judged_same(x, x_id, index)
        if settings.identity_code and index % settings.identity_code_every == 0:
            distance = self.code_distance(means[0], x_id)
            losses["identity_code"] = settings.identity_code * settings.identity_code_every * distance
        if self.laplacian is not None:
            losses["smoothness"] = self.smoothness * self.laplacian(x_id).square().sum(-1).mean()
        yield "vae", losses

    def discriminate(self, x: Tensor, partner: Tensor, x_id: Tensor, index: int) -> Losses:
        """Eq. 8: (X, another scan) is the same person, (X, X_id_hat) is not."""
        x, partner, x_id = shown([x, partner, x_id], self.settings, self.model.unit, index)
        logits = self.discriminator.judge(torch.cat([x, x]), torch.cat([partner, x_id]))
        labels = torch.tensor([SAME, DIFFERENT], device=x.device).repeat_interleave(len(x))
        return {"discriminator": functional.cross_entropy(logits, labels)}

    def judged_same(self, x: Tensor, x_id: Tensor, index: int) -> Tensor:
        """The VAE's side of eq. 6, non-saturating."""
        x, x_id = shown([x, x_id], self.settings, self.model.unit, index)
        self.discriminator.requires_grad_(False)  # not updated here, and its gradient costs time
        logits = self.discriminator.judge(x, x_id)
        self.discriminator.requires_grad_(True)
        return functional.cross_entropy(logits, torch.full((len(x),), SAME, device=x.device))

    def supervised(self, x: Tensor, x_id: Tensor, offset: Tensor, neutral: Tensor) -> Losses:
        """Terms that need the true neutral, inside the bracket of a1."""
        settings = self.settings
        losses = {"neutral": settings.neutral * mse_loss(x_id, neutral)}
        if settings.expression_offset:
            losses["expression_offset"] = settings.expression_offset * mse_loss(offset, x - neutral)
        return {name: self.reconstruction * loss for name, loss in losses.items()}

    def code_distance(self, z_id: Tensor, x_id: Tensor) -> Tensor:
        """mean |z_id - z_id(encode(X_id_hat))|, with gradient through both."""
        with running_statistics_kept(self.model.features):
            again = self.model.posterior(x_id)[0][0]
        return (z_id - again).abs().mean()
