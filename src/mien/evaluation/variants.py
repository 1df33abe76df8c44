"""Whether the variants of "identity consistency" that papers print rank systems alike.

Papers call five different quantities a disentanglement error (docs/metrics.md). A system that is first in one
may be last in another, so a comparison means little before it says which one it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import kendalltau, rankdata

from mien.evaluation.rows import Row
from mien.evaluation.table_cells import DASH
from mien.evaluation.tables import Table

VARIANTS = (
    "id_mad", "id_std_pooled", "id_std_vertex", "id_std_mesh", "id_std_avd", "decomposition_id_mad",
    "decomposition_id_std_avd",
)  # fmt: skip
LEAST = 3  # systems, below which an order says nothing


def variant_table(rows: Sequence[Row]) -> Table | None:
    """The place of every model in each variant, and how far each order agrees with the first one's.

    Args:
        rows: Of one report.

    Returns:
        The table; None with fewer than three models that have all variants.
    """
    values: dict[str, dict[str, float]] = {row.metric: {} for row in rows if row.metric in VARIANTS}
    for row in rows:
        if row.metric in VARIANTS and row.kind == "model" and row.mean is not None:
            values[row.metric][row.system] = row.mean
    shown = [variant for variant in VARIANTS if variant in values]
    systems = [name for name in dict.fromkeys(row.system for row in rows)
               if shown and all(name in values[variant] for variant in shown)]  # fmt: skip
    if len(systems) < LEAST or len(shown) < 2:
        return None
    found = np.array([[values[variant][name] for name in systems] for variant in shown])
    places = np.array([rankdata(line, method="min") for line in found]).astype(int)
    agreement = [float(kendalltau(found[0], line).statistic) for line in found]
    lines = [(name, *(str(place) for place in places[:, k])) for k, name in enumerate(systems)]
    told = [DASH, *(f"{value:.2f}" for value in agreement[1:])]
    note = (
        f"Place of {len(systems)} models in each variant, 1 the most consistent. Last line: Kendall's tau of "
        f"the order with that of {shown[0]}; 1 is the same order, 0 an unrelated one."
    )
    header = ("system", *shown)
    return Table(
        "Variants of identity consistency", note, header, (*lines, ("*agreement with the first*", *told))
    )
