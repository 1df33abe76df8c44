"""Releases are fetched once, by hash, and nothing half-written is left; against a server of this test."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from commands import run

from mien.data import releases
from mien.data.releases import download, release
from mien.errors import BadFile, DataMissing, UnknownName

pytest.importorskip("pooch", reason="the extra 'download' is not installed")
FILES = {"LICENSE": b"MIT", "heads/a.obj": b"v 0 0 0\n" * 5000, "heads/b.obj": b"v 1 1 1\n" * 50}


class Server:
    """Serves files and notes what was asked; ``cut`` breaks off in the middle of one, ``gone`` lacks one."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked, self.cut = dict(files), [], ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.removeprefix("/copy/")
                outer.asked.append(name)
                if name not in outer.files:
                    return self.send_error(404)
                content = outer.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if name == outer.cut else content)
                return None

            def log_message(self, *_: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/copy"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    lines = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in FILES.items()]
    (tmp_path / "ict.txt").write_text(
        "\n".join(["# https://x.example/o/n at " + "0" * 40 + ": files", *lines])
    )
    monkeypatch.setattr(releases, "FOLDER", tmp_path)
    found = Server(FILES)
    yield found
    found.server.shutdown()


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_comes_once(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert download("ict", out, address=server.address) == out and written(out) == FILES
    assert server.asked == list(FILES)
    download("ict", out, address=server.address + "/")
    assert server.asked == list(FILES)  # nothing was asked for again
    (out / "heads" / "b.obj").write_bytes(b"damaged")
    download("ict", out, address=server.address)
    assert written(out) == FILES and server.asked == [*FILES, "heads/b.obj"]


def test_a_download_that_breaks_off_goes_on(server: Server, tmp_path: Path) -> None:
    out, server.cut = tmp_path / "out", "heads/a.obj"
    with pytest.raises(DataMissing, match=r"could not be fetched; .*/heads/a\.obj .*try again"):
        download("ict", out, address=server.address)
    assert written(out) == {"LICENSE": b"MIT"}  # whole files only
    server.cut = ""
    download("ict", out, address=server.address)
    assert written(out) == FILES and server.asked.count("LICENSE") == 1


def test_another_file_under_the_name_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.files["heads/a.obj"] = b"v 9 9 9\n" * 5000
    with pytest.raises(BadFile, match="not the one that was written down.*heads/a.obj"):
        download("ict", tmp_path / "out", address=server.address)
    assert written(tmp_path / "out") == {"LICENSE": b"MIT"}


def test_sentences_of_the_command(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "out")
    told = run(capsys, "data", "download", "ict", "--out", out, "--address", server.address)
    assert told.code == 0 and "mien data build ict --from" in told.out
    del server.files["LICENSE"]
    told = run(capsys, "data", "download", "ict", "--out", out + "2", "--address", server.address)
    assert told.code == 2 and "404" in told.sentence and not written(Path(out + "2"))
    server.server.shutdown()
    server.server.server_close()
    told = run(capsys, "data", "download", "ict", "--out", out + "3", "--address", server.address)
    assert told.code == 2 and "ConnectionError" in told.sentence
    told = run(capsys, "data", "download", "itc", "--out", out + "3")
    assert told.code == 2 and "did you mean 'ict'" in told.sentence


def test_what_is_written_down_is_a_release() -> None:
    for name, count in (("ict", 155), ("valid", 44)):
        found = release(name)
        assert len(found.files) == count and found.commit in found.address and "MIT" in found.about
        assert "LICENSE" in found.files and all(len(digest) == 64 for digest in found.files.values())
        assert not any(path.startswith("/") or ".." in path for path in found.files)
    with pytest.raises(UnknownName, match="did you mean 'valid'"):
        release("vallid")
