"""Textures that belong to people and expressions: a progressive GAN, and the map it is pasted into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.data.texture_files import WHOLE, Crop
from mien.data.textures import Textures
from mien.errors import BadSetting
from mien.models.facecam.progressive import ProgressiveGenerator

#: The part of FaceScape's uv map that the publication generates: columns 20-80 %, rows 5-65 %.
PUBLISHED_CROP: Crop = (0.20, 0.05, 0.80, 0.65)
FEATHER = 0.04  # share of the crop over which it is blended into the map around it
STATISTICS_ROWS = 600
SMALLEST_MAP = 256


class TextureModel(nn.Module):
    """Images of the face's part of a uv map, from z_id, z_exp and noise, pasted into a whole map.

    The map around the crop is the training maps' mean; each of its texels follows the mean color of the crop
    by least squares over the training maps, so skin goes with skin, and eyes and teeth stay what they are.

    Args:
        size: Pixels of generated images, 8 to 512.
        person: Size of z_id.
        classes: Size of z_exp.
        noise: Size of z_noise.
        widest: Channels of the generator up to 32 pixels.
        centered: Whether the networks see differences from the mean image in deviations, in place of -1..1.
        crop: The part of the map that is generated; None: what the data set names, else the published part.
    """

    mean: Tensor
    deviation: Tensor
    crop: Tensor
    base: Tensor
    slope: Tensor
    tone: Tensor

    def __init__(
        self,
        size: int,
        person: int,
        classes: int,
        *,
        noise: int = 128,
        widest: int = 256,
        centered: bool = False,
        crop: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.size, self.noise_size, self.classes = size, noise, classes
        self.centered, self.asked_crop = centered, crop
        self.generator = ProgressiveGenerator(noise + person + classes, size, widest)
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("crop", torch.tensor(crop or PUBLISHED_CROP))
        for name in ("base", "slope"):
            self.register_buffer(name, torch.zeros(3, SMALLEST_MAP, SMALLEST_MAP))
        self.register_buffer("tone", torch.zeros(3))

    @property
    def levels(self) -> int:
        """Levels of the ladder."""
        return self.generator.levels

    # ---- what training maps say

    def prepare(self, data: FaceDataset) -> None:
        """Crop, mean image, deviation, and the map around the crop, from up to 600 training maps.

        Args:
            data: A view whose rows all have textures.
        """
        if not len(data):
            raise BadSetting(
                "the training part has no textures", received=f"texture_size {self.size}",
                remedy="build the data set with --textures, or set texture_size to 0",
            )  # fmt: skip
        facts = data.facts.get("textures", {})
        crop = self.asked_crop or facts.get("crop") or PUBLISHED_CROP
        self.crop = torch.tensor([float(edge) for edge in crop]).to(self.mean)
        rows = np.linspace(0, len(data) - 1, min(len(data), STATISTICS_ROWS)).astype(int)
        self._center(Textures(data, self.size, crop=self.box)[rows])
        self._surround(Textures(data, self._map_size(), crop=WHOLE, memory=0), rows)

    @property
    def box(self) -> Crop:
        """The crop as plain numbers."""
        left, top, right, bottom = (round(float(edge), 6) for edge in self.crop)
        return left, top, right, bottom

    def _map_size(self) -> int:
        """Pixels of the pasted map: at least one for each generated pixel."""
        left, top, right, bottom = self.box
        needed = self.size / min(right - left, bottom - top)
        return max(SMALLEST_MAP, 2 ** math.ceil(math.log2(needed)))

    def _center(self, images: np.ndarray) -> None:
        if not self.centered:
            return
        mean = images.mean(axis=0, dtype=np.float64) / 127.5 - 1.0
        variance = images.var(axis=0, dtype=np.float64).mean() / 127.5**2
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.fill_(max(float(variance) ** 0.5, 1e-3))

    def _surround(self, maps: Textures, rows: np.ndarray) -> None:
        """Mean map, and what each texel gains per unit of the crop's mean color."""
        inside = self._mask(maps.size) > 0
        sums = [np.zeros((3, maps.size, maps.size)) for _ in range(2)]
        tones = []
        for row in rows:
            image = maps[[row]][0] / 127.5 - 1.0
            tone = image[:, inside].mean(axis=1)
            tones.append(tone)
            sums[0] += image
            sums[1] += image * tone[:, None, None]
        tone, count = np.array(tones), len(rows)
        mean, middle = sums[0] / count, tone.mean(axis=0)
        covariance = sums[1] / count - mean * middle[:, None, None]
        slope = covariance / np.maximum(tone.var(axis=0), 1e-6)[:, None, None]
        self.tone = torch.from_numpy(middle).to(self.mean)
        self.base, self.slope = (torch.from_numpy(x).to(self.mean) for x in (mean, slope))

    # ---- generating

    def images(self, z_id: Tensor, z_exp: Tensor, noise: Tensor | None = None) -> Tensor:
        """Generated images.

        Args:
            z_id: (B, D) float. The people.
            z_exp: (B, n_exp) float. The expressions.
            noise: (B, D) float. z_noise; zero without.

        Returns:
            (B, 3, S, S) float, sRGB -1..1.
        """
        return self.colors(self(z_id, z_exp, noise))

    def forward(
        self,
        z_id: Tensor,
        z_exp: Tensor,
        noise: Tensor | None = None,
        level: int | None = None,
        fade: float = 1.0,
    ) -> Tensor:
        """Generated images in the networks' unit.

        Args:
            z_id: (B, D) float. The people.
            z_exp: (B, n_exp) float. The expressions.
            noise: (B, D) float. z_noise; zero without.
            level: Of the ladder; None: the last.
            fade: Share of the newest level.

        Returns:
            (B, 3, S, S) float.
        """
        return generated(self.generator, self.noise_size, z_id, z_exp, noise, level, fade)

    def normalize(self, images: Tensor) -> Tensor:
        """-1..1 sRGB (B, 3, S, S), of any level's size, to the networks' unit, (B, 3, S, S)."""
        return (images - self._mean_at(images.shape[-1])) / self.deviation

    def colors(self, images: Tensor) -> Tensor:
        """The networks' unit (B, 3, S, S) back to sRGB (B, 3, S, S), clipped to -1..1."""
        return (images * self.deviation + self._mean_at(images.shape[-1])).clamp(-1, 1)

    def _mean_at(self, size: int) -> Tensor:
        return functional.avg_pool2d(self.mean[None], self.size // size)[0] if size < self.size else self.mean

    def paste(self, images: Tensor) -> Tensor:
        """(B, H, H, 3) uint8 sRGB: whole maps around generated images (B, 3, S, S) in -1..1."""
        size = self.base.shape[-1]
        left, top, right, bottom = (round(edge * size) for edge in self.box)
        shown = functional.interpolate(
            images, (bottom - top, right - left), mode="bicubic", align_corners=False
        )  # fmt: skip
        change = (shown.mean(dim=(2, 3)) - self.tone)[:, :, None, None]
        maps = self.base + self.slope * change
        mask = torch.from_numpy(self._mask(size)[top:bottom, left:right]).to(maps)
        part = maps[:, :, top:bottom, left:right]
        maps[:, :, top:bottom, left:right] = torch.lerp(part, shown, mask)
        return ((maps.clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8).permute(0, 2, 3, 1)

    def _mask(self, size: int) -> np.ndarray:
        """(size, size) share of the generated image in the map: 1 in the crop, fading where it is joined."""
        left, top, right, bottom = (round(edge * size) for edge in self.box)
        mask = np.zeros((size, size))
        axes = []
        for low, high in ((top, bottom), (left, right)):
            at = (np.arange(high - low) + 0.5) / (high - low)
            rise = np.clip(at / FEATHER, 0, 1) if low > 0 else np.ones(high - low)
            fall = np.clip((1 - at) / FEATHER, 0, 1) if high < size else np.ones(high - low)
            axes.append(np.minimum(rise, fall))
        mask[top:bottom, left:right] = axes[0][:, None] * axes[1][None]
        return mask


def texture_model(size: int, person: int, classes: int, **options: Any) -> TextureModel | None:
    """A :class:`TextureModel`, or None for a size of 0."""
    return TextureModel(size, person, classes, **options) if size else None


def generated(
    generator: ProgressiveGenerator, noise_size: int, z_id: Tensor, z_exp: Tensor, noise: Tensor | None,
    level: int | None = None, fade: float = 1.0,
) -> Tensor:  # fmt: skip
    """G_tex(z_noise, z_id, z_exp) at one level.

    Args:
        generator: G_tex.
        noise_size: Size of z_noise.
        z_id: (B, D) float. The people.
        z_exp: (B, n_exp) float. The expressions.
        noise: (B, D) float. z_noise; zero without.
        level: Of the ladder; None: the last.
        fade: Share of the newest level.

    Returns:
        (B, 3, S, S) float, in the networks' unit.
    """
    if noise is None:
        noise = z_id.new_zeros(len(z_id), noise_size)
    return generator(torch.cat([noise, z_id, z_exp], dim=1), level, fade)
