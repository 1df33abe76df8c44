"""What keeps numbers honest: who is drawn, who lends a style, which weights stay, what a seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import moving_data
from contract.cases import ARGUMENTS
from fixtures import planted
from numpy.typing import NDArray
from torch import nn

from mien.data.dataset import FaceDataset
from mien.data.sampling import faces, mixed_pairs, same_subject_pairs, style_pairs, virtual_people
from mien.errors import BadSetting
from mien.evaluation import scans
from mien.models import MODELS, model_class
from mien.models.base import FaceModel, Stage
from mien.training import fit_model, loop, plan_training
from mien.training.display import Display
from mien.training.run import build_model

pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")

#: A few steps of every kind of stage; what a method does not have is left out.
SHORT = {
    "steps": 3, "pretraining_steps": 2, "stage_steps": 2, "latent_steps": 2, "batch_size": 6,
    "latent_batch_size": 6, "validate_every": 2, "image_size": 16, "discriminator_points": 40,
    "closed_form_finish": 1,
}  # fmt: skip
MOVING = ("expression_lstm", "pca_lstm")
LEARNED = [name for name in MODELS if model_class(name).stages is not FaceModel.stages]


class Recorded:
    """The vertices of a data set, which note what is read: rows outside and inside of validations."""

    def __init__(self, vertices: NDArray[np.float32]) -> None:
        self.values, self.shape, self.dtype = vertices, vertices.shape, vertices.dtype
        self.validating, self.read = False, {False: list[int](), True: list[int]()}

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        self.read[self.validating] += np.atleast_1d(np.arange(len(self))[index]).tolist()
        return self.values[index]


def recorded(name: str) -> FaceDataset:
    """Ten people, of whom those of the test part are no faces at all: whoever learns from them is lost."""
    data = moving_data(people=10) if name in MOVING else planted(subjects=10).data
    vertices = np.array(data.vertices)
    vertices[data.split("test").rows] = 5e5  # half a kilometer off
    data = replace(data, vertices=vertices)
    assert data.fingerprint  # reads everything once; kept for the run's header
    object.__setattr__(data, "vertices", Recorded(vertices))
    return data


def fit(name: str, data: FaceDataset, out: Path, seed: int = 0) -> tuple[FaceModel, dict[bool, list[int]]]:
    """A real run of a few steps, and the rows that it read outside (False) and inside (True) validations."""
    kind = getattr(model_class(name), "Settings", None)
    settings = {key: value for key, value in SHORT.items() if kind and key in kind.__dataclass_fields__}
    plan = plan_training(name, ARGUMENTS.get(name, {}) | settings, profile="smoke", seed=seed)
    watched: Any = data.vertices
    watched.read = {False: [], True: []}
    with pytest.MonkeyPatch.context() as patch:
        validate = loop.Loop._validate

        def noted(self: loop.Loop, stage: Stage) -> bool:
            watched.validating = True
            try:
                return validate(self, stage)
            finally:
                watched.validating = False

        patch.setattr(loop.Loop, "_validate", noted)
        model = fit_model(plan, data, out, accelerator="cpu", progress=False)
    return model, watched.read


Run = tuple[FaceDataset, FaceModel, dict[bool, list[int]]]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A method's run of seed 0, made once: its data, its model and the rows that it read."""

    @lru_cache
    def run(name: str) -> Run:
        data = recorded(name)
        return data, *fit(name, data, tmp_path_factory.mktemp("first") / "run")

    return run


