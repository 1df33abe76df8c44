"""Similarity networks: embeddings with the distance below which two faces count as the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mien.data.dataset import FaceDataset
from mien.errors import BadFile, Unsupported
from mien.evaluation.distances import Meshes
from mien.evaluation.generation.embedding import (
    AxesEmbedder,
    GroupSampler,
    PictureEmbedder,
    embed,
    train_embedder,
)
from mien.evaluation.generation.metrics import embedding_distance
from mien.io.atomic import write_bytes
from mien.topology import Topology, cache_folder

Embedder: TypeAlias = PictureEmbedder | AxesEmbedder
FOLDER = "similarity_networks"
"""Where trained networks are kept, beside the data or in the cache."""
VERSION = 3
"""Part of the key of cached networks; raise it when training or the choice of the threshold changes."""


@dataclass(frozen=True)
class Training:
    """How similarity networks are trained.

    Args:
        kind: ``pictures`` (ResNet-18 on normals, as published) or ``lite`` (principal components).
        size: Pixels of a picture's side, or number of components.
        steps: Updates.
        groups: Labels in a batch.
        members: Faces of each label in a batch.
        rate: Largest learning rate of Adam.
        margin: Of the triplet loss.
        virtual: Share of faces shown on people who do not exist.
        seed: Of weights and batches.
    """

    kind: str
    size: int
    steps: int
    groups: int = 16
    members: int = 4
    rate: float = 1e-3
    margin: float = 0.2
    virtual: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Threshold:
    """A distance between embeddings, and what it does on held-out real pairs.

    Args:
        distance: tau: faces whose embeddings are nearer count as the same.
        accuracy: Share of right answers on equally many same and different pairs.
        far: False accept rate: different pairs that count as the same.
        ceiling: Other real pairs with the same label that count as the same.
        floor: Random real pairs that count as the same.
        pairs: Same and different pairs that the threshold was chosen on.
        faces: Held-out faces the pairs were drawn from.
    """

    distance: float
    accuracy: float
    far: float
    ceiling: float
    floor: float
    pairs: int
    faces: int


@dataclass(frozen=True)
class SimilarityNetwork:
    """A network that tells whether two faces show the same person, expression or other factor.

    Args:
        factor: ``identity``, ``expression`` or a further factor of the data set.
        training: How it was trained.
        network: (B, V, 3) to (B, 128).
        threshold: Chosen on held-out people.
        source: ``trained`` or the file it was read from.
    """

    factor: str
    training: Training
    network: nn.Module
    threshold: Threshold
    source: str = "trained"

    def embed(self, meshes: Meshes | Iterable[Meshes]) -> NDArray[np.float32]:
        """Embeddings of faces.

        Args:
            meshes: (n, V, 3) float, millimeters, or parts of them.

        Returns:
            (n, 128) float, unit vectors.
        """
        parts = _split(meshes) if isinstance(meshes, np.ndarray) else (torch.from_numpy(m) for m in meshes)
        return embed(self.network, iter(parts), next(self.network.parameters()).device)


def _split(meshes: Meshes) -> Iterator[Tensor]:
    return (torch.from_numpy(meshes[k : k + 128]) for k in range(0, len(meshes), 128))


def choose_threshold(
    same: NDArray, different: NDArray, *, most_far: float = 0.10
) -> tuple[float, float, float]:
    """The threshold of highest accuracy among those that accept at most 10 % of the different pairs.

    Args:
        same: (n,) float. Distances of embeddings of pairs with the same label.
        different: (n,) float. Distances of embeddings of pairs with different labels.
        most_far: Largest false accept rate.

    Returns:
        threshold: In the middle between two measured distances.
        accuracy: Mean of the shares of right answers on both kinds of pairs.
        far: Share of different pairs below the threshold.
    """
    edges = np.unique(np.concatenate([same, different]))
    middles = np.concatenate([[edges[0] / 2], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 1e-6]])
    accepted = np.searchsorted(np.sort(same), middles) / len(same)
    far = np.searchsorted(np.sort(different), middles) / len(different)
    accuracy = np.where(far <= most_far, (accepted + 1 - far) / 2, -1.0)
    best = int(accuracy.argmax())
    return float(middles[best]), float(accuracy[best]), float(far[best])


def measure_threshold(embeddings: NDArray, labels: NDArray, *, pairs: int = 5000, seed: int = 0) -> Threshold:
    """Chooses the threshold on random pairs of held-out faces, and measures it on others.

    Args:
        embeddings: (n, D) unit vectors of held-out faces.
        labels: (n,) int.
        pairs: Pairs of each kind, or as many as there are.
        seed: Of the pairs.

    Raises:
        Unsupported: No two held-out faces share a label, or all do.
    """
    first, second = np.triu_indices(len(labels), 1)
    same = labels[first] == labels[second]
    generator = np.random.default_rng([seed, 583])
    kinds = [generator.permutation(np.flatnonzero(same == kind)) for kind in (True, False)]
    count = min(pairs, *(len(kind) // 2 for kind in kinds))
    if count < 1:
        raise Unsupported(
            "held-out people have no pairs of faces with the same label and with different labels"
        )
    apart = embedding_distance(embeddings[first], embeddings[second])
    threshold, accuracy, far = choose_threshold(*(apart[kind[:count]] for kind in kinds))
    fresh = kinds[0][count : 2 * count]
    floor = float((apart < threshold).mean())
    ceiling = float((apart[fresh] < threshold).mean())
    return Threshold(threshold, accuracy, far, ceiling, floor, count, len(labels))


def label_numbers(data: FaceDataset, factor: str) -> NDArray[np.int64]:
    """(n,) int: person, expression (-1 neutral), or class of a further factor; -2 without a clear label."""
    known = data.row_labeled(factor)
    if factor in data.classes:
        return np.where(known, data.classes[factor][data.rows], -2).astype(np.int64)
    if factor == "identity":
        return np.where(known, data.row_subject, -2).astype(np.int64)
    strong = data.is_neutral | (data.row_weights.max(axis=1, initial=0) >= 0.5)
    return np.where(known & strong, data.label, -2)


def similarity_network(
    train: FaceDataset, held: FaceDataset, factor: str, training: Training, *, division: str,
    device: torch.device | str = "cpu", most: int = 1500,
) -> SimilarityNetwork:  # fmt: skip
    """The network of a factor, read from the cache beside the data or trained and kept there.

    Args:
        train: Training faces.
        held: Faces of other people.
        factor: ``identity``, ``expression`` or a further factor of the data set.
        training: How to train.
        division: Names the data set by content, the protocol and its seed.
        device: Where to train and run.
        most: Most held-out faces for the threshold.
    """
    key = _key(factor, training, division)
    network = _network(train.topology, training)
    folders = _folders(train)
    for folder in folders:
        path = folder / f"{factor}-{training.kind}-{key}.safetensors"
        if path.exists():
            return SimilarityNetwork(factor, training, network.to(device), _read(path, network), str(path))
    threshold = _trained(network, train, held, factor, training, torch.device(device), most)
    writable = next((folder for folder in folders if _writable(folder)), None)
    found = SimilarityNetwork(factor, training, network, threshold)
    if writable is None:
        return found
    path = writable / f"{factor}-{training.kind}-{key}.safetensors"
    notes = {"threshold": json.dumps(asdict(threshold)), "training": json.dumps(asdict(training))}
    state = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    write_bytes(path, save(state, notes))
    return replace(found, source=str(path))


def _trained(
    network: Embedder, train: FaceDataset, held: FaceDataset, factor: str, training: Training,
    device: torch.device, most: int,
) -> Threshold:  # fmt: skip
    """Trains the network in place and chooses its threshold."""
    labels = label_numbers(held, factor)
    rows = np.flatnonzero(labels != -2)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    if len(np.unique(labels[rows])) in (0, 1, len(rows)):
        raise Unsupported(f"the held-out people have too few {factor} labels to choose a threshold")
    network.prepare(train)
    context = label_numbers(train, "identity" if factor != "identity" else "expression")
    sampler = GroupSampler(
        train, label_numbers(train, factor), context, groups=training.groups, members=training.members,
        virtual=training.virtual,
    )  # fmt: skip
    train_embedder(
        network, sampler, steps=training.steps, rate=training.rate, margin=training.margin,
        seed=training.seed, device=device, label=f"training the {factor} network ({training.kind})",
    )  # fmt: skip
    parts = (torch.from_numpy(held[rows[k : k + 128]]) for k in range(0, len(rows), 128))
    return measure_threshold(embed(network, parts, device), labels[rows], seed=training.seed)


def _network(topology: Topology, training: Training) -> Embedder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        if training.kind == "lite":
            return AxesEmbedder(topology, training.size)
        return PictureEmbedder(topology, training.size).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _key(factor: str, training: Training, division: str) -> str:
    facts = json.dumps([VERSION, division, factor, asdict(training)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _folders(data: FaceDataset) -> list[Path]:
    """Where networks may lie: beside the data, else in the cache."""
    beside = [data.folder / FOLDER] if data.folder else []
    return [*beside, cache_folder() / FOLDER]


def _writable(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)


def _read(path: Path, network: nn.Module) -> Threshold:
    """Fills the network and returns its threshold."""
    try:
        with safe_open(path, "pt") as file:
            notes: dict[str, Any] = json.loads(file.metadata()["threshold"])
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
        network.eval()
        return Threshold(**notes)
    except Exception as error:  # the format's own errors derive from Exception alone
        raise BadFile(
            "the file of a similarity network is damaged",
            received=str(path),
            remedy="delete it; it is trained again",
        ) from error
