"""What the decoupled GAN is trained for: the losses of generator G and discriminator D.

Equations (Fernandez Abrevaya, Boukhayma, Wuhrer and Boyer 2019; x a real face, I the geometry image, C_k the
classifier of factor k with features f_k, c a label, u the displacements of G(z), L the cotangent Laplacian)::

    L_D = mean D(I(G(z))) - mean D(I(x)) + lambda_C sum_k CE(C_k(I(x)), c_k)                     (2, 6, 7)
          + 10 mean (|grad D| - 1)^2
    L_G = -lambda_1 mean D(I(G(z))) + lambda_2 L_CL^a + lambda_3 L_FEAT^b + lambda_4 L_reg       (8)
    L_CL^a = CE(C_a(I(G(z))), c),   z_a the code of label c                                      (9)
    L_FEAT^b = mean of 1 - cos(f_b, f_b') over pairs of faces that share z_b                     (10, 11)
    L_reg = mean_v |(L u)_v|^2                                                                   (12)

Each update of G takes one ordered pair of factors (a, b), in turn.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mien.data.labels import Labels
from mien.data.sampling import Batch
from mien.errors import Note
from mien.models.base import Losses
from mien.models.decoupled_gan.networks import ImageDiscriminator, gradient_penalty
from mien.nn.average import follow
from mien.nn.geometry_image import GeometryMapping
from mien.nn.laplacian import MeshLaplacian


@dataclass(frozen=True)
class Settings:
    """Training settings; weights carry the name of their term."""

    adversarial: float = 1.0  #: lambda_1
    classification: float = 1.0  #: lambda_2, of generated faces
    feature: float = 0.5  #: lambda_3
    laplacian: float = 100.0  #: lambda_4
    laplacian_sum: bool = False  #: sum over the vertices instead of their mean
    discriminator_classification: float = 0.1  #: lambda_C, of real labeled faces
    gradient_penalty: float = 10.0
    gradient_penalty_every: int = 1  #: apply it every so many updates of D, as many times heavier
    instance_noise: float = 0.1  #: deviation of the noise on every image
    instance_noise_end: float | None = None  #: reached linearly at the last step; None: constant
    classify: Sequence[str] | None = None  #: factors with a classifier; None: all
    expression_labels: float = 1.0  #: share of the expression labels that training may see
    image_size: int = 64
    image_samples: int = 1  #: points along each side of a pixel
    image_covers: bool = False  #: every vertex is seen by some pixel
    positions: bool = False  #: D sees positions, not displacements
    start: str = "random"  #: or "additive": G begins as a linear model of people and expressions
    discriminator_updates: int = 3  #: for each update of G
    discriminator_first: int = 0  #: steps in which D learns alone
    average: float = 0.0  #: decay of the moving average that becomes the model; 0 keeps the last weights
    batch_size: int = 64
    steps: int = 31_832  #: updates of G: a third of 200 epochs of 30,559 faces
    rate: float = 2e-4
    decay_from: float = 1.0  #: share of the steps after which both rates fall to zero, linearly
    validate_every: int = 0  #: steps between tests by linear classifiers; the best weights stay. 0: the last
    betas: Sequence[float] = (0.9, 0.999)


def falling(steps: int, decay_from: float, index: int) -> float:
    """Factor of the rates at a step: 1, and after ``decay_from`` of the steps linearly to zero."""
    return min(1.0, (1 - index / steps) / max(1 - decay_from, 1e-9))


class DecouplingLosses:
    """The losses of discriminator and generator, term by term.

    Args:
        model: A DecoupledGAN; it follows the generator if there is a moving average.
        generator: What is trained: the model itself or a copy of it.
        discriminator: Its opponent.
        settings: Weights and schedule.
        labels: Classes of each factor in the training faces.
    """

    def __init__(
        self, model: Any, generator: Any, discriminator: ImageDiscriminator, settings: Settings,
        labels: Mapping[str, Labels],
    ) -> None:  # fmt: skip
        self.model, self.generator, self.discriminator = model, generator, discriminator
        self.settings, self.columns = settings, list(labels)
        device = model.device
        self.mapping = GeometryMapping(
            model.topology, settings.image_size, samples=settings.image_samples, cover=settings.image_covers
        ).to(device)
        if self.mapping.unseen:
            told = (
                f"{self.mapping.sentence} No gradient of images reaches them; image_covers=true mends that."
            )
            square = f" {self.mapping.square.sentence}" if self.mapping.square.cotangent_flips else ""
            warnings.warn(told + square, Note, stacklevel=2)
        mean = model.mean_face.numpy(force=True)
        self.laplacian = MeshLaplacian(model.topology, cotangent_of=mean).to(device)
        classified = discriminator.classes.keys()
        places = {name: labels[name].places(model.class_names(name)) for name in classified}
        self.places = {name: torch.from_numpy(place).to(device) for name, place in places.items()}
        self.balance = {name: torch.from_numpy(labels[name].balance()).to(device) for name in classified}
        #: (labeled a, shared b)
        self.modes = list(itertools.permutations(self.columns, 2))
        self.offset = model.mean_face / model.scale if settings.positions else 0.0

    def step(self, batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
        """Several updates of D, each on faces of its own, then one of G."""
        assert batch.labels is not None
        settings, noise = self.settings, self._noise(index)
        updates = settings.discriminator_updates
        rows = zip(batch.vertices.chunk(updates), batch.labels.chunk(updates), strict=True)
        for number, (vertices, labels) in enumerate(rows):
            due = (index * updates + number) % settings.gradient_penalty_every == 0
            yield "discriminator", self.discriminate(vertices, labels, noise, due)
        if index >= settings.discriminator_first:
            mode = self.modes[index % len(self.modes)]
            yield "generator", self.deceive(len(batch.vertices) // updates, mode, noise)
            follow(self.model, self.generator, self.settings.average)

    def discriminate(self, vertices: Tensor, labels: Tensor, noise: float, penalized: bool) -> Losses:
        """L_D: the critic on real faces and on generated ones of all modes, the classifiers on real ones.

        Args:
            vertices: (B, V, 3) float, millimeters. Real faces.
            labels: (B, K) int64 class of each of K factors, -1 where the label is missing.
            noise: Deviation of the noise on every image.
            penalized: Whether the gradient penalty is due.
        """
        settings, net = self.settings, self.discriminator
        real = self._image((vertices - self.model.mean_face) / self.model.scale, noise)
        with torch.no_grad():
            sizes = [part.numel() for part in torch.arange(len(real)).tensor_split(len(self.modes))]
            codes = [self.draw(size, mode)[0] for size, mode in zip(sizes, self.modes, strict=True)]
            fake = self._image(self.generator.displacements(torch.cat(codes)[: len(real)]), noise)
        common, common_fake = net.common(torch.cat([real, fake])).split([len(real), len(fake)])
        losses = {"critic": settings.adversarial * (net.real(common_fake).mean() - net.real(common).mean())}
        for name in net.classes:
            known = labels[:, self.columns.index(name)]
            loss = self._classification(name, common, known, self.balance[name])
            losses[f"real_{name}"] = settings.discriminator_classification * loss
        if penalized and settings.gradient_penalty:
            weight = settings.gradient_penalty * settings.gradient_penalty_every
            losses["gradient_penalty"] = weight * gradient_penalty(net.score, real, fake)
        return losses

    def deceive(self, count: int, mode: tuple[str, str], noise: float) -> Losses:
        """L_G for one mode; the discriminator's weights get no gradient."""
        settings, net, (labeled, shared) = self.settings, self.discriminator, mode
        z, labels = self.draw(count, mode)
        u = self.generator.displacements(z)
        net.requires_grad_(False)
        common = net.common(self._image(u, noise))
        losses = {"adversarial": -settings.adversarial * net.real(common).mean()}
        if labels is not None:
            loss = self._classification(labeled, common, labels)
            losses[f"label_{labeled}"] = settings.classification * loss
        if shared in net.classes and settings.feature:
            first, second = net.features(shared, common).unflatten(0, (-1, 2)).unbind(1)
            unlike = 1 - functional.cosine_similarity(first, second)
            losses[f"feature_{shared}"] = settings.feature * unlike.mean()
        net.requires_grad_(True)
        if settings.laplacian:
            squares = self.laplacian(u).square().sum(2)
            rough = squares.sum(1) if settings.laplacian_sum else squares.mean(1)
            losses["laplacian"] = settings.laplacian * rough.mean()
        return losses

    def draw(self, count: int, mode: tuple[str, str]) -> tuple[Tensor, Tensor | None]:
        """(N, D) codes in consecutive pairs, and (N,) labels of the first factor if it is classified.

        A pair shares the code of the second factor and differs in the label of the first and in all else.
        """
        (labeled, shared), pairs = mode, -(-count // 2)
        device, sizes = self.model.device, self.model.sizes
        codes = {name: torch.randn(2 * pairs, size, device=device) for name, size in sizes.items()}
        codes[shared] = codes[shared][:pairs].repeat_interleave(2, dim=0)
        labels = None
        if labeled in self.places:
            places = self.places[labeled]
            first = torch.randint(len(places), (pairs,), device=device)
            other = torch.randint(1, len(places), (pairs,), device=device)
            labels = torch.stack([first, (first + other) % len(places)], dim=1).flatten()
            codes[labeled] = self.model.label_codes(labeled)[places[labels]]
        return torch.cat(list(codes.values()), dim=1), labels

    def _image(self, u: Tensor, noise: float) -> Tensor:
        image = self.mapping(u + self.offset)
        return image + noise * torch.randn_like(image)

    def _noise(self, index: int) -> float:
        first, last = self.settings.instance_noise, self.settings.instance_noise_end
        share = 0.0 if last is None else index / max(1, self.settings.steps - 1)
        return first + ((last or 0.0) - first) * share

    def _classification(
        self, name: str, common: Tensor, labels: Tensor, balance: Tensor | None = None
    ) -> Tensor:
        """CE of one factor, averaged over the faces that have a label."""
        known = labels >= 0
        scores = self.discriminator.classes[name](common[known])
        total = functional.cross_entropy(scores, labels[known], balance, reduction="sum")
        return total / known.sum().clamp_min(1)