@pytest.mark.parametrize("name", MODELS)
def test_training_reads_training_people_and_validation_its_own(
    name: str, first_run: Callable[[str], Run]
) -> None:
    data, model, read = first_run(name)
    rows = {part: set(data.split(part).rows.tolist()) for part in ("train", "validation", "test")}
    assert all(rows.values()) and not rows["train"] & (rows["validation"] | rows["test"])
    assert read[False] and set(read[False]) <= rows["train"]
    # The decoupled GAN has no encoder to validate: its judges are made of labeled training faces.
    judges = rows["train"] if name == "decoupled_gan" else rows["validation"]
    assert set(read[True]) <= judges and bool(read[True]) == (name in LEARNED)
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.parametrize("name", LEARNED)
def test_the_seed_decides_what_is_drawn(name: str, first_run: Callable[[str], Run], tmp_path: Path) -> None:
    data, *first = first_run(name)
    again, other = (fit(name, data, tmp_path / str(seed), seed) for seed in (0, 1))
    assert first[1] == again[1]
    states = [model.state_dict() for model, _ in (first, again, other)]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert first[1][False] != other[1][False], "another seed draws other rows"
    learned = [key for key, _ in first[0].named_parameters()]
    assert any(not torch.equal(states[0][key], states[2][key]) for key in learned)
    plans = [plan_training(name, ARGUMENTS.get(name, {}), profile="smoke", seed=seed) for seed in (0, 0, 1)]
    starts = [torch.cat([p.flatten() for p in build_model(plan, data).parameters()]) for plan in plans]
    assert torch.equal(starts[0], starts[1]) and (starts[0] != starts[2]).float().mean() > 0.5


# ---- who is drawn with whom


DATA = planted(subjects=6).data


def row_of(data: FaceDataset, faces: torch.Tensor) -> NDArray[np.int64]:
    """(B,) which rows of a data set, all of them different, a batch shows."""
    apart = np.abs(data[:][None] - faces.numpy()[:, None]).max(axis=(2, 3))
    assert (apart.min(axis=1) == 0).all()
    return apart.argmin(axis=1)


def drawn(sampler: Any, times: int = 40) -> Iterator[Any]:
    generator = torch.Generator().manual_seed(0)
    return (sampler(generator) for _ in range(times))


@pytest.mark.parametrize("balanced", [True, False])
def test_who_lends_a_style_in_training_is_somebody_else(balanced: bool) -> None:
    seen = set()
    for batch in drawn(style_pairs(DATA, 12, balanced=balanced)):
        receiver, donor = (row_of(DATA, faces) for faces in (batch.vertices, batch.partner))
        assert (DATA.subject[receiver] != DATA.subject[donor]).all()
        np.testing.assert_array_equal(batch.partner_weights.numpy(), DATA.weights[donor])
        seen |= set(donor.tolist())
    assert seen == set(range(len(DATA)))  # and everybody lends everything


def test_nobody_lends_a_style_to_himself_where_labels_are_scarce() -> None:
    """A single person smiles, identities are known for half of the people: still never the same scan."""
    weights = DATA.weights.copy()
    weights[(DATA.label == 0) & (DATA.subject != 2)] = 0
    data = replace(DATA, weights=weights, labeled={"identity": DATA.subject < 3})
    for batch in drawn(style_pairs(data, 12)):
        receiver, donor = (row_of(data, faces) for faces in (batch.vertices, batch.partner))
        known = data.labeled["identity"][receiver]
        assert (receiver != donor).all() and (data.subject[receiver] != data.subject[donor])[known].all()
    alone = DATA.take(DATA.subject == 1)
    with pytest.raises(BadSetting, match="somebody else"):
        style_pairs(alone, 4)


def test_pairs_are_of_the_same_person_or_of_different_people_as_they_say() -> None:
    for batch in drawn(same_subject_pairs(DATA, 12, neutral=True)):
        first, second = (row_of(DATA, faces) for faces in (batch.vertices, batch.partner))
        assert (DATA.subject[first] == DATA.subject[second]).all() and (first != second).all()
        assert (batch.same == 1).all()
        np.testing.assert_array_equal(batch.neutral.numpy(), DATA.neutral_of(first))
    for batch in drawn(mixed_pairs(DATA, 12)):
        first, second = (row_of(DATA, faces) for faces in (batch.vertices, batch.partner))
        same = DATA.subject[first] == DATA.subject[second]
        np.testing.assert_array_equal(same, batch.same.numpy() == 1)
        assert same.sum() == 6 and (first != second).all()


