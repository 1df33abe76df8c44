"""The report page: whole, self-contained, escaped, and alive in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fixtures import EXPRESSIONS, planted
from PIL import Image

from mien.errors import MienError
from mien.evaluation import Table, evaluate
from mien.io.gltf import write_glb
from mien.models import model_class
from mien.report import Figure, Section, pictures_of, write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), "")
TABLE = Table(
    "Reconstruction", "Lower is `better`.", ("system", "mm"),
    (("*PCA*", "0.40"), ("a|b<c", "– (1)")), ("why",),
)  # fmt: skip


@pytest.fixture
def glb(tmp_path: Path) -> bytes:
    world = planted()
    base, path = world.neutrals[0], tmp_path / "rig.glb"
    clip = np.clip(np.eye(len(EXPRESSIONS)) * 2, 0, 1)
    write_glb(path, base, world.data.topology, base + world.expression_axes, EXPRESSIONS, clip=clip)
    return path.read_bytes()


@pytest.fixture
def page(tmp_path: Path, glb: bytes) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    prose = "Made with `mien demo`.\n\nTwo & more.\n\n```\nmien demo\n```"
    noisy, plain = Figure(noise, 'a "noisy" picture'), Figure(Image.new("RGB", (9, 9)))
    sections = [
        Section("Glance", prose, facts={"rec <mm>": 1.2}),
        Section("Rig", rig=glb, rig_colors=np.tile(np.array([[200, 60, 40]], np.uint8), (120, 1))),
        Section("Pictures", pictures=[noisy], gallery=[plain]),
        Section("Tables", tables=[TABLE]),
    ]
    path = tmp_path / "out" / "report.html"
    return write_report(path, title="A <report>", sections=sections, lead="**Bold** & co.")


class Reader(HTMLParser):
    """Collects links, tags and text; complains about tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nobody(page: Path) -> None:
    text = page.read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert all(link.startswith(("#", "data:")) for link in reader.links), reader.links
    assert reader.counts["section"] == 4
    assert reader.counts["img"] == 2
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "default-src 'none'" in text
    assert "://" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)


def test_text_is_escaped_and_marked_up(page: Path) -> None:
    text = page.read_text()
    expected = (
        "A &lt;report&gt;", "<strong>Bold</strong> &amp; co.", "<code>mien demo</code>", "Two &amp; more.",
        "rec &lt;mm&gt;", "a|b&lt;c", "<em>PCA</em>", "(1) why.", 'alt="a &quot;noisy&quot; picture"',
    )  # fmt: skip
    for part in expected:
        assert part in text, part


def test_a_page_without_rig_carries_no_viewer(tmp_path: Path) -> None:
    path = write_report(tmp_path / "plain.html", title="Plain", sections=[Section("One", "Text.")])
    assert path.stat().st_size < 20_000


def test_the_viewer_is_small_and_keeps_its_license() -> None:
    folder = Path(write_report.__code__.co_filename).parent / "report_page"
    bundle = (folder / "three.min.js").read_text()
    assert len(bundle) < 800_000
    assert "SPDX-License-Identifier: MIT" in bundle
    for name in ("three.min.js", "viewer.js"):
        assert "</script" not in (folder / name).read_text()
    assert "MIT License" in (folder / "LICENSE.three").read_text()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match="cannot write"):
        write_report(tmp_path / "file" / "report.html", title="x", sections=[])


def test_pictures_of_an_evaluation() -> None:
    data = planted(subjects=20, interaction=0.2, noise=0.1).data
    model = model_class("morphable")(data.topology, EXPRESSIONS, identity_size=3, expression_size=3)
    model.prepare(data.split("train"))
    model.calibrate(data.split("train"))
    report = evaluate({"mine": model}, data, speed=False, controls=("mean_expression",))
    pictures = pictures_of(report, {"mine": model}, data, size=40)
    assert list(pictures) == ["reconstruction", "transfer", "split-mine"]
    assert all(np.asarray(picture.image).std() > 5 for picture in pictures.values())


PROBE = """<script>
const problems = [];
addEventListener('error', (event) => problems.push(event.message));
addEventListener('securitypolicyviolation', (event) => problems.push(event.blockedURI));
console.error = (...words) => problems.push(words.join(' '));
const colors = (view) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 64;
  const context = canvas.getContext('2d');
  context.drawImage(view.renderer.domElement, 0, 0, 64, 64);
  const data = new Uint32Array(context.getImageData(0, 0, 64, 64).data.buffer);
  const [red, , blue] = context.getImageData(32, 32, 1, 1).data;
  return [new Set(data).size, data.reduce((sum, x) => (sum + x) % 1e9, 0), red - blue];
};
const wait = setInterval(() => {
  const rig = document.querySelector('.rig');
  if (rig.dataset.state === 'loading') return;
  clearInterval(wait);
  const view = rig.view;
  const before = colors(view);
  const slider = rig.querySelector('.slider input');
  slider.value = 1;
  slider.dispatchEvent(new Event('input'));
  const after = colors(view);
  view.setTime(0.1);
  const names = [...rig.querySelectorAll('.slider span')].map((item) => item.textContent);
  document.body.dataset.result = JSON.stringify({
    state: rig.dataset.state, before, after, names, problems,
    weights: view.meshes[0].morphTargetInfluences, output: rig.querySelectorAll('output')[3].textContent,
  });
}, 50);
</script></body>"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_the_rig_shows_and_moves_in_a_browser(page: Path, tmp_path: Path) -> None:
    live = page.with_name("live.html")
    live.write_text(page.read_text().replace("</body>", PROBE))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader", "--virtual-time-budget=8000", "--window-size=900,900",
             f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]  # fmt: skip
    done = subprocess.run(
        [CHROMIUM, *flags, live.as_uri()], capture_output=True, text=True, timeout=90, check=False
    )
    found = re.search(r'data-result="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    result = json.loads(html.unescape(found[1]))
    assert result["state"] == "ready"
    assert result["problems"] == []
    assert result["names"] == [name.replace("_", " ") for name in EXPRESSIONS]
    assert result["before"][0] > 50, "the canvas is blank"
    assert result["before"][2] > 60, "the vertex colors do not show"
    assert result["before"][1] != result["after"][1], "a slider moved and the picture did not change"
    assert result["weights"][3] == pytest.approx(1, abs=0.02)  # the clip is at frame 3 after 0.1 s
    assert result["output"] == "1.00"
