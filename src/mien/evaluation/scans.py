"""The scans that models are evaluated on, arranged by person, and the draws of the transfer test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, Unsupported
from mien.evaluation.metrics import TRUTH

#: Scans of a labeled expression below this weight (the ends of a clip) are not that expression yet.
PERFORMED = 0.5


@dataclass(frozen=True)
class TestScans:
    """Test scans sorted by person.

    Args:
        data: The scans: n rows, those of one person after each other.
        train: What models and controls may learn from.
        protocol: Name of the split.
        part: Name of the part.
        seed: Of the split and of all draws.
        fingerprint: Of the whole data set.
        truth: Predictions are also compared with what stood before the scanner.
    """

    __test__ = False  # for pytest, which takes any name that begins with Test for a test

    data: FaceDataset
    train: FaceDataset
    protocol: str
    part: str
    seed: int
    fingerprint: str
    truth: bool = False

    @staticmethod
    def of(
        data: FaceDataset, *, part: str, protocol: str, seed: int, limit: int | None,
        truth: bool | None = None,
    ) -> TestScans:  # fmt: skip
        """Splits, drops scans of unknown people, keeps at most ``limit`` scans (evenly), sorts by person.

        Args:
            data: The whole data set.
            part: Which part is tested.
            protocol: How the set is divided.
            seed: Of the division and of all draws.
            limit: Most scans; None for all.
            truth: Compare with the truth, too; None: where the set keeps it.

        Raises:
            DataMissing: Truth is asked for and the set keeps none.
        """
        if truth:
            data.check_truth()
        beside = data.has_truth if truth is None else truth
        train = data.split("train", protocol=protocol, seed=seed) if part != "all" else data
        chosen = data.split(part, protocol=protocol, seed=seed)
        rows = np.flatnonzero(chosen.row_labeled("identity"))
        if not len(rows):
            raise BadSetting(
                f"the {part} part has no scan with an identity label", received=f"{len(chosen)} scans",
                remedy="choose another part, protocol or data set",
            )  # fmt: skip
        rows = rows[np.argsort(chosen.row_subject[rows], kind="stable")]
        if limit is not None and len(rows) > limit:
            rows = rows[np.linspace(0, len(rows) - 1, limit).round().astype(int)]
        return TestScans(chosen.take(rows), train, protocol, part, seed, data.fingerprint, beside)

    @cached_property
    def people(self) -> NDArray[np.int32]:
        """(S,) int: numbers of the people whose scans a model is judged on."""
        return np.unique(self.data.row_subject)

    @cached_property
    def person(self) -> NDArray[np.int64]:
        """(n,) int: position of each scan's subject in ``people``."""
        return np.searchsorted(self.people, self.data.row_subject)

    @cached_property
    def label(self) -> NDArray[np.int64]:
        """(n,) int: expression index; -1 neutral; -2 unlabeled."""
        return np.where(self.data.row_labeled("expression"), self.data.label, -2)

    @cached_property
    def performed(self) -> NDArray[np.bool_]:
        """(n,) bool: labeled expressive scans at half weight or more, of people with a neutral."""
        strong = self.data.row_weights.max(axis=1, initial=0) >= PERFORMED
        return (self.label >= 0) & strong & self.with_neutral

    @cached_property
    def with_neutral(self) -> NDArray[np.bool_]:
        """(n,) bool: scans whose person has a neutral."""
        return self.data.has_neutral

    @cached_property
    def people_with_neutral(self) -> NDArray[np.int64]:
        """(k,) int: positions of the people who have a neutral, ascending."""
        return np.flatnonzero(np.isfinite(self.neutrals[:, 0, 0]))

    @cached_property
    def neutrals(self) -> NDArray[np.float32]:
        """(S, V, 3) float, millimeters: true neutral of each person, nan where there is none."""
        result = np.full((len(self.people), self.data.topology.vertex_count, 3), np.nan, np.float32)
        first = np.searchsorted(self.person, np.arange(len(self.people)))
        known = self.with_neutral[first]
        if known.any():
            result[known] = self.data.neutral_of(first[known])
        return result

    def compared(self, rows: NDArray[np.integer]) -> dict[str, NDArray[np.float32]]:
        """What predictions of some scans (k,) int are compared with.

        Returns:
            End of a metric's name -> (k, V, 3) float, millimeters: scans, and the truth if it is asked for.
        """
        found = {"": self.data[rows]}
        return found | ({TRUTH: self.data.true_faces(rows)} if self.truth else {})

    @cached_property
    def rests(self) -> NDArray[np.float32]:
        """(S, V, 3) float, millimeters: true face at rest of each person, nan for who has no neutral scan."""
        first = np.searchsorted(self.person, np.arange(len(self.people)))
        known = np.isfinite(self.neutrals[:, :1, :1])
        return np.where(known, self.data.true_rest_of(first), np.float32(np.nan))

    @cached_property
    def seen(self) -> int:
        """How many of the people are also in the training part."""
        return len(np.intersect1d(self.people, self.train.row_subject))

    def by_person(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Position of each person, and their rows (k,) int."""
        for number in range(len(self.people)):
            yield number, np.flatnonzero(self.person == number)

    def other_people(self, salt: int) -> NDArray[np.int64]:
        """(S,) int: one random other person with a neutral for each person (-1 where there is none)."""
        generator = np.random.default_rng([self.seed, salt])
        known = self.people_with_neutral
        result = np.full(len(self.people), -1)
        for number in range(len(self.people)):
            choices = known[known != number]
            if len(choices):
                result[number] = generator.choice(choices)
        return result

    def listed(self) -> tuple[dict[str, Any], ...]:
        """Which row of the data set each scan is, whose, and what it shows."""
        data, names = self.data, {-1: "neutral", -2: "unlabeled"}
        assert data.rows is not None
        return tuple(
            {
                "row": int(row),
                "subject": data.subjects[subject],
                "expression": names.get(label) or data.expressions[label],
            }
            for row, subject, label in zip(data.rows, data.row_subject, self.label.tolist())
        )

    def conditions(self) -> dict[str, Any]:
        """What every row that is measured on these scans states."""
        topology = self.data.topology
        return {
            "data": self.data.source, "fingerprint": self.fingerprint, "topology": topology.name,
            "vertices": topology.vertex_count, "part": self.part, "protocol": self.protocol,
            "people": len(self.people), "people_seen_in_training": self.seen, "meshes": len(self.data),
            "training_people": len(np.unique(self.train.row_subject)), "training_meshes": len(self.train),
            "alignment": "none", "seed": self.seed, "truth": self.truth,
        }  # fmt: skip


def conditions_text(facts: Mapping[str, Any], drawn: str) -> str:
    """The conditions of a report on scans as a few sentences.

    Args:
        facts: :meth:`TestScans.conditions`, and the ``interval`` of the protocol.
        drawn: What the protocol drew, as a sentence.
    """
    seen = facts["people_seen_in_training"]
    people = "none of them seen in training" if not seen else f"{seen} of them seen in training"
    truth = "Truth: the faces without capture noise. " if facts.get("truth") else ""
    return (
        f"Data {facts['data']} ({facts['topology']}, {facts['vertices']:,} vertices, fingerprint "
        f"{str(facts['fingerprint'])[:12]}), {facts['part']} part of protocol {facts['protocol']!r}, "
        f"seed {facts['seed']}: {facts['meshes']:,} meshes of {facts['people']} people, {people}; "
        f"trained on {facts['training_meshes']:,} meshes of {facts['training_people']} people. "
        f"Alignment: {facts['alignment']}. {drawn} {truth}Intervals: {facts['interval']}. "
        "In italics: controls."
    )


@dataclass(frozen=True)
class TransferDraws:
    """The transfer test: content person c, target scan x_{c,s}, style scan x_{c',s}; rows of the test scans.

    Args:
        target: (m,) int row of x_{c,s}, the truth.
        style: (m,) int row of x_{c',s} of another person.
    """

    target: NDArray[np.int64]
    style: NDArray[np.int64]

    @staticmethod
    def of(scans: TestScans, *, styles: int, limit: int | None) -> TransferDraws:
        """``styles`` random other people for each labeled expressive scan.

        Raises:
            Unsupported: No two people with a neutral share an expression.
        """
        generator = np.random.default_rng([scans.seed, 41])
        usable = np.flatnonzero(scans.performed)
        target, style = [], []
        for row in usable:
            same = usable[(scans.label[usable] == scans.label[row])]
            same = same[scans.person[same] != scans.person[row]]
            for person in _pick(np.unique(scans.person[same]), styles, generator):
                target.append(row)
                style.append(generator.choice(same[scans.person[same] == person]))
        if not target:
            raise Unsupported("transfer needs two people with a neutral and the same labeled expression")
        draws = np.array([target, style])
        if limit is not None and draws.shape[1] > limit:
            draws = draws[:, np.sort(generator.permutation(draws.shape[1])[:limit])]
        return TransferDraws(draws[0], draws[1])


def _pick(items: NDArray, count: int, generator: np.random.Generator) -> NDArray:
    return generator.permutation(items)[:count]
