"""Embedding networks, and how they learn to tell persons, or expressions, apart.

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
from mien.evaluation.generation.resnet import ResNet18
from mien.geometry.orthographic import Screen, normal_images
from mien.nn.principal import principal_axes
from mien.progress import track
from mien.topology import Topology

EMBEDDING = 128
#: Most training faces that the principal components are computed from.
AXES_FROM = 4000
#: Most training faces that the mean picture is computed from.
PICTURES_FROM = 512
SEED_SALT = 582


class PictureEmbedder(nn.Module):
    """ResNet-18 on pictures of normals.

    Faces look alike, so that embeddings of a fresh network nearly coincide and the triplet loss hardly moves
    them. The mean training picture is subtracted, and a batch normalization without parameters spreads the
    outputs before they are made unit length; the paper says nothing about either.

    Args:
        topology: What the faces share.
        size: Side of the pictures in pixels; the paper takes 224.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, topology: Topology, size: int) -> None:
        super().__init__()
        self.screen = Screen.around(topology, size)
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("faces", torch.from_numpy(topology.faces).long(), persistent=False)
        self.network = ResNet18(EMBEDDING)
        self.outputs = nn.BatchNorm1d(EMBEDDING, affine=False)

    def prepare(self, data: FaceDataset) -> None:
        """Measures mean and spread of the pictures on training faces."""
        rows = _evenly(len(data), PICTURES_FROM)
        faces, total, squares = self.get_buffer("faces").cpu(), torch.zeros(self.mean.shape), 0.0
        for start in range(0, len(rows), 64):
            images = normal_images(torch.from_numpy(data[rows[start : start + 64]]), faces, self.screen)
            total += images.sum(0)
            squares += float(images.square().sum())
        mean = total / len(rows)
        variance = squares / len(rows) / mean.numel() - float(mean.square().mean())
        self.mean = mean.to(self.mean.device)
        self.spread = torch.tensor(max(variance, 1e-12) ** 0.5).to(self.spread.device)

    def forward(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) float, millimeters, to (B, 128) float, unit vectors."""
        images = normal_images(vertices, cast(Tensor, self.faces), self.screen)
        images = ((images - self.mean) / self.spread).contiguous(
            memory_format=torch.channels_last
        )  # a quarter faster on processors
        return nn.functional.normalize(self.outputs(self.network(images)), dim=1)


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
        rows = _evenly(len(data), AXES_FROM)
        found = principal_axes(data.__getitem__, rows, len(self.axes), label="components for the networks")
        self.mean = torch.from_numpy(found.mean).to(self.mean.device)
        self.axes = torch.zeros_like(self.axes)  # fewer faces than components leave zeros
        scaled = found.axes / np.maximum(found.std, 1e-6)[:, None]
        self.axes[: len(scaled)] = torch.from_numpy(scaled)

    def forward(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) float, millimeters, to (B, 128) float, unit vectors."""
        return nn.functional.normalize(self.network((vertices.flatten(1) - self.mean) @ self.axes.T), dim=1)


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """All rows, or ``most`` of them, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def triplet_loss(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean of ``max(0, ||a - p||^2 - ||a - n||^2 + margin)`` over the triplets of a batch where it is not 0.

    Args:
        embeddings: (B, D) float, unit vectors.
        labels: (B,) int. p has the label of a and n has not.
        margin: Of squared distances, which lie in 0..4.

    Returns:
        Scalar.
    """
    distance = 2 - 2 * embeddings @ embeddings.T
    same = labels[:, None] == labels[None]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    excess = (distance[:, :, None] - distance[:, None, :] + margin).clamp_min(0)
    excess = excess * (positive[:, :, None] & ~same[:, None, :])
    return excess.sum() / (excess > 0).sum().clamp_min(1)


class GroupSampler:
    """Batches of a few labels with a few faces each, crossed with the other factor.

    Every label of a batch is shown in the same few contexts: expressions by the same people, people with the
    same expressions. So the triplets hold the hardest negatives there are, and what is not asked for cannot
    tell labels apart.

    Part of the people do not exist: a virtual person is a mixture of the mean scans of all training people,
    as varied as real ones, and all faces of a person in the batch move along by what the person's mean is
    moved (see :func:`mien.data.sampling.virtual_people`).

    Args:
        data: Training faces.
        labels: (n,) int. -2 where there is none.
        context: (n,) int. Label of the other factor; -2 where there is none.
        groups: Labels in a batch.
        members: Faces of each.
        virtual: Probability that a person is moved.
    """

    def __init__(
        self,
        data: FaceDataset,
        labels: NDArray,
        context: NDArray,
        *,
        groups: int,
        members: int,
        virtual: float,
    ) -> None:
        kinds, counts = np.unique(labels[labels != -2], return_counts=True)
        self.rows = [np.flatnonzero(labels == kind) for kind in kinds[counts > 1]]
        if len(self.rows) < 2:
            raise BadSetting(
                "a similarity network needs two labels with two faces each in the training part",
                received=f"{len(self.rows)} labels",
            )
        self.data, self.groups, self.members = data, min(groups, len(self.rows)), members
        self.context, self.virtual = context, virtual
        self.owner, self.people = _mean_scans(data) if virtual else (np.zeros(0, np.int64), torch.zeros(0))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(B, V, 3) float, millimeters, and (B,) int, labels of a batch."""
        chosen = torch.randperm(len(self.rows), generator=generator)[: self.groups].tolist()
        first = self.rows[chosen[0]]
        contexts = np.unique(self.context[first])
        order = torch.randperm(len(contexts), generator=generator)[: self.members].numpy()
        wanted = np.resize(contexts[order], self.members)
        rows = np.concatenate([self._members(self.rows[k], wanted, generator) for k in chosen])
        vertices = torch.from_numpy(self.data[rows])
        if self.virtual:
            vertices = vertices + self._shifts(rows, generator)
        return vertices, torch.arange(self.groups).repeat_interleave(self.members)

    def _members(self, rows: NDArray, wanted: NDArray, generator: torch.Generator) -> NDArray:
        """One row of each wanted context, or any row of the label where there is none."""
        found = []
        for context in wanted:
            fitting = rows[(self.context[rows] == context) & (context != -2)]
            fitting = fitting if len(fitting) else rows
            found.append(fitting[int(torch.randint(len(fitting), (1,), generator=generator))])
        return np.array(found)

    def _shifts(self, rows: NDArray, generator: torch.Generator) -> Tensor:
        """(B, V, 3) from each face's own person to a virtual one; zeros where the person stays."""
        owners, person = np.unique(self.owner[rows], return_inverse=True)
        mixture = mixing_weights(len(owners), len(self.people), generator) @ self.people.flatten(1)
        moved = torch.rand(len(owners), generator=generator) < self.virtual
        owner = torch.from_numpy(owners)
        shift = (mixture - self.people.flatten(1)[owner.clamp_min(0)]) * (moved & (owner >= 0))[:, None]
        return shift.view(len(owners), -1, 3)[torch.from_numpy(person)]


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
    """Embeddings of faces that come a few at a time.

    Args:
        embedder: (B, V, 3) millimeters to (B, 128) unit vectors.
        parts: (b, V, 3) float, millimeters, each.
        device: Where to run.

    Returns:
        (n, 128) float, unit vectors.
    """
    found = [embedder(part.to(device, torch.float32)).cpu() for part in parts]
    return torch.cat(found).numpy() if found else np.zeros((0, EMBEDDING), np.float32)
