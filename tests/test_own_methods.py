"""Methods outside Mien: one file each, from training to export; whose code runs, and what is refused."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Studio, run, tree
from fixtures import planted, tiny_data, tiny_topology

import mien
from mien.data.dataset import FaceDataset
from mien.errors import BadFile, BadSetting, DataMissing, MienError, Note, UnknownName
from mien.models import registry
from mien.models.own_code import PREFIX, address_of, class_at
from mien.training.plan import RUN_OPTIONS
from mien.viewer import Engine
from mien.viewer import Studio as Viewer

ROOT = Path(__file__).parent.parent
TUCKER = f"{ROOT / 'examples' / '07_closed_form_method.py'}:Tucker"
SWAP = f"{ROOT / 'examples' / '08_learned_method.py'}:Swap"
OWN = {
    TUCKER: ["--set", "people=6", "--set", "poses=6"],
    SWAP: ["--profile", "smoke", "--set", "steps=40", "--set", "hidden=24"],
}

# A method in a few lines: the mean face plus one number a person and one an expression.
PLAIN = '''
import torch
from mien import Codes, FaceModel, Reference

class Plain(FaceModel):
    """One axis for people, one for expressions."""
    name = "plain"
    reference = Reference("me2026", "Me", "Plain", "here", 2026)
    def __init__(self, topology, expressions, size: float = 1.0):
        super().__init__(topology, expressions)
        self.size = size
        self.register_buffer("axes", torch.zeros(2, topology.vertex_count * 3))
    def prepare(self, data):
        flat = torch.from_numpy(data[:]).flatten(1) - torch.from_numpy(data.topology.template).flatten()
        self.axes = torch.pca_lowrank(flat, 2, center=False)[2].T.contiguous()
    def encode(self, vertices, *, neutral=None):
        template = torch.from_numpy(self.topology.template).flatten()
        return Codes(*((vertices.flatten(1) - template) @ self.axes.T).split(1, dim=1))
    def decode(self, codes):
        joint = torch.cat([codes.identity, codes.expression], 1)
        return torch.from_numpy(self.topology.template) + (joint @ self.axes).unflatten(1, (-1, 3))
'''


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The file of the class ``Plain``."""
    path = tmp_path / "code" / "plain_method.py"
    path.parent.mkdir()
    path.write_text(PLAIN)
    return path


@pytest.fixture
def saved(plain: Path, tmp_path: Path) -> Path:
    """A model folder of ``Plain``."""
    mien.train(f"{plain}:Plain", tiny_data(), out=tmp_path / "saved")
    return tmp_path / "saved"


# ---- the two examples, through the command line


