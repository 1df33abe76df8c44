"""A face in a video as a performance: found, followed from frame to frame, scored for ARKit's blendshapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import BadFile, DataMissing
from mien.find.landmarker import DETECTOR_SIZE, LANDMARK_SIZE, Landmarker, Square, square_around
from mien.find.scores import SCORED, Scorer
from mien.find.weights import HOW_TO_GET, landmarker_file
from mien.io.curve_record import Curves
from mien.io.video import read_video
from mien.progress import track

_LEAST_SCORE, _PRESENCE = 0.5, 0.5
"""MediaPipe's own thresholds of the detector and of a face that is still there."""


def curves_of_video(path: str | Path) -> Curves:
    """ARKit's blendshapes of the surest face in a video, frame by frame.

    Frames without a face are rows of NaN. The networks are those of MediaPipe's face landmarker.

    Args:
        path: Any film that the package ``av`` reads.

    Raises:
        MissingPackage: ``av`` is not installed.
        DataMissing: There is no such file, or the networks are not on this machine.
        BadFile: It is no film, or no face is seen in it.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("the video does not exist", received=str(path), remedy="check the path")
    networks = landmarker_file()
    if networks is None:
        raise DataMissing("seeing faces needs the face landmarker's networks", remedy=HOW_TO_GET)
    eye = Watcher(Landmarker(networks), Scorer(networks))
    times, rows = [], []
    for time, picture in track(read_video(path), "reading the face"):
        times.append(time)
        rows.append(eye.scores(picture))
    values = np.array(rows)
    if np.isnan(values).all():
        raise BadFile(
            "no face is seen in the video", received=f"{path.name}: {len(rows)} frames",
            remedy="show one face from the front, at least a fifth of the picture's height",
        )  # fmt: skip
    return Curves(SCORED, values, np.array(times) - times[0], "Video")


class Watcher:
    """Follows one face: where it was in the frame before, or where the detector finds it.

    Args:
        landmarker: Finds and follows it.
        scorer: Scores what it does.
    """

    def __init__(self, landmarker: Landmarker, scorer: Scorer) -> None:
        self._landmarker, self._scorer = landmarker, scorer
        self._square: Square | None = None

    def scores(self, picture: Image.Image) -> NDArray[np.float64]:
        """(52,) float64 scores of :data:`SCORED`, 0 to 1, in a frame; NaN where no face is.

        Args:
            picture: The frame.
        """
        for tries in range(2):
            fresh = self._square is None
            square = self._square or self._detected(picture)
            if square is None:
                break
            points, presence = self._landmarker.points(_cut(picture, square))
            if presence >= _PRESENCE:
                place = _on_picture(points, square)
                self._square = square_around(place, square.score)
                if not fresh or tries:
                    return self._scorer(place)
            else:
                self._square = None
        return np.full(len(SCORED), np.nan)

    def _detected(self, picture: Image.Image) -> Square | None:
        side = max(picture.size)
        padded = Image.new("RGB", (side, side))
        padded.paste(picture)
        small = padded.resize((DETECTOR_SIZE, DETECTOR_SIZE), Image.Resampling.BOX)
        found = self._landmarker.detect(np.asarray(small), _LEAST_SCORE)
        return found[0] if found else None


def _frame(square: Square) -> NDArray[np.float64]:
    """(2, 2) the square's sides, right and down, in shares of the picture's longer side."""
    cosine, sine = np.cos(square.angle), np.sin(square.angle)
    return square.side * np.array([[cosine, sine], [-sine, cosine]])


def _cut(picture: Image.Image, square: Square) -> NDArray[np.uint8]:
    """(256, 256, 3) what a tilted square of a picture shows."""
    pixels = max(picture.size)
    finer = max(1, int(square.side * pixels / (2 * LANDMARK_SIZE)))  # no pixel is skipped
    reduced = picture.reduce(finer) if finer > 1 else picture
    (a, d), (b, e) = _frame(square) * pixels / finer / LANDMARK_SIZE
    c, f = (square.center - _frame(square).sum(axis=0) / 2) * pixels / finer
    turned = reduced.transform(
        (LANDMARK_SIZE, LANDMARK_SIZE), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    return np.asarray(turned)


def _on_picture(points: NDArray, square: Square) -> NDArray[np.float64]:
    """(478, 2) points of a square (478, 2) in shares of the picture's longer side."""
    return square.center + (points - 0.5) @ _frame(square)
