"""Style, takes, motion over time, and capture noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mien.data.clip_performance import (
    Performance,
    Timing,
    clip_activations,
    draw_frames,
    motion_curve,
    motion_label,
)
from mien.data.expressions import SHAPES, expression_set
from mien.data.performance import (
    CONTACTS,
    FORMER,
    Style,
    Variation,
    capture_noise,
    settle,
    shape_pairs,
    take_activations,
)

FACES, EMOTIONS = expression_set("facescape20"), expression_set("emotion6")
STILL = Variation(
    activation=1, subject=0, take=0, asymmetry=0, habit_share=0, slack=0, drift=0, rotation=0, translation=0
)


def takes(expression: str, count: int = 400, variation: Variation | None = None) -> np.ndarray:
    """(count, A) takes of as many subjects."""
    rows = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        style = Style.draw(rng, SHAPES, variation)
        rows.append(take_activations(rng, style, FACES.recipes, {expression: 1.0} if expression else {}))
    return np.array(rows)


def test_without_variation_a_take_is_its_recipe() -> None:
    for expression in FACES.names:
        found = takes(expression, 1, STILL)[0]
        np.testing.assert_allclose(found, FACES.matrix()[FACES.names.index(expression)], atol=1e-7)


def test_same_seed_same_take() -> None:
    np.testing.assert_array_equal(takes("smile", 3), takes("smile", 3))


def test_people_differ_around_the_mean_activation() -> None:
    left, right = takes("smile")[:, [SHAPES.index("mouthSmile_L"), SHAPES.index("mouthSmile_R")]].T
    assert 0.7 < left.mean() < 0.82 and 0.2 < left.std() < 0.35
    # Faces are nearly symmetric: sides differ far less than people do.
    assert 0.08 < np.std(np.log(left / right)) < 0.4 * np.std(np.log(left)) * 2


def test_habits_belong_to_subject_and_expression() -> None:
    style = Style.draw(np.random.default_rng(0), SHAPES)
    np.testing.assert_array_equal(style.habits("smile"), style.habits("smile"))
    assert (style.habits("smile") != style.habits("grin")).any()
    shares = [(Style.draw(np.random.default_rng(s), SHAPES).habits("smile") > 0).mean() for s in range(100)]
    assert 0.2 < np.mean(shares) < 0.27


def test_lids_close_fully_and_no_further() -> None:
    closed = takes("eye_closed")[:, [SHAPES.index(shape) for shape in CONTACTS]]
    assert closed.max() == 1.0 and np.mean(closed > 0.97) > 0.98 and closed.min() > 0.9


def test_lips_close_no_further_than_the_jaw_opened() -> None:
    arkit, rng = expression_set("arkit"), np.random.default_rng(1)
    for _ in range(50):
        style = Style.draw(rng, SHAPES)
        found = take_activations(rng, style, arkit.recipes, arkit.label("mouthClose"))
        jaw, close = found[SHAPES.index("jawOpen")], found[SHAPES.index("mouthClose")]
        assert 0.97 * jaw <= close <= jaw


@given(st.lists(st.floats(-2, 5), min_size=53, max_size=53))
@settings(deadline=None)  # machines are shared
def test_settled_activations_are_possible(values: list[float]) -> None:
    found = settle(SHAPES, np.array(values))
    assert (found >= 0).all() and (found <= 1.4).all()
    assert all(found[SHAPES.index(shape)] <= 1 for shape in CONTACTS)


def test_pairs_are_sides_of_one_shape() -> None:
    pairs = shape_pairs(["jawLeft", "mouthSmile_L", "jawRight", "mouthSmile_R"])
    assert pairs[1] == pairs[3] and len(set(pairs.tolist())) == 3


def test_motion_rises_holds_and_returns_smoothly() -> None:
    timing, times = Timing(0.2, 0.6, 1.0, 1.6), np.linspace(0, 2, 2001)
    curve = motion_curve(times, timing)
    assert (curve[times <= 0.2] == 0).all() and np.allclose(curve[times >= 1.6], 0, atol=1e-12)
    assert curve.max() == pytest.approx(1.0, abs=1e-6)
    assert (np.diff(curve[(times > 0.2) & (times < 0.6)]) >= 0).all()
    assert np.abs(np.diff(curve, 2)).max() < 1e-4, "a linear fade would have kinks"
    rise = curve[(times > 0.2) & (times < 0.6)]
    assert np.abs(rise - np.linspace(0, 1, len(rise))).max() > 0.08


def test_labels_are_straight_lines_between_the_moments() -> None:
    times = np.arange(61) / 30
    label = motion_label(times, Timing(0.21, 0.61, 1.0, 1.6))
    assert (label[:7] == 0).all() and (label[48:] == 0).all() and (label[18:31] == 1).all()
    np.testing.assert_allclose(np.diff(label[6:19]), 1 / 12)  # onset at frame 6, apex at frame 18
    np.testing.assert_allclose(np.diff(label[30:49]), -1 / 18)


def test_clips_lead_with_the_jaw_and_are_no_fade_of_one_pose() -> None:
    emotions, early, peaks, straight = expression_set("emotion6"), [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        style = Style.draw(rng, SHAPES, replace(Variation(), habit_share=0.0))
        clip = clip_activations(rng, style, emotions.recipes, "surprise", frames=120, fps=60, extremeness=0.7)
        found = clip.activations
        jaw, brow = (found[:, SHAPES.index(name)] for name in ("jawOpen", "browOuterUp_L"))
        early.append(np.argmax(brow > brow.max() / 2) - np.argmax(jaw > jaw.max() / 2))
        assert found.shape == (120, 53) and clip.label.max() == pytest.approx(0.7)
        assert clip.label[0] == clip.label[-1] == 0
        peaks.append((clip.label == clip.label.max()).sum())
        spectrum = np.linalg.svd(found, compute_uv=False)
        straight.append(spectrum[1] / spectrum[0])
        blink = found[0, [SHAPES.index(name) for name in CONTACTS]]
        assert blink.max() < 0.05, "the first frame is the neutral of the clip"
    assert np.mean(early) > 2 and len(set(peaks)) > 6
    assert min(straight) > 0.02, "one pose times one curve would have rank one"


def surprised(style: Style, seed: int, frames: int = 60) -> Performance:
    rng = np.random.default_rng([9, seed])
    return clip_activations(rng, style, EMOTIONS.recipes, "surprise", frames=frames)


def test_former_clips_are_what_they_were() -> None:
    """Committed results were measured on such clips."""
    rng = np.random.default_rng(11)
    style = Style.draw(rng, SHAPES, FORMER)
    clip = clip_activations(rng, style, EMOTIONS.recipes, "surprise", frames=50)
    assert clip.activations.sum() == pytest.approx(165.98117360265638, rel=1e-12)
    assert clip.timing.release == pytest.approx(0.8590218000661796, rel=1e-12)


def test_half_of_when_a_clip_s_moments_fall_is_the_person_s_pace() -> None:
    def onsets(pace: float) -> np.ndarray:
        styles = [
            Style.draw(np.random.default_rng(s), SHAPES, replace(Variation(), pace=pace)) for s in range(150)
        ]
        draws = [[Timing.draw(np.random.default_rng([s, k]), 2.0, style).onset for k in (1, 2)]
                 for s, style in enumerate(styles)]  # fmt: skip
        return np.array(draws)

    together = [np.corrcoef(onsets(pace).T)[0, 1] for pace in (0.0, 0.5)]
    assert abs(together[0]) < 0.2 and together[1] == pytest.approx(0.5, abs=0.15)
    assert 0.1 <= onsets(0.5).min() and onsets(0.5).max() <= 0.3


def test_pace_follows_from_the_face_as_far_as_the_dial_says() -> None:
    def pace(manner: float, seed: int) -> np.ndarray:
        style = Style.draw(np.random.default_rng(seed), SHAPES, Variation(manner=manner), np.full(4, 0.8))
        return style.pace(("onset", "apex"))

    np.testing.assert_allclose(pace(1.0, 1), pace(1.0, 2), atol=1e-12)
    assert np.abs(pace(0.0, 1) - pace(0.0, 2)).max() > 0.1


def test_the_mean_clip_of_a_class_needs_more_axes_than_before() -> None:
    def axes(variation: Variation) -> int:
        styles = [Style.draw(np.random.default_rng(s), SHAPES, variation) for s in range(60)]
        mean = np.mean([surprised(style, s).activations for s, style in enumerate(styles)], axis=0)
        values = np.linalg.svd(mean - mean[0], compute_uv=False) ** 2
        return int(np.searchsorted(np.cumsum(values) / values.sum(), 0.999) + 1)

    assert axes(Variation()) > axes(FORMER)


def test_small_movements_are_smooth_and_leave_contacts_alone() -> None:
    calm = replace(Variation(), micro=0.0)
    for seed in range(5):
        still, moving = (
            surprised(Style.draw(np.random.default_rng(seed), SHAPES, variation), seed).activations
            for variation in (calm, replace(Variation(), micro=0.05))
        )
        extra = moving - still
        np.testing.assert_array_equal(extra[0], 0)
        assert 0.005 < np.abs(extra).max() < 0.5 and np.abs(np.diff(extra, axis=0)).max() < 0.1
        fixed = [SHAPES.index(name) for name in (*CONTACTS, "mouthClose", "jawOpen")]
        np.testing.assert_array_equal(extra[:, fixed], 0)


def test_clips_have_their_own_lengths() -> None:
    rng = np.random.default_rng(0)
    assert {draw_frames(rng) for _ in range(200)} >= set(range(45, 70))


def noise(variation: Variation, shape: tuple[int, ...] = (500, 3)) -> list[np.ndarray]:
    points = np.random.default_rng(5).uniform(-80, 80, shape).astype(np.float32)
    return [capture_noise(np.random.default_rng(s), points, variation) - points for s in range(40)]


def test_drift_has_its_size_and_wavelength() -> None:
    drift = np.array(noise(replace(STILL, drift=0.45)))
    assert drift.std() == pytest.approx(0.45, rel=0.1)
    line = np.zeros((400, 3), np.float32)
    line[:, 0] = np.linspace(-100, 100, 400)
    rows = [
        capture_noise(np.random.default_rng(s), line, replace(STILL, drift=1.0)) - line for s in range(60)
    ]
    along = np.array(rows)[:, :, 1]
    near, far = (np.corrcoef(along[:, 0], along[:, lag])[0, 1] for lag in (4, 200))
    assert near > 0.9 and abs(far) < 0.4


def test_rigid_residual_is_rigid() -> None:
    points = np.random.default_rng(5).uniform(-80, 80, (200, 3))
    angles = []
    for seed in range(200):
        moved = capture_noise(
            np.random.default_rng(seed), points, replace(STILL, rotation=0.45, translation=0.3)
        )
        turn, error = Rotation.align_vectors(moved - moved.mean(0), points - points.mean(0))
        assert error < 1e-2
        angles.append(turn.as_rotvec(degrees=True))
    assert np.std(angles) == pytest.approx(0.45, rel=0.15)


def test_frames_of_a_clip_share_their_drift() -> None:
    points = np.random.default_rng(5).uniform(-80, 80, (1, 300, 3)).repeat(30, axis=0)
    moved = capture_noise(np.random.default_rng(0), points)
    assert np.abs(np.diff(moved, axis=0)).max() < 0.1
    assert np.abs(moved - points).mean() > 0.2
