"""One model over the test scans: person after person, so that memory holds one person's meshes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.apply import refusal
from mien.codes import Codes
from mien.errors import BadSetting, MienError
from mien.evaluation.distances import Meshes
from mien.evaluation.faces import metrics
from mien.evaluation.faces.measured import Measured, against_truth, contact
from mien.evaluation.faces.runner import Runner
from mien.evaluation.probes import folds_of
from mien.evaluation.scans import TestScans, TransferDraws

CODE_LIMIT = 512  # numbers of a code that leakage keeps; longer codes are projected at random, but fixed
PATH_STEPS = 10  # of a way between two faces
OF_NEUTRALS = ("neu_avd", "neu_avd_aligned", "neu_avd_triplet")
OF_EXPRESSIONS = (
    "rec_avd_mesh", "rec_avd_pooled", "rec_detail", "neu_avd_triplet", "exp_mad", "path_length_identity",
    "transfer_avd",
)  # fmt: skip
OF_IDENTITY = ("id_mad", "rank1_mesh", "rank1_code", "leakage_person_from_identity",
               "leakage_expression_from_identity")  # fmt: skip


def measure(runner: Runner, draws: TransferDraws | str, *, speed: bool) -> Measured:
    """Every test of one model. What one test refuses does not stop the next.

    Args:
        runner: The model and the test scans.
        draws: The transfer test, or the sentence why there is none.
        speed: Measure milliseconds.
    """
    found, lacking = Measured(runner.scans), _no_expressions(runner)
    tests: list[tuple[Sequence[str], Callable[[], None]]] = [
        (("rec_avd_mesh", *OF_NEUTRALS, *OF_IDENTITY), lambda: measure_people(runner, found)),
        (("exp_mad",), lambda: measure_expressions(runner, found)),
        (("path_length_identity",), lambda: measure_paths(runner, found)),
        (("transfer_avd",), lambda: measure_transfer(runner, found, draws)),
        (("encode_ms", "decode_ms"), lambda: measure_speed(runner, found) if speed else None),
    ]
    if lacking:
        found.refuse(OF_EXPRESSIONS, lacking)
        tests = [tests[0], tests[-1]]
    for names, test in tests:
        try:
            test()
        except MienError as error:
            found.refuse(names, error.cause)
    measure_leakage(found)
    found.numbers["parameters"] = float(runner.model.parameter_count), 1
    return found


def _no_expressions(runner: Runner) -> str | None:
    """Why a model makes nothing but people at rest, or None."""
    return refusal(type(runner.model), "reconstruct")


def measure_people(runner: Runner, found: Measured) -> None:
    """Reconstruction, neutralization, consistency, recognition, and the codes for leakage."""
    scans, anchored, only_rest = runner.scans, runner.model.anchored, bool(_no_expressions(runner))
    factors = ("expression",) if anchored else ("identity",) if only_rest else ("identity", "expression")
    gallery: _Gallery | None = None
    others = scans.other_people(43)
    for number, rows in scans.by_person():
        rows = rows[scans.with_neutral[rows]] if anchored else rows
        if not len(rows):
            continue
        codes = runner.encode(rows)
        found.put_codes(rows, _flat(codes, factors))
        if not only_rest:
            found.put_reconstruction(rows, runner.decode(codes))
        if not anchored:
            gallery, neutrals = gallery or _Gallery.of(runner), runner.neutral_faces(codes)
            _measure_neutrals(found, number, rows, neutrals)
            gallery.recognize(found, number, rows, neutrals, codes)
            if others[number] >= 0 and not only_rest:
                style = runner.expressions_at_rest[others[number]]
                _measure_decomposition(runner, found, number, rows, codes, style)
    found.compare_people()
    if anchored:
        found.refuse((*OF_NEUTRALS, *OF_IDENTITY), "the person's neutral mesh is its input")
    elif not scans.with_neutral.any():
        found.refuse(OF_NEUTRALS, "no person has a neutral scan")


def _measure_neutrals(found: Measured, number: int, rows: NDArray, neutrals: Meshes) -> None:
    """One person's predicted neutrals (k, V, 3)."""
    found.put_neutrals(number, rows, neutrals)
    found.put_mean(number, neutrals)
    if len(rows) > 1:
        found.put_person(number, metrics.consistency(neutrals))


def _measure_decomposition(
    runner: Runner, found: Measured, number: int, rows: NDArray, codes: Codes, style: Tensor
) -> None:
    """Neutrals decoded with the expression code of another person's neutral scan (FaceTuneGAN, eq. 13)."""
    decoded = runner.decode(codes.replace(expression=style.expand(len(codes), *style.shape)))
    errors = {"neu_avd_triplet": metrics.neu_avd_triplet(found.test.neutrals[number], decoded)}
    if found.test.truth:
        rest = found.test.rests[number]
        errors |= against_truth({"neu_avd_triplet": metrics.neu_avd_triplet(rest, decoded)})
    expressive = found.test.label[rows] != -1
    found.put_scans(rows, {name: np.where(expressive, error, np.nan) for name, error in errors.items()})
    if len(rows) > 1:
        found.put_person(number, metrics.consistency(decoded), prefix="decomposition_")


