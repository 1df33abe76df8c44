"""The demo runs from nothing to a report, goes on where it was stopped, and touches nobody's folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run, tree

from mien.demo import Size, run_demo
from mien.demo.head import performance
from mien.demo.head_page import posed, rig_facts, transfer_verdict
from mien.demo.verdicts import verdict, winners_of
from mien.errors import BadSetting
from mien.evaluation.tables import Table
from mien.io.gltf import read_glb_targets
from mien.io.mesh import read_mesh

TINY = Size(
    6,
    400,
    (
        ("steps", 2),
        ("pretraining_steps", 1),
        ("validate_every", 1),
        ("closed_form_finish", 2),
        ("batch_size", 8),
    ),
    40,
    heads=2,
    skin=None,
    source="procedural",
)
ADVICE = "it had 200 steps of training here."
RESULTS = (
    "head/head.obj",
    "head/rig.glb",
    "head/clip.glb",
    "head/report.json",
    "faces/dataset.json",
    "tables/report.md",
    "people/people.csv",
    "rig.glb",
    "clip.glb",
    "report.html",
)


@pytest.mark.usefixtures("unlooked")
def test_the_whole_path(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    report = run_demo(out, size=TINY)
    assert report == out / "report.html"
    for name in RESULTS:
        assert (out / name).is_file(), name
    page = report.read_text(encoding="utf-8")
    assert "gu2023adversarial" in page and "mien rig" in page and "Neutralization" in page
    assert not any(part in page for part in ('src="http', 'href="http', "url(http"))
    assert len(read_glb_targets(out / "rig.glb").names) == 19
    check_order(page)
    check_head(out / "head")

    # Stopped before the report: what is done is kept, the rest is done again.
    report.unlink()
    (out / "rig.glb").unlink()
    (out / "clip.glb").unlink()
    kept = (out / "runs" / "adversarial_vae" / "model.safetensors").stat().st_mtime_ns
    told: list[str] = []
    run_demo(out, size=TINY, tell=told.append)
    assert (
        sum("done before" in line for line in told) == 10
    )  # heads, head, data, four models, tables, people, use
    assert (out / "runs" / "adversarial_vae" / "model.safetensors").stat().st_mtime_ns == kept
    assert report.is_file() and (out / "clip.glb").is_file()

    with pytest.raises(BadSetting, match="in use"):
        run_demo(out, size=Size())


def check_order(page: str) -> None:
    """The best first, and a verdict under every table of the trained system."""
    order = ["A rig for one head", "A performance", "A transfer", "New people", "The data of the trained"]
    order += ["Judged on unseen", "The trained model, used", "Your turn"]
    places = [page.index(f"<h2>{title}") for title in order]
    assert places == sorted(places)
    assert page.index('class="rig"') < places[1]
    judged = page[places[5] : places[6]]
    assert judged.count("<table>") == judged.count('class="verdict"') > 5
    assert "2 steps of training" in judged and "doing nothing" in judged


def check_head(folder: Path) -> None:
    """The files of the head are whole: its own vertices at rest, ARKit names, and a clip that returns."""
    rig, clip = read_glb_targets(folder / "rig.glb"), read_glb_targets(folder / "clip.glb")
    assert len(rig.names) == 51 and rig.names == clip.names and rig.animation is None
    np.testing.assert_allclose(rig.base, read_mesh(folder / "head.obj").vertices, atol=2e-3)
    assert clip.animation is not None
    weights, fps = clip.animation
    np.testing.assert_allclose(weights, performance(clip.names), atol=1e-6)
    assert fps == pytest.approx(30) and not weights[[0, -1]].any() and weights.max() == 1
    jaw = rig.names.index("jawOpen")
    one = posed(rig.base, rig.targets, np.eye(len(rig.names))[[jaw]] / 2)[0]
    np.testing.assert_allclose(one, (rig.base + rig.targets[jaw]) / 2, atol=1e-3)
    assert np.abs(rig.targets[jaw] - rig.base).max() > 10


def test_the_verdict_says_who_wins() -> None:
    header = ("system", "neu_avd: mean ± std / median", "95 %", "triplet")
    rows = (
        ("net (64 + 64)", "1.31 ± 0.10 / 1.30", "0.1 to 0.2", "2.00"),
        ("pca (9 + 20)", "1.20 ± 0.10 / 0.90", "0.1 to 0.2", "1.50"),
        ("*input as prediction*", "1.19 ± 1.00 / 1.80", "–", ""),
        ("given", "– (1)", "– (1)", "– (1)"),
    )
    table = Table("Neutralization", "", header, rows)
    assert winners_of(table) == {header[1]: ("input as prediction",), "triplet": ("pca",)}
    assert verdict(table, "net", ADVICE) == (
        f"**input as prediction** wins neu_avd; **pca** wins triplet. `net` wins 0 of 2: {ADVICE}"
    )
    assert verdict(table, "pca", ADVICE).endswith(f"`pca` wins 1 of 2: {ADVICE}")


def test_a_verdict_knows_which_way_is_good() -> None:
    header = ("system", "person from identity", "person from expression")
    rows = (
        ("net", "90.0 (80 to 95)", "9.0"),
        ("pca", "**95.0** (9 to 99)", "40.0"),
        ("*chance*", "100.0", "2.5"),
    )
    said = verdict(Table("Leakage", "", header, rows), "net", ADVICE)
    assert said.startswith("**pca** wins person from identity; **net** wins person from expression.")
    walk = Table(
        "Interpolation", "", ("system", "identity: length"), (("a", "1.02"), ("b", "0.90"), ("c", "1.30"))
    )
    assert verdict(walk, "a", ADVICE) == "**a** wins identity: length."
    size = Table("Size and speed", "", ("system", "parameters"), (("a", "1,372,560"), ("b", "53,041")))
    assert winners_of(size) == {"parameters": ("b",)}
    assert verdict(size, "a", ADVICE) == "**b** wins parameters."  # training longer makes nothing smaller
    rebuilt = Table(
        "Systems side by side", "", ("system", "reconstruction"), (("a", "**2.1**"), ("b", "0.000"))
    )
    assert winners_of(rebuilt, ["b"]) == {"reconstruction": ("a",)}
    assert winners_of(rebuilt) == {"reconstruction": ("b",)}
    tied = Table("Recognition", "", ("system", "by mesh"), (("a", "50.0"), ("b", "50.0"), ("c", "– (1)")))
    assert verdict(tied, "c", "more.") == "**a and b** win by mesh. `c` wins 0 of 1: more."
    assert verdict(Table("Recognition", "", ("system", "by mesh"), (("a", "– (1)"),)), "a", "").startswith(
        "No winner"
    )
    turned = Table("Expression transfer by expression", "", ("expression", "a", "b"),
                   (("smile", "1.0", "2.0"), ("anger", "2.0", "1.0")))  # fmt: skip
    assert verdict(turned, "b", "m.") == "**a** wins smile; **b** wins anger. `b` wins 1 of 2: m."


def test_numbers_stand_beside_what_is_good() -> None:
    def target(name: str, leak: float, **gaps: float) -> dict[str, object]:
        return {"name": name, "leak": leak, "largest_mm": 3.0, "lid_gap_mm": gaps}

    targets = [
        target("eyeBlinkLeft", 0.01, left=0.25),
        target("jawOpen", 0.04),
        target("blink", 0, right=-2.0),
    ]
    facts = rig_facts(
        {"linearity_mm": 0.0, "report": {"targets": targets, "lips_mm": 0.48, "mouth_covered": 0.12}}
    )
    assert list(facts.values()) == ["0.00 mm", "0.25 mm", "0.48 mm", "12.0 %", "4.0 %"]
    assert all("good: " in name for name in facts) and "of jawOpen" in list(facts)[-1]
    assert len(rig_facts({"linearity_mm": 0.0, "report": None})) == 1
    assert "25% nearer" in transfer_verdict(1.5, 2.0) and "Doing nothing wins" in transfer_verdict(2.0, 1.5)


def test_a_folder_of_something_else_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "in use by something else" in run(capsys, "demo", "--out", tmp_path).sentence
    assert tree(tmp_path) == ["thesis.tex"]
