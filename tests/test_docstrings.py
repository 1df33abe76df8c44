"""Every public function, method and dataclass that takes or gives arrays says what shape they have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sources import FILES, SOURCE, place_of, statements_of, tree_of

ARRAYS = ("NDArray", "ndarray", "Tensor")
#: Functions of arrays are no arrays, and losses are named scalars by definition.
NO_ARRAY = re.compile(r"\b(Callable\[\[.*?\], .*?\]|Losses)")
#: What may stand between parentheses and commas of a shape: sizes with a little arithmetic or a few words.
ITEM = r"(?:\.\.\.|[\w*'+/|-]+(?: [\w*'+/|-]+){0,5})"
SHAPE = re.compile(rf"\({ITEM}(?:,\s+{ITEM})*,?\)")
#: A letter, a number among others, or a comma at the end tell a shape from a remark in parentheses.
SIZE = re.compile(r"^\((?:\d+ )?[A-Zb-z]'*\)$|\*\w|\.\.\.|,\)$|^(?=.*,).*\b(?:[A-Zb-z]|\d+)\b")
WORDS = re.compile(r"\b(scalar|same shape|any shape)", re.IGNORECASE)


def shapes(text: str) -> int:
    """How many shapes a text states, or words that stand for one."""
    return sum(bool(SIZE.search(found)) for found in SHAPE.findall(text)) + len(WORDS.findall(text))


@cache
def aliases(tree: ast.Module) -> set[str]:
    """Names that a module gives to types of arrays."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return {
        node.targets[0].id for node in assigned
        if isinstance(node.targets[0], ast.Name) and is_array(node.value, set())
    }  # fmt: skip


def is_array(annotation: ast.expr | None, named: set[str]) -> bool:
    """Whether values of an annotation are, or hold, arrays."""
    text = "" if annotation is None else NO_ARRAY.sub("", ast.unparse(annotation).strip("'"))
    return bool(re.search(rf"(?<!\.)\b({'|'.join((*ARRAYS, *sorted(named)))})\b(?![.(])", text))


def array_names(file: Path) -> set[str]:
    """What a file calls arrays: its own names for their types and those that it imports."""
    found = aliases(tree_of(file))
    for node in statements_of(file):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mien."):
            path = SOURCE.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            if path.is_file():
                known = aliases(tree_of(path))
                found |= known & {alias.name for alias in node.names}
    return found


def sections(text: str) -> tuple[str, dict[str, str], str]:
    """A docstring's prose, its arguments by name, and what it says of the result."""
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Returns|Yields|Raises|Example|Attributes):", line):
            current = line[:-1]
        parts.setdefault(current, []).append(line)
    arguments: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", "\n".join(parts.get("Args", []))):
        names, _, description = entry.strip().partition(":")
        arguments |= {name.strip(" *"): description for name in names.split(",")}
    result = "\n".join(parts.get("Returns", []) + parts.get("Yields", []))
    return "\n".join(parts[""]), arguments, result


def signatures(tree: ast.Module) -> Iterator[tuple[str, dict[str, ast.expr | None], ast.expr | None, str]]:
    """Name, annotated parameters, annotated result and docstring of all that is public in a file.

    A method that overrides one of a documented class of the same package inherits what is said there.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, parameters(node), node.returns, ast.get_docstring(node) or ""
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        about = ast.get_docstring(node) or ""
        if any("dataclass" in ast.unparse(item) for item in node.decorator_list):
            fields = {
                item.target.id: item.annotation for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                and not item.target.id.startswith("_") and "ClassVar" not in ast.unparse(item.annotation)
            }  # fmt: skip
            yield node.name, fields, None, about
        inherited = {name for base in node.bases for name in methods_by_class().get(ast.unparse(base), ())}
        for item in node.body:
            if not isinstance(item, ast.FunctionDef) or item.name in inherited:
                continue
            text = ast.get_docstring(item) or (
                about.partition("Shapes:")[2] if item.name == "forward" else ""
            )
            if item.name == "__init__":
                yield node.name, parameters(item), None, about
            elif not item.name.startswith("_") or item.name in ("__call__", "__getitem__"):
                yield f"{node.name}.{item.name}", parameters(item), item.returns, text


def parameters(function: ast.FunctionDef) -> dict[str, ast.expr | None]:
    """Parameters and their annotations."""
    given = function.args
    return {item.arg: item.annotation for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)}


@cache
def methods_by_class() -> dict[str, set[str]]:
    """Public methods of every class of the package, with those of its bases."""
    classes = {
        node.name: node for path in FILES for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
    }  # fmt: skip

    def methods(name: str) -> set[str]:
        if name not in classes:
            return set()
        own = {item.name for item in classes[name].body if isinstance(item, ast.FunctionDef)}
        return own.union(*(methods(ast.unparse(base)) for base in classes[name].bases)) - {"__init__"}

    return {name: methods(name) for name in classes}


def unsaid(path: Path) -> list[str]:
    """What takes or gives arrays in a file and does not state their shape."""
    tree = tree_of(path)
    named, wrong = array_names(path), []
    for name, given, returns, text in signatures(tree):
        prose, arguments, result = sections(text)
        open_questions = []
        for parameter, annotation in given.items():
            if is_array(annotation, named) and not shapes(arguments.get(parameter, "")):
                open_questions.append(parameter)
        if is_array(returns, named) and not shapes(result):
            open_questions.append("its result")
        # A short docstring may say all shapes in its sentence.
        if len(open_questions) > shapes(prose):
            wrong.append(f"{name}: {', '.join(open_questions)}")
    return wrong


def test_arrays_have_shapes() -> None:
    wrong = [f"{place_of(path)}: {item}" for path in FILES for item in unsaid(path)]
    assert not wrong, "no shape, such as (B, V, 3), is stated for\n  " + "\n  ".join(wrong)
