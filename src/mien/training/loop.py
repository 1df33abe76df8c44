"""The one loop: runs a stage step by step on Lightning Fabric, validates, logs, checkpoints, resumes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import BadSetting
from mien.models.base import Stage
from mien.models.files import put_state
from mien.training.budget import Budget, ProcessorClock
from mien.training.checkpoint import Progress, read_checkpoint, restore, save_checkpoint
from mien.training.display import Display


class Loop:
    """Runs stages one after the other; a run that is cut anywhere resumes to the same weights.

    Args:
        fabric: A launched Lightning Fabric: device, precision and data-parallel processes.
        folder: The run folder; ``checkpoint.safetensors`` and ``metrics.jsonl`` are kept in it.
        generator: Draws the batches; the same in every process.
        save_seconds: At most this much work is lost when the run is cut.
        display: Progress bars and the table of losses.
        budget: Processor time after which stages end before their last step; None for as many as it takes.
    """

    def __init__(
        self,
        fabric: Any,
        folder: Path,
        generator: torch.Generator,
        display: Display,
        save_seconds: float = 30.0,
        budget: Budget | None = None,
    ) -> None:
        self.budget = budget
        self.fabric, self.folder, self.generator = fabric, folder, generator
        self.display, self.save_seconds = display, save_seconds
        self.checkpoint, self.log_path = folder / "checkpoint.safetensors", folder / "metrics.jsonl"
        self.progress = Progress()
        self.faces, self.since = 0, 0.0  #: trained with since the last record of this process
        self.saved: tuple[Any, Any] | None = None
        self.best: dict[str, Tensor] = {}

    def resume(self) -> None:
        """Reads the last checkpoint, if there is one, and drops log lines that lie beyond it."""
        if not self.checkpoint.is_file():
            return
        self.progress, groups, tensors = read_checkpoint(self.checkpoint)
        self.saved = (groups, tensors)
        if self.fabric.is_global_zero and self.log_path.is_file():
            with self.log_path.open("r+b") as file:
                file.truncate(self.progress.log_bytes)

    def run(self, stages: Iterable[Stage]) -> None:
        """Runs all stages, skipping those that a resumed run has finished."""
        self.clock = ProcessorClock(self.progress.processor)
        for number, stage in enumerate(stages):
            if number < self.progress.stage:
                continue
            self.best = {}
            if self.saved is not None:
                self.best = restore(stage, *self.saved, self.generator)
                self.saved = None
            else:
                self.progress.stage = number
                if stage.begin is not None:
                    nn.ModuleDict(stage.modules).train()
                    stage.begin()
                self._save(stage)
            self._run_stage(stage)
            self.progress.finished.append(stage.name)
            done, self.progress = self.progress, Progress(
                number + 1, finished=self.progress.finished, log_bytes=self.progress.log_bytes,
                seconds=self.progress.seconds, stopped=self.progress.stopped,
            )  # fmt: skip
            if self.best:
                self.display.note(f"{stage.name}: kept the weights of step {done.best_step}")
                put_state(nn.ModuleDict(stage.modules), self.best)
            if stage.finish is not None:
                nn.ModuleDict(stage.modules).eval()
                stage.finish()

    def _run_stage(self, stage: Stage) -> None:
        progress = self.progress
        self.display.begin(stage.name, stage.steps, progress.step)
        began = last_save = self.since = time.monotonic()
        before, self.faces = progress.seconds, 0
        stopped = False
        while progress.step < stage.steps and not stopped:
            losses = self._step(stage, progress.step)
            progress.step += 1
            progress.seconds = before + time.monotonic() - began
            now, spent = time.monotonic(), self._spent(stage)
            finished = spent or progress.step == stage.steps
            validate = stage.validate and (progress.step % stage.validate_every == 0 or finished)
            if validate or finished or progress.step % 50 == 0 or now - self.since > 5:
                values = {name: float(value) for name, value in losses.items()}
                speed = self.faces / max(time.monotonic() - self.since, 1e-9)
                self._log(stage, values | {"faces_per_second": speed}, "losses")
            if validate:
                stopped = self._validate(stage)
            stopped |= spent
            if now - last_save > self.save_seconds:
                self._save(stage)
                last_save = time.monotonic()
            self.display.advance(progress.step)
        self.display.end()

    def _spent(self, stage: Stage) -> bool:
        """Whether the stage has used up its processor time; says at which step it ends then."""
        progress = self.progress
        progress.processor = self.clock.seconds()
        if self.budget is None:
            return False
        over = progress.processor >= self.budget.until(progress.stage)
        if self.fabric.world_size > 1:  # all processes end at the same step
            over = self.fabric.broadcast(over)
        if not over:
            return False
        if progress.step < stage.steps:
            progress.stopped[stage.name] = f"step {progress.step:,} of {stage.steps:,}"
            minutes = self.budget.seconds / 60
            self.display.note(
                f"{stage.name}: its share of {minutes:g} minutes of processor time ended at "
                f"{progress.stopped[stage.name]}"
            )
        return True

    def _step(self, stage: Stage, index: int) -> dict[str, Tensor]:
        for module in stage.modules.values():
            module.train()
        batch = stage.batch(self.generator)
        self.faces += math.prod(batch.vertices.shape[:-2])  # of all processes; clips count their frames
        rank, world = self.fabric.global_rank, self.fabric.world_size
        batch = batch.map(lambda value: value[rank::world].to(self.fabric.device))
        seen: dict[str, Tensor] = {}
        with self.fabric.autocast():
            for name, losses in stage.step(batch, index):
                self._update(stage, name, losses, index)
                seen |= {key: value.detach() for key, value in losses.items()}
        return seen

    def _update(self, stage: Stage, name: str, losses: dict[str, Tensor], index: int) -> None:
        optimizer = stage.optimizers[name]
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        if not math.isfinite(float(total.detach())):
            parts = ", ".join(f"{key} {float(value.detach()):.3g}" for key, value in losses.items())
            raise BadSetting(
                f"the losses of {name!r} are no longer finite at step {index} of {stage.name!r}",
                received=parts, remedy="lower the learning rate; the last checkpoint is kept",
            )  # fmt: skip
        for group in optimizer.param_groups:
            group.setdefault("base", group["lr"])
            group["lr"] = group["base"] * (stage.rates[name](index) if name in stage.rates else 1.0)
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        self._average_gradients(optimizer)
        optimizer.step()

    def _average_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Data-parallel by hand: any mixture of networks works and no wrapper hides a method."""
        if self.fabric.world_size == 1:
            return
        held = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        flat = self.fabric.all_reduce(torch.cat([p.grad.flatten() for p in held]), reduce_op="mean")
        for parameter, gradient in zip(held, flat.split([p.numel() for p in held])):
            parameter.grad.copy_(gradient.view_as(parameter))

    def _validate(self, stage: Stage) -> bool:
        """Measures, keeps the best weights, and says whether patience has run out."""
        assert stage.validate is not None
        for module in stage.modules.values():
            module.eval()
        values = stage.validate()
        self._log(stage, values, "validation")
        criterion, progress = next(iter(values.values())), self.progress
        if criterion < progress.best:
            progress.best, progress.best_step, progress.stale = criterion, progress.step, 0
            state = nn.ModuleDict(stage.modules).state_dict()
            self.best = {name: value.detach().cpu().clone() for name, value in state.items()}
        else:
            progress.stale += 1
        return stage.patience is not None and progress.stale >= stage.patience

    def _log(self, stage: Stage, values: dict[str, float], kind: str) -> None:
        self.display.report(values, kind, self.progress.step)
        self.faces, self.since = 0, time.monotonic()
        if not self.fabric.is_global_zero:
            return
        row = {"stage": stage.name, "step": self.progress.step, "kind": kind}
        row |= {"seconds": round(self.progress.seconds, 2)} | {
            k: float(f"{v:.6g}") for k, v in values.items()
        }
        with self.log_path.open("ab") as file:
            file.write((json.dumps(row) + "\n").encode())
            self.progress.log_bytes = file.tell()
        self.display.board(f"{stage.name}/{kind}", values, self.progress.step)

    def _save(self, stage: Stage) -> None:
        if self.fabric.is_global_zero:
            save_checkpoint(self.checkpoint, stage, self.progress, self.generator, self.best)
