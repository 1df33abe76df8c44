"""FaceModel: the four verbs every method speaks, its calibration, its stages and its files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler
from mien.errors import MissingNeutral, Unsupported, WrongTopology
from mien.topology import Topology

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Reference:
    """Where a method was published; every report ends with the BibTeX of what it used."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    link: str = ""

    @property
    def bibtex(self) -> str:
        """A BibTeX entry."""
        lines = {"author": self.authors, "title": self.title, "booktitle": self.venue, "year": self.year}
        if self.link:
            lines["url"] = self.link
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in lines.items())
        return f"@inproceedings{{{self.key},\n{body}\n}}"


@dataclass
class Stage:
    """One phase of training, run by the one loop of :mod:`mien.train`.

    Args:
        name: Shown in progress bars and logs.
        steps: How many steps.
        batch: Draws a batch; a pure function of the loop's generator.
        step: ``step(batch, index)`` yields ``(optimizer name, weighted losses)`` one update after the other.
            The loop adds up the losses, goes backward and updates before it asks for the next pair, so a
            critic and a generator may share one forward pass.
        modules: What the checkpoint holds during this stage, critics included.
        optimizers: By name, as yielded by ``step``.
        rates: Optimizer name -> factor of its learning rate at a step (a pure function, so it resumes).
        validate: Called in evaluation mode; the first value decides which weights are kept (lower is better).
        validate_every: Steps between validations.
        patience: Validations without progress before the stage stops early; None never does.
        begin: Closed-form work before the first step; a resumed run does not repeat it.
        finish: Closed-form work on the weights that are kept, in evaluation mode, with randomness of its own.
    """

    name: str
    steps: int
    batch: Sampler
    step: Callable[[Batch, int], Iterator[tuple[str, Losses]]]
    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    rates: dict[str, Callable[[int], float]] = field(default_factory=dict)
    validate: Callable[[], dict[str, float]] | None = None
    validate_every: int = 200
    patience: int | None = None
    begin: Callable[[], None] | None = None
    finish: Callable[[], None] | None = None


