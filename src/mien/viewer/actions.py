"""What a person can do in the studio: pure functions from one state to the next, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mien.errors import BadSetting, UnknownName
from mien.viewer.session import Move, Person, State, Take, finite

WEIGHTS = (-1.0, 2.0)
DEVIATIONS = (-4.0, 4.0)
INTENSITIES = (0.0, 2.0)
SIZES = (0.0, 3.0)
LONGEST_CLIP = 60.0  # seconds
SHORTEST_RISE = 0.05  # seconds between onset, apex and offset: one frame and a half at 30 a second
MOST_MOVES = 32
HEATS = ("none", "texture", "scan", "rest", "leak", "models")


def set_weight(state: State, name: str, value: Any) -> State:
    """Moves one expression slider."""
    if name not in state.expressions:
        raise UnknownName("expression", str(name), state.expressions)
    pose = {key: weight for key, weight in state.pose.items() if key != name}
    number = finite(value, f"the weight of {name!r}", *WEIGHTS)
    return replace(state, pose=pose | {name: number} if number else pose)


def set_pose(state: State, pose: Mapping[str, Any]) -> State:
    """Sets all expression sliders; names that are not given go to zero."""
    return replace(state, pose=_pose(state, pose))


def _pose(state: State, pose: Mapping[str, Any]) -> dict[str, float]:
    made = replace(state, pose={})
    if not isinstance(pose, Mapping):
        raise BadSetting("a pose maps names to weights", received=repr(pose))
    for name, value in pose.items():
        made = set_weight(made, name, value)
    return dict(made.pose)


def set_size(state: State, name: str, value: Any) -> State:
    """How far one expression moves at full weight, as a factor."""
    if name not in state.expressions:
        raise UnknownName("expression", str(name), state.expressions)
    factor = finite(value, f"the size of {name!r}", *SIZES)
    sizes = {key: size for key, size in state.sizes.items() if key != name}
    return replace(state, sizes=sizes | {name: factor} if factor != 1 else sizes)


def set_sizes(state: State, sizes: Mapping[str, Any]) -> State:
    """Sets the sizes of all expressions; names that are not given move as the model has them."""
    if not isinstance(sizes, Mapping):
        raise BadSetting("sizes map names to factors", received=repr(sizes)[:80])
    made = replace(state, sizes={})
    for name, value in sizes.items():
        made = set_size(made, name, value)
        if made.sizes.get(name, 1.0) != float(value):
            raise BadSetting(f"a size lies between {SIZES[0]:g} and {SIZES[1]:g}", received=f"{name} {value}")
    return made


def set_identity(state: State, axis: Any, value: Any) -> State:
    """Moves one identity slider, in standard deviations."""
    if not isinstance(axis, int) or not 0 <= axis < state.axes:
        raise BadSetting(f"identity sliders are numbered 0 to {state.axes - 1}", received=repr(axis))
    values = state.deviations()
    values[axis] = finite(value, "an identity slider", *DEVIATIONS)
    return replace(state, identity=tuple(values.tolist()))


def reset_identity(state: State) -> State:
    """All identity sliders to zero."""
    return replace(state, identity=())


def reset(state: State) -> State:
    """All sliders to zero and no borrowed expression: the person as picked."""
    return replace(state, pose={}, identity=(), intensity=1.0, performer=None, style=None, variation=0)


def set_intensity(state: State, value: Any) -> State:
    """How strongly the whole expression shows."""
    return replace(state, intensity=finite(value, "the intensity", *INTENSITIES))


def set_variation(state: State, seed: Any) -> State:
    """Another draw of a model's further factors."""
    return replace(state, variation=int(finite(seed, "the seed", 0, 2**31 - 1)))


def pick(state: State, key: str) -> State:
    """Shows another person. Expression sliders stay: the same face on somebody else."""
    person = state.find(key)
    if person.key == state.person:
        return state
    return replace(state, person=key, identity=(), heat=_fitting(state.heat, person))


def _fitting(heat: str, person: Person) -> str:
    """The heat map, if the person has one."""
    lacks = (heat == "scan" and person.kind != "loaded") or (heat == "leak" and not person.foreign)
    return "none" if lacks else heat


