"""What FaceCAM's textures are trained for: stage III, a GAN that grows level by level.

Equations (Taherkhani et al. 2023, appendix; T a texture, T' a generated one, D the critic with the class
logits D_id and D_exp)::

    T' = G_tex(z_noise, z_id, z_exp)
    L_D = E D(T') - E D(T) + 10 (|grad D| - 1)^2 + 0.001 D(T)^2 + CE(D_id(T), y_id) + CE(D_exp(T), y_exp)
    L_G = -E D(T') + CE(D_id(T'), y_id) + CE(D_exp(T'), y_exp)

Further terms, ``texture_matching``, ``texture_detail`` and ``texture_performance``, are ours and off as
published.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch
from mien.data.textures import textured
from mien.errors import BadSetting
from mien.models.base import Losses, Stage
from mien.models.facecam.networks import UNKNOWN, LabelMap, class_loss
from mien.models.facecam.progressive import SMALLEST, ProgressiveDiscriminator, ProgressiveGenerator
from mien.models.facecam.textures import TextureModel, generated
from mien.nn.average import follow


@dataclass(frozen=True)
class TextureSettings:
    """Training settings of textures; weights carry the name of their term."""

    texture_steps: int | Sequence[int] = 600_000  #: of all levels, shared evenly; or of each level from 8 px
    texture_batch_size: Sequence[int] = (
        128,
        128,
        128,
        64,
        32,
        16,
        8,
    )  #: of each level; the last serves the rest
    texture_rate: float = 1e-3
    texture_fade: float = 0.5  #: share of a level's steps over which it is blended in
    texture_gradient_penalty: float = 10.0
    texture_gradient_penalty_every: int = 1  #: steps between penalties, which then weigh as much more
    texture_drift: float = 0.001
    texture_identity_class: float = 1.0
    texture_expression_class: float = 1.0
    texture_matching: float = 0.0  #: distance of a training person's generated image from the person's own
    texture_matching_first: int | Sequence[int] = 0  #: first steps of a level (of each) with this term alone
    texture_matching_rate: float = 1e-2  #: learning rate of these; it falls to ``texture_rate``
    texture_detail: float = 0.0  #: the same of differences between neighboring texels
    texture_performance: float = 0.0  #: the same of what a performance changes in a person's image
    texture_virtual_people: float = 0.0  #: share of rows of these terms that show a mixture of two people
    texture_new_people: float = 0.0  #: share of generated rows whose person is nobody of training
    texture_zero_is_neutral: float = 0.0  #: share of neutral rows that enter as the zero vector
    texture_average: float = 0.999


QUICK_TEXTURES: dict[str, Any] = {
    "texture_noise": 16, "texture_channels": 32, "texture_centered": True, "texture_batch_size": [16],
    "texture_gradient_penalty_every": 4, "texture_matching": 100.0, "texture_detail": 200.0,
    "texture_performance": 2_000.0, "texture_virtual_people": 0.7,
    "texture_new_people": 0.3, "texture_zero_is_neutral": 0.5, "texture_average": 0.99,
}  # fmt: skip
SMOKE_TEXTURES = QUICK_TEXTURES | {
    "texture_channels": 24,
    "texture_steps": [500, 400, 220, 120, 20, 10, 10],
    "texture_matching_first": [490, 390, 210, 110, 15, 5, 5],
}
STANDARD_TEXTURES = QUICK_TEXTURES | {
    "texture_steps": [1600, 1400, 1000, 700, 700, 700, 700],
    "texture_matching_first": [1550, 1300, 850, 550, 500, 500, 500],
}


class TextureLosses:
    """One level of the ladder.

    Args:
        model: The texture model; its generator is the moving average.
        generator: What is trained.
        critic: The discriminator.
        people: (n_id, 20) z_id of the training people.
        labels: Of the training view.
        settings: Weights of the terms.
        level: From 1.
        steps: Steps of this level.
        first: How many of them, at its beginning, only match training people's own images.
    """

    def __init__(
        self, model: TextureModel, generator: ProgressiveGenerator, critic: ProgressiveDiscriminator,
        people: Tensor, labels: LabelMap, settings: TextureSettings, level: int, steps: int, first: int = 0,
    ) -> None:  # fmt: skip
        self.model, self.generator, self.critic = model, generator, critic
        self.people, self.labels, self.settings = people, labels, settings
        self.level, self.steps, self.first = level, steps, first

    def fade(self, index: int) -> float:
        """Share of the newest level: rises over the first half of the steps; the first level is whole."""
        if self.level == 1:
            return 1.0
        return min(1.0, (index + 1) / max(1.0, self.settings.texture_fade * self.steps))

    def rate(self, index: int) -> float:
        """Factor of the generator's learning rate."""
        if index >= self.first:
            return 1.0
        share = index / self.first
        return 1 + (1 - share) * (self.settings.texture_matching_rate / self.settings.texture_rate - 1)

    def step(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """L_D, then L_G; both use one forward pass of the generator."""
        assert batch.texture is not None
        settings, fade = self.settings, self.fade(index)
        real = self.model.normalize(batch.texture)
        who, what = self.labels.person(batch.subject), self.labels.expression(batch.weights)
        if index < self.first:
            yield "generator", self.match_own(batch, real, fade)
            self.average(index)
            return
        made, made_who, made_what = self.draw(what, fade)
        yield "critic", self.discriminate(real, made.detach(), who, what, index)
        self.critic.requires_grad_(False)  # its own weights are not updated here
        score, exp_logits, id_logits = self.critic(made, self.level, fade)
        self.critic.requires_grad_(True)
        losses = {
            "adversarial": -score.mean(),
            "expression": settings.texture_expression_class * class_loss(exp_logits, made_what),
            "identity": settings.texture_identity_class * class_loss(id_logits, made_who),
        }
        if settings.texture_matching:
            losses |= self.match_own(batch, real, fade)
        yield "generator", losses
        self.average(index)

    def discriminate(self, real: Tensor, made: Tensor, who: Tensor, what: Tensor, index: int) -> Losses:
        """L_D: critic, gradient penalty and drift on both kinds of images, both cross-entropies on real ones.

        Args:
            real: (B, 3, S, S) float. Real images, in the unit of the networks.
            made: (B, 3, S, S) float. Generated images.
            who: (B,) int64. People of the real images, UNKNOWN where there is no label.
            what: (B,) int64 class numbers, or (B, E) float intensities.
            index: The step.
        """
        settings, fade = self.settings, self.fade(index)
        score, exp_logits, id_logits = self.critic(real, self.level, fade)
        false, _, _ = self.critic(made, self.level, fade)
        losses = {
            "critic": false.mean() - score.mean(),
            "drift": settings.texture_drift * score.square().mean(),
            "real_expression": settings.texture_expression_class * class_loss(exp_logits, what),
            "real_identity": settings.texture_identity_class * class_loss(id_logits, who),
        }
        every = settings.texture_gradient_penalty_every
        if settings.texture_gradient_penalty and index % every == 0:
            weight = every * settings.texture_gradient_penalty
            losses["gradient_penalty"] = weight * self.slope_error(real, made, fade)
        return losses

    def slope_error(self, real: Tensor, made: Tensor, fade: float) -> Tensor:
        """E (|grad D(x)| - 1)^2 at random places between real and generated images.

        Args:
            real: (B, 3, S, S) float. Real images, in the unit of the networks.
            made: (B, 3, S, S) float. Generated images.
            fade: Share of the newest level.

        Returns:
            Scalar.
        """
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = torch.lerp(real, made, share).requires_grad_(True)
        score, _, _ = self.critic(between, self.level, fade)
        (slope,) = torch.autograd.grad(score.sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    def draw(self, seen: Tensor, fade: float) -> tuple[Tensor, Tensor, Tensor]:
        """Generated images of random people with random expressions.

        Args:
            seen: (B,) int64 class numbers, or (B, E) float intensities, of real images: where intensities are
                drawn from, and how many.
            fade: Share of the newest level.

        Returns:
            (B, 3, S, S) images, and the labels that they should bear: (B,) people, UNKNOWN for new ones, and
            expressions in the form of ``seen``, (B,) or (B, E).
        """
        count, device = len(seen), self.people.device
        who = torch.randint(len(self.people), (count,), device=device)
        new = torch.rand(count, device=device) < self.settings.texture_new_people
        z_id = self.people[who]
        z_id = torch.where(new[:, None], torch.randn_like(z_id), z_id)
        if self.labels.intensities:
            what = seen[torch.randperm(count, device=device)]
        else:
            present = self.labels.present.to(device)
            what = present[torch.randint(len(present), (count,), device=device)]
        return self.made(z_id, what, fade), torch.where(new, UNKNOWN, who), what

    def made(self, z_id: Tensor, what: Tensor, fade: float) -> Tensor:
        """Images of people (B, 20) with expressions of class numbers (B,) or intensities (B, E)."""
        noise = torch.randn(len(z_id), self.model.noise_size, device=z_id.device)
        z_exp = self.one_hot(what)
        return generated(self.generator, self.model.noise_size, z_id, z_exp, noise, self.level, fade)

    def one_hot(self, what: Tensor) -> Tensor:
        """z_exp of class numbers (neutral, at times, the zero vector); intensities are their own z_exp.

        Args:
            what: (B,) int64 class numbers, or (B, E) float intensities.

        Returns:
            (B, n_exp) float.
        """
        if what.is_floating_point():
            return what
        codes = functional.one_hot(what, self.model.classes).float()
        chance = torch.rand(len(what), device=what.device)
        return codes * ~((what == 0) & (chance < self.settings.texture_zero_is_neutral))[:, None]

    def match_own(self, batch: Batch, real: Tensor, fade: float) -> Losses:
        """Mean distance of training people's generated images from their own, in the networks' unit.

        A share of rows shows virtual people: z_id and image of two people with the same expression, both
        added by cos and sin of one angle, so that what lies between two people varies as much as people do.

        Args:
            batch: Whom the images show, and how.
            real: (B, 3, S, S) float. Real images, in the unit of the networks.
            fade: Share of the newest level.
        """
        who = self.labels.person(batch.subject)
        known = who != UNKNOWN
        if not known.any():
            return {"matching": torch.stack([p.sum() for p in self.generator.parameters()]).sum() * 0.0}
        z_id, truth, share = self.people[who], real, self.settings.texture_virtual_people
        if share:
            assert batch.partner_texture is not None and batch.partner_subject is not None
            other = self.labels.person(batch.partner_subject)
            mixed = (torch.rand(len(who), device=who.device) < share) & (other != UNKNOWN)
            angle = torch.rand(len(who), device=who.device) * torch.pi / 2 * mixed
            cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
            z_id = cosine * z_id + sine * self.people[other]
            partner = self.model.normalize(batch.partner_texture)
            truth = cosine[:, :, None, None] * real + sine[:, :, None, None] * partner
        made = self.made(z_id[known], self.labels.expression(batch.weights)[known], fade)
        wrong, settings = made - truth[known], self.settings
        losses = {"matching": settings.texture_matching * wrong.abs().mean()}
        if settings.texture_detail:
            down, right = wrong.diff(dim=2).abs().mean(), wrong.diff(dim=3).abs().mean()
            losses["detail"] = settings.texture_detail * (down + right)
        if settings.texture_performance:
            losses["performance"] = settings.texture_performance * self.performance_error(
                batch, real, who, fade
            )
        return losses

    def performance_error(self, batch: Batch, real: Tensor, who: Tensor, fade: float) -> Tensor:
        """Mean square of what is wrong with the change from a person's neutral to a performance.

        People differ a hundred times more than their performances do, and what is wrong with a person drops
        out of the difference of two images of one noise. Half of the rows are enough.

        Args:
            batch: Whom the images show, and how, with their neutrals.
            real: (B, 3, S, S) float. Real images, in the unit of the networks.
            who: (B,) int64. People of the real images, UNKNOWN where there is no label.
            fade: Share of the newest level.

        Returns:
            Scalar.
        """
        assert batch.neutral_texture is not None
        change = real - self.model.normalize(batch.neutral_texture)
        shown = torch.nonzero((who != UNKNOWN) & (change.abs().amax(dim=(1, 2, 3)) > 0))[:, 0]
        shown = shown[: -(-len(who) // 2)]
        if not len(shown):
            return torch.stack([p.sum() for p in self.generator.parameters()]).sum() * 0.0
        what, z_id = self.labels.expression(batch.weights)[shown], self.people[who[shown]]
        noise = torch.randn(len(shown), self.model.noise_size, device=z_id.device)
        codes = torch.cat([self.one_hot(torch.zeros_like(what)), self.one_hot(what)])
        twice = z_id.repeat(2, 1), codes, noise.repeat(2, 1)
        both = generated(self.generator, self.model.noise_size, *twice, self.level, fade)
        rest, moved = both.chunk(2)
        return (moved - rest - change[shown]).square().mean()

    def average(self, index: int) -> None:
        """The model's generator follows the trained one; averages of new levels forget their start."""
        decay = min(self.settings.texture_average, (index + 1) / (index + 10))
        follow(self.model.generator, self.generator, decay)


def texture_stages(
    owner: nn.Module,
    model: TextureModel,
    data: FaceDataset,
    people: Tensor,
    labels: LabelMap,
    settings: TextureSettings,
) -> Iterator[Stage]:
    """The levels from 8 pixels up, one stage each, in one run: networks and optimizers go on.

    Args:
        owner: The whole model, which the checkpoints hold.
        model: Its texture model.
        data: A view whose rows all have textures and labels.
        people: (n_id, 20) z_id of the training people.
        labels: Of the training view.
        settings: Training settings.
    """
    if settings.texture_virtual_people and not model.centered:
        raise BadSetting(
            "mixtures of people are mixtures of differences from the mean texture",
            received=f"texture_virtual_people {settings.texture_virtual_people} without texture_centered",
            remedy="set texture_centered=true or texture_virtual_people=0",
        )
    generator = copy.deepcopy(model.generator) if settings.texture_average else model.generator
    critic = ProgressiveDiscriminator(model.size, model.classes, len(people), generator.widest)
    critic = critic.to(people.device)
    networks: dict[str, nn.Module] = {"critic": critic, "generator": generator}
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(module.parameters(), settings.texture_rate, betas=(0.0, 0.99))
        for name, module in networks.items()
    }
    ladder = steps_of(settings.texture_steps, model.levels)
    first = settings.texture_matching_first
    matched = [first] * model.levels if isinstance(first, int) else steps_of(first, model.levels)
    for level, steps in enumerate(ladder, start=1):
        pixels = SMALLEST * 2**level
        sizes = settings.texture_batch_size
        losses = TextureLosses(
            model, generator, critic, people, labels, settings, level, steps, matched[level - 1]
        )
        batch = textured(
            data, sizes[min(level, len(sizes)) - 1], pixels, crop=model.box,
            partners=settings.texture_virtual_people > 0, neutrals=settings.texture_performance > 0,
        )  # fmt: skip
        yield Stage(
            f"texture {pixels} px", steps, batch, losses.step, {"model": owner, **networks}, optimizers,
            rates={"generator": losses.rate},
        )  # fmt: skip


def steps_of(steps: int | Sequence[int], levels: int) -> list[int]:
    """Steps of each level; a list may be longer than the ladder."""
    if isinstance(steps, int):
        return [max(1, steps // levels)] * levels
    if len(steps) < levels:
        raise BadSetting(
            f"a ladder of {levels} levels needs {levels} numbers of steps", received=list(steps),
            remedy="set texture_steps to one number, or to one for each level from 8 pixels up",
        )  # fmt: skip
    return list(steps[:levels])
