"""All claims, and how they are tested: both arms trained, evaluated on unseen people, compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.claims import adversarial_vae, decoupled_gan, expression_lstm, facecam, facetunegan
from mien.claims.claim import TRAINING_DATA, Arm, Claim, Results, Verdict, verdicts_of
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, UnknownName
from mien.evaluation import evaluate, evaluate_sequences
from mien.evaluation.generation.protocol import evaluate_generation
from mien.evaluation.generation.settings import settings_of
from mien.evaluation.motion.making import REAL
from mien.models.base import FaceModel
from mien.models.files import load_model, model_facts
from mien.training import fit_model, plan_training

CLAIMS: tuple[Claim, ...] = (
    *adversarial_vae.CLAIMS, *facetunegan.CLAIMS, *expression_lstm.CLAIMS, *decoupled_gan.CLAIMS,
    *facecam.CLAIMS,
)  # fmt: skip
ARMS: dict[str, dict[str, Arm]] = {
    "adversarial_vae": adversarial_vae.ARMS,
    "facetunegan": facetunegan.ARMS,
    "expression_lstm": expression_lstm.ARMS,
    "decoupled_gan": decoupled_gan.ARMS,
    "facecam": facecam.ARMS,
}
"""Method -> arm -> what is trained."""

ON_CLIPS = ("expression_lstm",)
"""Methods whose claims are about motion."""
ON_SAMPLES = ("decoupled_gan", "facecam")
"""Methods whose claims are about what they generate."""


def chosen(ids: Iterable[str] = ()) -> list[Claim]:
    """The claims of these ids; all without any.

    Raises:
        UnknownName: An id that no claim has.
    """
    known = list(dict.fromkeys(claim.id for claim in CLAIMS))
    wanted = list(ids) or known
    for id in wanted:
        if id not in known:
            raise UnknownName("claim", id, known)
    return [claim for claim in CLAIMS if claim.id in wanted]


def testable(data: FaceDataset, ids: Sequence[str] = ()) -> list[Claim]:
    """The claims of these ids; without any, those that this kind of data can test."""
    if ids:
        return chosen(ids)
    moving = bool((data.row_clip >= 0).any())
    return [claim for claim in CLAIMS if (claim.method in ON_CLIPS) == moving and _shown(claim, data)]


def _shown(claim: Claim, data: FaceDataset) -> bool:
    """Whether the data has the expression that a metric names after its slash, if any."""
    _, slash, expression = claim.metric.partition("/")
    return not slash or expression in data.expressions


def retest(
    data: FaceDataset, out: Path | str, *, ids: Sequence[str] = (), profile: str = "standard",
    seeds: Sequence[int] = (0, 1, 2), protocol: str = "subject", settings: Mapping[str, Any] | None = None,
    precision: str = "32-true", judging: Mapping[str, Any] | None = None,
    runs: Mapping[str, Path | str] | None = None,
) -> list[Verdict]:  # fmt: skip
    """Trains every arm that the claims need, evaluates it on unseen people, and tests the claims.

    Runs are kept in ``out`` and resumed, so a stopped test goes on where it was.

    Args:
        data: The whole data set.
        out: Folder of the runs.
        ids: Which claims; none for all that the data can test.
        profile: Training profile; generated faces are measured with the profile of the same name.
        seeds: Of the runs; the paper averages three.
        protocol: How the data is divided.
        settings: Further settings, the same for all arms that have them.
        precision: Of the training.
        judging: Further settings of the generation metrics.
        runs: Arm -> a finished run that stands for it, whatever its schedule; the other arms are trained.
    """
    claims, results = testable(data, ids), Results()
    arms = dict.fromkeys(
        (claim.method, arm) for claim in claims for arm in (claim.arm, claim.against) if arm is not None
    )
    _check(sorted({ARMS[method][arm].model for method, arm in arms} - {""}), settings or {})
    given = {name: _finished(name, folder, arms, data, protocol) for name, folder in (runs or {}).items()}
    for method, arm in arms:
        trained = ARMS[method][arm]
        for seed in list(seeds)[: 1 if arm in given else None] if trained.model else ():
            overrides = {**_known(trained.model, settings or {}), **trained.settings}
            plan = plan_training(trained.model, overrides, profile=profile, seed=seed, protocol=protocol)
            folder = Path(out) / f"{method}-{arm.replace(', ', '-').replace(' ', '-')}-seed-{seed}"
            resume = (folder / "run.json").exists()
            model = given.get(arm) or fit_model(plan, data, folder, resume=resume, precision=precision)
            if method in ON_SAMPLES:
                wanted = settings_of(profile, judging)
                report, _ = evaluate_generation({arm: model}, data, settings=wanted, protocol=protocol)
                results.add(TRAINING_DATA, report)
            elif method not in ON_CLIPS:
                report = evaluate({arm: model}, data, protocol=protocol, controls=(), speed=False)
            else:
                report = evaluate_sequences({arm: model}, data, protocol=protocol, controls=False)
                results.add(REAL, report)
            results.add(arm, report)
    return verdicts_of(results, claims)


def _finished(
    name: str, folder: Path | str, arms: Iterable[tuple[str, str]], data: FaceDataset, protocol: str
) -> FaceModel:
    """The model of a finished run, after a look at whether it can stand for an arm."""
    known = {arm: method for method, arm in arms if ARMS[method][arm].model}
    if name not in known:
        raise UnknownName("arm of these claims", name, known)
    rivals, trained = ARMS[known[name]].values(), ARMS[known[name]][name]
    model, facts = load_model(folder), model_facts(folder)["facts"]
    plan, wanted = facts["plan"], plan_training(trained.model, trained.settings)
    has = plan["arguments"] | plan["settings"]
    has |= {"model": plan["model"], "protocol": plan["protocol"], "data": facts["data"]["fingerprint"]}
    needs = {"model": trained.model, "protocol": protocol, "data": data.fingerprint}
    # What tells the arms from each other has to be as in this arm; schedules are free.
    names = {key for arm in rivals if arm.model == trained.model for key in arm.settings}
    needs |= {key: value for key, value in {**wanted.arguments, **wanted.settings}.items() if key in names}
    for key, value in needs.items():
        if has.get(key) != value:
            raise BadSetting(
                f"the run for {name!r} has another {key}", received=f"{has.get(key)} in {folder}",
                remedy=f"give a run with {key} {value}",
            )  # fmt: skip
    return model


def _known(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a method has."""
    plan = plan_training(model)
    return {name: value for name, value in settings.items() if name in {**plan.arguments, **plan.settings}}


def _check(models: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Raises if a setting is one that no method has."""
    known = {name for model in models for name in _known(model, settings)}
    for name, value in settings.items():
        if name not in known:
            for model in models:
                plan_training(model, {name: value})
