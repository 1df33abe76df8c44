"""How state and vertices travel: one JSON head and one block of float32 behind it."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.viewer.session import History, Person, State, Take

# A name belongs to the first group that one of its words names; what is left moves the whole face.
GROUPS = (
    ("Brows", ("brow",)),
    ("Eyes", ("eye", "blink", "squint")),
    ("Cheeks and nose", ("cheek", "nose", "sneer")),
    ("Jaw", ("jaw", "chin")),
    ("Mouth", ("mouth", "lip", "smile", "grin", "dimple", "frown", "pucker", "kiss", "tongue")),
)
WHOLE = "Whole face"


def pack(head: Mapping[str, Any], arrays: Sequence[NDArray] = ()) -> bytes:
    """``u32`` length of the JSON, the JSON padded with spaces to a multiple of 4, float32 arrays.

    Args:
        head: JSON-ready.
        arrays: Any shape. Written one after the other, little-endian float32.
    """
    text = json.dumps(head, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *(_bytes(array) for array in arrays)])


def _bytes(array: NDArray) -> bytes:
    return np.ascontiguousarray(array, "<f4").tobytes()


def unpack(data: bytes) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """The JSON, and all numbers (n,) float32, of what :func:`pack` made."""
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length]), np.frombuffer(data, "<f4", offset=4 + length)


def person_json(person: Person) -> dict[str, Any]:
    """What the page knows of a person: no vertices."""
    return {
        "key": person.key, "name": person.name, "kind": person.kind, "note": person.note, "rest": person.rest,
        "foreign": person.foreign, "shapes": 0 if person.rig is None else len(person.rig.names),
    }  # fmt: skip


def take_json(take: Take) -> dict[str, Any]:
    """A recording as the time line draws it: how much goes on, at up to 240 moments."""
    strength = np.abs(take.weights).sum(axis=1)
    at = np.linspace(0, len(strength) - 1, min(len(strength), 240)).round().astype(int)
    drawn = strength[at] / max(float(strength.max(initial=0.0)), 1e-9)
    return {
        "name": take.name, "frames": len(strength), "notes": list(take.notes),
        "drawn": drawn.round(3).tolist(),
    }  # fmt: skip


def state_json(history: History) -> dict[str, Any]:
    """The state as the page shows it."""
    state: State = history.state
    return {
        "revision": history.revision, "undo": history.can_undo, "redo": history.can_redo,
        "people": [person_json(person) for person in state.people], "person": state.person,
        "pose": dict(state.pose), "identity": state.deviations().tolist(), "intensity": state.intensity,
        "sizes": dict(state.sizes), "own": state.own, "detail": state.detail, "mesh": state.mesh,
        "performer": state.performer,
        "style": state.style, "variation": state.variation, "heat": state.heat, "shown": list(state.shown),
        "models": list(state.models), "names": list(state.expressions),
        "moves": [
            {"pose": dict(m.pose), "onset": m.onset, "apex": m.apex, "offset": m.offset} for m in state.moves
        ],
        "take": None if state.take is None else take_json(state.take), "duration": state.duration,
        "fps": state.fps,
    }  # fmt: skip


def spoken(name: str) -> str:
    """``mouth_left`` and ``mouthLeft`` -> ``Mouth left``."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name.replace("_", " ")).lower()
    return words[:1].upper() + words[1:]


def grouped(expressions: Sequence[str]) -> list[dict[str, Any]]:
    """Expression sliders by the part of the face that they move, each with its name for people."""
    titles = [title for title, _ in GROUPS]
    groups: dict[str, list[dict[str, str]]] = {title: [] for title in [*titles, WHOLE]}
    for name in expressions:
        label = spoken(name)
        groups[_group(label.lower().split())].append({"name": name, "label": label})
    return [{"title": title, "sliders": sliders} for title, sliders in groups.items() if sliders]


def _group(words: Sequence[str]) -> str:
    """The group of the first word that names one: a cheek squints with the cheeks."""
    for word in words:
        for title, parts in GROUPS:
            if any(part in word for part in parts):
                return title
    return WHOLE
