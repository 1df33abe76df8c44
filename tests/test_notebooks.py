"""The notebooks are those of their scripts, and every cell runs."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import mien

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_one_for_every_script() -> None:
    assert len(NOTEBOOKS) == 3
    assert [path.stem for path in NOTEBOOKS] == sorted(p.stem for p in (ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_current_and_valid(path: Path, tool: ModuleType) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == tool.notebook(path.with_suffix(".py").read_text(encoding="utf-8")), "run: make notebooks"
    document = json.loads(text)
    items = document["cells"]
    assert document["nbformat"] == 4 and len({cell["id"] for cell in items}) == len(items) > 5
    assert items[0]["cell_type"] == "markdown" and items[0]["source"][0].startswith("# ")


@pytest.mark.usefixtures("unlooked")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(
    path: Path,
    build_once: Callable[..., mien.FaceDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(mien, "build_procedural", build_once)
    monkeypatch.setattr(mien, "has_makehuman", lambda: False)  # a minute of work for each run of the tests
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path.name}:{cell['id']}", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.strip() and "nan" not in printed
    if path.stem.startswith("01"):
        assert names["sheet"].size[0] > 1000  # type: ignore[attr-defined]
    if path.stem.startswith("03"):
        assert "refused:" in printed
