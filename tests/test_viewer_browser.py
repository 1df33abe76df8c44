"""The studio in a real browser: what a person does with the mouse, the keyboard and files."""

from __future__ import annotations

import base64
import importlib.util
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import EXPRESSIONS
from viewers import obj_bytes, painted_files, small_model, small_studio, stranger, stranger_file, world

from mien import apply
from mien.io.gltf import read_glb_targets
from mien.io.landmarks import write_landmarks
from mien.io.mesh import read_mesh
from mien.io.worker import Canceled, Worker
from mien.viewer import Engine, StudioServer
from mien.viewer.axes import identity_axes
from mien.viewer.picking import LoadedHead, Picking
from mien.viewer.session import Person
from mien.viewer.share import share

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("MIEN_CHROMIUM") or next((path for n in NAMES if (path := shutil.which(n))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--use-gl=angle",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]
HEAD = world().neutrals[3].astype(np.float32)
LAUGH = (world().neutrals[5] + world().expression_axes[0]).astype(np.float32)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=90_000)
        yield browser
        browser.close()


class Page:
    """A page with the small words that the tests are written in."""

    def __init__(self, browser: Any, url: str) -> None:
        self.problems: list[str] = []
        self.page = browser.new_page(viewport={"width": 1200, "height": 800}, accept_downloads=True)
        self.page.set_default_timeout(60_000)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._heard)
        self.page.goto(url)
        self.settled()

    def _heard(self, message: Any) -> None:
        if message.type == "error" and "422" not in message.text:  # refused files are answers, not defects
            self.problems.append(message.text)

    def settled(self) -> None:
        """Waits until every request is answered."""
        self.page.wait_for_selector("body[data-state=ready]")
        self.until("studio.state && !studio.busy && !studio.queue.length")

    def until(self, condition: str) -> None:
        """Waits for a condition; the page's own policy forbids the waiting that playwright offers."""
        for _ in range(2400):
            if self.page.evaluate(f"Boolean({condition})"):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never came true: {condition}")

    def state(self, what: str) -> Any:
        return self.page.evaluate(f"studio.state.{what}")

    def vertices(self) -> np.ndarray:
        return np.array(self.page.evaluate("[...studio.panes[0].vertices]")).reshape(-1, 3)

    def slide(self, name: str, value: float) -> None:
        self.page.locator(f"input[data-name={name}]").fill(str(value))
        self.settled()

    def colors(self) -> tuple[int, int]:
        """How many colors the stage shows, and a sum that changes with the picture."""
        return tuple(self.page.evaluate("""() => {
          studio.stage.render();
          const canvas = document.createElement('canvas'); canvas.width = canvas.height = 96;
          const context = canvas.getContext('2d');
          context.drawImage(studio.stage.renderer.domElement, 0, 0, 96, 96);
          const data = new Uint32Array(context.getImageData(0, 0, 96, 96).data.buffer);
          return [new Set(data).size, data.reduce((sum, x) => (sum + x) % 1e9, 0)];
        }"""))  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[StudioServer]:
    server = StudioServer(small_studio(worker=Worker()))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(browser: Any, server: StudioServer) -> Page:
    return Page(browser, server.url)


def test_sliders_move_the_face(page: Page, tmp_path: Path) -> None:
    before, picture = page.vertices(), page.colors()
    assert picture[0] > 40, "the stage is blank"
    page.slide("smile", 1.0)
    assert np.allclose(page.vertices() - before, world().expression_axes[0], atol=0.02)
    assert page.colors() != picture, "a slider moved and the picture did not change"
    page.slide("identity-0", 2.0)
    assert page.state("identity[0]") == 2.0
    page.page.keyboard.press("Control+z")
    page.page.keyboard.press("Control+z")
    page.settled()
    assert np.allclose(page.vertices(), before, atol=1e-4) and page.state("pose") == {}
    assert page.page.locator("input[data-name=smile]").input_value() == "0"
    page.page.keyboard.press("Control+Shift+z")
    page.settled()
    assert page.state("pose") == {"smile": 1}
    page.page.screenshot(path=tmp_path / "sliders.png")