class FaceModel(nn.Module):
    """Faces in millimeters to codes and back.

    A method overrides the verbs that its paper has: :meth:`encode`, :meth:`decode`, :meth:`sample`,
    :meth:`express`. Whatever it lacks raises :class:`Unsupported` with a reason. Constructor arguments after
    ``topology`` and ``expressions`` are captured in ``config``, which rebuilds the model.

    Args:
        topology: What all faces share.
        expressions: E expression names that :meth:`express` understands.
    """

    name: ClassVar[str]
    reference: ClassVar[Reference]
    #: The identity code is the subject's neutral mesh itself.
    anchored: ClassVar[bool] = False
    #: Training needs a neutral scan of every person.
    needs_neutrals: ClassVar[bool] = True
    #: A frame of a motion depends on the frames before it.
    remembers: ClassVar[bool] = False
    #: Abilities that the method's publication has; others are derived by :mod:`mien.apply` or refused.
    native: ClassVar[frozenset[str]] = frozenset()
    #: Abilities that a method refuses although its verbs would give something, each with the reason.
    refused: ClassVar[Mapping[str, str]] = {}
    #: Vertices decoded at once: enough to keep a processor busy, few enough for wide hidden layers.
    vertices_at_once: ClassVar[int] = 100_000
    #: Training settings by profile, over the defaults of ``Settings``.
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {}, "standard": {}, "full": {}}
    #: A dataclass of training settings.
    Settings: ClassVar[type]

    #: This model was trained to give its people textures.
    makes_textures: bool = False
    #: Further factors of codes that belong to the person: who keeps the identity keeps them.
    personal: ClassVar[tuple[str, ...]] = ()
    topology: Topology
    expressions: tuple[str, ...]
    config: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> FaceModel:
        # The configuration is the constructor call: nothing to keep in step by hand.
        self = super().__new__(cls)
        if not args and not kwargs:
            return self  # copy.deepcopy makes an empty object and fills it
        bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        skip = ("self", "topology", "expressions")
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in bound.arguments.items()}
        object.__setattr__(self, "config", {k: v for k, v in plain.items() if k not in skip})
        return self

    def __init__(self, topology: Topology, expressions: Sequence[str]) -> None:
        super().__init__()
        self.topology = topology
        self.expressions = tuple(expressions)
        self.calibration = Calibration(len(self.expressions))

    # ---- before and during training

    def prepare(self, data: FaceDataset) -> None:
        """Statistics that precede training (mean face, bases). Closed-form methods do all of it here."""

    def stages(self, data: FaceDataset, settings: Any, validation: FaceDataset | None) -> Iterator[Stage]:
        """The phases of training; none for closed-form methods."""
        return iter(())

    def calibrate(self, data: FaceDataset) -> None:
        """Measures rest code, per-expression offsets and spreads of codes on training data."""
        self.calibration.measure(self, data)

    # ---- the four verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Codes of faces.

        Args:
            vertices: (B, V, 3) float, millimeters.
            neutral: (B, V, 3) float, millimeters. The subject's neutral; anchored models need it.
        """
        raise self.refusal("encode", "its publication has no encoder")

    def decode(self, codes: Codes) -> Tensor:
        """(B, V, 3) float, millimeters: the faces of codes."""
        raise self.refusal("decode", "it has no decoder")

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Random codes: new people with random expressions."""
        raise self.refusal("sample", "it defines no distribution of people")

    def express(self, weights: Tensor) -> Tensor:
        """Expression codes of named weights.

        Args:
            weights: (B, E) float for settled poses, or (B, T, E) for motion. Zero is neutral.
        """
        return self.calibration.express(weights)

    def advance(self, weights: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The next frame of a motion: expression codes of weights (B, E), and the state to carry on.

        Frame after frame gives what :meth:`express` gives for the whole motion.
        """
        return self.express(weights), None

    # ---- hooks with sound defaults

    @property
    def frame_rate(self) -> float | None:
        """Frames per second that motions must have, or None where any will do."""
        return None

    def neutral_face(self, codes: Codes) -> Tensor:
        """(B, V, 3) float, millimeters: the people of these codes at rest."""
        rest = self.express(torch.zeros(1, len(self.expressions), device=codes.identity.device))
        return self.decode(codes.replace(expression=rest.expand(len(codes), *rest.shape[1:])))

    def texture(self, codes: Codes) -> Tensor:
        """(B, H, W, 3) uint8 sRGB texture maps of codes in the topology's uv, row 0 at v = 1."""
        raise self.refusal("make textures", "it was trained without, or its publication has none")

    def mix(self, a: Codes, b: Codes, amount: float) -> Codes:
        """Codes between ``a`` (amount 0) and ``b`` (amount 1), beyond them outside 0..1."""
        return Codes(
            torch.lerp(a.identity, b.identity, amount),
            torch.lerp(a.expression, b.expression, amount),
            {name: torch.lerp(a.others[name], b.others[name], amount) for name in a.others},
        )

    def embeddings(self, codes: Codes) -> tuple[Tensor, Tensor]:
        """(B, D) and (B, D') what tells people and expressions apart: the codes, or what is made of them."""
        return codes.identity.flatten(1), codes.expression.flatten(1)

    def restyle(self, codes: Codes, style: Codes) -> Codes:
        """B people with named expressions, in the style of another person (1) or of one each (B)."""
        raise self.refusal("change styles", "a named expression has no personal style apart from its code")

    def training_people(self, names: Sequence[str]) -> Codes:
        """People of the training set, by name, at rest."""
        raise self.refusal("name training people", "it keeps no code of them")

    def add_expressions(self, first: Tensor, second: Tensor) -> Tensor:
        """Codes of two expressions (B, *X) at once: what both differ from rest, added up."""
        return first + second - self.calibration.rest

    def origin(self, count: int) -> Codes:
        """The mean person at rest, ``count`` times: where inversion starts."""
        calibration = self.calibration
        return Codes(
            calibration.identity_mean.expand(count, *calibration.identity_mean.shape),
            calibration.rest.expand(count, *calibration.rest.shape),
        )

    # ---- helpers for methods

    def coarsest_level(self, known: int | None, factors: Sequence[int]) -> int:
        """Vertices of the last level of a mesh hierarchy; kept in ``config``, so that loading is told.

        Holes and slits can keep a level from shrinking as far as the factors ask.
        """
        from mien.geometry.hierarchy import hierarchy

        if known is None:
            known = self.config["coarsest"] = len(hierarchy(self.topology, factors)[-1].kept)
        return known

    def require_neutral(self, neutral: Tensor | None) -> Tensor:
        """The neutral, or the sentence that says why this method needs one."""
        if neutral is None:
            raise MissingNeutral(
                f"{self.name} builds on the subject's neutral mesh and none was given",
                remedy="pass the neutral of the same subject",
            )
        return neutral

    def refusal(self, verb: str, reason: str) -> Unsupported:
        """The error for a verb that this method does not define."""
        return Unsupported(f"{self.name} cannot {verb}: {reason}")

    def check_data(self, data: FaceDataset) -> None:
        """Raises unless the data set has this model's topology and expressions."""
        if data.topology.fingerprint != self.topology.fingerprint:
            raise WrongTopology(
                "the data set has another topology than the model",
                received=f"{data.topology.name!r} against {self.topology.name!r}",
            )

    @property
    def device(self) -> torch.device:
        """Where the model's tensors live."""
        return self.calibration.rest.device

    @property
    def parameter_count(self) -> int:
        """Number of trained values; of closed-form methods the values that they computed from the data."""
        if trained := sum(p.numel() for p in self.parameters()):
            return trained
        state = {k: v for k, v in self.state_dict().items() if v.is_floating_point()}
        return sum(v.numel() for k, v in state.items() if not k.startswith(("calibration.", "mean_face")))


class Calibration(nn.Module):
    """What naming expressions needs: measured on training data after training, saved with the model.

    ``rest`` (*X) is the expression code of a neutral face; ``offsets`` (E, *X) what full weight of each named
    expression adds to it; the spreads standardize codes for inversion. The roots (D, D) of the covariances of
    codes that are plain vectors make random codes like those of real faces; other codes have none.
    """

    rest: Tensor
    offsets: Tensor
    identity_mean: Tensor
    identity_std: Tensor
    identity_root: Tensor
    expression_mean: Tensor
    expression_std: Tensor
    expression_root: Tensor

    def __init__(self, expression_count: int) -> None:
        super().__init__()
        self.register_buffer("rest", torch.zeros(0))
        self.register_buffer("offsets", torch.zeros(expression_count, 0))
        for factor in ("identity", "expression"):
            for name, shape in (("mean", (0,)), ("std", (0,)), ("root", (0, 0))):
                self.register_buffer(f"{factor}_{name}", torch.zeros(shape))

    def express(self, weights: Tensor) -> Tensor:
        """Rest plus weighted offsets: (B, E) -> (B, *X), or (B, T, E) -> (B, T, *X)."""
        return self.rest + torch.tensordot(weights.to(self.offsets), self.offsets, dims=1)

    def sample(self, count: int, generator: Generator | None = None) -> Codes:
        """Codes from one normal distribution a factor, with mean and covariance of the training codes."""
        device = generator.device if generator else self.rest.device
        sizes = len(self.identity_root), len(self.expression_root)
        drawn = torch.randn(count, sum(sizes), generator=generator, device=device).to(self.rest.device)
        identity, expression = drawn.split(sizes, dim=1)
        return Codes(
            self.identity_mean + identity @ self.identity_root,
            self.expression_mean + expression @ self.expression_root,
        )

    @torch.no_grad()
    def measure(self, model: FaceModel, data: FaceDataset, *, limit: int = 4000, size: int = 64) -> None:
        """Encodes up to ``limit`` rows and fits rest, offsets and spreads by least squares."""
        rows = np.arange(len(data))
        if len(rows) > limit:
            rows = np.random.default_rng(0).permutation(rows)[:limit]
        if model.anchored:
            rows = rows[data.has_neutral[rows]]
        sums = _Sums()
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            vertices = torch.from_numpy(data[part]).to(model.device)
            neutral = None
            if model.anchored:
                neutral = torch.from_numpy(data.neutral_of(part)).to(model.device)
            known = torch.from_numpy(data.row_labeled("expression")[part])
            sums.add(model.encode(vertices, neutral=neutral), torch.from_numpy(data.row_weights[part]), known)
        self._fit(sums)

    def _fit(self, sums: _Sums) -> None:
        device = self.rest.device
        for factor in ("identity", "expression"):
            for name, value in zip(("mean", "std", "root"), sums.spread(factor), strict=True):
                setattr(self, f"{factor}_{name}", value.float().to(device))
        solution = sums.solve(len(self.offsets)).float().to(device)
        shape = self.expression_mean.shape
        self.rest, self.offsets = solution[0].reshape(shape), solution[1:].reshape(-1, *shape)


class _Sums:
    """Running sums of codes, so that per-triangle codes of many faces need not be kept."""

    def __init__(self) -> None:
        self.count = 0
        self.first: dict[str, Tensor] = {}
        self.second: dict[str, Tensor] = {}
        self.products: dict[str, Tensor] = {}
        self.gram: Tensor | float = 0.0
        self.cross: Tensor | float = 0.0

    def add(self, codes: Codes, weights: Tensor, known: Tensor) -> None:
        self.count += len(codes)
        for name in ("identity", "expression"):
            values = codes.factor(name).detach().double().cpu()
            self.first[name] = self.first.get(name, 0.0) + values.sum(0)
            self.second[name] = self.second.get(name, 0.0) + (values**2).sum(0)
            if values.ndim == 2:
                self.products[name] = self.products.get(name, 0.0) + values.T @ values
        design = torch.cat([torch.ones(len(weights), 1), weights], dim=1).double()[known]
        values = codes.expression.detach().double().cpu()[known].flatten(1)
        self.gram = self.gram + design.T @ design
        self.cross = self.cross + design.T @ values

    def spread(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, deviation, and for vectors the symmetric root of the covariance (D, D)."""
        mean = self.first[name] / self.count
        deviation = (self.second[name] / self.count - mean**2).clamp_min(0).sqrt().clamp_min(1e-6)
        if name not in self.products:
            return mean, deviation, torch.zeros(0, 0)
        values, axes = torch.linalg.eigh(self.products[name] / self.count - mean[:, None] * mean)
        return mean, deviation, (axes * values.clamp_min(0).sqrt()) @ axes.T

    def solve(self, expression_count: int) -> Tensor:
        """(1 + E, D) rest and offsets: least squares of codes on weights, with a trace of ridge."""
        assert isinstance(self.gram, Tensor)
        ridge = 1e-6 * max(1.0, float(self.gram.diagonal().max())) * torch.eye(1 + expression_count).double()
        ridge[0, 0] = 0.0
        return torch.linalg.lstsq(self.gram + ridge, self.cross).solution


@torch.no_grad()
def validation_errors(model: FaceModel, data: FaceDataset, neutrals: bool) -> dict[str, float]:
    """Mean vertex distances on unseen faces, millimeters: what a stage's ``validate`` returns.

    The first value decides which weights are kept; neutrals count in it only if training may use them.
    """
    wrong, wrong_neutral = [], []
    known = bool(data.has_neutral.all())
    for start in range(0, len(data), 64):
        rows = np.arange(start, min(start + 64, len(data)))
        vertices = torch.from_numpy(data[rows]).to(model.device)
        codes = model.encode(vertices)
        wrong.append((model.decode(codes) - vertices).norm(dim=2).mean(1))
        if known:
            truth = torch.from_numpy(data.neutral_of(rows)).to(model.device)
            wrong_neutral.append((model.neutral_face(codes) - truth).norm(dim=2).mean(1))
    reconstruction = float(torch.cat(wrong).mean())
    result = {"criterion": reconstruction, "rec_avd_mesh": reconstruction}
    if known:
        result["neu_avd"] = float(torch.cat(wrong_neutral).mean())
        if neutrals:
            result["criterion"] += result["neu_avd"]
    return result
