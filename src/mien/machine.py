"""The machine: what it is called, as times mean nothing without it, and which device is used."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.errors import BadSetting, UnknownName


def machine() -> dict[str, Any]:
    """Name of the processor, and of the GPU if there is one, and how many threads are used."""
    import torch

    facts: dict[str, Any] = {"processor": processor(), "threads": torch.get_num_threads()}
    return facts | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def machine_since(began: float) -> dict[str, Any]:
    """The same, and the seconds since ``time.monotonic()`` was ``began``."""
    return {**machine(), "evaluation_seconds": round(time.monotonic() - began, 1)}


def device_of(name: str) -> str:
    """The device of a name; ``auto`` is the GPU where there is one."""
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    found = {"cpu": True, "cuda": has_cuda, "mps": has_mps, "auto": True}
    if name not in found:
        raise UnknownName("device", name, found)
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if not found[name]:
        raise BadSetting(f"this machine has no {name} device", received=name, remedy="use the device cpu")
    return name


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as its maker sells it, where the system tells; otherwise its architecture."""
    names = re.findall(r"^model name\s*:\s*(.*\S)", info.read_text(), re.M) if info.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def machine_text(facts: Mapping[str, Any]) -> str:
    """The sentence of a report: seconds, processor, threads."""
    spent = f"in {facts['evaluation_seconds']:,.0f} s " if "evaluation_seconds" in facts else ""
    gpu = f" and {facts['gpu']}" if "gpu" in facts else ""
    threads = f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    return f"Judged {spent}on {facts['processor']}{gpu}, {threads}."
