"""What FaceTuneGAN is trained for: the losses of generator (Ec, Es, M, Dec) and discriminator D.

Equations (Olivier, Baert, Danieau, Multon and Avril 2021; x content face, s style face, D_s the logit of the
class of s, D_f the last features of D, dist the mean vertex distance)::

    x_r = Dec(Ec(x), Es(x)),   x_t = Dec(Ec(x), Es(s))                                               (3, 4)
    L_rec = dist(x_r, x)                                                                             (5)
    L_cyc = dist(Dec(Ec(x_t), Es(x)), x)                                                             (6)
    L_sty = |Es(x_t) - Es(s)|_1                                                                      (7)
    L_adv = BCE(D_s(x_t), 1)                                                                         (8)
    L_feat = |D_f(x_r) - D_f(x)|_1 + |D_f(x_t) - D_f(s)|_1                                           (9)
    L_lap = mean_v |v - centroid of its neighbors|   on x_t                                 (section 3.3)
    L_label = CE(R(Es(x)), class of x) + CE(R(Es(s)), class of s)          not in the paper, R a linear map
    L_swap = dist(Dec(Ec(x), Es(x')), x)              not in the paper, x' somebody else who does the same
    L_G = L_adv + L_feat + 0.4 L_sty + L_rec + L_cyc + 0.1 L_lap                                     (10)
    L_D = BCE(D_s(s), 1) + BCE(D_s(x_t), 0) + r1/2 |grad_s D_s(s)|^2                                 (8, 10)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.data.sampling import Batch
from mien.errors import UnknownName
from mien.models.base import Losses
from mien.models.facetunegan.networks import StyleDiscriminator
from mien.nn.average import follow
from mien.nn.gaussian import kl_divergence, reparameterize
from mien.nn.laplacian import MeshLaplacian


@dataclass(frozen=True)
class Settings:
    """Training settings; weights carry the name of their term, for coordinates divided by their deviation."""

    adversarial: float = 1.0
    feature: float = 1.0  #: features of x_r like those of x, of x_t like those of s
    style: float = 0.4  #: the style of x_t is that of s
    reconstruction: float = 1.0
    cycle: float = 1.0  #: x_t with the style of x is x again
    smoothness: float = 0.1  #: Laplacian of x_t
    smoothness_of: str = "face"  #: or "change": the Laplacian of x_t - x
    gradient_penalty: float = 10.0  #: R1 of the discriminator on real faces
    gradient_penalty_reduction: str = "sample"  #: or "batch_mean" (FUNIT): weaker by the batch size squared
    gradient_penalty_end: float | None = None  #: reached geometrically at the last step; None: constant
    gradient_penalty_every: int = 1  #: apply R1 every so many steps, as many times heavier
    divergence: float = 0.0  #: KL of both codes to N(0, I), for a variational model
    feature_of: str = "mean"  #: D_f averaged over vertices, or "vertex": compared vertex by vertex
    gan: str = "bce"  #: or "hinge" (FUNIT)
    adversarial_on_reconstruction: bool = False  #: the generator's adversarial term on x_r too (FUNIT)
    squared: bool = False  #: dist is the mean squared error instead of the mean vertex distance
    balanced_styles: bool = True  #: draw s evenly over the classes
    average: float = 0.999  #: decay of the moving average that becomes the model; 0 keeps the last weights
    batch_size: int = 8
    steps: int = 130_000
    optimizer: str = "adam"  #: or "muon" (:mod:`mien.nn.muon`)
    rate: float = 1e-4
    discriminator_rate: float | None = None  #: None: as ``rate``
    style_rate: float | None = None  #: of Es and M, always by Adam; None: as ``rate``
    weight_decay: float = 5e-5
    decay: float = 1.0  #: both rates are multiplied by this ...
    decay_every: int = 10_000  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rates rise from zero
    reconstruction_first: int = 0  #: steps with L_rec alone, before adversarial training begins
    style_first: int = (
        0  #: steps before all others in which Es learns to name styles with a linear reader ...
    )
    style_first_rate: float = 1e-3  #: ... by Adam
    label: float = 0.0  #: the linear reader names the style from Es(x) and Es(s), all along
    swap: bool = False  #: L_swap, and x' instead of x in L_cyc: the style of one is the style of the other
    virtual_people: float = 0.0  #: share of rows whose person is a mixture of others
    validate_every: int = 1000
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownName(name, getattr(self, name), known)

    @property
    def reads_labels(self) -> bool:
        """Styles are named by a linear reader, in a stage of its own or all along."""
        return bool(self.style_first or self.label)


CHOICES = {
    "gan": ("bce", "hinge"), "feature_of": ("mean", "vertex"), "smoothness_of": ("face", "change"),
    "gradient_penalty_reduction": ("sample", "batch_mean"),
}  # fmt: skip


class TranslationLosses:
    """The losses of discriminator and generator, term by term.

    Args:
        model: A FaceTuneGAN; it follows the generator if there is a moving average.
        generator: What is trained: the model itself or a copy of it.
        discriminator: Its opponent.
        settings: Weights and schedule.
        reader: Linear (n_s -> E + 1), what L_label reads styles with.
    """

    def __init__(
        self, model: Any, generator: Any, discriminator: StyleDiscriminator, settings: Settings,
        reader: nn.Linear | None = None,
    ) -> None:  # fmt: skip
        self.model, self.generator, self.discriminator = model, generator, discriminator
        self.settings, self.reader = settings, reader
        self.laplacian = MeshLaplacian(model.topology).to(model.device)

    def step(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """StyleDiscriminator first, then the generator; both use one translation."""
        assert batch.partner is not None and batch.partner_weights is not None
        net, settings = self.generator, self.settings
        x, s = net.normalize(batch.vertices), net.normalize(batch.partner)
        raw = [net.content(x, net.levels), net.style(x, net.levels)]
        content, style = (reparameterize(*c.chunk(2, dim=1)) if net.variational else c for c in raw)
        x_r = net.join(content, style)
        losses = {"reconstruction": settings.reconstruction * self.distance(x_r, x)}
        if net.variational:
            parts = [kl_divergence(*code.chunk(2, dim=1)) for code in raw]
            losses["divergence"] = settings.divergence * torch.stack(parts).sum()
        own, classes = style, style_classes(batch.partner_weights)
        if settings.swap:
            assert batch.twin is not None
            own = net.mean_code(net.style, net.normalize(batch.twin))
            losses["swap"] = settings.reconstruction * self.distance(net.join(content, own), x)
        begun, labeled = index >= settings.reconstruction_first, bool(settings.label)
        style_s = net.mean_code(net.style, s) if begun or labeled else style
        if labeled:
            losses["label"] = settings.label * self.named(batch, torch.cat([style, style_s]))
        if begun:
            x_t = net.join(content, style_s)
            yield "discriminator", self.discriminate(x_t.detach(), s, classes, index)
            losses |= self.translate(x, x_t, own, style_s) | self.deceive(x, s, x_r, x_t, classes)
        yield "generator", losses
        follow(self.model, self.generator, self.settings.average)

    def translate(self, x: Tensor, x_t: Tensor, style: Tensor, style_s: Tensor) -> Losses:
        """L_sty, L_cyc and L_lap.

        Args:
            x: (B, V, 3) float, in deviations. The content faces.
            x_t: (B, V, 3) float, in deviations. The translated faces.
            style: (B, D) float. Es(x), or Es of somebody else who does the same.
            style_s: (B, D) float. Es(s).
        """
        net, settings = self.generator, self.settings
        again = net.join(net.mean_code(net.content, x_t), style)
        return {
            "style": settings.style * (net.mean_code(net.style, x_t) - style_s).abs().mean(),
            "cycle": settings.cycle * self.distance(again, x),
            "smoothness": settings.smoothness * self.roughness(x_t, x),
        }

    def named(self, batch: Batch, styles: Tensor) -> Tensor:
        """L_label, a scalar: faces without an expression label do not count.

        Args:
            batch: With the classes of x as ``labels``.
            styles: (2 B, D) float. Es(x), then Es(s).
        """
        assert batch.labels is not None and batch.partner_weights is not None and self.reader is not None
        classes = torch.cat([batch.labels[:, 0], style_classes(batch.partner_weights)])
        return functional.cross_entropy(self.reader(styles), classes, ignore_index=-1)

    def name_styles(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """A step of Es and the reader alone."""
        assert batch.partner is not None
        net = self.generator
        both = net.normalize(torch.cat([batch.vertices, batch.partner]))
        yield "style", {"label": self.named(batch, net.mean_code(net.style, both))}

    def discriminate(self, x_t: Tensor, s: Tensor, classes: Tensor, index: int) -> Losses:
        """L_D: the score of the own class is high for style faces and low for translated ones; and R1.

        Args:
            x_t: (B, V, 3) float, in deviations. The translated faces, without gradient.
            s: (B, V, 3) float, in deviations. The style faces.
            classes: (B,) int64. The style classes of s.
            index: The step.
        """
        settings = self.settings
        penalized = bool(settings.gradient_penalty) and index % settings.gradient_penalty_every == 0
        s = s.detach().requires_grad_(penalized)
        real, fake = self.discriminator.score(s, classes), self.discriminator.score(x_t, classes)
        if settings.gan == "hinge":
            loss = functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
        else:
            loss = functional.softplus(-real).mean() + functional.softplus(fake).mean()
        losses = {"discriminator": loss}
        if penalized:
            (slope,) = torch.autograd.grad(real.sum(), s, create_graph=True)
            weight = self.penalty(index) / 2 * settings.gradient_penalty_every
            if settings.gradient_penalty_reduction == "batch_mean":
                weight /= len(s) ** 2  # the gradient of the mean response, as FUNIT's code has it
            losses["gradient_penalty"] = weight * slope.square().sum((1, 2)).mean()
        return losses

    def deceive(self, x: Tensor, s: Tensor, x_r: Tensor, x_t: Tensor, classes: Tensor) -> Losses:
        """The generator's side, L_adv and L_feat; the discriminator's weights get no gradient.

        Args:
            x: (B, V, 3) float, in deviations. The content faces.
            s: (B, V, 3) float, in deviations. The style faces.
            x_r: (B, V, 3) float, in deviations. The reconstructed content faces.
            x_t: (B, V, 3) float, in deviations. The translated faces.
            classes: (B,) int64. The style classes of s.
        """
        settings = self.settings
        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            real_x, real_s = self.discriminator(x)[1], self.discriminator(s)[1]
        logits, like_s = self.discriminator(x_t)
        logits_r, like_x = self.discriminator(x_r)
        self.discriminator.requires_grad_(True)
        scores = [logits.gather(1, classes[:, None])]
        if settings.adversarial_on_reconstruction:
            scores.append(logits_r.amax(1, keepdim=True))
        fooled = [-score.mean() if settings.gan == "hinge" else functional.softplus(-score).mean()
                  for score in scores]  # fmt: skip
        feature = (like_x - real_x).abs().mean() + (like_s - real_s).abs().mean()
        return {
            "adversarial": settings.adversarial * torch.stack(fooled).mean(),
            "feature": settings.feature * feature,
        }

    def penalty(self, index: int) -> float:
        """The weight of R1 at this step: falling, so that a discriminator near chance may look closer."""
        first, last = self.settings.gradient_penalty, self.settings.gradient_penalty_end
        done = index / max(1, self.settings.steps - 1)
        return first if last is None else first * (last / first) ** done

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """dist of faces (B, V, 3) and (B, V, 3), a scalar: mean vertex distance, or mean squared error."""
        return functional.mse_loss(a, b) if self.settings.squared else (a - b).norm(dim=2).mean()

    def roughness(self, x_t: Tensor, x: Tensor) -> Tensor:
        """L_lap of the face itself, or of what the translation changed.

        Args:
            x_t: (B, V, 3) float, in deviations. The translated faces.
            x: (B, V, 3) float, in deviations. The content faces.

        Returns:
            Scalar, in deviations.
        """
        changed = self.settings.smoothness_of == "change"
        shape = x_t - x if changed else x_t + self.model.mean_face / self.model.deviation
        return self.laplacian(shape).norm(dim=2).mean()


def style_classes(weights: Tensor) -> Tensor:
    """(B, E) weights to (B,) class: the strongest expression, or E for neutral."""
    neutral = torch.full((len(weights),), weights.shape[1], device=weights.device)
    return torch.where(weights.amax(1) > 0, weights.argmax(1), neutral)