def add_person(state: State, person: Person) -> State:
    """Adds somebody and shows them, without what sliders had done to the one before."""
    return replace(
        state, people=(*state.people, person), person=person.key, identity=(), performer=None,
        heat=_fitting(state.heat, person),
        pose={} if person.kind == "loaded" else state.pose,
    )  # fmt: skip


def replace_person(state: State, key: str, person: Person) -> State:
    """Puts somebody in another's place: the same head, registered again."""
    old = state.find(key)
    kept = [replace(other, rest=person.key) if other.rest == key else other for other in state.people]
    people = tuple(person if other.key == old.key else other for other in kept)
    style = person.key if state.style == key else state.style
    return replace(state, people=people, person=person.key, style=style, identity=(), performer=None, pose={})


def add_random(state: State, seed: Any = None) -> State:
    """A new person who does not exist."""
    known = [person.seed for person in state.people if person.kind == "random"]
    chosen = max(known, default=0) + 1 if seed is None else int(finite(seed, "the seed", 0, 2**31 - 1))
    key = f"random-{chosen}"
    if any(person.key == key for person in state.people):
        return pick(state, key)
    return add_person(state, Person(key, f"New {chosen}", "random", seed=chosen))


def remove_person(state: State, key: str) -> State:
    """Takes a loaded or random person off the list."""
    person = state.find(key)
    if person.kind not in ("loaded", "random"):
        raise BadSetting("only loaded and random people can be removed", received=person.name)
    people = tuple(
        replace(other, rest=None) if other.rest == key else other
        for other in state.people
        if other.key != key
    )
    shown = people[0].key if state.person == key else state.person
    performer = None if state.performer == key else state.performer
    style = None if state.style == key else state.style
    heat = "none" if state.heat in ("scan", "leak") else state.heat
    return replace(state, people=people, person=shown, performer=performer, style=style, heat=heat)


def set_performer(state: State, key: str | None) -> State:
    """The person shown wears the expression of a loaded head; None gives it back."""
    if key is not None and state.find(key).vertices is None:
        raise BadSetting("expressions are borrowed from loaded heads", received=state.find(key).name)
    return replace(state, performer=key)


def set_style(state: State, key: str | None) -> State:
    """Whose way of performing the sliders take; None is the person's own."""
    if key is not None:
        state.find(key)
    return replace(state, style=key)


def set_rest(state: State, key: str, rest: str | None) -> State:
    """Says which loaded head shows the same person at rest."""
    if rest is not None:
        state.find(rest)
    state.find(key)
    people = tuple(replace(p, rest=rest) if p.key == key else p for p in state.people)
    return replace(state, people=people)


def set_own(state: State, value: Any) -> State:
    """Whether a loaded head shows its own expression or is taken to rest."""
    return replace(state, own=bool(value))


def set_detail(state: State, value: Any) -> State:
    """Whether a loaded head keeps what the model's codes cannot hold."""
    return replace(state, detail=bool(value))


def set_mesh(state: State, value: Any) -> State:
    """Whether a head of a topology of its own is shown as its own mesh."""
    return replace(state, mesh=bool(value))


def set_heat(state: State, kind: str) -> State:
    """What distances are shown as colors."""
    if kind not in HEATS:
        raise UnknownName("heat map", str(kind), HEATS)
    if kind == "scan" and state.somebody.kind != "loaded":
        raise BadSetting(
            "the error to the scan needs a loaded head", received=state.somebody.name,
            remedy="pick or load one first",
        )  # fmt: skip
    if kind == "leak" and not state.somebody.foreign:
        raise BadSetting(
            "motion far away is shown on a head with a mesh of its own", received=state.somebody.name,
            remedy="load one of another topology than the model's",
        )  # fmt: skip
    return replace(state, heat=kind)


def set_shown(state: State, models: Sequence[int]) -> State:
    """Which models stand side by side."""
    numbers = tuple(dict.fromkeys(int(number) for number in models))
    if not numbers:
        raise BadSetting("at least one model must be shown", received=0)
    heat = "none" if state.heat == "models" and len(numbers) < 2 else state.heat
    return replace(state, shown=numbers, heat=heat)


