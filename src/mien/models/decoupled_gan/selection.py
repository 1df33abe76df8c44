"""Which weights of an adversarial training keep factors apart, by linear classifiers of real faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.labels import Labels
from mien.nn.principal import BLOCK, principal_axes

#: Most training faces that the principal components are computed from.
AXES_FROM = 1500


class CheckpointSelector:
    """Tests a generator by the labels of real faces, on axes that training does not use.

    For each factor, the discriminant axes of Fisher: directions in which classes lie far apart and the faces
    of a class near together. Two faces count as the same when they are nearer than most real faces with the
    same label are. Wanted is that faces with the same free code count as the same, and random faces do not;
    the difference of both shares cannot be had by making all faces alike. Codes of labels, too, should
    give faces of their class (the GAN-test of Shmelkov, Schmid and Alahari, "How good is my GAN?", ECCV
    2018); of identity labels that is not asked, as nobody needs the people of training again. And
    random faces should lie as far apart as training faces do.

    Args:
        data: Training faces with the labels that training may see.
        labels: Their classes, by factor.
        factors: Which of them to test.
        size: Principal components.
    """

    def __init__(
        self, data: FaceDataset, labels: Mapping[str, Labels], factors: Sequence[str], size: int = 48
    ) -> None:
        rows = np.unique(np.linspace(0, len(data) - 1, min(len(data), AXES_FROM)).round().astype(np.int64))
        found = principal_axes(data.__getitem__, rows, size, label="components for the selection of weights")
        scaled = found.axes / np.maximum(found.std, 1e-6)[:, None]
        self.mean, self.axes = torch.from_numpy(found.mean), torch.from_numpy(scaled).T
        parts = _blocks(np.random.default_rng(0).permutation(rows))
        apart = [_apart(torch.from_numpy(data[part])) for part in parts]
        self.diversity = float(np.average(apart, weights=[len(part) for part in parts]))
        self.names = {name: labels[name].names for name in factors}
        #: Discriminant axes, means of the classes, and the distance within which faces count as the same.
        self.classifiers: dict[str, tuple[Tensor, Tensor, float]] = {}
        for name in factors:
            known = labels[name].known
            if len(labels[name].names) < 2:
                continue
            points = torch.cat([self._points(torch.from_numpy(data[part])) for part in _blocks(known)])
            label = labels[name].index[known]
            axes, means = map(torch.from_numpy, discriminant(points.numpy(), label))
            self.classifiers[name] = axes, means, same_distance((points @ axes).numpy(), label)

    def _points(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) to (B, size) components, in deviations of the training faces."""
        return (vertices.flatten(1).cpu() - self.mean) @ self.axes

    @torch.no_grad()
    def errors(self, model: Any, count: int = 200) -> dict[str, float]:
        """Percent of failures; the first value is the mean of the others.

        ``apart``: 100 minus same codes that count as the same, plus random faces that do. ``named``: faces of
        a label's code that are nearest to another class.

        Args:
            model: With ``sample``, ``decode``, ``label_codes`` and ``class_names``. All tests of a run draw
                the same codes.
            count: Faces of each test.
        """
        faces = model.decode(model.sample(count, generator=torch.Generator().manual_seed(1)).to(model.device))
        result = {"diversity": 100 * abs(1 - _apart(faces) / self.diversity)}
        for name, (axes, means, most) in self.classifiers.items():
            generator = torch.Generator().manual_seed(0)
            codes, others = (model.sample(count, generator=generator) for _ in range(2))

            def placed(drawn: Codes, axes: Tensor = axes) -> Tensor:
                return self._points(model.decode(drawn.to(model.device))) @ axes

            first, kin = placed(codes), placed(others.replace(**{name: codes.factor(name)}))
            same = (first - kin).norm(dim=1) < most
            random = torch.pdist(first) < most
            result[f"apart_{name}"] = 100 * float(1 - same.float().mean() + random.float().mean())
            if name == "identity":
                continue
            wanted = torch.arange(count) % len(means)
            every = list(model.class_names(name))
            places = torch.tensor([every.index(label) for label in self.names[name]])
            asked = model.label_codes(name)[places[wanted].to(model.device)]
            named = torch.cdist(placed(others.replace(**{name: asked})), means).argmin(1)
            result[f"named_{name}"] = 100 * float((named != wanted).float().mean())
        return {"confusion": float(np.mean(list(result.values()))), **result}


def _apart(faces: Tensor) -> float:
    """Mean vertex distance of neighbors among (B, V, 3) faces in random order."""
    return float((faces - faces.roll(1, 0)).norm(dim=2).mean())


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]


def same_distance(points: NDArray[np.float32], label: NDArray[np.int64], share: float = 0.95) -> float:
    """The decoupled GAN's limit for the same person or expression: within it ``share`` of such pairs lie.

    Args:
        points: (n, D) float.
        label: (n,) int.
        share: 0 to 1.
    """
    generator = np.random.default_rng(0)
    order = np.argsort(label, kind="stable")
    kin = [generator.permutation(part) for part in np.split(order, np.flatnonzero(np.diff(label[order])) + 1)]
    apart = [np.linalg.norm(points[part] - points[np.roll(part, 1)], axis=1) for part in kin if len(part) > 1]
    return float(np.quantile(np.concatenate(apart), share)) if apart else 0.0


def discriminant(
    points: NDArray[np.float32], label: NDArray[np.int64], shrinkage: float = 0.1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fisher's discriminant axes, scaled so that faces of one class deviate by 1 in every direction.

    Args:
        points: (n, K) float.
        label: (n,) int, 0 to C - 1.
        shrinkage: Share of the within-class variance that is taken as the same in all directions: classes
            may have fewer faces than there are directions.

    Returns:
        axes: (K, min(K, C - 1)).
        means: (C, min(K, C - 1)) of the classes, in these axes.
    """
    points = points.astype(np.float64)
    counts = np.bincount(label)
    means = np.zeros((len(counts), points.shape[1]))
    np.add.at(means, label, points)
    means /= counts[:, None]
    within = np.cov(points - means[label], rowvar=False, bias=True)
    within += shrinkage * (np.trace(within) / len(within) * np.eye(len(within)) - within)
    values, vectors = np.linalg.eigh(within)
    white = vectors / np.sqrt(np.maximum(values, 1e-12))
    centers = (means - means.mean(axis=0)) @ white
    directions = np.linalg.svd(centers, full_matrices=False)[2][: min(len(counts) - 1, len(white))]
    axes = white @ directions.T
    return axes.astype(np.float32), (means @ axes).astype(np.float32)
