"""Which expressions become morph targets, and what they are called in the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.cli.shell import choice, say
from mien.data.arkit import Rule, arkit_rules, lacking, read_rules


def chosen_targets(names: str, expressions: Sequence[str], also: Sequence[str] = ()) -> list[Rule]:
    """What the morph targets are made of.

    Args:
        names: ``model`` keeps the model's names, ``arkit`` takes those that are ARKit's or the nearest that
            the model has, a CSV file takes what it lists (see :func:`mien.data.arkit.read_rules`).
        expressions: E expression names of the model.
        also: ARKit names that the head has without the model.
    """
    if names == "model":
        return [Rule(name, name) for name in expressions]
    if names == "arkit":
        rules = arkit_rules(expressions)
        if rules[0].name != rules[0].target:
            say("Its expressions are not ARKit's: the nearest, and halves of them, take the names.")
        if absent := [name for name in lacking(rules) if name not in also]:
            say(f"Of ARKit's 52 names the model lacks: {', '.join(absent)}.")
        return rules
    if names.lower().endswith(".csv"):
        return read_rules(Path(names), expressions)
    choice("kind of names", names, ("model", "arkit", "FILE.csv"))
    raise AssertionError
