"""Settings that every test shares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from commands import Studio
    from heads import Workshop

# Two workers on two cores: one thread each, set before torch or OpenMP read it. Subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Derived operators are cached by content, so a cache kept in the repository is safe and saves minutes.
os.environ.setdefault("MIEN_CACHE", str(Path(__file__).parent.parent / ".cache" / "mien"))


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A data set, a model trained on it, and example meshes."""
    from commands import make_studio

    return make_studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A model of procedural faces, and a stranger's head on disk."""
    from heads import make_workshop

    return make_workshop(tmp_path_factory.mktemp("workshop"))
