"""How runs that are judged together divided their data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien import hub
from mien.data.dataset import FaceDataset
from mien.data.split_files import SPLIT, with_split
from mien.data.splits import LISTED
from mien.errors import BadFile, BadSetting


def divided(
    data: FaceDataset,
    folders: Sequence[Path] = (),
    *,
    protocol: str | None = None,
    seed: int | None = None,
    split: Path | str | None = None,
) -> tuple[FaceDataset, dict[str, Any]]:
    """The data set with the division of some runs, and its ``protocol`` and ``seed``.

    Args:
        data: The whole data set.
        folders: Finished runs; what they were not trained on is tested.
        protocol: Instead of theirs.
        seed: Instead of theirs.
        split: A split file, or the name of a list that comes with Mien, instead of theirs.

    Raises:
        BadSetting: A protocol and a split file, or runs with different divisions.
        BadFile: A run's own ``split.csv`` is not the list that it was trained with.
    """
    if split is not None:
        if protocol is not None:
            raise BadSetting("a split file and a protocol both divide the data", remedy="give one of them")
        data, protocol = with_split(data, split)
    division = hub.division_of(folders, protocol, seed if split is None else seed or 0)
    wanted = division["protocol"]
    if wanted.startswith(LISTED) and wanted not in data.listed:
        data, found = with_split(data, Path(folders[0]) / SPLIT)
        if found != wanted:
            raise BadFile(
                "the split file of a run is not the one that it was trained with",
                received=str(folders[0] / SPLIT), remedy="restore it, or give the right one with --split",
            )  # fmt: skip
    return data, division
