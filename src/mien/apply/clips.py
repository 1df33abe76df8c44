"""Clips as files: a person and a signal, in the form that the next program takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply.animation import animate, between_poses, few_targets
from mien.apply.coding import Faces
from mien.apply.correctives import contact_of
from mien.apply.files import Notes, OpenedFace
from mien.apply.rigs import Rig, rig
from mien.data.arkit import gaze_of
from mien.errors import BadSetting, UnknownName
from mien.io.atomic import atomic_file
from mien.io.endings import MESHES, RIGS
from mien.io.pc2 import write_pc2
from mien.models.base import FaceModel

TARGETS = ("auto", "named", "motion", "frames")


@dataclass(frozen=True, eq=False)
class Signal:
    """What a person performs, and how.

    Args:
        weights: (T, E) float. Named weights of each frame.
        fps: Frames per second.
        style: Whose way of performing it takes: name of a training person, a face (V, 3), or None.
        walk: The weights lead from one apex straight to another; faces lie on the line between their codes.
    """

    weights: NDArray[np.float32]
    fps: float = 30.0
    style: Any = None
    walk: bool = False

    def frames(self, model: FaceModel, neutral: NDArray) -> Faces:
        """(T, V, 3) float32, millimeters: what a model makes of it, for the person (V, 3) at rest."""
        if not self.walk:
            return animate(model, neutral, self.weights, fps=self.fps, style=self.style)
        first, last = self.weights[0], self.weights[-1]
        return between_poses(model, neutral, first, last, len(self.weights), style=self.style)

    def strongest(self) -> NDArray[np.float32]:
        """(E,) the weights of the frame in which most happens."""
        return self.weights[self.weights.sum(axis=1).argmax()]

    def facts(self, path: Path) -> dict[str, Any]:
        """What a clip's file holds, for JSON."""
        known = {"out": str(path), "frames": len(self.weights), "fps": self.fps}
        return known | ({"walk": True} if self.walk else {})


def write_clip(
    path: str | Path,
    model: FaceModel,
    face: OpenedFace,
    signal: Signal,
    *,
    targets: str = "auto",
    correctives: bool = False,
) -> tuple[dict[str, Any], Notes]:
    """Writes a clip as the ending of its path says; a mesh shows the apex.

    GLB and USD hold a rig with curves, PC2 a point cache, NPZ arrays (millimeters), a folder numbered OBJ
    files; all with the vertices of the face's own mesh.

    Args:
        path: Where to.
        model: Any model that can animate.
        face: The person at rest, opened for the model.
        signal: What the person performs.
        targets: Of a GLB or USD: ``named`` expressions, a few of this very ``motion``, one for each of its
            ``frames``, or ``auto``: motion for what is no sum of poses.
        correctives: Of a GLB or USD with named targets, see :meth:`OpenedFace.write_rig`.

    Returns:
        What was written, and sentences about what could not be kept.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if not signal.walk:
        face.check_at_rest()
    if ending in MESHES:
        return _write_apex(path, model, face, signal)
    if ending in RIGS:
        return _write_rig(path, model, face, signal, targets, correctives)
    notes = Notes()
    if ending == ".npz":
        with atomic_file(path) as file:
            np.savez(
                file, vertices=frames_to_show(model, face, signal), weights=signal.weights,
                expressions=np.array(model.expressions), fps=signal.fps,
            )  # fmt: skip
    elif ending == ".pc2":
        write_pc2(path, _carried(model, face, signal))
    elif ending:
        raise BadSetting(
            "a clip is written as GLB, USD, PC2, MP4, GIF, NPZ, a mesh or a folder of OBJ files",
            received=str(path),
            remedy="name it *.glb, *.usda, *.pc2, *.mp4, *.gif, *.npz or *.obj, or give a folder",
        )
    else:
        gaze, frames = gaze_of(model.expressions, signal.weights), signal.frames(model, face.vertices)
        contact = contact_of(model, face.head, face.vertices, signal.style)
        added = None if contact is None else contact.frames(signal.weights)
        notes = face.write_frames(path, frames, "step" if signal.walk else "clip", gaze, added)
    return signal.facts(path), notes


def clip_sentence(facts: dict[str, Any]) -> str:
    """What :func:`write_clip` wrote, for people."""
    if "weights" in facts:
        shown = ", ".join(f"{name} {value:.2f}" for name, value in facts["weights"].items() if value)
        return f"{facts['out']}: the apex, {shown}."
    text = f"{facts['out']}: {facts['frames']} frames at {facts['fps']:g} per second."
    if facts.get("walk"):
        text = f"{facts['out']}: {facts['frames']} faces between two apexes."
    if "targets" in facts:
        kind = {"named": "named", "motion": "of this motion", "frames": "one a frame"}[facts["kind"]]
        text += f" {facts['targets']} morph targets ({kind}), {facts['error_mm']:.3f} mm off the frames."
    return text


def frames_to_show(model: FaceModel, face: OpenedFace, signal: Signal) -> Faces:
    """(T, N, 3) float32, millimeters: the clip on the face's own mesh, for pictures and films."""
    if face.head is None:
        return signal.frames(model, face.vertices)
    return face.decision.apply(_carried(model, face, signal))