def test_sizes_are_edited_at_the_slider(page: Page, tmp_path: Path) -> None:
    page.page.get_by_role("button", name="Reset").click()
    page.settled()
    before = page.vertices()
    page.slide("smile", 1.0)
    field = page.page.locator("input[data-size=smile]")
    assert not field.is_visible(), "sizes of 1 are not shown"
    page.page.locator("label.slider", has_text="Smile").locator("output").dblclick()
    field.fill("1.5")
    field.press("Enter")
    page.settled()
    assert np.allclose(page.vertices() - before, 1.5 * world().expression_axes[0], atol=0.03)
    page.page.locator("summary").click()
    with page.page.expect_download() as download:
        page.page.locator("[data-export=sizes]").click()
    download.value.save_as(tmp_path / "sizes.csv")
    page.page.get_by_role("button", name="Sizes", exact=True).click()
    page.page.get_by_role("button", name="All × 1").click()
    page.settled()
    assert page.state("sizes") == {} and field.is_visible()
    page.page.get_by_role("button", name="Sizes", exact=True).click()
    assert not field.is_visible()
    drop(page, "sizes.csv", (tmp_path / "sizes.csv").read_bytes())
    page.until("studio.state.sizes.smile === 1.5")
    assert field.is_visible() and page.state("pose") == {"smile": 1}
    page.page.evaluate("studio.act('set_sizes', { sizes: {} })")
    page.settled()


def test_heads_are_loaded_and_wear_expressions(page: Page, tmp_path: Path) -> None:
    page.page.get_by_role("button", name="Reset").click()
    head = tmp_path / "my_head.obj"
    head.write_bytes(obj_bytes(HEAD / 1000, tmp_path))  # in meters
    page.page.set_input_files("#chooser", head)
    page.until("studio.state.people.some((person) => person.name === 'my head')")
    page.settled()
    assert np.allclose(page.vertices(), HEAD, atol=0.01)
    assert "meters" in page.page.locator("#head-note").inner_text()
    drop(page, "laugh.obj", obj_bytes(LAUGH, tmp_path))
    page.until("studio.state.people.some((person) => person.name === 'laugh')")
    page.settled()
    page.page.locator("#people .card", has_text="my head").click()
    page.settled()
    page.page.select_option("#performer", label="laugh")
    page.settled()
    expected = apply.transfer(small_studio().engines[0].model, LAUGH, HEAD, keep_detail=True)
    assert np.allclose(page.vertices(), expected, atol=0.02)
    page.page.get_by_label("Surface").select_option("rest")
    page.settled()
    assert page.page.locator("#bar").is_visible() and page.colors()[0] > 40
    page.page.screenshot(path=tmp_path / "transfer.png")


def test_pictures_are_drawn_on_the_head_that_they_come_with(page: Page, tmp_path: Path) -> None:
    page.page.get_by_role("button", name="Reset").click()
    page.page.get_by_label("Surface").select_option("none")
    for name, data in painted_files(HEAD, tmp_path).items():
        (tmp_path / name).write_bytes(data)
    page.page.set_input_files(
        "#chooser", [tmp_path / name for name in ("painted.obj", "skin.png", "look.mtl")]
    )
    page.until("studio.state.people.some((person) => person.name === 'painted')")
    page.until("studio.stage.faces[0].materials.length === 2 && studio.stage.faces[0].materials[0].map")
    page.settled()
    assert np.allclose(page.vertices(), HEAD, atol=0.01)
    green = """() => {
      studio.stage.render();
      const canvas = document.createElement('canvas'); canvas.width = canvas.height = 96;
      const context = canvas.getContext('2d');
      context.drawImage(studio.stage.renderer.domElement, 0, 0, 96, 96);
      const { data } = context.getImageData(0, 0, 96, 96);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) count += data[i + 1] > 1.5 * data[i] && data[i + 1] > 60;
      return count;
    }"""
    assert page.page.evaluate(green) > 100, "the picture is not to be seen"
    page.slide("smile", 0.5)
    assert np.allclose(page.vertices() - HEAD, 0.5 * world().expression_axes[0], atol=0.05)
    assert page.page.evaluate(green) > 100
    page.page.get_by_label("Surface").select_option("rest")
    page.settled()
    assert page.page.evaluate(green) < 100, "heat does not lie on the picture"
    page.page.get_by_label("Surface").select_option("none")
    page.settled()
    page.page.screenshot(path=tmp_path / "painted.png")


