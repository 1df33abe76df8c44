"""Diversity and specificity: how different faces are from each other, and how near to the training faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.evaluation.distances import Meshes
from mien.evaluation.generation import metrics
from mien.evaluation.generation.draws import RandomFaces, by_part, name_in_metrics
from mien.evaluation.generation.nearest import extremes
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.rows import Row, RowMaker
from mien.models.base import FaceModel
from mien.progress import track

AT_ONCE = 64


def diversity_rows(
    maker: RowMaker, model: FaceModel, setup: GenerationSetup, people: dict[str, dict[str, float]]
) -> Iterator[Row]:
    """Diversity and specificity from one stream of faces, of which only parts are in memory.

    Args:
        maker: Of the model's rows.
        model: A model that can sample.
        setup: The training faces, and how many faces to draw; its ``samples`` get the model's extremes.
        people: Filled with values by metric and drawn face.
    """
    s, pairs = setup.settings, dict[str, list[NDArray]]()
    count, near = max(s.pairs, s.samples), list[NDArray]()
    kept = np.empty((0, model.topology.vertex_count, 3), np.float32), np.empty(0)
    parts = RandomFaces(model, seed=s.seed, batch=s.batch).relatives(count)
    for part in track(parts, "drawing faces", total=-(-count // s.batch)):
        for name, values in diversity_of(part).items():
            pairs.setdefault(name, []).append(values)
        samples = part["random"][: s.samples - sum(map(len, near))]
        if len(samples):
            near.append(nearest_distances(setup, samples))
            kept = extremes(np.concatenate([kept[0], samples]), np.concatenate([kept[1], near[-1]]))
    setup.samples[maker.system] = kept
    for name, found in pairs.items():
        every = np.concatenate(found)
        people[name] = by_part(every)
        yield maker.over_people(name, every[: s.pairs])
    people["specificity"] = by_part(np.concatenate(near))
    yield maker.over_people("specificity", np.concatenate(near))


def sample_rows(
    maker: RowMaker, samples: Meshes | None, setup: GenerationSetup, people: dict[str, dict[str, float]]
) -> Iterator[Row]:
    """Diversity and specificity of random faces that another program drew.

    Args:
        maker: Of the system's rows.
        samples: (k, V, 3) float, millimeters, or None.
        setup: The training faces; its ``samples`` get the extremes.
        people: Filled with values by metric and drawn face.
    """
    if samples is None:
        yield maker.absent("div_all", "no samples were given")
        return
    found = diversity_of({"random": samples}) | {"specificity": nearest_distances(setup, samples)}
    setup.samples[maker.system] = extremes(samples, found["specificity"])
    for metric, values in found.items():
        people[metric] = by_part(values)
        yield maker.over_people(metric, values)


def nearest_distances(setup: GenerationSetup, samples: Meshes) -> NDArray[np.float64]:
    """Specificity of samples.

    Args:
        setup: The training faces.
        samples: (n, V, 3) float, millimeters.

    Returns:
        (n,) float, millimeters.
    """
    rows, train = setup.training_faces.nearest(samples).row, setup.scans.train
    parts = range(0, len(rows), AT_ONCE)
    return np.concatenate(
        [metrics.specificity(samples[k : k + AT_ONCE], train[rows[k : k + AT_ONCE]]) for k in parts]
    )


def diversity_of(part: Mapping[str, Meshes]) -> dict[str, NDArray[np.float64]]:
    """Distances of the pairs in one part of random faces and their relatives.

    Args:
        part: See :meth:`RandomFaces.relatives`: name -> (b, V, 3) float, millimeters. Random pairs are
            neighbors (the last with the first), so each random face stands in two of them.

    Returns:
        ``div_all``, ``div_id``, ``div_exp`` and one for each further factor -> (b,) float, millimeters.
    """
    faces, found = part["random"], dict[str, NDArray[np.float64]]()
    if len(faces) > 1:
        found["div_all"] = metrics.diversity(faces, np.roll(faces, 1, axis=0))
    for factor, others in part.items():
        if factor != "random":
            found[f"div_{name_in_metrics(factor)}"] = metrics.diversity(faces, others)
    return found


def diversity_by_labels(
    meshes: Meshes | FaceDataset, labels: Mapping[str, NDArray], *, pairs: int = 10_000, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """``div_all``, ``div_id``, ``div_exp`` and so on of real faces: what a generator should come near to.

    Args:
        meshes: (N, V, 3) float, millimeters, in memory or on disk.
        labels: Factor -> (N,) int; -2 where unknown. Neutral is an expression.
        pairs: How many pairs of each kind.
        seed: Of the pairs.

    Returns:
        Metric -> (pairs,) float, millimeters; empty where no two faces share a label.
    """
    generator = np.random.default_rng([seed, 580])
    group = {"div_all": np.zeros(len(next(iter(labels.values()))), int)}
    group |= {f"div_{name_in_metrics(factor)}": key for factor, key in labels.items()}
    drawn = {name: _pairs_within(np.asarray(key), pairs, generator) for name, key in group.items()}
    result = {}
    for name, (first, second) in drawn.items():
        parts = [
            metrics.diversity(meshes[first[k : k + AT_ONCE]], meshes[second[k : k + AT_ONCE]])
            for k in track(range(0, len(first), AT_ONCE), f"pairs of real faces, {name}")
        ]
        result[name] = np.concatenate([np.zeros(0), *parts])
    return result


def _pairs_within(key: NDArray, pairs: int, generator: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Random pairs of different rows with equal keys: a random row, and another one of its group."""
    kinds, group, counts = np.unique(key, return_inverse=True, return_counts=True)
    usable = np.flatnonzero((kinds[group] != -2) & (counts[group] > 1))
    if not len(usable):
        return usable, usable
    first = usable[generator.integers(len(usable), size=pairs)]
    order = np.argsort(group, kind="stable")
    place = np.empty(len(key), int)
    starts = np.cumsum(counts) - counts
    place[order] = np.arange(len(key)) - starts[group[order]]
    size = counts[group[first]]
    step = 1 + generator.integers(size - 1)
    return first, order[starts[group[first]] + (place[first] + step) % size]
