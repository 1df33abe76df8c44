"""The nodes of a VRML file, version 1 or 2, without knowledge of what any of them means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import BadFile

# A string that does not close ends with the file, so that none is looked through twice.
_STRING = rb'"(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)'
_COMMENT = re.compile(rb"(" + _STRING + rb")|#[^\n]*", re.DOTALL)
# A list that holds neither nodes nor strings is one word, however many numbers stand in it.
_WORD = re.compile(_STRING + rb'|\[[^\[\]{}"]*\]|[{}\[\]]|[^\s,{}\[\]"]+', re.DOTALL)
_NUMBER = re.compile(rb"[+-]?[\d.]")
_DEEPEST = 60  # nodes inside nodes


@dataclass(eq=False)
class Node:
    """A node.

    Args:
        kind: What it is: ``Transform``, ``IndexedFaceSet`` and so on.
        values: Field -> what follows it: numbers, a word, a string or a list, as written.
        nodes: Field -> the nodes that it holds; those without a field (version 1) are under no name.
    """

    kind: str
    values: dict[str, bytes] = field(default_factory=dict)
    nodes: dict[str, list[Node]] = field(default_factory=dict)

    def only(self, name: str) -> Node | None:
        """The node of a field, or None."""
        return next(iter(self.nodes.get(name, ())), None)

    def floats(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """The numbers of a short field.

        Raises:
            ValueError: There are fewer or others than the default has.
        """
        if name not in self.values:
            return default
        found = tuple(float(word) for word in re.split(rb"[\s,\[\]]+", self.values[name].strip(b"[] \n\t,")))
        if len(found) != len(default):
            raise ValueError(f"{name} of {self.kind} needs {len(default)} numbers")
        return found

    def says_no(self, name: str) -> bool:
        """Whether a field says ``FALSE``."""
        return self.values.get(name, b"").upper() == b"FALSE"


def parse_nodes(data: bytes, path: Path) -> list[Node]:
    """The nodes at the top of a file.

    Args:
        data: The text behind the first line.
        path: Where it was read, for messages.
    """
    text = _COMMENT.sub(lambda match: match[1] or b"", data)
    reader = _Reader(text, path)
    top = Node("file")
    reader.read_into(top, 0, None)
    return top.nodes.get("", [])


class _Reader:
    """Words one after the other, and the nodes that have a name."""

    def __init__(self, text: bytes, path: Path) -> None:
        self.words: Iterator[bytes] = (match[0] for match in _WORD.finditer(text))
        self.ahead: list[bytes] = []
        self.path = path
        self.named: dict[bytes, Node] = {}

    def damaged(self, why: str) -> BadFile:
        return BadFile(f"{self.path.name!r} is cut off or damaged: {why}", remedy="copy or export it again")

    def peek(self, place: int = 0) -> bytes | None:
        """A word ahead; None behind the end."""
        while len(self.ahead) <= place:
            word = next(self.words, None)
            if word is None:
                return None
            self.ahead.append(word)
        return self.ahead[place]

    def take(self) -> bytes:
        """The next word."""
        word = self.peek()
        if word is None:
            raise self.damaged("its brackets do not close")
        return self.ahead.pop(0)

    def read_into(self, node: Node, depth: int, closing: bytes | None, name: str = "") -> None:
        """Reads fields and nodes up to a closing bracket, or to the end of the file."""
        while (word := self.peek()) != closing:
            if word is None:
                raise self.damaged("its brackets do not close")
            if self.is_node():
                node.nodes.setdefault(name, []).append(self.node(depth))
            elif name or word in (b"{", b"}", b"[", b"]"):
                raise self.damaged(f"{word[:40].decode(errors='replace')!r} stands where a node was expected")
            else:
                self.field(node, depth)
        if closing is not None:
            self.take()

    def is_node(self) -> bool:
        """Whether a node comes next."""
        return self.peek() in (b"DEF", b"USE") or self.peek(1) == b"{"

    def node(self, depth: int) -> Node:
        """The next node."""
        if depth > _DEEPEST:
            raise self.damaged(f"more than {_DEEPEST} nodes stand inside each other")
        word, name = self.take(), None
        if word == b"USE":
            name = self.take()
            if name not in self.named:
                raise self.damaged(f"it uses {name[:40].decode(errors='replace')!r} before it is defined")
            return self.named[name]
        if word == b"DEF":
            name, word = self.take(), self.take()
        if self.peek() != b"{":
            raise self.damaged(f"{word[:40].decode(errors='replace')!r} has no content")
        self.take()
        found = Node(word.decode(errors="replace"))
        self.read_into(found, depth + 1, b"}")
        if name is not None:
            self.named[name] = found
        return found

    def field(self, node: Node, depth: int) -> None:
        """The next field and its value."""
        name = self.take().decode(errors="replace")
        word = self.peek()
        if word == b"[":
            self.take()
            node.values[name] = self.strings() or b""
            self.read_into(node, depth, b"]", name)
        elif word is not None and word.startswith(b"[") and b"USE" in word:
            for used in re.findall(rb"USE\s+([^\s,\]]+)", self.take()):
                self.ahead[:0] = [b"USE", used]
                node.nodes.setdefault(name, []).append(self.node(depth))
        elif self.is_node():
            node.nodes.setdefault(name, []).append(self.node(depth))
        elif word is not None and _NUMBER.match(word):
            numbers = []
            while (word := self.peek()) is not None and _NUMBER.match(word):
                numbers.append(self.take())
            node.values[name] = b" ".join(numbers)
        elif word not in (None, b"}", b"]"):
            node.values[name] = self.take()

    def strings(self) -> bytes | None:
        """The first of the strings that come next, all of which are taken."""
        first = None
        while (word := self.peek()) is not None and word.startswith(b'"'):
            first = first or word
            self.take()
        return first
