"""What the documentation site is made of beyond the pages of ``docs/``: a hook of MkDocs.

The README is the front page, notebooks become pages, and every module of Mien gets its place in the API
reference. Links between files of the repository are turned into links between pages; what has no page
(sources, recipes as YAML, tables of results) stays as text.
"""

from __future__ import annotations

import gc
import json
import posixpath
import re
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "src/mien/recipes/README.md": "recipes.md",
    "examples/README.md": "examples.md",
}
"""Files outside ``docs/`` that are pages, and their names on the site."""

PACKAGES = {
    "nouns": ("topology", "codes", "errors", "progress", "machine", "version", "npz", "limits"),
    "geometry": ("geometry",),
    "files": ("io",),
    "data": ("data",),
    "networks": ("nn",),
    "models": ("models",),
    "use": ("apply", "fit", "figures"),
    "training": ("training",),
    "judging": ("evaluation", "claims"),
    "shells": ("hub", "report", "demo", "viewer"),
}
"""Page of the API reference -> the modules on it, floor by floor."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])</\1>', re.DOTALL
)
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Fills in the navigation."""
    gc.disable()  # what a build makes lives to its end: looking for garbage takes an eighth of its time
    sys.path.insert(0, str(ROOT / "src"))  # here, as MkDocs restores the path after loading a hook
    from mien.models import MODELS

    docs = ROOT / "docs"
    models = [f"models/{name}.md" for name in MODELS if (docs / "models" / f"{name}.md").is_file()]
    first = ["quick_start", "your_own_head", "studio", "metrics", "experiments", "conventions", "philosophy"]
    first = [f"{name}.md" for name in first]
    others = [path.name for path in sorted(docs.glob("*.md")) if path.name not in first]
    front = [*(name for name in first if (docs / name).is_file()), *others]
    config["nav"] = [
        {"Mien": ["index.md", *front, "contributing.md", "changelog.md"]},
        {"Tutorials": [*_pages("tutorials"), *(f"notebooks/{path.stem}.md" for path in notebooks())]},
        {"Models": ["models/README.md", *models]},
        {"Data": ["data/README.md", *(page for page in _pages("data") if page != "data/README.md")]},
        {"Recipes": ["recipes.md", "examples.md"]},
        {"API": ["api/index.md", *(f"api/{name}.md" for name in PACKAGES)]},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made, not written."""
    for source, target in PAGES.items():
        _add(files, config, target, (ROOT / source).read_text(encoding="utf-8"))
    for path in notebooks():
        _add(files, config, f"notebooks/{path.stem}.md", notebook_page(path))
    _add(files, config, "api/index.md", api_index())
    for name, tops in PACKAGES.items():
        blocks = [f"::: mien.{module}\n" for top in tops for module in modules(top)]
        _add(files, config, f"api/{name}.md", f"# {name.capitalize()}\n\n" + "\n".join(blocks))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links between files into links between pages."""
    uri = page.file.src_uri
    here = next((source for source, target in PAGES.items() if target == uri), None)
    if here is None:
        here = f"{uri[:-3]}.ipynb" if uri.startswith("notebooks/") else f"docs/{uri}"
    kept = _FENCE.split(markdown)
    if len(kept) == 1:
        return _relinked(markdown, here, uri)
    parts, last = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_relinked(markdown[last : fence.start()], here, uri), fence.group()]
        last = fence.end()
    return "".join([*parts, _relinked(markdown[last:], here, uri)])


def on_page_content(html: str, **_: Any) -> str:
    """Turns formulas into MathML, which browsers draw without a script or a font from elsewhere."""
    return _FORMULA.sub(_mathml, html)


def _mathml(match: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    formula = unescape(match["inline"] or match["block"])
    return convert(formula, display="inline" if match["inline"] else "block")


def _relinked(text: str, here: str, uri: str) -> str:
    def replace(match: re.Match[str]) -> str:
        mark, label, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match.group()
        path, _, anchor = target.partition("#")
        place = page_of(posixpath.normpath(posixpath.join(posixpath.dirname(here), path)))
        if place is None:
            return label
        link = posixpath.relpath(place, posixpath.dirname(uri) or ".")
        return f"{mark}[{label}]({link}{'#' if anchor else ''}{anchor})"

    return _LINK.sub(replace, text)


def page_of(path: str) -> str | None:
    """Where a file of the repository is on the site, or None."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    if path == "docs/models":
        return "models/README.md"
    if path.startswith("notebooks/") and path.endswith(".ipynb") and (ROOT / path).is_file():
        return f"{path[:-6]}.md"
    return None


def notebooks() -> list[Path]:
    """The notebooks in order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its text, its code, and the text that its cells printed."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            printed = "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
            parts += [f"```text\n{printed.rstrip()}\n```"] if printed.strip() else []
    return "\n\n".join(parts) + "\n"


def modules(top: str) -> Iterator[str]:
    """Dotted names of a package and its modules, or of a module; those that exist."""
    base = ROOT / "src" / "mien"
    if (base / f"{top}.py").is_file() or (base / top / "__init__.py").is_file():
        yield top
    for path in sorted((base / top).rglob("*.py")):
        name = ".".join(path.relative_to(base).with_suffix("").parts)
        if path.name != "__init__.py":
            yield name


def _pages(folder: str) -> list[str]:
    return [f"{folder}/{path.name}" for path in sorted((ROOT / "docs" / folder).glob("*.md"))]


def _add(files: Files, config: Any, uri: str, content: str) -> None:
    files.append(File.generated(config, uri, content=content))


def api_index() -> str:
    """The front page of the API: every public name with its signature, in the order of the table."""
    import mien

    entries = [
        f"::: {module}.{name}\n    options:\n      show_root_full_path: false\n"
        "      show_signature_annotations: true\n"
        for name, module in mien.PUBLIC.items()
    ]
    return f"{API_INTRODUCTION}\n" + "\n".join(entries)


API_INTRODUCTION = """# API

`import mien` gives what most programs need; all of it is on this page: `mien.load_model`, `mien.train` and
so on. Everything else is imported from its module. The other pages list modules floor by floor: each imports
only from floors before it.
"""
