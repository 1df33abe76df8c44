"""The library's own files, parsed once a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "mien"
FILES = sorted(SOURCE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def statements_of(path: Path) -> tuple[ast.AST, ...]:
    """Every statement of a file, however deep; not the expressions in them, which are nearly all nodes."""
    found: list[ast.AST] = [tree_of(path)]
    for node in found:  # grows while it is walked
        for part in ("body", "handlers", "cases", "orelse", "finalbody"):
            inner = getattr(node, part, ())
            found += inner if isinstance(inner, list) else ()
    return tuple(found)


def place_of(path: Path) -> str:
    """A file's path below the package, for messages."""
    return path.relative_to(SOURCE).as_posix()
