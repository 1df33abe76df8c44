"""Model folders: config.json, model.safetensors, topology.npz, metrics.json and more. No pickle anywhere."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import torch
from torch import Tensor, nn

from mien.errors import BadFile, BadSetting, DataMissing
from mien.io.atomic import write_bytes
from mien.io.bounds import first_twice
from mien.io.schema import parse_bounded_json
from mien.models.base import FaceModel
from mien.models.bounded import BoundedTensors
from mien.models.own_code import class_of_record, is_record, record_of
from mien.models.registry import is_registered, model_class, registered_class
from mien.topology import Topology

#: What the model keeps for finding faces; folders without it are read, too.
FACE_POINTS = "face_points.safetensors"

#: What arguments of a constructor may be: their numbers, the length of their lists, and how deep these are.
LARGEST_ARGUMENT, LARGEST_LIST, DEEPEST_ARGUMENT = 1e7, 10_000, 8

#: What a constructor raises of arguments that it was never meant to get.
DAMAGE = (
    ValueError, LookupError, TypeError, RuntimeError, MemoryError, ArithmeticError, AttributeError,
    AssertionError,
)  # fmt: skip

#: Raised whenever a folder of the old form could not be read: other tensors, another config.json.
FORMAT = 2

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def save_model(model: FaceModel, folder: Path | str, *, facts: Mapping[str, Any] | None = None) -> None:
    """Writes a model folder; each file appears whole or not at all.

    A class that neither Mien nor an installed package brings is recorded, so that :func:`load_model` can find
    it again for whoever trusts the folder.

    Args:
        model: The model to save.
        folder: Created if needed; files of an older save are replaced.
        facts: What the model card states: data, license, protocol, seed, versions.

    Raises:
        BadSetting: A constructor argument is no plain JSON value.
        BadFile: A weight is not finite; nothing is written.
    """
    folder = Path(folder)
    state = {name: _unsigned_zeros(value.detach().cpu()) for name, value in model.state_dict().items()}
    _refuse_not_finite(state, folder)
    config = {
        "format": FORMAT, "model": model.name, "expressions": list(model.expressions), "config": model.config,
        "topology": model.topology.fingerprint, "sha256": "", "facts": dict(facts or {}),
    }  # fmt: skip
    if not is_registered(type(model)):
        config["code"] = record_of(type(model), folder)
    check_arguments(model.name, model.config)
    folder.mkdir(parents=True, exist_ok=True)
    names = {"expressions": json.dumps(config["expressions"])}
    config["sha256"] = save_tensors(folder / "model.safetensors", state, names)
    model.topology.save(folder / "topology.npz")
    if model.face_points is not None:
        points = {name: torch.from_numpy(value.copy()) for name, value in model.face_points.items()}
        config["face_points"] = save_tensors(folder / FACE_POINTS, points)
    write_bytes(folder / "config.json", json.dumps(config, indent=1, ensure_ascii=False).encode())


def check_arguments(model: str, arguments: Mapping[str, Any]) -> None:
    """Raises unless the constructor call of a model can be written down, and a folder of it opened again."""
    for name, value in arguments.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise BadSetting(
                f"the constructor argument {name!r} of {model} is no plain JSON value",
                received=type(value).__name__, remedy="take numbers, texts and lists; make the rest inside",
            ) from error  # fmt: skip
        try:
            _check_argument(name, value, 0)
        except ValueError as error:
            raise BadSetting(
                f"a folder of {model} with such an argument would not be opened again", received=str(error),
                remedy=f"take numbers up to {LARGEST_ARGUMENT:,.0f}",
            ) from error  # fmt: skip


def load_model(
    folder: Path | str, *, method: str | type[FaceModel] | None = None, trust_code: bool = False
) -> FaceModel:
    """Opens a model folder in evaluation mode on the CPU.

    Args:
        folder: A finished run, or what :func:`save_model` wrote.
        method: The model's class for a method of your own: the class, ``module:Class`` or ``file.py:Class``.
        trust_code: Run the code that the folder names, for a method of somebody's own.

    Raises:
        DataMissing: The folder or a file of it is absent.
        BadFile: A file is damaged (its checksum or form is wrong, a weight is not finite, names and tensors
            disagree), another version's format, made by another state of its class, or names code that was
            not trusted.
    """
    folder = Path(folder)
    for name in ("config.json", "model.safetensors", "topology.npz"):
        if not (folder / name).is_file():
            unfinished = (folder / "run.json").is_file()
            raise DataMissing(
                f"the model folder has no {name}", received=str(folder),
                remedy="finish it with `mien train ... --resume`" if unfinished else "give a finished run",
            )  # fmt: skip
    config = model_facts(folder)
    kind = class_of_folder(folder, method=method, trust_code=trust_code)
    try:
        _check_format(config, folder)
        topology = Topology.load(folder / "topology.npz")
        intact = topology.fingerprint == config["topology"]
        state = load_tensors(folder / "model.safetensors", config["sha256"])
        _check_expressions(config["expressions"], state, folder)
        _refuse_not_finite(state, folder)
        allowed = sum((folder / name).stat().st_size for name in ("model.safetensors", "topology.npz"))
        with BoundedTensors(allowed):
            model = _built(kind, topology, config["expressions"], config["config"])
    except (*DAMAGE, BadSetting) as error:
        raise BadFile(
            "the model's config.json is damaged", received=f"{folder} ({' '.join(str(error).split())})",
            remedy="copy the folder again or train again",
        ) from error  # fmt: skip
    if not intact:
        raise BadFile("the model's topology.npz is damaged", received=str(folder), remedy="copy it again")
    _check_kinds(model, state, folder)
    _check_shapes(model, state, folder)
    put_state(model, state)
    for module in model.modules():
        if odd := getattr(module, "disagreement", str)():
            raise _damaged(f"tensors that do not fit together: {odd}", folder)
    if "face_points" in config:  # folders that have none are calibrated when a face is first looked for
        points = load_tensors(folder / FACE_POINTS, config["face_points"])
        _refuse_not_finite(points, folder)
        model.face_points = {name: value.numpy() for name, value in points.items()}
    return model.eval()


def _damaged(what: str, folder: Path) -> BadFile:
    """The error for a checkpoint whose content contradicts itself."""
    return BadFile(
        "the model's model.safetensors is damaged", received=f"{what} in {folder}",
        remedy="copy the folder again or train again",
    )  # fmt: skip


def _unsigned_zeros(value: Tensor) -> Tensor:
    """A copy to save. The sign of a zero says nothing and hangs on the order in which sums were made."""
    value = value.contiguous().clone()
    return value + 0.0 if value.is_floating_point() else value


def _refuse_not_finite(state: Mapping[str, Tensor], folder: Path) -> None:
    """Raises at the first weight that is NaN or infinite: every face would be wrong, and silently."""
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            odd = (~torch.isfinite(value)).nonzero()
            place = ", ".join(str(int(index)) for index in odd[0])
            raise BadFile(
                "the model has weights that are not finite",
                received=f"{float(value[tuple(odd[0])])} at {name}[{place}], one of {len(odd)}, in {folder}",
                remedy="copy the folder again or train again",
            )


def _check_expressions(names: Any, state: Mapping[str, Tensor], folder: Path) -> None:
    """Raises unless ``config.json`` names each expression that was measured, once."""
    what = "the expressions of the model's config.json are damaged"
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise BadFile(what, received=f"no list of names in {folder}", remedy="copy the folder again")
    if (twice := first_twice(names)) is not None:
        raise BadFile(what, received=f"{twice!r} twice in {folder}", remedy="copy the folder again")
    measured = tuple(state["calibration.offsets"].shape) if "calibration.offsets" in state else ()
    if measured[:1] != (len(names),):
        found = f"{len(names)} names for offsets of shape {measured} in {folder}"
        raise BadFile(what, received=found, remedy="copy the folder again")
    saved = _saved_names(folder)
    if saved is not None and saved != names:
        pairs = ((old, new) for old, new in zip(saved, names) if old != new)
        old, new = next(pairs, (f"{len(saved)} names", f"{len(names)} names"))
        raise BadFile(
            what, received=f"{new!r} where the model was saved with {old!r}, in {folder}",
            remedy="copy config.json again; names of expressions are not changed in the file",
        )  # fmt: skip


def _saved_names(folder: Path) -> list[str] | None:
    """The expressions that stand beside the tensors, inside their checksum; None in folders of before."""
    from safetensors import safe_open

    with safe_open(str(folder / "model.safetensors"), framework="pt") as file:
        text = (file.metadata() or {}).get("expressions")
    return None if text is None else json.loads(text)


def _check_kinds(model: FaceModel, state: Mapping[str, Tensor], folder: Path) -> None:
    """Raises where a tensor has another kind of number than the model computes with."""
    for name, value in model.state_dict().items():
        if name in state and state[name].dtype != value.dtype:
            found, needed = (str(item).removeprefix("torch.") for item in (state[name].dtype, value.dtype))
            raise _damaged(f"{found} where {needed} is needed at {name}", folder)


def _check_shapes(model: FaceModel, state: Mapping[str, Tensor], folder: Path) -> None:
    """Raises where a buffer has another number of axes than the model computes with, or other vertices.

    Sizes of buffers may follow from data; what was measured of codes is checked where it is at home.
    """
    face = (model.topology.vertex_count, 3)
    for name, buffer in model.named_buffers():
        shape, needed = tuple(state.get(name, buffer).shape), tuple(buffer.shape)
        if name.startswith("calibration.") or not buffer.numel():
            continue
        if len(shape) != len(needed) or (needed[-2:] == face and shape[-2:] != face):
            raise _damaged(f"{name} of shape {shape} where one like {needed} is needed", folder)


def class_of_folder(
    folder: Path | str, *, method: str | type[FaceModel] | None = None, trust_code: bool = False
) -> type[FaceModel]:
    """The class of a model folder; see :func:`load_model` for the arguments and for what it refuses."""
    folder, config = Path(folder), model_facts(folder)
    if method is not None:
        kind = model_class(method)
        if kind.name != config.get("model"):
            raise BadSetting(
                f"the model folder holds another method than {kind.__qualname__} ({kind.name!r})",
                received=f"{config.get('model')!r} in {folder}", remedy="give the class of that method",
            )  # fmt: skip
        return kind
    record = config.get("code")
    if not isinstance(config.get("model"), str) or not (record is None or is_record(record)):
        raise BadFile("the model's config.json is damaged", received=str(folder))
    if record is None:
        return registered_class(config["model"])
    if not trust_code:
        raise BadFile(
            "the model folder names code that is not Mien's, and loading it would run that code",
            received=f"{record.get('address') or record.get('class')} in {folder}",
            remedy="if you trust it, add --trust-code (Python: trust_code=True)",
        )
    return class_of_record(record, folder)


def _built(
    kind: type[FaceModel], topology: Topology, expressions: Sequence[str], arguments: Mapping[str, Any]
) -> FaceModel:
    """A model from its constructor arguments, whose names may have changed since it was saved."""
    for name, value in arguments.items():
        _check_argument(name, value, 0)
    taken = list(inspect.signature(kind.__init__).parameters.values())[3:]
    names = [item.name for item in taken]
    needed = [item.name for item in taken if item.default is item.empty and item.kind not in _REST]
    odd = [name for name in needed if name not in arguments]
    if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in taken):
        odd += [name for name in arguments if name not in names]
    if odd:
        raise BadFile(
            f"the model was saved with other arguments than {kind.__qualname__} takes today",
            received=", ".join(odd), remedy="use the code that it was saved with, or train again",
        )  # fmt: skip
    check_types(kind.__init__, arguments)
    return kind(topology, expressions, **arguments)


def check_types(takes: Any, arguments: Mapping[str, Any]) -> None:
    """Raises ValueError for an argument of another type than is stated, if that can be told.

    Args:
        takes: A constructor or a dataclass that states the types.
        arguments: By name.
    """
    try:
        hints = get_type_hints(takes)
    except NameError:  # a type of somebody's own method that is there for type checkers alone
        return
    for name, value in arguments.items():
        try:
            msgspec.convert(value, hints.get(name, Any))
        except msgspec.ValidationError as error:
            raise ValueError(f"the argument {name!r} is of another type: {error}") from error
        except TypeError:  # a type that no JSON value has
            continue


def _check_argument(name: str, value: Any, depth: int) -> None:
    """Raises ValueError for an argument of a size that no model has: constructors count up to some."""
    parts = list(value) if isinstance(value, (list, dict, str)) else []
    odd = isinstance(value, (int, float)) and not abs(value) <= LARGEST_ARGUMENT
    if odd or len(parts) > LARGEST_LIST or depth > DEEPEST_ARGUMENT:
        raise ValueError(f"the argument {name!r} is out of range: {str(value)[:40]}")
    inside = value.values() if isinstance(value, dict) else parts if isinstance(value, list) else ()
    for part in inside:
        _check_argument(name, part, depth + 1)


def _check_format(config: Mapping[str, Any], folder: Path) -> None:
    """Refuses the folder of another version before its tensors fail one by one."""
    if config["format"] != FORMAT:
        writer = config["facts"].get("versions", {}).get("mien", "of its time")
        raise BadFile(
            f"this version of Mien reads model folders of format {FORMAT}",
            received=f"format {config['format']} in {folder}",
            remedy=f"train the model again, or open it with the Mien that wrote it ({writer})",
        )


def model_facts(folder: Path | str) -> dict[str, Any]:
    """The ``config.json`` of a model folder."""
    try:
        text = (Path(folder) / "config.json").read_bytes()
    except FileNotFoundError as error:
        raise DataMissing("the model folder has no config.json", received=str(folder)) from error
    facts = parse_bounded_json(text, "the model's config.json", Path(folder), "copy the folder again")
    told = facts.get("facts", {}) if isinstance(facts, dict) else None
    tables = ("plan", "versions", "machine")
    if not isinstance(told, dict) or not all(isinstance(told.get(name, {}), dict) for name in tables):
        raise BadFile("the model's config.json is damaged", received=str(folder))
    return facts


def put_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads a state; buffers take the shape of the file, as their sizes may follow from data.

    Args:
        module: What to fill.
        state: Name -> tensor of any shape.
    """
    expected = set(module.state_dict())
    if expected != set(state):
        odd = sorted(expected ^ set(state))[:4]
        raise BadFile(
            "a checkpoint does not fit the model", received=f"unmatched tensors {odd}",
            remedy="train again; another version of Mien may have written it",
        )  # fmt: skip
    owners = dict(module.named_modules())
    for name, value in state.items():
        owner, _, leaf = name.rpartition(".")
        target = owners[owner]
        if leaf in target._buffers:
            old = target._buffers[leaf]
            target._buffers[leaf] = value.to(old.device if old is not None else "cpu")
        elif target._parameters[leaf].shape != value.shape:  # type: ignore[union-attr]
            raise BadFile("a checkpoint does not fit the model", received=f"{name} of {tuple(value.shape)}")
        else:
            with torch.no_grad():
                target._parameters[leaf].copy_(value)  # type: ignore[union-attr]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Writes safetensors atomically.

    Args:
        path: The file.
        tensors: Name -> tensor of any shape.
        metadata: Strings kept in the file.

    Returns:
        sha256 of the file.
    """
    from safetensors.torch import save

    blob = save(dict(tensors), dict(metadata) if metadata else None)
    write_bytes(path, blob)
    return hashlib.sha256(blob).hexdigest()


def load_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    """Reads safetensors after comparing the file's sha256.

    Args:
        path: The file.
        digest: The sha256 that it had.

    Returns:
        Name -> tensor of any shape.

    Raises:
        BadFile: The file is another one, or not in the form of safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    blob = path.read_bytes()
    if hashlib.sha256(blob).hexdigest() != digest:
        raise BadFile(
            "the checkpoint is damaged: its checksum differs", received=str(path),
            remedy="copy it again or train again",
        )  # fmt: skip
    try:
        return load(blob)
    except SafetensorError as error:
        raise BadFile(
            "the checkpoint is damaged", received=f"{path}: {error}", remedy="copy it again or train again"
        ) from error
