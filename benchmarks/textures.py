"""How a model's textures follow people, performances and intensities.

    python benchmarks/textures.py RUN --data DIR [--people 40] [--seed 0]

Training people are generated from their own z_id, without noise, and compared with their maps in the part
that the model generates, at its own resolution; values are gray levels of 255. New people sweep every
expression through 15 intensities from 0 to 1.5.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.textures import Textures
from mien.evaluation.generation.intensity import LEVELS
from mien.evaluation.generation.metrics import intensity_rho
from mien.models import load_model
from mien.progress import track


def images_of(model: Any, z_id: torch.Tensor, z_exp: torch.Tensor, noise: torch.Tensor | None) -> NDArray:
    """(n, 3, S, S) float, 0..255, of one person with n labels."""
    with torch.no_grad():
        shown = model.painter.images(z_id.expand(len(z_exp), -1), z_exp, noise)
    return (shown.numpy() + 1) * 127.5


def labels_of(model: Any) -> torch.Tensor:
    """(1 + E, n_exp) z_exp of neutral and of every expression, as ``express`` gives them."""
    weights = torch.cat([torch.zeros(1, len(model.expressions)), torch.eye(len(model.expressions))])
    return model.express(weights)[:, model.sizes[1] : -1]


def against_truth(model: Any, data: FaceDataset, count: int) -> dict[str, float]:
    """Errors of training people at rest, whom they resemble, and how much of their performances is there."""
    train = data.split("train")
    train = train.take(train.has_textures & train.row_labeled("expression"))
    maps, labels = Textures(train, model.painter.size, crop=model.painter.box), labels_of(model)
    rests = maps[np.flatnonzero(train.is_neutral)].astype(np.float32)
    owners = train.row_subject[train.is_neutral]
    shown = owners[np.linspace(0, len(owners) - 1, min(count, len(owners))).astype(int)]
    wrong, own, moved, sums = [], [], [], np.zeros((len(labels) - 1, 3))
    for person in track(shown.tolist(), "training people"):
        z_id = model.z_people[[model.people.index(data.subjects[person])]]
        made = images_of(model, z_id, labels, None)
        distance = np.abs(rests - made[0]).mean(axis=(1, 2, 3))
        wrong.append(distance[owners == person].min())
        own.append(owners[distance.argmin()] == person)
        for row in np.flatnonzero(train.row_subject == person):
            if (label := int(train.label[row])) >= 0:
                truth = maps[[row]][0] - rests[owners == person][0]
                change = made[1 + label] - made[0]
                sums[label] += (change * truth).sum(), (truth**2).sum(), (change**2).sum()
                moved.append(np.abs(truth).mean())
    product, truth, change = sums.sum(axis=0)
    by_label = sums[:, 0] / np.sqrt(sums[:, 1] * sums[:, 2]).clip(1e-9)
    best, worst = int(by_label.argmax()), int(by_label.argmin())
    return {
        "rest_error": float(np.mean(wrong)), "mean_image_error": float(np.abs(rests - rests.mean(0)).mean()),
        "nearest_is_own_percent": 100 * float(np.mean(own)), "performance_mean_change": float(np.mean(moved)),
        "performance_explained_percent": 100 * float(1 - (truth + change - 2 * product) / truth),
        "performance_correlation": float(product / np.sqrt(truth * change)),
        f"performance_correlation_best/{model.expressions[best]}": float(by_label[best]),
        f"performance_correlation_worst/{model.expressions[worst]}": float(by_label[worst]),
    }  # fmt: skip


def over_intensities(model: Any, count: int, seed: int) -> dict[str, float]:
    """Rank correlation of asked intensity and change of the image, and its least even step."""
    people = model.sample(count, generator=torch.Generator().manual_seed(seed))
    rank, uneven, beyond = [], [], []
    for k in track(range(count), "new people"):
        z_id = people.identity[k : k + 1, model.sizes[0] : -1]
        for label in labels_of(model)[1:]:
            z_exp = torch.from_numpy(LEVELS).float()[:, None] * label
            noise = people.others["texture"][k : k + 1].expand(len(LEVELS), -1)
            sweep = images_of(model, z_id, z_exp, noise)
            change = np.abs(sweep - sweep[0]).mean(axis=(1, 2, 3))
            steps = np.abs(np.diff(sweep, axis=0)).mean(axis=(1, 2, 3))
            rank.append(intensity_rho(np.round(change, 6)))
            uneven.append(steps.max() / steps.mean())
            beyond.append(change[-1] / np.interp(1.0, LEVELS, change))
    by_label = np.reshape(rank, (count, -1)).mean(axis=0)
    worst = int(by_label.argmin())
    return {
        "intensity_rank_correlation": float(np.mean(rank)),
        f"intensity_rank_correlation_worst/{model.expressions[worst]}": float(by_label[worst]),
        "largest_step_over_mean_step": float(np.mean(uneven)), "change_at_1_5_over_1": float(np.mean(beyond)),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_model(str(options.run))
    found = against_truth(model, FaceDataset.load(options.data), options.people)
    found |= over_intensities(model, max(2, options.people // 4), options.seed)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
