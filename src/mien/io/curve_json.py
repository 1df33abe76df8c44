"""Curves from JSON: Audio2Face, MediaPipe's results frame by frame, and mappings of names to numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile
from mien.io.bounds import first_twice
from mien.io.curve_record import Curves, check_columns, check_size, in_seconds, key_of, two_takes

_TIMES: dict[str, str | None] = {
    "time": None, "timestamp": None, "t": None, "seconds": "s", "timesec": "s", "ms": "ms", "timems": "ms",
    "timestampms": "ms", "timestampus": "us", "milliseconds": "ms", "timecode": "s", "times": None,
    "timestamps": None,
}  # fmt: skip
_RATES = ("fps", "exportfps", "framerate", "rate", "framespersecond")
_NAMES = ("facsnames", "names", "blendshapenames", "shapenames", "curvenames", "channels", "columns")
_MATRICES = ("weightmat", "weights", "values", "frames", "data")
_FRAMES = ("frames", "data", "results", "samples", "recording", "keyframes", "animation")
_WEIGHTS = ("faceblendshapes", "blendshapes", "blendshape", "weights", "shapes", "categories", "scores",
            "coefficients", "values", "face", "faces")  # fmt: skip
_LABELS, _SCORES = ("categoryname", "name", "displayname", "label", "shape"), ("score", "value", "weight")
_COUNTS = ("numframes", "framecount")


def read_curve_json(text: str, path: Path) -> Curves:
    """Curves of a JSON document, or of lines that are one document each.

    Args:
        text: The file's text.
        path: The file, for messages.

    Raises:
        BadFile: It is no such document, frames differ in number or are no finite numbers, times do not rise,
            or there are two faces in it.
    """
    found = _parsed(text, path)
    if isinstance(found, dict):
        keys = {key_of(str(key)): value for key, value in found.items()}
        names = next((keys[k] for k in _NAMES if _is_list_of(keys.get(k), str)), None)
        matrix = next((keys[k] for k in _MATRICES if _is_list_of(keys.get(k), list)), None)
        if names is not None and matrix is not None:
            return _of_matrix(keys, names, matrix, path)
        columns = next((keys[k] for k in _WEIGHTS if isinstance(keys.get(k), dict)), found)
        if curves := {str(k): v for k, v in columns.items() if _is_column(str(k), v)}:
            return _of_columns(keys, curves, path)
        frames = next((keys[k] for k in _FRAMES if _is_list_of(keys.get(k), dict)), None)
        rate = _rate(keys)
    else:
        frames, rate = found, None
    if frames is None or not _is_list_of(frames, dict):
        raise _unknown(path, "neither frames nor curves in it")
    return _of_frames(frames, rate, path)


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise _unknown(path, "it is nested too deep") from None
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        check_size(len(lines), path)
        try:
            return [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            raise _unknown(path, str(error)) from None


def _unknown(path: Path, why: str) -> BadFile:
    return BadFile(
        "the JSON holds no curves that Mien knows", received=f"{path.name}: {why}",
        remedy="known: Audio2Face (facsNames, weightMat), MediaPipe's blendshapes, names with numbers",
    )  # fmt: skip


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def _is_column(key: str, value: Any) -> bool:
    """Whether a value is one curve over time."""
    numbers = isinstance(value, list) and bool(value) and all(_is_number(item) for item in value)
    return numbers and key_of(key) not in _TIMES


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _rate(keys: Mapping[str, Any]) -> float | None:
    found = next((keys[k] for k in _RATES if k in keys), None)
    return float(found) if isinstance(found, (int, float)) and 0 < found < 10_000 else None


def _of_matrix(keys: Mapping[str, Any], names: list[str], matrix: list[list[Any]], path: Path) -> Curves:
    """Names beside rows of weights, as Audio2Face writes them."""
    stated = next((keys[k] for k in _COUNTS if k in keys), len(matrix))
    widths = {len(row) for row in matrix}
    if stated != len(matrix) or widths != {len(names)}:
        raise BadFile(
            "the frames of the curves are not as many as stated, or not as wide",
            received=f"{path.name}: {stated} frames of {len(names)} names stated, {len(matrix)} rows of "
            + ", ".join(map(str, sorted(widths)[:4])),
            remedy="export it again",
        )
    form = "Audio2Face" if "weightmat" in keys else "JSON"
    return _finished(keys, tuple(names), _numbers(matrix, path), form, path)


def _of_columns(keys: Mapping[str, Any], curves: Mapping[str, list[Any]], path: Path) -> Curves:
    """A list of numbers for each name."""
    lengths = {name: len(column) for name, column in curves.items()}
    stated = next((keys[k] for k in _COUNTS if isinstance(keys.get(k), int)), None)
    if len({*lengths.values(), *([] if stated is None else [stated])}) > 1:
        odd = min(lengths, key=lambda name: lengths[name])
        raise BadFile(
            "the curves have different numbers of frames",
            received=f"{path.name}: {odd} has {lengths[odd]}, others up to {max(lengths.values())}"
            + (f", stated are {stated}" if stated is not None else ""),
        )
    values = _numbers([list(row) for row in zip(*curves.values(), strict=True)], path)
    return _finished(keys, tuple(curves), values, "JSON", path)


def _finished(
    keys: Mapping[str, Any], names: tuple[str, ...], values: NDArray, form: str, path: Path
) -> Curves:
    """Curves with the times or the rate that stand beside them."""
    _check(names, values, path)
    key = next((k for k in _TIMES if isinstance(keys.get(k), list)), None)
    if key is None:
        return Curves(names, values, None, form, _rate(keys))
    if len(keys[key]) != len(values):
        raise BadFile(
            "the curves have another number of frames than of times",
            received=f"{path.name}: {len(values)} frames, {len(keys[key])} times",
        )
    times, note = in_seconds(_numbers([keys[key]], path)[0], _TIMES[key], path)
    return Curves(names, values, times, form, notes=(note,) if note else ())


def _of_frames(frames: list[dict[str, Any]], rate: float | None, path: Path) -> Curves:
    """One mapping a frame: MediaPipe's results, or names with numbers."""
    check_size(len(frames), path)
    rows = [_weights(frame, path, number) for number, frame in enumerate(frames, 1)]
    names = tuple(dict.fromkeys(name for row in rows for name in row or ()))
    check_columns(len(names), path)
    values = np.full((len(rows), len(names)), np.nan)
    for number, row in enumerate(rows):
        if row:
            if len(row) < len(names):
                missing = next(name for name in names if name not in row)
                raise BadFile("a frame lacks a curve", received=f"{path.name}, frame {number + 1}: {missing}")
            values[number] = _numbers([[row[name] for name in names]], path, number + 1)[0]
    _check(names, values, path)
    scored = any(key_of(str(key)) in ("faceblendshapes", "blendshapes") for key in frames[0])
    form = "MediaPipe" if scored or "_neutral" in names else "JSON"
    known = [{key_of(str(key)): value for key, value in frame.items()} for frame in frames]
    key = next((k for k in _TIMES if all(_is_number(f.get(k)) and f.get(k) is not None for f in known)), None)
    if key is None:
        return Curves(names, values, None, form, rate)
    times, note = in_seconds(np.array([float(f[key]) for f in known]), _TIMES[key], path)
    return Curves(names, values, times, form, notes=(note,) if note else ())