@dataclass(frozen=True)
class _Gallery:
    """The prediction from each person's first neutral scan; probes are those from all other scans.

    Args:
        rows: (n,) int. The neutral scans.
        person: (n,) int. Whose.
        meshes: (n, V, 3) float, millimeters.
        codes: (n, D) float. Identity codes.
    """

    rows: NDArray[np.int64]
    person: NDArray[np.int64]
    meshes: Meshes
    codes: NDArray

    @staticmethod
    def of(runner: Runner) -> _Gallery:
        neutral = np.flatnonzero(runner.scans.label == -1)
        person, first = np.unique(runner.scans.person[neutral], return_index=True)
        rows = neutral[first]
        if not len(rows):
            return _Gallery(rows, person, np.zeros((0, 0, 3)), np.zeros((0, 0)))
        codes = runner.encode(rows)
        return _Gallery(rows, person, runner.neutral_faces(codes), codes.identity.flatten(1).cpu().numpy())

    def recognize(self, found: Measured, number: int, rows: NDArray, neutrals: Meshes, codes: Codes) -> None:
        """Who one person's predictions (k, V, 3) and identity codes are taken for."""
        if len(self.rows) < 2:
            return found.refuse(("rank1_mesh", "rank1_code"), "it takes two people with a neutral scan")
        probe = ~np.isin(rows, self.rows)
        if number not in self.person or not probe.any():
            return None
        who, seen = np.full(int(probe.sum()), number), codes.identity.flatten(1).cpu().numpy()[probe]
        by_mesh = metrics.rank1_mesh(self.meshes, self.person, neutrals[probe], who)
        by_code = metrics.rank1_code(self.codes, self.person, seen, who)
        return found.put_scans(rows[probe], {"rank1_mesh": by_mesh, "rank1_code": by_code})


def _flat(codes: Codes, factors: Sequence[str]) -> dict[str, NDArray]:
    """Factor -> (n, D) codes as flat rows of at most ``CODE_LIMIT`` numbers."""
    return {name: _shortened(codes.factor(name).flatten(1)).cpu().numpy() for name in factors}


def _shortened(codes: Tensor) -> Tensor:
    if codes.shape[1] <= CODE_LIMIT:
        return codes
    generator = torch.Generator().manual_seed(codes.shape[1])
    projection = torch.randn(codes.shape[1], CODE_LIMIT, generator=generator) / CODE_LIMIT**0.5
    return codes @ projection.to(codes)


def measure_expressions(runner: Runner, found: Measured) -> None:
    """Expression-only meshes (the mean person with each scan's expression code), compared across people."""
    scans = runner.scans
    values: dict[str, list[float]] = {"exp_mad": [], "exp_std_pooled": [], "exp_std_vertex": []}
    for label in range(len(scans.data.expressions)):
        rows = np.flatnonzero((scans.label == label) & scans.performed)
        rows = rows[np.unique(scans.person[rows], return_index=True)[1]]  # one scan a person
        if len(rows) < 2:
            continue
        codes = runner.encode(rows)
        meshes = runner.decode(codes.replace(identity=runner.model.origin(len(rows)).identity))
        values["exp_mad"].append(metrics.exp_mad(meshes))
        values["exp_std_pooled"].append(metrics.exp_std_pooled(meshes))
        values["exp_std_vertex"].append(metrics.exp_std_vertex(meshes))
    if values["exp_mad"]:
        found.expressions |= {name: np.array(numbers) for name, numbers in values.items()}
    else:
        found.refuse(("exp_mad",), "no two people with a neutral share a labeled expression")


def measure_transfer(runner: Runner, found: Measured, draws: TransferDraws | str) -> None:
    """Distance to the person's own scan, from another person's scan of the expression and from their own.

    Both people's neutrals are part of this test's input, so every model may use them.
    """
    if isinstance(draws, str):
        return found.refuse(("transfer_avd",), draws)
    scans = runner.scans
    lost = scans.neutrals - runner.decode(runner.neutral_codes)
    own, draw = np.unique(draws.target, return_inverse=True)  # several draws share a target
    errors: dict[str, NDArray] = {}
    floors: dict[str, NDArray] = {}
    for part, predicted in transferred(runner, draws.target, draws.style):
        kept = lost[scans.person[draws.target[part]]]
        for end, truth in scans.compared(draws.target[part]).items():
            plain, detailed = (errors.setdefault(f"transfer_avd{kind}{end}", np.empty(len(draw)))
                               for kind in ("", "_detail"))  # fmt: skip
            plain[part] = metrics.transfer_avd(truth, predicted)
            for metric, error in contact(truth, predicted, scans.data.topology, "transfer").items():
                errors.setdefault(f"{metric}{end}", np.empty(len(draw)))[part] = error
            detailed[part] = metrics.transfer_avd_detail(truth, predicted, kept)
    for part, predicted in transferred(runner, own, own):
        for end, truth in scans.compared(own[part]).items():
            floor = floors.setdefault(f"transfer_floor{end}", np.empty(len(own)))
            floor[part] = metrics.transfer_floor(truth, predicted)
    found.draws |= errors | {name: values[draw] for name, values in floors.items()}
    return None


