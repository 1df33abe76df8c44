"""The data sets of the field, read from small trees of the form in which their owners ship them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from field_trees import aside, clip_tree, coma_tree, facescape_tree, move, people, ramp, write
from fixtures import run_stage

from mien.data.dataset import FaceDataset
from mien.data.sources.bosphorus import action_units
from mien.data.sources.coma import ONE_SIDED, SEQUENCES, class_names
from mien.data.sources.correspondence import CorrespondingMeshes
from mien.data.sources.facescape import NAMES
from mien.data.sources.field import FIELD_SETS, check_tree, field_set
from mien.data.sources.flame import eyeball_mask, load_flame
from mien.data.sources.levels import displacement_level, moving_sides, phase_weights
from mien.data.sources.registered import PrepareOptions, prepare_field
from mien.data.sources.sequences import read_action_units
from mien.data.sources.tree import TreeOptions, mesh_files, natural
from mien.data.texture_files import read_texture
from mien.errors import BadFile, BadMesh, BadSetting, DataMissing, MienError, UnknownName, WrongTopology
from mien.io.mesh import read_mesh
from mien.models.facecam.model import FaceCAM
from mien.models.facecam.textures import PUBLISHED_CROP
from mien.topology import Topology

Capture = pytest.CaptureFixture[str]


def prepared(name: str, source: Path, out: Path, selection: str = "", **options: object) -> FaceDataset:
    kind = field_set(name)
    return prepare_field(kind, source, out, TreeOptions(selection=selection), PrepareOptions(**options))  # type: ignore[arg-type]


def rows_of(data: FaceDataset, subject: str) -> np.ndarray:
    return np.flatnonzero(data.row_subject == data.subjects.index(subject))


# ---- FaceScape


@pytest.fixture(scope="module")
def facescape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return facescape_tree(tmp_path_factory.mktemp("facescape") / "tree")


def test_facescape_models_keep_names_order_units_and_textures(facescape: Path, tmp_path: Path) -> None:
    data = prepared("facescape", facescape, tmp_path / "out")
    assert data.subjects == ("1", "2", "10")  # 847 is invalid in the owner's list; 10 comes after 2
    assert data.expressions == NAMES[1:] and len(NAMES) == 20
    rows = rows_of(data, "10")
    assert data.is_neutral[rows].tolist() == [True] + [False] * 19
    np.testing.assert_array_equal(data.row_weights[rows[1:]], np.eye(19))
    assert NAMES[7] == "jaw_forward" or NAMES[6] == "jaw_forward"
    for number in (1, 7, 20):
        expected = move(2, number, 0.0 if number == 1 else 0.1 * number)
        np.testing.assert_allclose(data[rows[number - 1]], expected, atol=2e-3)
    assert data.publishable is not None and data.publishable.tolist() == [False, True, True]
    assert data.textures is not None and data.folder is not None
    texture = (data.folder / data.textures[int(rows[6])]).resolve()
    assert texture == (facescape / "facescape_trainset_001_100/10/models_reg/7_jaw_forward.jpg").resolve()
    assert data.facts["left_out_by_owner"] == ["847"] and "documented" in data.facts["units"]
    assert "26,317" in " ".join(data.facts["notes"]) and "CVPR 2020" in data.citation
    assert "name their folder in MIEN_TEXTURES" in " ".join(data.facts["notes"])
    np.testing.assert_allclose(data.topology.template, data[data.is_neutral].mean(axis=0), atol=2e-3)
    shown = {path.name.split("_")[0] for path in (tmp_path / "out" / "examples").glob("*.obj")}
    assert shown <= {"2", "10"}  # never a person who may not be shown


def test_facescape_textures_come_along_when_asked(facescape: Path, tmp_path: Path) -> None:
    data = prepared("facescape", facescape, tmp_path / "out", textures=16)
    row = int(rows_of(data, "10")[6])
    assert data.textures is not None and data.folder is not None and data.has_textures.all()
    picture = read_texture(data.folder / data.textures[row])
    assert picture.shape == (16, 16, 3)
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), [20, 7, 0], atol=3)  # person 2 of the tree, scan 7


def test_facecam_learns_textures_from_facescapes_maps(
    facescape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the maps where the owner left them: people get the color of theirs, and expressions, too."""
    monkeypatch.setenv("MIEN_TEXTURES", str(facescape))
    data = prepared("facescape", facescape, tmp_path / "out")
    torch.manual_seed(0)
    model = FaceCAM(
        data.topology, data.expressions, pca_dim=8, hidden=(8, 8), generator_hidden=(8, 8), texture_size=8,
        texture_channels=16, texture_noise=2, texture_centered=True,
    )  # fmt: skip
    model.prepare(data)
    assert model.painter is not None and model.painter.box == PUBLISHED_CROP
    settings = FaceCAM.Settings(
        texture_steps=[300], texture_matching_first=300, texture_matching=10.0, texture_batch_size=[32],
        texture_rate=1e-2, texture_average=0.9,
    )  # fmt: skip
    *_, stage = model.stages(data, settings)
    generator = torch.Generator().manual_seed(0)
    run_stage(stage, generator)
    model.eval().calibrate(data)
    people = model.training_people(data.subjects)
    weights = torch.zeros(3, len(data.expressions))
    weights[:, data.expressions.index("brow_lower")] = 1.0
    with torch.no_grad():
        maps = model.texture(people.replace(expression=model.express(weights))).float().mean((1, 2))
    # The tree paints person p in its n-th scan (10 p, n, 0); brow_lower is the 20th.
    np.testing.assert_allclose(maps, [[0, 20, 0], [10, 20, 0], [20, 20, 0]], atol=3)


