"""A trained decoder as a file that runs without Mien: ONNX, or TorchScript for C++ and mobile."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.codes import Codes
from mien.errors import BadSetting, UnknownName, require
from mien.io.atomic import write_bytes
from mien.models.base import FaceModel
from mien.nn.export import as_gathers

FORMATS = {"onnx": ".onnx", "torchscript": ".pt"}
CONTROLS = ("codes", "weights")
LARGEST_DIFFERENCE_MM = 1e-3
_FACES = 3  # of another batch size than the traced one, to see that any size works


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: The decoder.
        description: JSON beside it: inputs, names, unit, triangles, a person at rest to start from.
        difference_mm: Largest difference from PyTorch on random inputs; None where the runtime is missing.
    """

    path: Path
    description: Path
    difference_mm: float | None


class _Decoder(nn.Module):
    """identity (B, *I) and expression codes (B, *X), or named weights (B, E), to vertices (B, V, 3)."""

    def __init__(self, model: FaceModel, controls: str) -> None:
        super().__init__()
        self.model, self.named = model, controls == "weights"

    def forward(self, identity: Tensor, expression: Tensor) -> Tensor:
        if self.named:
            expression = self.model.express(expression)
        return self.model.decode(Codes(identity, expression))


def export_decoder(
    model: FaceModel,
    path: Path | str,
    *,
    format: str = "onnx",
    controls: str = "codes",
    facts: Mapping[str, Any] | None = None,
) -> Exported:
    """Writes a model's ``decode`` for other runtimes, for any batch size, and compares it with PyTorch.

    Inputs are ``identity`` and ``expression`` (codes) or ``weights`` (named expressions), the output is
    ``vertices`` in millimeters.

    Args:
        model: A trained model.
        path: Where to; ``.onnx`` or ``.pt``.
        format: ``onnx`` or ``torchscript``.
        controls: ``codes``, or ``weights`` for named expressions (B, E).
        facts: Further JSON facts for the description, such as license and data.

    Raises:
        Unsupported: The model's decoder cannot leave PyTorch; the sentence says why.
    """
    path = Path(path)
    if format not in FORMATS:
        raise UnknownName("export format", format, FORMATS)
    if controls not in CONTROLS:
        raise UnknownName("kind of controls", controls, CONTROLS)
    if path.suffix.lower() != FORMATS[format]:
        raise BadSetting(
            f"a decoder as {format} is a file ending in {FORMATS[format]}", received=str(path),
            remedy=f"name it {path.with_suffix(FORMATS[format]).name}",
        )  # fmt: skip
    if controls == "weights" and model.remembers:
        motion = "its expressions are motions, so a frame does not follow from its weights; export the codes"
        raise model.refusal("be exported with named weights", motion)
    if reason := model.refused.get("export"):
        raise model.refusal("be exported", reason)
    decoder = _Decoder(as_gathers(copy.deepcopy(model).cpu()), controls).eval().requires_grad_(False)  # type: ignore[arg-type]
    inputs = _inputs(model, controls, 2)
    content = (_onnx if format == "onnx" else _torchscript)(model, decoder, inputs)
    difference = _difference(model, content, format, controls)
    if difference is not None and not difference <= LARGEST_DIFFERENCE_MM:
        raise model.refusal("be exported", f"the exported decoder is {difference:.2g} mm off the model")
    description = path.with_suffix(".json")
    write_bytes(path, content)
    text = json.dumps(_describe(model, format, controls, dict(facts or {})), indent=1, ensure_ascii=False)
    write_bytes(description, text.encode())
    return Exported(path, description, difference)


def _inputs(model: FaceModel, controls: str, count: int) -> tuple[Tensor, Tensor]:
    """People near the mean person with expressions that vary, as the exported graph takes them."""
    start, generator = model.origin(count), torch.Generator().manual_seed(0)

    def varied(values: Tensor, scale: Tensor | float) -> Tensor:
        noise = torch.randn(values.shape, generator=generator)
        return (values.detach().cpu() + 0.5 * scale * noise).float().contiguous()

    spread = model.calibration
    identity = varied(start.identity, 1.0 if model.anchored else spread.identity_std.cpu())
    if controls == "weights":
        return identity, torch.rand(count, len(model.expressions), generator=generator)
    return identity, varied(start.expression, spread.expression_std.cpu())


def _onnx(model: FaceModel, decoder: nn.Module, inputs: tuple[Tensor, Tensor]) -> bytes:
    require("onnxscript", "onnx")
    require("onnx", "onnx")
    batch = {0: torch.export.Dim("batch")}
    names = ["identity", "weights" if decoder.named else "expression"]
    try:
        with _quiet():
            traced = torch.export.export(
                decoder, inputs, dynamic_shapes={"identity": batch, "expression": batch}
            )
            program = torch.onnx.export(
                traced, input_names=names, output_names=["vertices"], dynamo=True, verbose=False
            )
    except Exception as error:  # the exporter raises whatever it met inside a decoder
        raise model.refusal("be exported", _why(error)) from error
    assert program is not None
    return program.model_proto.SerializeToString()


def _torchscript(model: FaceModel, decoder: nn.Module, inputs: tuple[Tensor, Tensor]) -> bytes:
    buffer = io.BytesIO()
    try:
        with _quiet(), torch.no_grad():
            torch.jit.save(torch.jit.trace(decoder, inputs, check_trace=False), buffer)
    except Exception as error:  # as above
        raise model.refusal("be exported", _why(error)) from error
    return buffer.getvalue()


def _why(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"its decoder does more than tensor operations of any batch size ({lines[0].strip().rstrip('.:!')})"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters talk a lot about their own workings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                yield
        finally:
            logging.disable(before)


@torch.no_grad()
def _difference(model: FaceModel, content: bytes, format: str, controls: str) -> float | None:
    """Largest difference between the exported decoder and the model, millimeters."""
    inputs = _inputs(model, controls, _FACES)
    truth = _Decoder(model, controls)(*(value.to(model.device) for value in inputs)).cpu()
    if format == "torchscript":
        with _quiet():
            found = torch.jit.load(io.BytesIO(content))(*inputs)
    else:
        try:
            import onnxruntime
        except ImportError:
            return None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [item.name for item in session.get_inputs()]
        found = torch.from_numpy(
            session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))[0]
        )
    return float((found - truth).abs().max())


def _describe(model: FaceModel, format: str, controls: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What a program needs to know beside the graph."""
    start, calibration = model.origin(1), model.calibration

    def numbers(values: Tensor) -> list[Any]:
        return values.detach().cpu().tolist()

    second = (
        {"weights": {"shape": ["batch", len(model.expressions)], "names": list(model.expressions)}}
        if controls == "weights"
        else {"expression": {
            "shape": ["batch", *start.expression.shape[1:]], "rest": numbers(start.expression[0]),
            "spread": numbers(calibration.expression_std),
            "offsets": dict(zip(model.expressions, numbers(calibration.offsets), strict=True)),
        }}
    )  # fmt: skip
    identity: dict[str, Any] = {
        "shape": ["batch", *start.identity.shape[1:]],
        "mean": numbers(start.identity[0]),
    }
    if model.anchored:
        identity["meaning"] = "the person's neutral mesh, millimeters"
    else:
        identity["spread"] = numbers(calibration.identity_std)
    return {
        "model": model.name, "format": format, "inputs": {"identity": identity, **second},
        "output": {"vertices": ["batch", model.topology.vertex_count, 3]},
        "unit": "millimeters", "axes": "+Y up, +Z out of the face", "expressions": list(model.expressions),
        "triangles": model.topology.faces.tolist(), "facts": facts,
    }  # fmt: skip
