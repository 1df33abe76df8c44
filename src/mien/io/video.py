"""Moving pictures out: MP4 (needs the extra ``video``) and GIF."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import BadSetting, require
from mien.io.atomic import write_bytes


def write_video(path: Path | str, frames: Iterable[Any], fps: float) -> int:
    """Writes pictures as a film; returns how many.

    Args:
        path: ``*.mp4`` (H.264, plays in browsers) or ``*.gif``.
        frames: (H, W, 3) uint8 arrays or PIL images, all of one size.
        fps: Frames per second.
    """
    path = Path(path)
    pictures = [np.asarray(frame, np.uint8)[..., :3] for frame in frames]
    if not pictures or len({picture.shape for picture in pictures}) > 1:
        raise BadSetting("a film needs pictures of one size", received=f"{len(pictures)} pictures")
    if path.suffix.lower() == ".gif":
        write_bytes(path, _gif(pictures, fps))
    elif path.suffix.lower() == ".mp4":
        write_bytes(path, _mp4(pictures, fps))
    else:
        raise BadSetting("a film is MP4 or GIF", received=str(path), remedy="name it *.mp4 or *.gif")
    return len(pictures)


def _gif(pictures: list[NDArray[np.uint8]], fps: float) -> bytes:
    import io

    buffer = io.BytesIO()
    # One palette for all frames: no flicker.
    palette = Image.fromarray(np.concatenate(pictures[:: max(1, len(pictures) // 8)])).quantize(255)
    first, *rest = [Image.fromarray(p).quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return buffer.getvalue()


def _mp4(pictures: list[NDArray[np.uint8]], fps: float) -> bytes:
    import io

    av = require("av", "video")
    height, width = (side - side % 2 for side in pictures[0].shape[:2])  # H.264 halves its colors
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()
