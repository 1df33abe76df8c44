"""What the adversarial VAE is trained for.

Equations (Gu, Pears and Sun 2023; X a face, X' another scan of the same person, X_id_hat the decoded identity
shape, X_n the person's neutral scan, D the discriminator of pairs, L the uniform Laplacian)::

    L = a1 (L_recon + a6 L_neutral) + a2 (KL_id + KL_exp) + a3 L_adv + a4 L_code + a5 L_lap          (7)
    L_recon = mean |X_hat - X|^2,   L_neutral = mean |X_id_hat - X_n|^2
    KL_k = KL(N(mu_k, sigma_k^2) || N(0, I))                                                         (5)
    L_D = CE(D(X, X'), same) + CE(D(X, X_id_hat), different)                                         (8)
    L_adv = CE(D(X, X_id_hat), same)                                                                 (6)
    L_code = mean |z_id - z_id(E(X_id_hat))|,   L_lap = |L X_id_hat|^2 / V
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import mse_loss

from mien.data.dataset import FaceDataset
from mien.data.rest import known_at_rest
from mien.data.sampling import Batch, faces, mixed_pairs, same_subject_pairs, virtual_people
from mien.errors import UnknownName
from mien.models.adversarial_vae.linear import closed_form_finish, closed_form_start
from mien.models.adversarial_vae.moving_rest import MovingRest
from mien.models.adversarial_vae.pointnet import PointNetClassifier, running_statistics_kept, thin
from mien.models.base import Losses, Stage, validation_errors
from mien.nn.gaussian import kl_divergence, reparameterize
from mien.nn.laplacian import MeshLaplacian
from mien.nn.learning_rate import rising_and_decaying

DIFFERENT, SAME = 0, 1


@dataclass(frozen=True)
class Settings:
    """Training settings; weights carry the name of their term and hold for coordinates in units of 100 mm.

    The paper's weights belong to each data set's own divisor; recipes rescale them by (100 / divisor)^2.
    """

    neutrals: bool = True  #: use each person's neutral scan as the target of the identity shape ("ne-gt")
    rest: str = (
        "none"  #: without neutrals, what stands for them: "none", rest "found" in people's scans, "median"
    )
    rest_target: bool = (
        True  #: it is the target of the identity shape, too; False: only the closed-form start
    )
    rest_stays: float = (
        1.0  #: what stays of a person's target at each visit, the rest follows X_id_hat; 1: all
    )
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
    discriminator_dropout: bool = False  #: dropout in joint training too (the authors' code for that run)
    discriminator_points: int | None = None  #: random points a step that the discriminator sees; None: all
    discriminator_noise: float = 0.0  #: deviation of noise on the faces it sees, millimeters ...
    discriminator_noise_last: float | None = None  #: ... and where it ends; None: it stays the same
    discriminator_noise_until: int = 3000  #: joint step at which it has faded to its last value
    identity_code_every: int = 1  #: apply the code term every so many steps, as many times heavier
    closed_form_start: bool = False  #: begin at a linear model instead of at noise
    closed_form_finish: int = 0  #: batches of a final exact least squares of heads and decoders; 0: none
    virtual_people: float = 0.0  #: share of rows whose person is a mixture of others (joint training)
    warm_up: int = 0  #: steps in which the learning rates rise from zero
    validate_every: int = 500
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.rest not in RESTS:
            raise UnknownName("rest", self.rest, RESTS)

    @property
    def at_rest(self) -> bool:
        """Faces stand for neutral scans."""
        return not self.neutrals and self.rest != "none"

    @property
    def supervised(self) -> bool:
        """The identity shape has a target: the neutral scan, or what stands for it."""
        return self.neutrals or (self.at_rest and self.rest_target)

    @property
    def moving(self) -> bool:
        """Targets that stand for neutral scans follow the identity shapes."""
        return self.at_rest and self.rest_target and self.rest_stays < 1


RESTS = ("none", "found", "median")


class IdentityDiscriminator(PointNetClassifier):
    """Two faces, stacked by vertex index into six channels, to logits of (different person, same person).

    Shapes:
        first (B, V, 3), second (B, V, 3) -> logits (B, 2).
    """

    def __init__(self) -> None:
        super().__init__(channels=6, classes=2)

    def compare(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, 2) logits of pairs of normalized faces (B, V, 3) and (B, V, 3)."""
        return self(torch.cat([first, second], dim=2))

    def settle(self, batch_norm: bool, dropout: bool = False) -> None:
        """Joint training: batch statistics only with ``batch_norm``, dropout only with ``dropout``."""
        for module in self.modules():
            still = {nn.BatchNorm1d: not batch_norm, nn.Dropout: not dropout}
            if still.get(type(module), False):
                module.eval()


