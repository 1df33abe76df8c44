"""Control: expressions asked by name, their intensity and style, and how the generated faces group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mien.apply.abilities import allow
from mien.codes import Codes
from mien.errors import MienError, Unsupported
from mien.evaluation.distances import Meshes
from mien.evaluation.generation import metrics
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.draws import RandomFaces, Subjects, perform, subjects_of
from mien.evaluation.generation.intensity import measure_intensity
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.rows import Row, RowMaker
from mien.models.base import FaceModel
from mien.progress import track

WEAK = 0.3
"""Intensity at which expressions are still nearly neutral."""
People = dict[str, dict[str, float]]


def expression_rows(
    maker: RowMaker, model: FaceModel, setup: GenerationSetup, people: People
) -> Iterator[Row]:
    """Classification of named expressions, identity kept, silhouettes, intensity, style.

    Args:
        maker: Of the model's rows.
        model: A model that can express.
        setup: Classifier, similarity networks, and how many people to draw.
        people: Filled with values by metric and generated person.
    """
    allow(model, "animate")
    subjects = subjects_of(model, setup.scans, setup.settings.people, seed=setup.settings.seed + 2)
    note = ""
    if subjects.source != "sampled people":
        note = f"on {len(subjects.codes)} {subjects.source}: it cannot sample"
    count = len(model.expressions)
    weights = np.concatenate([np.zeros((1, count)), np.eye(count), WEAK * np.eye(count)])
    shown = track(perform(model, subjects.codes, weights), "naming", total=len(subjects.codes))
    rest, full, weak = np.split(np.stack(list(shown)), [1, 1 + count], axis=1)
    yield _named(maker, setup, full, note)
    yield _named_of_new_people(maker, model, setup)
    yield from _identity_kept(maker, setup, rest, full)
    yield from _expressions_apart(maker, setup, {"": full, "_weak": weak}, people)
    yield from _intensity(maker, model, setup, subjects, note, people)
    yield from _style(maker, model, setup, people)


def _by_person(values: NDArray) -> dict[str, float]:
    """One number a generated person: what claims treat as persons."""
    return {f"person-{number:03}": float(value) for number, value in enumerate(values)}


def _named(maker: RowMaker, setup: GenerationSetup, full: Meshes, note: str) -> Row:
    """One person through all expressions (P, E, V, 3)."""
    if isinstance(setup.classifier, str):
        return maker.absent("cls_id_held", setup.classifier)
    named = np.array([setup.classifier.named(faces) for faces in full])
    right = metrics.named_as_asked(named, np.arange(full.shape[1]))
    return maker.over_people("cls_id_held", right, reason=note)


def _named_of_new_people(maker: RowMaker, model: FaceModel, setup: GenerationSetup) -> Row:
    """New people for each expression."""
    if isinstance(setup.classifier, str):
        return maker.absent("cls_exp_held", setup.classifier)
    drawn, named = RandomFaces(model, seed=setup.settings.seed + 3), []
    try:
        for number in range(len(model.expressions)):
            crowd = _showing(model, drawn.codes(setup.settings.people), number)
            named.append(setup.classifier.named(drawn.faces(crowd)))
    except MienError as error:
        return maker.absent("cls_exp_held", error.cause)
    right = metrics.named_as_asked(np.array(named), np.arange(len(named))[:, None])
    return maker.over_people("cls_exp_held", right)


@torch.no_grad()
def _showing(model: FaceModel, people: Codes, number: int) -> Codes:
    """The people with one expression at full strength."""
    weights = torch.zeros(len(people), len(model.expressions), device=model.device)
    weights[:, number] = 1
    return people.replace(expression=model.express(weights))


def _identity_kept(maker: RowMaker, setup: GenerationSetup, rest: Meshes, full: Meshes) -> Iterator[Row]:
    """Whether a person (P, 1, V, 3) stays the same through all expressions (P, E, V, 3)."""
    network = setup.network("identity", "lite")
    if isinstance(network, str):
        return
    embedded = np.stack([network.embed(np.concatenate(faces)) for faces in zip(rest, full)])
    yield maker.over_people("id_kept", metrics.id_kept(embedded, network.threshold.distance))
    person, flat = (
        np.repeat(np.arange(len(full)), full.shape[1]),
        embedded[:, 1:].reshape(-1, embedded.shape[2]),
    )
    scores = metrics.silhouette(flat, person).reshape(full.shape[:2]).mean(axis=1)
    yield maker.over_people("generated_silhouette_person", scores, reason="one person only")


def _expressions_apart(
    maker: RowMaker, setup: GenerationSetup, shown: dict[str, Meshes], people: People
) -> Iterator[Row]:
    """How faces (P, E, V, 3) of each strength group by expression; strengths by the metric's ending."""
    network = setup.network("expression", "lite")
    if isinstance(network, str):
        return
    for ending, grid in shown.items():
        label = np.tile(np.arange(grid.shape[1]), len(grid))
        embedded = network.embed(grid.reshape(-1, *grid.shape[2:]))
        scores = metrics.silhouette(embedded, label).reshape(grid.shape[:2]).mean(axis=1)
        metric = f"generated_silhouette_expression{ending}"
        people[metric] = _by_person(scores)
        yield maker.over_people(metric, scores)


