"""Control: expressions asked by name, their intensity and style, and how codes and faces group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.apply import codes_of
from mien.codes import Codes
from mien.errors import MienError, Unsupported
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.draws import RandomFaces, performed, subjects_of
from mien.evaluation.generation.intensity import measure_intensity
from mien.evaluation.generation.similarity import SimilarityNetwork
from mien.evaluation.metrics import Meshes, avd, silhouettes, some_rows
from mien.evaluation.rows import Maker, Row
from mien.models.base import FaceModel
from mien.progress import track

if TYPE_CHECKING:
    from mien.evaluation.generation.rows import JudgingSetup

WEAK = 0.3


def control_rows(
    maker: Maker, model: FaceModel, setup: JudgingSetup, people: dict[str, Any]
) -> Iterator[Row]:
    """Classification of named expressions, identity kept, intensity, style."""
    subjects = subjects_of(model, setup.judged, setup.settings.people, seed=setup.settings.seed + 2)
    note = (
        ""
        if subjects.source == "sampled people"
        else f"on {len(subjects.codes)} {subjects.source}: it cannot sample"
    )
    count = len(model.expressions)
    weights = np.concatenate([np.zeros((1, count)), np.eye(count), WEAK * np.eye(count)])
    grid = np.stack(
        list(track(performed(model, subjects.codes, weights), "naming", total=len(subjects.codes)))
    )
    yield from _named(maker, setup, grid[:, 1 : 1 + count], note)
    yield _held(maker, model, setup)
    yield from _grouped(maker, setup, grid, people)
    classifier = setup.classifier if isinstance(setup.classifier, Classifier) else None
    found = measure_intensity(model, subjects.codes, classifier)
    for metric, values in (("rho_disp", found.rho_disp), ("rho_prob", found.rho_prob)):
        name = f"intensity_{metric}"
        if values is None:
            yield maker.absent(name, str(setup.classifier), unit="")
            continue
        by_expression = values.mean(axis=0)
        worst = int(by_expression.argmin())
        people[name], people[f"{name}_least"] = numbered(values.mean(axis=1)), numbered(values.min(axis=1))
        yield maker.over_people(name, values.mean(axis=1), unit="", reason=note)
        yield maker.number(f"{name}_worst", by_expression[worst], unit="", reason=model.expressions[worst])
        for expression, value in zip(model.expressions, by_expression):
            yield maker.number(f"{name}/{expression}", float(value), unit="")
    ratio = _mean(found.ratio)
    people["disp_ratio_1_5"] = numbered(ratio[np.isfinite(ratio)])
    yield maker.over_people("disp_ratio_1_5", ratio, unit="", reason="nothing moves")
    yield from _style(maker, model, setup, people)


def numbered(values: NDArray) -> dict[str, float]:
    """One number a generated person: what claims treat as persons."""
    return {f"person-{number:03}": float(value) for number, value in enumerate(values)}


def _mean(values: NDArray) -> NDArray:
    """(P,) means over expressions; nan where a person moves in none."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)


def _named(maker: Maker, setup: JudgingSetup, grid: Meshes, note: str) -> Iterator[Row]:
    """One person through all expressions (P, E, V, 3)."""
    if isinstance(setup.classifier, str):
        yield maker.absent("cls_id_held", setup.classifier, unit="%")
        return
    asked = np.arange(grid.shape[1])
    right = np.array([setup.classifier.named(faces) == asked for faces in grid])
    yield maker.over_people("cls_id_held", 100.0 * right.mean(axis=1), unit="%", reason=note)


def _held(maker: Maker, model: FaceModel, setup: JudgingSetup) -> Row:
    """New people for each expression."""
    if isinstance(setup.classifier, str):
        return maker.absent("cls_exp_held", setup.classifier, unit="%")
    drawn = RandomFaces(model, seed=setup.settings.seed + 3)
    right = []
    try:
        for number in range(len(model.expressions)):
            crowd = drawn.codes(setup.settings.people)
            weights = torch.zeros(len(crowd), len(model.expressions), device=model.device)
            weights[:, number] = 1
            with torch.no_grad():
                faces = drawn.faces(crowd.replace(expression=model.express(weights)))
            right.append(100.0 * float((setup.classifier.named(faces) == number).mean()))
    except MienError as error:
        return maker.absent("cls_exp_held", error.cause, unit="%")
    return maker.over_people("cls_exp_held", np.array(right), unit="%")


