"""Google's face landmarker: pictures in, faces and 478 points on each out.

The networks are those of MediaPipe's face landmarker (Apache-2.0): a short-range detector (BlazeFace,
Bazarevsky et al. 2019) and an attention mesh (Grishchenko et al. 2020). What surrounds them is written here:
anchors, the choice of detections, and of the square that the landmarks are sought in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.find.tflite import Network
from mien.find.weights import read_networks

POINTS = 478
IRISES = 468
"""Points from here on are of the irises."""
DETECTOR_SIZE, LANDMARK_SIZE = 128, 256
EYE_CORNERS = (33, 263)
"""The outer corners of the person's right and left eye among the points."""
_ANCHORS = ((8, 2), (16, 6))  # stride in pixels, boxes at each place
_ENLARGED = 1.5  # the landmark network wants the face with some surroundings
_APART = 0.4  # of a box: closer detections are one face


@dataclass(frozen=True, eq=False)
class Square:
    """A tilted square of a picture that holds a face, in shares of the picture's side; right and down.

    Args:
        center: (2,) float.
        side: Of the square.
        angle: Radians from the picture's rows to the line from the person's right to the left eye.
        score: The detector's, 0 to 1.
    """

    center: NDArray[np.float64]
    side: float
    angle: float
    score: float


class Landmarker:
    """The two networks of one file.

    Args:
        path: A ``.task`` file.
    """

    def __init__(self, path: Path) -> None:
        detector, landmarks = read_networks(path)
        self._detector, self._landmarks = Network(detector, "detector"), Network(landmarks, "landmarks")

    def detect(self, picture: NDArray, least: float, most: int = 2) -> list[Square]:
        """Faces in a picture, the surest first.

        Args:
            picture: (128, 128, 3) float, 0 to 255.
            least: Smallest score.
            most: How many at most.
        """
        made = self._detector(np.asarray(picture, np.float32)[None] / 127.5 - 1)
        scores = _logistic(made["classificators"][0, :, 0])
        found: list[tuple[float, Square]] = []
        for row in np.argsort(-scores):
            if scores[row] < least or len(found) >= most:
                break
            box = made["regressors"][0, row] / DETECTOR_SIZE
            center, width, points = box[:2] + _anchors()[row], float(box[2:4].max()), box[4:].reshape(-1, 2)
            if not any(
                np.abs(center - other.center).max() < _APART * max(width, size) for size, other in found
            ):
                angle = float(np.arctan2(*(points[1] - points[0])[::-1]))  # from eye to eye
                found.append((width, Square(center, _ENLARGED * width, angle, float(scores[row]))))
        return [square for _, square in found]

    def points(self, picture: NDArray) -> tuple[NDArray[np.float64], float]:
        """478 points (478, 2) in shares of the picture's side, and how surely there is a face, 0 to 1.

        Args:
            picture: (256, 256, 3) float, 0 to 255, of an upright face.
        """
        made = self._landmarks(np.asarray(picture, np.float32)[None] / 255)
        points = made["Identity"].reshape(POINTS, 3)[:, :2].astype(np.float64) / LANDMARK_SIZE
        return points, float(_logistic(made["Identity_1"].ravel())[0])


def square_around(points: NDArray, score: float) -> Square:
    """The square that the landmark network wants, of points (478, 2) found before."""
    across = points[EYE_CORNERS[1]] - points[EYE_CORNERS[0]]
    angle = float(np.arctan2(across[1], across[0]))
    upright = points @ _turn(angle)
    low, high = upright.min(axis=0), upright.max(axis=0)
    return Square((low + high) / 2 @ _turn(angle).T, _ENLARGED * float((high - low).max()), angle, score)


def _turn(angle: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


@lru_cache(maxsize=1)
def _anchors() -> NDArray[np.float64]:
    """(896, 2) where the detector's boxes are centered, in shares of the side."""
    places = []
    for stride, boxes in _ANCHORS:
        count = DETECTOR_SIZE // stride
        middle = (np.arange(count) + 0.5) / count
        grid = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
        places.append(np.repeat(grid, boxes, axis=0))
    return np.concatenate(places)


def _logistic(values: NDArray) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(values.astype(np.float64), -80, 80)))
