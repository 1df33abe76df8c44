"""Every recipe names things that exist, and carries the published numbers."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from commands import run
from fixtures import tiny_data

from mien.data.sources.field import FIELD_SETS
from mien.data.splits import PROTOCOLS
from mien.errors import BadFile, BadSetting, DataMissing, UnknownName
from mien.models import MODELS, model_class
from mien.training import resolve_plan
from mien.training.recipes import FOLDER, Recipe, find_recipe, read_recipe, recipe_names
from mien.training.run import build_model

ROOT = Path(__file__).parent.parent
RECIPES = sorted(FOLDER.glob("*.yaml"))


def recipe_id(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_every_name_is_known(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model in MODELS and recipe.protocol in PROTOCOLS
    plan = resolve_plan(str(path))[0]
    assert plan.seed == recipe.seeds[0] and plan.protocol == recipe.protocol
    resolved = {**plan.arguments, **plan.settings}
    for name, value in recipe.settings.items():
        # A number that YAML took for a text, such as 1e-3, is no setting; a word may be one.
        known = isinstance(value, (int, float, bool, list)) or (isinstance(value, str) and value.isalpha())
        assert resolved[name] == value and known, f"{name} is {value!r}"
    getattr(model_class(recipe.model), "Settings", dict)(**plan.settings)


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_the_file_name_says_year_model_and_data(path: Path) -> None:
    recipe = read_recipe(path)
    assert re.match(rf"[a-z]+\d{{4}}_{recipe.model}_{recipe.data['name']}", path.stem)
    assert str(model_class(recipe.model).reference.year) in path.stem
    assert {"name", "build"} <= recipe.data.keys() <= {"name", "build", "note"}


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_the_command_that_makes_the_data_is_understood(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(path)
    arguments = shlex.split(recipe.data["build"])
    assert arguments[:2] == ["mien", "data"] and arguments[3] == recipe.data["name"]
    monkeypatch.chdir(tmp_path)
    if arguments[2] == "prepare":  # a reader of a licensed set, stopped only by what is not there
        assert recipe.data["note"] and arguments[3] in FIELD_SETS
        Path(arguments[4]).mkdir()
        assert FIELD_SETS[arguments[3]].layout in run(capsys, *arguments[1:]).sentence
    else:
        assert run(capsys, *arguments[1:], "--help").code == 0


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_published_numbers_stand_beside_and_on_the_page_of_the_model(path: Path) -> None:
    recipe = read_recipe(path)
    if "No published numbers" in recipe.notes:
        assert not recipe.published and not recipe.source
    else:
        assert recipe.published and recipe.source
    page = (ROOT / "docs" / "models" / f"{recipe.model}.md").read_text()
    for value in recipe.published.values():
        assert str(value) in page, f"{value} is not in docs/models/{recipe.model}.md"


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_every_recipe_builds_its_model(path: Path) -> None:
    plan = resolve_plan(str(path))[0]
    if "coarsest" in plan.arguments:  # 120 vertices have no fifth level to count
        plan.arguments["coarsest"] = 4
    model = build_model(plan, tiny_data())
    assert model.config == json.loads(json.dumps(plan.arguments))


def test_every_learned_model_has_a_recipe() -> None:
    learned = {name for name in MODELS if hasattr(model_class(name), "Settings")}
    assert learned == {read_recipe(path).model for path in RECIPES}


def test_recipes_resolve_by_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, with its ending, or by path; one of the working directory comes before one of the package."""
    monkeypatch.chdir(tmp_path)
    assert recipe_names() == [path.stem for path in RECIPES] and len(RECIPES) > 30
    with pytest.raises(DataMissing, match="does not exist.*mien list --recipes"):
        find_recipe("elsewhere/ranjan2018_coma_ict.yaml")
    for text in ("ranjan2018_coma_ict", "ranjan2018_coma_ict.yaml", str(FOLDER / "ranjan2018_coma_ict.yaml")):
        told = run(capsys, "train", text, "--data", "none", "--out", "x", "--dry-run")
        assert told.json["model"] == "coma"
        assert "The recipe is for data made by: mien data build ict" in told.err
    (tmp_path / "ranjan2018_coma_ict.yaml").write_text("model: pca\ndata: {name: x}\n")
    mine = find_recipe("ranjan2018_coma_ict.yaml")
    assert mine is not None and mine.model == "pca"
    assert find_recipe("coma") is None
    listed = run(capsys, "list", "--recipes")
    assert all(name in listed.out for name in recipe_names())
    assert run(capsys, "list", "--recipes", "--json").json["gong2019_spiralnet_coma"]["model"] == "spiralnet"


@pytest.mark.parametrize(
    ("text", "kind", "nearest"),
    [
        ("ranjan2018_coma_itc", "recipe", "ranjan2018_coma_ict"),
        ("ranjan2018_coma_itc.yaml", "recipe", "ranjan2018_coma_ict"),
        ("adverserial_vae", "model", "adversarial_vae"),
        ("cmoa", "model", "coma"),
    ],
)
def test_a_typo_names_the_nearest(
    text: str, kind: str, nearest: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sentence = run(capsys, "train", text, "--data", tmp_path, "--out", tmp_path / "x").sentence
    assert sentence.startswith(f"mien: unknown {kind}") and f"did you mean {nearest!r}" in sentence


def test_flags_win_over_the_recipe() -> None:
    path = next(item for item in RECIPES if "facescape" in item.stem)
    plan, _ = resolve_plan(str(path), {"batch_size": 4}, profile="smoke", seed=7, protocol="interleaved")
    assert (plan.settings["batch_size"], plan.profile, plan.seed, plan.protocol) == (
        4,
        "smoke",
        7,
        "interleaved",
    )


def test_damaged_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissing):
        read_recipe(tmp_path / "none.yaml")
    path = tmp_path / "recipe.yaml"
    for text in ("model: [", "- a", "model: pca"):
        path.write_text(text)
        with pytest.raises(BadFile):
            read_recipe(path)
    path.write_text("model: pca\ndata: {name: x}\nsetings: {}\n")
    with pytest.raises(UnknownName, match="did you mean 'settings'"):
        read_recipe(path)
    assert Recipe("pca", {}).seeds == (0,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{size: .inf}", "'size' is out of range: inf"), ("{size: true}", "'size' is of another type"),
        ("{size: 1.5}", "'size' is of another type: Expected `int`"), ("{size: [1]}", "of another type"),
        ("{size: 1000000000}", "up to 10,000,000"), ("{steps: 1e3x}", "'steps' is of another type"),
    ],
)  # fmt: skip
def test_settings_of_another_type_are_refused_before_a_run_begins(
    tmp_path: Path, settings: str, words: str
) -> None:
    model = "adversarial_vae" if "steps" in settings else "pca"
    (tmp_path / "recipe.yaml").write_text(f"model: {model}\ndata: {{name: x}}\nsettings: {settings}\n")
    with pytest.raises(BadSetting, match=re.escape(words)) as raised:
        resolve_plan(str(tmp_path / "recipe.yaml"))
    assert "\n" not in str(raised.value)
