"""Expression LSTM against its paper: Table 1, the losses, rest, pace, and its baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import FPS, moving_data
from torch import Tensor

from mien.data.clip_sampling import clip_batches
from mien.data.clips import clip_neutral, clips_of
from mien.errors import UnknownName
from mien.geometry.hierarchy import level_counts
from mien.models.expression_lstm import ExpressionLSTM
from mien.models.motion import MotionModel, Settings
from mien.models.pca_lstm import PcaLSTM
from mien.topology import Topology

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise")
TINY = {"size": 12, "factors": (3, 2)}


def grid(columns: int, rows: int) -> Topology:
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    template = np.stack([x, y, -0.001 * (x - columns / 2) ** 2], axis=-1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner, corner + columns + 1, corner + columns], axis=1)
    return Topology("grid", np.concatenate([lower, upper]), template)


def strip(count: int) -> Topology:
    template = np.column_stack([np.arange(count), np.arange(count) % 2, np.zeros(count)])
    faces = np.stack([np.arange(count - 2), np.arange(count - 2) + 1, np.arange(count - 2) + 2], axis=1)
    return Topology("strip", faces, template.astype(np.float32))


def test_parameters_at_the_papers_size() -> None:
    topology = strip(28_431)
    with torch.device("meta"):
        model = ExpressionLSTM(topology, EMOTIONS, coarsest=46)
    counts = {name: p.numel() for name, p in model.named_parameters()}
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert counts["encoder.weight_ih_l0"] + counts["encoder.weight_hh_l0"] == 4 * 64 * (6 + 64)
    assert counts["raised.weight"] + counts["raised.bias"] == 64 * 46 * 64 + 46 * 64
    table = [(64, 32, 9), (32, 16, 9), (16, 8, 14), (8, 3, 14)]  # Table 1 and the spirals of each level
    for number, (inputs, outputs, entries) in enumerate(table):
        assert counts[f"up.{number}.weight"] == inputs * outputs * entries
        assert counts[f"up.{number}.bias"] == outputs


def test_levels_are_rounded_up_as_in_table_1() -> None:
    """Table 1's 28,431 vertices in numbers, and a tenth of them built."""
    assert level_counts(28_431, (5, 5, 5, 5)) == [28_431, 5_687, 1_138, 228, 46]
    topology = grid(58, 49)
    model = ExpressionLSTM(topology, EMOTIONS)
    model.levels.build(topology)
    assert model.sizes() == [(5, 64), (23, 32), (114, 16), (569, 8), (2_842, 3)]


def test_the_decoder_climbs_the_levels_of_table_1() -> None:
    topology = grid(50, 40)
    model = ExpressionLSTM(topology, EMOTIONS)
    model.levels.build(topology)
    assert model.sizes() == [(4, 64), (16, 32), (80, 16), (400, 8), (2000, 3)]
    z = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    x = model.raised(z).view(3, 4, 64)
    for number, convolution in enumerate(model.up):  # Table 1 step by step: up-sample, convolve, ReLU
        operator = model.levels.up[3 - number]
        gathered = torch.stack([operator.gather.times(face) for face in x])
        x = gathered.view(3, -1, convolution.weight.shape[1]) @ convolution.weight.T + convolution.bias
        x = torch.relu(x) if number < 3 else x
    torch.testing.assert_close(model.expand(z), x, atol=1e-4, rtol=1e-4)
    assert (x < 0).any(), "the last layer is linear: displacements are signed"


def tiny(kind: type[MotionModel], **options: object) -> MotionModel:
    torch.manual_seed(0)
    data = moving_data()
    arguments = ({} if kind is PcaLSTM else TINY) | {"size": 12} | options
    model = kind(data.topology, data.expressions, **arguments)
    model.prepare(data)
    return model


def test_the_lstm_starts_wide_or_as_pytorch_has_it() -> None:
    wide, plain = (tiny(PcaLSTM, wide_start=start).encoder for start in (True, False))
    gate = wide.weight_hh_l0[:12]
    torch.testing.assert_close(gate @ gate.T, torch.eye(12), atol=1e-5, rtol=0)
    assert wide.weight_ih_l0.abs().max() > 0.8
    for weight in plain.parameters():
        assert weight.abs().max() <= 12**-0.5
    assert ExpressionLSTM.profiles["full"] == PcaLSTM.profiles["full"] == {"wide_start": False}


@pytest.mark.parametrize("kind", [ExpressionLSTM, PcaLSTM])
@pytest.mark.parametrize("identity", [0, 2])
def test_rest_is_the_neutral_exactly_for_any_time(kind: type[MotionModel], identity: int) -> None:
    model, data = tiny(kind, identity_size=identity), moving_data()
    neutral = torch.from_numpy(data[:2])
    silent = model.express(torch.zeros(2, 50, 5))
    assert (silent == 0).all()
    moved = model.displace(silent[:, -1], neutral)
    assert (moved == 0).all()
    assert model.displace(model.express(torch.eye(5)[:2]), neutral).abs().max() > 0


def losses_by_hand(model: MotionModel, weights: Tensor, truth: list[Tensor], neutral: Tensor) -> list[Tensor]:
    """Equation 5 over all frames of all clips, mean over frames, vertices and coordinates."""
    wrong, steps = [], []
    for signal, frames, rest in zip(weights, truth, neutral, strict=True):
        z = model.encoder(signal[None, : len(frames)])[0][0]
        off = (rest + model.displace(z, rest[None]) - frames) / model.unit
        wrong.append(off.abs().mean((1, 2)))
        steps.append((off[1:] - off[:-1]).abs().mean((1, 2)))
    return [torch.cat(wrong).mean(), torch.cat(steps).mean()]


