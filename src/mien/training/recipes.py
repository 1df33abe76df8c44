"""Recipes: a publication's configuration as a file, with its published numbers beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mien.data.splits import check_protocol
from mien.errors import BadFile, DataMissing, UnknownName
from mien.io.schema import checked_as, parse_bounded_yaml
from mien.io.text import read_text
from mien.limits import LARGEST_SEED

FOLDER = Path(__file__).parent.parent / "recipes"
"""The recipes of Mien; they are part of the installed package."""

_ENDINGS = (".yaml", ".yml")
_MOST_SEEDS = 1000
_HOW = "`mien list --recipes` names those of Mien"


@dataclass(frozen=True)
class Recipe:
    """What ``mien train RECIPE`` runs; every key of the file is a field here.

    Args:
        model: Name of the method.
        data: For which data: ``name``, and ``build`` (the command that makes it) or ``note`` (how to get it).
        profile: Whose settings to start from.
        settings: Over those of the profile.
        protocol: How the data is divided.
        seeds: The first one is used unless ``--seed`` says otherwise; tables average over all.
        published: Metric -> printed values, for the column "published".
        source: Which table or file of the publication the values stand in.
        notes: What differs from the publication and why.
    """

    model: str
    data: Mapping[str, str]
    profile: str = "full"
    settings: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "subject"
    seeds: tuple[int, ...] = (0,)
    published: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    notes: str = ""


def read_recipe(path: Path | str) -> Recipe:
    """Reads a recipe file.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no YAML mapping of bounded size and depth, lacks ``model`` or ``data``, or a value has
            another type.
        UnknownName: It has a key that recipes do not have, or names an unknown protocol.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("the recipe does not exist", received=str(path), remedy=_HOW)
    try:
        found = parse_bounded_yaml(read_text(path, "the recipe"))
    except ValueError as error:
        raise BadFile("the recipe is not valid YAML", received=f"{path}: {error}", remedy=_HOW) from error
    if not isinstance(found, dict) or not {"model", "data"} <= set(found):
        raise BadFile("a recipe needs the keys model and data", received=str(path), remedy=_HOW)
    known = [item.name for item in fields(Recipe)]
    for key in found:
        if key not in known:
            raise UnknownName("recipe key", str(key), known)
    recipe = checked_as(found, Recipe, "the recipe", path, _HOW)
    check_protocol(recipe.protocol)
    if (
        not recipe.model
        or not 0 < len(recipe.seeds) <= _MOST_SEEDS
        or not all(0 <= seed <= LARGEST_SEED for seed in recipe.seeds)
    ):
        raise BadFile("a recipe needs a model and whole seeds from 0 on", received=str(path), remedy=_HOW)
    return recipe


def recipe_names() -> list[str]:
    """Names of the recipes of Mien: <author><year>_<model>_<data>."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find_recipe(text: str) -> Recipe | None:
    """The recipe that a text names, or None if it looks like the name of a method.

    Args:
        text: A name of :func:`recipe_names`, with or without its ending, or the path of a file.

    Raises:
        UnknownName: It ends like a recipe and there is none; the nearest name is suggested.
    """
    path = Path(text)
    if path.suffix.lower() not in _ENDINGS:
        return read_recipe(FOLDER / f"{text}.yaml") if text in recipe_names() else None
    if path.is_file() or path.parent != Path("."):
        return read_recipe(path)
    if path.stem not in recipe_names():
        raise UnknownName("recipe", path.stem, recipe_names())
    return read_recipe(FOLDER / f"{path.stem}.yaml")
