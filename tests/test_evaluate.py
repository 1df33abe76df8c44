"""The protocol on planted people: perfect, shuffled and refusing models, controls, every output format."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
import torch
from fixtures import EXPRESSIONS, planted, with_openings
from numpy.typing import NDArray
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.errors import MienError, UnknownName
from mien.evaluation import Report, Table, evaluate, scans
from mien.evaluation.faces.controls import control_rows
from mien.machine import machine, machine_text
from mien.models.base import FaceModel, Reference
from mien.models.mean_expression import MeanExpression


class Oracle(FaceModel):
    """Knows the planted axes: solves for both codes exactly."""

    name = "oracle"
    needs_neutrals = False
    reference = Reference("none", "nobody", "oracle", "none", 2000)

    def __init__(self, topology, expressions, shuffled: bool = False) -> None:
        super().__init__(topology, expressions)
        world = planted(subjects=20)
        axes = np.concatenate([world.identity_axes, world.expression_axes])
        self.shuffled = shuffled
        self.register_buffer("axes", torch.from_numpy(axes.reshape(len(axes), -1)).float())
        self.register_buffer("center", torch.from_numpy(topology.template.reshape(-1).copy()))
        self.identities = len(world.identity_axes)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        flat = vertices.flatten(1) - self.center
        codes = torch.linalg.lstsq(self.axes.double().T, flat.double().T).solution.T.float()
        identity, expression = codes[:, : self.identities], codes[:, self.identities :]
        if self.shuffled:  # the expression disturbs who it is
            identity = identity + expression[:, : self.identities]
        return Codes(identity, expression)

    def decode(self, codes: Codes) -> Tensor:
        flat = torch.cat([codes.identity, codes.expression], dim=1) @ self.axes + self.center
        return flat.view(len(codes), -1, 3)


class Anchored(FaceModel):
    """Adds displacements to a given neutral."""

    name = "anchored"
    anchored = True
    reference = Oracle.reference

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        anchor = self.require_neutral(neutral)
        return Codes(anchor, vertices - anchor)

    def decode(self, codes: Codes) -> Tensor:
        return codes.identity + codes.expression


class Shifted(Oracle):
    """Loses the same millimeter of everybody."""

    def decode(self, codes: Codes) -> Tensor:
        return super().decode(codes) + torch.tensor([0.0, 0.0, 1.0])


class Refusing(FaceModel):
    """Has no verb at all."""

    name = "refusing"
    reference = Oracle.reference


def data() -> FaceDataset:
    return planted(subjects=20).data


def calibrated(model: FaceModel) -> FaceModel:
    model.calibrate(data().split("train"))
    return model.eval()


@pytest.fixture(scope="module")
def report() -> Report:
    face = data().topology, EXPRESSIONS
    models = {
        "perfect": calibrated(Oracle(*face)),
        "shuffled": calibrated(Oracle(*face, shuffled=True)),
        "shifted": calibrated(Shifted(*face)),
        "anchored": calibrated(Anchored(*face)),
        "refusing": Refusing(*face),
    }
    published = {"Ours (paper)": {"neu_avd": "1.93 ± 0.61 / 1.82"}}
    return evaluate(models, data(), published=published, speed=False)


def test_a_perfect_model_scores_zero(report: Report) -> None:
    zero = ("rec_avd_mesh", "rec_avd_pooled", "rec_detail", "neu_avd", "neu_avd_aligned", "neu_avd_triplet",
            "id_mad", "id_std_pooled", "id_std_vertex", "decomposition_id_mad", "exp_mad", "transfer_avd",
            "transfer_floor", "rec_avd_mouth", "rec_avd_eyes", "transfer_avd/smile")  # fmt: skip
    for metric in zero:
        assert report.value("perfect", metric) == pytest.approx(0, abs=2e-3), metric
    assert report.value("perfect", "rank1_mesh") == 100
    assert report.value("perfect", "rank1_code") == 100
    assert report.value("perfect", "id_between_avd") == pytest.approx(
        report.value("true neutrals", "id_between_avd"), abs=1e-3
    )
    assert report.value("perfect", "leakage_person_from_identity") == 100
    assert report.value("perfect", "leakage_expression_from_expression") == 100


def test_a_mouth_that_stays_shut_is_seen_beside_the_average() -> None:
    """The gap of the lips by hand: means of ibug_61 to 63 and of ibug_65 to 67."""
    faces = with_openings(data())
    report = evaluate(
        {"perfect": calibrated(Oracle(faces.topology, EXPRESSIONS))}, faces, speed=False, controls=()
    )
    for metric in ("rec_gap_mouth", "rec_gap_eyes", "transfer_gap_mouth", "transfer_gap_eyes"):
        assert report.value("perfect", metric) == pytest.approx(0, abs=2e-3), metric
    names = list(faces.topology.landmarks.names)

    def gap(meshes: NDArray) -> NDArray[np.float64]:
        spots = faces.topology.landmarks.positions(meshes)
        upper, lower = (spots[..., [names.index(f"ibug_{n}") for n in numbers], :].mean(axis=-2)
                        for numbers in ((61, 62, 63), (65, 66, 67)))  # fmt: skip
        return np.linalg.norm(upper - lower, axis=-1)

    train, test = (faces.split(part) for part in ("train", "test"))
    mean = train[np.arange(len(train))].mean(axis=0)
    wrong = np.abs(gap(test[np.arange(len(test))]) - gap(mean)).mean()
    assert report.value("mean face", "rec_gap_mouth") == pytest.approx(wrong, rel=1e-3)


def test_kept_detail_makes_up_for_what_the_codes_lose(report: Report) -> None:
    assert report.value("shifted", "transfer_avd") == pytest.approx(1, abs=2e-3)
    assert report.value("shifted", "transfer_avd_detail") == pytest.approx(0, abs=2e-3)


def test_ways_of_a_linear_model_are_straight_and_even(report: Report) -> None:
    for factor in ("identity", "expression"):
        assert report.value("perfect", f"path_length_{factor}") == pytest.approx(1, abs=1e-3)
        assert report.value("perfect", f"path_step_cv_{factor}") == pytest.approx(0, abs=1e-2)


def test_transfer_is_kept_person_by_person(report: Report) -> None:
    each = report.by_person("shuffled", "transfer_avd")
    assert len(each) > 1
    assert np.mean(list(each.values())) == pytest.approx(report.value("shuffled", "transfer_avd"), rel=0.05)
    assert set(report.by_person("shuffled", "transfer_avd/smile")) == set(each)


def test_a_shuffled_model_does_not(report: Report) -> None:
    assert report.value("shuffled", "neu_avd") > 0.5
    assert report.value("shuffled", "id_mad") > 0.5
    assert report.value("shuffled", "id_ratio") > 0.1
    assert report.value("shuffled", "rec_avd_mesh") > 0.5
    row = report.row("shuffled", "neu_avd")
    assert row.low < row.mean < row.high


def test_anchored_and_refusing_models_get_dashes_with_reasons(report: Report) -> None:
    for metric in ("neu_avd", "id_mad", "rank1_mesh", "leakage_person_from_identity"):
        row = report.row("anchored", metric)
        assert row.mean is None
        assert "neutral mesh" in row.reason
    assert report.value("anchored", "rec_avd_mesh") == pytest.approx(0, abs=1e-4)
    row = report.row("refusing", "rec_avd_mesh")
    assert row.mean is None
    assert "refusing cannot" in row.reason
    assert report.row("refusing", "transfer_avd").reason


def test_controls_stand_beside(report: Report) -> None:
    assert report.value("mean face", "rec_avd_mesh") > 1
    assert (
        report.value("PCA, 9", "rec_avd_mesh") < 0.01
    )  # four identity and five expression axes: all there is
    assert report.value("input as prediction", "neu_avd") > report.value("perfect", "neu_avd") + 0.5
    assert report.value("mean neutral", "neu_avd") > 1
    assert report.value("another person's neutral", "neu_avd") > 1
    assert report.value("the neutral itself", "transfer_avd") > 1
    assert report.value("class mean, label given", "transfer_avd") == pytest.approx(0, abs=1e-2)
    assert report.value("displacement_transfer", "transfer_avd") == pytest.approx(0, abs=1e-4)
    assert report.value("mean_expression", "transfer_avd") == pytest.approx(0, abs=1e-2)


def test_controls_learn_from_the_training_part_alone() -> None:
    """Every control on unseen people, computed anew from the training part and not from the test part."""
    full = planted(subjects=20, interaction=0.3, noise=0.2).data
    parts = {part: full.split(part) for part in ("train", "test")}
    report = evaluate([], full, speed=False, controls=("mean_expression",))
    truth, shown = parts["test"][:], np.flatnonzero(parts["test"].label >= 0)
    neutrals, label = parts["test"].neutral_of(shown), parts["test"].label[shown]

    def values_from(part: str) -> dict[str, float]:
        data = parts[part]
        first = np.flatnonzero(data.is_neutral)
        moved = data[:] - data.neutral_of(np.arange(len(data)))
        means = np.stack([moved[data.label == k].mean(axis=0) for k in range(len(EXPRESSIONS))])
        return {
            "mean face": np.linalg.norm(truth - data[:].mean(axis=0), axis=2).mean(),
            "mean neutral": np.linalg.norm(
                parts["test"].neutral_of(np.arange(len(truth))) - data[first].mean(axis=0), axis=2
            ).mean(),
            "class mean, label given": np.linalg.norm(
                neutrals + means[label] - truth[shown], axis=2
            ).mean(),
        }  # fmt: skip

    metrics = {
        "mean face": "rec_avd_mesh",
        "mean neutral": "neu_avd",
        "class mean, label given": "transfer_avd",
    }
    right, wrong = values_from("train"), values_from("test")
    for system, metric in metrics.items():
        assert report.value(system, metric) == pytest.approx(right[system], rel=1e-3), system
        assert abs(right[system] - wrong[system]) > 0.01 * right[system], system
    untaught = MeanExpression(full.topology, EXPRESSIONS)
    untaught.prepare(parts["train"])
    untaught.calibrate(parts["train"])
    again = evaluate({"by hand": untaught.eval()}, full, speed=False, controls=())
    lent = report.value("mean_expression", "transfer_avd")
    assert lent == pytest.approx(again.value("by hand", "transfer_avd"), rel=1e-6)
    test = scans.TestScans.of(full, part="test", protocol="subject", seed=0, limit=None)
    (kept,) = (
        row.mean
        for row in control_rows(test, [3], None)
        if (row.system, row.metric) == ("PCA, 3", "rec_avd_mesh")
    )
    left = []
    for part in ("train", "test"):
        mean = parts[part][:].mean(axis=0)
        axes = np.linalg.svd((parts[part][:] - mean).reshape(len(parts[part]), -1), full_matrices=False)[2][
            :3
        ]
        apart = (truth - mean).reshape(len(truth), -1)
        left.append(np.linalg.norm((apart - apart @ axes.T @ axes).reshape(truth.shape), axis=2).mean())
    assert kept == pytest.approx(left[0], rel=1e-3) and left[1] < 0.9 * left[0]


def test_the_split_keeps_people_apart_and_conditions_say_so(report: Report) -> None:
    facts = report.conditions
    assert facts["people_seen_in_training"] == 0
    assert (facts["people"], facts["training_people"], facts["meshes"]) == (2, 16, 12)
    assert facts["fingerprint"] == data().fingerprint
    assert "none of them seen" in report.conditions_text


def test_the_same_seed_gives_the_same_report(report: Report) -> None:
    face = data().topology, EXPRESSIONS
    again = evaluate({"perfect": calibrated(Oracle(*face))}, data(), speed=False)
    assert [r for r in again.rows if r.system == "perfect"] == [
        r for r in report.rows if r.system == "perfect"
    ]


def test_formats_agree_and_come_back(report: Report, tmp_path) -> None:
    paths = report.save(tmp_path)
    assert [path.name for path in paths] == ["report.json", "report.csv", "report.md", "report.tex"]
    assert Report.load(paths[0]).rows == report.rows
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(lines) == len(report.rows)
    assert lines[0]["fingerprint"] == report.conditions["fingerprint"]
    assert lines[-1]["processor"] == machine()["processor"] and lines[-1]["threads"] == str(
        torch.get_num_threads()
    )
    for path in paths[2:]:
        assert machine_text(machine()) in path.read_text()  # without seconds, as these reports are equal
    assert json.loads(report.to_json())["meshes"]["shuffled"]["neu_avd"]
    assert "NaN" not in report.to_json()


def test_markdown_and_latex_are_well_formed(report: Report) -> None:
    for table in report.tables:
        assert all(len(row) == len(table.header) for row in table.rows), table.title
    text = report.to_markdown()
    for title in ("Reconstruction", "Neutralization", "Identity consistency", "Leakage", "Published"):
        assert f"### {title}" in text
    assert "nan" not in text
    latex = report.to_latex()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == len(report.tables)
    assert "±" not in latex
    assert latex.startswith("% Data ") and "booktabs" in latex.splitlines()[1]


def test_latex_can_be_included_as_it_is(report: Report) -> None:
    """No TeX at hand: what an engine would trip over is looked for."""
    for table in report.tables:
        lines = table.latex().splitlines()
        columns = (
            next(line for line in lines if line.startswith(r"\begin{tabular}")).split("{")[2].rstrip("}")
        )
        rows = [line for line in lines if line.endswith(r"\\")]
        assert len(rows) == len(table.rows) + 1 and set(columns) <= {"l", "r"}
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1, row
        body = re.sub(r"\\[a-zA-Z]+|\\[_%&#${}\\]", "", "\n".join([lines[2], *rows]))
        plain = body.replace("$", "")
        assert not re.search(r"[%#_^~`*<>|]", plain), plain
        assert body.count("{") == body.count("}") and body.count("$") % 2 == 0
        assert plain.isascii(), [letter for letter in plain if not letter.isascii()]
    italic = Table("T", "`code`", ("a_b", "50 %"), (("*mean face*", "x < 1 ± 2"),)).latex()
    assert r"\textit{mean face}" in italic and r"\texttt{code}" in italic and r"a\_b & 50 \%" in italic


def test_published_numbers_stay_apart(report: Report) -> None:
    assert [t.title for t in report.tables if any("Ours (paper)" in row for row in t.rows)] == ["Published"]


def test_data_without_expression_labels_or_neutrals() -> None:
    full = data()
    blind = FaceDataset(
        full.topology, full.expressions, full.vertices, np.zeros_like(full.weights), full.subject,
        full.subjects, labeled={"expression": np.zeros(len(full), bool)},
    )  # fmt: skip
    model = Oracle(full.topology, EXPRESSIONS)
    model.calibrate(full.split("train"))
    report = evaluate({"perfect": model.eval()}, blind, speed=False)
    assert report.value("perfect", "rec_avd_mesh") == pytest.approx(0, abs=2e-3)
    assert report.value("perfect", "id_mad") == pytest.approx(0, abs=2e-3)
    assert report.row("perfect", "neu_avd").reason == "no person has a neutral scan"
    assert report.row("perfect", "transfer_avd").mean is None
    assert "nan" not in report.to_markdown()


def test_weak_frames_are_not_the_expression() -> None:
    full = data()
    weights = full.weights.copy()
    weights[np.argmax(weights, axis=1) == 2] *= 0.3
    faint = FaceDataset(full.topology, full.expressions, full.vertices, weights, full.subject, full.subjects)
    report = evaluate([calibrated(Oracle(full.topology, EXPRESSIONS))], faint, speed=False, controls=())
    metrics = {row.metric for row in report.rows}
    assert "transfer_avd/smile" in metrics
    assert f"transfer_avd/{EXPRESSIONS[2]}" not in metrics


def test_unknown_names_and_parts_are_errors(report: Report) -> None:
    with pytest.raises(UnknownName, match="perfect"):
        report.row("perfct", "neu_avd")
    with pytest.raises(UnknownName, match="neu_avd"):
        report.row("perfect", "neu_avg")
    with pytest.raises(MienError):
        evaluate([], data(), part="tset")
