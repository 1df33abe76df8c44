"""What FaceCAM's shape is trained for: stage I on meshes, stage II on their codes.

Equations (Taherkhani et al. 2023; X a mesh, y_id and y_exp its labels, C the class heads, w = (w_id, w_exp)
its codes, w' generated ones, D the discriminator with the class logits D_id and D_exp)::

    L_I = mean |X_hat - X| + CE(C_id(w_id), y_id) + CE(C_exp(w_exp), y_exp)
    L_D = BCE(D(w), 1) + BCE(D(w'), 0) + CE(D_id(w_id), y_id) + CE(D_exp(w_exp), y_exp)
    L_G = BCE(D(w'), 1) + CE(D_id(w_id'), y_id) + CE(D_exp(w_exp'), y_exp)

Further terms, ``swap`` and ``matching``, are ours and off as published.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler, faces, same_subject_pairs, virtual_people
from mien.errors import BadSetting
from mien.models.base import Losses, Stage
from mien.models.facecam.networks import UNKNOWN, Heads, LabelMap, LatentDiscriminator, class_loss
from mien.models.facecam.texture_losses import TextureSettings
from mien.models.files import load_model
from mien.nn.average import follow

MEASURED = 2000  #: training scans whose codes give stage II its scale


@dataclass(frozen=True)
class Settings(TextureSettings):
    """Training settings; weights carry the name of their term."""

    reconstruction: float = 1.0
    identity_class: float = 1.0  #: cross-entropy of the person, stage I
    expression_class: float = 1.0  #: cross-entropy of the expression, stage I
    seen_vertices: int | None = None  #: random vertices that a step of stage I compares; None: all
    swap: float = 0.0  #: reconstruction with the identity of another scan of the same person
    virtual_people: float = 0.0  #: share of stage I's rows whose person is a mixture of others
    batch_size: int = 128
    steps: int = 200_000
    rate: float = 1e-4
    decay_from: float = 1.0  #: share of stage I after which the rate falls to zero, linearly
    validate_every: int = 1000
    patience: int | None = 20
    adversarial: float = 1.0
    latent_identity_class: float = 1.0  #: cross-entropy of the person, stage II
    latent_expression_class: float = 1.0  #: cross-entropy of the expression, stage II
    matching: float = 0.0  #: distance of a training person's generated codes from the person's own
    new_people: float = 0.0  #: share of generated rows whose person is nobody of training
    zero_is_neutral: float = 0.0  #: share of neutral rows that enter G_exp as the zero vector
    d_inputs: str = "split"  #: entries of the discriminator: split or joint
    dropout: float = 0.5  #: in the discriminator's shared layers
    average: float = 0.0  #: decay of the moving average of the generators; 0 keeps the last weights
    raw_codes: bool = False  #: stage II sees codes as stage I gives them, not standardized
    batch_labels: bool = False  #: made codes bear the labels of the batch's faces, not random ones
    redrawn_noise: bool = False  #: the generators are judged on codes of another z_noise than L_D saw
    latent_batch_size: int = 100
    latent_steps: int = 100_000
    latent_rate: float = 2e-4
    #: A finished run whose shape is taken, so that textures alone are learned; its own textures of the same
    #: form are taken, too, and go on.
    shape_from: str | None = None


class SupervisedLosses:
    """Stage I: a mesh through both encoders and the decoder, with the classes of both codes.

    Args:
        model: A FaceCAM.
        heads: Its class heads.
        labels: Of the training view.
        settings: Weights of the terms.
    """

    def __init__(self, model: Any, heads: Heads, labels: LabelMap, settings: Any) -> None:
        self.model, self.heads, self.labels, self.settings = model, heads, labels, settings

    def step(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """L_I; with ``swap`` also the mesh from w_exp and the w_id of another scan of the same person."""
        model, settings = self.model, self.settings
        seen = self.draw()
        w_id, w_exp = model.embed(batch.vertices)
        truth = self.shown(batch.vertices, seen)
        loss = (self.decoded(w_id, w_exp, seen) - truth).abs().mean()
        losses = {"reconstruction": settings.reconstruction * loss}
        if settings.swap:
            partner_id, _ = model.embed(batch.partner)
            swapped = (self.decoded(partner_id, w_exp, seen) - truth).abs().mean()
            losses["swap"] = settings.swap * swapped
        people, labels = self.labels.person(batch.subject), self.labels.expression(batch.weights)
        if settings.identity_class:
            losses["identity_class"] = settings.identity_class * class_loss(self.heads.identity(w_id), people)
        if settings.expression_class:
            loss = class_loss(self.heads.expression(w_exp), labels)
            losses["expression_class"] = settings.expression_class * loss
        yield "autoencoder", losses

    def draw(self) -> Tensor:
        """(n,) int64 vertices that this step compares: all, or a fresh random choice (unbiased)."""
        count, device = self.model.topology.vertex_count, self.model.device
        if not self.settings.seen_vertices:
            return torch.arange(count, device=device)
        return torch.randperm(count, device=device)[: self.settings.seen_vertices]

    def shown(self, vertices: Tensor, seen: Tensor) -> Tensor:
        """X: (B, n, 3) coordinates of the vertices ``seen`` (n,) of faces (B, V, 3), in the unit of the
        networks.
        """
        return (vertices[:, seen] - self.model.mean_face[seen]) / self.model.deviation

    def decoded(self, w_id: Tensor, w_exp: Tensor, seen: Tensor) -> Tensor:
        """X_hat at some vertices.

        Args:
            w_id: (B, D) float. Identity embeddings.
            w_exp: (B, D) float. Expression embeddings.
            seen: (n,) int64. The vertices.

        Returns:
            (B, n, 3) float, in the unit of the networks.
        """
        x = self.model.decoder(w_id, w_exp)
        if not len(self.model.axes):
            return x.unflatten(1, (-1, 3))[:, seen]
        axes = self.model.axes.unflatten(1, (-1, 3))[:, seen].flatten(1)
        return ((x * self.model.spread) @ axes).unflatten(1, (-1, 3))


class LatentLosses:
    """Stage II: generators against a discriminator, on the codes that stage I gives to training meshes.

    Args:
        model: A FaceCAM whose encoders stay as they are.
        generators: What is trained: the model's own generators, or a copy whose average they become.
        discriminator: See :class:`mien.models.facecam.networks.LatentDiscriminator`.
        labels: Of the training view.
        settings: Weights of the terms.
    """

    def __init__(
        self, model: Any, generators: nn.ModuleDict, discriminator: nn.Module, labels: LabelMap, settings: Any
    ) -> None:
        self.model, self.generators, self.discriminator = model, generators, discriminator
        self.labels, self.settings = labels, settings

    def step(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """L_D, then L_G; both use one forward pass of the generators, or one each (``redrawn_noise``)."""
        settings = self.settings
        real = self.standardized(batch.vertices)
        who, what = self.labels.person(batch.subject), self.labels.expression(batch.weights)
        bearing = who if settings.batch_labels else None
        made, made_who, made_what = self.draw(len(batch.vertices), what, bearing)
        logits, id_logits, exp_logits = self.discriminator(*real)
        false, _, _ = self.discriminator(*(code.detach() for code in made))
        losses = {
            "real": functional.softplus(-logits).mean(),
            "fake": functional.softplus(false).mean(),
            "real_identity": settings.latent_identity_class * class_loss(id_logits, who),
            "real_expression": settings.latent_expression_class * class_loss(exp_logits, what),
        }
        yield "discriminator", losses
        if settings.redrawn_noise:
            made, _, _ = self.draw(len(batch.vertices), made_what, made_who)
        self.discriminator.requires_grad_(False)  # its own weights are not updated here
        logits, id_logits, exp_logits = self.discriminator(*made)
        self.discriminator.requires_grad_(True)
        losses = {
            "adversarial": settings.adversarial * functional.softplus(-logits).mean(),
            "identity": settings.latent_identity_class * class_loss(id_logits, made_who),
            "expression": settings.latent_expression_class * class_loss(exp_logits, made_what),
        }
        if settings.matching:
            losses["matching"] = settings.matching * self.distance_to_own(real, who, what)
        yield "generators", losses
        self.average(index)

    @torch.no_grad()
    def measure(self, data: FaceDataset) -> None:
        """Mean and deviation of the codes of training scans; 0 and 1 for ``raw_codes``."""
        if self.settings.raw_codes:
            self.model.code_mean.zero_()
            self.model.code_std.fill_(1.0)
            return
        rows = np.random.default_rng(0).permutation(len(data))[:MEASURED]
        parts = [
            torch.from_numpy(data[rows[k : k + 64]]).to(self.model.device) for k in range(0, len(rows), 64)
        ]
        codes = torch.cat([torch.cat(self.model.embed(part), dim=1) for part in parts])
        self.model.code_mean.copy_(codes.mean(0))
        self.model.code_std.copy_(codes.std(0).clamp_min(1e-6))

    @torch.no_grad()
    def standardized(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """E_id(X), E_exp(X) without mean and scale."""
        codes = (torch.cat(self.model.embed(vertices), dim=1) - self.model.code_mean) / self.model.code_std
        w_id, w_exp = codes.split(self.model.sizes[:2], dim=1)
        return w_id, w_exp

    def draw(
        self, count: int, seen: Tensor, people: Tensor | None = None
    ) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Generated codes of random people with random expressions, or of given ones.

        Args:
            count: B.
            seen: (B,) int64 class numbers, or (B, E) float intensities, of real faces: where intensities are
                drawn from, and the device; with ``people`` the labels themselves.
            people: (B,) int64 class numbers, UNKNOWN for new people; None draws them.

        Returns:
            Embeddings (B, D) of identity and of expression, standardized; and the labels that they should
            bear: (B,) people, UNKNOWN for new ones, and expressions in the
            form of ``seen``, (B,) or (B, E).
        """
        table, device = self.model.z_people, seen.device
        if people is None:
            who = torch.randint(len(table), (count,), device=device)
            new = torch.rand(count, device=device) < self.settings.new_people
        else:
            who, new = people.clamp_min(0), people == UNKNOWN
        z_id = torch.where(new[:, None], torch.randn(count, table.shape[1], device=device), table[who])
        if people is not None:
            what = seen
        elif self.labels.intensities:
            what = seen[torch.randperm(count, device=device)]
        else:
            present = self.labels.present.to(device)
            what = present[torch.randint(len(present), (count,), device=device)]
        made = self.made(z_id, self.one_hot(what))
        return made, torch.where(new, UNKNOWN, who), what

    def one_hot(self, what: Tensor) -> Tensor:
        """z_exp of class numbers (neutral, at times, the zero vector); intensities are their own z_exp.

        Args:
            what: (B,) int64 class numbers, or (B, E) float intensities.

        Returns:
            (B, n_exp) float.
        """
        if what.is_floating_point():
            return what
        codes = functional.one_hot(what, self.model.class_count).float()
        silent = (what == 0) & (torch.rand(len(what), device=what.device) < self.settings.zero_is_neutral)
        return codes * ~silent[:, None]

    def made(self, z_id: Tensor, z_exp: Tensor) -> tuple[Tensor, Tensor]:
        """One draw of z_noise through both generators.

        Args:
            z_id: (B, D) float.
            z_exp: (B, n_exp) float.

        Returns:
            Embeddings (B, D) of identity and of expression, standardized.
        """
        noise = torch.randn(len(z_id), self.model.sizes[3], device=z_id.device)
        return self.model.generate(z_id, z_exp, noise, z_id, self.generators)

    def distance_to_own(self, real: tuple[Tensor, Tensor], who: Tensor, what: Tensor) -> Tensor:
        """Mean distance of a person's generated codes from those of the person's scan.

        Args:
            real: Embeddings (B, D) of identity and of expression, standardized.
            who: (B,) int64 people, UNKNOWN where there is no label.
            what: (B,) int64 class numbers, or (B, E) float intensities.

        Returns:
            Scalar.
        """
        known = who != UNKNOWN
        made = self.made(self.model.z_people[who[known]], self.one_hot(what[known]))
        distances = [(mine - own[known]).abs().mean() for mine, own in zip(made, real, strict=True)]
        return torch.stack(distances).sum() if known.any() else torch.zeros((), device=who.device)

    def average(self, index: int) -> None:
        """The model's generators follow the trained ones; early averages forget the start."""
        decay = min(self.settings.average, (index + 1) / (index + 10))
        follow(self.model.generators, self.generators, decay)


