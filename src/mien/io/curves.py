"""Performances from files: named weights a frame, as trackers, phones, editors and spreadsheets write."""

from __future__ import annotations

from pathlib import Path

from mien.errors import BadFile, DataMissing
from mien.io.curve_json import read_curve_json
from mien.io.curve_record import Curves
from mien.io.curve_table import read_curve_table
from mien.io.text import read_text

MOST_BYTES = 300_000_000
"""A performance of an hour in the most talkative form has fewer."""


def read_curves(path: Path | str, rate: float | None = None) -> Curves:
    """Reads a performance in any known form, told by its content.

    Tables: Live Link Face, OpenFace, and any CSV with a column a curve. JSON: Audio2Face, MediaPipe's
    results, and any list of frames or mapping of curves.

    Args:
        path: The file, in any encoding.
        rate: Frames per second that timecodes count, where a recording is too short to tell.

    Raises:
        DataMissing: There is no such file.
        BadFile: It has no curve, no frame, a weight that is no finite number, times that do not rise, more
            than one performance, or more than a million frames.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("the file of curves does not exist", received=str(path), remedy="check the path")
    if path.stat().st_size > MOST_BYTES:
        raise BadFile(
            "the file of curves is too large", received=f"{path.name}: {path.stat().st_size / 1e6:.0f} MB",
            remedy=f"cut it into takes of at most {MOST_BYTES // 1_000_000} MB",
        )  # fmt: skip
    text = read_text(path, "the file of curves")
    if text.lstrip().startswith(("{", "[")):
        return read_curve_json(text, path)
    return read_curve_table(text, path, rate)
