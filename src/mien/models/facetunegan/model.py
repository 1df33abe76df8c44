"""FaceTuneGAN (Olivier, Baert, Danieau, Multon and Avril, 2021): one face's content with another's style."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Sampler, style_pairs, virtual_people
from mien.data.statistics import vertex_statistics
from mien.models.base import FaceModel, Reference, Stage, validation_errors
from mien.models.facetunegan.losses import Settings, TranslationLosses
from mien.models.facetunegan.networks import (
    ContentEncoder,
    StyledDecoder,
    StyleDiscriminator,
    StyleEncoder,
    StyleParameters,
    perceptron,
)
from mien.nn.learning_rate import rising_and_decaying
from mien.nn.muon import optimizer_of
from mien.nn.spiral import SpiralLevels
from mien.nn.spiral_blocks import kaiming
from mien.topology import Topology

QUICK = {
    "optimizer": "muon", "rate": 3e-3, "discriminator_rate": 5e-3, "style_rate": 1e-3, "weight_decay": 0.0,
    "batch_size": 16, "gradient_penalty_every": 8, "virtual_people": 0.5, "warm_up": 100, "average": 0.99,
}  # fmt: skip


class FaceTuneGAN(FaceModel):
    """Encodes content (who) and style (expression) apart and joins any content with any style.

    Reference: N. Olivier, K. Baert, F. Danieau, F. Multon, Q. Avril. FaceTuneGAN: Face Autoencoder for
    Convolutional Expression Transfer Using Neural Generative Adversarial Networks. Computers & Graphics 2023
    (arXiv:2112.00532, 2021).

    Equations (x content face, s style face)::

        x_r = Dec(Ec(x), Es(x)),   x_t = Dec(Ec(x), Es(s))
        AdaIN(h, y) = scale(y) (h - mean(h)) / std(h) + shift(y),   (scale, shift) = M(Es(s))

    The losses, with a discriminator D of every style class, stand in :mod:`mien.models.facetunegan.losses`.
    Only expression labels are needed: no pairs, and neutrals of validation people only to choose weights.

    Departures:
        - L_sty compares with Es(s), as the text says; eq. 7 prints Es(x), which would fight the translation.
          Generator and discriminator minimize their own losses (eq. 10 prints the reverse), and L_lap, of
          section 3.3, is in.
        - Class scores are independent logits: a softmax (appendix) cannot say "real and of class s".
        - ReLU on hidden layers only: on codes it would make interpolation one-sided.
        - AdaIN's scale is learned as 1 + a number near 0, and M's last layer starts small, so that training
          starts at plain instance norm.
        - D_f is averaged over vertices, as in FUNIT: matched vertex by vertex, x_t would take over who s is.
        - The model is a moving average of the trained weights (``average``); 0 reproduces the text.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly. Where
          people are labeled, s is somebody else than x.
        - The smoke and standard profiles take fewer and larger steps by Muon (Es and M by Adam), apply R1
          every eighth step, eight times as heavy, and mix people by identity label (``virtual_people``).
          ``style_first``, ``label`` and ``swap`` are not in the paper and off unless they are asked for.
          The standard profile begins with L_rec alone, weighs L_rec and L_cyc by 3 and L_sty by 1, as the
          unit of dist is not published, and lets R1 fall from 10 to 2.

    Args:
        topology: What all faces share.
        expressions: E expression names; with neutral there are E + 1 style classes.
        content_size: n_c (4 CoMA, 20 FaceScape).
        style_size: n_s (4 CoMA, 5 FaceScape).
        channels: Channels of the levels, finest first; a fifth level above about 10,000 vertices.
        mapping: Hidden widths of M (CoMA: 128, 128, 16; FaceScape: six times 256, 16).
        length: Entries of a spiral.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.
        variational: Encoders give the mean and log-variance of normal codes (set ``divergence`` too).
        content_norm: Instance norm in the content encoder.
        style_pooled: The style encoder averages over vertices; False flattens them.
        vertex_deviation: Divide each vertex by its own deviation instead of all by one.

    Example:
        >>> model = mien.load_model("runs/facetunegan")
        >>> who, how = model.encode(onto), model.encode(expression)      # (B, V, 3) millimeters
        >>> moved = model.decode(who.replace(expression=how.expression))
    """

    name = "facetunegan"
    needs_neutrals = False
    native: ClassVar[frozenset[str]] = frozenset({"reconstruct", "neutralize", "transfer", "interpolate"})
    reference = Reference(
        "olivier2023facetunegan",
        "Olivier, Nicolas and Baert, Kelian and Danieau, Fabien and Multon, Franck and Avril, Quentin",
        "FaceTuneGAN: Face Autoencoder for Convolutional Expression Transfer Using Neural Generative "
        "Adversarial Networks", "Computers & Graphics", 2023, "https://arxiv.org/abs/2112.00532",
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": QUICK | {"steps": 100, "decay": 0.5, "decay_every": 30, "average": 0.9},
        "standard": QUICK
        | {
            "reconstruction_first": 500,
            "steps": 9000,
            "decay": 0.75,
            "decay_every": 1000,
            "reconstruction": 3.0,
            "cycle": 3.0,
            "style": 1.0,
            "gradient_penalty_end": 2.0,
        },
        "full": {},
    }

    mean_face: Tensor
    deviation: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        content_size: int = 20,
        style_size: int = 5,
        channels: Sequence[int] = (32, 32, 32, 64),
        mapping: Sequence[int] = (256, 256, 256, 256, 256, 256, 16),
        length: int = 9,
        factor: int = 4,
        coarsest: int | None = None,
        variational: bool = False,
        content_norm: bool = True,
        style_pooled: bool = True,
        vertex_deviation: bool = False,
    ) -> None:
        super().__init__(topology, expressions)
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        shape = (topology.vertex_count, 3) if vertex_deviation else ()
        self.register_buffer("deviation", torch.ones(shape))
        self.variational = variational
        self.levels = SpiralLevels(self.fitting_factors((factor,) * len(channels), coarsest), length)
        size = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        heads = 2 if variational else 1
        self.content = ContentEncoder(size, heads * content_size, channels, length, content_norm)
        self.style = StyleEncoder(size, heads * style_size, channels, length, style_pooled)
        self.decoder = StyledDecoder(size, content_size, channels, length)
        self.mapping = perceptron([style_size, *mapping, self.decoder.style_parameters])
        self.apply(kaiming)
        last = self.mapping[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():  # AdaIN starts near plain instance norm; at full size its noise kills M's units
            last.weight.mul_(0.05)

    def prepare(self, data: FaceDataset) -> None:
        """Mean face, one deviation for all coordinates, spirals and hierarchy."""
        self.check_data(data)
        mean, variance = vertex_statistics(data)
        self.mean_face.copy_(torch.from_numpy(mean))
        mean_variance = max(float(variance.mean()), 1e-12)
        each = variance.clip(1e-4 * mean_variance)  # vertices that hardly move are not blown up
        self.deviation.copy_(torch.as_tensor(each if self.deviation.ndim else mean_variance).sqrt())
        self.levels.build(self.topology)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        x = self.normalize(vertices)
        return Codes(self.mean_code(self.content, x), self.mean_code(self.style, x))

    def decode(self, codes: Codes) -> Tensor:
        return self.mean_face + self.deviation * self.join(codes.identity, codes.expression)

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Codes with mean and covariance of the training codes, which ``variational`` draws to N(0, I)."""
        return self.calibration.sample(count, generator)

    # ---- the networks on x, normalized faces (B, V, 3)

    def normalize(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) deviations from the mean face of vertices (B, V, 3), millimeters."""
        return (vertices - self.mean_face) / self.deviation

    def mean_code(self, encoder: nn.Module, x: Tensor) -> Tensor:
        """Ec(x) or Es(x): the code, or the mean of its distribution."""
        code = encoder(x, self.levels)
        return code.chunk(2, dim=1)[0] if self.variational else code

    def join(self, content: Tensor, style: Tensor) -> Tensor:
        """Dec(content, style): codes (B, n_c) and (B, n_s) to faces (B, V, 3) in deviations."""
        return self.decoder(content, StyleParameters(self.mapping(style)), self.levels)

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        batch = virtual_people(
            style_pairs(data, settings.batch_size, balanced=settings.balanced_styles,
                        twins=settings.swap or settings.reads_labels), data, settings.virtual_people,
        )  # fmt: skip
        reader = None
        if settings.reads_labels:
            reader = nn.Linear(self.config["style_size"], len(self.expressions) + 1).to(self.device)
        if settings.style_first and reader is not None:
            yield self._styles_first(batch, reader, settings)
        yield self._translation(batch, reader, settings, validation)

    def _styles_first(self, batch: Sampler, reader: nn.Linear, settings: Any) -> Stage:
        """Es learns what styles are called before anybody else learns anything."""
        alone = TranslationLosses(self, self, StyleDiscriminator(self), settings, reader)
        learned = [*self.style.parameters(), *reader.parameters()]
        return Stage(
            "style", settings.style_first, batch, alone.name_styles, {"model": self, "reader": reader},
            {"style": torch.optim.Adam(learned, settings.style_first_rate)},
        )  # fmt: skip

    def _translation(
        self, batch: Sampler, reader: nn.Linear | None, settings: Any, validation: FaceDataset | None
    ) -> Stage:
        # The model is the moving average; what is trained beside it starts as a copy.
        generator = copy.deepcopy(self) if settings.average else self
        discriminator = StyleDiscriminator(self, settings.feature_of).to(self.device)
        modules = {"model": self, "generator": generator, "discriminator": discriminator}
        trained: nn.Module = generator
        apart = [generator.style, generator.mapping]
        if reader is not None:
            modules["reader"] = reader
            trained = nn.ModuleList([generator, reader])
            apart.append(reader)
        optimizers = {
            name: optimizer_of(
                module, rate, weight_decay=settings.weight_decay, kind=settings.optimizer,
                apart=kept, apart_rate=settings.style_rate,
            )
            for name, module, rate, kept in (
                ("discriminator", discriminator, settings.discriminator_rate or settings.rate, None),
                ("generator", trained, settings.rate, nn.ModuleList(apart)),
            )
        }  # fmt: skip

        return Stage(
            "translation", settings.steps, batch,
            TranslationLosses(self, generator, discriminator, settings, reader).step, modules, optimizers,
            rates=dict.fromkeys(optimizers, rising_and_decaying(settings)),
            validate=None if validation is None else partial(self.validation_error, validation),
            validate_every=settings.validate_every, patience=settings.patience,
        )  # fmt: skip

    def validation_error(self, data: FaceDataset) -> dict[str, float]:
        """Reconstruction and neutralization on unseen faces, millimeters; both decide."""
        self.calibrate(data)
        return validation_errors(self, data, True)
