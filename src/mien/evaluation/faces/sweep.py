"""One model over the test scans: person after person, so that memory holds one person's meshes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.codes import Codes
from mien.evaluation import metrics
from mien.evaluation.metrics import Meshes, avd, detail_distances, rigidly_aligned
from mien.evaluation.probes import rank1_code, rank1_mesh
from mien.evaluation.subjects import TestScans, TransferDraws
from mien.models.base import FaceModel

CODE_LIMIT = 512  # numbers of a code that leakage keeps; longer codes are projected at random, but fixed
PATH_STEPS = 10  # of a way between two faces


@dataclass
class Sweep:
    """What a model did to each test scan. Arrays a model cannot fill stay None; ``refused`` says why.

    Args:
        rec: (n, V) distance of reconstructions; ``detail`` (n,) loss of fine shape.
        neutral: (n,) avd of the predicted neutral; ``neutral_aligned`` after rigid alignment;
            ``neutral_triplet`` with the expression code of another person's neutral.
        consistency: Metric -> (S,), nan where a person has one scan; ``decomposition`` the same for neutrals
            decoded with another person's neutral expression.
        means: (S, V, 3) mean predicted neutral of each person.
        expression_consistency: Metric -> (expressions,), on expression-only meshes.
        rank1_mesh: (m,) bool for the probes ``probe_rows``; ``rank1_code`` likewise.
        identity: (n, D) codes; ``expression`` (n, D) codes.
        transfer: (draws,) avd; ``kept`` with the receiver's lost detail; ``floor`` of self transfer.
    """

    rec: NDArray[np.float32] | None = None
    detail: NDArray | None = None
    neutral: NDArray | None = None
    neutral_aligned: NDArray | None = None
    neutral_triplet: NDArray | None = None
    consistency: dict[str, NDArray] = field(default_factory=dict)
    decomposition: dict[str, NDArray] = field(default_factory=dict)
    means: Meshes | None = None
    expression_consistency: dict[str, NDArray] = field(default_factory=dict)
    probe_rows: NDArray | None = None
    rank1_mesh: NDArray[np.bool_] | None = None
    rank1_code: NDArray[np.bool_] | None = None
    identity: NDArray | None = None
    expression: NDArray | None = None
    transfer: NDArray | None = None
    kept: NDArray | None = None
    floor: NDArray | None = None
    refused: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Runner:
    """A model's verbs on numpy rows of the test scans, in batches."""

    def __init__(self, model: FaceModel, judged: TestScans, batch: int) -> None:
        self.model, self.judged, self.batch = model.eval(), judged, batch
        model.check_data(judged.data)

    def tensor(self, meshes: Meshes) -> Tensor:
        """Meshes on the model's device."""
        return torch.from_numpy(np.ascontiguousarray(meshes, np.float32)).to(self.model.device)

    @torch.no_grad()
    def encode(self, rows: NDArray, *, with_neutral: bool = False) -> Codes:
        """Codes of test scans; anchored models are always given each person's true neutral."""
        parts = [rows[k : k + self.batch] for k in range(0, len(rows), self.batch)]
        data, person = self.judged.data, self.judged.person
        return Codes.cat([self._encode(data[part], person[part], with_neutral) for part in parts])

    @torch.no_grad()
    def encode_neutrals(self, *, with_neutral: bool = False) -> Codes:
        """Codes of every person's true neutral; of the template where a person has none."""
        return self._encode(self._neutrals, np.arange(len(self._neutrals)), with_neutral)

    def _encode(self, meshes: Meshes, person: NDArray, with_neutral: bool) -> Codes:
        from mien.apply import codes_of

        needed = with_neutral or self.model.anchored
        return codes_of(
            self.model, self.tensor(meshes), self.tensor(self._neutrals[person]) if needed else None
        )

    @cached_property
    def _neutrals(self) -> Meshes:
        known = np.isfinite(self.judged.neutrals)
        return np.where(known, self.judged.neutrals, self.judged.data.topology.template)

    @torch.no_grad()
    def decode(self, codes: Codes) -> Meshes:
        """(B, V, 3) float32, millimeters."""
        return self._in_batches(codes, self.model.decode)

    @torch.no_grad()
    def neutral_faces(self, codes: Codes) -> Meshes:
        """(B, V, 3) predicted neutrals."""
        return self._in_batches(codes, self.model.neutral_face)

    def _in_batches(self, codes: Codes, function: Callable[[Codes], Tensor]) -> Meshes:
        starts = range(0, len(codes), self.batch)
        return np.concatenate([function(codes[slice(k, k + self.batch)]).cpu().numpy() for k in starts])


