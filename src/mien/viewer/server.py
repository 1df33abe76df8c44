"""The studio over HTTP: the standard library's server, on this machine only.

Every request carries the secret of its session, and the host that it names must be this machine: another web
page in the same browser, or another user who guesses the port, gets nothing.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mien.errors import BadFile, BadSetting, MienError
from mien.io.worker import Canceled
from mien.temporary import PASSING
from mien.viewer.export import Download
from mien.viewer.page import studio_page
from mien.viewer.picking import Unplaced
from mien.viewer.studio import Studio
from mien.viewer.uploads import MEGABYTE

LOCAL = ("127.0.0.1", "localhost", "[::1]")
LARGEST_QUESTION = MEGABYTE  # bytes of JSON
PATIENCE_SECONDS = 60.0  # for the rest of a request that has begun
DRAINED = 4  # times the limit: a refused upload is read that far, so that the browser hears why

Query = dict[str, str]


class StudioServer(ThreadingHTTPServer):
    """Serves one studio at ``url`` until :meth:`shutdown`.

    Args:
        studio: What it shows.
        port: Of 127.0.0.1; 0 takes any free one.
        title: Of the window.
    """

    daemon_threads = True
    request_queue_size = 256  # connections that wait to be taken

    def __init__(self, studio: Studio, port: int = 0, *, title: str = "Mien") -> None:
        self.studio = studio
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise BadSetting(
                f"port {port} cannot be used ({error})", remedy="give another one with --port, 0 takes any"
            ) from error
        self.key = secrets.token_urlsafe(18)
        self.page = studio_page(self.key, title).encode()

    @property
    def url(self) -> str:
        """Where a browser finds the studio."""
        return f"http://127.0.0.1:{self.server_address[1]}/?key={self.key}"

    def server_close(self) -> None:
        """Frees the port and ends the studio's further process."""
        super().server_close()
        self.studio.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break off are the browser's business: it asks again."""


