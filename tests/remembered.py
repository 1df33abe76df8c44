"""What a test is not about is computed once a process: the same question has the same answer."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
import pytest

from mien.apply import heads
from mien.errors import MienError
from mien.topology import Topology


def _feed(digest: Any, value: Any) -> None:
    """Everything that a value says goes into a digest; objects that say nothing are known by who they are."""
    digest.update(type(value).__qualname__.encode())
    if isinstance(value, Topology):
        digest.update(value.fingerprint.encode())
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _feed(digest, key), _feed(digest, item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode() + b";")


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that answers a question of the same content from memory, or refuses it as before."""
    answers: dict[bytes, Any] = {}

    @wraps(function)
    def asked(*arguments: Any, **options: Any) -> Any:
        digest = hashlib.sha256()
        _feed(digest, arguments), _feed(digest, options)
        if (key := digest.digest()) not in answers:
            try:
                answers[key] = function(*arguments, **options)
            except MienError as error:
                answers[key] = error
        if isinstance(answers[key], MienError):
            raise answers[key]
        return answers[key]

    return asked


_FOUND, _REGISTERED = remembered(heads.find_face), remembered(heads.register)


@contextmanager
def laying_once() -> Iterator[None]:
    """Each head is looked for and registered once: seconds of work, and not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "find_face", _FOUND)
        patch.setattr(heads, "register", _REGISTERED)
        yield
