"""Batches of clips: whole padded signals, and the frames that the losses look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.clips import Clip, clip_neutral
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler, draw_rows


@dataclass
class ClipBatch(Batch):
    """Clips of one training step.

    ``weights`` is the signal (B, T, E), padded with zeros; ``neutral`` the clips' own neutrals (B, V, 3);
    ``vertices`` pairs of neighboring frames (B, P, 2, V, 3), millimeters.

    Args:
        frames: (B, P, 2) int64. Which frames these are.
        frame_share: (B, P, 2) float. Weights that make a sum over drawn frames the mean over all frames.
        step_share: (B, P) float. The same for steps from a frame to the next.
    """

    frames: Tensor | None = None
    frame_share: Tensor | None = None
    step_share: Tensor | None = None


def clip_batches(
    data: FaceDataset, clips: Sequence[Clip], extremeness: NDArray, size: int, pairs: int
) -> Sampler:
    """Random clips, with some pairs of neighboring frames of each.

    Decoding every frame of 16 clips costs about a thousand meshes a step, and neighbors tell nearly the same.
    A pair drawn evenly from the T - 1 of a clip shows each inner frame twice as often as the first and last,
    so frames are weighted: with the returned shares, the expected sum over drawn frames is the mean over all
    frames of the batch's clips, and the expected sum over drawn pairs is the mean over all steps.

    Args:
        data: What the clips' rows belong to.
        clips: What to draw from.
        extremeness: (n,) s_i of the clips.
        size: B.
        pairs: P pairs a clip; 0 takes all, which is the plain mean.
    """
    signals = [torch.from_numpy(clip.signal(float(s))) for clip, s in zip(clips, extremeness, strict=True)]
    neutrals = _Neutrals(data, clips)

    def batch(generator: torch.Generator) -> Batch:
        chosen = draw_rows(generator, len(clips), size)
        drawn = [_pairs(clips[k], pairs, generator) for k in chosen]
        frames, frame_share, step_share = (
            torch.nn.utils.rnn.pad_sequence([part[place] for part in drawn], batch_first=True)
            for place in range(3)
        )
        # A clip counts by its frames: the mean runs over frames, not over clips.
        seen = torch.tensor([float(len(clips[k].known)) for k in chosen])
        steps = torch.tensor([float((np.diff(clips[k].known) == 1).sum()) for k in chosen])
        frame_share = frame_share * (seen / seen.sum())[:, None, None]
        step_share = step_share * (steps / steps.sum().clamp_min(1))[:, None]
        rows = np.stack([clips[k].rows[part.numpy()] for k, part in zip(chosen, frames, strict=True)])
        signal = torch.nn.utils.rnn.pad_sequence([signals[k] for k in chosen], batch_first=True)
        subject = torch.tensor([clips[k].subject for k in chosen])
        vertices = torch.from_numpy(data[np.maximum(rows, 0).ravel()]).view(*rows.shape, -1, 3)
        return ClipBatch(
            vertices, subject, signal, neutrals(chosen),
            frames=frames, frame_share=frame_share, step_share=step_share,
        )  # fmt: skip

    return batch


class _Neutrals:
    """Clips' own neutrals, read once."""

    def __init__(self, data: FaceDataset, clips: Sequence[Clip]) -> None:
        self.data, self.clips = data, clips
        self.known: dict[int, Tensor] = {}

    def __call__(self, chosen: NDArray[np.int64]) -> Tensor:
        for k in chosen.tolist():
            if k not in self.known:
                self.known[k] = torch.from_numpy(clip_neutral(self.data, self.clips[k]))
        return torch.stack([self.known[k] for k in chosen.tolist()])


def _pairs(clip: Clip, pairs: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(P, 2) frames, (P, 2) shares of frames that sum to 1 on average, (P,) shares of steps likewise.

    Frames that were seen far apart (of a single scan: rest, peak, rest) make no step.
    """
    known = torch.from_numpy(clip.known)
    count = len(known) - 1
    first = torch.randint(count, (pairs,), generator=generator) if pairs else torch.arange(count)
    places = torch.stack([first, first + 1], dim=1)
    ends = (places == 0) | (places == count)
    # A pair contains an inner frame twice as often as an end.
    share = torch.where(ends, 1.0, 0.5) * count / (count + 1) / len(first)
    near = known[places].diff(dim=1)[:, 0] == 1
    among = max(1, int((known.diff() == 1).sum())) / count
    return known[places], share, near / among / len(first)
