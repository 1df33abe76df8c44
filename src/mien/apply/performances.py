"""Performances out of whatever holds one: recordings of weights, and films of a face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.recorded import Handling, performance_of, read_performance
from mien.find.film import curves_of_video

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".gif")


def performance_in(
    path: str | Path, expressions: Sequence[str], fps: float = 30.0, *, file_fps: float | None = None,
    rest: str | Path | None = None, smooth: float = 0.0, gaps: str = "interpolate",
) -> tuple[NDArray[np.float32], list[str]]:  # fmt: skip
    """A performance as weights of a model's expressions, as :func:`mien.read_performance`; films, too.

    Args:
        path: The recording, or a film that shows a face.
        expressions: E expression names of the model.
        fps: Frames per second of the result.
        file_fps: Of a recording without times.
        rest: The actor's rest, whose weights are subtracted: frames (``30``, ``10-40``) or a recording.
        smooth: Seconds of the window of a smoothing filter; 0 for none.
        gaps: ``interpolate`` or ``hold``: what is done where the face was lost.

    Returns:
        (T, E) float32 weights, and sentences about what was understood and filled.

    Raises:
        MissingPackage: A film is read by the package ``av``.
        BadFile: As for :func:`mien.read_performance`, or no face is seen.
    """
    if Path(path).suffix.lower() not in VIDEOS:
        return read_performance(
            path, expressions, fps, file_fps=file_fps, rest=rest, smooth=smooth, gaps=gaps
        )
    handling = Handling(fps, file_fps, rest, smooth, gaps)
    return performance_of(curves_of_video(path), expressions, handling)