def sweep_people(runner: Runner, sweep: Sweep) -> None:
    """Reconstruction, neutralization, consistency, recognition and codes."""
    judged, anchored = runner.judged, runner.model.anchored
    rows_used = np.flatnonzero(judged.with_neutral) if anchored else np.arange(len(judged.data))
    count, people = len(judged.data), len(judged.people)
    sweep.rec = np.full((count, judged.data.topology.vertex_count), np.nan, np.float32)
    sweep.detail = np.full(count, np.nan)
    if anchored:
        reason = "the person's neutral mesh is its input"
        sweep.refused |= dict.fromkeys(("neutral", "identity", "recognition", "identity_code"), reason)
    else:
        sweep.neutral, sweep.neutral_aligned, sweep.neutral_triplet = (
            np.full(count, np.nan) for _ in range(3)
        )
        sweep.means = np.zeros_like(judged.neutrals)
        sweep.consistency = {name: np.full(people, np.nan) for name in metrics.CONSISTENCY}
        sweep.decomposition = {name: np.full(people, np.nan) for name in metrics.CONSISTENCY}
    recognition, kept = _Recognition(), _KeptCodes(count)
    style = None if anchored or not judged.with_neutral.any() else runner.encode_neutrals()
    others = judged.other_people(43)
    for number, rows in judged.by_person():
        rows = np.intersect1d(rows, rows_used)
        if not len(rows):
            continue
        codes = runner.encode(rows)
        kept.add(rows, codes, identity=not anchored)
        _reconstruction(runner, sweep, rows, codes)
        if not anchored:
            predicted = runner.neutral_faces(codes)
            _neutralization(sweep, judged, number, rows, predicted)
            recognition.add(judged, number, rows, predicted, codes)
            if style is not None and others[number] >= 0:
                _decomposition(runner, sweep, number, rows, codes, style[[int(others[number])]])
    sweep.identity, sweep.expression = kept.identity, kept.expression
    if not anchored:
        recognition.finish(sweep)


def _reconstruction(runner: Runner, sweep: Sweep, rows: NDArray, codes: Codes) -> None:
    assert sweep.rec is not None and sweep.detail is not None
    difference = runner.judged.data[rows] - runner.decode(codes)
    sweep.rec[rows] = np.linalg.norm(difference, axis=-1)
    faces = runner.judged.data.topology.faces
    sweep.detail[rows] = detail_distances(difference, faces).mean(axis=-1)


def _neutralization(sweep: Sweep, judged: TestScans, number: int, rows: NDArray, predicted: Meshes) -> None:
    assert sweep.neutral is not None and sweep.neutral_aligned is not None and sweep.means is not None
    truth = judged.neutrals[number]
    sweep.neutral[rows] = avd(truth, predicted)
    if np.isfinite(truth).all():
        sweep.neutral_aligned[rows] = avd(truth, rigidly_aligned(predicted, truth))
    sweep.means[number] = predicted.mean(axis=0, dtype=np.float64)
    if len(rows) > 1:
        for name, measure in metrics.CONSISTENCY.items():
            sweep.consistency[name][number] = measure(predicted)


