"""From a method, a data set and settings to a finished model folder."""

from __future__ import annotations

import dataclasses
import json
import platform
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.data.dataset import FaceDataset
from mien.data.split_files import SPLIT, split_text, with_split
from mien.errors import BadSetting, require
from mien.find.face import face_points
from mien.find.known_points import PEOPLE
from mien.io.atomic import write_bytes
from mien.io.lock import LOCK, alone
from mien.machine import machine
from mien.models.base import FaceModel
from mien.models.files import DAMAGE, load_model, save_model
from mien.models.registry import model_class
from mien.temporary import clear_stale
from mien.training.budget import Budget
from mien.training.card import write_card
from mien.training.display import Display
from mien.training.loop import Loop
from mien.training.plan import Plan, resolve_plan
from mien.version import __version__


def train(
    method: str | type[FaceModel] | FaceModel,
    data: FaceDataset | Path | str,
    *,
    out: Path | str,
    profile: str | None = None,
    seed: int | None = None,
    protocol: str | None = None,
    split: Path | str | None = None,
    split_seed: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    precision: str = "32-true",
    progress: bool = True,
    save_seconds: float = 30.0,
    **settings: Any,
) -> FaceModel:
    """Trains a method on the training people of a data set and leaves a model folder with its card.

    The same plan, data, machine and number of threads leave the same bytes in every file but
    ``metrics.jsonl``, the log, which alone tells of time. A lock keeps a second writer out of the folder.

    Args:
        method: Name of a method or of a recipe (``mien list``), ``module:Class``, ``file.py:Class``, a class
            of your own, or a model that exists already: it goes on from the weights that it has.
        data: The whole data set, or its folder; the protocol divides it.
        out: The run folder. A finished run is a model folder.
        profile: ``smoke`` (minutes), ``standard`` (an hour or two on two cores), ``full`` (the paper's).
        seed: Decides initial weights, batches and noise.
        protocol: How the data is divided, see :mod:`mien.data.splits`.
        split: A file that lists who trains, validates and tests, or the name of a list that comes with
            Mien, in place of a protocol; see :mod:`mien.data.split_files`.
        split_seed: Which of the random divisions.
        minutes: Of processor time, after which training ends; how many steps fit in depends on the machine.
        resume: Continue a run that was cut; the result is bit-identical to an uninterrupted one.
        accelerator: ``auto``, ``cpu``, ``gpu`` ... as Lightning Fabric names them.
        devices: How many devices.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        progress: Show bars.
        save_seconds: How often the state is saved.
        settings: Constructor arguments and training settings of the method, by name.

    Returns:
        The trained model, in evaluation mode on the CPU.
    """
    faces = data if isinstance(data, FaceDataset) else FaceDataset.load(data)
    if split is not None:
        if protocol is not None:
            raise BadSetting("a split file and a protocol both divide the data", remedy="give one of them")
        faces, protocol = with_split(faces, split)
    choices = {"profile": profile, "seed": seed, "protocol": protocol, "split_seed": split_seed,
               "minutes": minutes}  # fmt: skip
    plan, recipe = resolve_plan(method, settings, **choices)
    return fit_model(
        plan, faces, out,
        method=plan.model if recipe else method, resume=resume, accelerator=accelerator, devices=devices,
        precision=precision, progress=progress, save_seconds=save_seconds,
    )  # fmt: skip


def fit_model(
    plan: Plan,
    data: FaceDataset,
    out: Path | str,
    *,
    method: str | type[FaceModel] | FaceModel | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    precision: str = "32-true",
    progress: bool = True,
    save_seconds: float = 30.0,
    see_face: bool = True,
) -> FaceModel:
    """What :func:`train` does once the plan is made; its options are those of :func:`train`.

    Args:
        plan: What to train, see :func:`mien.training.plan_training`.
        data: The whole data set; the plan's protocol divides it.
        out: The run folder.
        method: The method, if the plan's name does not find it; or the model to train.
        resume: As for :func:`train`, and so are the others.
        accelerator: See there.
        devices: See there.
        precision: See there.
        progress: See there.
        save_seconds: See there.
        see_face: Keep with the model where faces will be looked for; models that are only judged need it not.
    """
    out = Path(out)
    header = _header(plan, data)
    kind = type(method) if isinstance(method, FaceModel) else model_class(method or plan.model)
    fabric = None if kind.stages is FaceModel.stages else _launch(accelerator, devices, precision)
    first = fabric is None or fabric.is_global_zero
    if first:
        _refuse_used(out)
    model = None
    if not (out / "config.json").is_file():  # what cannot be made is refused before anything is written
        model = _started(plan, data, method if isinstance(method, FaceModel) else kind)
    with alone(out, "run folder") if first else nullcontext():
        if _open_everywhere(fabric, out, header, resume) or model is None:
            return load_model(out, method=kind)
        if first:
            text = split_text(data, protocol=plan.protocol, seed=plan.split_seed)
            write_bytes(out / SPLIT, text.encode())
        header |= {} if see_face else {"face_points": "not looked for in this run; measured on first use"}
        return _fitted(plan, data, out, header, model, fabric, progress and first, save_seconds)


