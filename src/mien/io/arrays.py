"""Many faces as one array on disk, written while they are made."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting
from mien.io.atomic import atomic_file


def write_faces(path: str | Path, batches: Iterable[NDArray], shape: tuple[int, int, int]) -> None:
    """Writes (N, V, 3) float32 as ``.npy``; the file appears when it is whole.

    One batch is written while the next is made, and no more are kept: memory does not grow with N.

    Args:
        path: The file.
        batches: (n, V, 3) float, millimeters, one after the other.
        shape: (N, V, 3), the sizes of all batches together.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    count = 0
    with atomic_file(path) as file, ThreadPoolExecutor(1) as writer:
        np.lib.format.write_array_header_1_0(file, header)
        waiting: Future[int] | None = None
        for batch in batches:
            plain = np.ascontiguousarray(batch, "<f4")
            if waiting is not None:
                waiting.result()
            waiting = writer.submit(file.write, plain.data)
            count += len(plain)
        if waiting is not None:
            waiting.result()
        if count != shape[0]:
            raise BadSetting(
                "the batches do not add up to the array", received=f"{count} faces of {shape[0]}"
            )