def _decomposition(
    runner: Runner, sweep: Sweep, number: int, rows: NDArray, codes: Codes, style: Codes
) -> None:
    """Neutrals decoded with the expression code of another person's neutral scan (FaceTuneGAN, eq. 13)."""
    assert sweep.neutral_triplet is not None
    shape = (len(codes), *style.expression.shape[1:])
    predicted = runner.decode(codes.replace(expression=style.expression.expand(shape)))
    error = avd(runner.judged.neutrals[number], predicted)
    expressive = runner.judged.label[rows] != -1
    sweep.neutral_triplet[rows] = np.where(expressive, error, np.nan)
    if len(rows) > 1:
        for name, measure in metrics.CONSISTENCY.items():
            sweep.decomposition[name][number] = measure(predicted)


class _Recognition:
    """Gallery: the prediction from each person's first neutral scan; probes: those from all other scans."""

    def __init__(self) -> None:
        self.gallery: list[tuple[int, Meshes, NDArray]] = []
        self.probes: list[tuple[NDArray, NDArray, Meshes, NDArray]] = []

    def add(self, judged: TestScans, number: int, rows: NDArray, predicted: Meshes, codes: Codes) -> None:
        neutral = np.flatnonzero(judged.label[rows] == -1)
        if not len(neutral):
            return
        code = codes.identity.flatten(1).cpu().numpy()
        probe = np.arange(len(rows)) != neutral[0]
        self.gallery.append((number, predicted[neutral[0]], code[neutral[0]]))
        person = np.full(int(probe.sum()), number)
        self.probes.append((rows[probe], person, predicted[probe], code[probe]))

    def finish(self, sweep: Sweep) -> None:
        if len(self.gallery) < 2:
            sweep.refused["recognition"] = "it takes two people with a neutral scan"
            return
        owner = np.array([number for number, _, _ in self.gallery])
        meshes, codes = (np.stack([entry[k] for entry in self.gallery]) for k in (1, 2))
        sweep.probe_rows = np.concatenate([rows for rows, *_ in self.probes])
        sweep.rank1_mesh = np.concatenate([rank1_mesh(meshes, owner, p, who) for _, who, p, _ in self.probes])
        sweep.rank1_code = np.concatenate([rank1_code(codes, owner, c, who) for _, who, _, c in self.probes])
        sweep.facts["gallery"] = len(owner)


class _KeptCodes:
    """Codes as flat rows, for the leakage probes."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.identity: NDArray | None = None
        self.expression: NDArray | None = None

    def add(self, rows: NDArray, codes: Codes, *, identity: bool) -> None:
        for name in ("identity", "expression") if identity else ("expression",):
            flat = _shortened(codes.factor(name).flatten(1))
            if getattr(self, name) is None:
                setattr(self, name, np.full((self.count, flat.shape[1]), np.nan, np.float32))
            getattr(self, name)[rows] = flat.cpu().numpy()


def _shortened(codes: Tensor) -> Tensor:
    if codes.shape[1] <= CODE_LIMIT:
        return codes
    generator = torch.Generator().manual_seed(codes.shape[1])
    projection = torch.randn(codes.shape[1], CODE_LIMIT, generator=generator) / CODE_LIMIT**0.5
    return codes @ projection.to(codes)


def sweep_expressions(runner: Runner, sweep: Sweep) -> None:
    """Expression-only meshes (the mean person with each scan's expression code), compared across people."""
    judged = runner.judged
    names = {"exp_mad": metrics.exp_mad, "exp_std_pooled": metrics.exp_std_pooled,
             "exp_std_vertex": metrics.exp_std_vertex}  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in names}
    for label in range(len(judged.data.expressions)):
        rows = np.flatnonzero((judged.label == label) & judged.performed)
        rows = rows[np.unique(judged.person[rows], return_index=True)[1]]  # one scan a person
        if len(rows) < 2:
            continue
        codes = runner.encode(rows)
        meshes = runner.decode(codes.replace(identity=runner.model.origin(len(rows)).identity))
        for name, measure in names.items():
            found[name].append(measure(meshes))
    if not found["exp_mad"]:
        sweep.refused["expression_consistency"] = "no two people with a neutral share a labeled expression"
    else:
        sweep.expression_consistency = {name: np.array(values) for name, values in found.items()}