class _Handler(BaseHTTPRequestHandler):
    server: StudioServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mien", ""
    disable_nagle_algorithm = True
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """The page, and what it asks for."""
        studio = self.server.studio
        self._answer({
            "/": lambda query: self.server.page,
            "/api/describe": lambda query: studio.describe(),
            "/api/sliders": lambda query: studio.sliders(),
            "/api/portrait": lambda query: studio.portrait(query.get("person", "")),
            "/api/texture": lambda query: studio.texture(query.get("model", "")),
            "/api/picking": lambda query: studio.pick_on(query.get("person", "")),
            "/api/appearance": lambda query: studio.appearance(query.get("person", "")),
            "/api/report": lambda query: studio.report(query.get("model", "")),
            "/api/watch": lambda query: studio.watch(_number(query, "revision"), _number(query, "queue")),
            "/api/clip": lambda query: studio.clip(),
            "/api/export": lambda query: studio.export(query.get("kind", "")),
        })  # fmt: skip

    def do_POST(self) -> None:
        """What a person does."""
        studio = self.server.studio
        self._answer({
            "/api/act": self._act, "/api/load": self._load,
            "/api/register": lambda query: studio.register_picked(self._question().get("pairs")),
            "/api/like": lambda query: studio.move_like(str(self._question().get("person", ""))),
            "/api/cancel": lambda query: studio.cancel(self._question().get("job")),
            "/api/table": lambda query: studio.landmark_table(self._question().get("pairs")),
            "/api/landmarks": lambda query: studio.read_landmark_table(
                query.get("name", "landmarks"), self._body(studio.limit)
            ),
        })  # fmt: skip

    def _act(self, query: Query) -> bytes:
        asked = self._question()
        try:
            name, arguments = str(asked["action"]), dict(asked.get("arguments") or {})
            merge = str(asked.get("merge") or "")
        except (ValueError, KeyError, TypeError) as error:
            raise BadSetting("the request is no action", received=str(error)[:200]) from error
        return self.server.studio.act(name, arguments, merge)

    def _question(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            asked = json.loads(self._body(LARGEST_QUESTION))
        except (ValueError, RecursionError) as error:
            raise BadSetting("the request is no action", received=str(error)[:200]) from error
        if not isinstance(asked, dict):
            raise BadSetting("the request is no action", received=repr(asked)[:200])
        return asked

    def _load(self, query: Query) -> bytes:
        return self.server.studio.load(query.get("name", "mesh"), self._body(self.server.studio.limit))

    def _body(self, limit: int) -> bytes:
        """The body, if it is as long as it says and not too long."""
        text = self.headers.get("Content-Length", "")
        if not text.isdigit():
            self.close_connection = True
            raise BadFile("the request does not say how long it is", received=repr(text))
        length = int(text)
        if length > limit:
            self._drain(length, DRAINED * limit)
            raise BadFile(
                "the file is too large", received=f"{length / MEGABYTE:.0f} MB",
                remedy=f"the studio takes up to {limit / MEGABYTE:.0f} MB (--limit)",
            )  # fmt: skip
        data = self.rfile.read(length)
        if len(data) < length:
            self.close_connection = True
            raise BadFile("the request broke off", received=f"{len(data)} of {length} bytes")
        return data

    def _drain(self, length: int, most: int) -> None:
        self.close_connection = True
        left = min(length, most)
        while left > 0 and (part := self.rfile.read(min(left, MEGABYTE))):
            left -= len(part)

    def _answer(self, routes: dict[str, Callable[[Query], bytes | Download]]) -> None:
        """Finds the route, checks who asks, and answers: with bytes, a file, or one sentence."""
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        route = routes.get(address.path)
        if not self._trusted(query, address.path):
            self._refuse(403, "open the address that mien view printed: it carries this session's key.")
        elif route is None:
            self._refuse(404, "the studio has no such page.")
        else:
            try:
                self._send(route(query), address.path == "/")
            except MienError as error:
                self._refuse(422, _plain(str(error)), helps=_help(error))
            except (ConnectionError, TimeoutError):
                self.close_connection = True
            except Exception as error:  # the studio must survive whatever a file or a model does
                self._refuse(500, _plain(f"a defect of Mien stopped this ({type(error).__name__}: {error})."))

    def _trusted(self, query: Query, path: str) -> bool:
        host = self.headers.get("Host", "").rsplit(":", 1)[0] if self.headers.get("Host") else ""
        given = query.get("key", "") if path == "/" else self.headers.get("X-Mien-Key", "")
        return host in LOCAL and secrets.compare_digest(given.encode(), self.server.key.encode())

    def _send(self, answer: bytes | Download, is_page: bool) -> None:
        if isinstance(answer, Download):
            named = {"Content-Disposition": f'attachment; filename="{_ascii(answer.name)}"'}
            self._write(200, answer.kind, answer.data, named)
        else:
            self._write(200, "text/html; charset=utf-8" if is_page else "application/octet-stream", answer)

    def _refuse(self, code: int, sentence: str, helps: str = "") -> None:
        if self.command == "POST" and code in (403, 404):
            self.close_connection = True  # its body was not read
        self._write(code, "application/json", json.dumps({"error": sentence, "helps": helps}).encode())

    def _write(self, code: int, kind: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        fixed = {
            "Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY",
        }  # fmt: skip
        if self.close_connection:
            fixed["Connection"] = "close"
        for name, value in (fixed | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal belongs to the user."""


def _number(query: Query, name: str) -> int:
    """A whole number of the address; -1 where there is none."""
    text = query.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 16 else -1


def _plain(sentence: str) -> str:
    """A sentence without folders of this machine that only ever held an upload."""
    return re.sub(re.escape(tempfile.gettempdir()) + rf"[/\\]+\.{PASSING}\.[^/\\\s'\"]*[/\\]*", "", sentence)


def _help(error: MienError) -> str:
    """What the page can do about a refusal."""
    return "landmarks" if isinstance(error, Unplaced) else "canceled" if isinstance(error, Canceled) else ""


def _ascii(name: str) -> str:
    """A file name that a header can carry."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-+()") else "_" for c in name)
