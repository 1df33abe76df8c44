"""What the studio shows, as one immutable value, and its history. No model and no browser in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.data.motion import timing_curve
from mien.errors import BadSetting, UnknownName

if TYPE_CHECKING:
    from mien.apply import OpenedFace
    from mien.data.head_rigs import HeadRig

Pose = Mapping[str, float]

STEPS_KEPT = 200  # of the history; a state shares its meshes with its neighbors, so steps are small
KINDS = ("average", "random", "training", "loaded")


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody who can be picked.

    Args:
        key: Short and unique; what the page calls this person.
        name: Shown below the picture.
        kind: One of :data:`KINDS`.
        seed: Of a random person.
        vertices: (V, 3) float32, millimeters, of a training person at rest or a loaded head as it came.
        note: What was decided when the head was read: unit, axes, distances.
        face: A loaded head as it was opened; results go back to its mesh through it.
        rest: Key of the loaded head that shows the same person at rest, for models that build on it.
        rig: The named shapes that a loaded head brought, or None.
    """

    key: str
    name: str
    kind: str
    seed: int = 0
    vertices: NDArray[np.float32] | None = None
    note: str = ""
    face: OpenedFace | None = None
    rest: str | None = None
    rig: HeadRig | None = None

    @property
    def foreign(self) -> bool:
        """Whether the head's file has a topology of its own, onto which results are carried."""
        return self.face is not None and self.face.registered


@dataclass(frozen=True)
class Move:
    """One expression on the time line: it rises from onset to apex and is gone at offset.

    Args:
        pose: Named weights at the apex.
        onset: Second at which the face leaves neutral.
        apex: Second of full intensity.
        offset: Second at which it is neutral again.
    """

    pose: Pose
    onset: float
    apex: float
    offset: float


@dataclass(frozen=True, eq=False)
class Take:
    """A recorded performance that the time line plays from its start.

    Args:
        name: Of the file.
        weights: (T, E) float32 at the frame rate of the state.
        notes: What was decided when it was read.
    """

    name: str
    weights: NDArray[np.float32]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class State:
    """Everything that undo brings back.

    Args:
        expressions: E names that the sliders have.
        axes: Number of identity sliders.
        people: Who can be picked, in order.
        person: Key of the person shown.
        pose: Named weights that are not zero.
        sizes: Name -> factor of how far an expression moves, where it is not 1.
        identity: Standard deviations along the identity sliders.
        intensity: 0 is the person at rest, 1 the expression as it is, more exaggerates.
        own: A loaded head shows its own expression below the sliders; otherwise it starts at rest.
        detail: A loaded head keeps what the model's codes cannot hold.
        mesh: A head of a topology of its own is shown as its own mesh, not as the model's.
        performer: Key of the loaded head whose expression the person wears, or None.
        style: Key of the person in whose style the sliders are performed, or None.
        variation: Seed of a model's further factors (noise); 0 takes its default.
        heat: ``none``, or what vertex distances are colored: ``scan``, ``rest`` or ``models``.
        models: Numbers of the models that can be shown.
        shown: Numbers of the models side by side.
        moves: The time line.
        take: A recorded performance under the moves, or None.
        duration: Seconds of the clip.
        fps: Frames per second of the clip.
    """

    expressions: tuple[str, ...]
    axes: int
    people: tuple[Person, ...]
    person: str
    pose: Pose = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    identity: tuple[float, ...] = ()
    intensity: float = 1.0
    own: bool = True
    detail: bool = True
    mesh: bool = True
    performer: str | None = None
    style: str | None = None
    variation: int = 0
    heat: str = "none"
    models: tuple[int, ...] = (0,)
    shown: tuple[int, ...] = (0,)
    moves: tuple[Move, ...] = ()
    take: Take | None = None
    duration: float = 3.0
    fps: float = 30.0

    def find(self, key: str) -> Person:
        """The person of a key."""
        for person in self.people:
            if person.key == key:
                return person
        raise UnknownName("person", key, [person.key for person in self.people])

    @property
    def somebody(self) -> Person:
        """The person shown."""
        return self.find(self.person)

    def deviations(self) -> NDArray[np.float32]:
        """(axes,) float: where the identity sliders stand."""
        values = np.zeros(self.axes, np.float32)
        values[: len(self.identity)] = self.identity
        return values

    def weights(self, pose: Pose | None = None) -> NDArray[np.float32]:
        """(E,) named weights of a pose, the shown one by default."""
        pose = self.pose if pose is None else pose
        return np.array([pose.get(name, 0.0) for name in self.expressions], np.float32)

    def sized(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., E) weights times the sizes of their expressions.

        Args:
            weights: (..., E) float.
        """
        return weights * np.array([self.sizes.get(name, 1.0) for name in self.expressions], np.float32)

    @property
    def moving(self) -> bool:
        """Whether the time line holds anything."""
        return bool(self.moves) or self.take is not None

    def curves(self) -> NDArray[np.float32]:
        """(T, E) weights over time: the recording and all moves, added up."""
        frames = round(self.duration * self.fps) + 1
        total = np.zeros((frames, len(self.expressions)), np.float32)
        if self.take is not None:
            played = self.take.weights[:frames]
            total[: len(played)] += played
        for move in self.moves:
            rise = timing_curve(move.onset, move.apex, move.offset, self.duration, self.fps)
            total += rise[:frames, None] * self.weights(move.pose)
        return total


Change = Callable[[State], State]


class History:
    """A state with undo and redo. What is dragged is one step, however many values it passes.

    Args:
        state: The first state.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.revision = 0
        self._past: list[State] = []
        self._future: list[State] = []
        self._merging = ""

    def do(self, change: Change, merge: str = "") -> State:
        """Applies a change.

        Args:
            change: A pure function; if it raises nothing has happened.
            merge: Changes in a row with the same non-empty name are one step of the history.
        """
        new = change(self.state)
        if new is self.state:
            return new
        if not merge or merge != self._merging:
            self._past = [*self._past, self.state][-STEPS_KEPT:]
        self._future.clear()
        self._merging = merge
        return self._show(new)

    def undo(self) -> State:
        """One step back, if there is one."""
        if not self._past:
            return self.state
        self._future.append(self.state)
        self._merging = ""
        return self._show(self._past.pop())

    def redo(self) -> State:
        """One step forward again, if there is one."""
        if not self._future:
            return self.state
        self._past.append(self.state)
        self._merging = ""
        return self._show(self._future.pop())

    def _show(self, state: State) -> State:
        self.state = state
        self.revision += 1
        return state

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._future)


def finite(value: Any, what: str, low: float, high: float) -> float:
    """A finite number, clamped to a range; anything else is refused."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise BadSetting(f"{what} must be a number", received=repr(value)) from error
    if not np.isfinite(number):
        raise BadSetting(f"{what} must be finite", received=repr(value))
    return min(max(number, low), high)