def test_facescape_in_centimeters_and_smaller(facescape: Path, tmp_path: Path) -> None:
    shutil.copytree(facescape, tmp_path / "tree")
    for path in mesh_files(tmp_path / "tree"):
        write(path, read_mesh(path).vertices, 0.1)
    data = prepared("facescape", tmp_path / "tree", tmp_path / "out", vertices=60, subjects=1)
    assert "centimeters" in data.facts["units"] and data.subjects == ("1",)
    assert data.topology.vertex_count == 60 and data.topology.face_count > 60
    distances = np.linalg.norm(data[0][:, None] - move(0, 1, 0.0), axis=2).min(axis=1)
    assert distances.max() < 2e-3  # kept vertices are original ones


def test_what_a_facescape_tree_lacks_is_told(facescape: Path, tmp_path: Path, capsys: Capture) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(facescape, tree)
    (tree / "facescape_trainset_001_100/2/models_reg/8_mouth_left.obj").unlink()
    write(tree / "facescape_trainset_001_100/2/models_reg/8_jaw_left.obj", move(0, 1, 0))
    (tree / "facescape_trainset_001_100/1/models_reg/3_mouth_stretch.obj").write_text("")
    for extra in ((), ("--as", "facescape")):  # the tree is recognized
        told = run(capsys, "data", "check", tree, *extra, "--json")
        assert told.code == 2
        assert told.json["missing"] == ["2/models_reg/8_mouth_left.obj"]
        assert sum("8_jaw_left.obj" in item for item in told.json["wrong"]) == 1
        assert sum("3_mouth_stretch.obj is empty" in item for item in told.json["wrong"]) == 1
    table = run(capsys, "data", "check", tree).out
    assert "missing" in table and "8_mouth_left" in table and "read as facescape" in table
    assert run(capsys, "data", "check", facescape).code == 0


