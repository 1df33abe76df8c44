"""FaceCAM (Taherkhani et al., WACV 2023): new people with controlled expression, intensity and style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.statistics import vertex_statistics
from mien.errors import BadSetting
from mien.models.base import FaceModel, Reference, Stage, rows_of_people
from mien.models.facecam.losses import Settings, latent_stage, supervised_stage, take_shape
from mien.models.facecam.networks import (
    EmbeddingDecoder,
    Heads,
    LabelMap,
    LatentDiscriminator,
    code_nearest_to,
    pair,
)
from mien.models.facecam.texture_losses import SMOKE_TEXTURES, STANDARD_TEXTURES, texture_stages
from mien.models.facecam.textures import texture_model
from mien.nn.principal import principal_axes
from mien.nn.spiral_blocks import kaiming
from mien.topology import Topology

QUICK = {
    "batch_size": 64, "rate": 1e-3, "decay_from": 0.3, "seen_vertices": 400, "swap": 1.0,
    "virtual_people": 0.5, "patience": None, "latent_batch_size": 64, "latent_rate": 5e-4, "matching": 10.0,
    "adversarial": 0.2, "new_people": 0.3, "zero_is_neutral": 0.5, "average": 0.995,
}  # fmt: skip


class FaceCAM(FaceModel):
    """Compresses faces to classified codes, and learns to generate these codes person by person.

    Reference: F. Taherkhani, A. Rai, Q. Gao, S. Srivastava, X. Chen, F. de la Torre, S. Song, A. Prakash,
    D. Kim. Controllable 3D Generative Adversarial Face Model via Disentangling Shape and Appearance.
    WACV 2023, with its appendix.

    Equations (X a mesh, s the intensity)::

        w_id = E_id(X),   w_exp = E_exp(X),   X_hat = Dec(w_id, w_exp)
        w_id' = G_id(z_id, z_noise),   w_exp' = G_exp(z_id, s z_exp, z_noise)

    The losses stand in :mod:`mien.models.facecam.losses` and :mod:`mien.models.facecam.texture_losses`.
    z_id is one fixed N(0, I) vector a training person, z_exp a one-hot label (scaled by s after training) and
    z_noise one draw for both generators. G_exp sees z_id, so each person has a style of every expression.

    A code says either what was encoded or what is to be generated, so that every ability serves both::

        identity    (w_id, z_id, g)      person      w_id + g G_id(z_id, z_noise)
        expression  (w_exp, z_exp, g)    expression  w_exp + g G_exp(z_style, z_exp, z_noise)

    Encoded faces have g = 0 and the z_id whose G_id is nearest to w_id; named expressions have w_exp = 0 and
    g = 1, so the same named expression becomes another one for each person it meets. ``others`` may hold
    ``noise`` (z_noise; zero without), ``style`` (z_style; the identity's own z_id without) and ``texture``
    (the texture's z_noise; zero without). Textures are generated from the same z_id and z_exp, with noise of
    their own: T' = G_tex(z_noise, z_id, z_exp).

    Departures:
        - One decoder on both codes, as in figure and code; ``split_sum`` adds those of table 2.
        - The discriminator reads each class from its own code (``d_inputs``); with a joint trunk its identity
          head could read the person off the expression, as G_exp sees z_id. Dropout is the code's.
        - Identity logits are compared with identity labels and labels are mapped once (the authors' code
          compares with expression labels and shifts twice).
        - In smoke and standard, stage II sees codes standardized by their training mean and deviation,
          whatever their scale, made codes bear random labels that occur, and both games share one z_noise;
          ``full`` has the authors' raw codes, labels of the batch and a second draw for the generators
          (``raw_codes``, ``batch_labels``, ``redrawn_noise``).
        - Steps instead of epochs, and the stage-I weights of the best validation.
        - Only scans with an expression label are trained on.
        - smoke and standard see ``pca_dim`` principal coefficients, mix people
          (:func:`mien.data.sampling.virtual_people`), and use ``swap``, ``matching``, ``new_people``,
          ``zero_is_neutral`` and ``average``, and those of textures
          (:mod:`mien.models.facecam.texture_losses`), which the publication does not have.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Size of w_id.
        expression_size: Size of w_exp.
        person_size: Size of z_id.
        noise_size: Size of z_noise.
        hidden: Widths of the encoders; the decoder's in reverse.
        generator_hidden: Widths of both generators (the authors' code: 256, 512, 1024).
        decoder: ``joint`` or ``split_sum``.
        g_exp_identity: Whether G_exp sees z_id.
        labels: ``classes``, one expression a face, or ``intensities``: the weights are the labels, as for
            action units.
        pca_dim: Networks see and give so many principal coefficients; None: all coordinates, as published.
        people: Names of the training people, kept in the configuration; None: learned from the data.
        texture_size: Pixels of generated textures, 8 to 512 (published: 512); 0: none.
        texture_noise: Size of the textures' own z_noise.
        texture_channels: Channels of their generator up to 32 pixels; half at 64, a quarter beyond.
        texture_centered: Whether their networks see differences from the mean texture.
        texture_crop: Left, top, right, bottom of the generated part of the map, as shares; None: what the
            data set names, else the published part.

    Example:
        >>> model = mien.load_model("runs/facecam")
        >>> codes = model.sample(8)                                    # new people
        >>> smile = model.express(1.2 * mien.apply.named_weights(model.expressions, {"smile": 1}))
        >>> faces = model.decode(codes.replace(expression=smile.expand(8, -1)))
    """

    name = "facecam"
    needs_neutrals = False
    personal = ("texture",)
    native: ClassVar[frozenset[str]] = frozenset({"reconstruct", "transfer", "interpolate", "generate"})
    reference = Reference(
        "taherkhani2023controllable",
        "Taherkhani, Fariborz and Rai, Aashish and Gao, Quankai and Srivastava, Shaunak and Chen, Xuanbai "
        "and de la Torre, Fernando and Song, Steven and Prakash, Aayush and Kim, Daeil",
        "Controllable 3D Generative Adversarial Face Model via Disentangling Shape and Appearance",
        "IEEE/CVF Winter Conference on Applications of Computer Vision", 2023,
        "https://arxiv.org/abs/2208.14263",
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": QUICK | SMOKE_TEXTURES
        | {"pca_dim": 64, "steps": 300, "latent_steps": 200, "validate_every": 100, "latent_batch_size": 32},
        "standard": QUICK | STANDARD_TEXTURES
        | {"pca_dim": 256, "steps": 10_000, "latent_steps": 8000, "validate_every": 1000},
        "full": {"raw_codes": True, "batch_labels": True, "redrawn_noise": True},
    }  # fmt: skip

    mean_face: Tensor
    deviation: Tensor
    axes: Tensor
    spread: Tensor
    code_mean: Tensor
    code_std: Tensor
    z_people: Tensor
    inverse: Tensor
    prior: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 100,
        expression_size: int = 30,
        person_size: int = 20,
        noise_size: int = 5,
        hidden: Sequence[int] = (1024, 512),
        generator_hidden: Sequence[int] = (512, 512, 1024),
        decoder: str = "joint",
        g_exp_identity: bool = True,
        labels: str = "classes",
        pca_dim: int | None = None,
        people: Sequence[str] | None = None,
        texture_size: int = 0,
        texture_noise: int = 128,
        texture_channels: int = 256,
        texture_centered: bool = False,
        texture_crop: Sequence[float] | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        if labels not in ("classes", "intensities"):
            raise BadSetting("unknown labels", received=labels, remedy="use classes or intensities")
        self.sizes = (identity_size, expression_size, person_size, noise_size)
        self.intensities, self.people = labels == "intensities", tuple(people or ())
        self.g_exp_identity = g_exp_identity
        size = self._hold_statistics(pca_dim)
        self.encoders = pair([size, *hidden, identity_size], [size, *hidden, expression_size])
        self.decoder = EmbeddingDecoder(identity_size, expression_size, hidden, size, decoder)
        who = person_size + noise_size
        what = self.class_count + noise_size + (person_size if g_exp_identity else 0)
        sizes = [who, *generator_hidden, identity_size], [what, *generator_hidden, expression_size]
        # Their first codes are then as large as standardized ones.
        self.generators = pair(*sizes).apply(kaiming)
        self.painter = texture_model(
            texture_size, person_size, self.class_count, noise=texture_noise, widest=texture_channels,
            centered=texture_centered, crop=texture_crop,
        )  # fmt: skip
        self.makes_textures = bool(texture_size)

    def _hold_statistics(self, pca_dim: int | None) -> int:
        """What :meth:`prepare` and :meth:`calibrate` fill in; how many numbers the networks see of a face."""
        numbers = 3 * self.topology.vertex_count
        axes = min(pca_dim or 0, numbers)
        self.register_buffer("mean_face", torch.from_numpy(self.topology.template.copy()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("axes", torch.zeros(axes, numbers))
        self.register_buffer("spread", torch.ones(axes))
        self.register_buffer("code_mean", torch.zeros(sum(self.sizes[:2])))
        self.register_buffer("code_std", torch.ones(sum(self.sizes[:2])))
        self.register_buffer("z_people", torch.zeros(len(self.people), self.sizes[2]))
        self.register_buffer("inverse", torch.zeros(self.sizes[2], self.sizes[0] + 1))
        self.register_buffer("prior", torch.ones(()))
        return axes or numbers

    @property
    def class_count(self) -> int:
        """n_exp: neutral and the E expressions, or E intensities."""
        return len(self.expressions) + (0 if self.intensities else 1)

    def prepare(self, data: FaceDataset) -> None:
        """Mean face, one deviation for all coordinates, the axes of ``pca_dim``, and z_id of everybody."""
        self.check_data(data)
        mean, variance = vertex_statistics(data)
        self.mean_face.copy_(torch.from_numpy(mean))
        self.deviation.fill_(max(float(variance.mean()), 1e-12) ** 0.5)
        if len(self.axes):
            found = principal_axes(data.__getitem__, np.arange(len(data)), len(self.axes))
            kept = len(found.std)
            self.axes.zero_()[:kept] = torch.from_numpy(found.axes)
            # Between the raw coefficients, of which the first would drown all others, and whitened ones.
            std = torch.from_numpy(found.std) / self.deviation.cpu()
            self.spread.fill_(1.0)[:kept] = (std * std.mean()).sqrt().clamp_min(1e-6)
        self.people = LabelMap(data, self.intensities).people
        self.config["people"] = list(self.people)
        seeded = Generator().manual_seed(torch.initial_seed())  # the run's seed, whatever was drawn before
        self.z_people = torch.randn(len(self.people), self.sizes[2], generator=seeded).to(self.device)
        if self.painter is not None:
            self.painter.prepare(data.take(data.has_textures))

    def calibrate(self, data: FaceDataset) -> None:
        """Neutral is the generator's zero vector, an expression its one-hot; encoded codes the deviations."""
        self.learn_inverse()
        self.measure_codes(data, limit=600)  # for means and deviations only: the rest is known
        size, count = self.sizes[1], len(self.expressions)
        expression = torch.zeros(1 + count, size + self.class_count + 1, device=self.device)
        expression[1:, size + self.class_count - count : -1] = torch.eye(count, device=self.device)
        self.calibration.offsets, rest = expression[1:], expression[0]
        self.calibration.rest = rest.index_fill(0, torch.tensor(len(rest) - 1, device=self.device), 1.0)
        # Inversion searches encoded codes; what goes into the generators stays as it is.
        for deviation, kept in zip(
            (self.calibration.identity_std, self.calibration.expression_std), self.sizes[:2], strict=True
        ):
            deviation[kept:] = 1e-6

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        w_id, w_exp = self.embed(vertices)
        z_exp = w_exp.new_zeros(len(w_exp), self.class_count + 1)
        person = torch.cat([w_id, self.person_of(w_id), z_exp[:, :1]], dim=1)
        noise = w_exp.new_zeros(len(w_exp), self.sizes[3])
        return Codes(person, torch.cat([w_exp, z_exp], dim=1), {"noise": noise})

    def decode(self, codes: Codes) -> Tensor:
        return self.face(*self.embeddings(codes))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """FaceCAM's own draw: new people, each with a random one of the trained labels, fully."""
        device = generator.device if generator else self.device
        drawn = torch.randn(count, sum(self.sizes[2:]), generator=generator, device=device)
        z_id, noise = drawn.to(self.device).split(self.sizes[2:], dim=1)
        label = torch.randint(self.class_count, (count,), generator=generator, device=device)
        z_exp = functional.one_hot(label, self.class_count).to(noise)
        codes = self.to_generate(z_id, z_exp, noise)
        if self.painter is None:
            return codes
        drawn = torch.randn(count, self.painter.noise_size, generator=generator, device=device)
        return codes.replace(texture=drawn.to(self.device))

    def texture(self, codes: Codes) -> Tensor:
        """(B, H, W, 3) uint8 sRGB: z_id and z_exp of the shape, with noise of its own (zero without).

        Encoded faces have the z_id nearest to their identity, and the texture of a face at rest.
        """
        if self.painter is None:
            return super().texture(codes)
        z_id, z_exp = codes.identity[:, self.sizes[0] : -1], codes.expression[:, self.sizes[1] : -1]
        return self.painter.paste(self.painter.images(z_id, z_exp, codes.others.get("texture")))

    def mix(self, a: Codes, b: Codes, amount: float) -> Codes:
        """Straight lines in every factor; one that a side lacks is what decoding would take for it."""
        names = {*a.others, *b.others}
        a, b = (c.replace(**{name: self.other(c, name) for name in names}) for c in (a, b))
        return super().mix(a, b, amount)

    # ---- who and how, for control of style

    def training_people(self, names: Sequence[str]) -> Codes:
        """People of the training set, by name, at rest: to be generated from their stored z_id."""
        z_id = self.z_people[rows_of_people(names, self.people)]
        zeros = z_id.new_zeros(len(z_id), self.class_count + self.sizes[3])
        return self.to_generate(z_id, *zeros.split([self.class_count, self.sizes[3]], dim=1))

    def restyle(self, codes: Codes, style: Codes) -> Codes:
        """The same people with named expressions in the style of others: z_id changed in G_exp only."""
        if not self.g_exp_identity:
            raise self.refusal("change styles", "it was trained with g_exp_identity off")
        return codes.replace(style=self.other(style, "style").expand(len(codes), -1))

    def to_generate(self, z_id: Tensor, z_exp: Tensor, noise: Tensor) -> Codes:
        """Codes that leave everything to the generators.

        Args:
            z_id: (B, D) float. The people.
            z_exp: (B, n_exp) float. The expressions.
            noise: (B, D) float. z_noise.
        """
        one = torch.ones_like(z_id[:, :1])
        w_id, w_exp = (z_id.new_zeros(len(z_id), size) for size in self.sizes[:2])
        return Codes(
            torch.cat([w_id, z_id, one], dim=1), torch.cat([w_exp, z_exp, one], dim=1), {"noise": noise}
        )

    def other(self, codes: Codes, name: str) -> Tensor:
        """(B, D) ``noise``, ``style`` or ``texture`` (noise) of codes, or what stands for it."""
        if name in codes.others:
            return codes.others[name]
        if name == "style":
            return codes.identity[:, self.sizes[0] : -1]
        size = self.painter.noise_size if name == "texture" and self.painter else self.sizes[3]
        return codes.identity.new_zeros(codes.identity.shape[0], size)

    def embeddings(self, codes: Codes) -> tuple[Tensor, Tensor]:
        """(B, 100) w_id and (B, 30) w_exp of codes: what was encoded, plus what is to be generated."""
        noise, style = self.other(codes, "noise"), self.other(codes, "style")
        w_id, z_id, g_id = codes.identity.split([self.sizes[0], self.sizes[2], 1], dim=1)
        w_exp, z_exp, g_exp = codes.expression.split([self.sizes[1], self.class_count, 1], dim=1)
        made_id, made_exp = self.generate(z_id, z_exp, noise, style)
        mean, std = (value.split(self.sizes[:2]) for value in (self.code_mean, self.code_std))
        made_id, made_exp = mean[0] + std[0] * made_id, mean[1] + std[1] * made_exp
        return w_id + g_id * made_id, w_exp + g_exp * made_exp

    def person_of(self, w_id: Tensor) -> Tensor:
        """(B, 20) the z_id whose generated identity is nearest to encoded ones (B, 100)."""
        target = (w_id - self.code_mean[: self.sizes[0]]) / self.code_std[: self.sizes[0]]
        start = target @ self.inverse[:, :-1].T + self.inverse[:, -1]
        noise = w_id.new_zeros(len(w_id), self.sizes[3])
        return code_nearest_to(self.generators["identity"], target, noise, start, self.prior)

    @torch.no_grad()
    def learn_inverse(self, count: int = 4000) -> None:
        """Where :meth:`person_of` starts, least squares of z_id on G_id(z_id, 0), and how it weighs z_id."""
        draws = torch.randn(count, self.sizes[2], generator=torch.Generator().manual_seed(0)).to(self.device)
        made = self.generators["identity"](torch.cat([draws, draws.new_zeros(count, self.sizes[3])], dim=1))
        design = torch.cat([made, torch.ones_like(made[:, :1])], dim=1).double()
        gram = design.T @ design
        gram.diagonal().add_(1e-3 * gram.diagonal().mean())
        self.inverse = torch.linalg.solve(gram, design.T @ draws.double()).T.float().contiguous()
        # A hundredth of what G_id varies is taken for error: the prior N(0, I) of z_id weighs against it.
        self.prior.fill_(0.01 * float(made.var(0).mean()))

    # ---- the networks

    def embed(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """E_id(X), E_exp(X) of faces (B, V, 3), millimeters."""
        x = ((vertices - self.mean_face) / self.deviation).flatten(1)
        if len(self.axes):
            x = x @ self.axes.T / self.spread
        return self.encoders["identity"](x), self.encoders["expression"](x)

    def face(self, w_id: Tensor, w_exp: Tensor) -> Tensor:
        """Dec(w_id, w_exp): embeddings (B, 100) and (B, 30) to (B, V, 3) millimeters."""
        x = self.decoder(w_id, w_exp)
        if len(self.axes):
            x = (x * self.spread) @ self.axes
        return self.mean_face + self.deviation * x.unflatten(1, (-1, 3))

    def generate(
        self,
        z_id: Tensor,
        z_exp: Tensor,
        noise: Tensor,
        style: Tensor,
        generators: nn.ModuleDict | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Standardized G_id(z_id, z_noise) and G_exp(z_style, z_exp, z_noise).

        Args:
            z_id: (B, D) float. The people.
            z_exp: (B, n_exp) float. The expressions.
            noise: (B, D) float. z_noise.
            style: (B, D) float. z_style: whose style the expressions have.
            generators: Those in training; None: the model's own.

        Returns:
            Embeddings of identity (B, 100) and expression (B, 30).
        """
        generators = generators or self.generators
        who = [style] if self.g_exp_identity else []
        return (
            generators["identity"](torch.cat([z_id, noise], dim=1)),
            generators["expression"](torch.cat([*who, z_exp, noise], dim=1)),
        )

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        data = data.take(data.row_labeled("expression"))
        labels = LabelMap(data, self.intensities)
        if labels.people != self.people or len(labels.people) < 2:
            raise BadSetting(
                "FaceCAM learns from at least two labeled people, the same as in prepare()",
                received=f"{len(labels.people)} people with labeled expressions of {len(self.people)}",
            )
        sizes = (*self.sizes[:2], len(self.people), self.class_count)
        if settings.shape_from:
            take_shape(self, settings.shape_from)
        else:
            yield supervised_stage(self, Heads(*sizes).to(self.device), data, settings, labels, validation)
            discriminator = LatentDiscriminator(*sizes, inputs=settings.d_inputs, dropout=settings.dropout)
            yield latent_stage(self, discriminator.to(self.device), data, settings, labels)
        if self.painter is not None:
            textured = data.take(data.has_textures)
            yield from texture_stages(self, self.painter, textured, self.z_people, labels, settings)

    @torch.no_grad()
    def validation_error(self, data: FaceDataset) -> dict[str, float]:
        """What FaceCAM keeps its best weights by: vertex distance of reconstructions, millimeters."""
        wrong = []
        for start in range(0, len(data), 64):
            vertices = torch.from_numpy(data[slice(start, start + 64)]).to(self.device)
            wrong.append((self.face(*self.embed(vertices)) - vertices).norm(dim=2).mean(1))
        return {"rec_avd_mesh": float(torch.cat(wrong).mean())}
