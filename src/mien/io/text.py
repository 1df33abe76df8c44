"""Text of files that other programs wrote, whatever encoding and line ends they chose."""

from __future__ import annotations

import codecs
from pathlib import Path

from mien.errors import BadFile

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_LOOKED_AT = 400  # bytes by which UTF-16 without a mark is recognized


def as_utf8(data: bytes) -> bytes:
    """The same text in UTF-8 without a byte order mark, lines ended by ``\\n``; 8-bit bytes stay as they are.

    Args:
        data: A text file's bytes.

    Raises:
        UnicodeDecodeError: The file states an encoding and breaks it.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            data = data[len(mark) :]
            data = data if encoding == "utf-8" else data.decode(encoding).encode()
            break
    else:
        if encoding_without_mark := _wide(data[:_LOOKED_AT]):
            data = data.decode(encoding_without_mark).encode()
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _wide(head: bytes) -> str:
    """``utf-16-le`` or ``utf-16-be`` where every other byte is zero, as Latin text has it; else empty."""
    half = len(head) // 2
    if half < 2:
        return ""
    low, high = head[1 : 2 * half : 2].count(0), head[0 : 2 * half : 2].count(0)
    if low > 0.9 * half and not high:
        return "utf-16-le"
    return "utf-16-be" if high > 0.9 * half and not low else ""


def decode_name(words: bytes) -> str:
    """A name in UTF-8, or in the encoding of Western Windows, which accepts what is left."""
    try:
        return words.decode()
    except UnicodeDecodeError:
        return words.decode("cp1252", errors="replace")


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8, UTF-16, UTF-32 or Windows-1252.

    Args:
        path: A file that exists.
        what: What it is, for messages: ``the label table``.

    Raises:
        BadFile: It holds bytes that no text holds.
    """
    try:
        text = decode_name(as_utf8(path.read_bytes()))
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise BadFile(f"{what} cannot be read", received=f"{path}: {error.strerror}") from error
    if "\0" in text:
        raise BadFile(f"{what} is not text", received=str(path), remedy="save it as text in UTF-8")
    return text