@pytest.mark.parametrize("kind", [ExpressionLSTM, PcaLSTM])
def test_losses_are_equation_5(kind: type[MotionModel]) -> None:
    model, data = tiny(kind), moving_data()
    clips = clips_of(data, stills=False)[:3]
    scales = model.signals(data, clips)
    batch = clip_batches(data, clips, scales, 3, 0)(torch.Generator().manual_seed(0))
    order = [next(k for k, clip in enumerate(clips) if np.array_equal(clip_neutral(data, clip), rest))
             for rest in batch.neutral.numpy()]  # fmt: skip
    truth = [torch.from_numpy(data[clips[k].rows]) for k in order]
    expected = losses_by_hand(model, batch.weights, truth, batch.neutral)
    (_, losses), = model.training_step(batch, 0, Settings())  # fmt: skip
    torch.testing.assert_close(losses["reconstruction"], expected[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(losses["coherence"], expected[1], atol=1e-4, rtol=1e-4)
    (_, alone), = model.training_step(batch, 0, replace(Settings(), coherence=0.0))  # fmt: skip
    assert set(alone) == {"reconstruction"}


def test_full_profile_is_the_papers_schedule() -> None:
    settings = Settings()
    assert (settings.rate, settings.weight_decay, settings.decay) == (1e-3, 5e-5, 0.99)
    assert settings.steps // settings.decay_every == 100 and settings.pairs == 0
    assert (settings.reconstruction, settings.coherence) == (1.0, 1.0)
    assert ExpressionLSTM.profiles["full"] == PcaLSTM.profiles["full"] == {"wide_start": False}


def test_signals_are_scaled_by_statistics_of_training_sequences() -> None:
    model, data = tiny(PcaLSTM), moving_data()
    clips = clips_of(data, stills=False)
    scales = model.signals(data, clips)
    assert scales.min() == pytest.approx(0.1) and scales.max() == pytest.approx(1.0)
    off = tiny(PcaLSTM, signal_scale="off")
    assert (off.signals(data, clips) == 1).all()
    assert model.frame_rate == FPS


def test_axes_hold_the_motion_and_one_clip_is_learned_by_both() -> None:
    data = moving_data()
    clips = clips_of(data, stills=False)[:1]
    largest = {"unit": "largest"}
    for kind, options in ((PcaLSTM, largest), (PcaLSTM, {"readout": True}), (ExpressionLSTM, {})):
        model = tiny(kind, **options)
        batch = clip_batches(data, clips, np.ones(1), 1, 0)(torch.Generator().manual_seed(0))
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        seen = []
        for _ in range(150):
            ((_, losses),) = model.training_step(batch, 0, Settings())
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
            seen.append(float(losses["reconstruction"].detach()))
            if seen[-1] < 0.25 * seen[0]:
                break
        assert seen[-1] < 0.25 * seen[0], (kind.name, options, seen[0], seen[-1])


def test_the_unit_decides_how_far_a_bounded_code_reaches() -> None:
    data = moving_data()
    plain, repaired = (tiny(PcaLSTM, **options) for options in ({}, {"unit": "largest"}))
    assert plain.config["unit"] == "deviation"
    clips = clips_of(data)
    moving = np.concatenate([data[c.rows] - clip_neutral(data, c) for c in clips])
    scaled = moving.reshape(len(moving), -1) / float(plain.unit)
    found = np.abs(scaled @ plain.axes.numpy().T)
    kept = found.max(axis=0) > 1e-3
    largest = (found.max(axis=0) / repaired.reach.numpy())[kept]
    deviation = (np.sqrt((found**2).mean(axis=0)) / plain.reach.numpy())[kept]
    np.testing.assert_allclose(largest, 1, rtol=0.05)
    # Frames at rest, which the model may leave out, make the deviation of all axes smaller by one factor.
    np.testing.assert_allclose(deviation / deviation[0], 1, rtol=1e-3)
    assert 0.85 < deviation[0] <= 1.01
    assert (plain.reach < 0.8 * repaired.reach)[kept].all(), "strong frames are beyond a deviation"
    with pytest.raises(UnknownName, match="unit of coefficients"):
        tiny(PcaLSTM, unit="largst")


def test_identity_changes_the_motion_only_where_it_is_asked_for() -> None:
    data = moving_data()
    faces = torch.from_numpy(data.neutral_of([0, len(data) - 1]))
    z = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    z[1] = z[0]
    for kind in (ExpressionLSTM, PcaLSTM):
        blind = tiny(kind).displace(z, faces)
        torch.testing.assert_close(blind[0], blind[1])
        seeing = tiny(kind, identity_size=3).displace(z, faces)
        assert (seeing[0] - seeing[1]).abs().max() > 1e-3


def test_per_vertex_units_scale_the_output() -> None:
    model, data = tiny(ExpressionLSTM, per_vertex=True), moving_data()
    spread = model.vertex_unit[:, 0].numpy()
    moved = np.concatenate([
        data[clip.rows[clip.phase > 0]] - clip_neutral(data, clip) for clip in clips_of(data, stills=False)
    ])  # fmt: skip
    by_hand = np.sqrt(np.square(moved).mean(axis=(0, 2)))
    np.testing.assert_allclose(spread, np.maximum(by_hand, 0.02 * float(model.unit)), rtol=0.02)
    np.testing.assert_allclose(float(model.unit), np.sqrt(np.square(moved).mean()), rtol=0.02)
