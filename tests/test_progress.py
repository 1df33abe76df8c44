"""Progress bars change nothing about the work and never touch standard output."""

from __future__ import annotations

import pytest

from mien import progress
from mien.progress import track


def test_every_item_passes_in_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)
    outer = [(a, list(track(iter("xy"), "inner"))) for a in track([1, 2, 3], "outer")]
    assert outer == [(1, ["x", "y"]), (2, ["x", "y"]), (3, ["x", "y"])]
    assert capsys.readouterr().out == ""


def test_an_interrupted_bar_lets_the_next_one_run() -> None:
    with pytest.raises(RuntimeError, match="stop"):
        for _ in track(range(5), "broken"):
            raise RuntimeError("stop")
    assert list(track(range(2), "next")) == [0, 1]
    assert not progress._running
