"""The other process of :mod:`mien.io.worker`: it is given functions, and gives back what they give."""

from __future__ import annotations

import importlib
import os
import pickle  # noqa: TID251, between a process and its child: no file holds one
import struct
import sys
from typing import IO, Any

from mien.errors import BadFile, MienError

LENGTH = struct.Struct("<Q")
_MEGABYTE = 1_000_000


def limit_memory(megabytes: int) -> None:
    """Keeps this process from taking more, where the system can."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows has no such limits
        return
    # On Linux what is written counts; elsewhere the address space, which libraries reserve generously.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, most = resource.getrlimit(kind)
    wanted = megabytes * _MEGABYTE
    resource.setrlimit(kind, (wanted if most < 0 else min(wanted, most), most))


def answer_of(data: bytes) -> bytes:
    """The pickled answer to a pickled question: what the function gave, or how it failed."""
    try:
        function, values = pickle.loads(data)
        return pickle.dumps(("done", function(*values)), protocol=pickle.HIGHEST_PROTOCOL)
    except MienError as error:
        return _refused(error)
    except MemoryError:
        return _refused(
            BadFile("this takes more memory than the studio may use", remedy="use a smaller mesh")
        )
    except Exception as error:  # a defect: its parent says so and lives on
        return pickle.dumps(("defect", f"{type(error).__name__}: {error}"))


def _refused(error: MienError) -> bytes:
    received: Any = None if error.received is None else str(error.received)
    kind = type(error)
    return pickle.dumps(("refused", (kind.__module__, kind.__name__, error.cause, received, error.remedy)))


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answers until the parent closes."""
    while len(head := questions.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        data = questions.read(length)
        if len(data) < length:
            return
        made = answer_of(data)
        answers.write(LENGTH.pack(len(made)) + made)
        answers.flush()


def _main() -> None:
    limit_memory(int(sys.argv[1]))
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
