"""The studio's HTML: style, three.js and our own scripts in one page that asks nobody but its server."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources

from mien.report import asset

SCRIPTS = ("stage.js", "widgets.js", "timeline.js", "picking.js", "studio.js")


def page(title: str, *, policy: str, scripts: Sequence[str], head: str = "", body: str = "") -> str:
    """A whole page.

    Args:
        title: Of the window.
        policy: Content security policy: what the page may load.
        scripts: Files of ``page/`` that run after the shared ones.
        head: Further tags of the head.
        body: Further tags before the scripts.
    """
    ours = "".join(f"<script>{_file(name)}</script>" for name in (*SCRIPTS, *scripts))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">{head}
<title>{html.escape(title)}</title><style>{_file("studio.css")}</style></head>
<body data-state="loading">{_file("studio.html")}{body}
<script>{asset("three.min.js")}</script>{ours}</body></html>
"""


def studio_page(key: str, title: str) -> str:
    """The page of ``mien view``.

    Args:
        key: The secret that its requests carry.
        title: Of the window.
    """
    policy = (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'"
    )
    secret = f'<meta name="mien-key" content="{html.escape(key, quote=True)}">'
    return page(title, policy=policy, scripts=("server.js",), head=secret)


def _file(name: str) -> str:
    return (resources.files("mien") / "viewer" / "page" / name).read_text(encoding="utf-8")