def _intensity(
    maker: RowMaker, model: FaceModel, setup: GenerationSetup, subjects: Subjects, note: str, people: People
) -> Iterator[Row]:
    """Whether a stronger weight makes a stronger expression, for each expression and the worst."""
    classifier = setup.classifier if isinstance(setup.classifier, Classifier) else None
    found = measure_intensity(model, subjects.codes, classifier)
    for metric, values in (("rho_disp", found.rho_disp), ("rho_prob", found.rho_prob)):
        name = f"intensity_{metric}"
        if values is None:
            yield maker.absent(name, str(setup.classifier))
            continue
        by_expression = values.mean(axis=0)
        worst = int(by_expression.argmin())
        people[name], people[f"{name}_least"] = (
            _by_person(values.mean(axis=1)),
            _by_person(values.min(axis=1)),
        )
        yield maker.over_people(name, values.mean(axis=1), reason=note)
        yield maker.number(f"{name}_worst", by_expression[worst], reason=model.expressions[worst])
        for expression, value in zip(model.expressions, by_expression):
            yield maker.number(f"{name}/{expression}", float(value))
    ratio = _mean_of_known(found.ratio)
    people["disp_ratio_1_5"] = _by_person(ratio[np.isfinite(ratio)])
    yield maker.over_people("disp_ratio_1_5", ratio, reason="nothing moves")


def _mean_of_known(values: NDArray) -> NDArray:
    """(P,) means over expressions; nan where a person moves in none."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)


def _style(maker: RowMaker, model: FaceModel, setup: GenerationSetup, people: People) -> Iterator[Row]:
    """Outputs that differ only in the identity code of the expression generator; and in noise alone."""
    restyle = getattr(model, "restyle", None)
    if restyle is None:
        yield maker.absent("style_spread", "its expressions have no style of their own")
        return
    drawn = RandomFaces(model, seed=setup.settings.seed + 4)
    values: dict[str, list[NDArray]] = {"style_spread": [], "style_spread_noise": []}
    try:
        for number in range(len(model.expressions)):
            crowd, others = drawn.codes(setup.settings.people), drawn.codes(setup.settings.people)
            crowd = _showing(model, crowd, number)
            noisy = crowd.replace(noise=others.others["noise"]) if "noise" in crowd.others else crowd
            own = drawn.faces(crowd)
            with torch.no_grad():
                restyled = drawn.faces(restyle(crowd, others))
            values["style_spread"].append(metrics.style_spread(own, restyled))
            values["style_spread_noise"].append(metrics.style_spread(own, drawn.faces(noisy)))
    except Unsupported as error:
        yield maker.absent("style_spread", error.cause)
        return
    for name, parts in values.items():
        people[name] = _by_person(np.mean(parts, axis=0))
        yield maker.over_people(name, np.mean(parts, axis=0))
