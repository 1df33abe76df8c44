"""What motion models share: a recurrent code of a signal over time, losses on frames and on their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.codes import Codes
from mien.data.clip_sampling import ClipBatch, clip_batches
from mien.data.clips import Clip, Extremeness, clip_neutral, clips_of, deformations
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch
from mien.errors import MissingNeutral
from mien.models.base import FaceModel, Losses, Stage
from mien.nn.learning_rate import rising_and_decaying
from mien.nn.muon import MuonWithAdam, optimizer_of
from mien.nn.principal import principal_axes
from mien.topology import Topology

RIDGE = 1e-6
SIGNAL_SPREAD = 0.5  # of the first weights of a signal: at PyTorch's 1 / 8 it hardly moves a gate
SAMPLE = 4000  # displaced frames that statistics and axes are measured on
VALIDATED_FRAMES = 12  # frames of a clip that a validation looks at, evenly spread


@dataclass(frozen=True)
class Settings:
    """Training settings; weights carry the name of their term, for displacements in deviations."""

    reconstruction: float = 1.0  #: L_r, on frames
    coherence: float = 1.0  #: L_c, on steps from a frame to the next; 0 leaves it out
    batch_size: int = 16  #: clips
    pairs: int = 0  #: pairs of neighboring frames that the losses look at in each clip; 0: all
    steps: int = 5738  #: 100 epochs of 153 people x 6 clips in batches of 16
    rate: float = 1e-3  #: learning rate
    optimizer: str = "adam"  #: of the decoder; or "muon" (:mod:`mien.nn.muon`)
    decoder_rate: float = 1e-2  #: learning rate of the decoder with "muon"
    weight_decay: float = 5e-5
    decay: float = 0.99  #: the rate is multiplied by this ...
    decay_every: int = 57  #: ... every so many steps (an epoch)
    warm_up: int = 0  #: steps in which the rate rises from zero
    validate_every: int = 500
    patience: int | None = None


class MotionModel(FaceModel):
    """A neutral face moved by a signal: z_t = LSTM(e_1 .. e_t), x_t = x_id + D(z_t) - D(0).

    A method adds its decoder D, :meth:`expand`, and what it learns in closed form, :meth:`prepare_decoder`.
    The LSTM has no bias: without a signal its state stays 0, so frames before the onset are the given
    neutral exactly.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        size: D, numbers in z_t.
        signal_scale: How the extremeness of a sequence scales its signal; see
            :class:`mien.data.clips.Extremeness`.
        identity_size: Principal coefficients of the neutral that the decoder is given beside z_t; 0: none.
        per_vertex: The decoder's output is scaled by each vertex's own deviation instead of one for all.
        wide_start: The LSTM starts with weights of the signal of deviation 0.5 and orthogonal ones of the
            state, instead of PyTorch's small uniform ones.
    """

    Settings = Settings
    anchored: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    def __init__(
        self, topology: Topology, expressions: Sequence[str], size: int, signal_scale: str,
        identity_size: int, per_vertex: bool, wide_start: bool,
    ) -> None:  # fmt: skip
        super().__init__(topology, expressions)
        self.size, self.signal_scale, self.per_vertex = size, signal_scale, per_vertex
        self.identity_size = identity_size
        self.encoder = nn.LSTM(len(expressions), size, batch_first=True, bias=False)
        if wide_start:
            _start_wide(self.encoder)
        count, flat = len(expressions), topology.vertex_count * 3
        shapes = {
            "unit": (), "vertex_unit": (topology.vertex_count, 1), "deformation_mean": (count,),
            "deformation_std": (count,), "rate": (), "poses": (count, flat), "neutral_mean": (flat,),
            "neutral_axes": (identity_size, flat), "neutral_std": (identity_size,),
        }  # fmt: skip
        for name, shape in shapes.items():
            self.register_buffer(name, torch.ones(shape))
        #: D(0) of a finished model that is not being trained: frames need not decode it again and again.
        self.register_buffer("still", torch.zeros(0), persistent=False)
        #: Frames in which a settled pose rises and is held.
        self.register_buffer("pace", torch.tensor([8, 4]))

    still: Tensor
    unit: Tensor
    vertex_unit: Tensor
    deformation_mean: Tensor
    deformation_std: Tensor
    rate: Tensor
    poses: Tensor
    pace: Tensor
    neutral_mean: Tensor
    neutral_axes: Tensor
    neutral_std: Tensor

    # ---- the decoder

    def expand(self, z: Tensor) -> Tensor:
        """D: (N, D + identity_size) codes to (N, V, 3) displacements in units, up to what D gives at rest."""
        raise NotImplementedError

    def prepare_decoder(self, read: Any, rows: NDArray[np.int64]) -> None:
        """Closed-form parts of D; ``read`` gives displacements (n, V, 3) of numbered frames in units."""

    def displace(self, z: Tensor, neutral: Tensor) -> Tensor:
        """D(z) - D(0): (N, D) codes to (N, V, 3) displacements, millimeters.

        Args:
            z: (N, D) float.
            neutral: (N, V, 3) float, millimeters; (1, V, 3) serves all.
        """
        who = self.who(neutral)
        if who is None:
            if len(self.still) and not self.training:
                return (self.expand(z) - self.still) * self.vertex_unit
            moved = self.expand(torch.cat([z, z.new_zeros(1, z.shape[1])]))
            return (moved[:-1] - moved[-1:]) * self.vertex_unit
        resting = self.expand(torch.cat([z.new_zeros(who.shape[0], z.shape[1]), who], dim=1))
        repeats = z.shape[0] // who.shape[0]
        both = torch.cat([z, who.repeat_interleave(repeats, dim=0)], dim=1)
        return (self.expand(both) - resting.repeat_interleave(repeats, dim=0)) * self.vertex_unit

    def train(self, mode: bool = True) -> MotionModel:
        """Also forgets or keeps D(0), which training changes."""
        super().train(mode)
        self.still = self.still[:0]
        if not mode and not self.identity_size and self.calibration.rest.numel():
            with torch.no_grad():
                self.still = self.expand(torch.zeros(1, self.size, device=self.device))
        return self

    def who(self, neutral: Tensor) -> Tensor | None:
        """What the networks know of a person.

        Args:
            neutral: (B, V, 3) float, millimeters.

        Returns:
            (B, D) standardized principal coefficients, D = ``identity_size``; None for D = 0.
        """
        if not self.identity_size:
            return None
        return (neutral.flatten(1) - self.neutral_mean) @ self.neutral_axes.T / self.neutral_std

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral, and the code of the settled pose that explains the displacement from it best."""
        anchor = self.require_neutral(neutral)
        gram = self.poses @ self.poses.T
        ridge = RIDGE * gram.diagonal().max().clamp_min(1e-6) * torch.eye(len(gram), device=gram.device)
        target = self.poses @ (vertices - anchor).flatten(1).T
        return Codes(anchor, self.express(torch.linalg.solve(gram + ridge, target).T.clamp(0, 1)))

    def decode(self, codes: Codes) -> Tensor:
        """x_id + D(z) - D(0)."""
        return codes.identity + self.displace(codes.expression, codes.identity)

    def express(self, weights: Tensor) -> Tensor:
        """z of a motion (B, T, E), or of a pose (B, E): risen in a usual time and held at the apex."""
        signal = weights.to(self.poses)
        if signal.ndim == 3:
            return self.encoder(signal)[0]
        rise, hold = self.pace.tolist()
        phase = (torch.arange(1, rise + hold + 1, device=signal.device) / rise).clamp_max(1)
        return self.encoder(phase[None, :, None] * signal[:, None])[0][:, -1]

    def advance(self, weights: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The next frame of a motion: (B, E) to z (B, D) and the state to carry on."""
        z, state = self.encoder(weights[:, None].to(self.poses), state)
        return z[:, 0], state

    @property
    def frame_rate(self) -> float:
        """Frames per second of the training clips: the pace that the recurrence knows."""
        return float(self.rate)

    # ---- before and after training

    def prepare(self, data: FaceDataset) -> None:
        """Extremeness of the sequences, pace, unit of displacements, axes of neutrals."""
        self.check_data(data)
        clips = clips_of(data)
        expression = np.array([clip.expression for clip in clips])
        scale = Extremeness.measure(
            expression, deformations(data, clips), len(self.expressions), self.signal_scale
        )
        self.deformation_mean.copy_(torch.from_numpy(scale.mean))
        self.deformation_std.copy_(torch.from_numpy(scale.std))
        counts = np.array([[(clip.phases == phase).sum() for phase in (1, 2)] for clip in clips])
        rise, hold = np.median(counts, axis=0)
        self.pace.copy_(torch.tensor([max(1, int(rise) + 1), max(1, int(hold) // 2)]))
        self.rate.fill_(data.fps or 30.0)
        self._prepare_units(data, clips)
        if self.identity_size:
            self._prepare_identity(data, clips)

    def _prepare_units(self, data: FaceDataset, clips: Sequence[Clip]) -> None:
        frames = [(clip, frame) for clip in clips for frame in clip.known if clip.phase[frame] > 0]
        order = np.sort(np.random.default_rng(0).permutation(len(frames))[:SAMPLE])
        neutrals = {id(clip): clip_neutral(data, clip) for clip, _ in (frames[k] for k in order)}

        def read(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            chosen = [frames[k] for k in rows]
            seen = data[np.array([clip.rows[frame] for clip, frame in chosen])]
            return (seen - np.stack([neutrals[id(clip)] for clip, _ in chosen])) / float(self.unit)

        self.unit.fill_(1.0)
        squares = np.zeros(self.topology.vertex_count)
        for start in range(0, len(order), 256):
            squares += np.square(read(order[start : start + 256])).sum(axis=(0, 2))
        deviation = np.sqrt(squares / (3 * len(order)))
        self.unit.fill_(max(float(np.sqrt((deviation**2).mean())), 1e-6))
        units = np.maximum(deviation, 0.02 * float(self.unit)) if self.per_vertex else float(self.unit)
        self.vertex_unit.copy_(torch.from_numpy(np.broadcast_to(units, deviation.shape)[:, None].copy()))
        self.prepare_decoder(read, order)

    def _prepare_identity(self, data: FaceDataset, clips: Sequence[Clip]) -> None:
        first = {clip.subject: clip for clip in clips}
        known = np.stack([clip_neutral(data, clip) for clip in first.values()])
        axes = principal_axes(
            lambda rows: known[rows], np.arange(len(known)), self.identity_size, label="axes of neutrals"
        )
        count = len(axes.std)
        self.neutral_mean.copy_(torch.from_numpy(axes.mean))
        self.neutral_axes.zero_()[:count] = torch.from_numpy(axes.axes)
        self.neutral_std.fill_(1.0)[:count] = torch.from_numpy(axes.std).clamp_min(1e-6)

    def calibrate(self, data: FaceDataset) -> None:
        """Settled poses of all expressions on the mean neutral; rest is zero by construction."""
        device = self.poses.device
        with torch.no_grad():
            z = self.express(torch.eye(len(self.expressions), device=device))
            mean = self.neutral_mean.view(1, -1, 3) if self.identity_size else self._template(device)
            self.poses.copy_(self.displace(z, mean).flatten(1))
        super().calibrate(data)
        self.calibration.rest = torch.zeros(self.size, device=device)
        self.calibration.offsets = z
        self.train(self.training)

    def _template(self, device: torch.device) -> Tensor:
        return torch.from_numpy(self.topology.template)[None].to(device)

    # ---- training

    def extremeness(self) -> Extremeness:
        """How sequences are scaled, with the statistics of the training sequences."""
        mean, std = (x.double().cpu().numpy() for x in (self.deformation_mean, self.deformation_std))
        return Extremeness(mean, std, self.signal_scale)

    def signals(self, data: FaceDataset, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """(n,) s_i of clips."""
        expression = np.array([clip.expression for clip in clips])
        return self.extremeness().of(expression, deformations(data, clips))

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        clips = clips_of(data)
        batch = clip_batches(data, clips, self.signals(data, clips), settings.batch_size, settings.pairs)
        optimizer = self._optimizer(settings)

        yield Stage(
            "motion", settings.steps, batch, partial(self.training_step, settings=settings), {"model": self},
            {"motion": optimizer}, rates={"motion": rising_and_decaying(settings)},
            validate=self._validation(validation), validate_every=settings.validate_every,
            patience=settings.patience,
        )  # fmt: skip

    def _optimizer(self, settings: Any) -> torch.optim.Optimizer:
        """Adam; or Muon for the decoder, with Adam for the recurrence, which gains nothing from it."""
        if settings.optimizer != "muon":
            return optimizer_of(
                self, settings.rate, weight_decay=settings.weight_decay, kind=settings.optimizer
            )
        return MuonWithAdam(
            self, settings.decoder_rate, settings.weight_decay, by_adam=self.encoder, adam_rate=settings.rate
        )

    def training_step(self, batch: Batch, index: int, settings: Any) -> Iterator[tuple[str, Losses]]:
        """L = L_r + L_c (eq. 5) on the drawn frames; see :func:`mien.data.clip_sampling.clip_batches`."""
        assert isinstance(batch, ClipBatch) and batch.frames is not None and batch.neutral is not None
        assert batch.frame_share is not None and batch.step_share is not None
        z = self.encoder(batch.weights)[0]
        places = batch.frames.flatten(1)
        picked = z.gather(1, places[..., None].expand(-1, -1, self.size))
        moved = self.displace(picked.flatten(0, 1), batch.neutral).view_as(batch.vertices)
        wrong = (moved - (batch.vertices - batch.neutral[:, None, None])) / self.unit
        losses = {
            "reconstruction": settings.reconstruction * (batch.frame_share * wrong.abs().mean((3, 4))).sum()
        }
        if settings.coherence:
            step = (wrong[:, :, 1] - wrong[:, :, 0]).abs().mean((2, 3))
            losses["coherence"] = settings.coherence * (batch.step_share * step).sum()
        yield "motion", losses

    def _validation(self, data: FaceDataset | None) -> Any:
        """Mean vertex distance on clips of unseen people, millimeters; None where nobody is held out."""
        try:
            clips = clips_of(data) if data is not None and len(data) else []
        except MissingNeutral:
            clips = []
        return None if data is None or not clips else partial(self.validation_error, data, clips)

    @torch.no_grad()
    def validation_error(self, data: FaceDataset, clips: Sequence[Clip]) -> dict[str, float]:
        """``seq_avd_total`` on evenly spread frames."""
        wrong = []
        for clip, scale in zip(clips, self.signals(data, clips), strict=True):
            z = self.express(torch.from_numpy(clip.signal(float(scale)))[None].to(self.device))[0]
            frames = clip.known[np.linspace(0, len(clip.known) - 1, VALIDATED_FRAMES).astype(int)]
            neutral = torch.from_numpy(clip_neutral(data, clip))[None].to(self.device)
            made = neutral + self.displace(z[torch.from_numpy(frames).to(z.device)], neutral)
            truth = torch.from_numpy(data[clip.rows[frames]]).to(self.device)
            wrong.append((made - truth).norm(dim=2).mean(1))
        return {"seq_avd_total": float(torch.cat(wrong).mean())}


@torch.no_grad()
def _start_wide(encoder: nn.LSTM) -> None:
    """Weights with which a signal moves the gates from the first step on."""
    first, again = dict(encoder.named_parameters()).values()
    nn.init.normal_(first, std=SIGNAL_SPREAD)
    for gate in again.chunk(4):
        nn.init.orthogonal_(gate)