def sweep_transfer(runner: Runner, sweep: Sweep, draws: TransferDraws) -> None:
    """avd to the person's own scan, from another person's scan of the expression and from their own.

    Both people's neutrals are part of this test's input, so every model may use them.
    """
    sweep.transfer, sweep.kept = _transferred(runner, draws, draws.style)
    sweep.floor, _ = _transferred(runner, draws, draws.target)


def _transferred(runner: Runner, draws: TransferDraws, source: NDArray) -> tuple[NDArray, NDArray]:
    """(draws,) avd, plain and with the detail that the receiver's codes lost of the neutral."""
    judged, neutrals = runner.judged, runner.encode_neutrals(with_neutral=True)
    lost = judged.neutrals - runner.decode(neutrals)
    order = np.argsort(judged.person[draws.target], kind="stable")  # person by person
    plain, kept = np.empty(len(order)), np.empty(len(order))
    for start in range(0, len(order), runner.batch):
        part = order[start : start + runner.batch]
        truth, person = judged.data[draws.target[part]], judged.person[draws.target[part]]
        codes = runner.encode(source[part], with_neutral=True)
        predicted = runner.decode(codes.replace(identity=neutrals[torch.from_numpy(person)].identity))
        plain[part], kept[part] = avd(truth, predicted), avd(truth, predicted + lost[person])
    return plain, kept


def sweep_paths(runner: Runner) -> dict[str, NDArray]:
    """Metric -> (S,): from an expressive scan of each person to another expression of the next person.

    ``path_length_identity`` is the length of the way over the distance of its ends (1: straight) when only
    the identity code moves, ``path_step_cv_identity`` the deviation of its steps over their mean (0: even);
    likewise for the expression code. nan where a person has no expressive scan.
    """
    judged, model = runner.judged, runner.model
    found = {
        f"{name}_{factor}": np.full(len(judged.people), np.nan)
        for factor in ("identity", "expression") for name in ("path_length", "path_step_cv")
    }  # fmt: skip
    rows = [np.flatnonzero((judged.person == k) & judged.performed) for k in range(len(judged.people))]
    for number, mine in enumerate(rows):
        theirs = rows[(number + 1) % len(rows)]
        if not len(mine) or not len(theirs) or len(rows) < 2:
            continue
        # Another expression, so that both codes have a way to go.
        other = theirs[judged.label[theirs] != judged.label[mine[0]]]
        if not len(other):
            continue
        ends = runner.encode(np.array([mine[0], other[len(other) // 2]]), with_neutral=True)
        for factor in ("identity", "expression"):
            path = []
            for share in np.linspace(0, 1, PATH_STEPS + 1).tolist():
                between = model.mix(ends[:1], ends[1:], share)
                path.append(ends[:1].replace(**{factor: between.factor(factor)}))
            meshes = runner.decode(Codes.cat(path))
            found[f"path_length_{factor}"][number] = metrics.path_length_ratio(meshes)
            found[f"path_step_cv_{factor}"][number] = metrics.path_step_cv(meshes)
    return found


def measure_speed(runner: Runner, sweep: Sweep, *, repeats: int = 3) -> None:
    """Milliseconds a mesh, best of a few batches: encode and decode."""
    rows = np.flatnonzero(runner.judged.with_neutral)[: runner.batch]
    rows = rows if len(rows) else np.arange(min(runner.batch, len(runner.judged.data)))
    codes = runner.encode(rows)
    for name, call in (
        ("encode_ms", lambda: runner.encode(rows)),
        ("decode_ms", lambda: runner.decode(codes)),
    ):
        spent = []
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            spent.append(time.perf_counter() - began)
        sweep.facts[name] = 1000 * min(spent) / len(rows)
