"""Model folders whose checksum is right and whose content is wrong; and the same bits for the same plan."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures import planted
from safetensors.torch import load, save
from scipy.sparse import csr_matrix

from mien.errors import BadFile
from mien.models.base import FaceModel
from mien.models.calibration import _Sums
from mien.models.files import load_model, save_model
from mien.models.pca import PCA
from mien.nn.spiral import SparseRows
from mien.topology import Polygons, Topology, save_npz

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def model() -> FaceModel:
    data = planted().data
    model = PCA(data.topology, data.expressions, size=12, expression_size=6)
    model.prepare(data)
    model.calibrate(data)
    return model.eval()


@pytest.fixture
def folder(model: FaceModel, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder: Path, change: Callable[[State], object], *, names: list[str] | None = None) -> None:
    """Changes the tensors and mends the checksum, as a program that writes model folders might."""
    state = load((folder / "model.safetensors").read_bytes())
    change(state)
    blob = save(state, None if names is None else {"expressions": json.dumps(names)})
    (folder / "model.safetensors").write_bytes(blob)
    configure(folder, sha256=hashlib.sha256(blob).hexdigest())


def configure(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_with_their_place(folder: Path, value: float) -> None:
    rewrite(folder, lambda state: state["calibration.offsets"].__setitem__((2, 3), value))
    told = f"not finite; received {value} at calibration.offsets[2, 3], one of 1, in {folder}; copy"
    with pytest.raises(BadFile, match=re.escape(told)):
        load_model(folder)


def test_weights_that_are_not_finite_are_not_saved(model: FaceModel, tmp_path: Path) -> None:
    broken = PCA(model.topology, model.expressions, size=12, expression_size=6)
    broken.calibration.rest = torch.tensor([float("nan")])
    with pytest.raises(BadFile, match="not finite; received nan at calibration.rest"):
        save_model(broken, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["smile", "jaw_open", "brow_raiser", "mouth_left"], "4 names for offsets of shape (5, 5)"),
        (["smile", "jaw_open", "brow_raiser", "mouth_left", "smile"], "'smile' twice"),
        (["jaw_open", "smile", "brow_raiser", "mouth_left", "eye_closed"], "'jaw_open' where the model was "
         "saved with 'smile'"),
        (7, "no list of names"), (["smile", 1, 2, 3, 4], "no list of names"), ("smile", "no list of names"),
    ],
)  # fmt: skip
def test_other_names_than_those_that_were_measured(folder: Path, names: object, told: str) -> None:
    configure(folder, expressions=names)
    with pytest.raises(BadFile, match=re.escape(told)) as error:
        load_model(folder)
    assert str(folder) in str(error.value) and "copy" in str(error.value)


def test_names_that_an_older_version_did_not_check_are_counted(folder: Path) -> None:
    rewrite(folder, lambda state: None)  # without the names beside the tensors
    assert load_model(folder).expressions == planted().data.expressions
    configure(folder, expressions=["smile"])
    with pytest.raises(BadFile, match="1 names for offsets"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.update({"calibration.rest": s["calibration.rest"].half()}),
         "float16 where float32 is needed at calibration.rest"),
        (lambda s: s.update({"calibration.rest": s["calibration.rest"] > 0}), "bool where float32"),
        (lambda s: s.update({"calibration.offsets": s["calibration.offsets"][:, :4].clone()}),
         "offsets of shape (5, 4) for a rest of (5,)"),
        (lambda s: s.update({"calibration.identity_root": torch.zeros(3, 3)}), "_root of shape (3, 3)"),
        (lambda s: s.update({"calibration.expression_std": torch.ones(2)}), "expression_std of shape (2,)"),
        (lambda s: s.update({"calibration.expression_mean": torch.ones(2)}), "expression_mean of shape (2,)"),
        (lambda s: s.update({"calibration.offsets": s["calibration.offsets"].flatten()}),
         "offsets of shape (25,)"),
        (lambda s: s.update({name: value.flatten() for name, value in s.items() if "." not in name}),
         "where one like ("),
        (lambda s: s.pop("calibration.offsets"), "5 names for offsets of shape ()"),
    ],
)  # fmt: skip
def test_tensors_of_another_kind_or_shape(folder: Path, change: Callable[[State], object], told: str) -> None:
    rewrite(folder, change)
    with pytest.raises(BadFile, match=re.escape(told)):
        load_model(folder)


@pytest.mark.parametrize("size", ["12", [12], None, 2.5, {"size": 12}])
def test_arguments_of_another_type(folder: Path, size: object) -> None:
    arguments = json.loads((folder / "config.json").read_text())["config"]
    configure(folder, config=arguments | {"size": size})
    with pytest.raises(BadFile, match="config.json is damaged.*argument 'size' is of another type.*int"):
        load_model(folder)


def test_a_sparse_matrix_that_names_entries_which_it_does_not_have() -> None:
    """Indices of a stranger's file go into code that checks none of them."""

    def rows() -> SparseRows:
        return SparseRows().set(csr_matrix(np.array([[0, 2.0, 1.0], [0, 0, 3.0]])))

    assert rows().disagreement() == ""
    for name, values in (
        ("columns", [1, 2, 3]), ("columns", [-1, 2, 2]), ("rows", [0, 0, 2]), ("starts", [0, 4]),
        ("starts", [2, 0]), ("row_starts", [0, -1, 1]), ("values", [2.0]),
    ):  # fmt: skip
        broken = rows()
        setattr(broken, name, torch.tensor(values))
        assert name.split("_")[-1] in broken.disagreement(), (name, values)


