"""Modules import only from floors below, files never in a circle, and functions stay short enough to read."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components
from sources import FILES, SOURCE, place_of, statements_of, tree_of

FLOORS = (
    (
        "topology",
        "codes",
        "errors",
        "progress",
        "cores",
        "machine",
        "version",
        "landmark_names",
        "temporary",
        "npz",
        "limits",
    ),
    ("geometry", "io"),
    ("data", "nn", "render"),
    ("models", "find"),
    ("training", "apply", "fit", "evaluation", "claims", "figures"),
    ("hub", "sharing", "viewer", "report", "demo", "experiments", "__init__"),
    ("cli", "__main__"),
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# Neighbors on one floor that may see each other: files need geometry, judging uses what it
# judges, pictures show what is applied, testing a claim again trains and judges, and a model's card says
# what it can do.
ALLOWED = {
    ("io", "geometry"), ("evaluation", "apply"), ("evaluation", "fit"), ("apply", "fit"),
    ("figures", "apply"),
    ("figures", "evaluation"), ("claims", "evaluation"), ("claims", "training"),
    ("training", "apply"),
}  # fmt: skip
#: A command parses, calls and prints. What it parses and prints with:
CLI_PACKAGES = {"mien", "typer", "rich", "yaml"}
#: and what only computing needs.
NOT_IN_CLI = ("geometry", "nn", "topology", "codes")
#: What methods stand on, and what finds their classes and holds their constructors within bounds.
MODEL_BASE = ("base", "calibration", "autoencoder", "motion", "files")
MODEL_FINDERS = ("registry", "own_code", "bounded", "__init__")
#: Every method has settings of its own, by this name.
SHARED_NAMES = {"Settings"}
#: Blocks with one user that other methods are to share, and what rewrites blocks for other runtimes.
SINGLE_USERS = {"chebyshev", "export"}


@cache
def imports_of(path: Path) -> set[tuple[str, ...]]:
    """The modules of Mien that a file imports, each as a path below the package."""
    found: set[tuple[str, ...]] = set()
    for node in statements_of(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {module_of(name.split(".")[1:]) for name in names if name.split(".")[0] == "mien"}
    return found - {()}


def module_of(parts: list[str]) -> tuple[str, ...]:
    """The module of a dotted name, which may end in a name inside the module."""
    path = SOURCE.joinpath(*parts)
    inside = not (path.is_dir() or path.with_suffix(".py").is_file())
    return tuple(parts[:-1] if inside and parts[:-1] else parts)


def allowed(importer: tuple[str, ...], imported: tuple[str, ...]) -> bool:
    """The rule of the floors for one import."""
    above, below = FLOOR[importer[0]], FLOOR.get(imported[0], FLOOR["__init__"])
    if importer[0] == imported[0] == "models":
        # A method sees its own folder and what all methods stand on, and no other method; so do these.
        method = importer[1] not in MODEL_BASE + MODEL_FINDERS
        seen = (importer[1], *MODEL_BASE) if method else MODEL_BASE + MODEL_FINDERS
        return len(imported) > 1 and imported[1] in seen
    if above in (0, 5, 6) or importer[0] == imported[0]:
        return below <= above
    return below < above or (importer[0], imported[0]) in ALLOWED


def test_imports_stay_on_lower_floors() -> None:
    wrong = []
    for path in FILES:
        importer = path.relative_to(SOURCE).with_suffix("").parts
        above = [".".join(item) for item in imports_of(path) if not allowed(importer, item)]
        wrong += [f"{place_of(path)} (floor {FLOOR[importer[0]]}) may not import {above}"] if above else []
    assert not wrong, "\n".join(wrong)


def test_no_circles() -> None:
    """Imports inside functions and those for types only count, too: each says that a file knows another."""
    modules = {path.relative_to(SOURCE).with_suffix("").parts: path for path in FILES}
    modules = {parts[:-1] if parts[-1] == "__init__" else parts: path for parts, path in modules.items()}
    names = [".".join(parts) for parts in modules]
    knows = np.zeros((len(names), len(names)), bool)
    for row, path in enumerate(modules.values()):
        for imported in {".".join(parts) for parts in imports_of(path)} & set(names):
            knows[row, names.index(imported)] = True
    _, group = connected_components(knows, connection="strong")
    circles = [{names[k] for k in np.flatnonzero(group == g)} for g in np.unique(group)]
    wrong = [sorted(circle) for circle in circles if len(circle) > 1]
    assert not wrong, f"files that import each other in a circle: {wrong}"


def test_commands_parse_call_and_print() -> None:
    """What computes lies below, where Python and the studio reach it: no arrays, no geometry in commands."""
    for path in (SOURCE / "cli").rglob("*.py"):
        packages = set()
        for node in statements_of(path):
            if isinstance(node, ast.Import):
                packages |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                packages.add(str(node.module).split(".")[0])
        further = packages - sys.stdlib_module_names - CLI_PACKAGES
        assert not further, f"{place_of(path)} imports {further}"
        product = [".".join(item) for item in imports_of(path) if item[0] in NOT_IN_CLI]
        assert not product, f"{place_of(path)} computes with {product}: let a lower floor do it"


def test_the_command_line_stays_small() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in (SOURCE / "cli").rglob("*.py"))
    assert lines < 2000, f"cli/ has {lines} lines: what does it do beside parsing, calling and printing?"


def test_functions_are_short() -> None:
    long = []
    for path in FILES:
        for node in statements_of(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                start = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                length = (node.end_lineno or 0) - (start or 0) + 1
                long += [f"{place_of(path)}: {node.name} has {length} lines"] if length > 40 else []
    assert not long, "below their docstrings functions have 40 lines at most\n" + "\n".join(long)


def test_every_module_has_a_floor() -> None:
    tops = {path.relative_to(SOURCE).with_suffix("").parts[0] for path in FILES}
    assert tops <= set(FLOOR), f"not on any floor: {sorted(tops - set(FLOOR))}"


def test_public_names_have_one_meaning() -> None:
    """A command may be called as what it runs; apart from that a name is found in one place."""
    homes: dict[str, list[str]] = {}
    for path in FILES:
        if "cli" not in path.relative_to(SOURCE).parts:
            for node in tree_of(path).body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    twice = {name: places for name, places in homes.items() if len(places) > 1}
    wrong = {name: places for name, places in twice.items() if name not in SHARED_NAMES}
    assert not wrong, f"names with two meanings: {wrong}"


def test_blocks_have_two_users() -> None:
    users: dict[str, set[tuple[str, ...]]] = {
        path.stem: set() for path in (SOURCE / "nn").glob("*.py") if path.stem != "__init__"
    }
    for path in FILES:
        importer = path.relative_to(SOURCE).with_suffix("").parts
        for imported in imports_of(path):
            if imported[0] == "nn" and len(imported) > 1 and importer != imported:
                users[imported[1]].add(importer[:2])
    alone = {name for name, who in users.items() if len(who) < 2} - SINGLE_USERS
    assert not alone, f"blocks with one user belong to that user: {sorted(alone)}"
