"""Orthographic pictures of normals, many faces at once: what image networks are shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.topology import Topology

#: Room around the template, in parts of its larger side: open jaws and other people must fit.
MARGIN = 1.2
#: Faces drawn at once by a processor: the working set stays in its cache.
AT_ONCE = 8
#: Pixels this far outside (in barycentric weight) count as inside, so that shared edges leave no cracks.
EDGE = 1e-5


@dataclass(frozen=True)
class Screen:
    """A square screen in front of the face; every face is shown at the same scale.

    Args:
        center: x and y of the middle of the screen, millimeters.
        span_mm: Side of the screen, millimeters.
        size: Side of the picture, pixels.
    """

    center: tuple[float, float]
    span_mm: float
    size: int

    @staticmethod
    def around(topology: Topology, size: int) -> Screen:
        """Frames the template."""
        low, high = topology.template[:, :2].min(axis=0), topology.template[:, :2].max(axis=0)
        x, y = ((low + high) / 2).tolist()
        return Screen((x, y), float((high - low).max()) * MARGIN, size)

    def project(self, vertices: Tensor) -> Tensor:
        """(..., 2) column and row of points (..., 3) in millimeters; centers of pixels are whole numbers."""
        middle = vertices.new_tensor(self.center)
        flipped = (vertices[..., :2] - middle) * vertices.new_tensor([1.0, -1.0])
        return flipped * (self.size / self.span_mm) + (self.size - 1) / 2


def smooth_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(V, B, 3) unit normals: the mean over the triangles around a vertex, weighted by area.

    Args:
        vertices: (V, B, 3) float, any unit; vertices first, as gathering whole rows is several times faster.
        faces: (F, 3) int64.
    """
    first, second, third = (vertices[faces[:, k]] for k in range(3))
    scaled = torch.linalg.cross(second - first, third - first)
    summed = torch.zeros_like(vertices)
    for k in range(3):
        summed.index_add_(0, faces[:, k], scaled)
    return torch.nn.functional.normalize(summed, dim=2, eps=1e-12)


@torch.no_grad()
def normal_images(vertices: Tensor, faces: Tensor, screen: Screen) -> Tensor:
    """Pictures whose three channels are the unit normal of the nearest surface toward +Z, 0 where none is.

    A z-buffer over all pixels in the boxes around front-facing triangles, of a few faces at once. Normals are
    interpolated between the vertices, then made unit length again.

    Args:
        vertices: (B, V, 3) float, millimeters; +Z out of the face.
        faces: (F, 3) int64.
        screen: What is seen.

    Returns:
        (B, 3, size, size) float in -1..1; row 0 is the top.
    """
    count = AT_ONCE if vertices.device.type == "cpu" else len(vertices)
    parts = vertices.transpose(0, 1).split(max(count, 1), dim=1)
    return torch.cat([_images(part.contiguous(), faces, screen) for part in parts])


def _images(vertices: Tensor, faces: Tensor, screen: Screen) -> Tensor:
    """The same for (V, B, 3)."""
    count, size = vertices.shape[1], screen.size
    found = _covered(vertices, faces, screen)
    depth = vertices.new_full((count * size * size,), -torch.inf)
    depth.scatter_reduce_(0, found.pixel, found.depth, "amax")
    seen = (found.depth == depth[found.pixel]).nonzero().squeeze(1)
    pixel, owner, weights = found.pixel[seen], found.owner[seen], found.weights[seen]
    corners = faces[owner // count] * count + (owner % count)[:, None]
    normals = smooth_normals(vertices, faces).flatten(0, 1)
    color = torch.stack([weights[:, k, None] * normals[corners[:, k]] for k in range(3)]).sum(0)
    picture = vertices.new_zeros(count * size * size, 3)
    picture[pixel] = torch.nn.functional.normalize(color, dim=1, eps=1e-12)
    return picture.view(count, size, size, 3).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Covered:
    """Centers of pixels inside triangles; triangle f of face b has the number f B + b.

    Args:
        pixel: (P,) number of the pixel, picture after picture.
        owner: (P,) number of the triangle.
        weights: (P, 3) barycentric weights.
        depth: (P,) z of the surface there.
    """

    pixel: Tensor
    owner: Tensor
    weights: Tensor
    depth: Tensor


def _covered(vertices: Tensor, faces: Tensor, screen: Screen) -> _Covered:
    """Every pair of a front-facing triangle and a pixel whose center lies in it."""
    count, size = vertices.shape[1], screen.size
    place = torch.cat([screen.project(vertices), vertices[..., 2:]], dim=2)
    a, b, c = (place[faces[:, k]].flatten(0, 1) for k in range(3))  # (F B, 3): column, row, depth
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    low = torch.minimum(torch.minimum(a, b), c)[:, :2].ceil().clamp_min(0)
    high = torch.maximum(torch.maximum(a, b), c)[:, :2].floor().clamp_max(size - 1)
    extent = (high - low + 1).clamp_min(0).long()
    # Rows grow downward, so a triangle whose normal has z > 0 has negative area.
    boxes = extent[:, 0] * extent[:, 1] * (area < 0)
    owner = torch.repeat_interleave(boxes)
    inner = torch.arange(len(owner), device=owner.device) - (boxes.cumsum(0) - boxes)[owner]
    row = torch.div(inner, extent[owner, 0], rounding_mode="floor")
    # Barycentric weights and depth are affine in the pixel: planes of the triangle, evaluated at its pixels.
    second = torch.stack([ac[:, 1], -ac[:, 0]], dim=1) / area[:, None]
    third = torch.stack([-ab[:, 1], ab[:, 0]], dim=1) / area[:, None]
    start = low - a[:, :2]
    columns = (second, third, start, low, ab[:, 2:], ac[:, 2:], a[:, 2:])
    at = torch.cat(columns, dim=1)[owner].unbind(1)
    down, across = row.to(start.dtype), (inner - row * extent[owner, 0]).to(start.dtype)
    x, y = at[4] + across, at[5] + down
    v, w = at[0] * x + at[1] * y, at[2] * x + at[3] * y
    inside = ((v >= -EDGE) & (w >= -EDGE) & (1 - v - w >= -EDGE)).nonzero().squeeze(1)
    line, column = (at[7] + down).long(), (at[6] + across).long()
    pixel = (owner % count) * size**2 + line * size + column
    depth = at[10] + v * at[8] + w * at[9]
    weights = torch.stack([1 - v - w, v, w], dim=1)
    return _Covered(pixel[inside], owner[inside], weights[inside], depth[inside])
