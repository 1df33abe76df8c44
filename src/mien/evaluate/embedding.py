"""Networks that judge whether two faces show the same person, or the same expression.

Reference: Abrevaya, Boukhayma, Wuhrer and Boyer, "A Decoupled 3D Facial Model by Adversarial Training",
ICCV 2019, section 5.3 and supplement: ResNet-18 on orthographic pictures of normals, 128 numbers of unit
length, trained with the triplet loss of Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015.

The network ``lite`` reads principal components of the vertices instead of pictures. Its numbers are not
comparable with those of the other and never stand in one table with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data.dataset import FaceDataset
from mien.data.sampling import mixing_weights
from mien.errors import BadSetting
from mien.geometry.orthographic import Screen, normal_images
from mien.nn.principal import principal_axes
from mien.nn.resnet import ResNet18
from mien.progress import track
from mien.topology import Topology

EMBEDDING = 128
#: Most training faces that the principal components are computed from.
AXES_FROM = 4000
SEED_SALT = 582


class PictureEmbedder(nn.Module):
    """ResNet-18 on pictures of normals.

    Args:
        topology: What the faces share.
        size: Side of the pictures in pixels; the paper takes 224.
    """

    def __init__(self, topology: Topology, size: int) -> None:
        super().__init__()
        self.screen = Screen.around(topology, size)
        self.register_buffer("faces", torch.from_numpy(topology.faces).long(), persistent=False)
        self.network = ResNet18(EMBEDDING)

    def forward(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) millimeters to (B, 128) unit vectors."""
        images = normal_images(vertices, cast(Tensor, self.faces), self.screen)
        images = images.contiguous(memory_format=torch.channels_last)  # a quarter faster on processors
        return nn.functional.normalize(self.network(images), dim=1)


class AxesEmbedder(nn.Module):
    """Two hidden layers on whitened principal components.

    Args:
        topology: What the faces share.
        size: How many components.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, topology: Topology, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(topology.vertex_count * 3))
        self.register_buffer("axes", torch.zeros(size, topology.vertex_count * 3))
        self.network = nn.Sequential(
            nn.Linear(size, 512), nn.BatchNorm1d(512), nn.ReLU(),
            nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING),
        )  # fmt: skip

    def prepare(self, data: FaceDataset) -> None:
        """Measures the components on training faces."""
        rows = np.arange(len(data))
        if len(rows) > AXES_FROM:
            rows = rows[np.linspace(0, len(rows) - 1, AXES_FROM).astype(int)]
        found = principal_axes(data.__getitem__, rows, len(self.axes), label="components for the judges")
        self.mean = torch.from_numpy(found.mean).to(self.mean.device)
        self.axes = torch.zeros_like(self.axes)  # fewer faces than components leave zeros
        scaled = found.axes / np.maximum(found.std, 1e-6)[:, None]
        self.axes[: len(scaled)] = torch.from_numpy(scaled)

    def forward(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) millimeters to (B, 128) unit vectors."""
        return nn.functional.normalize(self.network((vertices.flatten(1) - self.mean) @ self.axes.T), dim=1)


