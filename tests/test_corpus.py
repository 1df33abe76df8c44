"""A small stored corpus of malformed files: each is read or refused in one sentence, at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import readers

from mien.errors import MienError

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", CASES, ids=lambda path: str(path.relative_to(CORPUS)))
def test_a_result_or_one_sentence(path: Path, tmp_path: Path) -> None:
    use = {
        "mesh": readers.use_mesh, "curves": readers.use_curves, "landmarks": readers.use_landmarks,
        "recipe": lambda path, _: readers.read_recipe(path),
        "topology": lambda path, _: readers.Topology.load(path),
        "rules": lambda path, _: readers.read_rules(path, readers.EXPRESSIONS),
        "picture": lambda path, _: readers.read_texture(path, size=16), "archive": readers.use_archive,
    }[path.parent.name]  # fmt: skip
    before = sorted(CORPUS.rglob("*"))
    try:
        use(path, tmp_path)
    except MienError as error:
        assert "\n" not in str(error) and str(error).endswith(".")
    assert sorted(CORPUS.rglob("*")) == before
    assert not list(tmp_path.glob("*.tmp"))
