"""Where the networks see their points on Mien's own template, measured beforehand.

Measuring takes looks at nine faces, a quarter of the time to a first rig on a machine that has no other
template. ``tools/shipped_points.py`` measures. Other templates, and other networks, are measured when they
are first used.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mien.find.known_points import KnownPoints
from mien.topology import Arrays, Topology

FILE = Path(__file__).with_name("shipped_points.json")
_DIGITS = 4


def shipped_points(topology: Topology) -> Arrays | None:
    """What :meth:`mien.find.known_points.KnownPoints.arrays` gives, for the template that it was measured on.

    Args:
        topology: Any; all but one have none.

    Returns:
        Name -> array: (K,) and (K, 3), millimeters where they are lengths; or None.
    """
    found = _read()
    if topology.fingerprint != found["topology"]:
        return None
    corners = np.array(found["corners"], np.int64)
    weights = np.array(found["weights"], np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    template = np.einsum("kc,kcx->kx", weights, topology.template[corners].astype(np.float64))
    known = KnownPoints(np.array(found["numbers"], np.int64), corners, weights, template)
    return known.arrays(found["networks"])


def as_text(known: KnownPoints, topology: Topology, version: str) -> str:
    """The file's text.

    Args:
        known: What was measured.
        topology: On which template.
        version: What tells the networks.
    """
    rows = {
        "numbers": known.numbers.tolist(), "corners": known.corners.tolist(),
        "weights": np.round(known.weights, _DIGITS).tolist(),
    }  # fmt: skip
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in rows.items()]
    head = [f' "topology": {json.dumps(topology.fingerprint)}', f' "networks": {json.dumps(version)}']
    return "{\n" + ",\n".join(head + lines) + "\n}\n"


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
