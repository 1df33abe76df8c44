"""Clips: phases, extremeness as published and mended, batches whose losses are unbiased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import moving_data
from fixtures import tiny_data

from mien.data.clip_sampling import clip_batches
from mien.data.clips import PHASES, Extremeness, clip_neutral, clips_of, deformations, motion_phase
from mien.data.dataset import FaceDataset
from mien.errors import MissingNeutral


def test_clips_have_their_frames_phases_and_neutral() -> None:
    data = moving_data(people=3)
    clips = clips_of(data)
    assert len(clips) == 3 * len(data.expressions) and len({len(clip) for clip in clips}) > 1
    for clip in clips:
        assert (data.row_clip[clip.rows] == clip.number).all()
        assert (np.diff(data.row_frame[clip.rows]) == 1).all()
        names = [PHASES[k] for k in clip.phases]
        order = [names[0], *(b for a, b in zip(names, names[1:]) if a != b)]
        assert order[:4] == ["neutral", "onset", "apex", "offset"] and order[4:] in ([], ["neutral"])
        weights = data.row_weights[clip.rows]
        np.testing.assert_allclose(clip.signal(0.4), weights / weights.max() * 0.4, atol=1e-6)
        np.testing.assert_allclose(clip_neutral(data, clip), data[int(clip.rows[0])], atol=1e-4)


def test_shuffled_rows_give_the_same_clips() -> None:
    data = moving_data(people=2)
    shuffled = data.take(np.random.default_rng(0).permutation(len(data)))
    for a, b in zip(clips_of(data), clips_of(shuffled), strict=True):
        np.testing.assert_array_equal(data[a.rows], shuffled[b.rows])
        np.testing.assert_array_equal(a.phase, b.phase)


def test_moments_are_found_where_a_sequence_is_labeled_only_as_a_whole() -> None:
    data = moving_data(people=2)
    weights = data.weights.copy()
    in_clip = np.asarray(data.clip) >= 0
    weights[in_clip] = np.eye(weights.shape[1])[np.asarray(data.clip)[in_clip] % weights.shape[1]]
    whole = FaceDataset(
        data.topology, data.expressions, data.vertices, weights, data.subject, data.subjects,
        clip=data.clip, frame=data.frame, fps=data.fps,
    )  # fmt: skip
    level = weights.copy()
    for clip in clips_of(data, stills=False):
        moved = np.linalg.norm(data[clip.rows] - data[clip.rows[:1]], axis=2).mean(1)
        level[clip.rows] *= (moved / moved.max())[:, None]
    bent = replace(whole, weights=level)
    for known, found, same in zip(clips_of(data), clips_of(whole), clips_of(bent), strict=True):
        assert np.abs(known.phase - found.phase).mean() < 0.12
        assert found.phase[0] == found.phase[-1] == 0 and found.expression == known.expression
        np.testing.assert_allclose(same.phase, found.phase, atol=1e-5)


def test_moments_of_a_triangle() -> None:
    phase = motion_phase(np.concatenate([[0, 0, 0], np.linspace(0, 10, 11), np.full(4, 10), [5, 0, 0]]))
    assert (phase[:4] == 0).all() and (phase[13:18] == 1).all() and (phase[-2:] == 0).all()


def test_extremeness_is_the_papers_and_mended() -> None:
    expression = np.array([0, 0, 0, 1, 1])
    moved = np.array([1.0, 2.0, 3.0, 5.0, 9.0])
    scale = Extremeness.measure(expression, moved, 3)
    np.testing.assert_allclose(scale.mean[:2], [2.0, 7.0])
    np.testing.assert_allclose(scale.std[:2], [np.sqrt(2 / 3), 2.0])
    # Equation 6 would give the mildest exactly 0, and the strongest 1.
    np.testing.assert_allclose(scale.of(expression, moved), [0.1, 0.5, 1.0, 0.1, 1.0])
    np.testing.assert_allclose(scale.of(np.array([1]), np.array([8.0])), [0.75])
    proportional = Extremeness.measure(expression, moved, 3, "proportional")
    np.testing.assert_allclose(proportional.of(np.array([1, 1]), np.array([4.5, 0.1])), [0.5, 0.1])
    off = Extremeness.measure(expression, moved, 3, "off")
    assert (off.of(expression, moved) == 1).all()


def test_deformation_is_of_the_apex_only() -> None:
    data = moving_data(people=2)
    clip = clips_of(data)[3]
    by_hand = [np.linalg.norm(data[int(row)] - clip_neutral(data, clip), axis=1).mean()
               for row, phase in zip(clip.rows, clip.phase, strict=True) if phase == 1]  # fmt: skip
    assert deformations(data, [clip])[0] == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_single_scans_count_as_rest_peak_rest() -> None:
    data = tiny_data()
    clips = clips_of(data)
    assert len(clips) == 40
    for clip in clips[:3]:
        first, peak, last = clip.known
        assert first == 0 and last == len(clip) - 1 and clip.phase[peak] == 1
        assert data.is_neutral[clip.rows[first]] and not data.is_neutral[clip.rows[peak]]
    with pytest.raises(MissingNeutral, match="--sequences"):
        clips_of(data, stills=False)


@pytest.mark.parametrize("stills", [False, True])
def test_drawn_frames_have_the_expectation_of_all_frames(stills: bool) -> None:
    data = tiny_data() if stills else moving_data(people=2)
    clips = clips_of(data)[:4]
    frame_value = [np.random.default_rng(k).normal(size=len(clip)) for k, clip in enumerate(clips)]
    step_value = [np.random.default_rng(9 + k).normal(size=len(clip)) for k, clip in enumerate(clips)]
    frames = np.concatenate([v[clip.known] for v, clip in zip(frame_value, clips)]).mean()
    steps = [v[clip.known[1:]][np.diff(clip.known) == 1] for v, clip in zip(step_value, clips)]
    expected = frames, np.concatenate(steps).mean() if not stills else 0.0

    def sums(pairs: int, seed: int) -> tuple[float, float]:
        batch = clip_batches(data, clips, np.ones(len(clips)), len(clips), pairs)(
            torch.Generator().manual_seed(seed)
        )
        which = [int(np.argmax([torch.equal(batch.weights[row, : len(c)], torch.from_numpy(c.signal(1.0)))
                                and c.subject == batch.subject[row] for c in clips]))
                 for row in range(len(clips))]  # fmt: skip
        total = [0.0, 0.0]
        for row, k in enumerate(which):
            places = batch.frames[row].numpy()
            total[0] += float((batch.frame_share[row].numpy() * frame_value[k][places]).sum())
            total[1] += float((batch.step_share[row].numpy() * step_value[k][places[:, 1]]).sum())
        return total[0], total[1]

    np.testing.assert_allclose(sums(0, 0), expected, atol=1e-5)
    drawn = np.array([sums(3, seed) for seed in range(400)])
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - expected) < 4 * error + 1e-6).all()


def test_batches_show_the_frames_they_name() -> None:
    data = moving_data(people=2)
    clips = clips_of(data)
    batch = clip_batches(data, clips, np.full(len(clips), 0.5), 5, 2)(torch.Generator().manual_seed(1))
    assert batch.weights.shape[0] == 5 and batch.vertices.shape[:3] == (5, 2, 2)
    assert float(batch.weights.max()) == pytest.approx(0.5)
    lengths = (batch.weights.sum(2) > 0).sum(1)
    assert len(set(lengths.tolist())) > 1, "shorter clips are padded with zeros"
    moved = batch.map(lambda value: value[1::2])
    assert type(moved) is type(batch) and len(moved.frames) == 2
    for row in range(5):
        own = [c for c in clips if torch.equal(torch.from_numpy(clip_neutral(data, c)), batch.neutral[row])]
        shown = data[own[0].rows[batch.frames[row].numpy().ravel()]]
        assert len(own) == 1
        np.testing.assert_array_equal(batch.vertices[row].reshape(4, -1, 3), shown)
