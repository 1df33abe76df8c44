"""Tiny data that moves: clips of individual lengths, moments and extremeness on the tiny topology."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from fixtures import EXPRESSIONS, planted

from mien.data.clip_performance import Timing, draw_frames, motion_curve, motion_label
from mien.data.dataset import FaceDataset

FPS = 20.0


@lru_cache
def moving_data(people: int = 6, seed: int = 0) -> FaceDataset:
    """One neutral scan and one clip of each expression a person; frames follow a smooth curve.

    Args:
        people: S people.
        seed: Draws moments and extremeness.
    """
    rng = np.random.default_rng(seed)
    made = planted(subjects=max(8, people))
    rows: list[tuple[np.ndarray, np.ndarray, int, int, int]] = []
    for person in range(people):
        rest = made.neutrals[person]
        rows.append((rest, np.zeros(len(EXPRESSIONS)), person, -1, 0))
        for number, axis in enumerate(made.expression_axes):
            times = np.arange(draw_frames(rng, FPS)) / FPS
            timing, strength = Timing.draw(rng, len(times) / FPS), rng.uniform(0.5, 1.0)
            moved = strength * motion_curve(times, timing)
            label = np.outer(strength * motion_label(times, timing), np.eye(len(EXPRESSIONS))[number])
            drift = rng.normal(0, 1.0, 3)  # each clip is recorded anew: only its own neutral fits it
            clip = person * len(EXPRESSIONS) + number
            rows += [(rest + drift + amount * axis, label[t], person, clip, t)
                     for t, amount in enumerate(moved)]  # fmt: skip
    vertices, weights, subject, clip, frame = (np.array(part) for part in zip(*rows, strict=True))
    return FaceDataset(
        made.data.topology, EXPRESSIONS, vertices.astype(np.float32), weights, subject,
        tuple(f"person-{k}" for k in range(people)), clip=clip, frame=frame, fps=FPS, source="planted",
        license="MIT",
    )  # fmt: skip
