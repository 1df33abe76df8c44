"""One self-contained page to send: a few people with named sliders, and nothing to install or to ask."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.io.atomic import write_bytes
from mien.io.materials import Picture
from mien.progress import track
from mien.viewer.about import about
from mien.viewer.appearance import appearance_of
from mien.viewer.engine import Engine
from mien.viewer.materials import WORN, address, paint
from mien.viewer.page import page
from mien.viewer.people import first_people
from mien.viewer.session import Person, State
from mien.viewer.uploads import MEGABYTE
from mien.viewer.wire import person_json

POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
MOST_BYTES = 40 * MEGABYTE  # of rigs before packing: mail and chat take what comes of it
STEPS = 32767  # of an int16 either side of zero


@dataclass(frozen=True)
class Shared:
    """What was written.

    Args:
        path: The page.
        people: How many people it holds.
        megabytes: Its size.
        linearity_mm: Mean vertex distance between sums of targets, as the page shows them, and the model.
    """

    path: Path
    people: int
    megabytes: float
    linearity_mm: float


def share(
    path: Path | str, engine: Engine, *, heads: Sequence[Person] = (), data: FaceDataset | None = None,
    people: int = 8, title: str = "",
) -> Shared:  # fmt: skip
    """Writes the page: each person's rest pose and their own targets, and the identity sliders.

    Targets are kept as int16 steps of at most a 32,767th of the largest displacement: below a thousandth of a
    millimeter for faces.

    Args:
        path: The ``.html`` file; it appears whole or not at all.
        engine: The model.
        heads: Loaded heads; they come first.
        data: A data set whose training people join, or None.
        people: The most people.
        title: Of the page; the model's label by default.
    """
    model, cast = engine.model, [*heads, *first_people(engine.model, data)][:people]
    size = (len(cast) * (len(model.expressions) + 1) + len(engine.axes)) * model.topology.vertex_count * 6
    if size > MOST_BYTES:
        raise BadSetting(
            "the page would be too large to be sent", received=f"{size / MEGABYTE:.0f} MB of targets",
            remedy="share fewer people (--people), or a model of fewer vertices or expressions",
        )  # fmt: skip
    state = State(model.expressions, len(engine.axes), tuple(cast), cast[0].key)
    arrays: dict[str, NDArray] = {}
    for person in track(cast, "rigs of people"):
        rig = engine.rig(replace(state, person=person.key))
        arrays |= {f"base {person.key}": rig.base, f"targets {person.key}": rig.targets - rig.base}
    linearity = _linearity(engine, state, arrays)
    payload = _payload(engine, cast, arrays, linearity)
    body = f'<script type="text/plain" id="payload">{base64.b64encode(payload).decode()}</script>'
    text = page(title or engine.label, policy=POLICY, scripts=("offline.js",), body=body).encode()
    write_bytes(Path(path), text)
    return Shared(Path(path), len(cast), len(text) / MEGABYTE, linearity)


def _linearity(engine: Engine, state: State, arrays: dict[str, NDArray]) -> float:
    """Mean vertex distance, millimeters, of two expressions added up from what the model makes."""
    names = state.expressions
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(6 if len(names) > 1 else 0):
        pair = generator.choice(len(names), 2, replace=False)
        pose = {names[k]: 0.7 for k in pair}
        summed = arrays[f"base {state.person}"] + 0.7 * arrays[f"targets {state.person}"][pair].sum(axis=0)
        errors.append(np.linalg.norm(engine.face(replace(state, pose=pose)) - summed, axis=1).mean())
    return float(np.mean(errors)) if errors else 0.0


def _payload(engine: Engine, cast: Sequence[Person], arrays: dict[str, NDArray], linearity: float) -> bytes:
    """The packed JSON and arrays of the page."""
    topology = engine.model.topology
    drawn, layout = appearance_of(topology)
    kept = (
        dict(zip(("faces", "template", "colors", "shade"), drawn)) | {"identity": engine.axes.fields} | arrays
    )
    worn: dict[str, Any] = {"parts": [], "pictures": {}}
    if engine.model.makes_textures:
        extra, layout_worn = paint(topology, WORN)
        kept |= dict(zip(("map", "corners", "tints", "uv"), extra))
        worn = {"parts": layout_worn["parts"], "pictures": _pictures(engine, cast)}
    kinds: dict[str, Any] = {}
    blocks: list[bytes] = []
    for name, array in kept.items():
        kinds[name], block = _block(name, array)
        kinds[name]["at"] = sum(map(len, blocks))
        blocks.append(block)
    exact = (
        f"sums of targets, {linearity:.2f} mm from the model" if linearity > 0.005 else "exactly the model"
    )
    head = {
        **about([engine]), "arrays": kinds, "names": list(engine.model.expressions), "eyes": layout["eyes"],
        "mouth": layout["mouth"], "people": [person_json(person) for person in cast], "topology": exact,
        "limit": 0, **worn,
        "can": {
            "load": False, "random": False, "styles": False, "varied": False,
            "heats": ["none", *(["texture"] if worn["parts"] else []), "rest"],
            "exports": [["obj", "Face as OBJ", "millimeters, vertex order of the model"]],
        },
    }  # fmt: skip
    text = json.dumps(head, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return gzip.compress(struct.pack("<I", len(text)) + text + b"".join(blocks), 9, mtime=0)


def _pictures(engine: Engine, cast: Sequence[Person]) -> dict[str, str]:
    """The texture that the model makes for each person, by key."""
    state = State(engine.model.expressions, len(engine.axes), tuple(cast), cast[0].key)
    made = {person.key: engine.picture(replace(state, person=person.key)) for person in cast}
    return {key: address(Picture(key, data, "image/png")) for key, data in made.items()}


def _block(name: str, array: NDArray) -> tuple[dict[str, Any], bytes]:
    """How an array is kept, and its bytes, padded to four: indices, places, and small steps for fields."""
    if name in ("faces", "map", "corners"):
        kind, unit, values = "u4", 1.0, array.astype("<u4")
    elif name == "identity" or name.startswith("targets "):
        unit = max(float(np.abs(array).max(initial=0.0)), 1e-6) / STEPS
        kind, values = "i2", np.round(array / unit).astype("<i2")
    else:
        kind, unit, values = "f4", 1.0, array.astype("<f4")
    data = np.ascontiguousarray(values).tobytes()
    return {"kind": kind, "size": int(array.size), "unit": unit}, data + b"\0" * (-len(data) % 4)
