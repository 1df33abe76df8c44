"""Which expression a clip shows, asked of a classifier trained on recorded clips (Potamias et al., 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.data.clips import Clip, clip_neutral
from mien.data.dataset import FaceDataset
from mien.nn.principal import PrincipalAxes, principal_axes
from mien.progress import track

FRAMES, COMPONENTS, WIDTHS = 32, 64, (512, 128)
EPOCHS, WEIGHT_DECAY, RATE, BATCH = 13, 5e-3, 1e-3, 16
SAMPLED = 4  # frames of a clip that the axes are measured on


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a classifier reads of a clip.

    Args:
        suffix: Of the names of its metrics.
        displaced: It reads displacements from the clip's neutral; otherwise vertices, the person included.
        whitened: Every coefficient has unit deviation; otherwise they keep their proportions.
        votes: So many networks decide by their mean logits.
    """

    suffix: str
    displaced: bool
    whitened: bool
    votes: int

    def read(self, frames: NDArray, neutral: NDArray) -> NDArray[np.float32]:
        """What it reads of a clip, evenly spread.

        Args:
            frames: (T, V, 3) float, millimeters.
            neutral: (V, 3) float, millimeters.

        Returns:
            (32, 3 V) float, millimeters.
        """
        shown = frames[_places(len(frames))]
        return (shown - neutral if self.displaced else shown).reshape(FRAMES, -1)


OURS = Form(suffix="", displaced=True, whitened=True, votes=3)
"""A departure: most of 64 coefficients of vertices tell the person, and single networks differ by seed."""

PUBLISHED = Form(suffix="_vertices", displaced=False, whitened=False, votes=1)
"""The letter of the publication: principal components of the meshes, one network."""


@dataclass(frozen=True, eq=False)
class SequenceClassifier:
    """64 principal coefficients of 32 frames each, then three linear layers.

    Trained as published: 13 epochs of Adam with weight decay 5e-3.

    Args:
        form: What it reads.
        axes: Principal axes of what it reads of recorded training clips.
        networks: One a vote.
    """

    form: Form
    axes: PrincipalAxes
    networks: tuple[nn.Module, ...]

    @staticmethod
    def train(
        data: FaceDataset, clips: Sequence[Clip], *, form: Form = OURS, seed: int = 0
    ) -> SequenceClassifier:
        """Trains on recorded clips."""
        rng = np.random.default_rng(seed)
        sampled = np.concatenate([
            _recorded(data, clip, form)[rng.choice(FRAMES, SAMPLED, replace=False)]
            for clip in track(clips, "reading clips for the classifier")
        ])  # fmt: skip
        axes = principal_axes(
            lambda part: sampled[part], np.arange(len(sampled)), COMPONENTS, label="axes of the classifier"
        )
        plain = SequenceClassifier(form, axes, ())
        codes = [plain._codes(_recorded(data, clip, form)) for clip in track(clips, "reading clips")]
        inputs = torch.from_numpy(np.stack(codes)).flatten(1)
        labels = torch.tensor([clip.expression for clip in clips])
        networks = tuple(
            _trained(inputs, labels, len(data.expressions), 100 * seed + k) for k in range(form.votes)
        )
        return SequenceClassifier(form, axes, networks)

    def seen(self, frames: NDArray, neutral: NDArray) -> NDArray[np.float32]:
        """What the networks see of a clip.

        Args:
            frames: (T, V, 3) float, millimeters.
            neutral: (V, 3) float, millimeters.

        Returns:
            (32, K) float, coefficients.
        """
        return self._codes(self.form.read(frames, neutral))

    def _codes(self, read: NDArray) -> NDArray[np.float32]:
        std = self.axes.std if self.form.whitened else np.sqrt(np.mean(self.axes.std**2))
        codes = (read - self.axes.mean) @ self.axes.axes.T / np.maximum(std, 1e-6)
        return codes.astype(np.float32)

    @torch.no_grad()
    def predict(self, codes: NDArray) -> NDArray[np.int64]:
        """(n,) int: the expression of clips, given their coefficients (n, 32, K) float."""
        inputs = torch.from_numpy(np.asarray(codes, np.float32)).flatten(1)
        logits = torch.stack([network(inputs) for network in self.networks]).mean(0)
        return logits.argmax(1).numpy()


def _places(frames: int) -> NDArray[np.int64]:
    return np.linspace(0, frames - 1, FRAMES).round().astype(int)


def _recorded(data: FaceDataset, clip: Clip, form: Form) -> NDArray[np.float32]:
    """(32, 3 V) what is read of a recorded clip."""
    return form.read(data[clip.rows[_places(len(clip))]], clip_neutral(data, clip))


def _trained(inputs: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = (inputs.shape[1], *WIDTHS)
        layers: list[nn.Module] = []
        for a, b in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        network = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
    optimizer = torch.optim.Adam(network.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(network(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()
