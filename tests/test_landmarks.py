"""Landmark tables: read back what was written, refuse the rest in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.errors import BadFile, DataMissing
from mien.io.landmarks import read_landmarks, write_landmarks

GOOD = "name,x,y,z\nnose,0,0,50.5\nleft,30,10,20\nright,-30,10,20\n"


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "landmarks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_round_trip(tmp_path: Path) -> None:
    names, positions = ("a", "b", "c"), np.array([[0, 0, 0], [40, -3.25, 1], [1, 60, 7]], np.float32)
    write_landmarks(tmp_path / "out.csv", names, positions)
    read = read_landmarks(tmp_path / "out.csv")
    assert read[0] == names
    np.testing.assert_allclose(read[1], positions, atol=1e-4)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + GOOD.replace("name,", "Note,name,").replace("\nn", "\nx,n").replace("\nl", "\n,l")
    text = text.replace("\nr", "\ny,r").replace(",", separator).replace("\n", "\r\n")
    names, positions = read_landmarks(write(tmp_path, text))
    assert names == ("nose", "left", "right")
    np.testing.assert_array_equal(positions[0], [0, 0, 50.5])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no column 'name'"),
        ("name,x,y\nnose,0,0\n", "no column 'z'"),
        ("name,x,y,z\n", "at least 3 landmarks"),
        (GOOD + "nose,1,2,3\n", "named twice; received 'nose' in line 5"),
        (GOOD + ",1,2,3\n", "no name"),
        (GOOD + "chin,1,2\n", "three numbers"),
        (GOOD + "chin,1,high,3\n", "three numbers"),
        (GOOD + "chin,1,nan,3\n", "not finite"),
        (GOOD.replace("30", ".03").replace("50.5", ".05").replace("10", "0").replace("20", "0"), "by 1000"),
        (GOOD.replace("30", "3.").replace("50.5", "5").replace("10", "1").replace("20", "2"), "by 10 if"),
        (GOOD.replace("30", "30000"), "check the unit"),
        (b"\xff\xfe\x00\x81", "not text"),
    ],
)
def test_bad_tables_get_one_sentence(tmp_path: Path, text: str | bytes, cause: str) -> None:
    with pytest.raises(BadFile) as caught:
        read_landmarks(write(tmp_path, text))
    assert cause in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no such landmark table"):
        read_landmarks(tmp_path / "absent.csv")
