"""The number in a table is the one that the named function made, and every metric is documented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import moving_data
from fixtures import EXPRESSIONS, planted, with_openings
from test_evaluate import Oracle, calibrated
from test_generation import SMALL, Planted
from test_outside_judge import PlantedScores

from mien.codes import Codes
from mien.errors import UnknownName
from mien.evaluation import Report, evaluate, evaluate_sequences
from mien.evaluation.generation.protocol import evaluate_generation
from mien.evaluation.generation.settings import settings_of
from mien.evaluation.metrics import METRICS, metric_named

FUNCTIONS = tuple(dict.fromkeys(function for _, function, _ in METRICS if function))
ELSEWHERE = ("chance", "real pairs, same label", "real pairs, random")
"""Systems whose numbers are no metric of faces: blind guesses, and what a threshold does on real pairs."""
QUICK = SMALL | {"networks": "lite", "lite_steps": 10, "sparse_steps": 2}
DOCS = Path(__file__).parent.parent / "docs"


class Styled(Planted):
    """With a style that changes nothing."""

    def restyle(self, codes: Codes, people: Codes) -> Codes:
        return codes


def faces(folder: Path) -> Report:
    data = with_openings(planted(subjects=20).data)
    return evaluate({"perfect": calibrated(Oracle(data.topology, EXPRESSIONS))}, data, speed=False)


def generation(folder: Path) -> Report:
    data = replace(planted(subjects=24, noise=0.05).data, folder=folder)
    model = Styled(data.topology, data.expressions)
    return evaluate_generation({"styled": model}, data, settings=settings_of("smoke", QUICK))[0]


def motion(folder: Path) -> Report:
    return evaluate_sequences({}, moving_data(people=8))


def reading(folder: Path) -> Report:
    data = planted(subjects=20).data
    model = {"perfect": calibrated(Oracle(data.topology, EXPRESSIONS))}
    report = evaluate(model, data, speed=False, controls=(), judge=PlantedScores())
    return replace(report, rows=tuple(row for row in report.rows if row.metric.startswith("read_")))


def constant(function: Callable[..., object], value: float) -> Callable[..., object]:
    """A function that answers in the shape of another one, and always the same number."""
    return lambda *args, **settings: np.full_like(np.asarray(function(*args, **settings), np.float64), value)[
        ()
    ]


@pytest.mark.parametrize("made", [faces, reading, generation, motion])
def test_every_number_comes_from_the_function_of_its_name(
    made: Callable[[Path], Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each metric's function answers a number of its own: it has to stand in all rows of that metric."""
    numbers = {function: 1000.0 + place for place, function in enumerate(FUNCTIONS)}
    for function, number in numbers.items():
        name = f"{function.__module__}.{function.__name__}"
        monkeypatch.setattr(name, constant(function, number))
    monkeypatch.setattr("mien.evaluation.motion.classifier.EPOCHS", 1)
    found, seen = made(tmp_path), set()
    for row in found.rows:
        function, unit = metric_named(row.metric)
        assert row.unit == unit
        if function is None or row.system in ELSEWHERE or row.mean is None:
            continue
        seen.add(function)
        assert row.mean == pytest.approx(numbers[function]), (row.system, row.metric)
    own = f"mien.evaluation.{made.__name__}.metrics"
    assert seen == {function for function in FUNCTIONS if function.__module__ == own}


def test_every_metric_is_documented() -> None:
    text = "".join((DOCS / page).read_text() for page in ("metrics.md", "motion.md"))
    missing = [pattern for pattern, function, _ in METRICS if function and f"`{_stem(pattern)}" not in text]
    assert not missing


def _stem(pattern: str) -> str:
    """What stands before the first variable part of a name: ``dec_`` of ``dec_*_own``."""
    return pattern.lstrip("*").partition("*")[0]


def test_a_metric_without_a_function_is_an_error() -> None:
    with pytest.raises(UnknownName, match="neu_avg"):
        metric_named("neu_avg")