@pytest.fixture(scope="module")
def runs(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each example, trained by the command line."""
    from mien.cli import command

    folder = tmp_path_factory.mktemp("own")
    found = {address: folder / address.rpartition(":")[2].lower() for address in OWN}
    for address, settings in OWN.items():
        arguments = ["train", address, "--data", str(studio.data), "--out", str(found[address]), *settings]
        assert command(arguments) == 0
    return found


def test_own_methods_are_judged_beside_built_in_ones(
    runs: dict[str, Path], studio: Studio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = [item for address in OWN for item in ("--code", address)]
    told = run(
        capsys, "evaluate", *runs.values(), studio.model, "--data", studio.data, "--no-controls", "--json",
        "--out", tmp_path / "tables", *code,
    )  # fmt: skip
    assert told.code == 0, told.err
    report = mien.Report.load(tmp_path / "tables" / "report.json")
    errors = {name: report.value(name, "rec_avd_mesh") for name in ("tucker", "swap", "model")}
    assert 0 < errors["model"] < errors["tucker"] < 3 and np.isfinite(errors["swap"])
    card = (runs[TUCKER] / "README.md").read_text()
    assert "vlasic2005face" in card and f"| rec_avd_mesh | mean: {errors['tucker']:.4g}" in card


@pytest.mark.parametrize("address", OWN, ids=lambda text: text.rpartition(":")[2])
def test_an_own_method_is_rigged_exported_and_viewed(
    address: str, runs: dict[str, Path], studio: Studio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = runs[address]
    told = run(capsys, "rig", folder, studio.neutral, "-o", tmp_path / "rig.glb", "--trust-code")
    assert told.code == 0, told.err
    names = json.loads(read_json(tmp_path / "rig.glb"))["meshes"][0]["extras"]["targetNames"]
    assert tuple(names) == studio.faces.expressions
    again = mien.load_model(folder, trust_code=True)
    face = mien.read_face(studio.neutral, again.topology)[0]
    assert np.isfinite(mien.rig(again, face).targets).all()
    engine = Engine("own", again)
    viewer = Viewer([engine])
    state = viewer.history.state
    moved = engine.face(state.__class__(**(vars(state) | {"pose": {"smile": 1.0}})))
    assert np.abs(moved - engine.face(state)).max() > 0.5
    page = tmp_path / "page.html"
    told = run(capsys, "share", folder, studio.neutral, "--people", "1", "-o", page, "--code", address)
    assert told.code == 0 and page.stat().st_size > 100_000, told.err
    pytest.importorskip("onnxruntime")
    told = run(capsys, "export", folder, "-o", tmp_path / "face.onnx", "--code", address, "--json")
    assert told.code == 0 and told.json["difference_mm"] < 1e-3


def read_json(path: Path) -> bytes:
    """The JSON part of a GLB."""
    content = path.read_bytes()
    return content[20 : 20 + int.from_bytes(content[12:16], "little")]


def test_tucker_finds_a_multilinear_truth() -> None:
    """Faces that are exactly bilinear come back, and so do people at rest of whom only a smile is seen."""
    generator, topology = np.random.default_rng(3), tiny_topology()
    core = generator.normal(size=(3, 3, topology.vertex_count * 3))
    people, poses = generator.normal(size=(14, 3)), generator.normal(size=(4, 3))
    people[:, 0] = poses[:, 0] = 1  # what all share
    cells = topology.template.ravel() + 2 * np.einsum("si,ej,ijv->sev", people, poses, core)
    weights = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    data = FaceDataset(
        topology, ("smile", "frown", "blink"), cells.reshape(56, -1, 3).astype(np.float32),
        np.tile(weights, (14, 1)), np.repeat(np.arange(14), 4), tuple(f"p{k}" for k in range(14)),
    )  # fmt: skip
    model = class_at(TUCKER)(topology, data.expressions, people=3, poses=3, ridge=1e-5)
    train, unseen = data.take(np.arange(48)), data.take(np.arange(48, 56))
    # A cell that nobody scanned is filled by the decomposition itself.
    with torch.no_grad():
        model.prepare(train.take(np.delete(np.arange(48), 5)))
        filled = model.mean_face + torch.einsum("i,j,ijv->v", model.who[1], model.what[1], model.core)
        assert (
            np.abs(filled.numpy() - cells[1, 1]).max() < 0.02 * np.abs(cells[1, 1] - cells[1].mean(0)).max()
        )
        model.prepare(train)
        model.calibrate(train)
        codes = model.encode(torch.from_numpy(unseen[:]))
        assert float((model.decode(codes) - torch.from_numpy(unseen[:])).abs().max()) < 0.02
        # One face leaves a common factor of both codes open; a constant that all people share settles it.
        constant = torch.linalg.lstsq(model.who, torch.ones(len(model.who), 1)).solution
        codes = codes.replace(identity=codes.identity / (codes.identity @ constant))
        rest = model.neutral_face(codes).numpy()
    assert np.abs(rest - unseen.neutral_of(np.arange(8))).max() < 0.01


# ---- whose code runs


def test_a_folder_names_its_class_and_runs_nothing_by_itself(
    saved: Path, plain: Path, studio: Studio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = json.loads((saved / "config.json").read_text())["code"]
    assert record["class"] == "Plain" and record["address"] == "../code/plain_method.py:Plain"
    plain.write_text(PLAIN + "\nopen(__file__ + '.ran', 'w').close()\n")
    before = tree(tmp_path)
    for arguments in (
        ["rig", saved, studio.neutral, "-o", tmp_path / "rig.glb"],
        ["evaluate", saved, "--data", studio.data],
        ["export", saved, "-o", tmp_path / "face.onnx"],
        ["info", saved],
        ["generate", studio.model, "-n", "1", "--expression-of", studio.smile, "-o", tmp_path / "x"][:1]
        + [saved, "-n", "1", "-o", tmp_path / "x"],
    ):
        sentence = run(capsys, *arguments).sentence
        assert "names code that is not Mien's" in sentence and "--trust-code" in sentence
    assert tree(tmp_path) == before
    with pytest.warns(Note, match="plain_method.py has changed since"):
        mien.load_model(saved, trust_code=True)
    told = run(capsys, "info", saved, "--trust-code", "--json")
    assert told.code == 0
    assert told.err == f"Note: plain_method.py has changed since the model in {saved} was saved.\n"
    assert plain.with_name("plain_method.py.ran").is_file()


@pytest.mark.parametrize("address", ["{path}:Plain", "plain_method:Plain"])
def test_a_config_cannot_smuggle_an_address_in(
    address: str, saved: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a folder calls its model is a name and never an address."""
    plain.write_text(PLAIN + "\nopen(__file__ + '.ran', 'w').close()\n")
    monkeypatch.syspath_prepend(str(plain.parent))
    config = json.loads((saved / "config.json").read_text())
    del config["code"]
    config["model"] = address.format(path=plain)
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnknownName, match="unknown model"):
        mien.load_model(saved)
    assert not plain.with_name("plain_method.py.ran").exists()


