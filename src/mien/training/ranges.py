"""Which numbers the settings of training may be: by their names, as these mean the same in all methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.errors import BadSetting
from mien.limits import LARGEST_NUMBER, numbers_in

_SHARES = frozenset((
    "decay", "bank_decay", "decay_from", "momentum", "betas", "average", "texture_average", "dropout",
    "virtual_people", "texture_virtual_people", "new_people", "texture_new_people", "zero_is_neutral",
    "texture_zero_is_neutral",
))  # fmt: skip
"""Probabilities, shares and factors of decay."""
_FROM_ONE = frozenset(("steps", "stage_steps", "decay_every", "discriminator_updates"))
_MOST_AT_ONCE = 1_000_000  # of a batch; more than any data set that fits in memory has


def check_ranges(model: str, values: Mapping[str, Any]) -> None:
    """Refuses numbers that no training of Mien's methods can use.

    Rates are above 0, shares and probabilities from 0 to 1, steps and batches at least 1, all else is 0 or
    more; nothing is infinite or no number.

    Args:
        model: Name of the method.
        values: Constructor arguments and training settings by name.

    Raises:
        BadSetting: A number is out of its range.
    """
    for name, value in values.items():
        least, most = _range(name)
        for number in numbers_in(value):
            if not least <= number <= most or (name == "rate" and number == 0):
                raise BadSetting(
                    f"the setting {name!r} of {model} is out of range", received=number,
                    remedy=f"give {'more than 0, at most' if name == 'rate' else f'{least} to'} {most:,.0f}; "
                    f"`mien info {model}` lists the usual values",
                )  # fmt: skip


def _range(name: str) -> tuple[int, float]:
    """The least and the largest value of a setting."""
    if name in _SHARES:
        return 0, 1
    if name.endswith("batch_size"):
        return 1, _MOST_AT_ONCE
    often = name.endswith("_every") and name != "validate_every"  # which is never at 0
    return int(name in _FROM_ONE or often), LARGEST_NUMBER
