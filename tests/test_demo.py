"""The demo runs from nothing to a report, goes on where it was stopped, and touches nobody's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run, tree

from mien.demo import Size, run_demo
from mien.errors import BadSetting
from mien.io.gltf import read_glb_targets

TINY = Size(6, 400, (("steps", 2), ("pretraining_steps", 1), ("validate_every", 1)), 40)
RESULTS = (
    "faces/dataset.json",
    "tables/report.md",
    "people/people.csv",
    "rig.glb",
    "clip.glb",
    "report.html",
)


def test_the_whole_path(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    report = run_demo(out, size=TINY)
    assert report == out / "report.html"
    for name in RESULTS:
        assert (out / name).is_file(), name
    page = report.read_text(encoding="utf-8")
    assert "gu2023adversarial" in page and "mien rig" in page and "Neutralization" in page
    assert not any(part in page for part in ('src="http', 'href="http', "url(http"))
    assert len(read_glb_targets(out / "rig.glb").names) == 19

    # Stopped before the report: what is done is kept, the rest is done again.
    report.unlink()
    (out / "rig.glb").unlink()
    (out / "clip.glb").unlink()
    kept = (out / "runs" / "adversarial_vae" / "model.safetensors").stat().st_mtime_ns
    told: list[str] = []
    run_demo(out, size=TINY, tell=told.append)
    assert sum("done before" in line for line in told) == 8  # data, four models, tables, people, use
    assert (out / "runs" / "adversarial_vae" / "model.safetensors").stat().st_mtime_ns == kept
    assert report.is_file() and (out / "clip.glb").is_file()

    with pytest.raises(BadSetting, match="in use"):
        run_demo(out, size=Size())


def test_a_folder_of_something_else_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "in use by something else" in run(capsys, "demo", "--out", tmp_path).sentence
    assert tree(tmp_path) == ["thesis.tex"]
