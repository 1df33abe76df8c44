"""The state of a running stage as one safetensors file: tensors inside, everything else as JSON beside."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.errors import BadFile
from mien.io.atomic import write_bytes
from mien.models.base import Stage
from mien.models.files import put_state


@dataclass
class Progress:
    """Where a run stands.

    Args:
        stage: Number of the stage.
        step: Steps of it that are done.
        best: Lowest criterion so far; infinity before the first validation.
        best_step: Step of the lowest criterion.
        stale: Validations since then.
        log_bytes: Length of metrics.jsonl at this point; what follows is written again after a resume.
        seconds: Training time so far.
        finished: Names of finished stages.
        processor: Seconds of processor time so far.
        stopped: Stage that ran out of processor time -> "step 12 of 400".
    """

    stage: int = 0
    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0
    log_bytes: int = 0
    seconds: float = 0.0
    finished: list[str] = field(default_factory=list)
    processor: float = 0.0
    stopped: dict[str, str] = field(default_factory=dict)


def save_checkpoint(
    path: Path, stage: Stage, progress: Progress, generator: torch.Generator, best: dict[str, Tensor]
) -> None:
    """Writes everything that the rest of the stage depends on, atomically.

    Args:
        path: The file.
        stage: What is trained.
        progress: How far it is.
        generator: That draws the batches.
        best: Name -> tensor of any shape: the best weights so far.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {
        "random/batches": generator.get_state(),
        "random/torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    for name, module in stage.modules.items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    tensors |= {f"best/{key}": value for key, value in best.items()}
    groups: dict[str, Any] = {}
    for name, optimizer in stage.optimizers.items():
        state = optimizer.state_dict()
        groups[name] = state["param_groups"]
        for index, values in state["state"].items():
            tensors |= {f"optimizer/{name}/{index}/{key}": torch.as_tensor(v) for key, v in values.items()}
    about = {"progress": asdict(progress), "groups": groups, "stage": stage.name}
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_bytes(path, save(tensors, {"mien": json.dumps(about)}))


def read_checkpoint(path: Path) -> tuple[Progress, dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint holds.

    Returns:
        Progress, optimizer groups, and name -> tensor of any shape.

    Raises:
        BadFile: The file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads(file.metadata()["mien"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return Progress(**about["progress"]), about["groups"], tensors
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise BadFile(
            "the training checkpoint is damaged", received=str(path), remedy="delete the run and start again"
        ) from error


def restore(
    stage: Stage, groups: dict[str, Any], tensors: dict[str, Tensor], generator: torch.Generator
) -> dict[str, Tensor]:
    """Puts a checkpoint back into a freshly built stage.

    Args:
        stage: The stage that was interrupted, built again.
        groups: Optimizer groups of the checkpoint.
        tensors: Name -> tensor of any shape, of the checkpoint.
        generator: That draws the batches.

    Returns:
        Name -> tensor of any shape: the best weights so far.
    """
    for name, module in stage.modules.items():
        put_state(module, _below(tensors, f"module/{name}/"))
    for name, optimizer in stage.optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, f"optimizer/{name}/").items():
            index, entry = key.split("/")
            state.setdefault(int(index), {})[entry] = value
        optimizer.load_state_dict({"state": state, "param_groups": groups[name]})
    generator.set_state(tensors["random/batches"])
    torch.set_rng_state(tensors["random/torch"])
    if torch.cuda.is_available() and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"])
    return _below(tensors, "best/")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
