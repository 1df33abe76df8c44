"""Plants faults in copies of the library, one at a time, and shows that the tests named for each find it.

    .venv/bin/python tools/mutants.py                all faults of tools/mutants.yaml
    .venv/bin/python tools/mutants.py critic unit    those whose name has one of these words

The working tree is never changed: every fault lives in a temporary copy. Exit code 1 if a fault lives, if
its text is no longer found (once) in the library, or if its tests do not pass without it.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_suffix(".yaml")
WORKERS = 2
MOST_BYTES = 6 * 2**30  #: of memory that the tests of one fault may take: a machine that runs out kills them
SILENT = 900  #: seconds without any outcome: a worker was killed
LONGEST = 120  #: processor seconds that the tests of one fault may take before they count as hanging
TOGETHER = 24  #: files that are run in one process where no fault is planted: they share what they build
#: What every test needs and no fault is in: imported once, in the process that all others are forked from.
SHARED = [
    "pytest", "_pytest.junitxml", "_pytest.unraisableexception", "_pytest.threadexception", "filelock",
    "hypothesis.strategies", "torch._dynamo", "lightning_fabric", "safetensors.torch", "scipy.sparse.linalg",
    "scipy.spatial.transform", "scipy.signal", "scipy.ndimage", "scipy.stats", "scipy.interpolate",
    "PIL.Image", "msgspec", "rich.console", "rich.progress", "typer",
]  # fmt: skip
#: The name of the first test that fails is all that is asked.
OPTIONS = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "--rootdir=."]


@dataclass(frozen=True)
class Mutant:
    """A fault and the tests that ought to find it.

    Args:
        name: What is wrong with it, in words.
        text: A piece of the library, found once in all of its files.
        planted: What stands there instead.
        tests: Files or single tests, as pytest names them.
    """

    name: str
    text: str
    planted: str
    tests: tuple[str, ...]


#: A fault and its place, or none and nowhere, and the tests to run.
Job = tuple[Mutant | None, Path | None, tuple[str, ...]]


@dataclass(frozen=True)
class Outcome:
    """What tests said: the first that failed or was skipped ("": none), processor seconds, pytest's code."""

    killer: str
    skipped: str
    seconds: float
    code: int


class FirstFailure:
    """A pytest plugin that keeps the names of the first test that fails and of the first that is skipped."""

    name, skipped = "", ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called by pytest after every phase of every test."""
        self.name = self.name or (report.nodeid if report.failed else "")
        self.skipped = self.skipped or (report.nodeid if report.skipped else "")


def read_mutants(words: Sequence[str]) -> list[Mutant]:
    """The faults of the list whose name has one of the words, or all."""
    rows = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    mutants = [Mutant(row["name"], row["text"], row["planted"], tuple(row["tests"])) for row in rows]
    return [item for item in mutants if not words or any(word in item.name for word in words)]


def placed(mutants: Sequence[Mutant]) -> dict[Mutant, Path]:
    """The file of the library that holds the text of each fault, for those whose text stands there once."""
    files = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py"))}
    counts = {mutant: {path: files[path].count(mutant.text) for path in files} for mutant in mutants}
    return {
        mutant: max(count, key=count.__getitem__)
        for mutant, count in counts.items()
        if sum(count.values()) == 1
    }


@contextlib.contextmanager
def copied(mutant: Mutant | None, place: Path | None) -> Iterator[Path]:
    """A copy of the library with the fault in it, beside links to everything else that tests read."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for item in ROOT.iterdir():
            if item.name != "src" and not item.name.startswith("."):
                (copy / item.name).symlink_to(item)
        shutil.copytree(ROOT / "src", copy / "src", copy_function=linked)
        if mutant is not None and place is not None:
            path = copy / place.relative_to(ROOT)
            text = path.read_text(encoding="utf-8").replace(mutant.text, mutant.planted)
            path.unlink()  # it is a link to the library's own file
            path.write_text(text, encoding="utf-8")
        yield copy


