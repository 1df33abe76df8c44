"""What a network for photographs reads off renders of meshes: scores of ARKit's blendshapes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import DataMissing
from mien.find.film import Watcher
from mien.find.landmarker import Landmarker
from mien.find.scores import SCORED, Scorer
from mien.find.weights import HOW_TO_GET, landmarker_file
from mien.render.stills import View, render

PIXELS = 256
"""Of a picture's side: the landmark network itself looks at as many."""


class FaceReader:
    """Draws meshes as clay and scores what the faces on them do, each picture for itself.

    The networks are those of MediaPipe's face landmarker ("Blendshape V2" model card, 2022); they were made
    for photographs of people, so what they say of renders has to be calibrated (docs/metrics.md).

    Args:
        landmarker: Finds the face.
        scorer: Scores it.
    """

    def __init__(self, landmarker: Landmarker, scorer: Scorer) -> None:
        self._landmarker, self._scorer = landmarker, scorer

    @staticmethod
    def open() -> FaceReader:
        """The reader with the networks of this machine.

        Raises:
            DataMissing: They are not on it.
        """
        networks = landmarker_file()
        if networks is None:
            raise DataMissing("judging pictures needs the face landmarker's networks", remedy=HOW_TO_GET)
        return FaceReader(Landmarker(networks), Scorer(networks))

    def read(self, meshes: Iterable[NDArray], faces: NDArray, view: View) -> NDArray[np.float64]:
        """(n, 52) float64 scores of :data:`mien.find.scores.SCORED`, 0 to 1; NaN where no face is seen.

        Args:
            meshes: n arrays (V, 3) float, millimeters.
            faces: (F, 3) int.
            view: The camera of all pictures.
        """
        rows = [self.read_picture(render(mesh, faces, size=PIXELS, view=view, samples=1)) for mesh in meshes]
        return np.stack(rows) if rows else np.zeros((0, len(SCORED)))

    def read_picture(self, picture: NDArray) -> NDArray[np.float64]:
        """(52,) float64 scores of one picture (H, W, 3) uint8, sRGB; NaN where no face is seen."""
        return Watcher(self._landmarker, self._scorer).scores(Image.fromarray(picture))
