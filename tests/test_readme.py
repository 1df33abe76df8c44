"""What the documents say is true: tables are current, links lead somewhere, commands run."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run

from mien.data.splits import assign
from mien.models import MODELS, model_class

ROOT = Path(__file__).parent.parent
SKIPPED = {".venv", ".venv-bare", ".cache", ".git", "node_modules", "demo", "runs", "site", "report_page"}


def pages() -> list[Path]:
    """Every page of the project; folders that are skipped are not entered: an environment is large."""
    found = []
    for folder, inside, names in os.walk(ROOT):
        inside[:] = set(inside) - SKIPPED
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    return sorted(found)


PAGES = pages()
HEADINGS = ["Advantages", "Limitations", "Equations", "Tasks", "Departures", "Published numbers"]
Capture = pytest.CaptureFixture[str]


def blocks(path: Path, language: str = "") -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(path: Path) -> list[list[str]]:
    """The lines of a page that call mien."""
    lines = [line.split("  #")[0] for block in blocks(path) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("mien ")]


EMBEDDED = {("data", "build", source) for source in ("makehuman", "procedural")}


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_capability_table_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = ROOT / "tools" / "readme_tables.py"
    monkeypatch.setattr(sys, "argv", [str(tool), "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(tool), run_name="__main__")
    assert ended.value.code == 0, "run: make tables"


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "mailto:", "#")):
            assert (path.parent / target.split("#")[0]).exists(), f"{target} in {page_id(path)}"


@pytest.mark.parametrize("path", [page for page in PAGES if commands(page)], ids=page_id)
def test_every_command_is_understood(
    path: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder each command must stop at its missing files, not at a flag that does not exist.

    The status of a bench that has not begun is no mistake.
    """
    monkeypatch.chdir(tmp_path)
    for source in ("MIEN_ICT", "MIEN_VALID"):  # releases at hand, with which a bench would begin
        monkeypatch.delenv(source, raising=False)
    for arguments in commands(path):
        if arguments[0] in ("demo", "list", "cite") or tuple(arguments[:3]) in EMBEDDED:
            arguments = [*arguments, "--help"]
        told = run(capsys, *arguments)
        answers = {"--help", "--status"} & set(arguments)
        assert answers or told.code == 2, (arguments, told)
        assert not re.search(r"see mien .*--help", told.err, re.IGNORECASE), (arguments, told.err)


@pytest.mark.usefixtures("unlooked")
def test_the_commands_of_the_readme_run(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {
        "build": ["--vertices", "400"],
        "evaluate": ["--no-controls"],
        "train": ["steps=2", "pretraining_steps=1", "batch_size=8", "closed_form_finish=2"],
    }
    every = commands(ROOT / "README.md")
    start = [arguments[0] for arguments in every].index("data")  # above stand commands for heads of one's own
    first = every[start : start + 5]
    assert [arguments[0] for arguments in first] == ["data", "train", "evaluate", "rig", "animate"]
    small["train"] = [word for setting in small["train"] for word in ("--set", setting)]
    for arguments in first:
        told = run(capsys, *arguments, *small.get(arguments[0], small.get(arguments[1], [])))
        assert told.code == 0, (arguments, told.err)
    assert (tmp_path / "rig.glb").is_file() and (tmp_path / "smile.glb").is_file()
    by_command = (tmp_path / "rig.glb").read_bytes()
    (tmp_path / "rig.glb").unlink()
    exec(compile(blocks(ROOT / "README.md", "python")[0], "README.md", "exec"), {})
    assert (tmp_path / "rig.glb").read_bytes() == by_command


def test_the_example_people_are_unseen() -> None:
    """The documents name examples of forty people; their numbers follow from the division."""
    subject = np.repeat(np.arange(40), 20)
    parts = assign("subject", subject, 0)
    unseen = np.unique(subject[parts == 2])[:3]
    for page in PAGES:
        for number in re.findall(r"examples/(?:person|makehuman)_(\d{4})", page.read_text(encoding="utf-8")):
            assert int(number) in unseen, f"number {number} in {page_id(page)} is none of {unseen}"


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_page_of_the_same_form(name: str) -> None:
    path = ROOT / "docs" / "models" / f"{name}.md"
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS
    assert str(model_class(name).reference.year) in text or "control" in text.lower()
    assert f"({name}.md)" in (path.parent / "README.md").read_text(encoding="utf-8")


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        for block in blocks(page):
            for target in re.findall(r"^make ([a-z]+)", block, re.MULTILINE):
                assert target in targets, f"make {target} in {page_id(page)}"
