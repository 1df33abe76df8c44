"""A mesh beside its geometry image: what a critic on pictures gets to see."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.figures.faces import draw, face_view
from mien.figures.sheets import grid
from mien.geometry.differential import vertex_normals
from mien.nn.geometry_image import GeometryMapping
from mien.render.clay import BACKGROUND
from mien.render.stills import render
from mien.topology import Topology

UNSEEN = (196, 62, 48)
SEEN = (206, 198, 188)


def geometry_image_figure(
    vertices: NDArray, topology: Topology, *, image_size: int = 64, size: int = 320
) -> Pictures.Image:
    """The mesh, its image as positions and as normals, and the vertices that no pixel's center depends on.

    Args:
        vertices: (V, 3) float, millimeters.
        topology: What the vertices belong to.
        image_size: n, pixels of the geometry image along each side.
        size: Pixels of each picture.
    """
    mapping = GeometryMapping(topology, image_size)
    low, high = vertices[mapping.inside].min(axis=0), vertices[mapping.inside].max(axis=0)
    positions = 255 * (vertices - low) / (high - low)
    normals = 127.5 * (vertex_normals(vertices, topology.faces) + 1)
    colors = np.where(mapping.seen[:, None] | ~mapping.inside[:, None], SEEN, UNSEEN).astype(np.uint8)
    view = face_view(topology)
    pictures = [
        draw(vertices, topology, size=size, view=view), _enlarged(positions, mapping, size),
        _enlarged(normals, mapping, size),
        render(vertices, topology.faces, size=size, view=view, colors=colors, gloss=0.35),
    ]  # fmt: skip
    labels = ["mesh", "x, y, z", "normals", f"{mapping.unseen} unseen vertices"]
    note = f"{topology.vertex_count} vertices, {image_size} x {image_size} pixels; no pixel sees what is red"
    return grid([pictures], column_labels=labels, gap=12, note=note)


def _enlarged(values: NDArray, mapping: GeometryMapping, size: int) -> NDArray[np.uint8]:
    """(size, size, 3) the image of vertex colors 0..255, each pixel a square; holes as the background."""
    ones = np.ones_like(values[:, :1])
    columns = torch.from_numpy(np.concatenate([values, ones], axis=1)[None].astype(np.float32))
    image = mapping(columns)[0].permute(1, 2, 0).numpy()
    small = np.where(image[..., 3:] > 0.5, image[..., :3], BACKGROUND)
    nearest = Pictures.Resampling.NEAREST
    return np.asarray(Pictures.fromarray(small.clip(0, 255).astype(np.uint8)).resize((size, size), nearest))
