"""Measures a performed data set against what is published for real scans, and against its design.

    mien data build ict --from ict-facekit.tar.xz --subjects 200 --vertices 2500 --out D
    python benchmarks/calibrate_ict.py D

Controls are computed on unseen people (subject split): what another person's displacement costs,
what the class mean costs, and what PCA of the training meshes leaves. The exit code is 1 when a number left
its band: the spreads in ``mien.data.performance.Variation``, or the code that uses them, have changed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.inspect import inspect_dataset

COMPONENTS = (8, 25, 65, 128)
# name -> (lowest, published or designed, highest)
BANDS = {
    "displacement transfer, mm": (2.4, 2.7, 3.0),
    "class mean / displacement transfer": (0.68, 0.71, 0.74),
    "interaction fraction": (0.05, 0.2, 0.3),
    "PCA 8 leaves, mm": (2.0, 2.35, 2.7),
    "PCA 25 leaves, mm": (1.25, 1.45, 1.65),
    "PCA 65 leaves, mm": (0.75, 0.85, 0.95),
    "PCA 128 leaves, mm": (0.5, 0.59, 0.68),
}


def displacements(data: FaceDataset) -> tuple[NDArray, NDArray, NDArray]:
    """(n, V, 3) scan minus own neutral of every expressive row, its person and its label."""
    rows = np.flatnonzero(data.label >= 0)
    return data[rows] - data.neutral_of(rows), data.row_subject[rows], data.label[rows]


def transfer_controls(train: FaceDataset, test: FaceDataset) -> dict[str, float]:
    """Cost of another person's displacement, averaged over all pairs, and of the training mean."""
    learned, _, learned_label = displacements(train)
    moved, person, label = displacements(test)
    copied, mean = [], []
    for expression in np.unique(label):
        offsets, people = moved[label == expression], person[label == expression]
        center = learned[learned_label == expression].mean(axis=0)
        mean.append(np.linalg.norm(offsets - center, axis=2).mean())
        for row, own in zip(offsets, people, strict=True):
            copied.append(np.linalg.norm(offsets[people != own] - row, axis=2).mean())
    transfer = float(np.mean(copied))
    return {
        "displacement transfer, mm": transfer,
        "class mean / displacement transfer": float(np.mean(mean)) / transfer,
    }


def pca_residuals(train: FaceDataset, test: FaceDataset) -> dict[str, float]:
    """Mean vertex distance that PCA of all training meshes leaves on unseen people."""
    known, unseen = train[:].reshape(len(train), -1), test[:].reshape(len(test), -1)
    center = known.mean(axis=0)
    known, unseen = known - center, unseen - center
    # The Gram matrix is small: thousands of meshes, not tens of thousands of coordinates.
    values, vectors = np.linalg.eigh((known @ known.T).astype(np.float64))
    order = np.argsort(values)[::-1][: min(max(COMPONENTS), len(train) - 1)]
    axes = known.T @ (vectors[:, order] / np.sqrt(np.maximum(values[order], 1e-12))).astype(np.float32)
    codes, result = unseen @ axes, {}
    for count in COMPONENTS:
        left = (unseen - codes[:, :count] @ axes[:, :count].T).reshape(len(test), -1, 3)
        result[f"PCA {count} leaves, mm"] = float(np.linalg.norm(left, axis=2).mean())
    return result


def main() -> int:
    """Prints the table; 1 when a number is out of its band."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="A data set with neutrals, such as ict or procedural.")
    data = FaceDataset.load(parser.parse_args().data)
    train, test = data.split("train"), data.split("test")
    facts = inspect_dataset(data)
    found = transfer_controls(train, test) | pca_residuals(train, test)
    found["interaction fraction"] = facts["interaction_fraction"]
    lines = [f"{'':38}{'measured':>9}{'target':>9}   band"]
    for name, (low, target, high) in BANDS.items():
        mark = "" if low <= found[name] <= high else "  <- out of its band"
        lines.append(f"{name:38}{found[name]:9.3f}{target:9.3f}   {low:g} to {high:g}{mark}")
    for name in ("rigid_residual_mm", "between_person_mm", "between_expression_mm", "interaction_mm"):
        lines.append(f"{name:38}{facts[name]:9.3f}")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(not low <= found[name] <= high for name, (low, _, high) in BANDS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
