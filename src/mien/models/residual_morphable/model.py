"""The residual morphable model: codes of who, manner included, and of named expressions, and their faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces
from mien.errors import BadSetting, UnknownName
from mien.models.autoencoder import autoencoder_stage
from mien.models.base import FaceModel, Losses, Reference, Stage
from mien.models.residual_morphable.closed_form import (
    Foretold,
    People,
    expression_code,
    manner_axes,
    personal_displacements,
    rest_fit,
    rest_reader,
    strength_reader,
)
from mien.nn.principal import principal_axes
from mien.topology import Topology

RESTS = ("read", "fitted")
BLOCK = 256
DOUBT = 0.3  # strengths below it count little where a person's manner is read
TURNED = 1e-9  # share of the largest deviation below which an axis is rounding


@dataclass(frozen=True)
class Settings:
    """Training settings of the network that reads how strongly expressions are shown."""

    batch_size: int = 64
    steps: int = 6_000
    rate: float = 2e-3  #: learning rate
    optimizer: str = "adam"  #: or "muon" (:mod:`mien.nn.muon`), or "sgd"
    momentum: float = 0.9  #: of "sgd"
    weight_decay: float = 0.0
    noise: float = 0.1  #: deviation of the noise on the strengths that it starts from
    decay: float = 0.7  #: the rate is multiplied by this ...
    decay_every: int = 600  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rate rises from zero
    validate_every: int = 400
    patience: int | None = None


class ResidualMorphable(FaceModel):
    """An additive model, and on top of it what a face foretells of its own expressions.

    Reference: this library. The additive part is Amberg, Knothe and Vetter, FG 2008 (``morphable``).

    Equations (a, s the identity code, b the expression code, w(b) = b C^+ named weights, E expressions)::

        x = n(a) + sum_e w_e(b) [d_e + h_e(a) + Q_e s],    n(a) = m + U a
        r_p, d = argmin sum |x - r_p - sum_e w_e d_e|^2                     (people's rests, mean expressions)
        m, U: mean and main axes of the r_p      h: kernel ridge from a_p to what p adds to the d_e
        Q: main axes, over people, of what they add to all expressions at once
        a = U^+ R (x - mean),  R: ridge from one scan to r_p
        w = G (x - n(a)) + f(x - n(a)),  G generalized least squares, f a perceptron
        s = argmin |x - n(a) - sum_e w_e (d_e + h_e(a) + Q_e s)|^2 + ridge |s|^2

    All but f is closed form, with penalties, kernel and sizes chosen by the error on left-out people. A
    person's rest is what all scans agree on, so that it is not the noise of one neutral scan; neutral scans
    are not needed.

    Departures: none, as there is no publication.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Numbers of a and s together.
        expression_size: Numbers of b.
        manner_size: Numbers of s; 0 for none.
        rest: ``read`` (R), or ``fitted``: the identity part of the additive model's joint fit.
        foretold: Whether h is there.
        hidden: Width of f; 0 for none.
        ridge: Weight of the squared codes in square millimeters, summed over all coordinates.
        vertex_axes: Principal axes of the scans in which everything is computed.

    Example:
        >>> model = mien.load_model("runs/residual_morphable")
        >>> codes = model.encode(vertices)              # (B, V, 3) millimeters
        >>> rig = mien.rig(model, codes[:1])            # this person's own expressions
    """

    name: ClassVar[str] = "residual_morphable"
    needs_neutrals: ClassVar[bool] = False
    native: ClassVar[frozenset[str]] = frozenset(
        ("reconstruct", "neutralize", "transfer", "interpolate", "generate", "animate", "rig", "recognize")
    )
    reference: ClassVar[Reference] = Reference(
        "mien2026residual", "The Mien authors", "Mien: the residual morphable model", "Mien", 2026
    )
    Settings = Settings
    profiles: ClassVar = {
        "smoke": {"steps": 150, "decay": 0.5, "decay_every": 40, "validate_every": 50},
        "standard": {},
        "full": {},
    }

    mean_scan: Tensor
    axes: Tensor
    mean_rest: Tensor
    identity_axes: Tensor
    rest_map: Tensor
    means: Tensor
    to_code: Tensor
    to_weights: Tensor
    strength_map: Tensor
    people: Tensor
    length: Tensor
    duals: Tensor
    answers: Tensor
    manners: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 65,
        expression_size: int = 20,
        manner_size: int = 20,
        rest: str = "read",
        foretold: bool = True,
        hidden: int = 128,
        ridge: float = 10.0,
        vertex_axes: int = 200,
    ) -> None:
        super().__init__(topology, expressions)
        if rest not in RESTS:
            raise UnknownName("rest", rest, RESTS)
        if not 0 <= manner_size < identity_size:
            raise BadSetting(
                "the manner is part of the identity code, which has to hold the face at rest, too",
                received=f"manner_size {manner_size} of identity_size {identity_size}",
            )  # fmt: skip
        if ridge <= 0:
            raise BadSetting("ridge must be positive: manner axes overlap", received=ridge)
        count = len(self.expressions)
        self.ridge = ridge
        self.register_buffer("mean_scan", torch.from_numpy(topology.template.copy()))
        self.register_buffer("axes", torch.zeros(0, topology.vertex_count * 3))
        self.register_buffer("length", torch.zeros(()))
        empty = {
            "mean_rest": (0,), "identity_axes": (0, 0), "rest_map": (0, 0), "means": (count, 0),
            "to_code": (count, 0), "to_weights": (0, count), "strength_map": (0, count), "people": (0, 0),
            "duals": (0, 0), "answers": (0, count, 0), "manners": (0, count, 0),
        }  # fmt: skip
        for name, shape in empty.items():
            self.register_buffer(name, torch.zeros(shape))
        self.network = _network(count, hidden) if hidden else None

    # ---- what is computed before training

    def prepare(self, data: FaceDataset) -> None:
        """Everything but the network."""
        self.check_data(data)
        named, known = data.row_labeled("expression"), data.row_labeled("identity")
        rows = np.flatnonzero(named & known)
        if not (data.row_weights[rows].max(axis=1, initial=0) > 0).any():
            raise BadSetting(
                f"{self.name} learns what people add to named expressions",
                received="no expressive scan with labels of identity and expression",
                remedy="label some, or train `pca` or `neutral_bank`, which need no names",
            )  # fmt: skip
        scans = self._coefficients(data)
        people = People.of(scans, data.row_subject, data.row_weights, named, known)
        identity = self._identity_axes(people)
        mean_rest = people.rests.mean(axis=0)
        apart = scans[rows] - people.rests[people.person[rows]]
        codes = (people.rests - mean_rest) @ np.linalg.pinv(identity)
        personal = personal_displacements(scans, people, data.row_weights, rows)
        reading = (
            rest_reader(scans, people)
            if self.config["rest"] == "read"
            else rest_fit(identity, people.means, self.ridge)
        )
        to_code, to_weights = expression_code(people.means, self.config["expression_size"])
        self._keep(
            mean_rest=mean_rest, identity_axes=identity, rest_map=reading @ np.linalg.pinv(identity),
            means=people.means, to_code=to_code, to_weights=to_weights,
            strength_map=strength_reader(apart, data.row_weights[rows], people.means),
            manners=manner_axes(personal, self.config["manner_size"]),
        )  # fmt: skip
        if self.config["foretold"]:
            found = Foretold.of(codes, personal)
            self._keep(
                people=codes[:, : found.size], length=np.array(found.length), duals=found.duals,
                answers=found.answers,
            )  # fmt: skip

    def _keep(self, **found: NDArray) -> None:
        for name, value in found.items():
            setattr(self, name, torch.from_numpy(np.asarray(value, np.float32)).to(self.device))

    def _coefficients(self, data: FaceDataset) -> NDArray[np.float64]:
        """(N, C) float, millimeters: scans along their main axes, which are kept."""
        found = principal_axes(
            data.__getitem__, np.arange(len(data)), self.config["vertex_axes"], label="axes of scans"
        )
        self.mean_scan = torch.from_numpy(found.mean).view(-1, 3).to(self.device)
        self.axes = torch.from_numpy(found.axes).to(self.device)
        parts = []
        for start in range(0, len(data), BLOCK):
            block = data[slice(start, start + BLOCK)]
            parts.append((block.reshape(len(block), -1) - found.mean) @ found.axes.T)
        return np.concatenate(parts).astype(np.float64)

    def _identity_axes(self, people: People) -> NDArray[np.float64]:
        """(A, C) float, millimeters: main axes of the rests, one deviation each."""
        apart = people.rests - people.rests.mean(axis=0)
        _, values, axes = np.linalg.svd(apart, full_matrices=False)
        size = self.config["identity_size"] - self.config["manner_size"]
        kept = np.flatnonzero(values > TURNED * max(float(values.max(initial=0)), TURNED))[:size]
        if not len(kept):
            raise BadSetting("people with different faces are needed", received=f"{len(apart)} people")
        return axes[kept] * values[kept, None] / np.sqrt(len(apart))

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """a and s, and b; a is read from the neutral where one is given."""
        scan = self._along(vertices)
        a = (scan if neutral is None else self._along(neutral)) @ self.rest_map
        apart = scan - self._rest(a)
        weights = self._strengths(apart @ self.strength_map)
        left = apart - torch.einsum("be,bec->bc", weights, self._expressions(a))
        # A strength no larger than what it is misread by tells nothing of how its expression is made.
        shown = weights**3 / (weights**2 + DOUBT**2)
        manners = torch.einsum("be,sec->bsc", shown, self.manners)
        normal = manners @ manners.mT + self.ridge * torch.eye(len(self.manners)).to(manners)
        s = torch.linalg.solve(normal, (manners @ left[:, :, None])).squeeze(2)
        return Codes(torch.cat([a, s], dim=1), weights @ self.to_code)

    def decode(self, codes: Codes) -> Tensor:
        a, s = codes.identity.split([len(self.identity_axes), len(self.manners)], dim=1)
        own = self._expressions(a) + torch.einsum("bs,sec->bec", s, self.manners)
        weights = codes.expression @ self.to_weights
        return self._faces(self._rest(a) + torch.einsum("be,bec->bc", weights, own))

    def neutral_face(self, codes: Codes) -> Tensor:
        """n(a)."""
        return self._faces(self._rest(codes.identity[:, : len(self.identity_axes)]))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """a, s ~ N(0, I); b from a normal distribution with mean and covariance of the training codes."""
        drawn = self.calibration.sample(count, generator)
        size = len(self.identity_axes) + len(self.manners)
        device = generator.device if generator else self.device
        people = torch.randn(count, size, generator=generator, device=device)
        return drawn.replace(identity=people.to(self.device))

    def calibrate(self, data: FaceDataset) -> None:
        """Spreads are measured; the code of a named expression is known."""
        super().calibrate(data)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)
        self.calibration.offsets = self.to_code.clone()

    # ---- parts, on coefficients (B, C) along the axes of the scans, millimeters

    def _along(self, vertices: Tensor) -> Tensor:
        return (vertices - self.mean_scan).flatten(1) @ self.axes.T

    def _faces(self, coefficients: Tensor) -> Tensor:
        return self.mean_scan + (coefficients @ self.axes).unflatten(1, (-1, 3))

    def _rest(self, a: Tensor) -> Tensor:
        """n(a), (B, C)."""
        return self.mean_rest + a @ self.identity_axes

    def _expressions(self, a: Tensor) -> Tensor:
        """(B, E, C) d_e + h_e(a): what each expression does to these people."""
        if not len(self.answers):
            return self.means.expand(len(a), *self.means.shape)
        first = a[:, : self.people.shape[1]]
        products = first @ self.people.T
        squares = first.square().sum(1)[:, None] + self.people.square().sum(1) - 2 * products
        width = 2 * self.length.square() * self.people.shape[1]
        radial = 100 * torch.exp(-squares.clamp_min(0) / width.clamp_min(1e-12))
        products = torch.where(self.length > 0, radial, products)
        return self.means + torch.einsum("bt,tec->bec", products @ self.duals, self.answers)

    def _strengths(self, weights: Tensor) -> Tensor:
        """(B, E) named weights, of those that generalized least squares finds (B, E)."""
        if self.network is None:
            return weights
        return weights + self.network(weights)

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        if self.network is None:
            return
        named = data.take(data.row_labeled("expression"))
        tested = None if validation is None else validation.take(validation.row_labeled("expression"))
        yield autoencoder_stage(
            self, faces(named, settings.batch_size), partial(self._losses, settings), settings,
            partial(self._validation_error, tested) if tested is not None and len(tested) else None,
            name="strengths",
        )  # fmt: skip

    def _losses(self, settings: Any, batch: Batch) -> Losses:
        scan = self._along(batch.vertices)
        first = (scan - self._rest(scan @ self.rest_map)) @ self.strength_map
        first = first + settings.noise * torch.randn_like(first)
        return {"strengths": (self._strengths(first) - batch.weights).square().sum(1).mean()}

    @torch.no_grad()
    def _validation_error(self, data: FaceDataset) -> dict[str, float]:
        """Root of the mean summed squares by which named weights are misread on unseen people."""
        wrong = []
        for start in range(0, len(data), BLOCK):
            rows = slice(start, start + BLOCK)
            scan = self._along(torch.from_numpy(data[rows]).to(self.device))
            read = self._strengths((scan - self._rest(scan @ self.rest_map)) @ self.strength_map)
            wrong.append((read - torch.from_numpy(data.row_weights[rows]).to(read)).square().sum(1))
        return {"strength_error": float(torch.cat(wrong).mean().sqrt())}


def _network(count: int, width: int) -> nn.Sequential:
    """f, which starts at zero: at the closed form."""
    first, second, last = nn.Linear(count, width), nn.Linear(width, width), nn.Linear(width, count)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, nn.ELU(), second, nn.ELU(), last)
