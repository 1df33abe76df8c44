"""What a run does: a method or a recipe, with profile, settings and seed resolved and checked by name."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.data.splits import check_protocol
from mien.errors import BadSetting, UnknownName
from mien.limits import check_seed
from mien.models.base import FaceModel
from mien.models.files import check_arguments, check_types
from mien.models.own_code import is_address
from mien.models.registry import MODELS, method_names, model_class
from mien.training.ranges import check_ranges
from mien.training.recipes import Recipe, find_recipe, recipe_names

PROFILES = ("smoke", "standard", "full")

RUN_OPTIONS = (
    "method", "data", "out", "profile", "seed", "protocol", "split", "split_seed", "minutes", "resume",
    "accelerator", "devices", "precision", "progress", "save_seconds",
)  # fmt: skip
"""What :func:`mien.training.train` takes beside settings, so no setting may be called like one."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides the weights of a run, besides the data.

    Args:
        model: Name of the method.
        arguments: Constructor arguments of the model.
        settings: Training settings of the model.
        profile: ``smoke`` (minutes), ``standard`` (an hour or two on two cores), ``full`` (the paper's).
        seed: Decides initial weights, batches and noise.
        protocol: How the data is divided, see :mod:`mien.data.splits`.
        split_seed: Which of the random divisions.
        minutes: Of processor time, after which training ends; None for all steps.
    """

    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "standard"
    seed: int = 0
    protocol: str = "subject"
    split_seed: int = 0
    minutes: float | None = None


def plan_training(
    method: str | type[FaceModel] | FaceModel, overrides: Mapping[str, Any] | None = None, **choices: Any
) -> Plan:
    """Resolves defaults, profile and overrides, and checks every name against the method's own signature.

    Args:
        method: Name, ``module:Class``, ``file.py:Class``, class, or a model that exists already: then its
            constructor arguments are settled.
        overrides: ``--set`` values: constructor arguments and training settings by name.
        choices: Fields of :class:`Plan`: profile, seed, protocol, split_seed, minutes.

    Raises:
        UnknownName: A setting that the method does not have, or a profile or protocol that nobody has.
        BadSetting: A constructor argument without a default was not given.
    """
    made = isinstance(method, FaceModel)
    kind = type(method) if isinstance(method, FaceModel) else model_class(method)
    profile = choices.get("profile", "standard")
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    check_protocol(choices.get("protocol", "subject"))
    for name in ("seed", "split_seed"):
        check_seed(choices.get(name, 0), name)
    minutes = choices.get("minutes")
    if minutes is not None and not (isinstance(minutes, (int, float)) and 0 < minutes < 1e6):
        raise BadSetting("minutes of processor time are a positive number", received=minutes)
    arguments = dict(method.config) if isinstance(method, FaceModel) else _arguments(kind)
    settings = _settings(kind)
    free = settings if made else arguments | settings
    chosen = {
        name: value for name, value in kind.profiles.get(profile, {}).items() if name in free or not made
    }
    for name, value in (chosen | dict(overrides or {})).items():
        if name not in free:
            raise UnknownName(f"setting of {kind.name}", name, free)
        (settings if name in settings else arguments)[name] = value
    if clash := [name for name in (*arguments, *settings) if name in RUN_OPTIONS]:
        raise BadSetting(
            f"{kind.name} has a setting that is named like an option of every training run",
            received=clash[0], remedy="give the setting another name",
        )  # fmt: skip
    if missing := [name for name, value in arguments.items() if value is inspect.Parameter.empty]:
        raise BadSetting(
            f"{kind.name} has arguments without a default", received=f"no {', '.join(missing)}",
            remedy=f"give one with --set {missing[0]}=... (Python: {missing[0]}=...)",
        )  # fmt: skip
    check_arguments(kind.name, arguments)
    _check_kinds(kind, arguments, settings)
    if kind.__module__.startswith("mien."):  # in a method of somebody's own these names may mean other things
        check_ranges(kind.name, {**arguments, **settings})
    return Plan(kind.name, arguments, settings, **choices)


def _check_kinds(kind: type[FaceModel], arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raises for values of another type than the method states: training would fail on them, or go wrong."""
    try:
        check_types(kind.__init__, arguments)
        check_types(getattr(kind, "Settings", kind.__init__), settings)
    except ValueError as error:
        raise BadSetting(
            f"{kind.name} cannot be trained with these settings", received=str(error),
            remedy=f"`mien info {kind.name}` lists them with their usual values",
        ) from error  # fmt: skip


def resolve_plan(
    what: str | type[FaceModel] | FaceModel, overrides: Mapping[str, Any] | None = None, **choices: Any
) -> tuple[Plan, Recipe | None]:
    """The plan of a method or of a recipe, and the recipe; what is given wins over the recipe.

    Args:
        what: A method as for :func:`plan_training`, or a recipe: its name or the path of its file.
        overrides: Constructor arguments and training settings by name.
        choices: Fields of :class:`Plan`; None stands for the recipe's or the usual value.
    """
    given = {key: value for key, value in choices.items() if value is not None}
    recipe = find_recipe(what) if isinstance(what, str) and not is_address(what) else None
    if recipe is None:
        if isinstance(what, str) and not is_address(what):
            _check_name(what)
        return plan_training(what, overrides, **given), None
    defaults = {"profile": recipe.profile, "protocol": recipe.protocol, "seed": recipe.seeds[0]}
    settings = {**recipe.settings, **(overrides or {})}
    return plan_training(recipe.model, settings, **(defaults | given)), recipe


def _check_name(name: str) -> None:
    """Raises for a name of nothing, with the nearest method or recipe."""
    if name in MODELS:  # looking through all installed packages takes longer than the whole plan
        return
    methods, recipes = method_names(), recipe_names()
    if name in methods:
        return
    nearest = difflib.get_close_matches(name, methods + recipes, n=1, cutoff=0.4)
    if nearest and nearest[0] in recipes:
        raise UnknownName("recipe", name, recipes)
    raise UnknownName("model", name, methods)


def _arguments(kind: type[FaceModel]) -> dict[str, Any]:
    """Constructor arguments after topology and expressions, and their defaults."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[3:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {item.name: item.default for item in parameters if item.kind in named}


def _settings(kind: type[FaceModel]) -> dict[str, Any]:
    """Training settings and their defaults."""
    known = getattr(kind, "Settings", None)
    defaults = known() if known else None
    return {item.name: getattr(defaults, item.name) for item in dataclasses.fields(known)} if known else {}
