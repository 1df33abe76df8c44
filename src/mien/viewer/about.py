"""What a page is told once: models, sliders, colors. The studio and shared pages add what they can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mien.figures.heat import color_table
from mien.viewer.engine import Engine
from mien.viewer.wire import grouped

SHOWN_DEVIATIONS = 3.0  # what the identity sliders reach


def about(engines: Sequence[Engine], expressions: Sequence[str] | None = None) -> dict[str, Any]:
    """JSON-ready facts; the first engine's expressions and identity axes are the sliders.

    Args:
        engines: The models.
        expressions: Names of the sliders, where further models have brought some.
    """
    first = engines[0]
    return {
        "models": [
            {"label": engine.label, "method": engine.model.name, "anchored": engine.model.anchored}
            for engine in engines
        ],
        "topology": first.model.topology.name, "vertices": first.model.topology.vertex_count,
        "groups": grouped(first.model.expressions if expressions is None else expressions),
        "axes": [
            {"name": name, "millimeters": round(float(size), 2)}
            for name, size in zip(first.axes.names, first.axes.millimeters)
        ],
        "axes_reason": first.axes.reason, "deviations": SHOWN_DEVIATIONS,
        "heat_colors": color_table(256).tolist(),
    }  # fmt: skip
