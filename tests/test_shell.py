"""The shell of the command line: named values, output, and mistakes told in one sentence."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import typer

from mien.cli import shell
from mien.data.notation import parse_settings, parse_weights
from mien.errors import BadMesh, BadSetting, UnknownName, system_sentence
from mien.io.json_text import json_text
from mien.temporary import neighbor


def test_weights_are_named_numbers() -> None:
    known = ("smile", "anger")
    assert parse_weights(["smile=0.8", "anger"], known) == {"smile": 0.8, "anger": 1.0}
    assert parse_weights(["smile=-0.5"], known) == {"smile": -0.5}


def test_an_unknown_expression_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'smile'"):
        parse_weights(["smiel=0.8"], ("smile", "anger"))


def test_a_weight_that_is_no_number_is_refused() -> None:
    for text in ("smile=much", "smile="):
        with pytest.raises(BadSetting, match="not a number"):
            parse_weights([text], ("smile",))
    with pytest.raises(BadSetting, match="finite"):
        parse_weights(["smile=nan"], ("smile",))


def test_settings_are_typed_as_yaml() -> None:
    given = ["latent=32", "neutral=false", "rate=1e-4", "sizes=[64, 32]", "name=first run"]
    wanted = {"latent": 32, "neutral": False, "rate": 1e-4, "sizes": [64, 32], "name": "first run"}
    assert parse_settings(given) == wanted
    for wrong in ("latent", "=3", "sizes=[1"):
        with pytest.raises(BadSetting):
            parse_settings([wrong])


def test_json_holds_arrays_and_no_nan() -> None:
    value = {"a": np.float32(1.5), "b": np.arange(2), "c": float("nan"), "d": (1, "x"), "e": np.bool_(True)}
    assert json.loads(json_text(value)) == {
        "a": 1.5,
        "b": [0, 1],
        "c": None,
        "d": [1, "x"],
        "e": True,
    }


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BadMesh("no faces", received="a.obj", remedy="export it again"), 2, "received a.obj; export it"),
        (OSError(errno.ENOSPC, "No space left on device", "out.obj"), 2, "the disk is full: out.obj"),
        (OSError(errno.EFBIG, "File too large", "out.obj"), 2, "the disk is full"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 9000), 2, "x ... is too long a name"),
        (OSError(errno.EEXIST, "File exists", b"out"), 2, "out is there already"),
        (FileNotFoundError(errno.ENOENT, "No such file", "nowhere"), 2, "nowhere does not exist"),
        (PermissionError(errno.EACCES, "Permission denied", "locked"), 2, "permissions"),
        (MemoryError(), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (shell.Stopped("finished stages are kept in runs/a"), 130, "finished stages are kept"),
        (ZeroDivisionError("division by zero"), 1, "a defect of Mien"),
    ],
)  # fmt: skip
def test_what_stops_a_command_is_one_sentence(error: BaseException, code: int, words: str) -> None:
    received, sentence = shell.explain(error)
    assert received == code
    assert words in sentence
    assert "\n" not in sentence


def test_no_traceback_unless_debug(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail(name: str) -> None:
        raise BadMesh(f"{name} is empty")

    assert shell.run(app, ["a.obj"]) == 2
    assert shell.run(app, ["a.obj", "--nonsense"]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == "mien: a.obj is empty."
    assert "Traceback" not in captured.err + captured.out
    with pytest.raises(BadMesh):
        shell.run(app, ["a.obj", "--debug"])


def test_places_are_named_as_their_user_knows_them(tmp_path: Path) -> None:
    """Not by the name that a file has while it is written, and not by what would lie below a file."""
    (tmp_path / "taken").touch()
    for below in (neighbor(tmp_path / "taken" / "people"), tmp_path / "taken" / "model" / "config.json"):
        with pytest.raises(NotADirectoryError) as raised:
            below.mkdir()
        sentence = f"{tmp_path / 'taken'} is a file, and a folder is needed."
        assert system_sentence(raised.value) == sentence
    with pytest.raises(FileNotFoundError) as absent:
        neighbor(tmp_path / "nowhere" / "a.b").mkdir()
    assert system_sentence(absent.value) == f"{tmp_path / 'nowhere' / 'a.b'} does not exist; check the path."
