"""How strongly a face shows ARKit's blendshapes, by the points of the landmark network.

The third network of MediaPipe's face landmarker (Apache-2.0), an MLP mixer on 146 of the 478 points
("Blendshape V2" model card, 2022). It takes points at any place and size, as it centers and scales them
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mien.data.expressions import ARKIT
from mien.find.tflite import Network, Step
from mien.find.weights import BLENDSHAPES, read_networks

SCORED = ("_neutral", *ARKIT)
"""What the 52 scores mean, in order: ARKit's names without ``tongueOut`` come after one that says nothing."""
_POINTS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67,
    70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146,
    148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181,
    185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293,
    295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361,
    362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398,
    400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)  # fmt: skip
"""Which points the network was made for (MediaPipe, face_blendshapes_graph.cc)."""
_REDUCED = {"keep": 0}


class PointNetwork(Network):
    """A network on points: the same file format as for pictures, with other operators; channels stay last."""

    operators: ClassVar[Mapping[int, str]] = {
        0: "add", 2: "concatenation", 3: "convolution", 6: "dequantize", 14: "logistic", 18: "multiply",
        22: "reshape", 39: "transpose", 40: "mean", 41: "subtract", 42: "divide", 45: "slice", 59: "negate",
        74: "sum", 75: "root", 76: "root_inverse", 99: "squared_difference",
    }  # fmt: skip
    option_fields: ClassVar[Mapping[str, dict[str, int]]] = {
        **Network.option_fields, "mean": _REDUCED, "sum": _REDUCED,
        **dict.fromkeys(("multiply", "subtract", "divide"), {"activation": 0}),
    }  # fmt: skip

    def _run(self, pictures: NDArray) -> dict[str, NDArray[np.float32]]:
        values: dict[int, Tensor] = dict(self.constants)
        values[self.input] = torch.from_numpy(np.ascontiguousarray(pictures, np.float32))
        for step in self.steps:
            made = _OPERATIONS[step.name](step, [values[number] for number in step.inputs if number >= 0])
            values[step.output] = F.relu(made) if step.options.get("activation") == 1 else made
        outputs = [values[number] for number in self.outputs]
        return {name: value.numpy() for name, value in zip(self.names, outputs, strict=True)}


class Scorer:
    """The blendshape network of one file.

    Args:
        path: A ``.task`` file.
    """

    def __init__(self, path: Path) -> None:
        (data,) = read_networks(path, (BLENDSHAPES,))
        self._network = PointNetwork(data, "blendshapes")

    def __call__(self, points: NDArray) -> NDArray[np.float64]:
        """(52,) scores, 0 to 1, of :data:`SCORED`.

        Args:
            points: (478, 2) float, right and down in a picture whose pixels are square, any unit.
        """
        (scores,) = self._network(points[None, _POINTS]).values()
        return scores.ravel().astype(np.float64)


def _convolution(step: Step, inputs: list[Tensor]) -> Tensor:
    x, weight, bias = inputs
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias).permute(0, 2, 3, 1)


def _slice(step: Step, inputs: list[Tensor]) -> Tensor:
    x, begin, end, strides = inputs
    made = tuple(
        slice(first, None if last <= first else last, stride)
        for first, last, stride in zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True)
    )
    return x[made].reshape(step.shape)


def _axes(inputs: list[Tensor]) -> list[int]:
    return inputs[1].reshape(-1).tolist()


_OPERATIONS: Mapping[str, Callable[[Step, list[Tensor]], Tensor]] = {
    "add": lambda step, x: x[0] + x[1], "subtract": lambda step, x: x[0] - x[1],
    "multiply": lambda step, x: x[0] * x[1], "divide": lambda step, x: x[0] / x[1],
    "squared_difference": lambda step, x: (x[0] - x[1]) ** 2, "negate": lambda step, x: -x[0],
    "root": lambda step, x: x[0].sqrt(), "root_inverse": lambda step, x: x[0].rsqrt(),
    "mean": lambda step, x: x[0].mean(_axes(x), keepdim=True).reshape(step.shape),
    "sum": lambda step, x: x[0].sum(_axes(x), keepdim=True).reshape(step.shape),
    "concatenation": lambda step, x: torch.cat(x, dim=step.options["axis"]),
    "reshape": lambda step, x: x[0].reshape(step.shape),
    "transpose": lambda step, x: x[0].permute(x[1].tolist()), "logistic": lambda step, x: torch.sigmoid(x[0]),
    "convolution": _convolution, "slice": _slice,
}  # fmt: skip