@pytest.mark.parametrize(
    "sampler",
    [
        faces(DATA, 9, neutral=True), same_subject_pairs(DATA, 9), mixed_pairs(DATA, 9), style_pairs(DATA, 9),
        virtual_people(faces(DATA, 9), DATA, 0.5),
    ],
    ids=["faces", "same", "mixed", "style", "virtual"],
)  # fmt: skip
def test_samplers_are_functions_of_their_generator(sampler: Any) -> None:
    first, again, other = (sampler(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.vertices, again.vertices) and not torch.equal(first.vertices, other.vertices)
    if first.partner is not None:
        assert torch.equal(first.partner, again.partner)


# ---- who is compared with whom


@pytest.mark.parametrize("styles", [1, 3])
def test_who_lends_a_style_in_the_transfer_test_is_somebody_else(styles: int) -> None:
    twice = DATA.take(np.tile(np.arange(len(DATA)), 2))  # everybody performs every expression twice
    test = scans.TestScans.of(twice, part="all", protocol="subject", seed=0, limit=None)
    draws = scans.TransferDraws.of(test, styles=styles, limit=None)
    assert (test.person[draws.target] != test.person[draws.style]).all()
    np.testing.assert_array_equal(test.label[draws.target], test.label[draws.style])
    assert test.performed[draws.target].all() and test.performed[draws.style].all()
    # Every expressive scan is asked for, from as many different people as wanted.
    targets, counts = np.unique(draws.target, return_counts=True)
    np.testing.assert_array_equal(targets, np.flatnonzero(test.performed))
    assert (counts == styles).all()
    for target in targets:
        assert len(set(test.person[draws.style[draws.target == target]])) == styles
    again, other = (
        scans.TransferDraws.of(replace(test, seed=seed), styles=styles, limit=None) for seed in (0, 1)
    )
    np.testing.assert_array_equal(again.style, draws.style)
    assert (other.style != draws.style).any()


def test_another_person_is_another_person() -> None:
    test = scans.TestScans.of(DATA, part="all", protocol="subject", seed=0, limit=None)
    drawn = np.stack([replace(test, seed=seed).other_people(43) for seed in range(60)])
    assert (drawn != np.arange(6)).all() and (drawn >= 0).all()
    assert [set(column) for column in drawn.T] == [set(range(6)) - {person} for person in range(6)]
    assert (drawn[0] != test.other_people(44)).any()


# ---- which weights are kept


class Climbing(nn.Module):
    """One weight, which is the number of steps taken."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


def climb(criteria: list[float], out: Path, **options: Any) -> tuple[float, list[int]]:
    """Weight at the end, and the weights that were validated, of a stage with these criteria in turn."""
    from lightning_fabric import Fabric

    module, left, validated = Climbing(), iter(criteria), list[int]()

    def validate() -> dict[str, float]:
        validated.append(int(module.weight.item()))
        return {"criterion": next(left), "misleading": -module.weight.item()}

    stage = Stage(
        "climb", len(criteria), faces(DATA, 2), lambda batch, index: iter([("up", {"loss": -module.weight})]),
        {"module": module}, {"up": torch.optim.SGD(module.parameters(), 1.0)}, validate=validate,
        validate_every=1, **options,
    )  # fmt: skip
    out.mkdir()
    fabric = Fabric(accelerator="cpu", devices=1)
    loop.Loop(fabric, out, torch.Generator(), Display(out, False)).run([stage])
    return module.weight.item(), validated


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    for number, (criteria, best) in enumerate(
        [([3, 1, 2, 4], 2), ([1, 2, 3], 1), ([3, 2, 1], 3), ([2, 1, 1], 2), ([-1, -5, -2], 2)]
    ):
        kept, validated = climb([float(value) for value in criteria], tmp_path / str(number))
        assert kept == best and validated == list(range(1, len(criteria) + 1))


def test_patience_counts_validations_without_progress(tmp_path: Path) -> None:
    kept, validated = climb([5, 4, 6, 6, 3, 7, 7, 7, 1], tmp_path / "run", patience=3)
    assert kept == 5 and validated == [1, 2, 3, 4, 5, 6, 7, 8]
