"""Small TFLite networks in PyTorch: the flatbuffer, and the few operators that face networks use.

Reading the file here spares a second run-time of 22 MB beside PyTorch. By processor time of one call on one
core (``benchmarks/face_networks.py``) that run-time, ai-edge-litert, is three times as fast (1.0 ms against
3.7 for the detector, 5.1 against 14.1 for the landmarks); but pictures and rays are the larger part of a
search, which it would shorten by a fifth. The two agree to 1e-4 of the detector's and 4e-4 of the landmarks'
pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import BadFile, require

# Positions of fields in TFLite's schema (schema.fbs, version 3), by table.
_MODEL = {"operator_codes": 1, "subgraphs": 2, "buffers": 4}
_CODE = {"old_code": 0, "code": 3}
_GRAPH = {"tensors": 0, "inputs": 1, "outputs": 2, "operators": 3}
_TENSOR = {"shape": 0, "type": 1, "buffer": 2, "name": 3}
_OPERATOR = {"code": 0, "inputs": 1, "outputs": 2, "options": 4}
_TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
_NAMES = {
    0: "add", 2: "concatenation", 3: "convolution", 4: "depthwise", 6: "dequantize", 14: "logistic",
    17: "max_pool", 19: "relu", 22: "reshape", 34: "pad", 54: "prelu",
}  # fmt: skip
_CONVOLUTION = {"padding": 0, "stride_across": 1, "stride_down": 2, "activation": 3}
_OPTIONS = {
    "add": {"activation": 0}, "concatenation": {"axis": 0}, "convolution": _CONVOLUTION,
    "depthwise": _CONVOLUTION | {"activation": 4},
    "max_pool": _CONVOLUTION | {"across": 3, "down": 4, "activation": 5},
}  # fmt: skip
_BYTES = {"padding", "activation"}  # the other options are 32-bit numbers
_MOST_TENSORS = 10_000


class _Table:
    """One table of a flatbuffer, its fields by position; the library checks nothing, so bounds raise."""

    def __init__(self, data: bytes, at: int) -> None:
        table = require("flatbuffers.table", "find")
        self._numbers = require("flatbuffers.number_types", "find")
        self._data, self._table = data, table.Table(data, at)

    @staticmethod
    def root(data: bytes) -> _Table:
        return _Table(data, struct.unpack_from("<I", data)[0])

    def _offset(self, field: int) -> int:
        return int(self._table.Offset(4 + 2 * field))

    def number(self, field: int, byte: bool = False) -> int:
        kind = self._numbers.Int8Flags if byte else self._numbers.Int32Flags
        return int(self._table.GetSlot(4 + 2 * field, 0, kind))

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._table.Indirect(self._offset(field) + self._table.Pos))

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """Where a vector starts and how many elements it has; outside of the file is an error."""
        if not (offset := self._offset(field)):
            return 0, 0
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        if start < 0 or start + count * width > len(self._data):
            raise ValueError("a vector reaches beyond the end of the file")
        return start, count

    def tables(self, field: int) -> list[_Table]:
        start, count = self._vector(field, 4)
        if count > _MOST_TENSORS:
            raise ValueError(f"{count} entries in a network")
        return [_Table(self._data, self._table.Indirect(start + 4 * k)) for k in range(count)]

    def integers(self, field: int) -> list[int]:
        start, count = self._vector(field, 4)
        return np.frombuffer(self._data, "<i4", count, start).tolist() if count else []

    def content(self, field: int) -> bytes:
        start, count = self._vector(field, 1)
        return self._data[start : start + count]


@dataclass(frozen=True)
class Step:
    """One operator.

    Args:
        name: Which.
        inputs: Numbers of the tensors that it takes.
        output: Number of the tensor that it makes.
        options: Strides, padding, activation.
        shape: Of its output, batch first, channels last.
    """

    name: str
    inputs: list[int]
    output: int
    options: dict[str, int]
    shape: list[int]


class Network:
    """A network that takes pictures of a fixed size.

    Args:
        data: The bytes of a ``.tflite`` file.
        name: What to call it in messages.

    Raises:
        BadFile: The bytes are no such network, or it uses an operator that face networks do not.
    """

    operators: ClassVar[Mapping[int, str]] = _NAMES
    option_fields: ClassVar[Mapping[str, dict[str, int]]] = _OPTIONS

    def __init__(self, data: bytes, name: str) -> None:
        try:
            self._read(_Table.root(data))
        except (struct.error, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise BadFile(
                f"the network {name!r} cannot be read", received=str(error),
                remedy="use the face landmarker as it is published",
            ) from error  # fmt: skip

    def _read(self, model: _Table) -> None:
        codes = [self._code(table) for table in model.tables(_MODEL["operator_codes"])]
        buffers = model.tables(_MODEL["buffers"])
        (graph,) = model.tables(_MODEL["subgraphs"])
        tensors = graph.tables(_GRAPH["tensors"])
        shapes = [tensor.integers(_TENSOR["shape"]) for tensor in tensors]
        self.input, self.outputs = graph.integers(_GRAPH["inputs"])[0], graph.integers(_GRAPH["outputs"])
        self.size = shapes[self.input][1]
        self.names = [tensors[number].content(_TENSOR["name"]).decode() for number in self.outputs]
        self.constants: dict[int, Tensor] = {}
        for number, tensor in enumerate(tensors):
            content = buffers[tensor.number(_TENSOR["buffer"])].content(0)
            if content:
                kind = _TYPES[tensor.number(_TENSOR["type"], byte=True)]
                values = np.frombuffer(content, kind).reshape(shapes[number]).copy()
                self.constants[number] = torch.from_numpy(values)
        self.steps: list[Step] = []
        for table in graph.tables(_GRAPH["operators"]):
            self._add(table, codes[table.number(_OPERATOR["code"])], shapes)

    @classmethod
    def _code(cls, table: _Table) -> str:
        code = max(table.number(_CODE["old_code"], byte=True), table.number(_CODE["code"]))
        if code not in cls.operators:
            raise ValueError(f"operator {code} is not among those of face networks")
        return cls.operators[code]

    def _add(self, table: _Table, name: str, shapes: list[list[int]]) -> None:
        """Keeps one operator; weights are brought into PyTorch's order once, here."""
        inputs, (output,) = table.integers(_OPERATOR["inputs"]), table.integers(_OPERATOR["outputs"])
        options = {}
        if fields := self.option_fields.get(name):
            given = table.table(_OPERATOR["options"])
            options = {key: given.number(at, key in _BYTES) for key, at in fields.items()}
        if name == "dequantize":
            self.constants[output] = self.constants[inputs[0]].float()
            return
        if name in ("convolution", "depthwise"):
            order = (0, 3, 1, 2) if name == "convolution" else (3, 0, 1, 2)
            # The weights of one step are used by no other.
            self.constants[inputs[1]] = self.constants[inputs[1]].float().permute(order).contiguous()
        if name == "prelu":
            self.constants[inputs[1]] = self.constants[inputs[1]].float().reshape(-1)
        self.steps.append(Step(name, inputs, output, options, shapes[output]))

    def __call__(self, pictures: NDArray) -> dict[str, NDArray[np.float32]]:
        """Runs a batch.

        Args:
            pictures: (B, size, size, 3) float, as the network expects them.

        Returns:
            Name of each output -> (B, ...) float32, channels last.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # layers this small lose by sharing, on a busy machine a hundredfold
        try:
            with torch.inference_mode():
                return self._run(pictures)
        finally:
            torch.set_num_threads(threads)

    def _run(self, pictures: NDArray) -> dict[str, NDArray[np.float32]]:
        values: dict[int, Tensor] = dict(self.constants)
        batch = torch.from_numpy(np.ascontiguousarray(pictures, np.float32))
        values[self.input] = batch.permute(0, 3, 1, 2)  # channels last in memory, as PyTorch likes it
        for step in self.steps:
            made = _RUN[step.name](step, [values[number] for number in step.inputs if number >= 0])
            values[step.output] = F.relu(made) if step.options.get("activation") == 1 else made
        outputs = [values[number] for number in self.outputs]
        channels_last = [value.permute(0, 2, 3, 1) if value.ndim == 4 else value for value in outputs]
        return {name: value.numpy() for name, value in zip(self.names, channels_last, strict=True)}


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's padding before and after, for an output of size / stride."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _padded(step: Step, x: Tensor, kernel: tuple[int, int], value: float = 0.0) -> Tensor:
    if step.options["padding"] != 0:
        return x
    down = _same(x.shape[2], kernel[0], step.options["stride_down"])
    across = _same(x.shape[3], kernel[1], step.options["stride_across"])
    return F.pad(x, (*across, *down), value=value) if any(down + across) else x


def _strides(step: Step) -> tuple[int, int]:
    return step.options["stride_down"], step.options["stride_across"]


def _convolution(step: Step, inputs: list[Tensor]) -> Tensor:
    x, weight = inputs[:2]
    bias = inputs[2] if len(inputs) > 2 else None
    groups = x.shape[1] if step.name == "depthwise" else 1
    padded = _padded(step, x, (weight.shape[2], weight.shape[3]))
    return F.conv2d(padded, weight, bias, _strides(step), groups=groups)


def _max_pool(step: Step, inputs: list[Tensor]) -> Tensor:
    kernel = step.options["down"], step.options["across"]
    return F.max_pool2d(_padded(step, inputs[0], kernel, -torch.inf), kernel, _strides(step))


def _pad(step: Step, inputs: list[Tensor]) -> Tensor:
    batch, down, across, channels = inputs[1].tolist()
    return F.pad(inputs[0], [*across, *down, *channels, *batch])


def _reshape(step: Step, inputs: list[Tensor]) -> Tensor:
    x = inputs[0].permute(0, 2, 3, 1) if inputs[0].ndim == 4 else inputs[0]
    shape = [len(x), *step.shape[1:]]
    made = x.reshape(shape)
    return made.permute(0, 3, 1, 2) if len(shape) == 4 else made


def _prelu(step: Step, inputs: list[Tensor]) -> Tensor:
    return F.prelu(inputs[0], inputs[1])


_RUN: dict[str, Callable[[Step, list[Tensor]], Tensor]] = {
    "add": lambda step, inputs: inputs[0] + inputs[1],
    "concatenation": lambda step, inputs: torch.cat(inputs, dim=step.options["axis"]),
    "convolution": _convolution, "depthwise": _convolution, "max_pool": _max_pool, "pad": _pad,
    "logistic": lambda step, inputs: torch.sigmoid(inputs[0]),
    "prelu": _prelu, "relu": lambda step, inputs: F.relu(inputs[0]), "reshape": _reshape,
}  # fmt: skip