def supervised_stage(
    model: Any, heads: Heads, data: FaceDataset, settings: Settings, labels: LabelMap,
    validation: FaceDataset | None,
) -> Stage:  # fmt: skip
    """Stage I: encoders, decoder and class heads."""
    parts = nn.ModuleList([model.encoders, model.decoder, heads])

    def rate(index: int) -> float:
        left = (settings.steps - index) / max(1.0, settings.steps * (1 - settings.decay_from))
        return min(1.0, left)

    return Stage(
        "supervised autoencoder", settings.steps,
        scans(data, settings.batch_size, settings.swap > 0, settings.virtual_people),
        SupervisedLosses(model, heads, labels, settings).step,
        {"model": model, "heads": heads},
        {"autoencoder": torch.optim.Adam(parts.parameters(), settings.rate)}, rates={"autoencoder": rate},
        validate=None if validation is None else partial(model.validation_error, validation),
        validate_every=settings.validate_every, patience=settings.patience,
    )  # fmt: skip


def latent_stage(
    model: Any, discriminator: LatentDiscriminator, data: FaceDataset, settings: Settings, labels: LabelMap
) -> Stage:
    """Stage II: the generators of both codes against the discriminator."""
    # With an average, a copy is trained and the model's own generators follow it.
    generators = copy.deepcopy(model.generators) if settings.average else model.generators
    networks: dict[str, nn.Module] = {"discriminator": discriminator, "generators": generators}
    losses = LatentLosses(model, generators, discriminator, labels, settings)
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(module.parameters(), settings.latent_rate) for name, module in networks.items()
    }
    return Stage(
        "latent GAN", settings.latent_steps,
        scans(data, settings.latent_batch_size, False, settings.new_people),
        losses.step,
        {"model": model, **networks}, optimizers, begin=partial(losses.measure, data),
    )  # fmt: skip


