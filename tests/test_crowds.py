"""Many people at once: held factors, batches that are the whole, arrays that appear when complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.cases import trained
from numpy.typing import NDArray

from mien import apply
from mien.errors import BadSetting, UnknownName
from mien.io.arrays import write_faces
from mien.models.decoupled_gan.model import DecoupledGAN


def model() -> DecoupledGAN:
    found = trained("decoupled_gan")
    assert isinstance(found, DecoupledGAN)
    return found


def test_batches_are_the_people_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = apply.generate(model(), 7, seed=2)
    monkeypatch.setattr(DecoupledGAN, "vertices_at_once", 3 * 120)
    parts = list(apply.generate_batches(model(), 7, seed=2))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


def test_held_factors_are_shared_and_the_others_are_not() -> None:
    free = model().sample(5)
    held = apply.generate(model(), 5, seed=3, hold=["identity", "noise"])
    everything = apply.generate(model(), 5, seed=3, hold=["identity", "expression", "noise"])
    np.testing.assert_array_equal(everything, np.repeat(everything[:1], 5, axis=0))
    np.testing.assert_allclose(held[0], apply.generate(model(), 5, seed=3)[0], atol=1e-4)
    assert np.ptp(held, axis=0).max() > 0.1 and set(free.others) == {"noise"}
    with pytest.raises(UnknownName, match="did you mean 'identity'"):
        apply.generate(model(), 2, seed=0, hold=["identiti"])


def test_an_expression_can_be_added_on_top() -> None:
    smiling, open_mouth = model().express(torch.eye(5)[:2]).detach().split(1)
    both = model().add("expression", smiling, open_mouth)
    np.testing.assert_allclose(both, smiling + open_mouth)
    pca = trained("pca")
    total = pca.add("expression", pca.calibration.rest[None], pca.calibration.rest[None])
    np.testing.assert_allclose(total[0], pca.calibration.rest)  # rest upon rest is rest


def test_an_array_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    faces = np.random.default_rng(0).normal(size=(5, 4, 3))
    write_faces(tmp_path / "faces.npy", (faces[k : k + 2] for k in range(0, 5, 2)), faces.shape)
    found = np.load(tmp_path / "faces.npy", mmap_mode="r")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, faces.astype(np.float32))

    def broken() -> Iterator[NDArray]:
        yield faces[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_faces(tmp_path / "other.npy", broken(), faces.shape)
    with pytest.raises(BadSetting, match="2 faces of 5"):
        write_faces(tmp_path / "short.npy", [faces[:2]], faces.shape)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.npy"]
