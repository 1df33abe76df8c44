"""The documentation site builds without a warning, and its links and API pages are whole."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")
pytest.importorskip("material")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: any warning is an error."""
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    environment |= {"MIEN_DOCS_SEARCH": "false"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_model_and_data_set_has_its_page(site: Path) -> None:
    from mien.data.sources.field import FIELD_SETS
    from mien.models import MODELS

    front = text(site / "index.html")
    for name in ("makehuman", "procedural", "ict", "folder", *FIELD_SETS):
        assert (site / "data" / f"{name}.html").is_file()
    for name in MODELS:
        assert (site / "models" / f"{name}.html").is_file()
        assert f'href="models/{name}.html"' in front  # from the table of the README
    for name in ("quick_start", "tutorials/artist", "tutorials/researcher", "recipes", "changelog"):
        assert (site / f"{name}.html").is_file()
    assert not re.findall(r'href="[^"]*\.md[#"]', front)
    for picture in re.findall(r'<img[^>]*src="([^":]+)"', front):
        assert (site / picture).is_file()


def test_formulas_are_drawn_and_nothing_is_fetched(site: Path) -> None:
    pages = {page: text(page) for page in site.rglob("*.html")}
    metrics = pages[site / "metrics.html"]
    assert metrics.count("<math") > 30 and "<mfrac>" in metrics and 'display="block"' in metrics
    for page, content in pages.items():
        shown = re.sub(r"<(code|pre|script|style|math)\b.*?</\1>", "", content, flags=re.DOTALL)
        assert "arithmatex" not in shown and not re.search(r"\$[^$<]*\\[a-z]", shown), page
        for tag in re.findall(r"<(?:script|link|img|iframe|source|video)\b[^>]*>", content):
            assert "canonical" in tag or not re.search(r'(?:src|href)="(?:https?:)?//', tag), (page, tag)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url|@import)\s*\(?[\"']?(?:https?:)?//", text(sheet)), sheet


def test_the_reference_has_every_public_name(site: Path) -> None:
    import mien

    reference = "".join(text(page) for page in (site / "api").glob("*.html"))
    documented = set(re.findall(r'id="(mien[\w.]*)"', reference))
    for name, module in mien.PUBLIC.items():
        value = getattr(importlib.import_module(module), name)
        home = getattr(value, "__module__", None) or module
        assert f"{home}.{name}" in documented or f"{module}.{name}" in documented, name
    shown = re.sub(r"<[^>]+>", "", reference)
    assert not re.search(r":(?:class|func|mod|meth):", shown)
    assert "Decimates by quadric edge collapse" in shown and "float, millimeters" in shown


def test_the_front_page_of_the_reference_shows_signatures(site: Path) -> None:
    import mien

    page = text(site / "api" / "index.html")
    headings = re.findall(r'<h2 id="mien\.([\w.]+)"', page)
    assert headings == [f"{module}.{name}".removeprefix("mien.") for name, module in mien.PUBLIC.items()]
    shown = re.sub(r"\s+", "", re.sub(r"<[^>]+>", "", page)).replace("&quot;", '"')
    assert "train(method:str|type[FaceModel]|FaceModel,data:FaceDataset|Path|str,*,out:Path|str," in shown
    assert "load_model(folder:Path|str,*,method:str|type[FaceModel]|None=None,trust_code:bool=False" in shown
    assert "PUBLIC" not in shown


def test_links_that_have_no_page_stay_as_text() -> None:
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "tools" / "docs_site.py")
    assert spec and spec.loader
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    assert hook.page_of("README.md") == "index.md" and hook.page_of("docs/models/pca.md") == "models/pca.md"
    assert hook.page_of("src/mien/fit.py") is None and hook.page_of("docs/none.md") is None
    written = "See [fit](../../src/mien/fit.py), [the table](../../README.md#results), [pca](pca.md)."
    assert hook._relinked(written, "docs/models/coma.md", "models/coma.md") == (
        "See fit, [the table](../index.md#results), [pca](pca.md)."
    )
