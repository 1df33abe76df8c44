"""FaceModel: the four verbs every method speaks, and the stages of its training."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler
from mien.errors import MissingNeutral, Note, UnknownName, Unsupported, WrongTopology
from mien.models.calibration import Calibration
from mien.topology import Arrays, Topology

Losses = dict[str, Tensor]
#: Scans encoded in one call where training data are measured.
ENCODED_AT_ONCE = 64


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
    """One phase of training, run by the one loop of :mod:`mien.training`.

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
    #: Where a face landmarker sees its points on the template, see :func:`mien.find.face.face_points`.
    face_points: Arrays | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> FaceModel:
        # The configuration is the constructor call: nothing to keep in step by hand.
        self = super().__new__(cls)
        if not args and not kwargs:
            return self  # copy.deepcopy makes an empty object and fills it
        signature = inspect.signature(cls.__init__)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = dict(list(bound.arguments.items())[3:])  # after self, topology and expressions
        for name in list(given):
            if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                given |= given.pop(name)
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        object.__setattr__(self, "config", plain)
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
        """Measures rest code, per-expression offsets and deviations of codes on training data."""
        self.measure_codes(data)

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

        Returns:
            (B, ...) or (B, T, ...) codes.
        """
        self.check_calibrated(self.name)
        return self.calibration.express(weights)

    def advance(self, weights: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The next frame of a motion; frame after frame gives what :meth:`express` gives for the whole
        motion.

        Args:
            weights: (B, E) float. Named weights of the frame.
            state: What the call for the frame before gave; None at the first.

        Returns:
            (B, ...) expression codes, and the state to carry on.
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

    def people_modes(self) -> Tensor | None:
        """(K, V, 3) float, millimeters: principal modes of neutral faces that the model brings, or None."""
        return None

    def add(self, factor: str, first: Tensor, second: Tensor) -> Tensor:
        """Two expressions at once, or two of another factor: their differences from the origin added up.

        Args:
            factor: Whose codes they are. A factor that the origin lacks is zero there.
            first: (B, ...) float.
            second: (B, ...) float.

        Returns:
            (B, ...) codes.
        """
        origin = self.origin(1)
        return first + second - (origin.factor(factor) if factor in origin.names else 0.0)

    def origin(self, count: int) -> Codes:
        """The mean person at rest, ``count`` times: where inversion starts."""
        calibration = self.calibration
        self.check_calibrated(self.name)
        return Codes(
            calibration.identity_mean.expand(count, *calibration.identity_mean.shape),
            calibration.rest.expand(count, *calibration.rest.shape),
        )

    # ---- helpers for methods

    def measure_codes(self, data: FaceDataset, *, limit: int = 4000) -> None:
        """Encodes up to ``limit`` scans and measures the calibration on their codes."""
        rows = np.arange(len(data))
        if len(rows) > limit:
            rows = np.random.default_rng(0).permutation(rows)[:limit]
        if self.anchored:
            rows = rows[data.has_neutral[rows]]
        self.calibration.measure(self._encoded(data, rows))

    def _encoded(self, data: FaceDataset, rows: NDArray[np.int64]) -> Iterator[tuple[Codes, Tensor, Tensor]]:
        """Codes of scans, their weights, and which have an expression label, a batch at a time."""
        labeled = data.row_labeled("expression")
        for start in range(0, len(rows), ENCODED_AT_ONCE):
            part = rows[start : start + ENCODED_AT_ONCE]
            vertices = torch.from_numpy(data[part]).to(self.device)
            neutral = torch.from_numpy(data.neutral_of(part)).to(self.device) if self.anchored else None
            codes = self.encode(vertices, neutral=neutral)
            yield codes, torch.from_numpy(data.row_weights[part]), torch.from_numpy(labeled[part])

    def fitting_factors(self, wanted: Sequence[int], known: int | None) -> tuple[int, ...]:
        """Factors of a mesh hierarchy, smaller where the mesh is too small for the wanted ones; a new model
        says so (a loaded one knows its coarsest level)."""
        from mien.geometry.hierarchy import fitting_factors

        found = fitting_factors(self.topology.vertex_count, wanted)
        if known is None and found != tuple(wanted):
            told = f"{self.name} shrinks a mesh of {self.topology.vertex_count} vertices by {list(found)}"
            warnings.warn(Note(f"{told}; it is too small for {list(wanted)}"), stacklevel=3)
        return found

    def coarsest_level(self, known: int | None, factors: Sequence[int]) -> int:
        """Vertices of the last level of a mesh hierarchy; kept in ``config``, so that loading is told.

        Holes and slits can keep a level from shrinking as far as the factors ask.
        """
        from mien.geometry.hierarchy import hierarchy

        if known is None:
            known = self.config["coarsest"] = len(hierarchy(self.topology, factors)[-1].kept)
        return known

    def require_neutral(self, neutral: Tensor | None) -> Tensor:
        """The neutral, or the sentence that says why this method needs one.

        Args:
            neutral: (B, V, 3) float, millimeters, or None.

        Returns:
            (B, V, 3) float, millimeters.
        """
        if neutral is None:
            raise MissingNeutral(
                f"{self.name} builds on the subject's neutral mesh and none was given",
                remedy="pass the neutral of the same subject; commands: an option that ends in neutral",
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

    def check_calibrated(self, label: str) -> None:
        """Raises if this model can make faces and :meth:`calibrate` never ran; ``label`` names it."""
        if type(self).decode is not FaceModel.decode:
            self.calibration.require(label)

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


def rows_of_people(names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Where training people stand among those that a model keeps codes of."""
    for name in names:
        if name not in known:
            raise UnknownName("training person", name, known)
    return [known.index(name) for name in names]


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
