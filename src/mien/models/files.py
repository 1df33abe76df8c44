"""Model folders: config.json, model.safetensors, topology.npz, metrics.json. No pickle anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import BadFile, DataMissing
from mien.io.atomic import write_bytes
from mien.models import model_class
from mien.models.base import FaceModel
from mien.topology import Topology

#: Raised whenever a folder of the old form could not be read: other tensors, another config.json.
FORMAT = 2


def save_model(model: FaceModel, folder: Path | str, *, facts: Mapping[str, Any] | None = None) -> None:
    """Writes a model folder; each file appears whole or not at all.

    Args:
        model: The model to save.
        folder: Created if needed; files of an older save are replaced.
        facts: What the model card states: data, license, protocol, seed, versions.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    digest = save_tensors(folder / "model.safetensors", state)
    model.topology.save(folder / "topology.npz")
    config = {
        "format": FORMAT, "model": model.name, "expressions": list(model.expressions), "config": model.config,
        "topology": model.topology.fingerprint, "sha256": digest, "facts": dict(facts or {}),
    }  # fmt: skip
    write_bytes(folder / "config.json", json.dumps(config, indent=1, ensure_ascii=False).encode())


def load_model(folder: Path | str) -> FaceModel:
    """Opens a model folder in evaluation mode on the CPU.

    Raises:
        DataMissing: The folder or a file of it is absent.
        BadFile: A file is damaged (its checksum or form is wrong), or another version's format.
    """
    folder = Path(folder)
    for name in ("config.json", "model.safetensors", "topology.npz"):
        if not (folder / name).is_file():
            unfinished = (folder / "run.json").is_file()
            raise DataMissing(
                f"the model folder has no {name}", received=str(folder),
                remedy="finish it with `mien train ... --resume`" if unfinished else "give a finished run",
            )  # fmt: skip
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        _check_format(config, folder)
        topology = Topology.load(folder / "topology.npz")
        intact = topology.fingerprint == config["topology"]
        state = load_tensors(folder / "model.safetensors", config["sha256"])
        model = model_class(config["model"])(topology, config["expressions"], **config["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(
            "the model's config.json is damaged", received=str(folder), remedy=str(error)
        ) from error
    if not intact:
        raise BadFile("the model's topology.npz is damaged", received=str(folder), remedy="copy it again")
    put_state(model, state)
    return model.eval()


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
        return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataMissing("the model folder has no config.json", received=str(folder)) from error
    except ValueError as error:
        raise BadFile("the model's config.json is damaged", received=str(folder)) from error


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
    """
    from safetensors.torch import load

    blob = path.read_bytes()
    if hashlib.sha256(blob).hexdigest() != digest:
        raise BadFile(
            "the checkpoint is damaged: its checksum differs", received=str(path),
            remedy="copy it again or train again",
        )  # fmt: skip
    return load(blob)
