"""Kills each kind of work at random moments, does it again, and compares every byte with uncut work.

    python benchmarks/soak.py [--kills 100] [--seed 0] [--work rig] [--record FILE.csv]

Kills are SIGKILL. Half of them come at a random moment of processor time, so that the load of the machine
does not matter; the others right before a file is opened for writing, renamed or removed or a folder is made,
which is where something can be left half-done. Two in a row are common. Then the work is done once more,
undisturbed. Three things must hold, and are counted where they do not: after a kill each file of a final name
is whole (half_written); in the end every byte is that of the uncut work (different), and there is no other
file, also none among the temporary ones of the system (left_over). Linux only.
"""

from __future__ import annotations

import argparse
import csv
import gc
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from mien.cli import command
from mien.data.dataset import FaceDataset
from mien.io.atomic import write_bytes
from mien.io.lock import LOCK
from mien.models.files import load_model
from mien.progress import track
from mien.sharing import save_pretrained
from mien.training import fit_model, plan_training
from mien.training.checkpoint import read_checkpoint
from mien.viewer import Engine, Studio
from mien.viewer.export import EXPORTS

GROWING = ("metrics.jsonl", "checkpoint.safetensors")
"""Files of a run that is under way: a log that tells of time, and what training goes on from."""
_STALE = re.compile(r"\..+\.tmp")
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
_WRITES = os.O_WRONLY | os.O_RDWR
_SETTINGS = {
    "steps": 12, "pretraining_steps": 4, "batch_size": 4, "validate_every": 4, "identity_size": 4,
    "expression_size": 4, "hidden": 8, "discriminator_points": 20, "closed_form_finish": 5,
}  # fmt: skip
_FAULTS = ("half_written", "different", "left_over")
COLUMNS = ("work", "kills", "by_moment", "by_file", *_FAULTS, "processor_s", "file_events", "files")


@dataclass(frozen=True)
class Inputs:
    """What the work begins with: a data set, a finished run, and a person at rest.

    Args:
        folder: Where they lie.
    """

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "faces"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def neutral(self) -> Path:
        return min((self.data / "examples").glob("*_neutral.obj"))

    @classmethod
    def made(cls, folder: Path, names: Sequence[str]) -> Inputs:
        """Builds and trains them, and does the work of these names once."""
        found = cls(folder)
        mien(*_BUILD, "--subjects", 12, "--out", found.data)
        mien("train", "morphable", "--data", found.data, "--out", found.run, "--set", "identity_size=6")
        for name in names:  # what is imported and computed once is no part of what is killed
            WORK[name](found, folder / "once" / name)
        return found


def mien(*words: object) -> None:
    """Runs the command line in this process; a refusal ends it."""
    if command([str(word) for word in words]):
        raise SystemExit(f"mien {' '.join(map(str, words))} failed")


_BUILD = ("data", "build", "procedural", "--expressions", "emotion6", "--vertices", 300)


def build(_: Inputs, out: Path) -> None:
    mien(*_BUILD, "--subjects", 3, "--textures", 16, "--out", out / "faces")


def train(inputs: Inputs, out: Path) -> None:
    plan = plan_training("adversarial_vae", _SETTINGS, profile="smoke")
    fit_model(
        plan, FaceDataset.load(inputs.data), out / "run", resume=True, progress=False, save_seconds=0.0,
        see_face=False,
    )  # fmt: skip


def evaluate(inputs: Inputs, out: Path) -> None:
    still = {"return_value": 0.0}  # the report tells of time, which is never twice the same
    with mock.patch("time.monotonic", **still), mock.patch("time.perf_counter", **still):
        words = ("--data", inputs.data, "--out", out / "tables", "--per-mesh", out / "meshes.csv")
        mien("evaluate", inputs.run, *words)


def rig(inputs: Inputs, out: Path) -> None:
    mien("rig", inputs.run, inputs.neutral, "--save-names", out / "names.csv", "-o", out / "rig.glb")


def share(inputs: Inputs, out: Path) -> None:
    save_pretrained(inputs.run, out / "model")
    mien("share", inputs.run, inputs.neutral, "--people", 2, "-o", out / "page.html")


