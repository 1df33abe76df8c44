"""Jiang et al. (2019): who and what as deformations of the mean face, and their fusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces, virtual_people
from mien.errors import BadSetting
from mien.models.autoencoder import autoencoder_stage, require_neutrals
from mien.models.base import FaceModel, Losses, Reference, Stage
from mien.models.jiang.deformation import Deformation
from mien.models.jiang.networks import FEATURES, Fusion, GraphBranch
from mien.nn.chebyshev import ChebyshevLevels
from mien.nn.gaussian import kl_divergence, reparameterize
from mien.nn.spiral import SparseRows
from mien.progress import track
from mien.topology import Topology

FACTORS = ("identity", "expression")
BLOCK, RIDGE = 64, 1e-3


@dataclass(frozen=True)
class Settings:
    """Training settings; weights hold for scaled features."""

    divergence: float = 5e-6  #: weight of the KL terms
    exchange: float = 1.0  #: weight of E(I(z)) and I(E(z)), which are to be zero
    batch_size: int = 16
    stage_steps: int = 10_000  #: of each of the three stages (20 epochs of the publication)
    steps: int = 10_000  #: of the training of all parts together
    rate: float = 1e-4  #: learning rate
    optimizer: str = "adam"  #: or "muon" (:mod:`mien.nn.muon`), or "sgd"
    momentum: float = 0.9  #: of "sgd"
    weight_decay: float = 0.0
    decay: float = 1.0  #: the rate is multiplied by this ...
    decay_every: int = 500  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rate rises from zero
    virtual_people: float = 0.5  #: share of rows whose person is a mixture of others
    validate_every: int = 500
    patience: int | None = None


class Jiang(FaceModel):
    """Splits a face into the deformation that makes the person and the one that makes the expression.

    Reference: Z.-H. Jiang, Q. Wu, K. Chen, J. Zhang. Disentangled Representation Learning for 3D Face Shape.
    CVPR 2019.

    Equations (G a mesh as a deformation of the mean face, m; I and E variational autoencoders, F the fusion,
    n the person's neutral, e the mean of G over people who make the expression, less its mean at rest)::

        G(x) = (log R_i, S_i - I) of every vertex i                               (:mod:`.deformation`)
        z_id ~ q_I(G(x)),  z_exp ~ q_E(G(x)),   G_hat = I(z_id) + E(z_exp) + F(I(z_id), E(z_exp))
        L_id = |I(z_id) - G(n)| + w KL,   L_exp = |E(z_exp) - e| + w KL,   L_rec = |G_hat - G(x)|
        L_ex = |E(q_E(I(z_id)))| + |I(q_I(E(z_exp)))|

    I, E and F are trained one after the other, then together on all four terms.

    Departures:
        - Rings are nearly flat, so the normal takes part in the deformation; edges weigh at least 0.05.
        - Deformations do not tell where a mesh stands: the place of each component's rigid part is a ridge
          regression on both codes. The publication compares after an alignment.
        - Features are scaled to +-0.9 by two numbers, of rotation and of stretch, for all vertices.
        - The 4,000 extra shapes are virtual people (:func:`mien.data.sampling.virtual_people`).
        - Convolutions of degree 2 with ELU, whose nonlinearity is not at hand; losses are mean distances.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles take fewer steps at a higher rate.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Size of z_id.
        expression_size: Size of z_exp.
        channels: Of the encoders' convolutions.
        hidden: Width between convolutions and codes.
        fusion: Channels of the fusion: first, residual, last.
        residuals: Residual convolutions of the fusion.

    Example:
        >>> model = mien.load_model("runs/jiang")
        >>> codes = model.encode(vertices)              # (B, V, 3) millimeters
        >>> neutral = model.neutral_face(codes)         # I(z_id)
    """

    name: ClassVar[str] = "jiang"
    native: ClassVar[frozenset[str]] = frozenset(
        ("reconstruct", "neutralize", "transfer", "interpolate", "generate")
    )
    refused: ClassVar = {"export": "its decoder solves a sparse system for the vertices"}
    reference: ClassVar[Reference] = Reference(
        "jiang2019disentangled", "Jiang, Zi-Hang and Wu, Qianyi and Chen, Keyu and Zhang, Juyong",
        "Disentangled Representation Learning for 3D Face Shape",
        "IEEE Conference on Computer Vision and Pattern Recognition", 2019,
        "https://arxiv.org/abs/1902.09887",
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": {"rate": 1e-3, "stage_steps": 40, "steps": 60, "validate_every": 30},
        "standard": {"rate": 1e-3, "stage_steps": 800, "steps": 1_200, "decay": 0.7, "decay_every": 150,
                     "validate_every": 200},
        "full": {},
    }  # fmt: skip

    scale: Tensor
    means: Tensor
    place: Tensor
    place_axes: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 50,
        expression_size: int = 25,
        channels: Sequence[int] = (128, 64, 64, 64, 3),
        hidden: int = 300,
        fusion: Sequence[int] = (256, 128, 64),
        residuals: int = 3,
    ) -> None:
        super().__init__(topology, expressions)
        count, order = topology.vertex_count, 3  # polynomials up to degree 2
        pieces = int(topology.components.max()) + 1
        self.deformation = Deformation()
        self.graph = ChebyshevLevels(())
        sizes = dict(zip(FACTORS, (identity_size, expression_size), strict=True))
        self.branches = nn.ModuleDict(
            {name: GraphBranch(count, size, channels, hidden, order) for name, size in sizes.items()}
        )
        self.fusion = Fusion(fusion, residuals, order)
        self.register_buffer("scale", torch.ones(FEATURES))
        self.register_buffer("means", torch.zeros(len(self.expressions), count, FEATURES))
        self.register_buffer("place", torch.zeros(pieces, 3))
        self.register_buffer("place_axes", torch.zeros(identity_size + expression_size, pieces, 3))

    # ---- what is computed before and after training

    def prepare(self, data: FaceDataset) -> None:
        """The mean face, the scale of the features, and what expressions are on it."""
        self.check_data(data)
        require_neutrals(self, data)
        named = data.take(data.row_labeled("expression"))
        if not (named.row_weights.max(axis=1, initial=0) > 0).any():
            raise BadSetting(
                f"{self.name} learns what named expressions are on the mean face",
                received="no scan of an expression with a name", remedy="label some",
            )  # fmt: skip
        first = np.unique(data.row_subject, return_index=True)[1]
        mean = sum(data.neutral_of([row])[0].astype(np.float64) for row in first) / len(first)
        self.deformation.build(self.topology, np.asarray(mean))
        self.graph.build(self.topology)
        self.place.copy_(self.deformation.places(torch.from_numpy(np.asarray(mean, np.float32))[None])[0])
        self.place_axes.zero_()
        self._measure(named)

    @torch.no_grad()
    def _measure(self, named: FaceDataset) -> None:
        """The scale of the features, and their least squares on the named weights."""
        design = np.concatenate([np.ones((len(named), 1)), named.row_weights], axis=1)
        gram = design.T @ design
        gram += RIDGE * np.trace(gram) / len(gram) * np.diag(np.arange(len(gram)) > 0)
        cross = torch.zeros(len(gram), self.topology.vertex_count, FEATURES)
        largest = torch.zeros(FEATURES)
        for start in track(range(0, len(named), BLOCK), "deformations"):
            rows = slice(start, start + BLOCK)
            found = self.deformation.of(torch.from_numpy(named[rows]).to(self.device)).cpu()
            cross += torch.einsum("ne,nvf->evf", torch.from_numpy(design[rows]).float(), found)
            largest = torch.maximum(largest, found.abs().amax(dim=(0, 1)))
        solved = torch.from_numpy(np.linalg.inv(gram)).float() @ cross.flatten(1)
        kinds = torch.cat([largest[:3].max().expand(3), largest[3:].max().expand(6)])
        self.scale.copy_(kinds.clamp_min(1e-6) / 0.9)
        self.means.copy_(solved[1:].unflatten(1, (-1, FEATURES)) / self.scale.cpu())

    def calibrate(self, data: FaceDataset) -> None:
        """Codes, and where meshes of these codes stand."""
        rows = np.arange(len(data))
        rows = rows[:: -(-len(rows) // 2000)]
        codes, places = [], []
        with torch.no_grad():
            for part in np.split(rows, range(BLOCK, len(rows), BLOCK)):
                vertices = torch.from_numpy(data[part]).to(self.device)
                found = self.encode(vertices)
                codes.append(torch.cat([found.identity, found.expression], dim=1).double())
                places.append(self.deformation.places(vertices).double())
            known, wanted = torch.cat(codes), torch.cat(places)
            normal = known.T @ known + RIDGE * len(known) * torch.eye(known.shape[1]).to(known)
            right = known.T @ (wanted - wanted.mean(0)).flatten(1)
            axes = torch.linalg.solve(normal, right).unflatten(1, (-1, 3))
            self.place.copy_(wanted.mean(0) - torch.einsum("d,dkc->kc", known.mean(0), axes))
            self.place_axes.copy_(axes)
        super().calibrate(data)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The means of both posteriors."""
        features = self.features(vertices)
        who, what = (self._posterior(factor, features)[0] for factor in FACTORS)
        return Codes(who, what)

    def decode(self, codes: Codes) -> Tensor:
        parts = [self._decoded(factor, codes.factor(factor)) for factor in FACTORS]
        return self._mesh(self.fusion(*parts, self._laplacian), codes)

    def neutral_face(self, codes: Codes) -> Tensor:
        """I(z_id), standing where the person stands at rest."""
        rest = self.calibration.rest if self.calibration.rest.numel() else codes.expression[0] * 0
        still = codes.replace(expression=rest.expand(len(codes), -1))
        return self._mesh(self._decoded("identity", codes.identity), still)

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """z_id, z_exp ~ N(0, I)."""
        sizes = (self.config["identity_size"], self.config["expression_size"])
        device = generator.device if generator else self.device
        drawn = torch.randn(count, sum(sizes), generator=generator, device=device).to(self.device)
        return Codes(*drawn.split(sizes, dim=1))

    # ---- parts

    def features(self, vertices: Tensor) -> Tensor:
        """(B, V, 9) scaled features of meshes (B, V, 3), millimeters."""
        return self.deformation.of(vertices) / self.scale

    def _branch_of(self, factor: str) -> GraphBranch:
        return cast(GraphBranch, self.branches[factor])

    @property
    def _laplacian(self) -> SparseRows:
        return cast(SparseRows, self.graph.laplacians[0])

    def _posterior(self, factor: str, features: Tensor) -> tuple[Tensor, ...]:
        return self._branch_of(factor).posterior(features, self._laplacian)

    def _decoded(self, factor: str, code: Tensor) -> Tensor:
        return self._branch_of(factor).decode(code)

    def _mesh(self, features: Tensor, codes: Codes) -> Tensor:
        both = torch.cat([codes.identity, codes.expression], dim=1)
        places = self.place + torch.einsum("bd,dkc->bkc", both, self.place_axes)
        return self.deformation.mesh(features * self.scale, places)

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        named = data.take(data.row_labeled("expression"))
        batch = faces(named, settings.batch_size, neutral=True)
        batch = virtual_people(batch, named, settings.virtual_people, neutral=True)
        short = replace(settings, steps=settings.stage_steps)
        for factor in FACTORS:
            losses = partial(self._branch_losses, factor, settings)
            yield autoencoder_stage(self, batch, losses, short, None, name=factor)
        yield autoencoder_stage(self, batch, self._fusion_losses, short, None, name="fusion")
        known = validation is not None and bool(validation.has_neutral.all())
        yield autoencoder_stage(
            self, batch, partial(self._losses, settings), settings,
            partial(self._validation_error, validation) if validation is not None and known else None,
            name="together",
        )  # fmt: skip

    def _targets(self, batch: Batch) -> dict[str, Tensor]:
        """(B, V, 9) what each branch is to make of a batch."""
        assert batch.neutral is not None
        shown = torch.einsum("be,evf->bvf", batch.weights, self.means)
        return {"identity": self.features(batch.neutral), "expression": shown}

    def _branch(self, factor: str, features: Tensor, target: Tensor, weight: float) -> tuple[Tensor, Losses]:
        """What a branch makes of features (B, V, 9), and its losses."""
        posterior = self._posterior(factor, features)
        made = self._decoded(factor, reparameterize(*posterior))
        return made, {
            factor: (made - target).abs().mean(),
            f"divergence_{factor}": weight * kl_divergence(*posterior),
        }

    def _branch_losses(self, factor: str, settings: Any, batch: Batch) -> Losses:
        features, target = self.features(batch.vertices), self._targets(batch)[factor]
        return self._branch(factor, features, target, settings.divergence)[1]

    def _fusion_losses(self, batch: Batch) -> Losses:
        features = self.features(batch.vertices)
        with torch.no_grad():
            parts = [self._decoded(name, self._posterior(name, features)[0]) for name in FACTORS]
        made = self.fusion(*parts, self._laplacian)
        return {"reconstruction": (made - features).abs().mean()}

    def _losses(self, settings: Any, batch: Batch) -> Losses:
        features = self.features(batch.vertices)
        losses: Losses = {}
        parts: dict[str, Tensor] = {}
        for factor, target in self._targets(batch).items():
            parts[factor], found = self._branch(factor, features, target, settings.divergence)
            losses |= found
        made = self.fusion(parts["identity"], parts["expression"], self._laplacian)
        losses["reconstruction"] = (made - features).abs().mean()
        for factor, other in (FACTORS, FACTORS[::-1]):
            left = self._decoded(other, self._posterior(other, parts[factor])[0])
            losses[f"{other}_of_{factor}"] = settings.exchange * left.abs().mean()
        return losses

    @torch.no_grad()
    def _validation_error(self, data: FaceDataset) -> dict[str, float]:
        """Mean distances of features on unseen faces, of faces and of neutrals; their sum decides."""
        wrong = torch.zeros(2)
        for start in range(0, len(data), BLOCK):
            rows = slice(start, start + BLOCK)
            x = self.features(torch.from_numpy(data[rows]).to(self.device))
            n = self.features(torch.from_numpy(data.neutral_of(rows)).to(self.device))
            parts = [self._decoded(name, self._posterior(name, x)[0]) for name in FACTORS]
            made = self.fusion(*parts, self._laplacian)
            apart = [(made - x).abs().mean((1, 2)).sum(), (parts[0] - n).abs().mean((1, 2)).sum()]
            wrong += torch.stack(apart).cpu()
        face, neutral = (wrong / len(data)).tolist()
        return {"criterion": face + neutral, "face_features": face, "neutral_features": neutral}