def transferred(runner: Runner, target: NDArray, source: NDArray) -> Iterator[tuple[NDArray, Meshes]]:
    """A model's transfers, in batches.

    Args:
        runner: The model.
        target: (m,) int, rows of scans of the people who receive an expression.
        source: (m,) int, rows of the scans that show it.

    Returns:
        Which draws (k,) int, and the predictions (k, V, 3) float32, millimeters, of each batch.
    """
    scans, people = runner.scans, runner.neutral_codes
    order = np.argsort(source, kind="stable")  # a scan that serves several draws is encoded once
    for start in range(0, len(order), runner.batch):
        part = order[start : start + runner.batch]
        who = people.identity[torch.from_numpy(scans.person[target[part]]).to(people.identity.device)]
        codes = runner.encode(source[part], with_neutral=True)
        yield part, runner.decode(codes.replace(identity=who))


def measure_paths(runner: Runner, found: Measured) -> None:
    """From an expressive scan of each person to another expression of the next person, one code moving."""
    scans = runner.scans
    rows = [np.flatnonzero((scans.person == k) & scans.performed) for k in range(len(scans.people))]
    for number, mine in enumerate(rows):
        theirs = rows[(number + 1) % len(rows)]
        if not len(mine) or not len(theirs) or len(rows) < 2:
            continue
        # Another expression, so that both codes have a way to go.
        other = theirs[scans.label[theirs] != scans.label[mine[0]]]
        if not len(other):
            continue
        ends = runner.encode(np.array([mine[0], other[len(other) // 2]]), with_neutral=True)
        for factor in ("identity", "expression"):
            path = []
            for share in np.linspace(0, 1, PATH_STEPS + 1).tolist():
                between = runner.model.mix(ends[:1], ends[1:], share)
                path.append(ends[:1].replace(**{factor: between.factor(factor)}))
            meshes = runner.decode(Codes.cat(path))
            length, unevenness = metrics.path_length_ratio(meshes), metrics.path_step_cv(meshes)
            found.put_person(number, {f"path_length_{factor}": length, f"path_step_cv_{factor}": unevenness})


def measure_leakage(found: Measured) -> None:
    """Each label read from each code: wanted is high on the diagonal and chance off it."""
    for factor, codes in found.codes.items():
        for label in ("person", "expression"):
            metric = f"leakage_{label}_from_{factor}"
            try:
                found.put_scans(*leaked(found.test, metric, codes, label))
            except BadSetting as error:
                found.refuse((metric,), error.cause)
    for metric in ("leakage_person_from_expression", "leakage_expression_from_expression"):
        if "expression" not in found.codes:
            found.refuse((metric,), "no code")


def leaked(
    scans: TestScans, metric: str, codes: NDArray, label: str
) -> tuple[NDArray[np.int64], dict[str, NDArray]]:
    """Whether a label can be read from codes that should not hold it.

    Args:
        scans: The test scans.
        metric: What the values are called.
        codes: (n, D) float. Codes, or flat meshes; nan where there is none.
        label: ``person`` or ``expression``.

    Returns:
        (k,) int64 rows of the scans whose label is known, and metric -> (k,) whether it was read from each.

    Raises:
        BadSetting: Fewer than two labels, or nothing to hold out.
    """
    known = np.isfinite(codes[:, 0]) & (scans.label != -2 if label == "expression" else True)
    rows = np.flatnonzero(known)
    person, shown = scans.person[rows], scans.label[rows]
    target, groups = (person, shown) if label == "person" else (shown, person)
    if label == "person":  # unlabeled scans: each on its own
        groups = np.where(groups == -2, groups.max(initial=0) + 1 + np.arange(len(groups)), groups)
    return rows, {metric: metrics.leakage(codes[rows], target, folds_of(groups, seed=scans.seed))}


def measure_speed(runner: Runner, found: Measured, *, repeats: int = 3) -> None:
    """Milliseconds a mesh, best of a few batches: encode and decode."""
    scans = runner.scans
    rows = np.flatnonzero(scans.with_neutral)[: runner.batch]
    rows = rows if len(rows) else np.arange(min(runner.batch, len(scans.data)))
    codes = runner.encode(rows)
    for name, call in (
        ("encode_ms", lambda: runner.encode_anew(rows, runner.model.anchored)),
        ("decode_ms", lambda: runner.decode(codes)),
    ):
        spent = []
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            spent.append(time.perf_counter() - began)
        found.numbers[name] = 1000 * min(spent) / len(rows), 1