def take_shape(model: Any, folder: str) -> None:
    """Statistics, networks and z_id of a trained FaceCAM: what is left to learn is textures.

    Textures of the same size and form are taken, too, and go on from there.

    Args:
        model: A FaceCAM that is prepared for the same faces and people.
        folder: Of a finished run that differs in its textures only.
    """
    if not model.makes_textures:
        raise BadSetting(
            "with the shape of a finished run there is nothing left to learn but textures",
            received="texture_size 0", remedy="set texture_size, too",
        )  # fmt: skip
    given = load_model(folder)
    if given.name != model.name or given.topology.fingerprint != model.topology.fingerprint:
        received = f"{given.name} on {given.topology.name}, here {model.name} on {model.topology.name}"
        raise BadSetting("a shape is taken from a model of the same kind and faces", received=received)
    known = {"expressions": list(given.expressions)} | given.config
    wanted = {"expressions": list(model.expressions)} | model.config
    differs = [name for name in wanted if not name.startswith("texture_") and known[name] != wanted[name]]
    if differs:
        name = differs[0]
        raise BadSetting(
            f"the run whose shape is taken has another {name}",
            received=f"{str(known[name])[:80]} in {folder}, here {str(wanted[name])[:80]}",
            remedy="use the data, profile and settings of that run; only those of textures may differ",
        )  # fmt: skip
    left: tuple[str, ...] = ("calibration.",)  # measured after training
    if any(known[name] != wanted[name] for name in wanted):
        left = ("painter.", *left)
    kept = {name: value for name, value in given.state_dict().items() if not name.startswith(left)}
    model.load_state_dict(kept, strict=False)


def scans(data: FaceDataset, size: int, partners: bool, virtual: float) -> Sampler:
    """Random scans: with another scan of the same person, and with people who do not exist."""
    batch = same_subject_pairs(data, size) if partners else faces(data, size)
    return virtual_people(batch, data, virtual)
