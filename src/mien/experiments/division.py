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


def training_data(
    data: FaceDataset | Path | str, protocol: str | None = None, split: Path | str | None = None
) -> tuple[FaceDataset, str | None]:
    """The data set, with the division of a split file if there is one, and the protocol that names it.

    Args:
        data: The whole data set, or its folder.
        protocol: How it is divided; None for the usual way.
        split: A split file, or the name of a list that comes with Mien.

    Raises:
        BadSetting: Both a protocol and a split file are given.
    """
    faces = data if isinstance(data, FaceDataset) else FaceDataset.load(data)
    if split is None:
        return faces, protocol
    if protocol is not None:
        raise BadSetting("a split file and a protocol both divide the data", remedy="give one of them")
    return with_split(faces, split)


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
    data, protocol = training_data(data, protocol, split)
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
