"""Rest found from who is who, against people whose rest is known because the test made them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import tiny_topology

from mien.data.dataset import FaceDataset
from mien.data.rest import find_rest, geometric_median, known_at_rest, median_faces
from mien.data.sampling import faces, virtual_people
from mien.errors import BadSetting, MissingNeutral, Note

PEOPLE, SCANS = 8, 13
REST_ROW = 7  #: which of a person's scans is at rest


def people(*, without: int = 0, tremor: float = 0.1, seed: int = 0) -> tuple[FaceDataset, np.ndarray]:
    """People with one scan at rest, and their true faces at rest, (P, V, 3).

    Most scans hold the mouth open, so that the median is off; each moves one place in front of it as well.
    Expression labels lie about which scan is at rest: they must not be read. The first ``without`` people
    have another movement in the place of the scan at rest.
    """
    generator = np.random.default_rng(seed)
    topology = tiny_topology()
    mouth = np.exp(-(((topology.template - [0, -40, 40]) / 25) ** 2).sum(axis=1))[:, None] * [0, -4.0, 0]
    rests = (
        topology.template
        + generator.normal(0, 3, (PEOPLE, 1, 3))
        + generator.normal(0, 1, (PEOPLE, *topology.template.shape))
    )
    scans = []
    for person, rest in enumerate(rests):
        for k in range(SCANS):
            own = generator.normal(0, tremor, rest.shape)
            if k != REST_ROW or person < without:
                place = topology.template[generator.integers(100)]
                near = np.exp(-(((topology.template - place) / 30) ** 2).sum(axis=1))[:, None]
                own = own + generator.uniform(9, 14) * near * [0, 0, 1] + (mouth if k % 4 else 0)
            scans.append(rest + own)
    weights = np.zeros((len(scans), 1))
    weights[REST_ROW::SCANS] = 1.0  # as if rest alone were an expression
    data = FaceDataset(
        topology, ("smile",), np.array(scans, np.float32), weights, np.repeat(np.arange(PEOPLE), SCANS),
        tuple(f"person-{k}" for k in range(PEOPLE)), source="planted",
    )  # fmt: skip
    return data, rests


def distance(faces: dict, truth: np.ndarray) -> float:
    """Mean vertex distance over people, millimeters."""
    return float(np.mean([np.linalg.norm(faces[p] - truth[p], axis=1).mean() for p in faces]))


def test_the_geometric_median_is_where_most_are() -> None:
    corners = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [4, 4, 0]], float)[:, None]
    np.testing.assert_allclose(geometric_median(corners), [[2, 2, 0]], atol=1e-5)
    most = np.concatenate([np.tile([[[1.0, 2.0, 3.0]]], (5, 1, 1)), [[[90.0, 0, 0]], [[0, 70.0, 0]]]])
    np.testing.assert_allclose(geometric_median(most), [[1, 2, 3]], atol=0.05)


def test_the_scan_at_rest_is_found_in_everybody() -> None:
    data, truth = people()
    found = find_rest(data)
    assert dict(found.scans) == {p: p * SCANS + REST_ROW for p in range(PEOPLE)}
    for person, row in found.scans.items():
        np.testing.assert_array_equal(found.faces[person], data[row])
    assert distance(median_faces(data).faces, truth) > 2 * distance(found.faces, truth)
    assert 0 < found.confidence <= 1


def test_rows_of_a_view_and_names_of_people_do_not_matter() -> None:
    data, _ = people()
    order = np.random.default_rng(1).permutation(len(data))
    found = find_rest(data.take(order))
    assert {p: order[row] for p, row in found.scans.items()} == dict(find_rest(data).scans)


def test_people_without_a_scan_at_rest_get_what_others_share() -> None:
    data, truth = people(without=3)
    found = find_rest(data)
    assert set(found.scans) == {3, 4, 5, 6, 7}
    medians = median_faces(data).faces
    rest, median = ({p: faces[p] for p in range(3)} for faces in (found.faces, medians))
    assert distance(rest, truth) < 0.7 * distance(median, truth)
    moved = [found.faces[p] - medians[p] for p in range(3)]
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-4)


def test_where_nobody_is_at_rest_the_medians_stand_for_it() -> None:
    data, _ = people(without=PEOPLE)
    found, medians = find_rest(data), median_faces(data)
    assert found.confidence == 0 and not found.scans and medians.confidence == 0
    for person, face in found.faces.items():
        np.testing.assert_array_equal(face, medians.faces[person])
    with pytest.warns(Note, match="nothing that 8 people share is surely rest"):
        known_at_rest(data, "found")


def test_too_few_people_or_labels_are_refused_with_how_many_are_needed() -> None:
    data, _ = people()
    four = data.take(data.row_subject < 4)
    with pytest.raises(BadSetting, match="at least 5 people need 3 scans each.*received 4 such people"):
        find_rest(four)
    unlabeled = replace(data, labeled=dict(data.labeled) | {"identity": np.zeros(len(data), bool)})
    with pytest.raises(BadSetting, match=r"received 0 such people among 104 scans; label identities"):
        median_faces(unlabeled)


def test_found_faces_stand_for_neutrals_and_no_neutral_scan_is_looked_at() -> None:
    data, _ = people()
    found = find_rest(data)
    known = dict(data.labeled)
    known["identity"] = data.subject != 2
    partly = replace(data, labeled=known)
    with pytest.warns(Note, match="13 of 104 scans are of nobody with 3 labeled scans"):
        view = known_at_rest(partly, "found")
    assert len(view) == len(data) - SCANS and 2 not in view.row_subject
    for row in (0, 20, 90):
        np.testing.assert_array_equal(view.neutral_of([row])[0], found.faces[int(view.row_subject[row])])
    assert view.has_neutral.all()
    alone = data.with_rest({0: data[0]})
    np.testing.assert_array_equal(alone.neutral_of([5])[0], data[0])
    with pytest.raises(MissingNeutral, match="person-1"):
        alone.neutral_of([SCANS])
    assert alone.has_neutral.sum() == SCANS


def test_virtual_people_take_their_rest_along() -> None:
    data, _ = people()
    with pytest.warns(Note, match="rest was found"):
        view = known_at_rest(data, "found")
    sampler = virtual_people(faces(view, 6, neutral=True), view, 1.0, neutral=True)
    batch = sampler(torch.Generator().manual_seed(0))
    real = faces(view, 6, neutral=True)(torch.Generator().manual_seed(0))
    assert (batch.subject == -1).all() and torch.equal(batch.origin, real.subject)
    torch.testing.assert_close(
        batch.vertices - batch.neutral, real.vertices - real.neutral, atol=1e-4, rtol=0
    )
