"""From a method's name, a data set and settings to a finished model folder."""

from __future__ import annotations

import dataclasses
import inspect
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, UnknownName, require
from mien.io.atomic import write_bytes
from mien.machine import machine
from mien.models import model_class
from mien.models.base import FaceModel
from mien.models.files import save_model
from mien.training.display import Display
from mien.training.loop import Loop

PROFILES = ("smoke", "standard", "full")


@dataclass(frozen=True)
class Plan:
    """Everything that decides the weights of a run, besides the data.

    Args:
        model: Name of the method.
        arguments: Constructor arguments of the model.
        settings: Training settings of the model.
        profile: ``smoke`` (minutes), ``standard`` (an hour or two on two cores), ``full`` (the paper's).
        seed: Decides initial weights, batches and noise.
        protocol: How the data is divided, see :mod:`mien.data.splits`.
        split_seed: Which of the random divisions.
    """

    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "standard"
    seed: int = 0
    protocol: str = "subject"
    split_seed: int = 0


def plan_training(model: str, overrides: Mapping[str, Any] | None = None, **choices: Any) -> Plan:
    """Resolves defaults, profile and overrides, and checks every name against the method's own signature.

    Args:
        model: Name of the method.
        overrides: ``--set`` values: constructor arguments and training settings by name.
        choices: Fields of :class:`Plan`: profile, seed, protocol, split_seed.

    Raises:
        UnknownName: A setting that the method does not have.
    """
    kind = model_class(model)
    profile = choices.get("profile", "standard")
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    constructor = inspect.signature(kind.__init__).parameters
    arguments = {n: p.default for n, p in constructor.items() if n not in ("self", "topology", "expressions")}
    known = getattr(kind, "Settings", None)
    settings = {f.name: f.default for f in dataclasses.fields(known)} if known else {}
    chosen = dict(kind.profiles.get(profile, {})) | dict(overrides or {})
    for name, value in chosen.items():
        if name in arguments:
            arguments[name] = value
        elif name in settings:
            settings[name] = value
        else:
            raise UnknownName(f"setting of {model}", name, [*arguments, *settings])
    return Plan(model, arguments, settings, **choices)


def fit_model(
    plan: Plan,
    data: FaceDataset,
    out: Path | str,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    precision: str = "32-true",
    progress: bool = True,
    save_seconds: float = 30.0,
) -> FaceModel:
    """Trains a model on the training part of a data set and leaves a model folder.

    Args:
        plan: What to train, see :func:`plan_training`.
        data: The whole data set; the plan's protocol divides it.
        out: The run folder. A finished run is a model folder.
        resume: Continue a run that was cut; the result is bit-identical to an uninterrupted one.
        accelerator: ``auto``, ``cpu``, ``gpu`` ... as Lightning Fabric names them.
        devices: How many devices.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        progress: Show bars.
        save_seconds: How often the state is saved.

    Returns:
        The trained model, in evaluation mode on the CPU.
    """
    out = Path(out)
    header = _header(plan, data)
    kind = model_class(plan.model)
    fabric = None if kind.stages is FaceModel.stages else _launch(accelerator, devices, precision)
    if _open_everywhere(fabric, out, header, resume):
        from mien.models.files import load_model

        return load_model(out)
    train, validation = (
        data.split(part, protocol=plan.protocol, seed=plan.split_seed) for part in ("train", "validation")
    )
    model = build_model(plan, data)
    model.prepare(train)
    began = time.monotonic()
    if fabric is not None:
        display = Display(out, progress and fabric.is_global_zero)
        loop = Loop(fabric, out, torch.Generator().manual_seed(plan.seed), display, save_seconds)
        loop.resume()
        fabric.barrier()  # nobody may read the checkpoint that the first process is about to write
        model.to(fabric.device)
        with display.notes():
            loop.run(model.stages(train, kind.Settings(**plan.settings), validation))
        header["training_seconds"] = round(loop.progress.seconds, 1)
        header["machine"] |= {"device": str(fabric.device), "processes": fabric.world_size}
        if not fabric.is_global_zero:
            return model.cpu().eval()
    model.cpu().eval()
    model.calibrate(train)
    header.setdefault("training_seconds", round(time.monotonic() - began, 1))
    save_model(model, out, facts=header)
    (out / "checkpoint.safetensors").unlink(missing_ok=True)
    return model


def build_model(plan: Plan, data: FaceDataset) -> FaceModel:
    """A freshly initialized model for a data set; the plan's seed decides its weights."""
    torch.manual_seed(plan.seed)
    return model_class(plan.model)(data.topology, data.expressions, **plan.arguments)


def _header(plan: Plan, data: FaceDataset) -> dict[str, Any]:
    """The facts of a run, for run.json, the model card and the comparison on resume."""
    import mien

    people = {p: len(set(data.split(p, protocol=plan.protocol, seed=plan.split_seed).row_subject.tolist()))
              for p in ("train", "validation", "test")}  # fmt: skip
    return {
        "plan": dataclasses.asdict(plan),
        "data": {
            "source": data.source, "license": data.license, "citation": data.citation,
            "fingerprint": data.fingerprint, "faces": len(data), "people": people,
            "vertices": data.topology.vertex_count, "folder": data.folder.name if data.folder else None,
        },
        "versions": {"mien": mien.__version__, "torch": torch.__version__,
                     "python": platform.python_version()},
        "machine": machine(),
    }  # fmt: skip


def _open_everywhere(fabric: Any, out: Path, header: dict[str, Any], resume: bool) -> bool:
    """:func:`_open_run` in the first of several processes; all learn its answer."""
    if fabric is None:
        return _open_run(out, header, resume)
    return fabric.broadcast(_open_run(out, header, resume) if fabric.is_global_zero else False)


def _open_run(out: Path, header: dict[str, Any], resume: bool) -> bool:
    """Starts or continues a run folder; True if it is finished already."""
    path = out / "run.json"
    if path.is_file():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadSetting("the run folder's run.json is damaged", received=str(path)) from error
        same = json.loads(json.dumps([header["plan"], header["data"]["fingerprint"]]))
        if not resume:
            raise BadSetting(
                "this run folder is in use", received=str(out),
                remedy="continue it with --resume or choose another --out",
            )  # fmt: skip
        if [old["plan"], old["data"]["fingerprint"]] != same:
            raise BadSetting(
                "the run to resume has other settings or other data", received=str(out),
                remedy="give the settings that it was started with, or choose another --out",
            )  # fmt: skip
        return (out / "config.json").is_file()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadSetting("the output folder is not empty", received=str(out), remedy="choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(header, indent=1, ensure_ascii=False).encode())
    return False


def _launch(accelerator: str, devices: int | str, precision: str) -> Any:
    fabric_module = require("lightning.fabric", "train")
    import logging

    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    fabric = fabric_module.Fabric(accelerator=accelerator, devices=devices, precision=precision)
    fabric.launch()
    return fabric
