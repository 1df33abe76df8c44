"""Docstrings for the site: an extension of Griffe that turns Sphinx roles and ``::`` into Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:mod|class|func|meth|data|attr):`~?([^`]+)`")
_BLOCK = re.compile(r"::\s*$", re.MULTILINE)
_CODE = re.compile(r"``([^`]+)``")


def markdown(text: str) -> str:
    """A docstring's text with plain code in place of roles, and a colon in place of two before a block."""
    return _CODE.sub(r"`\1`", _BLOCK.sub(":", _ROLE.sub(r"`\1`", text)))


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring once it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute inside a package."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called for the package itself."""
        if pkg.docstring is not None:
            pkg.docstring.value = markdown(pkg.docstring.value)
