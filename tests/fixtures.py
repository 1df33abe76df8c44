"""A tiny face-like topology and data with planted identity and expression factors.

Everything is drawn from a fixed seed, so that known answers can be computed next to it.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.models.base import Stage
from mien.topology import Landmarks, Topology

EXPRESSIONS = ("smile", "jaw_open", "brow_raiser", "mouth_left", "eye_closed")


@dataclass(frozen=True)
class Planted:
    """A data set and the factors it was made of.

    Args:
        data: x = template + identity_codes[subject] @ identity_axes + expression.
        identity_axes: (I, V, 3) millimeters per unit of an identity code.
        expression_axes: (E, V, 3) millimeters at full weight.
        identity_codes: (S, I) standard normal.
        neutrals: (S, V, 3) millimeters.
    """

    data: FaceDataset
    identity_axes: NDArray[np.float64]
    expression_axes: NDArray[np.float64]
    identity_codes: NDArray[np.float64]
    neutrals: NDArray[np.float64]


def sheet(columns: int, rows: int, size: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """A flat grid: (columns x rows, 2) positions, millimeters, and triangles that look along +Z."""
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    points = np.stack([x.ravel() * size[0] / 2, y.ravel() * size[1] / 2], axis=1)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner, corner + columns + 1, corner + columns], axis=1)
    return points, np.concatenate([lower, upper])


@lru_cache
def tiny_topology() -> Topology:
    """A curved mask of 10 x 10 vertices and a second component of 4 x 5 vertices behind it (the teeth)."""
    mask, mask_faces = sheet(10, 10, (140, 180))
    teeth, teeth_faces = sheet(4, 5, (36, 20))
    depth = 60 * (1 - (mask[:, 0] / 90) ** 2 - (mask[:, 1] / 130) ** 2)
    front = np.column_stack([mask, depth])
    back = np.column_stack([teeth[:, 0], teeth[:, 1] - 40, 20 - (teeth[:, 0] / 12) ** 2])
    template = np.concatenate([front, back]).astype(np.float32)
    faces = np.concatenate([mask_faces, teeth_faces + len(mask)])
    x, y = template[:, 0], template[:, 1]
    on_mask = np.arange(len(template)) < len(mask)
    regions = {
        "mouth": on_mask & (y < -20) & (np.abs(x) < 45),
        "eyes": on_mask & (y > 10) & (y < 50),
        "brows": on_mask & (y >= 50) & (y < 75),
        "rigid": on_mask & (y > 20) & (np.abs(x) > 30),
    }
    spots = {f"point_{i}": int(i) for i in np.flatnonzero(on_mask)[4::9]}
    mirror = np.array([np.argmin(((template - p * [-1, 1, 1]) ** 2).sum(axis=1)) for p in template], np.int32)
    return Topology(
        "tiny", faces, template, landmarks=Landmarks.at_vertices(spots), regions=regions, mirror=mirror
    )


def with_openings(data: FaceDataset) -> FaceDataset:
    """The same faces with the iBUG landmarks of lips and lids, somewhere on the mask."""
    numbers = [*range(36, 48), *range(60, 68)]
    spots = {f"ibug_{number}": 5 * k + 3 for k, number in enumerate(numbers)}
    return replace(data, topology=replace(data.topology, landmarks=Landmarks.at_vertices(spots)))


def bumps(count: int, amplitude: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """(count, V, 3) smooth displacement fields, millimeters: a few Gaussian bumps each."""
    template = tiny_topology().template
    fields = np.zeros((count, *template.shape))
    for field in fields:
        for center in template[generator.choice(len(template), 3, replace=False)]:
            near = np.exp(-((template - center) ** 2).sum(axis=1) / (2 * 35.0**2))
            field += near[:, None] * generator.normal(size=3)
    rms = np.sqrt((fields**2).sum(axis=2).mean(axis=1))
    return fields * (amplitude / rms)[:, None, None]


@lru_cache
def planted(
    *, subjects: int = 8, identity: int = 4, interaction: float = 0.0, noise: float = 0.0, seed: int = 0
) -> Planted:
    """People x (one neutral + every expression at full weight).

    Args:
        subjects: S people.
        identity: I planted identity axes.
        interaction: Standard deviation of each person's own amplitude of each expression.
        noise: Standard deviation of independent vertex noise, millimeters.
        seed: Draws everything.
    """
    generator = np.random.default_rng(seed)
    topology = tiny_topology()
    identity_axes = bumps(identity, 3.0, generator)
    expression_axes = bumps(len(EXPRESSIONS), 5.0, generator)
    codes = generator.normal(size=(subjects, identity))
    codes -= codes.mean(axis=0)
    amplitude = 1 + interaction * generator.normal(size=(subjects, len(EXPRESSIONS)))
    neutrals = topology.template + np.einsum("si,ivc->svc", codes, identity_axes)
    weights = np.concatenate([np.zeros((1, len(EXPRESSIONS))), np.eye(len(EXPRESSIONS))])
    offsets = np.einsum("se,ke,evc->skvc", amplitude, weights, expression_axes)
    faces = (neutrals[:, None] + offsets).reshape(-1, *topology.template.shape)
    faces += noise * generator.normal(size=faces.shape)
    data = FaceDataset(
        topology, EXPRESSIONS, faces.astype(np.float32), np.tile(weights, (subjects, 1)),
        np.repeat(np.arange(subjects), len(weights)), tuple(f"person-{i}" for i in range(subjects)),
        source="planted", license="MIT",
    )  # fmt: skip
    return Planted(data, identity_axes, expression_axes, codes, neutrals)


@lru_cache
def flame_file() -> str:
    """A made-up file in the form of FLAME's: 12 axes, and 5 joints that move parts of the tiny mask."""
    generator = np.random.default_rng(0)
    template = tiny_topology().template.astype(np.float64)
    axes = np.concatenate(
        [bumps(12, 3.0, generator), np.zeros((288, *template.shape)), bumps(6, 3.0, generator)]
    )
    near = np.exp(-((template[:, None] - template[[0, 30, 20, 66, 67]]) ** 2).sum(axis=2) / (2 * 40.0**2))
    path = Path(tempfile.mkdtemp(prefix="mien-flame-")) / "made_up.npz"
    np.savez(
        path, v_template=template / 1000, shapedirs=np.moveaxis(axes, 0, 2) / 1000,
        posedirs=1e-4 * generator.normal(size=(len(template), 3, 36)),
        J_regressor=(near / near.sum(axis=0)).T, weights=near / near.sum(axis=1, keepdims=True),
        kintree_table=np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    )  # fmt: skip
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return str(path)


def tiny_data(**options: float) -> FaceDataset:
    """The data set of :func:`planted`: 48 faces of 8 people, with some interaction and noise by default."""
    return planted(**({"interaction": 0.2, "noise": 0.05} | options)).data  # type: ignore[arg-type]


def run_stage(stage: Stage, generator: torch.Generator, steps: int | None = None) -> list[dict[str, float]]:
    """The plainest loop over a stage, or its first steps; returns the losses of every step."""
    seen = []
    for index in range(stage.steps if steps is None else min(steps, stage.steps)):
        found: dict[str, float] = {}
        for name, losses in stage.step(stage.batch(generator), index):
            stage.optimizers[name].zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            stage.optimizers[name].step()
            found |= {key: float(value.detach()) for key, value in losses.items()}
        seen.append(found)
    return seen
