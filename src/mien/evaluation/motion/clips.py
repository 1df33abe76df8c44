"""The clips that motion is evaluated on, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.clips import Clip, Extremeness, clips_of, deformations
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting


@dataclass(frozen=True, eq=False)
class TestClips:
    """The clips that all systems have to make.

    Args:
        data: The view that the clips' rows belong to.
        clips: Of people that no model has seen.
        train: What controls and the classifier learn from.
        scale: (n,) s_i of each clip in the published form, by statistics of the training clips.
        conditions: What every row states.
    """

    __test__ = False  # for pytest, which takes any name that begins with Test for a test

    data: FaceDataset
    clips: list[Clip]
    train: FaceDataset
    scale: NDArray[np.float64]
    conditions: Mapping[str, Any]

    @staticmethod
    def of(data: FaceDataset, *, part: str, protocol: str, seed: int) -> TestClips:
        """Divides the data set and finds its clips."""
        chosen = data.split(part, protocol=protocol, seed=seed)
        train = chosen if part == "all" else data.split("train", protocol=protocol, seed=seed)
        if not (chosen.row_clip >= 0).any() or not (train.row_clip >= 0).any():
            raise BadSetting(
                "motion is evaluated on clips, in the training part and in the tested one",
                received=f"{part} part of {data.source!r}", remedy="build the data with --sequences",
            )  # fmt: skip
        clips, known = clips_of(chosen, stills=False), clips_of(train, stills=False)
        measured = Extremeness.measure(
            np.array([c.expression for c in known]), deformations(train, known), len(data.expressions)
        )
        scale = measured.of(np.array([c.expression for c in clips]), deformations(chosen, clips))
        people, seen = (np.unique(view.row_subject) for view in (chosen, train))
        conditions = {
            "kind": "sequences", "data": data.source, "fingerprint": data.fingerprint,
            "topology": data.topology.name, "vertices": data.topology.vertex_count, "part": part,
            "protocol": protocol, "seed": seed, "people": len(people),
            "people_seen_in_training": len(np.intersect1d(people, seen)), "clips": len(clips),
            "frames": int(sum(map(len, clips))), "training_people": len(seen),
            "training_clips": len(known), "fps": data.fps, "alignment": "none",
            "neutral": "each clip's own first frames", "interval": "95 %, bootstrap over persons",
        }  # fmt: skip
        return TestClips(chosen, clips, train, scale, conditions)

    @cached_property
    def training_clips(self) -> list[Clip]:
        """Recorded clips of the training people."""
        return clips_of(self.train, stills=False)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) int: the expression of each clip."""
        return np.array([clip.expression for clip in self.clips])
