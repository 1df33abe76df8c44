"""The script that kills work finds what is half-written, different or left over, and of Mien's work none."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from commands import Studio

from mien.io.atomic import write_bytes

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="kills by Linux's own clock"
)


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "soak.py"
    spec = importlib.util.spec_from_file_location("soak", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


class Made:
    """What the script's work begins with, from the session's own data and model."""

    def __init__(self, studio: Studio) -> None:
        self.data, self.run, self.neutral = studio.data, studio.model, studio.neutral


@pytest.mark.parametrize("name", ["rig", "share", "studio export"])
def test_killed_work_is_done_again_to_the_same_bytes(name: str, soak: ModuleType, studio: Studio) -> None:
    tally = soak.soak(name, soak.WORK[name], Made(studio), kills=3, seed=1)
    assert (tally.by_file, tally.by_moment) == (2, 1) and tally.files > 1 and tally.whole.events > 5
    assert not any(tally.faults.values()), tally.faults


def _half(_: Any, out: Path) -> None:
    """Writes in place, in two steps between which it can be killed."""
    (out / "a.txt").write_text("half")
    with (out / "a.txt").open("a") as file:
        file.write(" and half")


def _different(_: Any, out: Path) -> None:
    """Goes on from what is there, wherever it was left."""
    log = out / "log"
    for _step in range(4):
        write_bytes(log, (log.read_bytes() if log.exists() else b"") + b".")


def _leaves(_: Any, out: Path) -> None:
    """Needs a file for a while whose name says nothing of who writes it."""
    name = out / f"{os.getpid()}.part"
    name.write_text("x")
    name.rename(out / "result")


@pytest.mark.parametrize(
    ("work", "kind"), [(_half, "half_written"), (_different, "different"), (_leaves, "left_over")]
)
def test_faulty_work_is_found(work: Callable[..., None], kind: str, soak: ModuleType) -> None:
    tally = soak.soak("faulty", work, None, kills=4, seed=1)
    assert tally.faults[kind] > 0, tally.faults