def _carried(model: FaceModel, face: OpenedFace, signal: Signal) -> Faces:
    """(T, N, 3) float32: the clip on the face's own mesh, in its unit and axes; lids and lips meet."""
    gaze = gaze_of(model.expressions, signal.weights)
    carried = face.carried(signal.frames(model, face.vertices), gaze)
    contact = contact_of(model, face.head, face.vertices, signal.style)
    if contact is not None:
        for frame, more in zip(carried, contact.frames(signal.weights), strict=True):
            frame += more.astype(np.float32)
    return carried


def _write_apex(
    path: Path, model: FaceModel, face: OpenedFace, signal: Signal
) -> tuple[dict[str, Any], Notes]:
    strongest = signal.strongest()
    apexes = between_poses(model, face.vertices, strongest, strongest, 2, style=signal.style)
    contact = contact_of(model, face.head, face.vertices, signal.style)
    added = None if contact is None else contact.added(strongest)
    notes = face.write(path, apexes[0], gaze_of(model.expressions, strongest), added)
    weights = dict(zip(model.expressions, strongest.tolist(), strict=True))
    return {"out": str(path), "weights": weights}, notes


def _write_rig(
    path: Path, model: FaceModel, face: OpenedFace, signal: Signal, targets: str, correctives: bool
) -> tuple[dict[str, Any], Notes]:
    """Morph targets with curves; how many, and how far their sum is off the clip."""
    if targets not in TARGETS:
        raise UnknownName("kind of targets", targets, TARGETS)
    kind = targets
    if kind == "auto":
        kind = "motion" if model.remembers or signal.walk else "named"
    frames, gaze = signal.frames(model, face.vertices), None
    if kind == "named":
        made, curves = rig(model, face.vertices, style=signal.style), signal.weights
        sums = np.stack([made.apply(weights) for weights in curves])
        error = float(np.linalg.norm(sums - frames, axis=2).mean())
    else:
        shapes, curves, error = frames, np.eye(len(frames), dtype=np.float32), 0.0
        if kind == "motion":
            shapes, curves, error = few_targets(frames, face.vertices)
        gaze = _gaze_of_targets(model.expressions, signal.weights, curves)
        names = tuple(f"{kind.rstrip('s')}_{number}" for number in range(1, len(shapes) + 1))
        made = Rig(model.topology, face.vertices, shapes, names)
    notes = face.write_rig(
        path, made, gaze=gaze, clip=curves, fps=signal.fps, correctives=correctives and kind == "named"
    )
    return signal.facts(path) | {"targets": len(made.names), "kind": kind, "error_mm": error}, notes


def _gaze_of_targets(names: Sequence[str], weights: NDArray, curves: NDArray) -> NDArray[np.float64] | None:
    """(K, 2, 2) degrees that eyes turn with each target, so that (T, K) curves turn them as weights say."""
    turns = gaze_of(names, weights)
    if turns is None:
        return None
    return np.linalg.lstsq(curves, turns.reshape(len(turns), 4), rcond=None)[0].reshape(-1, 2, 2)