def test_damaged_meshes_are_refused_left_out_or_excluded(facescape: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(facescape, tree)
    bad = tree / "facescape_trainset_001_100/2/models_reg/14_sadness.obj"
    bad.write_text(bad.read_text().replace("v ", "v nan ", 1))
    with pytest.raises(BadMesh, match="14_sadness.*--skip-bad"):
        prepared("facescape", tree, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    data = prepared("facescape", tree, tmp_path / "out", skip_bad=True)
    assert len(data) == 59 and len(data.facts["left_out"]) == 1 and "14_sadness" in data.facts["left_out"][0]
    listed = tmp_path / "bad.txt"
    listed.write_text("1  # moved\nfacescape_trainset_001_100/2/models_reg/14_sadness\n")
    data = prepared("facescape", tree, tmp_path / "excluded", exclude=listed)
    assert len(data) == 39 and data.subjects == ("2", "10")
    listed.write_text("11\n")
    with pytest.raises(BadSetting, match="nowhere in the data; received 11"):
        prepared("facescape", tree, tmp_path / "typo", exclude=listed)
    assert check_tree(field_set("facescape"), tree, read=True).wrong


def test_the_quick_way_to_read_an_obj_is_the_exact_one(tmp_path: Path) -> None:
    topology = people().data.topology
    write(tmp_path / "a.obj", move(0, 0, 0))
    write(tmp_path / "b.obj", move(1, 1, 1))
    meshes = CorrespondingMeshes(tmp_path / "a.obj")
    assert meshes._quick(tmp_path / "b.obj") is not None
    np.testing.assert_array_equal(meshes.read(tmp_path / "b.obj"), read_mesh(tmp_path / "b.obj").vertices)
    text = (tmp_path / "b.obj").read_text()
    (tmp_path / "c.obj").write_text(text + "# another end\n")
    assert meshes._quick(tmp_path / "c.obj") is None
    np.testing.assert_array_equal(meshes.read(tmp_path / "c.obj"), read_mesh(tmp_path / "b.obj").vertices)
    normals = ["".join(f"vn {k} {row} 1\n" for row in range(4)) for k in range(2)]
    head, tail = text.split("f ", 1)
    for name, block in zip("nm", normals):
        (tmp_path / f"{name}.obj").write_text(head.replace("# mien", "#") + block + "f " + tail)
    others = CorrespondingMeshes(tmp_path / "n.obj")
    assert others._quick(tmp_path / "m.obj") is not None
    np.testing.assert_array_equal(others.read(tmp_path / "m.obj"), meshes.read(tmp_path / "b.obj"))
    order = np.random.default_rng(0).permutation(topology.vertex_count)
    shuffled = Topology("other", np.argsort(order)[topology.faces], topology.template[order])
    write(tmp_path / "d.obj", move(0, 0, 0)[order], topology=shuffled)
    with pytest.raises(WrongTopology, match="another order"):
        meshes.read(tmp_path / "d.obj")


def test_many_meshes_come_in_order_and_mistakes_do_not_stop_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.obj" for number in range(40)]
    for number, path in enumerate(paths):
        write(path, move(number % 4, number, 1.0))
    paths[17].write_text("v 1 2 nothing")
    meshes = CorrespondingMeshes(paths[0])
    found = list(meshes.read_each(paths))
    assert isinstance(found[17], MienError) and len(found) == 40
    for number in {*range(40)} - {17}:
        np.testing.assert_array_equal(found[number], move(number % 4, number, 1.0).astype(np.float32))


# ---- CoMA


@pytest.fixture(scope="module")
def coma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coma_tree(tmp_path_factory.mktemp("coma") / "COMA_data", names=("bareteeth", "mouth_up"))


def test_coma_frames_carry_levels(coma: Path, tmp_path: Path) -> None:
    data = prepared("coma", coma, tmp_path / "out")
    assert data.expressions == SEQUENCES and data.fps == 60 and "meters" in data.facts["units"]
    assert len(data) == 2 * 2 * 41 and set(data.row_clip) == {0, 1, 2, 3}
    clip = np.flatnonzero(data.row_clip == 0)
    np.testing.assert_allclose(data[clip[20]], move(0, 0, 2.0), atol=1e-3)
    expected = ramp(41, 20)
    np.testing.assert_allclose(data.row_weights[clip, 0], np.where(expected <= 0.01, 0, expected), atol=1e-3)
    assert data.is_neutral[clip].sum() == 1 and (data.row_weights[clip][:, 1:] == 0).all()
    assert data.row_frame[clip].tolist() == list(range(1, 42))


def test_coma_sides_are_told_apart(coma: Path, tmp_path: Path) -> None:
    data = prepared("coma", coma, tmp_path / "out", "sides")
    names = data.expressions
    assert len(names) == 16 and sum(name.endswith("_left") for name in names) == len(ONE_SIDED)
    clip = np.flatnonzero(data.row_clip == 1)  # mouth_up: left in the first 20 frames, right in the rest
    left = data.row_weights[clip, names.index("mouth_up_left")]
    right = data.row_weights[clip, names.index("mouth_up_right")]
    assert left[10] == 1 and right[10] == 0 and left[30] == 0
    np.testing.assert_allclose(right[30], 4 / 6, atol=1e-3)
    unlabeled = ~data.row_labeled("expression")[clip]
    assert (
        unlabeled.any()
        and (left[unlabeled] + right[unlabeled] == 0).all()
        and not unlabeled[[0, 10, 30]].any()
    )


def test_frames_that_outlie_their_recording_are_left_out_as_by_gu(coma: Path, tmp_path: Path) -> None:
    """A frame that the registration lost is no apex; the other selections keep what their papers kept."""
    torn = tmp_path / "torn"
    shutil.copytree(coma, torn)
    write(sorted(torn.rglob("bareteeth/bareteeth.*.ply"))[30], move(0, 0, 2.0) + 500.0, 0.001)
    data = prepared("coma", torn, tmp_path / "sides", "sides")
    clip = np.flatnonzero(data.row_clip == 0)
    assert len(clip) == 40 and 31 not in data.row_frame[clip]
    np.testing.assert_allclose(data.row_weights[clip, 0].max(), 1.0)
    assert data.row_frame[clip][data.row_weights[clip, 0].argmax()] == 21  # the apex, not the lost frame
    assert (prepared("coma", torn, tmp_path / "frames").row_clip == 0).sum() == 41


def test_the_seventeen_classes_of_facetunegan(coma: Path, tmp_path: Path) -> None:
    data = prepared("coma", coma, tmp_path / "out", "facetunegan")
    assert len(class_names(True)) + 1 == 17 and data.expressions == class_names(True)
    assert (data.row_clip == -1).all() and data.row_labeled("expression").all()
    rows = rows_of(data, data.subjects[0])
    counts = {
        name: int((data.row_weights[rows, place] == 1).sum()) for place, name in enumerate(data.expressions)
    }
    assert data.is_neutral[rows].sum() == 2  # the first frame of both recordings
    assert counts["bareteeth"] == 21  # the apex, ten before and ten after
    best = data[rows[data.label[rows] == data.expressions.index("bareteeth")]]
    np.testing.assert_allclose(best[10], move(0, 0, 2.0), atol=1e-3)
    left = data[rows[data.label[rows] == data.expressions.index("mouth_up_left")]]
    right = data[rows[data.label[rows] == data.expressions.index("mouth_up_right")]]
    shift = np.array([face - aside(0, 0) for face in (*left, *right)]).sum(axis=(1, 2))
    assert shift[: len(left)].argmax() == 9 and shift[len(left) :].argmin() == 9  # apexes inside
    assert counts["mouth_up_left"] + counts["mouth_up_right"] == 40


def test_facetunegans_division_sees_people(coma: Path, tmp_path: Path) -> None:
    data = prepared("coma", coma, tmp_path / "out", "facetunegan")
    parts = [data.split(part, protocol="nine-to-one") for part in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(data) and len(parts[2]) == round(0.1 * len(data))
    assert set(parts[2].row_subject) == set(parts[0].row_subject)
    rows = [set(part.rows) for part in parts if part.rows is not None]
    assert not rows[0] & rows[2] and not rows[0] & rows[1]
    other = data.split("test", protocol="nine-to-one", seed=1).rows
    assert other is not None and rows[2] != set(other)


def test_apexes_chosen_by_eye_win(coma: Path, tmp_path: Path) -> None:
    picks = tmp_path / "picks.csv"
    picks.write_text("subject,class,frame\nFaceTalk_170720_00137_TA,bareteeth,13\n")
    options = TreeOptions(selection="facetunegan", picks=picks)
    data = prepare_field(field_set("coma"), coma, tmp_path / "out", options)
    rows = rows_of(data, data.subjects[0])
    chosen = data[rows[data.label[rows] == data.expressions.index("bareteeth")]]
    assert len(chosen) == 21  # frames 3 to 23, numbered from 1
    np.testing.assert_allclose(chosen[10], move(0, 0, 2 * ramp(41, 20)[12]), atol=1e-3)
    picks.write_text("subject,class,frame\nx,bareteath,13\n")
    with pytest.raises(BadFile, match="line 2"):
        prepare_field(field_set("coma"), coma, tmp_path / "no", options)


def test_missing_coma_recordings_are_listed(coma: Path) -> None:
    check = check_tree(field_set("coma"), coma)
    assert len(check.missing) == 2 * 10 and "FaceTalk_170720_00137_TA/eyebrow" in check.missing
    assert check.found[0] == "164 meshes of 2 people in 4 recordings"


# ---- BU-3DFE and Bosphorus


def test_bu3dfe_levels_and_names(tmp_path: Path) -> None:
    tree, emotions = tmp_path / "BU_3DFE", ["AN", "DI", "FE", "HA", "SA", "SU"]
    for person, who in enumerate(["M0001", "F0001", "F0002"]):
        write(tree / who / f"{who}_NE00WH_F3D.obj", move(person, 0, 0))
        for axis, code in enumerate(emotions):
            for level in range(1, 5):
                write(tree / who / f"{who}_{code}{level:02d}WH_F3D.obj", move(person, axis, level / 2))
    (tree / "F0002" / "F0002_SU03WH_F3D.obj").unlink()
    (tree / "F0001" / "F0001_NE00WH_F3D.wrl").write_text(
        "#VRML"
    )  # the owner's scan beside the registered one
    data = prepared("bu3dfe", tree, tmp_path / "out")
    assert data.subjects == ("F0001", "F0002", "M0001") and len(data) == 74
    rows = rows_of(data, "F0001")
    happy = data.row_weights[rows, data.expressions.index("happy")]
    assert sorted(happy[happy > 0].tolist()) == [0.25, 0.5, 0.75, 1.0]
    strongest = int(rows[happy.argmax()])
    np.testing.assert_allclose(data[strongest], move(1, 3, 2.0), atol=2e-3)
    assert data.publishable is not None and not data.publishable.any()
    assert check_tree(field_set("bu3dfe"), tree).missing == ["F0002_SU03"]


def test_bosphorus_emotions_and_action_units(tmp_path: Path) -> None:
    tree = tmp_path / "BosphorusDB"
    for person, who in enumerate(["bs000", "bs001", "bs002"]):
        for axis, name in enumerate(
            ["N_N_0", "E_HAPPY_0", "E_ANGER_0", "LFAU_12L_0", "CAU_A12A15_0", "YR_R10_0"]
        ):
            write(tree / who / f"{who}_{name}.ply", move(person, axis, axis > 0))
    data = prepared("bosphorus", tree, tmp_path / "out")
    assert len(data) == 9 and {data.expressions[label] for label in data.label if label >= 0} == {
        "happy",
        "angry",
    }
    everything = prepared("bosphorus", tree, tmp_path / "all", "all")
    assert everything.expressions[6:] == ("au_12", "au_12_left", "au_15") and len(everything) == 15
    rows = rows_of(everything, "bs001")
    combined = everything.row_weights[rows].sum(axis=1)
    assert sorted(combined.tolist()) == [0, 1, 1, 1, 2]
    (tree / "bs002" / "bs002_N_N_0.ply").unlink()
    assert check_tree(field_set("bosphorus"), tree).missing == ["bs002_N_N_0"]


def test_names_of_action_units() -> None:
    assert action_units("12") == {"au_12": 1.0} and action_units("12R") == {"au_12_right": 1.0}
    assert action_units("A26A12A25") == {"au_26": 1.0, "au_12": 1.0, "au_25": 1.0}
    assert action_units("12LW") == {"au_12": 0.5} and action_units("R10X") == {}


def test_depth_maps_are_no_meshes(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "bs000").mkdir()
    (tmp_path / "bs000" / "bs000_E_HAPPY_0.bnt").write_bytes(b"depth")
    with pytest.raises(WrongTopology, match="bnt.*correspondence"):
        prepared("bosphorus", tmp_path, tmp_path / "out")
    assert "correspondence" in run(capsys, "data", "check", tmp_path).sentence


# ---- recordings


def test_bu4dfe_labels(tmp_path: Path) -> None:
    tree = clip_tree(tmp_path / "tree", ["F001/Happy", "F001/Angry", "M002/Happy"])
    (tree / "publishable.txt").write_text("M002")
    data = prepared("bu4dfe", tree, tmp_path / "level")
    assert data.fps == 25 and data.publishable is not None and data.publishable.tolist() == [False, True]
    happy = np.flatnonzero((data.row_subject == 0) & (data.row_clip == 1))
    assert data.expressions[int(data.label[happy].max())] == "happy"
    np.testing.assert_allclose(data.row_weights[happy].max(axis=1), ramp(9, 6), atol=1e-3)
    peak = prepared("bu4dfe", tree, tmp_path / "peak", "peak")
    assert peak.row_labeled("expression").sum() == 3 * 3 and peak.is_neutral.sum() == 3 * 2
    assert peak.row_frame[peak.row_weights.max(axis=1) == 1].tolist() == [6, 6, 6]
    thin = prepared("bu4dfe", tree, tmp_path / "thin", every=3)
    assert len(thin) == 9 and thin.fps == pytest.approx(25 / 3) and thin.row_frame[:3].tolist() == [0, 3, 6]
    assert len(check_tree(field_set("bu4dfe"), tree).missing) == 9


def test_4dfab_sessions_and_key_frames(tmp_path: Path) -> None:
    tree = clip_tree(
        tmp_path / "tree", ["p10/2/happy", "p10/1/happy", "p2/1/Sadness"], digits=1, frames=12, apex=7
    )
    with pytest.raises(BadFile, match=r"phases\.csv"):
        prepared("4dfab", tree, tmp_path / "no", "phases")
    (tree / "phases.csv").write_text(
        "subject,clip,onset,apex_start,apex_end,offset\np10,2/happy,2,6,8,10\np2,1/sad,0,5,6,11\n"
    )
    data = prepared("4dfab", tree, tmp_path / "out", "phases")
    assert data.subjects == ("p2", "p10") and data.fps == 60
    rows = np.flatnonzero((data.row_subject == 1) & (data.row_clip == 2))
    expected = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0, 0]
    np.testing.assert_allclose(data.row_weights[rows, data.expressions.index("happy")], expected)
    assert data.row_frame[rows].tolist() == list(range(12))  # 10 comes after 9
    assert not data.row_labeled("expression")[data.row_clip == 1].any()  # the table lacks 1/happy
    np.testing.assert_allclose(phase_weights(5, 0, 2, 2, 4), [0, 0.5, 1, 0.5, 0])


def test_bp4d_carries_action_units(tmp_path: Path) -> None:
    tree = clip_tree(tmp_path / "tree", ["F001/T1", "F001/T8", "M002/T1"], frames=4, apex=2, digits=4)
    (tree / "AU_OCC").mkdir()
    (tree / "AU_OCC" / "F001_T1.csv").write_text("0,6,12,99\n0,0,0,9\n1,0,1,9\n2,1,1,9\n3,9,1,9\n")
    (tree / "neutrals.csv").write_text("subject,task,frame\nM002,T1,3\n")
    data = prepared("bp4d", tree, tmp_path / "out")
    assert data.expressions == ("au_6", "au_12") and data.fps == 25
    first = np.flatnonzero(data.row_clip == 0)
    assert data.row_weights[first].tolist() == [[0, 0], [0, 1], [1, 1], [0, 0]]
    assert data.row_labeled("expression")[first].tolist() == [True, True, True, False]  # a unit was hidden
    assert np.flatnonzero(data.is_neutral).tolist() == [0, 11]
    (tree / "AU_OCC" / "F001_T1.csv").write_text("0,6,12\n1,0\n")
    with pytest.raises(BadFile, match="damaged"):
        read_action_units(tree / "AU_OCC" / "F001_T1.csv")


def test_levels_and_sides() -> None:
    rest = np.random.default_rng(0).normal(size=(50, 3))
    frames = rest + np.array([0.0, 0.005, 1.0, -0.5, -0.1])[:, None, None] * np.array([2.0, 0, 0])
    np.testing.assert_allclose(displacement_level(frames), [0, 0, 1, 0.5, 0.1], atol=1e-9)
    assert moving_sides(frames) == ["", "", "left", "right", ""]
    assert displacement_level(np.stack([rest, rest])).tolist() == [0, 0]


# ---- FLAME


def flame_like() -> Topology:
    """5,023 vertices in three components, of which two have the 546 of FLAME's eyeballs."""
    faces, start = [], 0
    for count in (3931, 546, 546):
        index = np.arange(start, start + count - 2)
        faces.append(np.stack([index, index + 1, index + 2], axis=1))
        start += count
    angle = np.linspace(0, 60, 5023)
    template = np.stack([70 * np.sin(angle), np.linspace(-90, 120, 5023), 60 * np.cos(angle)], axis=1)
    return Topology("head", np.concatenate(faces), template)


def test_flame_registrations_with_the_model(tmp_path: Path) -> None:
    topology = flame_like()
    mask = eyeball_mask(topology)
    assert mask.sum() == 2 * 546 and not mask[:3931].any() and not len(eyeball_mask(people().data.topology))
    tree, base = tmp_path / "voca", topology.template.astype(np.float64)
    for person in range(2):
        write(tree / "templates" / f"P{person}.ply", base + person, 0.001, topology)
        write(tree / f"P{person}" / "smile.ply", base * (1, 1, 1.01) + person, 0.001, topology)
        for frame in range(3):
            shape = base * (1, 1 + 0.01 * frame, 1) + person
            write(tree / f"P{person}" / "sentence01" / f"sentence01.{frame:06d}.ply", shape, 0.001, topology)
            write(tree / f"P{person}" / "jaw" / f"jaw.{frame:06d}.ply", shape, 0.001, topology)
    np.savez(tmp_path / "flame.npz", v_template=base / 1000, f=topology.faces)
    data = prepared("flame", tree, tmp_path / "out", flame=tmp_path / "flame.npz")
    np.testing.assert_allclose(data.topology.template, topology.template, atol=1e-4)
    assert data.topology.regions["eyeballs"].sum() == 1092 and data.expressions == ("jaw", "smile")
    assert len(data) == 16 and not data.row_labeled("expression")[data.row_clip == 1].any()
    jaw = np.flatnonzero((data.row_subject == 0) & (data.label == 0))
    np.testing.assert_allclose(data.row_weights[jaw, 0], [0.5, 1.0], atol=1e-3)
    np.savez(tmp_path / "other.npz", v_template=base / 1000, f=topology.faces[:-1])
    with pytest.raises(WrongTopology, match="FLAME model"):
        prepared("flame", tree, tmp_path / "no", flame=tmp_path / "other.npz")


def test_a_pickled_flame_model_is_not_opened(tmp_path: Path) -> None:
    trap = tmp_path / "generic_model.pkl"
    trap.write_bytes(b"cos\nsystem\n(S'touch trapped'\ntR.")
    with pytest.raises(BadFile, match="runs when it is opened.*savez"):
        load_flame(trap)
    (tmp_path / "empty.npz").write_bytes(b"PK")
    with pytest.raises(BadFile, match="damaged or no .npz file"):
        load_flame(tmp_path / "empty.npz")


# ---- all sets


@pytest.mark.parametrize("name", FIELD_SETS)
def test_a_folder_without_the_set_says_where_to_apply(name: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    kind = field_set(name)
    told = run(capsys, "data", "prepare", name, tmp_path / "empty", "--out", tmp_path / "out")
    assert kind.layout in told.sentence and kind.apply in told.sentence and not (tmp_path / "out").exists()
    with pytest.raises(DataMissing, match="unpack the archives"):
        prepare_field(kind, tmp_path / "file.zip", tmp_path / "out")
    page = (Path(__file__).parent.parent / "docs" / "data" / f"{name}.md").read_text(encoding="utf-8")
    for heading in ("What it is", "How to get it", "The tree", "What the reader does", "Cite"):
        assert f"## {heading}\n" in page, heading
    assert all(f"`{selection}`" in page for selection in kind.selections)
    assert f"mien data prepare {name} " in page
    index = (Path(__file__).parent.parent / "docs" / "data" / "README.md").read_text(encoding="utf-8")
    assert f"[`{name}`]({name}.md)" in index


def test_unknown_names_and_misplaced_flags(facescape: Path, tmp_path: Path, capsys: Capture) -> None:
    out = ("--out", tmp_path / "out")
    assert "did you mean 'facescape'" in run(capsys, "data", "prepare", "facescpe", facescape, *out).sentence
    assert "--table" in run(capsys, "data", "prepare", "coma", facescape, *out, "--table", "x.csv").sentence
    told = run(capsys, "data", "prepare", "folder", facescape, *out, "--select", "x")
    assert "--select" in told.sentence
    with pytest.raises(UnknownName, match="frames"):
        prepared("coma", facescape, tmp_path / "out", "frame")
    with pytest.raises(UnknownName):
        field_set("faces")


def test_prepare_by_command(
    facescape: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run(capsys, "data", "prepare", "facescape", facescape, "--out", tmp_path / "out", "--align")
    assert told.code == 0 and "60 faces of 3 people" in told.out
    assert "millimeters" in told.err and "info_list" in told.err
    assert run(capsys, "data", "check", tmp_path / "out").code == 2, (
        "its maps lie outside, and nobody allowed that"
    )
    monkeypatch.setenv("MIEN_TEXTURES", str(facescape))
    assert run(capsys, "data", "check", tmp_path / "out").code == 0
    data = FaceDataset.load(tmp_path / "out")
    still = data.topology.regions["rigid"]
    offset = (data[:] - data.topology.template)[:, still].mean(axis=1)
    assert np.abs(offset).max() < 1e-3 and 0.2 < still.mean() < 0.4  # aligned by what moves least


def test_unregistered_scans_are_refused(tmp_path: Path) -> None:
    """An owner's raw scans have a mesh each; the sentence names the file and the way on."""
    tree = clip_tree(tmp_path / "tree", ["F001/Happy"], frames=2, apex=1)
    bigger = flame_like()
    write(tree / "F001" / "Happy" / "001.obj", bigger.template, topology=bigger)
    with pytest.raises(WrongTopology, match="001.obj.*correspondence"):
        prepared("bu4dfe", tree, tmp_path / "out")


def test_files_come_in_natural_order_and_one_form(tmp_path: Path) -> None:
    for name in ("10.obj", "9.ply", "9.obj", "b/2.ply", ".hidden.obj", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert [path.name for path in mesh_files(tmp_path)] == ["9.obj", "10.obj", "2.ply"]
    assert sorted(["a10", "a9", "b1"], key=natural) == ["a9", "a10", "b1"]
