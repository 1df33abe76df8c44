"""Decoders that run without Mien give the same vertices, for any batch size."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Studio, run
from contract.cases import NAMES, data, fresh

from mien.apply.export import export_decoder
from mien.codes import Codes
from mien.errors import BadSetting, UnknownName, Unsupported
from mien.models.base import FaceModel
from mien.nn.export import GatheredConvolution, GatheredRows
from mien.nn.spiral import SparseRows, SpiralConvolution, SpiralOperator

Capture = pytest.CaptureFixture[str]
REFUSED = {
    "deformation_transfer": "linear system", "nearest_identity": "nearest of all training people",
    "conv_mesh_ae": "at rest", "kacem": "no code of an expression", "flame": "its license",
    "jiang": "a sparse system",
}  # fmt: skip


def prepared(name: str) -> FaceModel:
    """A model with the statistics of the data and random networks: enough to compare decoders."""
    model = fresh(name)
    model.prepare(data())
    model.eval().calibrate(data())
    return model


@pytest.mark.parametrize("name", NAMES)
def test_torchscript_is_the_decoder(name: str, tmp_path: Path) -> None:
    model = prepared(name)
    if name in REFUSED:
        with pytest.raises(Unsupported, match=REFUSED[name]):
            export_decoder(model, tmp_path / "face.pt", format="torchscript")
        assert not list(tmp_path.iterdir())
        return
    done = export_decoder(model, tmp_path / "face.pt", format="torchscript")
    assert done.difference_mm is not None and done.difference_mm < 1e-4
    graph = torch.jit.load(str(done.path))
    for count in (1, 5):
        start = model.origin(count)
        codes = Codes(start.identity + 0.1, start.expression - 0.1)
        with torch.no_grad():
            found, truth = graph(codes.identity, codes.expression), model.decode(codes)
        torch.testing.assert_close(found, truth, rtol=0, atol=1e-4)
    described = json.loads(done.description.read_text())
    assert described["output"]["vertices"] == ["batch", 120, 3] and described["unit"] == "millimeters"
    assert np.array_equal(described["triangles"], model.topology.faces)
    rest = torch.tensor([described["inputs"]["expression"]["rest"]])
    mean = torch.tensor([described["inputs"]["identity"]["mean"]])
    with torch.no_grad():
        torch.testing.assert_close(graph(mean, rest), model.decode(model.origin(1)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "controls"), [("adversarial_vae", "weights"), ("spiralnet", "codes")])
def test_onnx_is_the_decoder(name: str, controls: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = prepared(name)
    done = export_decoder(model, tmp_path / "face.onnx", controls=controls)
    session = runtime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    second = "weights" if controls == "weights" else "expression"
    assert [item.name for item in session.get_inputs()] == ["identity", second]
    for count in (1, 4):
        start = model.origin(count)
        weights = torch.rand(count, 5)
        given = weights if controls == "weights" else start.expression + 0.1
        feed = {"identity": (start.identity + 0.1).numpy(), second: given.numpy()}
        with torch.no_grad():
            expression = model.express(weights) if controls == "weights" else given
            truth = model.decode(Codes(start.identity + 0.1, expression))
        np.testing.assert_allclose(session.run(["vertices"], feed)[0], truth, atol=1e-4)


def test_a_gathered_product_is_the_sparse_one() -> None:
    from scipy.sparse import random

    matrix = random(30, 20, density=0.15, random_state=0, format="csr")
    x = torch.randn(3, 20, 4, dtype=torch.float32)
    rows = SparseRows().set(matrix)
    expected = np.einsum("vn,bnd->bvd", matrix.toarray(), x.numpy())
    np.testing.assert_allclose(GatheredRows(rows)(x), expected, atol=1e-5)
    order = np.random.default_rng(0).integers(0, 20, (20, 9))
    up = random(20, 20, density=0.2, random_state=1, format="csr", dtype=np.float32)
    for operator in (
        SpiralOperator(9).set(order), SpiralOperator(9).set(order, kept=np.arange(0, 20, 2)),
        SpiralOperator(9).set(order, up=up),
    ):  # fmt: skip
        for layer in (SpiralConvolution(4, 6, 9), SpiralConvolution(4, 3, 9)):
            plain = layer(x, operator)
            gathered = SpiralOperator(9)
            gathered.gather = GatheredRows(operator.gather)  # type: ignore[assignment]
            gathered.spread = GatheredRows(operator.spread)  # type: ignore[assignment]
            torch.testing.assert_close(GatheredConvolution(layer)(x, gathered), plain, rtol=0, atol=1e-5)


def test_motions_are_exported_by_their_codes(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="export the codes"):
        export_decoder(prepared("pca_lstm"), tmp_path / "x.pt", format="torchscript", controls="weights")


def test_names_and_endings(tmp_path: Path) -> None:
    model = prepared("pca")
    with pytest.raises(UnknownName, match="onnx"):
        export_decoder(model, tmp_path / "x.onnx", format="onx")
    with pytest.raises(UnknownName, match="weights"):
        export_decoder(model, tmp_path / "x.onnx", controls="weight")
    with pytest.raises(BadSetting, match=r"name it x\.onnx"):
        export_decoder(model, tmp_path / "x.pt")


def test_export_by_command(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    told = run(capsys, "export", studio.model, "-o", tmp_path / "face.pt", "--controls", "weights", "--json")
    assert told.code == 0 and told.json["difference_mm"] < 1e-4 and told.json["format"] == "torchscript"
    described = json.loads((tmp_path / "face.json").read_text())
    assert described["inputs"]["weights"]["names"] == described["expressions"]
    assert described["facts"]
    assert "face.onnx" in run(capsys, "export", studio.model, "-o", tmp_path / "face.fbx").sentence
    assert (
        "torchscript"
        in run(capsys, "export", studio.model, "-o", tmp_path / "x.pt", "--format", "torch").sentence
    )


def test_the_engineers_tutorial_runs(
    studio: Studio, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python as it stands, on an exported model; the graph gives what the model gives."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    page = Path(__file__).parent.parent / "docs" / "tutorials" / "engineer.md"
    first, second = re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "runs").mkdir()
    shutil.copytree(studio.model, tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(first.replace("1000", "8").replace("[:8]", "[:5]"), "engineer.md", "exec"), names)
    assert names["vertices"].shape == names["faces"][:5].shape
    assert run(capsys, "export", "runs/first", "-o", "face.onnx", "--controls", "weights").code == 0
    exec(compile(second, "engineer.md", "exec"), names)
    model = names["model"]
    with torch.no_grad():
        expression = model.express(torch.from_numpy(names["weights"]))
        truth = model.decode(model.origin(1).replace(expression=expression))
    np.testing.assert_allclose(names["vertices"], truth, atol=1e-4)
