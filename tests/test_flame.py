"""FLAME with the user's own file: a head of known numbers is found again; without the file it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures import flame_file, tiny_data

from mien.errors import BadFile, DataMissing, WrongTopology
from mien.models.flame import FLAME, flame_arrays

SMALL = {"identity_size": 5, "expression_size": 3, "rounds": 8, "ridge": 1e-4, "turning": 1e-2}


def prepared() -> FLAME:
    data = tiny_data()
    model = FLAME(data.topology, data.expressions, file=flame_file(), **SMALL).eval()  # type: ignore[arg-type]
    model.prepare(data)
    return model


def test_planted_heads_are_found_and_put_at_rest() -> None:
    model, generator = prepared(), torch.Generator().manual_seed(0)
    codes = model.sample(3, generator=generator)
    turned = codes.expression.clone()
    turned[:, 3 + 6] = torch.tensor([0.0, 0.2, 0.3])  # the jaw opens about x, the third joint
    turned[:, -2] = torch.tensor([0.0, 2.0, -3.0])  # and the head moves, millimeters
    codes = codes.replace(expression=turned)
    with torch.no_grad():
        heads = model.decode(codes)
        found = model.encode(heads)
        assert float((model.decode(found) - heads).norm(dim=2).max()) < 0.05
        torch.testing.assert_close(found.identity, codes.identity, atol=0.02, rtol=0)
        still = model.decode(codes.replace(expression=torch.zeros_like(turned)))
    moved = (heads - still).norm(dim=2).mean(1)
    assert moved.min() > 0.5


def test_a_turned_joint_is_a_rotation() -> None:
    """With a skin of one joint alone, a turn of the root is a rigid motion by that very angle."""
    model = prepared()
    model.skin = torch.zeros_like(model.skin)
    model.skin[:, 0] = 1.0
    model.pose_axes = torch.zeros_like(model.pose_axes)
    numbers = torch.zeros(model._numbers)
    rest = model._head(numbers)
    numbers[5 + 3 + 1] = np.pi / 2  # a quarter turn about y
    turned, root = model._head(numbers), model.regressor[0] @ model.template
    expected = (model.template - root) @ torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]) + root
    back = (turned - model.place) @ model.turn
    torch.testing.assert_close(back, expected, atol=1e-3, rtol=0)
    assert float((rest - turned).norm(dim=1).mean()) > 10


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (None, DataMissing, "does not exist"),
        ({"weights": None}, BadFile, "FLAME model.*no array 'weights'"),
        ({"posedirs": np.zeros((120, 3, 35))}, BadFile, "'posedirs' .* damaged"),
        ({"v_template": np.full((120, 3), np.nan)}, BadFile, "'v_template' .* damaged"),
        ({"v_template": np.zeros((121, 3))}, WrongTopology, "other vertices"),
    ],
)
def test_wrong_files_are_refused(change: dict | None, error: type, says: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    if change is not None:
        with np.load(flame_file()) as file:
            arrays = {name: file[name] for name in file.files} | change
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(error, match=says):
        flame_arrays(path, 120)


def test_without_the_file_there_is_no_flame() -> None:
    data = tiny_data()
    with pytest.raises(DataMissing, match="licensed and no file was given.*flame.is.tue.mpg.de"):
        FLAME(data.topology, data.expressions).prepare(data)