def _grouped(maker: Maker, setup: JudgingSetup, grid: Meshes, people: dict[str, Any]) -> Iterator[Row]:
    """Identity kept, and silhouettes of generated faces, (P, 1 + 2 E, V, 3): rest, full, weak."""
    identity, expression = setup.judges.get(("identity", "lite")), setup.judges.get(("expression", "lite"))
    count = (grid.shape[1] - 1) // 2
    if isinstance(identity, SimilarityNetwork):
        kept = [100.0 * float(identity.same(faces[: 1 + count]).mean()) for faces in grid]
        yield maker.over_people("id_kept", np.array(kept), unit="%")
        faces = grid[:, 1 : 1 + count].reshape(-1, *grid.shape[2:])
        person = np.repeat(np.arange(len(grid)), count)
        scores = silhouettes(identity.embed(faces), person).reshape(len(grid), -1).mean(axis=1)
        yield maker.over_people("generated_silhouette_person", scores, unit="", reason="one person only")
    if isinstance(expression, SimilarityNetwork):
        label = np.tile(np.arange(count), len(grid))
        for name, start in (("", 1), ("_weak", 1 + count)):
            faces = grid[:, start : start + count].reshape(-1, *grid.shape[2:])
            scores = silhouettes(expression.embed(faces), label).reshape(len(grid), -1).mean(axis=1)
            people[f"generated_silhouette_expression{name}"] = numbered(scores)
            yield maker.over_people(f"generated_silhouette_expression{name}", scores, unit="")


def _style(maker: Maker, model: FaceModel, setup: JudgingSetup, people: dict[str, Any]) -> Iterator[Row]:
    """Outputs that differ only in the identity code of the expression generator; and in noise alone."""
    restyle = getattr(model, "restyle", None)
    if restyle is None:
        yield maker.absent("style_spread", "its expressions have no style of their own")
        return
    drawn, count = RandomFaces(model, seed=setup.settings.seed + 4), len(model.expressions)
    try:
        values: dict[str, list[NDArray]] = {"style_spread": [], "style_spread_noise": []}
        for number in range(count):
            crowd, others = drawn.codes(setup.settings.people), drawn.codes(setup.settings.people)
            weights = torch.zeros(len(crowd), count, device=model.device)
            weights[:, number] = 1
            with torch.no_grad():
                crowd = crowd.replace(expression=model.express(weights))
                own = drawn.faces(crowd)
                values["style_spread"].append(avd(own, drawn.faces(restyle(crowd, others))))
                noisy = crowd.replace(noise=others.others["noise"]) if "noise" in crowd.others else crowd
                values["style_spread_noise"].append(avd(own, drawn.faces(noisy)))
        for name, parts in values.items():
            people[name] = numbered(np.mean(parts, axis=0))
            yield maker.over_people(name, np.mean(parts, axis=0))
    except Unsupported as error:
        yield maker.absent("style_spread", error.cause)


def silhouette_rows(
    maker: Maker, model: FaceModel, setup: JudgingSetup, people: dict[str, Any]
) -> Iterator[Row]:
    """Codes of held-out real faces by both labels."""
    judged = setup.judged
    if model.anchored:
        raise Unsupported("its identity code is the neutral mesh itself")
    taken = some_rows(len(judged.data), most=setup.settings.silhouette_scans, seed=setup.settings.seed)
    starts = track(range(0, len(taken), 64), "codes of test scans")
    codes = Codes.cat([codes_of(model, judged.data[taken[start : start + 64]]).to("cpu") for start in starts])
    for factor in ("identity", "expression"):
        values = codes.factor(factor).flatten(1).numpy()
        for name, label in (("person", judged.person[taken]), ("expression", judged.label[taken])):
            known = np.flatnonzero(label != -2)
            scores, metric = silhouettes(values[known], label[known]), f"silhouette_{name}_in_{factor}"
            owner = judged.person[taken][known]
            people[metric] = {
                judged.data.subjects[judged.people[k]]: float(scores[owner == k].mean())
                for k in np.unique(owner)
            }
            yield maker.over_meshes(metric, scores, owner, unit="", reason="one group only")
