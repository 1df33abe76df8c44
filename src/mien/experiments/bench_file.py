"""Bench files: one YAML file that says which systems are compared, on which data, and how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mien.data.dataset import FaceDataset
from mien.data.performance import Variation
from mien.data.sources.ict import build_ict
from mien.data.sources.procedural.build import build_procedural
from mien.errors import BadFile, BadSetting, DataMissing, UnknownName
from mien.evaluation.generation.settings import settings_of
from mien.io.schema import checked_as, parse_bounded_yaml
from mien.io.text import read_text
from mien.training import Plan, resolve_plan
from mien.training.recipes import recipe_names

FOLDER = Path(__file__).parent.parent / "benches"
"""The bench files of Mien; they are part of the installed package."""
BUILDERS = ("procedural", "ict", "folder")
SYSTEM_KEYS = ("model", "settings", "profile", "data", "predictions")
_HOW = "docs/experiments.md has an example"


@dataclass(frozen=True)
class Bench:
    """What ``mien bench`` runs; every key of the file is a field here.

    Args:
        title: Of the table.
        data: Name -> ``source`` (procedural, ict or folder), and what it is built with: ``subjects``,
            ``vertices``, ``manner``, ``sequences`` ...; ``from`` for ict, ``path`` for a folder; ``seeds``
            where a set is worth fewer runs than the others.
        systems: Name -> ``model`` (a method or a recipe; by default the name), ``settings``, ``profile``, and
            ``data``, the sets that it is for; or ``predictions``, the file in which another program wrote
            what it made of the one set that ``data`` names, see
            :func:`mien.evaluation.predictions.read_predictions`.
        seeds: One run each.
        minutes: Of processor time a run; None for all steps of the profile.
        profile: Whose settings to start from.
        protocol: How the data is divided.
        generation: Judge random faces, too: ``profile`` (smoke, standard, full) and other settings of
            :class:`mien.evaluation.generation.settings.GenerationSettings`; None for none.
        controls: Judge the cheap controls, too.
        against: The system over which the CSV states the gain of every other, paired over people.
        notes: Printed below the title.
    """

    title: str
    data: Mapping[str, Mapping[str, Any]]
    systems: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...] = (0,)
    minutes: float | None = None
    profile: str = "standard"
    protocol: str = "subject"
    generation: Mapping[str, Any] | None = None
    controls: bool = True
    against: str = ""
    notes: str = ""

    def plan(self, system: str, seed: int) -> Plan:
        """What one run trains.

        Args:
            system: Its name.
            seed: Of the run.

        Raises:
            UnknownName: A method or setting that there is not.
        """
        told = self.systems[system]
        profile = told.get("profile", self.profile)
        return resolve_plan(
            told.get("model", system), told.get("settings", {}), profile=profile, seed=seed,
            protocol=self.protocol, minutes=self.minutes,
        )[0]  # fmt: skip

    def data_of(self, system: str) -> list[str]:
        """The data sets that a system is for; without a word of the file, those of single scans."""
        told = self.systems[system].get("data")
        if told is None:
            return [name for name, source in self.data.items() if not source.get("sequences")]
        return [told] if isinstance(told, str) else list(told)

    def seeds_of(self, data: str) -> tuple[int, ...]:
        """The seeds of the runs on a data set."""
        return tuple(self.data[data].get("seeds", self.seeds))

    def runs_of(self, data: str) -> list[str]:
        """The systems that are trained on a data set."""
        return [name for name in self.systems
                if data in self.data_of(name) and "predictions" not in self.systems[name]]  # fmt: skip

    def told_of(self, data: str) -> dict[str, Any]:
        """What a data set is built with."""
        return {key: value for key, value in self.data[data].items() if key != "seeds"}


def bench_names() -> list[str]:
    """Names of the bench files of Mien."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_bench(source: Path | str) -> Bench:
    """Reads and checks a bench file: every method, setting and data source in it is known.

    A file whose key ``extends`` names a bench of Mien has all of that bench, and its own keys over it.

    Args:
        source: A file, or a name of :func:`bench_names`.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no YAML mapping, or lacks something.
        UnknownName: It names something that there is not.
        BadSetting: A value has no meaning.
    """
    path = _path_of(source)
    found = _extended(_parsed(path))
    known = [item.name for item in fields(Bench)]
    for key in found:
        if key not in known:
            raise UnknownName("key of a bench file", str(key), known)
    for key in ("data", "systems"):
        told = found.get(key)
        if (
            not isinstance(told, dict)
            or not told
            or any(not isinstance(v or {}, dict) for v in told.values())
        ):
            raise BadFile(f"a bench file needs the mapping {key}", received=str(path), remedy=_HOW)
        found[key] = {str(name): value or {} for name, value in told.items()}
    bench = checked_as({"title": path.stem, **found}, Bench, "the bench file", path, _HOW)
    _check(bench)
    return bench


