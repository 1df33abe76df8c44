"""What reports say of the machine."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from mien.machine import machine, machine_since, machine_text, processor


def test_the_processor_has_the_name_that_the_system_gives(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    core = "processor\t: {}\nmodel name\t: Maker(R) 9000 @ 2.70GHz \nflags\t\t: sse\n"
    info.write_text(core.format(0) + core.format(1))
    assert processor(info) == "Maker(R) 9000 @ 2.70GHz"
    info.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")  # as on some ARM boards
    named = platform.processor() or platform.machine()
    assert processor(info) == processor(tmp_path / "nowhere") == named


def test_seconds_and_threads_are_told() -> None:
    assert machine()["threads"] == torch.get_num_threads() and machine()["processor"] == processor()
    assert machine_since(-1e6)["evaluation_seconds"] > 1e6
    facts = {"processor": "P", "threads": 1}
    assert machine_text(facts) == "Evaluated on P, 1 thread."
    told = machine_text({"processor": "P", "gpu": "G", "threads": 8, "evaluation_seconds": 1234.4})
    assert told == "Evaluated in 1,234 s on P and G, 8 threads."
