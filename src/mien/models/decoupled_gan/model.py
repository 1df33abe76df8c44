"""The decoupled GAN (Abrevaya, Boukhayma, Wuhrer and Boyer, ICCV 2019): new people, new expressions."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.labels import NEUTRAL, classifiable, hide_labels, labels_of
from mien.data.sampling import labeled_faces
from mien.data.statistics import vertex_statistics
from mien.errors import UnknownName
from mien.models.base import FaceModel, Reference, Stage, rows_of_people
from mien.models.decoupled_gan.linear import start_additively
from mien.models.decoupled_gan.losses import DecouplingLosses, Settings, falling
from mien.models.decoupled_gan.named_expressions import codes_of_faces, label_faces
from mien.models.decoupled_gan.networks import SLOPE, ImageDiscriminator
from mien.models.decoupled_gan.selection import CheckpointSelector
from mien.topology import Topology

QUICK = {
    "start": "additive", "image_size": 32, "image_covers": True, "gradient_penalty_every": 4,
    "laplacian": 10.0, "average": 0.999, "discriminator_first": 100,
}  # fmt: skip


class DecoupledGAN(FaceModel):
    """Generates faces from codes of identity, expression and noise that classifiers keep apart.

    Reference: V. Fernandez Abrevaya, A. Boukhayma, S. Wuhrer, E. Boyer. A Decoupled 3D Facial Shape Model by
    Adversarial Training. ICCV 2019.

    Equation (T_k one fixed code per label of factor k)::

        G(z) = mean face + displacements u(z),   z = (z_id, z_exp, z_noise) ~ N(0, I),   z_k from T_k

    The losses, with a discriminator D that sees geometry images with noise N(0, 0.1^2) and classifies every
    factor beside, stand in :mod:`mien.models.decoupled_gan.losses`. Updates of G alternate between labels of
    identity with shared expressions and the reverse; with more factors, over all ordered pairs. A missing
    label leaves a face out of that factor's classification, and nothing else.

    Departures:
        - LeakyReLU 0.2 everywhere, as in the supplement's layer table (section 5.1 says ReLU).
        - G minimizes -E D(G(z)); the rest of eq. 8's first term does not depend on G. No batch
          normalization: it couples samples, and the gradient penalty (weight 10, ours) is one per sample.
        - u is in units of its root mean square over the training data, since noise and L_reg need a unit; D
          sees images of u, which differ from those of positions by a constant image (``positions``).
        - L_reg takes the mean over vertices, so that its weight does not grow with them (``laplacian_sum``).
        - Named expressions are the codes whose face is the mean person with that label, found by descent
          after training, not T: codes of T are classified as labeled, and bring what classifiers overlook.
        - Cotangents below zero count as zero. Labels are drawn evenly for G, weighted by frequency for D.
        - The smoke and standard profiles start G as an additive linear model, use 32 x 32 images in which
          every vertex is seen, apply the penalty every fourth update and keep a moving average of G. The
          standard profile weighs the critic less, lets the rates fall and keeps the weights whose faces
          linear classifiers of real faces confuse least (:mod:`mien.models.decoupled_gan.selection`).

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
        classes: Names of the people and of further factors' classes that it learned; None: of the data.

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
        "standard": QUICK | {
            "steps": 1000, "batch_size": 32, "adversarial": 0.1, "laplacian": 1.0, "average": 0.995,
            "decay_from": 0.25, "validate_every": 50,
        },
        "full": {},
    }  # fmt: skip

    mean_face: Tensor
    scale: Tensor
    label_share: Tensor

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
        self.register_buffer(
            "label_share", torch.ones(())
        )  # of the expression labels, that training could see
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
            name: list(labels_of(data, name).names) for name in self.factors if name != "expression"
        }
        generator = torch.Generator().manual_seed(self._seed)
        for factor in self.factors:
            size = len(self.class_names(factor)), self.sizes[factor]
            codes = torch.randn(size, generator=generator)
            setattr(self, f"label_codes_{factor}", codes.to(self.device))

    def calibrate(self, data: FaceDataset) -> None:
        """Names of expressions lead to the codes whose face is the mean person with that label.

        T itself only has to be *classified* as labeled: its codes may bring whatever else the classifier
        does not mind. Labels that training could not see are not looked at; all codes are standard normal.
        """
        visible = labels_of(hide_labels(data, "expression", float(self.label_share)), "expression")
        faces = torch.from_numpy(label_faces(data, visible, self.mean_face.numpy(force=True))).to(self.device)
        origin, codes = self.origin(len(faces)), self.label_codes("expression").clone()
        places = torch.from_numpy(visible.places(self.class_names("expression"))).to(self.device)
        codes[places] = codes_of_faces(
            lambda code: self.decode(origin.replace(expression=code)), faces, origin.expression, self.scale
        )
        calibration = self.calibration
        calibration.rest = codes[-1].clone()
        calibration.offsets = codes[:-1] - codes[-1]
        calibration.offsets[[name not in visible.names for name in self.expressions]] = 0.0
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
        """The likeliest code, zero: eq. 13 weighs the squared code itself, the supplement adds up codes."""
        return self.split(torch.zeros(count, sum(self.sizes.values()), device=self.device))

    def training_people(self, names: Sequence[str]) -> Codes:
        """People of the training set, by name, at rest: the codes of their labels."""
        people = self.label_codes("identity")[rows_of_people(names, self.class_names("identity"))]
        rest = self.calibration.rest.expand(len(people), -1)
        return self.origin(len(people)).replace(identity=people, expression=rest)

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
        """(C, D) T_k, a code for each label: of ``expression`` in the order of the names, neutral last."""
        if factor in self.factors:
            return getattr(self, f"label_codes_{factor}")
        raise UnknownName("factor", factor, self.factors)

    def class_names(self, factor: str) -> tuple[str, ...]:
        """Names of a factor's classes, people included, in the order of T_k."""
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
        self.label_share.fill_(settings.expression_labels)
        data = hide_labels(data, "expression", settings.expression_labels)
        labels = {factor: labels_of(data, factor) for factor in self.factors}
        # The model may be a moving average; what is trained beside it starts as a copy.
        generator = copy.deepcopy(self) if settings.average else self
        classified = classifiable(labels, settings.classify)
        counts = {name: len(labels[name].names) for name in classified}
        discriminator = ImageDiscriminator(counts, settings.image_size).to(self.device)
        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(module.parameters(), settings.rate, tuple(settings.betas))
            for name, module in (("discriminator", discriminator), ("generator", generator))
        }
        size = settings.batch_size * settings.discriminator_updates
        losses = DecouplingLosses(self, generator, discriminator, settings, labels)

        def begin() -> None:
            if settings.start == "additive":
                rows = {name: own.among(self.class_names(name)) for name, own in labels.items()}
                start_additively(self, data, rows)
                generator.load_state_dict(self.state_dict())

        def tested() -> dict[str, float]:
            if not selectors:  # once the run needs them; a resumed run learns the same ones again
                selectors.append(CheckpointSelector(data, labels, self.factors))
            return selectors[0].errors(self)

        selectors: list[CheckpointSelector] = []
        if settings.start not in ("random", "additive"):
            raise UnknownName("start", settings.start, ("random", "additive"))
        yield Stage(
            "adversarial training", settings.steps,
            labeled_faces(data, size, list(labels.values())), losses.step,
            {"model": self, "generator": generator, "discriminator": discriminator}, optimizers,
            dict.fromkeys(optimizers, partial(falling, settings.steps, settings.decay_from)),
            validate=tested if settings.validate_every else None,
            validate_every=max(1, settings.validate_every), begin=begin,
        )  # fmt: skip