def build_data(told: Mapping[str, Any], out: Path) -> FaceDataset:
    """The data set that a bench file describes, built unless it is there already.

    Args:
        told: An entry of ``data``.
        out: Folder of the data set.

    Raises:
        DataMissing: The source is not on this machine.
    """
    options = {key: value for key, value in told.items() if key not in ("source", "from", "path", "manner")}
    if told["source"] == "folder":
        return FaceDataset.load(os.path.expandvars(told["path"]))
    if out.is_dir():
        return FaceDataset.load(out)
    options["variation"] = Variation(manner=float(told.get("manner", 0.0)))
    if told["source"] == "procedural":
        return build_procedural(out, **options)
    origin = os.path.expandvars(str(told["from"]))
    if not Path(origin).exists():
        raise DataMissing(
            "the ICT-FaceKit release of a bench file does not exist", received=origin,
            remedy="set the variable that the file names, or write the path",
        )  # fmt: skip
    return build_ict(origin, out, **options)


def _path_of(source: Path | str) -> Path:
    path, name = Path(source), str(source).removesuffix(".yaml")
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") and path.parent != Path("."):
        raise DataMissing("the bench file does not exist", received=str(source), remedy="check the path")
    if name in recipe_names():
        raise BadSetting(
            "a recipe trains one system", received=name,
            remedy=f"name it in a bench file (systems: {{mine: {{model: {name}}}}}), or use `mien train`",
        )  # fmt: skip
    if name not in bench_names():
        raise UnknownName("bench", name, bench_names())
    return FOLDER / f"{name}.yaml"


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = parse_bounded_yaml(read_text(path, "the bench file"))
    except ValueError as error:
        raise BadFile("the bench file is not valid YAML", received=f"{path}: {error}", remedy=_HOW) from error
    if not isinstance(found, dict):
        raise BadFile("a bench file is a mapping", received=str(path), remedy=_HOW)
    return found


def _extended(found: dict[str, Any]) -> dict[str, Any]:
    """A file that ``extends`` a bench of Mien is that bench with its own keys, data and systems over it."""
    if "extends" not in found:
        return found
    base, own = _parsed(_path_of(str(found["extends"]))), dict(found)
    del own["extends"]
    joined = {
        key: {**base[key], **own[key]} for key in ("data", "systems")
        if isinstance(base.get(key), dict) and isinstance(own.get(key), dict)
    }  # fmt: skip
    return {**base, **own, **joined}


def _check(bench: Bench) -> None:
    for seeds in (bench.seeds, *(told["seeds"] for told in bench.data.values() if "seeds" in told)):
        whole = isinstance(seeds, list | tuple) and all(isinstance(seed, int) for seed in seeds)
        if not whole or not seeds or len(set(seeds)) < len(seeds):
            raise BadSetting("seeds of a bench are different whole numbers", received=seeds)
    for name, told in bench.data.items():
        source = told.get("source")
        if source not in BUILDERS:
            raise UnknownName(f"source of the data {name!r}", str(source), BUILDERS)
        needs = {"procedural": "subjects", "ict": "from", "folder": "path"}[source]
        if needs not in told:
            raise BadFile(f"the data {name!r} needs {needs}", received=f"source {source}")
    if bench.generation is not None:
        asked = dict(bench.generation)
        settings_of(asked.pop("profile", "standard"), asked)
    if bench.against and bench.against not in bench.systems:
        raise UnknownName("system to compare against", str(bench.against), bench.systems)
    for name, told in bench.systems.items():
        for key in told:
            if key not in SYSTEM_KEYS:
                raise UnknownName(f"key of the system {name!r}", str(key), SYSTEM_KEYS)
        for data in bench.data_of(name):
            if data not in bench.data:
                raise UnknownName(f"data of the system {name!r}", str(data), bench.data)
        if "predictions" not in told:
            bench.plan(name, 0)
        elif not isinstance(told.get("data"), str) or {"model", "settings", "profile"} & set(told):
            raise BadFile(
                f"the system {name!r} has predictions: it needs one name as data, and nothing to train",
                received=", ".join(told), remedy=_HOW,
            )  # fmt: skip