def shown(meshes: list[Tensor], settings: Settings, unit: float, index: int = 0) -> list[Tensor]:
    """What the discriminator sees at a joint step; noise keeps it from telling the decoder's faces by
    their grain.

    Args:
        meshes: Normalized faces, each (B, V, 3) float.
        settings: How many points, and how much noise.
        unit: Millimeters of one unit.
        index: The step.

    Returns:
        Faces (B, P, 3) of the same P points, with noise.
    """
    noise = settings.discriminator_noise
    if noise and settings.discriminator_noise_last:
        fading = min(1.0, index / settings.discriminator_noise_until)
        noise *= (settings.discriminator_noise_last / noise) ** fading
    meshes = thin(meshes, settings.discriminator_points)
    return [mesh + noise / unit * torch.randn_like(mesh) for mesh in meshes]


def pretraining(
    model: Any, discriminator: IdentityDiscriminator, data: FaceDataset, settings: Settings
) -> Stage:
    """The discriminator learns to tell same from different people on real scans."""

    def step(batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        assert batch.partner is not None and batch.same is not None
        first, second = (model.normalize(x) for x in (batch.vertices, batch.partner))
        first, second = shown([first, second], settings, model.unit)
        loss = functional.cross_entropy(discriminator.compare(first, second), batch.same)
        yield "discriminator", {"pairs": loss}

    optimizer = torch.optim.Adam(discriminator.parameters(), settings.discriminator_rate)
    return Stage(
        "identity discriminator", settings.pretraining_steps, mixed_pairs(data, settings.batch_size), step,
        {"discriminator": discriminator}, {"discriminator": optimizer},
    )  # fmt: skip


def joint_training(
    model: Any, discriminator: IdentityDiscriminator, data: FaceDataset, settings: Settings,
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
    data, known = known_at_rest(data, settings.rest) if settings.at_rest else data, settings.supervised
    batch = faces(data, settings.batch_size, neutral=known)
    if settings.identity_discriminator:
        modules["discriminator"] = discriminator
        optimizers["discriminator"] = torch.optim.Adam(
            discriminator.parameters(), settings.discriminator_rate
        )
        batch = same_subject_pairs(data, settings.batch_size, neutral=known)
    batch = virtual_people(batch, data, settings.virtual_people, neutral=known)
    if settings.moving:
        modules["bank"] = MovingRest(model, data, settings.rest_stays).to(model.device)
    bank: Any = modules.get("bank")
    objective = Objective(model, discriminator, settings, bank)

    return Stage(
        "joint training", settings.steps, batch, objective.step, modules, optimizers,
        rates=dict.fromkeys(optimizers, rising_and_decaying(settings)),
        validate=partial(validation_errors, model, validation, settings.neutrals) if validation else None,
        validate_every=settings.validate_every, patience=settings.patience,
        begin=partial(closed_form_start, model, data, known or settings.at_rest)
        if settings.closed_form_start else None,
        finish=partial(closed_form_finish, model, data, batch, known and not settings.moving,
                       settings.closed_form_finish) if settings.closed_form_finish else None,
    )  # fmt: skip


class Objective:
    """The losses of joint training, term by term.

    Args:
        model: An AdversarialVAE.
        discriminator: Its opponent.
        settings: Weights of the terms.
        bank: Moves the targets of the identity shape, if they do not stand.
    """

    def __init__(
        self, model: Any, discriminator: IdentityDiscriminator, settings: Settings,
        bank: MovingRest | None = None,
    ) -> None:  # fmt: skip
        self.model, self.discriminator, self.settings, self.bank = model, discriminator, settings, bank
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
        z_id, z_exp = (reparameterize(m, v) for m, v in zip(means, log_variances, strict=True))
        mean = model.normalize(model.mean_face)
        x_id = mean + model.shape("identity", z_id)  # X_id_hat
        offset = model.shape("expression", z_exp)
        if settings.identity_discriminator:
            assert batch.partner is not None
            self.discriminator.settle(settings.discriminator_batch_norm, settings.discriminator_dropout)
            yield "discriminator", self.discriminate(x, model.normalize(batch.partner), x_id.detach(), index)
        losses = {"reconstruction": self.reconstruction * mse_loss(x_id + offset, x)}
        fading = 1.0 if settings.divergence_until is None else max(0.0, 1 - index / settings.divergence_until)
        for name, m, v in zip(("identity", "expression"), means, log_variances, strict=True):
            losses[f"divergence_{name}"] = fading * settings.divergence * kl_divergence(m, v)
        if settings.supervised:
            assert batch.neutral is not None
            neutral = batch.neutral if self.bank is None else self.bank.follow_shapes(batch, x_id.detach())
            losses |= self.supervised(x, x_id, offset, model.normalize(neutral))
        if settings.identity_discriminator:
            losses["adversarial"] = settings.adversarial * self.called_same(x, x_id, index)
        if settings.identity_code and index % settings.identity_code_every == 0:
            distance = self.code_distance(means[0], x_id)
            losses["identity_code"] = settings.identity_code * settings.identity_code_every * distance
        if self.laplacian is not None:
            losses["smoothness"] = self.smoothness * self.laplacian(x_id).square().sum(-1).mean()
        yield "vae", losses

    def discriminate(self, x: Tensor, partner: Tensor, x_id: Tensor, index: int) -> Losses:
        """Eq. 8: (X, another scan) is the same person, (X, X_id_hat) is not.

        Args:
            x: (B, V, 3) float, normalized. X.
            partner: (B, V, 3) float, normalized. X', another scan of each person.
            x_id: (B, V, 3) float, normalized. X_id_hat, without gradient.
            index: The step.
        """
        x, partner, x_id = shown([x, partner, x_id], self.settings, self.model.unit, index)
        logits = self.discriminator.compare(torch.cat([x, x]), torch.cat([partner, x_id]))
        labels = torch.tensor([SAME, DIFFERENT], device=x.device).repeat_interleave(len(x))
        return {"discriminator": functional.cross_entropy(logits, labels)}

    def called_same(self, x: Tensor, x_id: Tensor, index: int) -> Tensor:
        """The VAE's side of eq. 6, non-saturating.

        Args:
            x: (B, V, 3) float, normalized. X.
            x_id: (B, V, 3) float, normalized. X_id_hat.
            index: The step.

        Returns:
            Scalar.
        """
        x, x_id = shown([x, x_id], self.settings, self.model.unit, index)
        self.discriminator.requires_grad_(False)  # not updated here, and its gradient costs time
        logits = self.discriminator.compare(x, x_id)
        self.discriminator.requires_grad_(True)
        return functional.cross_entropy(logits, torch.full((len(x),), SAME, device=x.device))

    def supervised(self, x: Tensor, x_id: Tensor, offset: Tensor, neutral: Tensor) -> Losses:
        """Terms that need a neutral, inside the bracket of a1.

        Args:
            x: (B, V, 3) float, normalized. X.
            x_id: (B, V, 3) float, normalized. X_id_hat.
            offset: (B, V, 3) float, normalized. What the expression adds.
            neutral: (B, V, 3) float, normalized. X_n.
        """
        settings = self.settings
        losses = {"neutral": settings.neutral * mse_loss(x_id, neutral)}
        if settings.expression_offset:
            losses["expression_offset"] = settings.expression_offset * mse_loss(offset, x - neutral)
        return {name: self.reconstruction * loss for name, loss in losses.items()}

    def code_distance(self, z_id: Tensor, x_id: Tensor) -> Tensor:
        """mean |z_id - z_id(encode(X_id_hat))|, with gradient through both.

        Args:
            z_id: (B, D) float. Posterior means of X.
            x_id: (B, V, 3) float, normalized. X_id_hat.

        Returns:
            Scalar.
        """
        with running_statistics_kept(self.model.features):
            again = self.model.posterior(x_id)[0][0]
        return (z_id - again).abs().mean()