def triplet_loss(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean of ``max(0, ||a - p||^2 - ||a - n||^2 + margin)`` over the triplets of a batch where it is not 0.

    Args:
        embeddings: (B, D) unit vectors.
        labels: (B,) int. p has the label of a and n has not.
        margin: Of squared distances, which lie in 0..4.
    """
    distance = 2 - 2 * embeddings @ embeddings.T
    same = labels[:, None] == labels[None]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    excess = (distance[:, :, None] - distance[:, None, :] + margin).clamp_min(0)
    excess = excess * (positive[:, :, None] & ~same[:, None, :])
    return excess.sum() / (excess > 0).sum().clamp_min(1)


class GroupSampler:
    """Batches of a few labels with a few faces each, partly of people who do not exist.

    A virtual person is a mixture of the mean scans of all training people, as varied as real ones; a face
    moves along by what its own person's mean is moved (see :func:`mien.data.sampling.virtual_people`). For
    the identity network the faces of one label move together and become one new label.

    Args:
        data: Training faces.
        labels: (n,) int. -2 where there is none.
        groups: Labels in a batch.
        members: Faces of each.
        virtual: Probability that faces are moved.
        together: Faces of one label move together.
    """

    def __init__(
        self, data: FaceDataset, labels: NDArray, *, groups: int, members: int, virtual: float, together: bool
    ) -> None:
        kinds, counts = np.unique(labels[labels != -2], return_counts=True)
        self.rows = [np.flatnonzero(labels == kind) for kind in kinds[counts > 1]]
        if len(self.rows) < 2:
            raise BadSetting(
                "a judge needs two labels with two faces each in the training part",
                received=f"{len(self.rows)} labels",
            )
        self.data, self.groups, self.members = data, min(groups, len(self.rows)), members
        self.virtual, self.together = virtual, together
        self.owner, self.people = _mean_scans(data) if virtual else (np.zeros(0, np.int64), torch.zeros(0))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(B, V, 3) millimeters and (B,) labels of a batch."""
        chosen = torch.randperm(len(self.rows), generator=generator)[: self.groups].tolist()
        rows = np.concatenate([self._members(self.rows[k], generator) for k in chosen])
        vertices = torch.from_numpy(self.data[rows])
        if self.virtual:
            vertices = vertices + self._shifts(rows, generator)
        return vertices, torch.arange(self.groups).repeat_interleave(self.members)

    def _members(self, rows: NDArray, generator: torch.Generator) -> NDArray:
        if len(rows) >= self.members:
            return rows[torch.randperm(len(rows), generator=generator)[: self.members].numpy()]
        return rows[torch.randint(len(rows), (self.members,), generator=generator).numpy()]

    def _shifts(self, rows: NDArray, generator: torch.Generator) -> Tensor:
        """(B, V, 3) from each face's own person to a virtual one; zeros where the face stays."""
        count = self.groups if self.together else len(rows)
        mixture = (mixing_weights(count, len(self.people), generator) @ self.people.flatten(1)).view(
            count, -1, 3
        )
        moved = torch.rand(count, generator=generator) < self.virtual
        if self.together:
            mixture, moved = (value.repeat_interleave(self.members, 0) for value in (mixture, moved))
        owner = torch.from_numpy(self.owner[rows])
        return (mixture - self.people[owner.clamp_min(0)]) * (moved & (owner >= 0))[:, None, None]


def _mean_scans(data: FaceDataset) -> tuple[NDArray[np.int64], Tensor]:
    """(n,) position of each row's person (-1 for unknown people) and (P, V, 3) their mean scans."""
    known = data.row_labeled("identity")
    people = np.unique(data.row_subject[known])
    owner = np.where(known, np.searchsorted(people, data.row_subject), -1)
    means = [data[np.flatnonzero(owner == k)].mean(axis=0) for k in range(len(people))]
    return owner, torch.from_numpy(np.stack(means))


def train_embedder(
    embedder: nn.Module, sampler: GroupSampler, *, steps: int, rate: float, margin: float, seed: int,
    device: torch.device, label: str,
) -> float:  # fmt: skip
    """Trains in place with Adam and one cycle of the learning rate; returns the mean loss of the last tenth.

    Args:
        embedder: (B, V, 3) to unit vectors.
        sampler: Draws the batches.
        steps: Updates.
        rate: Largest learning rate.
        margin: Of the triplet loss.
        seed: Of the batches.
        device: Where to train.
        label: What the progress bar says.
    """
    generator = torch.Generator().manual_seed(seed)
    embedder.to(device).train()
    optimizer = torch.optim.Adam(embedder.parameters(), rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    losses = []
    for _ in track(range(steps), label):
        vertices, labels = sampler.draw(generator)
        loss = triplet_loss(embedder(vertices.to(device)), labels.to(device), margin)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
        losses.append(float(loss.detach()))
    embedder.eval()
    return float(np.mean(losses[-max(1, steps // 10) :]))


@torch.no_grad()
def embed(embedder: nn.Module, parts: Iterator[Tensor], device: torch.device) -> NDArray[np.float32]:
    """(n, 128) embeddings of faces that come a few at a time."""
    found = [embedder(part.to(device, torch.float32)).cpu() for part in parts]
    return torch.cat(found).numpy() if found else np.zeros((0, EMBEDDING), np.float32)
