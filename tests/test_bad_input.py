"""What users get wrong ends in one sentence and exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import io
import json
import resource
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from commands import Studio, Told, run, tree

from mien.errors import BadFile
from mien.io.mesh import read_mesh, write_obj
from mien.models.files import FORMAT

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def refused(studio: Studio, capsys: Capture, tmp_path: Path) -> Callable[..., str]:
    """Neutralizes a mesh, expects one sentence, and checks that no output is left."""

    def neutralize(mesh: Path) -> str:
        before = tree(tmp_path)
        told = run(capsys, "neutralize", studio.model, mesh, "-o", tmp_path / "result" / "rest.obj")
        assert tree(tmp_path) == before
        return told.sentence

    return neutralize


def edited(studio: Studio, path: Path, edit: Callable[[list[str]], list[str]]) -> Path:
    """The example's OBJ with its lines changed."""
    path.write_text("\n".join(edit(studio.smile.read_text().splitlines())) + "\n")
    return path


# ---- meshes


def test_missing_mesh(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere.obj")


def test_empty_mesh(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty.obj").touch()
    assert "empty" in refused(tmp_path / "empty.obj")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_mesh(refused: Callable[..., str], studio: Studio, tmp_path: Path, share: float) -> None:
    text = studio.smile.read_bytes()
    (tmp_path / "cut.obj").write_bytes(text[: int(share * len(text))])
    assert "cut.obj" in refused(tmp_path / "cut.obj")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400"])
def test_vertices_that_are_not_finite(
    refused: Callable[..., str], studio: Studio, tmp_path: Path, number: str
) -> None:
    def spoil(lines: list[str]) -> list[str]:
        first = next(row for row, line in enumerate(lines) if line.startswith("v "))
        return [*lines[:first], f"v 0 {number} 0", *lines[first + 1 :]]

    assert "NaN or infinite" in refused(edited(studio, tmp_path / "spoiled.obj", spoil))


@pytest.mark.parametrize("face", ["f 1 2 99999", "f 0 1 2", "f 1 2 -99999", "f 1 2", "f a b c"])
def test_faces_out_of_range(refused: Callable[..., str], studio: Studio, tmp_path: Path, face: str) -> None:
    sentence = refused(edited(studio, tmp_path / "faces.obj", lambda lines: [*lines, face]))
    assert "faces.obj" in sentence


def test_another_topology(refused: Callable[..., str], studio: Studio, tmp_path: Path) -> None:
    mesh = read_mesh(studio.smile)
    fewer = mesh.faces[(mesh.faces < 60).all(axis=1)]
    write_obj(tmp_path / "other.obj", mesh.vertices[:60], fewer)
    sentence = refused(tmp_path / "other.obj")
    assert "no face can be found on 'other'" in sentence and "landmarks" in sentence


def test_another_vertex_order_is_registered(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    mesh = read_mesh(studio.smile)
    order = np.random.default_rng(0).permutation(len(mesh.vertices))
    faces = np.argsort(order)[mesh.faces].astype(np.int32)
    write_obj(tmp_path / "shuffled.obj", mesh.vertices[order], faces)
    out = tmp_path / "rest.obj"
    told = run(capsys, "neutralize", studio.model, tmp_path / "shuffled.obj", "-o", out)
    assert told.code == 0 and "registered, as its topology (120 vertices) is not the model's" in told.err
    np.testing.assert_array_equal(read_mesh(out).faces, faces)


def test_a_size_that_no_unit_explains(refused: Callable[..., str], studio: Studio, tmp_path: Path) -> None:
    mesh = read_mesh(studio.smile)
    write_obj(tmp_path / "giant.obj", mesh.vertices * 77, mesh)
    assert "giant.obj" in refused(tmp_path / "giant.obj")


@pytest.mark.parametrize(("unit", "scale"), [("meters", 0.001), ("centimeters", 0.1)])
def test_other_units_are_accepted_and_said(
    studio: Studio, capsys: Capture, tmp_path: Path, unit: str, scale: float
) -> None:
    mesh = read_mesh(studio.smile)
    write_obj(tmp_path / "small.obj", mesh.vertices * scale, mesh)
    told = run(capsys, "neutralize", studio.model, tmp_path / "small.obj", "-o", tmp_path / "rest.obj")
    assert told.code == 0 and unit in told.err and "scaled" in told.err


def test_a_mesh_on_its_back_is_turned_and_said(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    mesh = read_mesh(studio.smile)
    lying = mesh.vertices @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32).T
    write_obj(tmp_path / "lying.obj", lying, mesh)
    told = run(capsys, "neutralize", studio.model, tmp_path / "lying.obj", "-o", tmp_path / "rest.obj")
    assert told.code == 0 and "+Z was up" in told.err and "turned" in told.err


# ---- names and numbers


def test_unknown_expression_suggests_the_nearest(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    told = run(capsys, "generate", studio.model, "-e", "smlie=0.5", "-o", tmp_path / "people")
    assert "did you mean 'smile'" in told.sentence and tree(tmp_path) == []


@pytest.mark.parametrize("weight", ["smile=a lot", "smile=nan", "smile="])
def test_weights_that_are_no_numbers(studio: Studio, capsys: Capture, tmp_path: Path, weight: str) -> None:
    assert "smile" in run(capsys, "generate", studio.model, "-e", weight, "-o", tmp_path / "x").sentence


def test_unknown_model_setting_profile_and_protocol(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    start = ("--data", studio.data, "--out", tmp_path / "run")
    assert "'morphable'" in run(capsys, "train", "morphabel", *start).sentence
    assert "'identity_size'" in run(capsys, "train", "morphable", *start, "--set", "identity_siz=3").sentence
    assert "'smoke'" in run(capsys, "train", "morphable", *start, "--profile", "smoek").sentence
    assert "'interleaved'" in run(capsys, "train", "morphable", *start, "--protocol", "interleave").sentence
    assert tree(tmp_path) == []


def test_a_motion_that_ends_before_it_starts(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    timing = ("--onset", 0.9, "--apex", 0.6, "-o", tmp_path / "clip.glb")
    assert "onset" in run(capsys, "animate", studio.model, studio.neutral, "-e", "smile", *timing).sentence


def test_what_a_model_cannot_do_is_refused_with_the_reason(
    studio: Studio, capsys: Capture, tmp_path: Path
) -> None:
    data = ("--data", studio.data, "--out", tmp_path / "run")
    assert run(capsys, "train", "mean_expression", *data).code == 0
    told = run(capsys, "generate", tmp_path / "run", "-o", tmp_path / "people")
    assert "cannot generate" in told.sentence and not (tmp_path / "people").exists()
    told = run(capsys, "reconstruct", tmp_path / "run", studio.smile, "-o", tmp_path / "again.obj")
    assert "neutral" in told.sentence


def test_a_kind_of_file_that_cannot_be_written(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    assert ".fbx" in run(capsys, "neutralize", studio.model, studio.smile, "-o", tmp_path / "x.fbx").sentence
    assert "GLB" in run(capsys, "rig", studio.model, studio.neutral, "-o", tmp_path / "x.obj").sentence
    assert tree(tmp_path) == []


# ---- folders


@pytest.mark.parametrize("name", ["vertices.npy", "samples.csv", "topology.npz", "dataset.json"])
def test_data_folder_with_a_missing_file(studio: Studio, capsys: Capture, tmp_path: Path, name: str) -> None:
    shutil.copytree(studio.data, tmp_path / "data")
    (tmp_path / "data" / name).unlink()
    told = run(capsys, "train", "pca", "--data", tmp_path / "data", "--out", tmp_path / "run")
    assert name in told.sentence and not (tmp_path / "run").exists()
    assert name in run(capsys, "data", "info", tmp_path / "data").sentence
    assert run(capsys, "data", "check", tmp_path / "data", "--json").json["missing"] == [name]


@pytest.mark.parametrize("name", ["vertices.npy", "samples.csv", "topology.npz", "dataset.json"])
def test_data_folder_with_a_truncated_file(
    studio: Studio, capsys: Capture, tmp_path: Path, name: str
) -> None:
    shutil.copytree(studio.data, tmp_path / "data")
    path = tmp_path / "data" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged" in run(capsys, "data", "info", tmp_path / "data").sentence
    assert run(capsys, "data", "check", tmp_path / "data").code == 2


@pytest.mark.parametrize("name", ["model.safetensors", "topology.npz", "config.json"])
def test_checkpoint_with_a_flipped_byte(studio: Studio, capsys: Capture, tmp_path: Path, name: str) -> None:
    for place in (0.02, 0.5, 0.98):
        shutil.copytree(studio.model, tmp_path / "model", dirs_exist_ok=True)
        path = tmp_path / "model" / name
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 0xFF
        path.write_bytes(bytes(content))
        told = run(capsys, "generate", tmp_path / "model", "-o", tmp_path / "people")
        assert "damaged" in told.sentence and not (tmp_path / "people").exists()


def test_a_model_folder_of_another_format(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    shutil.copytree(studio.model, tmp_path / "old")
    path = tmp_path / "old" / "config.json"
    config = json.loads(path.read_text())
    for found in (1, FORMAT + 1):
        path.write_text(json.dumps(config | {"format": found, "facts": {"versions": {"mien": "0.0.7"}}}))
        sentence = run(capsys, "neutralize", tmp_path / "old", studio.smile, "-o", tmp_path / "x").sentence
        assert (
            f"reads model folders of format {FORMAT}" in sentence and f"received format {found}" in sentence
        )
        assert "train the model again" in sentence and "(0.0.7)" in sentence and str(tmp_path) in sentence
        assert run(capsys, "info", tmp_path / "old").code == 0  # facts of any version can be read
    for broken in ({k: v for k, v in config.items() if k != "format"}, [config], "config"):
        path.write_text(json.dumps(broken))
        assert "damaged" in run(capsys, "generate", tmp_path / "old", "-o", tmp_path / "x").sentence
    assert not (tmp_path / "x").exists()


def test_an_output_folder_in_use_is_not_touched(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    build = ("data", "build", "procedural", "--subjects", 3)
    assert "exists already" in run(capsys, *build, "--out", tmp_path / "thesis").sentence
    train = ("train", "pca", "--data", studio.data)
    assert "not empty" in run(capsys, *train, "--out", tmp_path / "thesis").sentence
    assert tree(tmp_path) == ["thesis", "thesis/chapter.tex"]


def test_a_folder_of_meshes_that_is_incomplete(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    shutil.copytree(studio.data / "examples", tmp_path / "scans")
    prepare = ("data", "prepare", "folder", tmp_path / "scans", "--out", tmp_path / "data")
    assert "csv" in run(capsys, *prepare).sentence.lower()
    table = tmp_path / "scans" / "labels.csv"
    table.write_text(f"file,subject,expression\n{studio.smile.name},a,smile\nlost.obj,a,neutral\n")
    assert "lost.obj" in run(capsys, *prepare).sentence
    table.write_text(f"file,subject,expression\n../{studio.smile.name},a,smile\n")
    assert "outside" in run(capsys, *prepare).sentence
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil.npy", "a/../../evil.npy"])
def test_an_archive_that_reaches_outside(capsys: Capture, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "release.tar.xz", "w:xz") as archive:
        for path in (name, "FaceXModel/generic_neutral_mesh.obj"):
            entry = tarfile.TarInfo(path)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
    before = tree(tmp_path)
    build = ("data", "build", "ict", "--from", tmp_path / "release.tar.xz", "--subjects", 3)
    told = run(capsys, *build, "--out", tmp_path / "data")
    assert "evil.npy" in told.sentence and tree(tmp_path) == before


def test_an_archive_that_is_none(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "release.tar.xz").write_bytes(b"this is no archive")
    build = ("data", "build", "ict", "--from", tmp_path / "release.tar.xz", "--subjects", 3)
    assert "release.tar.xz" in run(capsys, *build, "--out", tmp_path / "data").sentence
    assert "--from" in run(capsys, "data", "build", "ict", "--subjects", 3, "--out", tmp_path / "x").sentence


# ---- a full disk


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Files of this process cannot grow beyond so many bytes, as when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def on_a_full_disk(capsys: Capture, tmp_path: Path, *arguments: object, limit: int = 2000) -> Told:
    before = tree(tmp_path)
    with full_disk(limit):
        told = run(capsys, *arguments)
    assert tree(tmp_path) == before
    return told


def test_full_disk(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    mesh = ("neutralize", studio.model, studio.smile, "-o", tmp_path / "rest.obj")
    assert "nothing" in on_a_full_disk(capsys, tmp_path, *mesh).sentence
    rig = ("rig", studio.model, studio.neutral, "-o", tmp_path / "rig.glb")
    assert "nothing" in on_a_full_disk(capsys, tmp_path, *rig).sentence


@pytest.mark.parametrize("command", ["generate", "animate", "interpolate"])
def test_a_disk_that_fills_between_two_files(
    studio: Studio, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    written: list[Path] = []

    def until_full(path: Path, content: bytes) -> None:
        if len(written) == 2:
            raise BadFile(f"cannot write {path.name}", received="No space left on device", remedy="free some")
        written.append(path)
        path.write_bytes(content)

    monkeypatch.setattr("mien.io.mesh.write_bytes", until_full)
    rest, smile = studio.neutral, studio.smile
    given = {"generate": (), "animate": (rest, "-e", "smile"), "interpolate": (rest, smile)}[command]
    told = run(capsys, command, studio.model, *given, "-o", tmp_path / "out")
    assert "No space left" in told.sentence and len(written) == 2 and tree(tmp_path) == []


def test_full_disk_while_building_data(capsys: Capture, tmp_path: Path) -> None:
    build = ("data", "build", "procedural", "--subjects", 3, "--vertices", 400, "--out", tmp_path / "data")
    told = on_a_full_disk(capsys, tmp_path, *build, limit=100_000)
    assert "full" in told.sentence


def test_full_disk_while_training_keeps_a_run_that_goes_on(
    studio: Studio, capsys: Capture, tmp_path: Path
) -> None:
    train = ("train", "pca", "--data", studio.data, "--out", tmp_path / "run", "--set", "size=30")
    with full_disk(4000):
        assert run(capsys, *train).code == 2
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert run(capsys, *train, "--resume").code == 0


# ---- text files


def test_damaged_tables_of_landmarks(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    table = tmp_path / "landmarks.csv"
    for text in ("", "name,x,y\na,1,2\n", "name,x,y,z\na,1,2,three\n", "name,x,y,z\nnose_tipp,1,2,3\n"):
        table.write_text(text)
        run(capsys, "fit", studio.model, table, "-o", tmp_path / "face.obj").sentence  # noqa: B018
    assert tree(tmp_path) == ["landmarks.csv"]


def test_a_damaged_run_is_told_from_a_running_one(studio: Studio, capsys: Capture, tmp_path: Path) -> None:
    train = ("train", "pca", "--data", studio.data, "--out", tmp_path / "run", "--set", "size=30")
    assert run(capsys, *train).code == 0
    assert "--resume" in run(capsys, *train).sentence
    assert "other settings" in run(capsys, *train, "--set", "size=31", "--resume").sentence
    (tmp_path / "run" / "run.json").write_text("{")
    assert "damaged" in run(capsys, *train, "--resume").sentence
    facts = json.loads((tmp_path / "run" / "config.json").read_text())
    assert facts["model"] == "pca"
