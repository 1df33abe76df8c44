"""A model at the studio's service: from a state to vertices. What is slow is kept by person."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import apply
from mien.apply.animation import motion_codes
from mien.apply.coding import Faces, decoded
from mien.codes import Codes
from mien.errors import MissingNeutral
from mien.io.gltf import png_bytes
from mien.models.base import FaceModel
from mien.viewer.axes import IdentityAxes, identity_axes
from mien.viewer.session import Person, State


class Engine:
    """Turns states into faces with one model.

    Args:
        label: What the page calls the model.
        model: In evaluation mode, on the device that it should use.
        lender: The first engine of the studio, for the models beside it: they show its people, encoded by
            themselves, and its identity sliders, so that what differs is the model.
    """

    def __init__(self, label: str, model: FaceModel, lender: Engine | None = None) -> None:
        self.label = label
        self.model = model.eval()
        self.lender = lender
        self._codes: dict[tuple[str, str | None], Codes] = {}
        self._lost: dict[tuple[str, str | None], NDArray[np.float32]] = {}
        self._neutral: tuple[object, Faces] | None = None

    @cached_property
    def axes(self) -> IdentityAxes:
        """The identity sliders."""
        return identity_axes(self.model) if self.lender is None else self.lender.axes

    @cached_property
    def still(self) -> Tensor:
        """(1, *X) the expression code of all-zero weights."""
        with torch.no_grad():
            return self.model.express(torch.zeros(1, len(self.model.expressions), device=self.model.device))

    @property
    def has_styles(self) -> bool:
        """Whether people can perform in the style of others."""
        return type(self.model).restyle is not FaceModel.restyle

    @cached_property
    def varies(self) -> bool:
        """Whether the model draws more than people and expressions: noise, so that takes differ."""
        if apply.refusal(type(self.model), "generate"):
            return False
        return bool(self.model.sample(1, generator=torch.Generator().manual_seed(0)).others)

    # ---- faces

    @torch.no_grad()
    def face(self, state: State, *, detail: bool | None = None) -> Faces:
        """(V, 3) float32, millimeters: what a state shows.

        Args:
            state: Of the session.
            detail: Overrides the state's wish to keep what codes cannot hold.
        """
        weights = self.known(state, state.weights()[None])
        expression = self.model.express(weights) if weights.any() else None
        return self._faces(state, expression, 1, state.detail if detail is None else detail)[0]

    @torch.no_grad()
    def clip(self, state: State) -> Faces:
        """(T, V, 3) float32, millimeters: the time line."""
        expression = motion_codes(self.model, self.known(state, state.curves()), state.fps)
        return self._faces(state, expression, len(expression), state.detail)

    def rest(self, state: State) -> Faces:
        """(V, 3) float32, millimeters: the person as picked, without any expression put on."""
        return self.face(replace(state, pose={}, performer=None, intensity=1.0))

    def rig(self, state: State) -> apply.Rig:
        """The person as picked, with a target for each expression: in this style and at this intensity.

        Targets have the model's own size; files are written with the state's, where lids and lips have met.
        """
        base, plain = self.rest(state), replace(state, performer=None, sizes={})
        still = self.face(replace(plain, pose={}))
        moved = [self.face(replace(plain, pose={name: 1.0})) - still for name in self.model.expressions]
        targets = np.stack([base + change for change in moved]) if moved else np.zeros((0, *base.shape), "f4")
        return apply.Rig(self.model.topology, base, targets, self.model.expressions)

    def neutral(self, state: State) -> Faces:
        """(V, 3) float32, millimeters: the person at rest; kept until somebody else is shown."""
        person = state.somebody
        who = person.key, person.rest, state.identity, state.detail, state.variation
        if self._neutral is None or self._neutral[0] != who:
            plain = replace(state, pose={}, performer=None, own=False, intensity=1.0)
            self._neutral = who, self.face(plain)
        return self._neutral[1]

    # ---- texture

    def picture_key(self, state: State) -> str:
        """What the texture depends on, so that the page asks for it only when it has changed."""
        person = state.somebody
        parts = self.label, person.key, person.rest, state.identity, state.variation
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @torch.no_grad()
    def picture(self, state: State) -> bytes:
        """The PNG of the texture that the model makes for the person shown, at rest."""
        plain = replace(state, pose={}, performer=None, own=False, intensity=1.0)
        return png_bytes(apply.texture(self.model, self._faces(plain, None, 1, False)[0])[0])

    # ---- codes

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
        if self.lender is not None:
            face = self.lender.neutral(replace(state, person=person.key, identity=(), variation=0))
            return apply.codes_of(self.model, face, face)
        if person.kind == "random":
            drawn = self.model.sample(1, generator=torch.Generator().manual_seed(person.seed))
            return drawn.replace(expression=self.still)
        return self.model.origin(1).replace(expression=self.still)

    def known(self, state: State, weights: NDArray[np.float32]) -> Tensor:
        """Weights, at the state's sizes, in the order of the model's own expressions; others stay zero.

        Args:
            state: What the columns of the weights are.
            weights: (N, M) float, one column for each expression of the state.

        Returns:
            (N, E) float32.
        """
        columns = [
            state.expressions.index(n) if n in state.expressions else -1 for n in self.model.expressions
        ]
        padded = np.pad(
            state.sized(weights), ((0, 0), (0, 1))
        )  # the last column is what the state does not know
        return torch.from_numpy(np.ascontiguousarray(padded[:, columns])).to(self.model.device)

    def _faces(self, state: State, expression: Tensor | None, count: int, detail: bool) -> Faces:
        """(N, V, 3) faces that add an expression (N, *X) to what the person shows without."""
        person = state.somebody
        own = self.codes(state, person)
        base = self._base(state, person, own)
        codes = own.replace(expression=base)
        if self.lender is None and self.axes.live and np.any(state.identity):
            offset = self.axes.code_offset(state.deviations(), own.identity)
            codes = codes.replace(identity=own.identity + offset)
        if state.variation and own.others:
            drawn = self.model.sample(1, generator=torch.Generator().manual_seed(state.variation))
            codes = codes.replace(**drawn.others)
        if state.style is not None and self.has_styles:
            codes = self.model.restyle(codes, self.codes(state, state.find(state.style)))
        codes = codes[torch.zeros(count, dtype=torch.long)]
        if expression is not None:
            codes = codes.replace(expression=base + (expression - self.still))
        if state.intensity != 1:
            rest = codes.replace(expression=self.still.expand(count, *self.still.shape[1:]))
            codes = self.model.mix(rest, codes, state.intensity)
        faces = decoded(self.model, codes)
        return faces + self._beyond_codes(state, person, own, detail)

    def _beyond_codes(self, state: State, person: Person, own: Codes, detail: bool) -> NDArray | float:
        """(V, 3) millimeters that no code carries: a scan's detail, and identity sliders of other models."""
        added: NDArray | float = 0.0
        if detail and person.vertices is not None:
            key = (person.key, person.rest)
            if key not in self._lost:
                self._lost[key] = np.asarray(person.vertices) - decoded(self.model, own)[0]
            added = self._lost[key]
        if np.any(state.identity) and not (self.lender is None and self.axes.live):
            added = added + self.axes.face_offset(state.deviations())
        return added

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
