"""Every model on the generation metrics: a number in its range, or a dash with a reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from contract import cases
from mien.evaluation.generation.protocol import evaluate_generation
from mien.evaluation.generation.settings import settings_of
from mien.models.base import FaceModel

SMALL = {
    "pairs": 12, "faces": 3, "resamples": 3, "samples": 6, "networks": "lite", "components": 8,
    "lite_steps": 10, "people": 2, "sparse_scans": 1, "sparse_steps": 5,
}  # fmt: skip
PERCENT = ("dec_id_lite", "dec_exp_lite", "dec_id_lite_random", "cls_id_held", "cls_exp_held", "id_kept")


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_model_is_measured_or_refuses(name: str) -> None:
    model, data = cases.fresh(name), cases.data()
    model.prepare(data)
    model.eval().calibrate(data)
    report, _ = evaluate_generation({name: model}, data, settings=settings_of("smoke", SMALL))
    rows = {row.metric: row for row in report.rows if row.system == name}
    for row in rows.values():
        assert row.mean is not None or row.reason, row.metric
        assert row.mean is None or np.isfinite(row.mean), row.metric
    for metric in PERCENT:
        if metric in rows and rows[metric].mean is not None:
            assert 0 <= rows[metric].mean <= 100
    samples = type(model).sample is not FaceModel.sample
    assert (rows["div_all"].mean is not None) == samples
    assert (rows["sparse_rmse_0"].mean is None) == bool(cases.lacks(name, "fit"))
    if reason := cases.lacks(name, "animate"):
        assert reason in rows["cls_id_held"].reason and "intensity_rho_disp" not in rows
    else:
        assert -1 <= rows["intensity_rho_disp"].mean <= 1


def test_random_faces_follow_the_seed() -> None:
    data = cases.data()
    model = cases.fresh("pca")
    model.prepare(data)
    model.eval().calibrate(data)
    first, again, other = (
        evaluate_generation({"pca": model}, data, settings=settings_of("smoke", SMALL | {"seed": seed}))[0]
        for seed in (0, 0, 1)
    )
    assert first.value("pca", "div_all") == again.value("pca", "div_all")
    assert first.value("pca", "div_all") != other.value("pca", "div_all")
    assert torch.is_grad_enabled()
