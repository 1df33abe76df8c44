"""Moving pictures: out as MP4 (needs the extra ``video``) and GIF, in from any film."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import BadFile, BadSetting, require
from mien.io.atomic import write_bytes

MOST_FRAMES = 216_000
"""An hour at 60 frames a second."""
_LARGEST = 1920  # pixels of a frame's longer side


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


def read_video(path: Path | str) -> Iterator[tuple[float, Image.Image]]:
    """The frames of a film, one after the other: seconds and RGB pictures, no larger than full HD.

    Args:
        path: Any film that the package ``av`` reads.

    Raises:
        MissingPackage: ``av`` is not installed.
        BadFile: It is no film, or has more frames than a take.
    """
    av = require("av", "video")
    name = Path(path).name
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadFile("the film holds no pictures", received=name)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream)):
                if number >= MOST_FRAMES:
                    raise BadFile("the film is too long", received=f"{name}: over {MOST_FRAMES:,} frames")
                picture = frame.to_image()
                picture.thumbnail((_LARGEST, _LARGEST))
                time = frame.time if frame.time is not None else number / float(stream.average_rate or 30)
                yield float(time), picture
    except (av.error.FFmpegError, OSError) as error:
        raise BadFile("the film cannot be read", received=f"{name}: {error}") from error


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