def studio_export(inputs: Inputs, out: Path) -> None:
    """Everything that the studio's menu has, of a head that came through the browser."""
    studio = Studio([Engine("run", load_model(inputs.run))])
    studio.load("head.obj", inputs.neutral.read_bytes())
    name = studio.history.state.expressions[0]
    studio.act("set_weight", {"name": name, "value": 0.8})
    studio.act("add_move", {"at": 0.0})
    for kind in EXPORTS:
        found = studio.export(kind)
        write_bytes(out / kind / found.name, found.data)


WORK: dict[str, Callable[[Inputs, Path], None]] = {
    "build": build, "train": train, "evaluate": evaluate, "rig": rig, "share": share,
    "studio export": studio_export,
}  # fmt: skip


# ---- one process


@dataclass(frozen=True)
class Cut:
    """When a process is killed.

    Args:
        moment: Seconds of processor time, or None.
        event: Before which of its changes of files, or None.
    """

    moment: float | None = None
    event: int | None = None


@dataclass
class Ended:
    """How a process ended.

    Args:
        killed: Or it ran to its end.
        seconds: Of processor time.
        events: Changes of files.
    """

    killed: bool
    seconds: float
    events: int


def in_a_process(work: Callable[[], None], places: Sequence[Path], temporary: Path, cut: Cut) -> Ended:
    """Does work in a copy of this process that may be cut.

    Args:
        work: What is done.
        places: Folders in which changes of files are events.
        temporary: The folder for temporary files.
        cut: When it is killed.
    """
    told, tell = os.pipe()
    gc.freeze()  # what is loaded already is shared with the copy, and not looked through there
    child = os.fork()
    if not child:
        os.close(told)
        code = 1
        try:
            code = _serve(work, places, temporary, cut.event, tell)
        finally:
            os._exit(code)
    os.close(tell)
    status, used = _waited(child, cut.moment)
    with os.fdopen(told, "rb") as lines:
        events = len(lines.read())
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status:
        raise SystemExit(f"the work failed undisturbed: status {status}")
    return Ended(killed, used.ru_utime + used.ru_stime, events)


def _serve(
    work: Callable[[], None], places: Sequence[Path], temporary: Path, event: int | None, tell: int
) -> int:
    """The work, with each change of a file told as a byte; killed before the one of a number."""
    tempfile.tempdir = str(temporary)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    roots = tuple(f"{os.path.abspath(place)}{os.sep}" for place in places)
    count = 0

    def watch(name: str, values: tuple[Any, ...]) -> None:
        nonlocal count
        writes = name == "open" and isinstance(values[2], int) and values[2] & _WRITES
        if not (writes or name in _CHANGES) or not isinstance(values[0], (str, os.PathLike)):
            return
        if not os.path.abspath(values[0]).startswith(roots):
            return
        if count == event:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        os.write(tell, b".")

    sys.addaudithook(watch)
    work()
    return 0


def _waited(child: int, moment: float | None) -> tuple[int, Any]:
    """Status and use of a process; it is killed when it has used so much processor time."""
    while moment is not None:
        found, status, used = os.wait4(child, os.WNOHANG)
        if found:
            return status, used
        if _processor_seconds(child) >= moment:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.001)
    _, status, used = os.wait4(child, 0)
    return status, used


def _processor_seconds(process: int) -> float:
    """Of its first thread, which does the work."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


# ---- what lies there


def hashes(folder: Path) -> dict[str, str]:
    """Path within the folder -> hash of each file; of a folder, its path alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        if path.name in GROWING:
            found[name] = "grows"
    return found


def half_written(folder: Path, whole: dict[str, str]) -> list[str]:
    """Files of final names that are not what they should be in the end, nor whole in their own way."""
    found = []
    for name, value in hashes(folder).items():
        path = folder / name
        if any(_STALE.fullmatch(part) for part in Path(name).parts) or path.name == LOCK:
            continue  # known as unfinished, by its name
        if path.name == "checkpoint.safetensors":
            read_checkpoint(path)
        elif path.name == "metrics.jsonl":
            for line in path.read_text().splitlines()[
                :-1
            ]:  # the last line may be cut: nobody goes on from it
                json.loads(line)
        elif whole.get(name) != value:
            found.append(name)
    return found


