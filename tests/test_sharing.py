"""Models go to others whole, with their card; the network is asked only for a repository that was named."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fixtures import tiny_data

import mien
from mien import sharing
from mien.errors import BadSetting, DataMissing

hub = pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a closed-form method, with a measurement and a file that only training needs."""
    folder = tmp_path_factory.mktemp("shared") / "run"
    mien.train("pca", tiny_data(), out=folder, progress=False, size=10, expression_size=3)
    (folder / "checkpoint.safetensors").write_bytes(b"of training")
    return folder


def same(first: mien.FaceModel, second: mien.FaceModel) -> bool:
    return all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())


def test_a_folder_has_the_model_and_its_card(finished: Path, tmp_path: Path) -> None:
    folder = mien.save_pretrained(finished, tmp_path / "shared")
    assert {path.name for path in folder.iterdir()} <= set(sharing.SHARED)
    model = mien.from_pretrained(folder)
    assert same(model, mien.load_model(finished))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card and "| protocol | subject |" in card and "| source | planted |" in card
    again = mien.save_pretrained(model, tmp_path / "again")
    assert same(mien.from_pretrained(str(again)), model) and (again / "README.md").is_file()
    with pytest.raises(DataMissing, match=r"has no model\.safetensors.*finish the run"):
        mien.save_pretrained(tmp_path, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_nothing_is_asked_without_a_name(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.chdir(finished.parent)
    mien.save_pretrained(finished, tmp_path / "shared")
    assert same(mien.from_pretrained("run"), mien.load_model(finished))
    for name in ("absent", "/absent/run", "a/b/c", "owner/", "../run/none"):
        with pytest.raises(DataMissing, match="no such model folder.*owner/name"):
            mien.from_pretrained(name)


def test_a_repository_is_fetched_without_code(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot(repository: str, **given: object) -> str:
        asked.append((repository, given))
        return str(finished)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    assert same(mien.from_pretrained("owner/name", revision="v1"), mien.load_model(finished))
    repository, given = asked[0]
    assert repository == "owner/name" and given["revision"] == "v1"
    assert set(given["allow_patterns"]) == set(sharing.SHARED)  # type: ignore[call-overload]
    assert not any(name.endswith(".py") or "*" in name for name in sharing.SHARED)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(finished.parent))
    with pytest.raises(DataMissing, match=r"has no model\.safetensors.*owner/name holds no Mien model"):
        mien.from_pretrained("owner/name")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A hub that knows no repository; what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    real = hub.snapshot_download
    monkeypatch.setattr(
        hub, "snapshot_download",
        lambda *given, **named: real(*given, endpoint=address, cache_dir=tmp_path / "cache", **named),
    )  # fmt: skip
    yield asked
    server.shutdown()
    server.server_close()


def test_a_repository_that_does_not_exist(nobody: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataMissing, match="no such repository on the hub.*owner/absent.*check the name"):
        mien.from_pretrained("owner/absent")
    assert nobody and all("owner/absent" in path for path in nobody)
    before = len(nobody)
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataMissing, match="not fetched before.*HF_HUB_OFFLINE"):
        mien.from_pretrained("owner/absent")
    assert len(nobody) == before


def test_a_run_is_pushed_with_its_card_and_nothing_else(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, dict] = {}

    class Api:
        def __init__(self, **_: object) -> None:
            return None

        def create_repo(self, repository: str, **given: object) -> None:
            calls["create"] = {"repository": repository, **given}

        def upload_folder(self, **given: object) -> SimpleNamespace:
            calls["upload"] = given
            return SimpleNamespace(__str__=lambda: "address")

    monkeypatch.setattr(hub, "HfApi", Api)
    mien.push_to_hub(finished, "owner/name")
    assert calls["create"] == {"repository": "owner/name", "private": True, "exist_ok": True}
    assert set(calls["upload"]["allow_patterns"]) == set(sharing.SHARED)
    with pytest.raises(BadSetting, match="named owner/name"):
        mien.push_to_hub(finished, "name")
    calls.clear()
    with pytest.raises(DataMissing, match=r"no model\.safetensors"):
        mien.push_to_hub(tmp_path, "owner/name")
    assert not calls
    mien.push_to_hub(finished, "owner/name", private=False)
    assert calls["create"]["private"] is False