def linked(source: str, target: str) -> None:
    """A second name for a file, which takes a tenth of the time of a copy; a copy on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def hang(*_: object) -> None:
    """What the alarm does."""
    raise TimeoutError(f"no end after {LONGEST} processor seconds")


def tried(mutant: Mutant | None, place: Path | None, tests: Sequence[str]) -> Outcome:
    """Runs tests on a copy with the fault in a place, in this process, which serves no other."""
    first = FirstFailure()
    sys.dont_write_bytecode = True
    import pytest

    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    gc.freeze()  # what all processes share is not looked through again in each of them
    with copied(mutant, place) as copy, (copy / "output").open("w") as output:
        os.chdir(copy)
        # What is cached by content is built anew: the code that builds it may be what is wrong.
        os.environ |= {"MIEN_CACHE": str(copy / "cache"), "PYTHONPATH": str(copy / "src")}
        signal.signal(signal.SIGPROF, hang)
        signal.setitimer(signal.ITIMER_PROF, LONGEST if mutant else LONGEST * len(tests))
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = pytest.main([*OPTIONS, *tests], plugins=[first])
        signal.setitimer(signal.ITIMER_PROF, 0)
        library = Path(sys.modules["mien"].__file__ or "")
        assert library.is_relative_to(copy), f"tests ran against {library}"
    os.chdir(ROOT)
    return Outcome(first.name, first.skipped, time.process_time(), int(code))


def verdict(mutant: Mutant | None, outcome: Outcome) -> str:
    """What is wrong, or an empty text: a fault must make tests fail, and nothing else may."""
    if outcome.code not in (0, 1):
        return f"pytest ended with code {outcome.code}: are the names of its tests right?"
    if mutant is None:
        return f"fails without any fault: {outcome.killer}" if outcome.code else ""
    return "" if outcome.code else f"LIVES{f', but {outcome.skipped} was skipped' * bool(outcome.skipped)}"


def parts_of(mutants: Sequence[Mutant]) -> list[tuple[str, ...]]:
    """All tests that are named for faults, a few files together."""
    files: dict[str, list[str]] = {}
    for test in dict.fromkeys(test for mutant in mutants for test in mutant.tests):
        files.setdefault(test.split("::")[0], []).append(test)
    names = list(files)
    parts = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
    return [tuple(test for name in part for test in files[name]) for part in parts]


def main() -> None:
    mutants = read_mutants(sys.argv[1:])
    places = placed(mutants)
    complaints = [f"{m.name}: its text is not found once in src" for m in mutants if m not in places]
    mutants = list(places)
    jobs: list[Job] = [(None, None, tests) for tests in parts_of(mutants)]
    jobs += [(mutant, place, mutant.tests) for mutant, place in places.items()]
    # The workers share the processors, and pytest asks for no plugins: tests of one fault need none.
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(SHARED)
    began = time.monotonic()
    with context.Pool(WORKERS, maxtasksperchild=1) as pool:
        outcomes = pool.imap(attempt, jobs)
        for mutant, _, tests in jobs:
            name = mutant.name if mutant else f"(no fault: {len(tests)} tests from {tests[0]} on)"
            try:
                outcome = outcomes.next(SILENT)
            except multiprocessing.TimeoutError:
                complaints.append(f"{name}: no outcome in {SILENT} s, its process was killed")
                break
            wrong = verdict(mutant, outcome)
            complaints += [f"{name}: {wrong}"] if wrong else []
            print(
                f"{name:70.70} | {wrong or outcome.killer or 'passes':100.100} | {outcome.seconds:5.1f}",
                flush=True,
            )
    print(f"{len(mutants)} faults planted in {time.monotonic() - began:.0f} s, {len(complaints)} complaints")
    sys.exit("\n".join(complaints) or None)


def attempt(job: Job) -> Outcome:
    """:func:`tried` on one job."""
    return tried(*job)


if __name__ == "__main__":
    main()