def test_the_same_faces_after_loading(saved: Path, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = mien.load_model(saved, method=f"{plain}:Plain")
    trusted = mien.load_model(saved, trust_code=True)
    assert type(given) is type(trusted) and type(given).__module__.startswith(PREFIX)
    faces = torch.from_numpy(tiny_data()[:3])
    assert torch.equal(given.decode(given.encode(faces)), trusted.decode(trusted.encode(faces)))
    mien.save_model(trusted, saved.parent / "again")
    assert torch.equal(mien.load_model(saved.parent / "again", trust_code=True).axes, given.axes)
    told = run(capsys, "info", saved, "--code", f"{plain}:Plain", "--json")
    assert told.json["model"] == "plain" and "me2026" in told.json["citation"]
    with pytest.raises(BadSetting, match="holds another method than PCA"):
        mien.load_model(saved, method="pca")


def test_folder_and_file_may_move_together_and_are_missed_apart(saved: Path, plain: Path) -> None:
    moved = saved.parent / "elsewhere"
    moved.mkdir()
    shutil.move(saved, moved / "saved")
    with pytest.raises(
        DataMissing, match="the file with the class Plain of this model does not exist.*--code"
    ):
        mien.load_model(moved / "saved", trust_code=True)
    shutil.move(plain.parent, moved / "code")
    assert mien.load_model(moved / "saved", trust_code=True).name == "plain"


def test_a_class_of_a_session_is_given_again(tmp_path: Path) -> None:
    class Local(class_at(TUCKER)):  # type: ignore[misc]
        name = "local"

    assert address_of(Local) is None
    model = mien.train(Local, tiny_data(), out=tmp_path / "local", people=4, poses=4)
    with pytest.raises(BadFile, match="names code that is not Mien's"):
        mien.load_model(tmp_path / "local")
    with pytest.raises(DataMissing, match="Local of this model was defined in a session"):
        mien.load_model(tmp_path / "local", trust_code=True)
    again = mien.load_model(tmp_path / "local", method=Local)
    assert torch.equal(again.core, model.core)


def test_a_class_in_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, studio: Studio,
                             capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """The working directory counts, as it does for ``python -m``; what a module needs beside it, too."""
    (tmp_path / "tucker_own.py").write_text(
        PLAIN.replace('"plain"', "NAME").replace(
            "import torch", "import torch\nfrom names_of_own import NAME"
        )
    )
    (tmp_path / "names_of_own.py").write_text('NAME = "own"\n')
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    told = run(capsys, "train", "tucker_own:Plain", "--data", studio.data, "--out", "own")
    assert told.code == 0 and sys.path == before, told.err
    assert json.loads(Path("own/config.json").read_text())["code"]["address"] == "tucker_own:Plain"
    assert run(capsys, "info", "own", "--trust-code").code == 0
    assert "own: One axis for people" in run(capsys, "info", "tucker_own:Plain").out
    assert "@inproceedings{me2026" in run(capsys, "cite", "tucker_own:Plain").out


# ---- entry points


@pytest.fixture
def packages(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed packages with one good and three broken methods."""
    monkeypatch.syspath_prepend(str(plain.parent))
    (plain.parent / "broken_method.py").write_text("raise RuntimeError('no license')\n")
    values = {
        "plain": "plain_method:Plain", "broken": "broken_method:Plain", "absent": "no_such_package:Plain",
        "pca": "plain_method:Plain", "other": "plain_method:Plain",
    }  # fmt: skip
    points = [EntryPoint(name, value, registry.GROUP) for name, value in values.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "mien.models" else [])
    monkeypatch.delitem(sys.modules, "plain_method", raising=False)


def test_methods_of_packages_are_listed_and_broken_ones_named(
    packages: None, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(capsys, "list")
    assert told.code == 0 and "plain  (Me 2026)" in told.out and "pca  (Blanz and Vetter 1999)" in told.out
    told_of = dict(re.findall(r"The method '(\w+)' of an installed package does not work: (.*)", told.err))
    assert set(told_of) == {"broken", "absent", "pca", "other"}
    assert "cannot be imported; received RuntimeError from broken_method: no license" in told_of["broken"]
    assert "there is no such module" in told_of["absent"]
    assert "adds a method under a name of Mien's own" in told_of["pca"]
    assert "the entry point 'other' leads to a method of another name" in told_of["other"]
    rows = run(capsys, "list", "--json").json
    assert list(rows) == [*registry.MODELS, "plain"] and rows["plain"]["reconstruct"] == "derived"
    assert "plain" not in run(capsys, "list", "--markdown").out


def test_a_method_of_a_package_is_found_and_trusted_by_name(
    packages: None, studio: Studio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = run(capsys, "train", "plain", "--data", studio.data, "--out", tmp_path / "run")
    assert told.code == 0, told.err
    assert "code" not in json.loads((tmp_path / "run" / "config.json").read_text())
    assert mien.load_model(tmp_path / "run").name == "plain"
    assert (
        "did you mean 'plain'" in run(capsys, "train", "plane", "--data", studio.data, "--out", "x").sentence
    )


# ---- mien.train


def test_train_goes_on_from_a_model_that_exists(tmp_path: Path) -> None:
    data, kind = tiny_data(), class_at(SWAP)
    torch.manual_seed(0)
    model = kind(data.topology, data.expressions, hidden=8)
    before = model.encoder[0].weight.detach().clone()
    options = {"profile": "smoke", "accelerator": "cpu", "progress": False, "batch_size": 8}
    trained = mien.train(model, data, out=tmp_path / "on", steps=1, rate=1e-6, **options)
    assert trained is model and 0 < float((model.encoder[0].weight.detach() - before).abs().max()) < 1e-4
    facts = json.loads((tmp_path / "on" / "config.json").read_text())
    assert facts["config"]["hidden"] == 8 and facts["facts"]["plan"]["settings"]["steps"] == 1
    with pytest.raises(UnknownName, match="setting of swap"):
        mien.train(model, data, out=tmp_path / "other", hidden=16)
    with pytest.raises(BadSetting, match="other expressions than the data set"):
        mien.train(kind(data.topology, ("smile",)), data, out=tmp_path / "third", **options)


def test_train_takes_a_folder_and_a_recipe(studio: Studio, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("model: pca\ndata: {name: mine}\nsettings: {size: 9, expression_size: 4}\nseeds: [3]\n")
    model = mien.train(str(recipe), studio.data, out=tmp_path / "run", size=8)
    assert model.config == {"size": 8, "expression_size": 4}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["seed"] == 3
    assert (tmp_path / "run" / "README.md").is_file()


def test_settings_and_options_are_told_apart(tmp_path: Path) -> None:
    assert (*RUN_OPTIONS, "settings") == tuple(inspect.signature(mien.train).parameters)
    source = PLAIN.replace("size: float = 1.0", "seed: int = 1").replace("self.size = size", "pass")
    (tmp_path / "clash.py").write_text(source)
    with pytest.raises(BadSetting, match="named like an option of every training run; received seed"):
        mien.train(f"{tmp_path / 'clash.py'}:Plain", tiny_data(), out=tmp_path / "run")
    (tmp_path / "needs.py").write_text(PLAIN.replace("size: float = 1.0", "size: float"))
    with pytest.raises(BadSetting, match="plain has arguments without a default; received no size"):
        mien.train(f"{tmp_path / 'needs.py'}:Plain", tiny_data(), out=tmp_path / "run")
    assert mien.train(f"{tmp_path / 'needs.py'}:Plain", tiny_data(), out=tmp_path / "run", size=2).size == 2


# ---- bad input: one sentence each

WRONG = {
    "absent file": (None, "there.py:Plain", "the file of the class does not exist"),
    "absent module": (None, "no_such_module_of_mine:Plain", "there is no such module"),
    "absent class": (PLAIN, "it.py:Plein", "class of it.py; received 'Plein'; did you mean 'Plain'"),
    "no class": (PLAIN + "\nThing = 3\n", "it.py:Thing", "it.py:Thing is no FaceModel; received int 3"),
    "no model": ("class Thing: pass\n", "it.py:Thing", "is no FaceModel; received the class Thing"),
    "raises": ("import os\n1 / 0\n", "it.py:Thing", "imported; received ZeroDivisionError from .*it.py"),
    "is no Python": ("class :\n", "it.py:Thing", "cannot be imported; received SyntaxError"),
    "ends": ("import sys\nsys.exit(3)\n", "it.py:Thing", "cannot be imported; received SystemExit"),
    "needs": ("import not_there_at_all\n", "it.py:Thing", "cannot be imported; received ModuleNotFoundError"),
    "no name": (PLAIN.replace('name = "plain"', ""), "it.py:Plain", "it.py:Plain has no name"),
    "no reference": (PLAIN.replace("reference =", "unused ="), "it.py:Plain", "Plain has no reference"),
    "no decode": (PLAIN.replace("def decode", "def decoded"), "it.py:Plain", "Plain lacks the verb decode"),
    "no encode": (PLAIN.replace("def encode", "def encoded"), "it.py:Plain", "Plain lacks the verb encode"),
    "taken name": (PLAIN.replace('"plain"', '"pca"'), "it.py:Plain", "Plain bears the name of a method"),
    "own error": (
        PLAIN.replace("flat = ", "flat = missing + "), "it.py:Plain",
        r"own code stopped this command \(it.py, line 14: NameError: name 'missing'",
    ),
    "odd argument": (
        PLAIN.replace("size: float = 1.0", "size=torch.ones(1)"), "it.py:Plain",
        "constructor argument 'size' of plain is no plain JSON value; received Tensor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_method_is_refused_in_one_sentence(
    case: str,
    studio: Studio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content, address, expected = WRONG[case]
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("it.py").write_text(content)
    told = run(capsys, "train", address, "--data", studio.data, "--out", "run")
    assert re.search(expected, told.sentence), told.sentence
    assert not Path("run/config.json").exists()
    if case not in ("own error", "odd argument"):
        assert not Path("run").exists() and run(capsys, "info", address).sentence == told.sentence


@pytest.mark.parametrize(
    ("old", "new"), [("size: float", "width: float"), ("size: float = 1.0", "size: float, more: int")]
)
def test_a_class_that_changed_its_arguments_is_told(old: str, new: str, saved: Path, plain: Path) -> None:
    plain.write_text(PLAIN.replace(old, new).replace("self.size = size", "pass"))
    with (
        pytest.warns(Note, match="has changed since"),
        pytest.raises(
            BadFile, match="saved with other arguments than Plain takes today; received (size|more)"
        ),
    ):
        mien.load_model(saved, trust_code=True)


def test_a_damaged_code_record_is_told(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    for record in ("plain", {"class": "Plain"}, {"class": "Plain", "address": 3}):
        (saved / "config.json").write_text(json.dumps(config | {"code": record}))
        with pytest.raises(MienError, match="config.json is damaged"):
            mien.load_model(saved, trust_code=True)


def test_a_model_that_was_never_calibrated_says_so() -> None:
    data = planted(subjects=12).data
    model = class_at(TUCKER)(data.topology, data.expressions, people=4, poses=4).eval()
    with torch.no_grad():
        model.prepare(data.split("train"))
    names, spots = ("point_4", "point_13", "point_22"), [4, 13, 22]
    for use in (
        lambda: mien.rig(model, data[0]),
        lambda: mien.evaluate({"own": model}, data, controls=()),
        lambda: mien.generate(model, 1, seed=0, weights={}),
        lambda: mien.fit_landmarks(model, data[0][spots], names),
    ):
        with pytest.raises(BadSetting, match="(the model|own|tucker) was never calibrated.*model.calibrate"):
            use()


def test_a_model_folder_of_format_2_still_loads() -> None:
    """Written before methods could live outside Mien."""
    folder = Path(__file__).parent / "data" / "model_format_2"
    model = mien.load_model(folder)
    assert model.name == "morphable" and json.loads((folder / "config.json").read_text())["format"] == 2
    faces = mien.generate(model, 2, seed=7, weights={"smile": 0.8})
    np.testing.assert_allclose(faces, np.load(folder / "faces.npy"), atol=1e-4)
