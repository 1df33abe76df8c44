"""One performance, written in every form that programs write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.action_units import unit_curves
from mien.data.expressions import ARKIT, ARKIT_MISSING

NAMES = tuple(ARKIT)
TURNS = ("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw",
         "RightEyePitch", "RightEyeRoll")  # fmt: skip
SECONDS = 3.0
# What both sides do alike and action units can say, so that every form can hold it.
_ACTS = {
    ("mouthSmileLeft", "mouthSmileRight"): (0.8, 0.5), ("eyeBlinkLeft", "eyeBlinkRight"): (1.0, 1.5),
    ("jawOpen",): (0.6, 2.1), ("browInnerUp",): (0.7, 1.1), ("browDownLeft", "browDownRight"): (0.4, 2.4),
    ("noseSneerLeft", "noseSneerRight"): (0.5, 1.9),
}  # fmt: skip


def performed(times: NDArray) -> NDArray[np.float64]:
    """(T, 51) ARKit weights at any times (T,), seconds: bumps, and rest at both ends."""
    weights = np.zeros((len(times), len(NAMES)))
    for names, (size, middle) in _ACTS.items():
        bump = size * np.cos(np.pi * np.clip((times - middle) / 0.9, -0.5, 0.5)) ** 2
        weights[:, [NAMES.index(name) for name in names]] = bump[:, None]
    return weights


def even(fps: float) -> NDArray[np.float64]:
    """(T,) seconds of evenly spaced frames."""
    return np.arange(round(SECONDS * fps) + 1) / fps


def timecode(time: float, fps: int, part: float = 0.0, start: float = 51_823.0) -> str:
    whole = round(start + int(time + 1e-6))
    frame = round((time - int(time + 1e-6)) * fps)
    whole, frame = whole + frame // fps, frame % fps
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{frame:02d}.{round(1000 * part):03d}"


def live_link(fps: int, lost: range = range(0), missing: range = range(0)) -> str:
    """As the phone writes it; frames of a lost face have no cells, missing ones no line."""
    header = [
        "Timecode",
        "BlendShapeCount",
        *(name[0].upper() + name[1:] for name in NAMES),
        "TongueOut",
        *TURNS,
    ]
    lines = [",".join(header)]
    for number, (time, row) in enumerate(zip(even(fps), performed(even(fps)), strict=True)):
        if number in missing:
            continue
        cells = [timecode(time, fps), "0"] if number in lost else [
            timecode(time, fps), "61", *(f"{v:.8f}" for v in row), "0.00000000",
            *(f"{a:.8f}" for a in np.sin(np.arange(9) + time)),
        ]  # fmt: skip
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def table(
    fps: float = 60.0, *, rename: Callable[[str], str] = str, mark: str = ",", comma: bool = False,
    size: float = 1.0, clock: str = "time", ticks: float = 1.0, digits: int = 6,
) -> str:  # fmt: skip
    lines = [mark.join([clock, *map(rename, NAMES)])]
    for time, row in zip(even(fps), performed(even(fps)), strict=True):
        text = mark.join([f"{time * ticks:.{digits}f}", *(f"{v * size:.{digits}f}" for v in row)])
        lines.append(text.replace(".", ",") if comma else text)
    return "\n".join(lines) + "\n"


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def short(name: str) -> str:
    return (
        name.removesuffix("Left") + "_L"
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft")
        else (
            name.removesuffix("Right") + "_R"
            if name.endswith("Right") and name not in ("jawRight", "mouthRight")
            else name
        )
    )


def media_pipe(fps: float = 30.0) -> str:
    """Results of the browser's face landmarker, with their times; two frames see no face."""
    frames = []
    for number, (time, row) in enumerate(zip(even(fps), performed(even(fps)), strict=True)):
        scores = [{"index": 0, "score": 1e-6, "categoryName": "_neutral", "displayName": ""}]
        scores += [
            {"index": k, "score": float(v), "categoryName": n, "displayName": ""}
            for k, (n, v) in enumerate(zip(NAMES, row, strict=True), 1)
        ]
        seen = number not in (41, 42)
        frames.append(
            {
                "timestampMs": round(1000 * time + 5000),
                "faceBlendshapes": [{"categories": scores}] if seen else [],
            }
        )
    return json.dumps(frames)


def audio_to_face(fps: int = 30) -> str:
    weights = performed(even(fps))
    found = {
        "exportFps": fps, "trackPath": "line.wav", "numPoses": len(NAMES), "numFrames": len(weights),
        "facsNames": list(NAMES), "weightMat": weights.tolist(),
    }  # fmt: skip
    return json.dumps(found, indent=1)


def open_face(fps: float = 30.0) -> str:
    """Intensities of 0 to 5 and presences; frames 20 to 22 are lost."""
    columns = performed(even(fps)).T
    shapes = {shape: curve for name, curve in zip(NAMES, columns, strict=True) for shape in ARKIT[name]}
    found = unit_curves(shapes)
    units = {f"{n:02d}": str(n) for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 25, 26)} | {"45": "43"}
    header = ["frame", " face_id", " timestamp", " confidence", " success", " gaze_0_x", " pose_Rx", " x_0",
              " AU23_r",
              *(f" AU{n}_r" for n in units), *(f" AU{n}_c" for n in units), " AU28_c"]  # fmt: skip
    lines = [",".join(header)]
    for number, time in enumerate(even(fps)):
        seen = number not in range(20, 23)
        values = [5 * found[f"au_{unit}"][number] * seen for unit in units.values()]
        cells = [number + 1, 0, f"{time:.3f}", 0.98, int(seen), 0.1, -0.2, 340.1, "0.00",
                 *(f"{v:.2f}" for v in values), *(f"{float(v > 1):.2f}" for v in values), "0.00"]  # fmt: skip
        lines.append(", ".join(map(str, cells)))
    return "\n".join(lines) + "\n"


def write_forms(folder: Path) -> dict[str, Path]:
    """Name of each form -> its file."""
    texts = {
        "phone at 60.csv": live_link(60), "phone at 30.csv": live_link(30),
        "phone with drops.csv": live_link(60, missing=range(70, 74)),
        "phone that lost the face.csv": live_link(60, lost=range(100, 107)),
        "sided.csv": table(rename=short), "snake.csv": table(rename=snake),
        "capitals.csv": table(rename=str.upper, clock="TIMESTAMP"),
        "prefixed.csv": table(rename=lambda name: f"blendShapes.{name}", clock="timeCode"),
        "percent.csv": table(size=100, digits=3), "semicolons.csv": table(mark=";"),
        "decimal commas.csv": table(mark=";", comma=True), "tabs.csv": table(mark="\t"),
        "milliseconds.csv": table(30, ticks=1000),
        "named milliseconds.csv": table(25, clock="time_ms", ticks=1000),
        "sep.csv": "sep=;\n" + table(mark=";"), "media pipe.json": media_pipe(),
        "audio2face.json": audio_to_face(),
        "open face.csv": open_face(),
        "columns.json": json.dumps(
            {"fps": 60, "blendshapes": dict(zip(NAMES, performed(even(60)).T.tolist()))}
        ),
        "lines.jsonl": "\n".join(
            json.dumps({"t": t, **dict(zip(NAMES, row))})
            for t, row in zip(even(30), performed(even(30)).tolist())
        ),
    }  # fmt: skip
    encodings = {"tabs.csv": "utf-16", "semicolons.csv": "utf-8-sig"}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding=encodings.get(name, "utf-8"))
    return {name: folder / name for name in texts}


assert ARKIT_MISSING == ("tongueOut",)
