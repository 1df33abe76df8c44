"""A model at the studio's service: from a state to vertices. What is slow is kept by person."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import apply
from mien.apply.door import Faces, decoded, verb
from mien.codes import Codes
from mien.errors import MissingNeutral
from mien.models.base import FaceModel
from mien.viewer.axes import IdentityAxes, identity_axes
from mien.viewer.session import Person, State


class Engine:
    """Turns states into faces with one model.

    Args:
        label: What the page calls the model.
        model: In evaluation mode, on the device that it should use.
    """

    def __init__(self, label: str, model: FaceModel) -> None:
        self.label = label
        self.model = model.eval()
        self._codes: dict[tuple[str, str | None], Codes] = {}
        self._lost: dict[tuple[str, str | None], NDArray[np.float32]] = {}
        self._neutral: tuple[object, Faces] | None = None

    @cached_property
    def axes(self) -> IdentityAxes:
        """The identity sliders."""
        return identity_axes(self.model)

    @cached_property
    def still(self) -> Tensor:
        """(1, *X) the expression code of all-zero weights."""
        with torch.no_grad():
            return self.model.express(torch.zeros(1, len(self.model.expressions), device=self.model.device))

    def face(self, state: State, *, detail: bool | None = None) -> Faces:
        """(V, 3) float32, millimeters: what a state shows.

        Args:
            state: Of the session.
            detail: Overrides the state's wish to keep what codes cannot hold.
        """
        weights = self._weights(state)[None]
        return self._faces(state, weights, state.detail if detail is None else detail)[0]

    def rest(self, state: State) -> Faces:
        """(V, 3) float32, millimeters: the person as picked, without any expression put on."""
        return self.face(replace(state, pose={}, performer=None, intensity=1.0))

    def neutral(self, state: State) -> Faces:
        """(V, 3) float32, millimeters: the person at rest; kept until somebody else is shown."""
        person = state.somebody
        who = person.key, person.rest, state.identity, state.detail, state.variation
        if self._neutral is None or self._neutral[0] != who:
            plain = replace(state, pose={}, performer=None, own=False, intensity=1.0)
            self._neutral = who, self.face(plain)
        return self._neutral[1]

    def clip(self, state: State) -> Faces:
        """(T, V, 3) float32, millimeters: the time line."""
        curves = state.curves()
        known = self._columns(state)
        return self._faces(state, curves[:, known], state.detail, motion=True)

    def codes(self, state: State, person: Person) -> Codes:
        """(1, ...) codes of somebody, without the sliders."""
        key = (person.key, person.rest)
        if key not in self._codes:
            self._codes[key] = self._find(state, person)
        return self._codes[key]

    def _find(self, state: State, person: Person) -> Codes:
        if person.vertices is not None:
            rest = person if person.rest is None else state.find(person.rest)
            return apply.codes_of(self.model, person.vertices, rest.vertices)
        with torch.no_grad():
            if person.kind == "random":
                drawn = self.model.sample(1, generator=torch.Generator().manual_seed(person.seed))
                return drawn.replace(expression=self.still)
            return self.model.origin(1).replace(expression=self.still)

    def _columns(self, state: State) -> list[int]:
        """Columns of the state's weights that this model knows, in the order of its own expressions."""
        return [state.expressions.index(name) for name in self.model.expressions if name in state.expressions]

    def _weights(self, state: State) -> NDArray[np.float32]:
        return state.weights()[self._columns(state)]

    def _faces(self, state: State, weights: NDArray, detail: bool, motion: bool = False) -> Faces:
        """(N, V, 3) faces of (N, E) weights: poses, or the frames of one motion."""
        person = state.somebody
        own = self.codes(state, person)
        base = self._base(state, person, own)
        codes = self._posed(state, own, base, weights, motion)
        faces = _decoded(self.model, codes)
        if detail and person.vertices is not None:
            faces = faces + self._detail(state, person, own)
        return faces

    def _base(self, state: State, person: Person, own: Codes) -> Tensor:
        """(1, *X) the expression code below the sliders."""
        if state.performer is not None:
            performer = state.find(state.performer)
            if self.model.anchored and performer.rest is None:
                raise MissingNeutral(
                    f"{self.label} takes an expression as a change from the performer's rest",
                    received=f"no head of {performer.name!r} at rest",
                    remedy="load one and choose it on the left",
                )  # fmt: skip
            return self.codes(state, performer).expression
        # A loaded head that is taken to rest keeps its identity only.
        return self.still if person.kind == "loaded" and not state.own else own.expression

    def _posed(self, state: State, own: Codes, base: Tensor, weights: NDArray, motion: bool) -> Codes:
        count = len(weights)
        codes = own.replace(identity=self._identity(state, own), expression=base)
        if state.variation and own.others:
            codes = codes.replace(**self._varied(state.variation))
        codes = codes[torch.zeros(count, dtype=torch.long)]
        if np.any(weights) or motion:
            asked = torch.from_numpy(np.ascontiguousarray(weights, np.float32)).to(self.model.device)
            with torch.no_grad():
                expression = self.model.express(asked[None])[0] if motion else self.model.express(asked)
            codes = codes.replace(expression=base + (expression - self.still))
        if state.intensity == 1:
            return codes
        rest = codes.replace(expression=self.still.expand(count, *self.still.shape[1:]))
        return self.model.mix(rest, codes, state.intensity)

    def _identity(self, state: State, own: Codes) -> Tensor:
        deviations = state.deviations()[: len(self.axes)] if np.any(state.identity) else np.zeros(0)
        if not len(deviations) or not len(self.axes):
            return own.identity
        padded = np.zeros(len(self.axes), np.float32)
        padded[: len(deviations)] = deviations
        return own.identity + self.axes.offset(padded, own.identity)

    def _varied(self, seed: int) -> dict[str, Tensor]:
        with torch.no_grad():
            return dict(self.model.sample(1, generator=torch.Generator().manual_seed(seed)).others)

    def _detail(self, state: State, person: Person, own: Codes) -> NDArray[np.float32]:
        """(V, 3) what the codes of a head cannot hold, millimeters."""
        key = (person.key, person.rest)
        if key not in self._lost:
            self._lost[key] = np.asarray(person.vertices) - _decoded(self.model, own)[0]
        return self._lost[key]


@verb
def _decoded(model: FaceModel, codes: Codes) -> Faces:
    return decoded(model, codes)