def test_a_file_of_another_form_with_a_right_checksum(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    for blob in (b"", b"\xff" * 60, whole[:-10], whole[:200]):
        (folder / "model.safetensors").write_bytes(blob)
        configure(folder, sha256=hashlib.sha256(blob).hexdigest())
        with pytest.raises(BadFile, match="checkpoint is damaged"):
            load_model(folder)


@pytest.mark.parametrize("facts", [None, [], "told", 5, {"versions": []}, {"plan": 5}])
def test_facts_of_another_form(folder: Path, facts: object) -> None:
    configure(folder, facts=facts)
    with pytest.raises(BadFile, match="config.json is damaged"):
        load_model(folder)


@pytest.mark.parametrize("size", [-1, 10**14])
def test_arguments_that_build_no_model(folder: Path, size: int) -> None:
    configure(folder, config={"size": size, "expression_size": 6})
    with pytest.raises(BadFile, match="config.json is damaged"):
        load_model(folder)


# ---- topology


@pytest.fixture
def textured(tmp_path: Path) -> Path:
    """The file of a topology with every array that there can be."""
    plain = planted().data.topology
    corners = plain.faces.ravel()
    polygons = Polygons(np.full(len(plain.faces), 3, np.int32), corners, corners)
    Topology(
        plain.name, plain.faces, plain.template, polygons, plain.template[:, :2].copy(), plain.faces,
        plain.landmarks, plain.regions, plain.mirror,
    ).save(tmp_path / "topology.npz")  # fmt: skip
    return tmp_path / "topology.npz"


def test_a_whole_topology_loads(textured: Path) -> None:
    assert Topology.load(textured).polygons is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("faces", 120), ("faces", 2**32), ("polygon_corners", -1), ("polygon_uv_corners", 120),
        ("uv_faces", 500), ("landmark_corners", 120), ("mirror", 120), ("mirror", -1),
        ("polygon_sizes", -3), ("template", np.nan), ("uv", np.inf), ("landmark_weights", np.nan),
    ],
)  # fmt: skip
def test_an_entry_out_of_range_is_told_with_its_place(textured: Path, name: str, value: float) -> None:
    arrays = dict(np.load(textured))
    wide = arrays[name].astype(np.int64 if arrays[name].dtype.kind == "i" else np.float32)
    wide[(1,) * wide.ndim] = value
    save_npz(textured, arrays | {name: wide})
    with pytest.raises(BadFile, match="topology file is damaged") as error:
        Topology.load(textured)
    place = f"{name}{[1] * wide.ndim} is {value}"
    assert place in str(error.value) and str(textured) in str(error.value) and "again" in str(error.value)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("faces", np.zeros((4, 4), np.int32)), ("faces", np.zeros((2, 3), np.float32)),
        ("mirror", np.zeros(3, np.int32)), ("landmark_weights", np.zeros((1, 3), np.float32)),
        ("region_mouth", np.zeros(3, bool)), ("region_mouth", np.zeros(120, np.int32)),
        ("uv", np.zeros((120, 3), np.float32)), ("polygon_sizes", np.full(3, 3)),
        ("polygon_uv_corners", np.zeros(3, np.int32)), ("uv_faces", np.zeros((1, 3), np.int32)),
    ],
)  # fmt: skip
def test_arrays_of_another_shape_are_refused(textured: Path, name: str, array: np.ndarray) -> None:
    save_npz(textured, dict(np.load(textured)) | {name: array})
    with pytest.raises(BadFile, match="topology file is damaged"):
        Topology.load(textured)


# ---- the same bits


def test_zeros_are_saved_without_a_sign(model: FaceModel, tmp_path: Path) -> None:
    for sign in (1.0, -1.0):
        model.calibration.identity_root = sign * torch.zeros(6, 6)
        save_model(model, tmp_path / str(sign))
    first, second = ((tmp_path / str(sign) / "model.safetensors").read_bytes() for sign in (1.0, -1.0))
    assert first == second


def test_the_root_of_a_covariance_does_not_hang_on_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of fewer directions than numbers: what a sum leaves in the others differs from run to run."""
    sums = _Sums()
    basis = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).double())[0]
    values = 1000.0 * torch.randn(50, 2, generator=torch.Generator().manual_seed(2)).double() @ basis[:2]
    sums.count = len(values)
    sums.first, sums.second = {"identity": values.sum(0)}, {"identity": (values**2).sum(0)}
    sums.products = {"identity": values.T @ values}
    true = torch.linalg.eigh

    def noisy(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found, axes = true(matrix)
        assert (found[:2].abs() < 1e-9).all() and (found[2:] > 1e5).all()
        return found + torch.tensor([3e-10, 2e-10, 0.0, 0.0]), -axes

    plain = sums.moments("identity")[2]
    monkeypatch.setattr(torch.linalg, "eigh", noisy)
    assert torch.equal(sums.moments("identity")[2], plain)
    torch.testing.assert_close(plain @ plain.T, torch.cov(values.T, correction=0))
