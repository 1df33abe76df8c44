"""What files of facts and settings may hold: types, ranges, lengths, depth; checked before use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from mien.errors import BadFile
from mien.io.bounds import depth_of, first_twice

DEEPEST = 64
"""Levels of lists and mappings inside each other; real files have about ten, and parsers recurse."""
MOST_YAML_BYTES, MOST_YAML_NODES = 256_000, 20_000

# No control characters and no halves of surrogate pairs: names go into tables, files and pages.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\x00-\x1f\x7f\ud800-\udfff]*$")]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Kind = TypeVar("_Kind")


def checked_as(value: Any, kind: type[_Kind], what: str, path: Path, remedy: str) -> _Kind:
    """A value of a file as what it has to be.

    Args:
        value: As a parser gave it: mappings, lists, texts, numbers.
        kind: A ``msgspec.Struct``, a dataclass, or types of these.
        what: What the file is, for messages: ``the recipe``.
        path: The file.
        remedy: What to do about it.

    Raises:
        BadFile: Something is absent, of another type, or out of its range.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise _refused(what, path, str(error).replace("`$.", "`"), remedy) from error


def _refused(what: str, path: Path, why: str, remedy: str) -> BadFile:
    return BadFile(f"{what} is damaged", received=f"{path}: {' '.join(why.split())[:200]}", remedy=remedy)


def refuse_twice(names: Sequence[str], what: str, path: Path, remedy: str) -> None:
    """Raises :class:`BadFile` where two of a file's names are the same."""
    if (name := first_twice(names)) is not None:
        raise _refused(what, path, f"the name {name!r} stands twice in it", remedy)


def parse_bounded_json(text: str | bytes, what: str, path: Path, remedy: str) -> Any:
    """The values of a JSON document that is not nested without need.

    Args:
        text: The document.
        what: What the file is, for messages.
        path: The file.
        remedy: What to do about it.

    Raises:
        BadFile: It is no JSON, or nested too deep.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if depth_of(data) > DEEPEST:
        raise _refused(what, path, f"it is nested more than {DEEPEST} levels deep", remedy)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refused(what, path, str(error), remedy) from error


def read_json(path: Path, kind: type[_Kind], what: str, remedy: str) -> _Kind:
    """A JSON file as what it has to be; see :func:`checked_as` for the arguments and what it refuses."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _refused(what, path, error.strerror or "it cannot be read", remedy) from error
    return checked_as(parse_bounded_json(text, what, path, remedy), kind, what, path, remedy)


def parse_bounded_yaml(text: str) -> Any:
    """The values of a YAML document without anchors, of bounded size and depth.

    Args:
        text: The document.

    Raises:
        ValueError: It is no such document; the words say why.
    """
    import yaml

    if len(text) > MOST_YAML_BYTES:
        raise ValueError(f"it has more than {MOST_YAML_BYTES:,} letters")
    if depth_of(text.encode("utf-8", "surrogatepass")) > DEEPEST:  # the parser takes long to see it
        raise ValueError(f"it has more than {DEEPEST} levels")
    depth = nodes = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):  # the one pass that does not recurse
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            nodes += isinstance(event, yaml.NodeEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"it refers to the anchor {event.anchor!r}: write the value again")
            if depth > DEEPEST or nodes > MOST_YAML_NODES:
                raise ValueError(f"it has more than {DEEPEST} levels or {MOST_YAML_NODES:,} values")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except (RecursionError, OverflowError, TypeError) as error:  # a mapping as a key, numbers without end
        raise ValueError(str(error) or type(error).__name__) from error
