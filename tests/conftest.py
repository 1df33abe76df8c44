"""Settings that every test shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from commands import Studio
    from heads import Workshop

    from mien.data.dataset import FaceDataset

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


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FaceDataset]:
    """``build_procedural``, which builds the same people once: several examples begin with them."""
    from mien.data.dataset import FaceDataset
    from mien.data.sources.procedural.build import build_procedural

    built: dict[str, Path] = {}

    def build(out: Path, **options: Any) -> FaceDataset:
        key = repr(sorted(options.items()))
        if key not in built:
            folder = tmp_path_factory.mktemp("built") / "data"
            build_procedural(folder, **options)
            built[key] = folder
        shutil.copytree(built[key], out)
        return FaceDataset.load(out)

    return build


@pytest.fixture
def unlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training looks for no points of faces to keep with a model: for new people that takes ten seconds."""
    monkeypatch.setattr("mien.training.run._see_face", lambda model, train: {})
