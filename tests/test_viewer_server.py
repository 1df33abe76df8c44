"""The studio over HTTP: who may ask, what is refused, and that it lives on."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from commands import Studio as Folder
from commands import run
from viewers import faces_of, obj_bytes, small_studio, world

from mien.errors import MienError
from mien.viewer import StudioServer
from mien.viewer.wire import unpack

HEAD = world().neutrals[2].astype(np.float32)


@pytest.fixture
def server() -> Iterator[StudioServer]:
    server = StudioServer(small_studio(limit=100_000))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Browser:
    """A connection that is kept open, with the key of the session or another one."""

    def __init__(self, server: StudioServer, key: str | None = None) -> None:
        self.key = server.key if key is None else key
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        method = "GET" if body is None else "POST"
        self.connection.request(method, path, data, {"X-Mien-Key": self.key, **headers})  # type: ignore[arg-type]
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def act(self, action: str, **arguments: object) -> tuple[int, bytes]:
        return self.ask("/api/act", {"action": action, "arguments": arguments})

    def sentence(self, path: str, body: object = None, code: int = 422, **headers: str) -> str:
        status, data = self.ask(path, body, **headers)
        assert status == code, data[:300]
        said = json.loads(data)["error"]
        assert said.endswith(".") and "Traceback" not in said
        return said


def test_the_page_and_its_answers(server: StudioServer) -> None:
    browser = Browser(server)
    status, page = browser.ask(f"/?key={server.key}")
    assert status == 200 and server.key in page.decode() and b"default-src 'none'" in page
    assert b"://" not in page.split(b"<script>")[0], "the page asks nobody but its server"
    head, _ = unpack(browser.ask("/api/describe")[1])
    assert head["topology"] == "tiny" and len(head["axes"]) == 4
    status, answer = browser.act("set_weight", name="smile", value=1)
    assert status == 200 and faces_of(server.studio, answer)[0].shape == HEAD.shape
    status, portrait = browser.ask("/api/portrait?person=training-2")
    assert np.array_equal(unpack(portrait)[1].reshape(-1, 3), world().neutrals[2].astype(np.float32))
    status, rig = browser.ask("/api/export?kind=rig")
    assert rig[:4] == b"glTF"


def test_strangers_get_nothing(server: StudioServer) -> None:
    stranger, browser = Browser(server, key="guess"), Browser(server)
    for path in ("/", "/?key=guess", "/api/describe", "/api/export?kind=obj", "/favicon.ico"):
        assert "key" in stranger.sentence(path, code=403)
    assert "key" in stranger.sentence("/api/act", {"action": "reset"}, code=403)
    # A web page that lets its name point here (DNS rebinding) has the wrong host, whatever it knows.
    browser.sentence("/api/describe", code=403, Host="evil.example:80")
    browser.sentence("/api/nothing", code=404)
    assert server.server_address[0] == "127.0.0.1"


def test_nonsense_is_refused_and_the_studio_lives_on(server: StudioServer, tmp_path: Path) -> None:
    browser = Browser(server)
    for body in (b"{", b"[]", b'{"action": 3}', b"\xff\xfe", b"[" * 5000, b'{"action":"pick","arguments":7}'):
        browser.sentence("/api/act", body)
    assert "nan" in browser.sentence("/api/act", b'{"action":"set_intensity","arguments":{"value":NaN}}')
    assert "too large" in browser.sentence("/api/load?name=a.obj", b"v" * 150_000)
    browser = Browser(server)  # a refused body ends its connection
    assert "known kind" in browser.sentence("/api/load?name=a.exe", b"MZ")
    whole = obj_bytes(HEAD, tmp_path)
    browser.sentence("/api/load?name=cut.obj", whole[: len(whole) // 2])
    browser.sentence("/api/load?name=long.obj", b"", **{"Content-Length": "-5"})
    with socket.create_connection(server.server_address[:2]) as line:  # breaks off in the middle
        line.sendall(
            f"POST /api/load?name=a.obj HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mien-Key: {server.key}\r\n"
            "Content-Length: 900\r\n\r\nv 0 0 0".encode()
        )
    status, answer = Browser(server).ask("/api/load?name=good.obj", whole)
    assert status == 200 and np.allclose(faces_of(server.studio, answer)[0], HEAD, atol=1e-3)


def test_many_hands_at_once(server: StudioServer) -> None:
    def drag(number: int) -> set[int]:
        browser = Browser(server)
        return {browser.act("set_weight", name="smile", value=k / 20)[0] for k in range(20)}

    with ThreadPoolExecutor(4) as pool:
        assert set().union(*pool.map(drag, range(4))) == {200}
    assert server.studio.history.revision == 80


def test_a_taken_port_is_one_sentence(server: StudioServer) -> None:
    with pytest.raises(MienError, match="--port"):
        StudioServer(small_studio(), server.server_address[1])


def test_the_command_refuses_what_it_cannot_show(
    studio: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.obj"
    bad.write_text("v 0 0 0\nf 1 1 1\n")
    assert "vertices" in run(capsys, "view", studio.model, bad, "--no-browser").sentence
    assert "does not exist" in run(capsys, "view", studio.model, "--data", tmp_path / "none").sentence
    assert "known" in run(capsys, "view", studio.model, "--device", "abacus").sentence


def test_the_command_serves_until_it_is_interrupted(studio: Folder) -> None:
    command = [
        sys.executable,
        "-m",
        "mien",
        "view",
        str(studio.model),
        str(studio.smile),
        "--no-browser",
        "--port",
        "0",
    ]
    # A job in the background of a shell ignores interrupts, and so would its children.
    heeding = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, heeding)
    try:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        host, key = address.split("/")[2], address.split("key=")[1]
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("POST", "/api/act", '{"action": "refresh"}', {"X-Mien-Key": key})
        head, _ = unpack(connection.getresponse().read())
        assert head["state"]["people"][-1]["kind"] == "loaded" and head["state"]["person"] == "loaded-1"
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read().strip().endswith("Closed.")
    finally:
        process.kill()
        process.communicate()


def test_the_share_command_writes_one_page(
    studio: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    told = run(
        capsys, "share", studio.model, studio.neutral, "--data", studio.data, "--people", "3", "-o", page
    )
    assert told.code == 0 and "3 people" in told.out and "mm off the model" in told.err
    text = page.read_text()
    assert "default-src 'none'" in text and "connect-src" not in text and 'id="payload"' in text
    assert "html" in run(capsys, "share", studio.model, "-o", tmp_path / "page.txt").sentence
    crowd = run(capsys, "share", studio.model, "--people", "65", "-o", page)
    assert crowd.code == 2