@dataclass
class Tally:
    """What was seen of one kind of work.

    Args:
        work: Its name.
        whole: Of the uncut work.
        files: How many it leaves.
    """

    work: str
    whole: Ended
    files: int
    by_moment: int = 0
    by_file: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_FAULTS, 0))

    @property
    def kills(self) -> int:
        return self.by_moment + self.by_file

    def fault(self, kind: str, names: Sequence[str]) -> None:
        """Counts and says where something does not hold."""
        if names:
            self.faults[kind] += 1
            print(f"{self.work}, kill {self.kills}: {kind}: {', '.join(names[:5])}", flush=True)

    def row(self) -> dict[str, object]:
        """A line of the record."""
        return {"work": self.work, "kills": self.kills, "by_moment": self.by_moment, "by_file": self.by_file,
                **self.faults, "processor_s": round(self.whole.seconds, 2), "file_events": self.whole.events,
                "files": self.files}  # fmt: skip


def soak(name: str, work: Callable[[Inputs, Path], None], inputs: Inputs, kills: int, seed: int) -> Tally:
    """Kills one kind of work so many times.

    Args:
        name: Of the work.
        work: Does it: inputs, and the folder for what is made.
        inputs: What it begins with.
        kills: How many.
        seed: Draws the moments.
    """
    chance = random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory(prefix="mien-soak-") as place, _bar(name, kills) as step:
        whole, out, temporary = (Path(place) / part for part in ("whole", "out", "temporary"))

        def once(target: Path, cut: Cut) -> Ended:
            return in_a_process(lambda: work(inputs, target), [target, temporary], temporary, cut)

        for folder in (whole, temporary):
            folder.mkdir()
        uncut = once(whole, Cut())
        right = hashes(whole)
        tally = Tally(name, uncut, sum(value != "" for value in right.values()))
        tally.fault("left_over", list(hashes(temporary)))
        while tally.kills < kills:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            for _ in range(min(chance.choice((1, 2, 2)), kills - tally.kills)):
                by_file = tally.by_file <= tally.by_moment
                cut = (
                    Cut(event=chance.randrange(uncut.events)) if by_file
                    else Cut(moment=chance.uniform(0, uncut.seconds))
                )  # fmt: skip
                if once(out, cut).killed:
                    tally.by_file, tally.by_moment = tally.by_file + by_file, tally.by_moment + (not by_file)
                    tally.fault("half_written", half_written(out, right))
                    step()
            if hashes(out) != right or hashes(temporary):  # it may have been killed when all was done
                once(out, Cut())
            found = hashes(out)
            tally.fault("different", [key for key in right if found.get(key, right[key]) != right[key]])
            tally.fault("different", [key for key in right if key not in found])
            tally.fault("left_over", [key for key in found if key not in right] + list(hashes(temporary)))
    return tally


@contextmanager
def _bar(name: str, kills: int) -> Iterator[Callable[[], object]]:
    steps = iter(track(range(kills), name))
    yield lambda: next(steps, None)
    next(steps, None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="of all kinds of work together")
    parser.add_argument("--seed", type=int, default=0, help="draws other moments")
    parser.add_argument("--work", action="append", choices=WORK, help="only this kind; may be repeated")
    parser.add_argument("--record", type=Path, help="a CSV with a line a kind")
    options = parser.parse_args()
    torch.set_num_threads(1)  # a copy of a process has none of its further threads
    names = options.work or list(WORK)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="mien-soak-") as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"  # PyTorch's own folder, which it keeps
        inputs = Inputs.made(Path(folder), names)
        for number, name in enumerate(names):
            kills = options.kills * (number + 1) // len(names) - options.kills * number // len(names)
            tallies.append(soak(name, WORK[name], inputs, kills, options.seed))
            print(", ".join(f"{key} {value}" for key, value in tallies[-1].row().items()), flush=True)
    faults = sum(sum(tally.faults.values()) for tally in tallies)
    print(f"{sum(tally.kills for tally in tallies)} kills, {faults} faults")
    if options.record is not None:
        with options.record.open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(tally.row() for tally in tallies)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
