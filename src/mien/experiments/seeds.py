"""The same training with several seeds: a folder of runs, which is judged as one system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.experiments.division import training_data
from mien.limits import check_seed
from mien.training import train

RUNS = "seed-"
"""Begins the names of the runs in a folder of seeds."""


def train_seeds(
    method: Any, data: FaceDataset | Path | str, *, out: Path | str, seeds: Sequence[int],
    split: Path | str | None = None, protocol: str | None = None, **options: Any,
) -> dict[int, Path]:  # fmt: skip
    """Trains one run a seed, ``OUT/seed-0`` and so on; what is finished is kept, what was cut goes on.

    Args:
        method: As for :func:`mien.training.train`.
        data: The whole data set, or its folder.
        out: Folder of the runs.
        seeds: Of the runs; none twice.
        split: As for :func:`mien.training.train`.
        protocol: As there.
        options: Further options of :func:`mien.training.train`, and settings.

    Returns:
        Seed -> run folder.

    Raises:
        BadSetting: A seed comes twice, there is none, or the folder is a run itself.
    """
    out = Path(out)
    if not seeds or len(set(seeds)) < len(seeds):
        raise BadSetting(
            "seeds repeat, or there is none", received=" ".join(map(str, seeds)), remedy="give each seed once"
        )
    if (out / "run.json").is_file():
        raise BadSetting(
            "the folder of the seeds is a run itself", received=str(out), remedy="choose another"
        )
    faces, protocol = training_data(data, protocol, split)
    for seed in seeds:  # all of them before the first is trained
        check_seed(seed)
    folders = {seed: out / f"{RUNS}{seed}" for seed in seeds}
    for seed, folder in folders.items():
        resume = (folder / "run.json").is_file()
        train(method, faces, out=folder, seed=seed, protocol=protocol, resume=resume, **options)
    return folders


def runs_of(folder: Path) -> list[Path]:
    """The runs of a folder of seeds, in the order of their seeds; the folder itself if it is none."""
    found = [path for path in folder.glob(f"{RUNS}*") if path.name.removeprefix(RUNS).isdecimal()]
    if (folder / "config.json").is_file() or (folder / "run.json").is_file() or not found:
        return [folder]
    return sorted(found, key=lambda path: int(path.name.removeprefix(RUNS)))