def _weights(value: Any, path: Path, number: int) -> dict[str, Any] | None:
    """Name -> number of one frame, however it is wrapped; None where no face was found."""
    if isinstance(value, dict):
        keys = {key_of(str(key)): item for key, item in value.items()}
        inner = next((k for k in _WEIGHTS if k in keys and not _is_number(keys[k])), None)
        if inner is not None or any(k in keys and keys[k] is None for k in _WEIGHTS):
            return _weights(keys[inner], path, number) if inner else None
        left_out = {*_TIMES, "frame", "index", "headindex", "frameindex"}
        found = {str(k): v for k, v in value.items() if _is_number(v) and key_of(str(k)) not in left_out}
        return found or None
    if not isinstance(value, list) or not value:
        return None
    if _is_list_of(value, dict):
        items = [{key_of(str(key)): item for key, item in entry.items()} for entry in value]
        label = next((k for k in _LABELS if all(k in item for item in items)), None)
        score = next((k for k in _SCORES if all(k in item for item in items)), None)
        if label and score:
            return {str(item[label]): item[score] for item in items}
    if len(value) > 1:
        raise two_takes(path, f"frame {number}: {len(value)} faces")
    return _weights(value[0], path, number)


def _numbers(rows: list[list[Any]], path: Path, first: int = 1) -> NDArray[np.float64]:
    """(n, k) finite numbers; a row of nothing but null is a lost face."""
    check_size(len(rows), path)
    found = np.full((len(rows), len(rows[0])), np.nan)
    for number, row in enumerate(rows):
        if all(item is None for item in row):
            continue
        try:
            found[number] = [float(item) for item in row]
        except (TypeError, ValueError, OverflowError):
            found[number] = np.nan
        if not np.isfinite(found[number]).all():
            wrong = next((x for x in row if not _is_number(x) or x is None or not abs(x) < np.inf), row)
            raise BadFile(
                "a weight of the curves is not a finite number",
                received=f"{path.name}, frame {number + first}: {str(wrong)[:40]}",
            )
    return found


def _check(names: tuple[str, ...], values: NDArray, path: Path) -> None:
    check_columns(len(names), path)
    if (twice := first_twice(map(key_of, names))) is not None:
        raise BadFile("two curves have one name", received=f"{path.name}: {twice}")
    if not names or np.isnan(values).all():
        raise BadFile("the recording holds no frame with a face", received=path.name)