def add_model(state: State, number: int, names: Sequence[str]) -> State:
    """A further model beside the first one shown; names that no slider has yet get one.

    Args:
        state: Before.
        number: Of the model.
        names: Its E expressions.
    """
    new = tuple(name for name in names if name not in state.expressions)
    take = state.take
    if take is not None:
        take = replace(take, weights=np.pad(take.weights, ((0, 0), (0, len(new)))))
    return replace(
        state, expressions=(*state.expressions, *new), take=take, models=(*state.models, number),
        shown=(state.shown[0], number),
    )  # fmt: skip


def add_move(state: State, at: Any = 0.0, pose: Mapping[str, Any] | None = None) -> State:
    """Puts the shown pose, or a given one, onto the time line."""
    kept = dict(state.pose) if pose is None else _pose(state, pose)
    if not kept:
        raise BadSetting("move an expression slider first: a face at rest needs no time line")
    if len(state.moves) >= MOST_MOVES:
        raise BadSetting(f"a time line holds {MOST_MOVES} moves", received=len(state.moves))
    start = finite(at, "the time", 0.0, LONGEST_CLIP - 1.0)
    move = Move(kept, start, start + 0.4, start + 1.0)
    longer = max(state.duration, move.offset + 0.2)
    return replace(state, moves=(*state.moves, move), duration=round(longer, 2))


def set_move(state: State, index: Any, onset: Any, apex: Any, offset: Any) -> State:
    """Moves the handles of one move; they keep their order and stay inside the clip."""
    at = _index(state, index)
    gap, end = SHORTEST_RISE, state.duration
    first = finite(onset, "the onset", 0.0, end - 2 * gap)
    middle = finite(apex, "the apex", first + gap, end - gap)
    last = finite(offset, "the offset", middle + gap, end)
    move = replace(state.moves[at], onset=first, apex=middle, offset=last)
    return replace(state, moves=(*state.moves[:at], move, *state.moves[at + 1 :]))


def remove_move(state: State, index: Any) -> State:
    """Takes one move off the time line."""
    at = _index(state, index)
    return replace(state, moves=(*state.moves[:at], *state.moves[at + 1 :]))


def clear_moves(state: State) -> State:
    """Empties the time line."""
    return replace(state, moves=(), take=None)


def add_take(state: State, take: Take) -> State:
    """Puts a recording under the moves; the clip becomes as long as it is, up to the longest."""
    seconds = (len(take.weights) - 1) / state.fps
    if seconds < SHORTEST_RISE:
        raise BadSetting("a recording needs at least three frames", received=len(take.weights))
    return replace(state, take=take, duration=round(min(seconds, LONGEST_CLIP), 2))


def remove_take(state: State) -> State:
    """Takes the recording off the time line."""
    return replace(state, take=None)


def set_duration(state: State, seconds: Any) -> State:
    """Makes the clip longer or shorter; moves that do not fit end earlier."""
    length = finite(seconds, "the duration", 0.5, LONGEST_CLIP)
    made = replace(state, duration=length)
    for index, move in enumerate(made.moves):
        made = set_move(made, index, move.onset, move.apex, move.offset)
    return made


def _index(state: State, index: Any) -> int:
    if not isinstance(index, int) or not 0 <= index < len(state.moves):
        raise BadSetting(f"the time line has {len(state.moves)} moves", received=repr(index))
    return index


ACTIONS: Mapping[str, Callable[..., State]] = {
    action.__name__: action
    for action in (
        set_weight, set_pose, set_size, set_sizes, set_identity, reset_identity, reset, set_intensity,
        set_variation, pick, add_random, remove_person, set_performer, set_style, set_rest, set_own,
        set_detail, set_mesh, set_heat, set_shown, add_move, set_move, remove_move, clear_moves, remove_take,
        set_duration,
    )
}  # fmt: skip


def act(state: State, name: str, arguments: Mapping[str, Any]) -> State:
    """The state after a named action; wrong names and arguments are refused in one sentence."""
    if name not in ACTIONS:
        raise UnknownName("action", str(name), ACTIONS)
    try:
        return ACTIONS[name](state, **arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise BadSetting(f"{name} was given arguments that it does not take", received=str(error)) from error
