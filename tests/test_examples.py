"""Every example runs on its own and opens with prose."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mien

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(
    path: Path,
    build_once: Callable[..., mien.FaceDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    # Only one opens a head of another topology.
    request.getfixturevalue("few_looked" if "rig_a_head" in path.stem else "unlooked")
    prose = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert len(prose.split()) > 60 and f"python examples/{path.name} out" in prose
    monkeypatch.setattr(mien, "build_procedural", build_once)
    monkeypatch.setattr(sys, "argv", [str(path), str(tmp_path / "out")])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert any((tmp_path / "out").iterdir())


def test_the_list_of_examples_is_complete() -> None:
    text = (ROOT / "examples" / "README.md").read_text()
    assert [path.name for path in EXAMPLES if f"({path.name})" not in text] == []
