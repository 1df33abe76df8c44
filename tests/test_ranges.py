"""Numbers that a person gives are refused where they are out of range, by the name of their setting."""

from __future__ import annotations

import math
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.cli import app, command
from mien.errors import BadSetting
from mien.limits import LARGEST_NUMBER, LARGEST_SEED, check_seed, numbers_in
from mien.models.registry import method_names
from mien.training.plan import PROFILES, plan_training, resolve_plan
from mien.training.ranges import check_ranges
from mien.training.recipes import recipe_names

NEEDED = {"flame": {"file": "flame.npz"}}  # what has no default
NUMBERS = [
    (method, name)
    for method in method_names()
    for plan in [plan_training(method, NEEDED.get(method))]
    for name, value in {**plan.arguments, **plan.settings}.items()
    if list(numbers_in(value))
]


def given_as(old: Any, number: float) -> Any:
    """A number in the form that a setting has: alone, or within a list."""
    return [number, *list(old)[1:]] if isinstance(old, (list, tuple)) else number


def test_there_are_numbers_in_every_kind_of_setting() -> None:
    assert len(NUMBERS) > 200 and {name for _, name in NUMBERS} >= {"steps", "rate", "batch_size", "hidden"}


@pytest.mark.parametrize("method", method_names())
def test_no_method_trains_with_numbers_out_of_range(method: str) -> None:
    plan = plan_training(method, NEEDED.get(method))
    usual = {**plan.arguments, **plan.settings}
    for name in (name for of, name in NUMBERS if of == method):
        whole = isinstance(next(numbers_in(usual[name])), int)
        for number in (-1, math.nan, math.inf, -math.inf, 10**13):
            with pytest.raises(BadSetting, match=f"'{name}' of {method} is out of range"):
                check_ranges(method, {name: given_as(usual[name], number)})
        with pytest.raises(BadSetting, match=name):
            plan_training(
                method, {**NEEDED.get(method, {}), name: given_as(usual[name], -5 if whole else math.nan)}
            )


@pytest.mark.parametrize("share", ["decay", "bank_decay", "momentum", "dropout", "average", "virtual_people"])
def test_shares_end_at_one(share: str) -> None:
    check_ranges("any", {share: 1.0})
    with pytest.raises(BadSetting, match="give 0 to 1;"):
        check_ranges("any", {share: 1.001})


def test_usual_values_profiles_and_recipes_are_within_range() -> None:
    for method in method_names():
        for profile in PROFILES:
            plan_training(method, NEEDED.get(method), profile=profile)
    for recipe in recipe_names():
        resolve_plan(recipe)


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.none()))
@settings(max_examples=60, deadline=None)
def test_a_seed_is_a_whole_number_that_every_generator_takes(seed: Any) -> None:
    right = type(seed) is int and 0 <= seed <= LARGEST_SEED
    try:
        check_seed(seed)
        assert right
    except BadSetting:
        assert not right
    if type(seed) is int and not right:
        with pytest.raises(BadSetting, match="seed"):
            plan_training("pca", seed=seed)


def commands() -> dict[str, typer.models.CommandFunctionType]:
    """Words of each command -> its function."""
    found = {f"{item.callback.__name__}": item.callback for item in app.registered_commands}
    for group in app.registered_groups:
        found |= {
            f"data {item.callback.__name__}": item.callback
            for item in group.typer_instance.registered_commands
        }
    return found


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10 * LARGEST_NUMBER])
def test_every_command_refuses_numbers_that_are_none_before_anything_else(number: float) -> None:
    own_code: dict[str, Any] = {"code": [], "trust_code": False}
    for words, function in commands().items():
        with pytest.raises(BadSetting, match="--any-name is out of range"):
            function(any_name=number, **own_code)
        with pytest.raises(BadSetting, match="--seeds? is no seed"):
            function(**{"more" if words == "train" else "seed": [-1]}, **own_code)


def test_the_command_line_says_which_option_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    for line, said in (
        ("generate M -n 2 --seed -1 -o OUT", "--seed is no seed; received -1"),
        (
            "transfer M --expression A --onto B --intensity nan -o OUT",
            "--intensity is out of range; received nan",
        ),
        (
            "train coma --data D --out R --set rate=.nan",
            "the setting 'rate' of coma is out of range; received nan",
        ),
        (
            "train coma --data D --out R --set steps=-5",
            "the setting 'steps' of coma is out of range; received -5",
        ),
    ):
        assert command(line.split()) == 2
        assert said in " ".join(capsys.readouterr().err.split())