def drop(page: Page, name: str, data: bytes) -> None:
    """Drops a file from the desktop onto the page."""
    page.page.evaluate(
        """([name, data]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name));
          window.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(data).decode()],
    )


def test_bad_files_are_told_and_change_nothing(page: Page) -> None:
    people = page.state("people.length")
    drop(page, "broken.obj", b"v 0 0 nan\nf 1 1 1\n")
    alert = page.page.get_by_role("alert")
    alert.wait_for()
    assert "broken.obj" in alert.inner_text()
    page.page.evaluate("studio.limit = 10")
    drop(page, "huge.obj", b"v" * 100)
    page.until("document.querySelectorAll('.toast.error').length >= 2")
    assert "too large" in page.page.get_by_role("alert").last.inner_text()
    page.settled()
    assert page.state("people.length") == people
    page.page.evaluate("studio.limit = studio.about.limit")


def test_slow_work_is_seen_and_canceled(page: Page, server: StudioServer) -> None:
    with ThreadPoolExecutor(1) as pool:

        def work() -> str:
            try:
                with server.studio.jobs.begin("somebody.glb") as job:
                    job.run(time.sleep, 60)
            except Canceled as error:
                return str(error)
            return "done"

        done = pool.submit(work)
        page.page.locator("#jobs li.runs", has_text="somebody.glb").wait_for()
        page.slide("smile", 0.3)
        page.page.get_by_role("button", name="Cancel").click()
        assert done.result(30) == "somebody.glb was canceled."
        page.until("document.querySelector('#jobs').hidden")


def test_two_windows_go_in_step(browser: Any, page: Page, server: StudioServer) -> None:
    other = Page(browser, server.url)
    other.slide("smile", 0.7)
    page.until("studio.state.pose.smile === 0.7")
    page.settled()
    assert page.page.locator("input[data-name=smile]").input_value() == "0.7"
    page.page.get_by_role("button", name="Reset").click()
    other.until("!('smile' in studio.state.pose)")
    assert other.problems == []
    other.page.close()


PIXEL = """([view, point]) => {
  const { camera, container, group } = studio.picking[view];
  const seen = group.localToWorld(new THREE.Vector3(...point)).project(camera);
  const place = container.getBoundingClientRect();
  return [place.left + (1 + seen.x) * place.width / 2, place.top + (1 - seen.y) * place.height / 2];
}"""


def click_on(page: Page, view: str, point: np.ndarray) -> None:
    """Clicks where a point of the template or the head is drawn."""
    page.page.wait_for_timeout(60)  # the view may still be drawn for the last time
    page.page.mouse.click(*page.page.evaluate(PIXEL, [view, np.asarray(point).tolist()]))


def test_a_refused_head_is_registered_by_landmarks_that_are_clicked(page: Page, tmp_path: Path) -> None:
    people, truth = page.state("people.length"), stranger()
    page.page.set_input_files("#chooser", stranger_file(tmp_path))
    page.page.get_by_role("alert").filter(has_text="no face can be found").wait_for()
    page.page.get_by_role("alert").get_by_role("button", name="Pick landmarks").click()
    page.until("studio.picking.isOpen && studio.picking.head")
    assert "3 more pairs" in page.page.locator("#picking-status").inner_text()
    page.page.get_by_role("button", name="Turn").click()  # the file has +Z up
    picking = Picking(LoadedHead(truth.mesh, {}), world().data.topology, "stranger")
    spots = {spot["name"]: spot["at"] for spot in page.page.evaluate("studio.picking.about.landmarks")}
    wanted = ("point_22", "point_58", "point_76")
    for count, name in enumerate(wanted):
        assert page.page.evaluate("studio.picking.registering ?? false") is False
        click_on(page, "template", spots[name])
        assert page.page.evaluate("studio.picking.selected") == name
        click_on(page, "head", picking.to_page(truth.landmarks[name]))
        page.until(f"Object.keys(studio.picking.pairs).length === {count + 1}")
    for name, point in page.page.evaluate("studio.picking.pairs").items():
        away = np.linalg.norm(picking.to_file(point) - truth.landmarks[name])
        assert away < 0.004, f"{name} was picked {1000 * away:.1f} mm from where it was clicked"
    page.until("Object.keys(studio.picking.laid).length > 0")
    assert page.state("people.length") == people + 1
    assert "registered" in page.page.locator("#picking-status").inner_text()
    assert page.state("people.at(-1).foreign")
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Save", exact=True).click()
    download.value.save_as(tmp_path / "picked.csv")
    lines = (tmp_path / "picked.csv").read_text().splitlines()
    assert lines[0].startswith("name,x,y,z") and len([line for line in lines[1:] if ",,," not in line]) == 3
    page.page.get_by_role("button", name="Remove Point 76").click()
    assert page.page.locator("#picking-list li.done").count() == 2
    assert "1 more pair" in page.page.locator("#picking-status").inner_text()
    table = tmp_path / "all.csv"
    write_landmarks(table, tuple(truth.landmarks), np.array(list(truth.landmarks.values())))
    page.page.set_input_files("#table-chooser", table)
    page.until("Object.keys(studio.picking.laid).length > 0")
    assert page.page.locator("#picking-list li.done").count() == len(truth.landmarks)
    assert page.state("people.length") == people + 1, "the head is registered anew, not added once more"
    page.page.set_input_files(
        "#table-chooser", files=[{"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a"}]
    )
    page.page.locator("#picking-status.error").wait_for()
    page.page.screenshot(path=tmp_path / "picking.png")
    page.page.get_by_role("button", name="Done").click()
    assert not page.page.evaluate("studio.picking.isOpen")
    assert page.page.locator("#head-note").inner_text().startswith("stranger: registered")
    page.page.keyboard.press("Control+z")
    page.settled()


def test_the_time_line_plays_and_exports_what_it_shows(page: Page, tmp_path: Path) -> None:
    page.page.get_by_role("button", name="Reset").click()
    page.slide("smile", 1.0)
    page.page.get_by_role("button", name="Add pose").click()
    page.settled()
    apex = page.page.locator(".move circle[data-part=apex]").bounding_box()
    page.page.mouse.move(apex["x"] + 5, apex["y"] + 5)
    page.page.mouse.down()
    page.page.mouse.move(apex["x"] + 45, apex["y"] + 5, steps=3)
    page.page.mouse.up()
    page.settled()
    moved = page.state("moves[0]")
    assert moved["onset"] == 0 and moved["apex"] > 0.45
    page.page.evaluate("studio.seek(studio.state.moves[0].apex)")
    page.until("studio.clip && studio.clip.frames === 91")
    assert page.page.locator(".clock").inner_text().startswith("0.")
    page.page.locator("body").press(" ")
    page.until("studio.playing && studio.timeline.time > 0")
    page.page.locator("body").press(" ")
    assert page.page.evaluate("studio.playing") is False
    page.page.locator("summary").click()
    with page.page.expect_download() as download:
        page.page.locator("[data-export=clip]").click()
    download.value.save_as(tmp_path / "clip.glb")
    morphs = read_glb_targets(tmp_path / "clip.glb")
    assert morphs.names == EXPRESSIONS and morphs.animation is not None
    assert morphs.animation[0][:, 0].max() == pytest.approx(1, abs=0.02)
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Picture").click()
    download.value.save_as(tmp_path / "face.png")
    assert (tmp_path / "face.png").read_bytes()[:4] == b"\x89PNG"
    page.page.screenshot(path=tmp_path / "timeline.png")
    assert page.problems == []


def test_a_shared_page_works_without_anybody(browser: Any, tmp_path: Path) -> None:
    head = Person("loaded-1", "Mine", "loaded", vertices=HEAD)
    made = share(
        tmp_path / "page.html", Engine("small", small_model()), heads=[head], data=world().data, people=4
    )
    assert made.people == 4 and made.megabytes < 2 and made.linearity_mm < 1e-3
    page = Page(browser, made.path.as_uri())
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    assert np.allclose(page.vertices(), HEAD, atol=1e-3)
    before = page.colors()
    page.slide("smile", 0.5)
    assert np.allclose(page.vertices() - HEAD, 0.5 * world().expression_axes[0], atol=0.02)
    assert page.colors() != before
    page.slide("identity-0", 1.0)
    moved = page.vertices() - HEAD - 0.5 * world().expression_axes[0]
    assert np.linalg.norm(moved, axis=1).mean() == pytest.approx(
        identity_axes(small_model()).millimeters[0], rel=0.05
    )
    page.page.keyboard.press("Control+z")
    page.page.get_by_role("button", name="Add pose").click()
    page.settled()
    page.page.evaluate("studio.seek(0.4)")
    page.until("studio.clip && studio.timeline.time === 0.4")
    with page.page.expect_download() as download:
        page.page.locator("summary").click()
        page.page.locator("[data-export=obj]").click()
    download.value.save_as(tmp_path / "shared.obj")
    assert np.allclose(read_mesh(tmp_path / "shared.obj").vertices, page.vertices(), atol=1e-3)
    page.page.locator("#people .card", has_text="Average").click()
    page.settled()
    assert np.allclose(
        page.vertices() - 0.5 * world().expression_axes[0], world().neutrals.mean(axis=0), atol=0.05
    )
    page.page.screenshot(path=tmp_path / "shared.png")
    assert asked == [] and page.problems == []
