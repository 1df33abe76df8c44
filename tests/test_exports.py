"""What artists export: ARKit names out of other expressions, point caches, heads of any topology."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures import planted, tiny_topology
from meshes import read_pc2

from mien import apply
from mien.apply.targets import share_of_vertices
from mien.data.arkit import GAZE_DEGREES, Rule, arkit_rules, gaze_of, lacking, read_rules, rules_table
from mien.data.expressions import ARKIT, expression_set
from mien.errors import BadFile, BadMesh, BadSetting, UnknownName
from mien.io.pc2 import write_pc2
from mien.models.displacement_transfer import DisplacementTransfer

FACESCAPE = expression_set("facescape20").names


def test_arkit_names_are_the_models_own_or_the_nearest() -> None:
    own = arkit_rules(tuple(ARKIT))
    assert [rule.target for rule in own] == list(ARKIT) and lacking(own) == ["tongueOut"]
    near = arkit_rules(FACESCAPE)
    assert {rule.target for rule in near} <= set(ARKIT) and {rule.name for rule in near} <= set(FACESCAPE)
    assert Rule("eyeBlinkLeft", "eye_closed", 1.0, "left", "upper") in near
    assert {"noseSneerLeft", "tongueOut"} <= set(lacking(near))
    assert len(lacking(near)) + len({rule.target for rule in near}) == 52
    with pytest.raises(BadSetting, match="no ARKit"):
        arkit_rules(("grin", "wink"))


def test_a_table_of_rules_goes_out_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    near = arkit_rules(FACESCAPE)
    path.write_text(rules_table(near))
    assert read_rules(path, FACESCAPE) == near
    for line, error in (
        ("a,nothing", UnknownName), (",smile", BadFile), ("a,smile,much", BadFile),
        ("a,smile,1,up", UnknownName),
    ):  # fmt: skip
        path.write_text("target,name,weight,side\n" + line + "\n")
        with pytest.raises(error):
            read_rules(path, FACESCAPE)


def test_halves_of_a_face_add_up_to_the_whole() -> None:
    data = planted(subjects=4).data
    model = DisplacementTransfer(data.topology, data.expressions)
    model.prepare(data)
    model.calibrate(data)
    neutral = data[int(np.flatnonzero(data.is_neutral)[0])]
    rules = [Rule("left", "smile", 1.0, "left"), Rule("right", "smile", 1.0, "right"), Rule("whole", "smile"),
             Rule("both", "smile", 0.5), Rule("both", "jaw_open", 2.0)]  # fmt: skip
    made = apply.rig_by_rules(model, neutral, rules)
    plain = apply.rig(model, neutral)
    assert made.names == ("left", "right", "whole", "both")
    change = dict(zip(made.names, made.targets - made.base, strict=True))
    own = dict(zip(plain.names, plain.targets - plain.base, strict=True))
    np.testing.assert_allclose(change["left"] + change["right"], change["whole"], atol=1e-4)
    np.testing.assert_allclose(change["whole"], own["smile"], atol=1e-5)
    np.testing.assert_allclose(change["both"], 0.5 * own["smile"] + 2 * own["jaw_open"], atol=1e-4)
    x = tiny_topology().template[:, 0]
    np.testing.assert_array_equal(change["left"][x < -8], 0)
    np.testing.assert_allclose(change["left"][x > 8], change["whole"][x > 8], atol=1e-6)


def test_halves_are_where_their_names_say() -> None:
    """+X is the person's left and +Y is up."""
    topology = tiny_topology()
    x, y = topology.template[:, 0], topology.template[:, 1] - np.median(topology.template[:, 1])
    for rule, inside in (
        (Rule("a", "smile", side="left"), x), (Rule("a", "smile", side="right"), -x),
        (Rule("a", "smile", half="upper"), y), (Rule("a", "smile", half="lower"), -y),
    ):  # fmt: skip
        taken = share_of_vertices(topology, rule)
        assert (taken[inside > 7.1] == 1).all() and (taken[inside < -7.1] == 0).all()
    both = share_of_vertices(topology, Rule("a", "smile", side="left", half="upper"))
    np.testing.assert_array_equal(both[(x > 7.1) & (y > 7.1)], 1)
    assert not both[(x < -7.1) | (y < -7.1)].any()


def test_eyes_look_to_the_persons_own_left_and_up() -> None:
    """(..., left or right eye, to the left or up): out is left for the left eye, right for the right one."""
    names = ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookOutRight", "eyeLookInRight", "eyeLookUpLeft",
             "eyeLookDownRight", "jawOpen")  # fmt: skip
    wanted = np.zeros((7, 2, 2))
    wanted[:2, 0, 0] = GAZE_DEGREES["Out"], -GAZE_DEGREES["In"]
    wanted[2:4, 1, 0] = -GAZE_DEGREES["Out"], GAZE_DEGREES["In"]
    wanted[4, 0, 1], wanted[5, 1, 1] = GAZE_DEGREES["Up"], -GAZE_DEGREES["Down"]
    np.testing.assert_array_equal(gaze_of(names), wanted)
    weights = np.arange(14).reshape(2, 7) / 10
    np.testing.assert_allclose(gaze_of(names, weights), np.einsum("te,eab->tab", weights, wanted))
    assert gaze_of(("jawOpen", "smile")) is None


def test_point_caches(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    write_pc2(tmp_path / "clip.pc2", frames)
    data = (tmp_path / "clip.pc2").read_bytes()
    assert data[:12] == b"POINTCACHE2\0" and len(data) == 32 + 4 * frames.size
    np.testing.assert_array_equal(read_pc2(tmp_path / "clip.pc2"), frames)
    with pytest.raises(BadMesh):
        write_pc2(tmp_path / "bad.pc2", frames * np.nan)
