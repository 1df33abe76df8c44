"""Settings that every test shares."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from commands import Studio
    from heads import Workshop

    from mien.data.dataset import FaceDataset

# Two workers on two cores: one thread each, set before torch or OpenMP read it. Subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Derived operators are cached by content, so a cache kept in the repository is safe and saves minutes.
os.environ.setdefault("MIEN_CACHE", str(Path(__file__).parent.parent / ".cache" / "mien"))


def pytest_collection_finish() -> None:
    """What is there now stays to the end: nobody looks through thousands of tests for garbage again."""
    gc.collect()
    gc.freeze()


def for_all_workers(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that the first worker that asks for it builds, and all of them read."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, half = root / name, root / f"{name}.half"
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            build(half)
            half.rename(folder)
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A data set, a model trained on it, and example meshes."""
    from commands import make_studio

    return make_studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A model of procedural faces, and a stranger's head on disk."""
    from heads import Workshop, make_workshop

    return Workshop.at(for_all_workers(tmp_path_factory, "workshop", make_workshop))


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FaceDataset]:
    """``build_procedural``, which builds the same people once: several examples begin with them."""
    from mien.data.dataset import FaceDataset
    from mien.data.sources.procedural.build import build_procedural

    def build(out: Path, **options: Any) -> FaceDataset:
        name = "-".join(["built", *(f"{key}{value}" for key, value in sorted(options.items()))])
        made = for_all_workers(
            tmp_path_factory, name, lambda folder: build_procedural(folder / "data", **options)
        )
        shutil.copytree(made / "data", out)
        return FaceDataset.load(out)

    return build


@pytest.fixture
def unlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training looks for no points of faces to keep with a model: for new people that takes ten seconds."""
    monkeypatch.setattr("mien.training.run._see_face", lambda model, train: {})


@pytest.fixture
def few_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training looks at two people for the points that it keeps with a model, not at eight."""
    monkeypatch.setattr("mien.training.run.PEOPLE", 2)


@pytest.fixture
def laid_once() -> Iterator[None]:
    """Each head is looked for and registered once: seconds of work, and not what is tested."""
    from remembered import laying_once

    with laying_once():
        yield
