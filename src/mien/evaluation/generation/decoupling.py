"""Decoupling: which faces with one code in common a similarity network takes for the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.generation import metrics
from mien.evaluation.generation.draws import RandomFaces, by_part, name_in_metrics
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.generation.similarity import SimilarityNetwork
from mien.evaluation.rows import Row, RowMaker
from mien.models.base import FaceModel
from mien.progress import track


def decoupling_rows(
    maker: RowMaker, model: FaceModel, setup: GenerationSetup, people: dict[str, dict[str, float]]
) -> Iterator[Row]:
    """Percent of the faces sharing a code that count as the same, and of those sharing nothing.

    Args:
        maker: Of the model's rows.
        model: A model that can sample.
        setup: Similarity networks, and how many faces to draw.
        people: Filled with values by metric and drawn face.
    """
    s = setup.settings
    for factor in RandomFaces(model, seed=s.seed + 1).factors():
        networks = {kind: setup.network(factor, kind) for kind in s.networks}
        usable = {kind: found for kind, found in networks.items() if isinstance(found, SimilarityNetwork)}
        families = _embedded_families(model, setup, factor, usable)
        for kind, network in networks.items():
            metric = decoupling_name(factor, kind)
            if isinstance(network, str):
                yield maker.absent(metric, network)
                continue
            for ending, values in decoupling_values(families[kind], network.threshold.distance).items():
                people[metric + ending] = by_part(values)
                yield maker.over_people(metric + ending, values)


def decoupling_name(factor: str, kind: str) -> str:
    """What the decoupling of a factor by a kind of network is called."""
    return f"dec_{name_in_metrics(factor)}" + ("_lite" if kind == "lite" else "")


def decoupling_values(families: NDArray, distance: float) -> dict[str, NDArray[np.float64]]:
    """What a similarity network says of families, and of their first faces, which share nothing.

    Args:
        families: (n, 1 + m, D) float. Embeddings: each family's first face, then those that share its code.
        distance: Faces nearer than this count as the same.

    Returns:
        Ending of the metric's name -> (n,) float, percent.
    """
    return {
        "": metrics.decoupling(families, distance),
        "_random": metrics.decoupling_random(families, distance),
        "_lift": metrics.decoupling_lift(families, distance),
        "_own": metrics.decoupling_own(families),
    }


def _embedded_families(
    model: FaceModel, setup: GenerationSetup, factor: str, networks: dict[str, SimilarityNetwork]
) -> dict[str, NDArray]:
    """Kind of network -> (n, 1 + m, 128) embeddings of families, which are drawn once for all kinds."""
    s, found = setup.settings, dict[str, list[NDArray]]((kind, []) for kind in networks)
    drawn = RandomFaces(model, seed=s.seed + 1, batch=s.batch)
    families = drawn.families(factor, s.faces, s.resamples) if networks else iter(())
    for family in track(families, f"faces with the same {factor}", total=s.faces):
        for kind, network in networks.items():
            found[kind].append(network.embed(family))
    return {kind: np.stack(parts) for kind, parts in found.items()}
