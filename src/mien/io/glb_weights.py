"""Weights of morph targets in a changed glTF file: at rest and over time, for the new number of targets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.io.glb import names_of
from mien.io.glb_edit import Edit
from mien.io.gltf_nodes import shown_meshes

_POINTER = "KHR_animation_pointer"


def pad_weights(edit: Edit, before: Mapping[int, int]) -> None:
    """Adds zeros for new targets to the weights of nodes and to animations of weights.

    Args:
        edit: The file, its meshes already with their new targets.
        before: Mesh -> its number of targets in the file as it came.
    """
    after = {number: len(names_of(mesh)) for number, mesh in enumerate(edit.json["meshes"])}
    for node in edit.json.get("nodes") or []:
        if node.get("weights"):
            node["weights"] += [0.0] * (after[node["mesh"]] - len(node["weights"]))
    for animation in edit.json.get("animations") or []:
        uses = Counter(channel["sampler"] for channel in animation["channels"])
        padded: dict[tuple[int, int], int] = {}
        for channel, mesh in _weight_channels(edit.json, animation):
            if after[mesh] == before[mesh]:
                continue
            key = channel["sampler"], after[mesh]
            if key not in padded:
                padded[key] = _pad_sampler(
                    edit, animation["samplers"], key[0], before[mesh], after[mesh], alone=uses[key[0]] == 1
                )
            channel["sampler"] = padded[key]


def _weight_channels(
    document: dict[str, Any], animation: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], int]]:
    """(channel, mesh) of the channels that set all weights of a mesh at once."""
    nodes = document.get("nodes") or []
    for channel in animation["channels"]:
        target = channel["target"]
        pointer = ((target.get("extensions") or {}).get(_POINTER) or {}).get("pointer", "")
        found = re.fullmatch(r"/(nodes|meshes)/(\d+)/weights", pointer)
        if found and found[1] == "meshes":
            yield channel, int(found[2])
            continue
        node = int(found[2]) if found else target.get("node") if target.get("path") == "weights" else None
        if node is not None and "mesh" in nodes[node]:
            yield channel, nodes[node]["mesh"]


def _pad_sampler(
    edit: Edit, samplers: list[dict[str, Any]], number: int, before: int, after: int, *, alone: bool
) -> int:
    """The number of the sampler with zeros added: the same, unless other channels need it as it was."""
    sampler = samplers[number]
    values = edit.document.accessor(sampler["output"]).reshape(-1, before)
    wide = np.hstack([values, np.zeros((len(values), after - before))])
    padded = sampler | {"output": edit.buffer.add(wide.reshape(-1, 1), "SCALAR", vertices=False)}
    if alone:
        samplers[number] = padded
        return number
    samplers.append(padded)
    return len(samplers) - 1


def add_clip(edit: Edit, clip: NDArray, names: Sequence[str], fps: float) -> None:
    """Appends an animation of weights; targets that it does not name keep their resting weight.

    Args:
        edit: The file, its meshes already with their new targets.
        clip: (T, E) float, weights over time.
        names: E names of targets.
        fps: Frames per second.
    """
    times: int | None = None
    animation: dict[str, Any] = {
        "name": _free_name(edit.json), "samplers": [], "channels": [], "extras": {"fps": float(fps)},
    }  # fmt: skip
    for place in shown_meshes(edit.document):
        node = edit.json["nodes"][place.node]
        mesh = edit.json["meshes"][node["mesh"]]
        known = names_of(mesh)
        if not set(known) & set(names):
            continue
        rest = node.get("weights") or mesh.get("weights") or [0.0] * len(known)
        weights = np.tile(np.asarray(rest, np.float64), (len(clip), 1))
        for column, name in enumerate(names):
            if name in known:
                weights[:, known.index(name)] = clip[:, column]
        if times is None:
            steps = np.arange(len(clip))[:, None] / fps
            times = edit.buffer.add(steps, "SCALAR", bounds=True, vertices=False)
        output = edit.buffer.add(weights.reshape(-1, 1), "SCALAR", vertices=False)
        animation["samplers"].append({"input": times, "output": output, "interpolation": "LINEAR"})
        target = {"node": place.node, "path": "weights"}
        animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})
    if animation["channels"]:
        edit.json.setdefault("animations", []).append(animation)


def _free_name(document: dict[str, Any]) -> str:
    """``performance``, or with a number where the file has an animation of that name."""
    used = {str(item.get("name")) for item in document.get("animations") or []}
    names = ["performance", *(f"performance_{number}" for number in range(2, len(used) + 3))]
    return next(name for name in names if name not in used)
