"""Values as people write them: ``smile=0.8``, ``smile=0.8+anger@0.2,0.6,1.4``, ``steps=300``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.data.motion import Act
from mien.errors import BadSetting, UnknownName
from mien.geometry.piece_kinds import KINDS, kind_of_word
from mien.io.schema import parse_bounded_yaml
from mien.limits import LARGEST_WEIGHT


def parse_weights(items: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """``["smile=0.8", "anger"]`` -> ``{"smile": 0.8, "anger": 1.0}``.

    Args:
        items: What was given with ``-e``; a name alone means full strength.
        known: The E expression names of the model.
    """
    weights: dict[str, float] = {}
    for item in items:
        name, equals, number = item.partition("=")
        if name.strip() not in known:
            raise UnknownName("expression", name.strip(), known)
        try:
            weight = float(number) if equals else 1.0
        except ValueError as error:
            raise BadSetting(
                f"the weight of {name.strip()!r} is not a number",
                received=repr(number),
                remedy="write -e smile=0.8",
            ) from error
        if not math.isfinite(weight):
            raise BadSetting(f"the weight of {name.strip()!r} must be finite", received=repr(number))
        if abs(weight) > LARGEST_WEIGHT:
            raise BadSetting(f"the weight of {name.strip()!r} is too large", received=repr(number),
                             remedy="1 is the whole expression")  # fmt: skip
        weights[name.strip()] = weight
    return weights


def parse_acts(
    items: Sequence[str], known: Sequence[str], moments: tuple[float, float, float, float]
) -> list[Act]:
    """``["happy=0.5", "sad=0.3", "surprise@2,2.3,3"]`` -> two acts: a blend with the usual moments, and one.

    Args:
        items: What was given with ``-e``.
        known: The E expression names of the model.
        moments: Onset, apex, release and offset of items that have none of their own.
    """
    acts, shared = [], dict[str, float]()
    for item in items:
        names, timed, numbers = item.partition("@")
        weights = parse_weights(names.split("+"), known)
        if not timed:
            shared |= weights
            continue
        try:
            own = [float(number) for number in numbers.split(",")]
        except ValueError:
            own = []
        if len(own) not in (3, 4):
            raise BadSetting(
                "own moments are onset, apex and offset in seconds, or onset, apex, release and offset",
                received=repr(item), remedy="write -e happy=0.8@0.2,0.6,1.4",
            )  # fmt: skip
        onset, apex, offset = own[0], own[1], own[-1]
        acts.append(Act(weights, onset, apex, own[2] if len(own) == 4 else apex, offset))
    return [*([Act(shared, *moments)] if shared else []), *acts]


def parse_walk(text: str, known: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """``"happy,sad=0.5+surprise"`` -> the named weights of two apexes.

    Args:
        text: What was given with ``--between``.
        known: The E expression names of the model.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise BadSetting(
            "a walk goes between two expressions", received=repr(text), remedy="--between happy,surprise"
        )
    first, second = (parse_weights(part.split("+"), known) for part in parts)
    return first, second


def parse_settings(items: Sequence[str]) -> dict[str, Any]:
    """``["latent=32", "neutral=false"]`` -> values typed as YAML types them."""
    settings: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise BadSetting(
                "a setting has the form key=value", received=repr(item), remedy="write --set latent=32"
            )
        try:
            settings[key.strip()] = _number(parse_bounded_yaml(text))
        except ValueError as error:
            raise BadSetting(
                f"the value of {key.strip()!r} is not valid YAML", received=repr(text)
            ) from error
    return settings


def _number(value: Any) -> Any:
    """YAML 1.1 reads ``1e-4`` as text, as it wants ``1.0e-4``; nobody writes that."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?e[-+]?\d+", value, re.IGNORECASE):
        return float(value)
    return value


class Marks(dict[Path, Path]):
    """Which landmark table belongs to which mesh, and what the pieces of each mesh are said to be."""

    pieces: Mapping[Path, dict[str, str]] = {}

    def __missing__(self, mesh: Path) -> None:
        return None

    @staticmethod
    def of(given: Sequence[str], *meshes: Path | str | None, pieces: Sequence[str] = ()) -> Marks:
        """Reads ``--landmarks``: ``TABLE.csv`` for the first mesh, ``MESH=TABLE.csv`` for any other.

        Args:
            given: What was written.
            meshes: Those of the command; a mesh may be named by its whole path or its file name.
            pieces: ``NAME=KIND`` of pieces of the first mesh, ``MESH=NAME=KIND`` of any other's, as
                ``--piece`` gives them.
        """
        known = [Path(mesh) for mesh in meshes if mesh is not None]
        found = Marks()
        found.pieces = _pieces_of(pieces, known)
        for item in given:
            name, named, table = item.rpartition("=")
            fitting = _called(name, known) if named else known[:1]
            if not fitting:
                raise UnknownName("mesh with landmarks", name or item, [mesh.name for mesh in known])
            found |= dict.fromkeys(fitting, Path(table))
        return found


def _called(name: str, meshes: Sequence[Path]) -> list[Path]:
    return [mesh for mesh in meshes if name in (str(mesh), mesh.name)]


def _pieces_of(given: Iterable[str], meshes: Sequence[Path]) -> dict[Path, dict[str, str]]:
    """Mesh -> its pieces. ``head.obj=hat`` is a piece of that name; two equal signs name a mesh first."""
    written: dict[Path, list[str]] = {}
    for item in given:
        name, _, rest = item.partition("=")
        named = _called(name, meshes) if "=" in rest else []
        for mesh in named or meshes[:1]:
            written.setdefault(mesh, []).append(rest if named else item)
        if not meshes:
            raise BadSetting("a piece needs the mesh that it belongs to", received=item, remedy="name a mesh")
    return {mesh: parse_pieces(items) for mesh, items in written.items()}


def parse_pieces(given: Iterable[str]) -> dict[str, str]:
    """Name -> kind, of ``NAME=KIND`` as a user writes them; names may hold equal signs.

    Args:
        given: Each is one piece.
    """
    found = {}
    for item in given:
        name, _, kind = item.rpartition("=")
        if not name.strip() or not kind.strip():
            raise BadSetting(
                "a piece is given as NAME=KIND", received=item, remedy=f"kinds are {', '.join(KINDS)}"
            )
        found[name.strip()] = kind_of_word(kind)
    return found
