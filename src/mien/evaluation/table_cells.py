"""How a row is printed in a cell."""

from __future__ import annotations

from collections.abc import Callable

from mien.evaluation.rows import Row

DASH = "–"
Column = tuple[str, str, Callable[[Row], str]]
"""A metric, the title of its column, and the form of its cells."""


def digits(value: float, like: float | None = None) -> str:
    """Millimeters: three decimals below 1, two above; ``like`` decides for numbers that stand together."""
    return f"{value:.3f}" if abs(value if like is None else like) < 1 else f"{value:.2f}"


def spread(row: Row) -> str:
    """mean ± std / median."""
    assert row.mean is not None and row.std is not None and row.median is not None
    return " ".join((digits(row.mean), "±", digits(row.std, row.mean), "/", digits(row.median, row.mean)))


def center(row: Row) -> str:
    """mean / median."""
    assert row.mean is not None and row.median is not None
    return f"{digits(row.mean)} / {digits(row.median, row.mean)}"


def mean(row: Row) -> str:
    """The mean alone."""
    assert row.mean is not None
    return digits(row.mean)


def interval(row: Row) -> str:
    """The 95 % interval."""
    if row.low is None or row.high is None:
        return DASH
    return f"{digits(row.low, row.mean)} to {digits(row.high, row.mean)}"


def mean_interval(row: Row) -> str:
    """The mean with its interval, each with its own digits."""
    bounds = (
        f" ({digits(row.low)} to {digits(row.high)})" if row.low is not None and row.high is not None else ""
    )
    return f"{mean(row)}{bounds}"


def percent(row: Row) -> str:
    """A percentage with its interval."""
    assert row.mean is not None
    bounds = f" ({row.low:.0f} to {row.high:.0f})" if row.low is not None and row.high is not None else ""
    return f"{row.mean:.1f}{bounds}"


def count(row: Row) -> str:
    """A whole number with thousands separated."""
    assert row.mean is not None
    return f"{int(row.mean):,}"


def one_decimal(row: Row) -> str:
    """The mean with one decimal: percentages in the form of the papers."""
    assert row.mean is not None
    return f"{row.mean:.1f}"


def worst(row: Row) -> str:
    """The mean with two decimals and the name of what has it."""
    return f"{two_decimals(row)} {row.reason.replace('_', ' ')}".strip()


def two_decimals(row: Row) -> str:
    """The mean with two decimals: millimeters in the form of the papers."""
    assert row.mean is not None
    return f"{row.mean:.2f}"


def over_seeds(row: Row) -> str:
    """The mean, with its deviation over seeds where there are several."""
    assert row.mean is not None
    return mean(row) if row.seed_std is None else f"{mean(row)} ± {digits(row.seed_std, row.mean)}"


def shown_p(value: float) -> str:
    """A p-value with three decimals."""
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