def _fitted(
    plan: Plan,
    data: FaceDataset,
    out: Path,
    header: dict[str, Any],
    model: FaceModel,
    fabric: Any,
    progress: bool,
    save_seconds: float,
) -> FaceModel:
    """The model of a run folder that is open, trained and saved."""
    kind = type(model)
    train, validation = (
        data.split(part, protocol=plan.protocol, seed=plan.split_seed) for part in ("train", "validation")
    )
    model.prepare(train)
    if fabric is not None:
        display = Display(out, progress)
        settings = kind.Settings(**plan.settings) if hasattr(kind, "Settings") else None
        budget = None
        if plan.minutes is not None:
            budget = Budget.of(plan.minutes, model, train, settings, validation)
        draw = torch.Generator().manual_seed(plan.seed)
        loop = Loop(fabric, out, draw, display, save_seconds, budget)
        loop.resume()
        fabric.barrier()  # nobody may read the checkpoint that the first process is about to write
        model.to(fabric.device)
        with display.notes():
            loop.run(model.stages(train, settings, validation))
        header |= {"stopped_at": loop.progress.stopped} if budget is not None else {}
        header["machine"] |= {"device": str(fabric.device), "processes": fabric.world_size}
    model.cpu().eval()
    if fabric is None or fabric.is_global_zero:
        model.calibrate(train)
        if "face_points" not in header:
            header |= _see_face(model, train)
        save_model(model, out, facts=header)
        write_card(out, kind)
        (out / "checkpoint.safetensors").unlink(missing_ok=True)
    return model


def _see_face(model: FaceModel, train: FaceDataset) -> dict[str, str]:
    """Keeps with the model where faces will be looked for, measured on some of its people; and says so."""
    first = np.unique(train.row_subject, return_index=True)[1]
    rows = first[train.has_neutral[first]][:PEOPLE]
    model.face_points = face_points(model.topology, [train.neutral_of([row])[0] for row in rows])
    if model.face_points is None:
        return {"face_points": "none: no face landmarker at hand, or no face seen; measured on first use"}
    count = len(model.face_points["numbers"])
    return {"face_points": f"{count} points of the face landmarker have a place on the template"}


def build_model(plan: Plan, data: FaceDataset, method: str | type[FaceModel] | None = None) -> FaceModel:
    """A freshly initialized model for a data set; the plan's seed decides its weights.

    Raises:
        BadSetting: A method of Mien cannot be made with these arguments.
    """
    torch.manual_seed(plan.seed)
    kind = model_class(method or plan.model)
    try:
        return kind(data.topology, data.expressions, **plan.arguments)
    except DAMAGE as error:
        if not kind.__module__.startswith("mien."):
            raise  # whoever wrote the method wants to know where
        raise BadSetting(
            f"{kind.name} cannot be made with these arguments",
            received=f"{dict(plan.arguments)}: {type(error).__name__}: {str(error)[:160]}",
            remedy=f"`mien info {kind.name}` lists them with their usual values",
        ) from error  # fmt: skip


def _started(plan: Plan, data: FaceDataset, method: type[FaceModel] | FaceModel) -> FaceModel:
    """A new model of a class, or the given one if the data is its own."""
    if not isinstance(method, FaceModel):
        return build_model(plan, data, method)
    method.check_data(data)
    if method.expressions != tuple(data.expressions):
        raise BadSetting(
            "the model has other expressions than the data set", received=", ".join(method.expressions),
            remedy="make it with data.topology and data.expressions",
        )  # fmt: skip
    torch.manual_seed(plan.seed)
    return method


def _header(plan: Plan, data: FaceDataset) -> dict[str, Any]:
    """The facts of a run, for run.json, the model card and the comparison on resume."""
    people = {p: len(set(data.split(p, protocol=plan.protocol, seed=plan.split_seed).row_subject.tolist()))
              for p in ("train", "validation", "test")}  # fmt: skip
    return {
        "plan": {name: value for name, value in dataclasses.asdict(plan).items() if value is not None},
        "data": {
            "source": data.source, "license": data.license, "citation": data.citation,
            "fingerprint": data.fingerprint, "faces": len(data), "people": people,
            "vertices": data.topology.vertex_count, "folder": data.folder.name if data.folder else None,
        },
        "versions": {"mien": __version__, "torch": torch.__version__,
                     "python": platform.python_version()},
        "machine": machine(),
    }  # fmt: skip


def _open_everywhere(fabric: Any, out: Path, header: dict[str, Any], resume: bool) -> bool:
    """:func:`_open_run` in the first of several processes; all learn its answer."""
    if fabric is None:
        return _open_run(out, header, resume)
    return fabric.broadcast(_open_run(out, header, resume) if fabric.is_global_zero else False)


def _refuse_used(out: Path) -> None:
    """Raises where a run is to begin and something else is already; before anything of a run is written."""
    if (out / "run.json").is_file() or not out.exists():
        return
    clear_stale(out)
    if not out.is_dir() or {path.name for path in out.iterdir()} - {LOCK}:
        raise BadSetting("the output folder is not empty", received=str(out), remedy="choose another --out")


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
    write_bytes(path, json.dumps(header, indent=1, ensure_ascii=False).encode())
    return False


def _launch(accelerator: str, devices: int | str, precision: str) -> Any:
    fabric_module = require("lightning_fabric", "train")
    import logging

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    fabric = fabric_module.Fabric(accelerator=accelerator, devices=devices, precision=precision)
    fabric.launch()
    return fabric
