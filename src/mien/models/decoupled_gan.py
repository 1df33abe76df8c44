"""The decoupled GAN (Abrevaya, Boukhayma, Wuhrer and Boyer, ICCV 2019): new people, new expressions."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.labels import NEUTRAL, Labels, classifiable, hide_labels, labels_of
from mien.data.sampling import Batch, labeled_faces
from mien.data.statistics import vertex_statistics
from mien.errors import UnknownName
from mien.models.base import FaceModel, Losses, Reference, Stage
from mien.models.base_additive import start_additively
from mien.nn.geometry_image import GeometryMapping
from mien.nn.image import SLOPE, Discriminator, gradient_penalty
from mien.nn.mesh import MeshLaplacian
from mien.topology import Topology


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
    betas: Sequence[float] = (0.9, 0.999)


QUICK = {
    "start": "additive", "image_size": 32, "image_covers": True, "gradient_penalty_every": 4,
    "laplacian": 10.0, "average": 0.999, "discriminator_first": 100,
}  # fmt: skip


class DecoupledGAN(FaceModel):
    """Generates faces from codes of identity, expression and noise that classifiers keep apart.

    Reference: V. Fernandez Abrevaya, A. Boukhayma, S. Wuhrer, E. Boyer. A Decoupled 3D Facial Shape Model by
    Adversarial Training. ICCV 2019.

    Equations (I the geometry image, C_k the classifier of factor k with features f_k, T_k one fixed code per
    label of k, L the cotangent Laplacian, eps ~ N(0, 0.1^2) on every image)::

        G(z) = mean face + displacements u(z),   z = (z_id, z_exp, z_noise) ~ N(0, I)
        L_D = mean D(I(G(z))) - mean D(I(x)) + 10 mean (|grad D| - 1)^2 + 0.1 sum_k CE(C_k(I(x)), label_k)
        L_CL^a = CE(C_a(I(G(z))), label),   z_a from T_a                                        (9)
        L_FEAT^b = mean over pairs that share z_b of 1 - cos(f_b, f_b')                         (10, 11)
        L_reg = mean_v |(L u)_v|^2                                                              (12)
        L_G = -mean D(I(G(z))) + L_CL^a + 0.5 L_FEAT^b + 100 L_reg                              (8)

    Updates of G alternate between a = identity, b = expression and the reverse; with more factors, over all
    ordered pairs. Missing labels leave a face out of that factor's classification, and nothing else.

    Departures:
        - LeakyReLU 0.2 everywhere, as in the supplement's layer table (section 5.1 says ReLU).
        - G minimizes -E D(G(z)); the rest of eq. 8's first term does not depend on G. No batch
          normalization: it couples samples, and the gradient penalty (weight 10, ours) is one per sample.
        - u is in units of its root mean square over the training data, since noise and L_reg need a unit; D
          sees images of u, which differ from those of positions by a constant image (``positions``).
        - L_reg takes the mean over vertices, so that its weight does not grow with them (``laplacian_sum``).
        - Cotangents below zero count as zero. Labels are drawn evenly for G, weighted by frequency for D.
        - The smoke and standard profiles start G as an additive linear model, use 32 x 32 images in which
          every vertex is seen, apply the penalty every fourth update and keep a moving average of G.

    Args:
        topology: What all faces share.
        expressions: E expression names; with neutral there are E + 1 classes.
        identity_size: d_id.
        expression_size: d_exp.
        noise_size: d_noise.
        further: Names of further factors of the data set, such as viseme.
        further_size: Code size of each of them.
        hidden: Width of the generator's hidden layer.
        unit: Millimeters of one unit of u; None: their root mean square over the training data.
        classes: Class names of further factors; None: found in the data.

    Example:
        >>> model = mien.load_model("runs/decoupled_gan")
        >>> codes = model.sample(2)                                       # strangers, doing something
        >>> swapped = codes.replace(expression=codes.expression.flip(0))  # each what the other one does
    """

    name = "decoupled_gan"
    needs_neutrals = False
    native: ClassVar[frozenset[str]] = frozenset({"generate", "transfer", "interpolate", "fit"})
    vertices_at_once = 2_000_000
    reference = Reference(
        "abrevaya2019decoupled",
        "Fernandez Abrevaya, Victoria and Boukhayma, Adnane and Wuhrer, Stefanie and Boyer, Edmond",
        "A Decoupled 3D Facial Shape Model by Adversarial Training",
        "IEEE/CVF International Conference on Computer Vision", 2019, "https://arxiv.org/abs/1902.03619",
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": QUICK | {"steps": 40, "batch_size": 16, "average": 0.9, "discriminator_first": 10},
        "standard": QUICK | {"steps": 8000},
        "full": {},
    }

    mean_face: Tensor
    scale: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 65,
        expression_size: int = 15,
        noise_size: int = 5,
        further: Sequence[str] = (),
        further_size: int = 50,
        hidden: int = 512,
        unit: float | None = None,
        classes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        self.sizes = {"identity": identity_size, "expression": expression_size}
        self.sizes |= dict.fromkeys(further, further_size)
        self.factors = tuple(self.sizes)
        self.sizes["noise"] = noise_size
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("scale", torch.ones(()))
        for factor in self.factors:  # T_k; as many as labels are found
            self.register_buffer(f"label_codes_{factor}", torch.zeros(0, self.sizes[factor]))
        self.generator = nn.Sequential(
            nn.Linear(sum(self.sizes.values()), hidden), nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, 3 * topology.vertex_count),
        )  # fmt: skip
        self._seed = int(torch.randint(2**31, (1,), device="cpu"))  # of T: drawn with the weights
        self._unit, self._classes = unit, classes

    def prepare(self, data: FaceDataset) -> None:
        """Mean face, unit of displacements, and T: one code per label, never trained."""
        self.check_data(data)
        mean, variance = vertex_statistics(data)
        self.mean_face.copy_(torch.from_numpy(mean))
        self.scale.fill_(self._unit or max(float(variance.mean()), 1e-12) ** 0.5)
        self._classes = self.config["classes"] = {
            name: list(labels_of(data, name).names)
            for name in self.factors
            if name not in ("identity", "expression")
        }
        generator = torch.Generator().manual_seed(self._seed)
        for factor in self.factors:
            count = len(self.class_names(factor)) or len(labels_of(data, factor).names)
            codes = torch.randn(count, self.sizes[factor], generator=generator)
            setattr(self, f"label_codes_{factor}", codes.to(self.device))

    def calibrate(self, data: FaceDataset) -> None:
        """Names of expressions lead to the codes of their labels; all codes are standard normal."""
        calibration, codes = self.calibration, self.label_codes("expression")
        known = set(labels_of(data, "expression").names)
        calibration.rest = codes[-1].clone()
        calibration.offsets = codes[:-1] - codes[-1]
        calibration.offsets[[name not in known for name in self.expressions]] = 0.0
        for factor in ("identity", "expression"):
            setattr(calibration, f"{factor}_mean", torch.zeros(self.sizes[factor], device=self.device))
            setattr(calibration, f"{factor}_std", torch.ones(self.sizes[factor], device=self.device))

    # ---- verbs

    def decode(self, codes: Codes) -> Tensor:
        """G(z) in millimeters; factors that the codes lack are at the mean of their distribution."""
        last: Any = self.generator[2]
        hidden = self.generator[:2](self.join(codes))
        # One product with mean face and unit folded in: the width of the last layer is all that costs time.
        shift = self.mean_face.flatten() + self.scale * last.bias
        return torch.addmm(shift, self.scale * hidden, last.weight.T).unflatten(1, (-1, 3))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """z ~ N(0, I)."""
        size = count, sum(self.sizes.values())
        where = generator.device if generator else self.device
        return self.split(torch.randn(size, generator=generator, device=where).to(self.device))

    def origin(self, count: int) -> Codes:
        """The likeliest code, zero: eq. 13 weighs the squared code itself."""
        return self.split(torch.zeros(count, sum(self.sizes.values()), device=self.device))

    def add_expressions(self, first: Tensor, second: Tensor) -> Tensor:
        """The sum of both codes, as in the supplement; the mean code, not rest, is zero."""
        return first + second

    # ---- codes

    def split(self, z: Tensor) -> Codes:
        """(B, D) joint codes by factor."""
        parts = dict(zip(self.sizes, z.split(list(self.sizes.values()), dim=1), strict=True))
        return Codes(parts.pop("identity"), parts.pop("expression"), parts)

    def join(self, codes: Codes) -> Tensor:
        """(B, D) joint codes; zero for factors that are missing."""
        rows = codes.identity.shape[0]
        parts = [
            codes.factor(name) if name in ("identity", "expression", *codes.others)
            else codes.identity.new_zeros(rows, size)
            for name, size in self.sizes.items()
        ]  # fmt: skip
        return torch.cat(parts, dim=1)

    def label_codes(self, factor: str) -> Tensor:
        """T_k (labels, d_k): of ``expression`` in the order of the names, neutral last."""
        if factor in self.factors:
            return getattr(self, f"label_codes_{factor}")
        raise UnknownName("factor", factor, self.factors)

    def class_names(self, factor: str) -> tuple[str, ...]:
        """Names of a factor's classes in the order of T_k; people have none."""
        if factor == "expression":
            return (*self.expressions, NEUTRAL)
        return tuple((self._classes or {}).get(factor, ()))

    def displacements(self, z: Tensor) -> Tensor:
        """u(z): (B, D) to (B, V, 3), in units."""
        return self.generator(z).view(len(z), -1, 3)

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        data = hide_labels(data, "expression", settings.expression_labels)
        labels = {factor: labels_of(data, factor) for factor in self.factors}
        # The model may be a moving average; what is trained beside it starts as a copy.
        generator = copy.deepcopy(self) if settings.average else self
        classified = classifiable(labels, settings.classify)
        counts = {name: len(labels[name].names) for name in classified}
        discriminator = Discriminator(counts, settings.image_size).to(self.device)
        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(module.parameters(), settings.rate, tuple(settings.betas))
            for name, module in (("discriminator", discriminator), ("generator", generator))
        }
        size = settings.batch_size * settings.discriminator_updates
        game = Game(self, generator, discriminator, settings, labels)

        def begin() -> None:
            if settings.start == "additive":
                rows = {name: own.among(self.class_names(name)) for name, own in labels.items()}
                start_additively(self, data, rows)
                generator.load_state_dict(self.state_dict())

        if settings.start not in ("random", "additive"):
            raise UnknownName("start", settings.start, ("random", "additive"))
        yield Stage(
            "game", settings.steps, labeled_faces(data, size, list(labels.values())), game.step,
            {"model": self, "generator": generator, "discriminator": discriminator}, optimizers, begin=begin,
        )  # fmt: skip


class Game:
    """The losses of both players, term by term."""

    def __init__(
        self, model: DecoupledGAN, generator: DecoupledGAN, discriminator: Discriminator, settings: Settings,
        labels: Mapping[str, Labels],
    ) -> None:  # fmt: skip
        self.model, self.generator, self.discriminator = model, generator, discriminator
        self.settings, self.columns = settings, list(labels)
        device = model.device
        self.mapping = GeometryMapping(
            model.topology, settings.image_size, samples=settings.image_samples, cover=settings.image_covers
        ).to(device)
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
            yield "discriminator", self.judge(vertices, labels, noise, due)
        if index >= settings.discriminator_first:
            mode = self.modes[index % len(self.modes)]
            yield "generator", self.deceive(len(batch.vertices) // updates, mode, noise)
            self.follow()

    def judge(self, vertices: Tensor, labels: Tensor, noise: float, penalized: bool) -> Losses:
        """L_D: the critic on real faces and on generated ones of all modes, the classifiers on real ones."""
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

    @torch.no_grad()
    def follow(self) -> None:
        """The model moves a little toward the trained weights."""
        if self.model is self.generator:
            return
        for average, trained in zip(self.model.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(trained, 1 - self.settings.average)

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
