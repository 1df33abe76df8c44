"""Ways to damage a valid file: bytes, words, lines, and the values of what it describes."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

NUMBERS = (
    "0", "-0", "-1", "1", "2", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295",
    "-2147483649", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1e8", "1e9", "1e12",
    "1e38", "1e39", "1e308", "1e400", "-1e400", "nan", "inf", "-inf", "0x10", "1_000", "1,5", "1.", ".5", "--1",
    "1e-320", "9" * 400, "1" * 5000, "\u0663",
)  # fmt: skip
TEXTS = (
    "",
    " ",
    "\0",
    "\n",
    "../../x",
    "/etc/passwd",
    "C:\\x",
    "\ud83d\ude00",
    "a" * 300,
    "x" * 200_000,
    "é",
    "__class__",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 10**9, 10**30, 0.5, -1e300, float("nan"), float("inf"), "", "a", "x" * 300,
    [], {}, [None], [[]], {"a": 1}, [1, 2, 3], ["a", "a"], "../x",
)  # fmt: skip


def damaged_bytes(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut, doubled, moved or put in."""
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        size = len(content)
        at = chance.randrange(size + 1)
        length = chance.choice((1, 2, 4, 8, 64, 1024))
        kind = chance.randrange(6)
        if kind == 0 and size:
            content[at % size] = chance.randrange(256)
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = content[at : at + length] * chance.choice((1, 2, 50))
        elif kind == 4:
            content[at:at] = chance.randbytes(length)
        else:
            number = chance.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 10**9))
            content[at : at + 4] = struct.pack(chance.choice("<>") + "I", number)
    return bytes(content)


def damaged_text(data: bytes, chance: random.Random) -> bytes:
    """Numbers, words and lines changed, doubled, moved or dropped; another encoding at times."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice((_number, _number, _word, _line, _field, _encoded))(data, chance)
    return data


def _replaced(data: bytes, pattern: bytes, chance: random.Random, new: bytes) -> bytes:
    found = list(re.finditer(pattern, data))
    if not found:
        return data + new
    place = chance.choice(found)
    return data[: place.start()] + new + data[place.end() :]


def _number(data: bytes, chance: random.Random) -> bytes:
    return _replaced(data, rb"[-+]?\d[\d.eE+-]*", chance, chance.choice(NUMBERS).encode())


def _word(data: bytes, chance: random.Random) -> bytes:
    words = re.findall(rb"[A-Za-z_]\w*", data) or [b"a"]
    other = chance.choice((*TEXTS, *NUMBERS)).encode("utf-8", "replace")
    return _replaced(data, rb"[A-Za-z_]\w*", chance, chance.choice((chance.choice(words), other)))


def _line(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    kind = chance.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at:at] = [lines[at]] * chance.choice((1, 2, 1000, 20_000))
    elif kind == 2:
        lines.insert(chance.randrange(len(lines)), lines[at])
    elif kind == 3:
        lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
    else:
        lines[at] = lines[at] * chance.choice((2, 300))
    return b"\n".join(lines)


def _field(data: bytes, chance: random.Random) -> bytes:
    mark = chance.choice((b",", b" ", b'"', b"/", b"\t", b"#", b"\\", b"{", b"[", b":"))
    kind = chance.randrange(3)
    if kind == 0:
        return _replaced(data, re.escape(mark), chance, b"")
    if kind == 1:
        return _replaced(data, re.escape(mark), chance, mark * chance.choice((2, 3, 70_000)))
    at = chance.randrange(len(data) + 1)
    return data[:at] + mark * chance.choice((1, 1, 40_000)) + data[at:]


def _encoded(data: bytes, chance: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    encoding = chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "cp1252"))
    return text.encode(encoding, "replace")


def damaged_value(value: Any, chance: random.Random) -> Any:
    """A document (numbers, texts, lists, mappings) with some of its values exchanged, dropped or nested."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        value = _changed(value, chance)
    return value


def _changed(value: Any, chance: random.Random, depth: int = 0) -> Any:
    inside = isinstance(value, (dict, list)) and bool(value)
    if inside and chance.random() > 0.12 * (depth > 0) + 0.02:
        copy = dict(value) if isinstance(value, dict) else list(value)
        key = chance.choice(list(copy)) if isinstance(copy, dict) else chance.randrange(len(copy))
        kind = chance.random()
        if kind < 0.1:
            del copy[key]  # type: ignore[arg-type]
        elif kind < 0.15 and isinstance(copy, list):
            copy += copy[: chance.choice((1, 3))]
        elif kind < 0.2 and isinstance(copy, dict):
            copy[chance.choice(TEXTS[:-1])] = chance.choice(VALUES)
        else:
            copy[key] = _changed(copy[key], chance, depth + 1)  # type: ignore[index]
        return copy
    if isinstance(value, (int, float)) and not isinstance(value, bool) and chance.random() < 0.5:
        return chance.choice((-value, value + 1, value - 1, value * 1000, 10**9, -1, 0, 2**31, 2**63, 1e38))
    if chance.random() < 0.03:
        return _nested(chance.choice((60, 900, 20_000)), chance.random() < 0.5)
    return chance.choice((*VALUES, value))


class Nested(str):
    """Brackets inside brackets, to be written as they stand: JSON's own writer would not go so deep."""


def _nested(depth: int, mapping: bool) -> str:
    return Nested(('{"a":' if mapping else "[") * depth + "1" + ("}" if mapping else "]") * depth)


def json_bytes(value: Any) -> bytes:
    """The document as JSON, NaN as Python writes it."""
    held: list[str] = []

    def plain(item: Any) -> Any:
        if isinstance(item, Nested):
            held.append(item)
            return f"\x01{len(held) - 1}\x01"
        if isinstance(item, dict):
            return {str(key): plain(part) for key, part in item.items()}
        return [plain(part) for part in item] if isinstance(item, (list, tuple)) else item

    text = json.dumps(plain(value))
    for number, item in enumerate(held):
        text = text.replace(f'"\\u0001{number}\\u0001"', item)
    return text.encode()


def damaged_json(data: bytes, chance: random.Random) -> bytes:
    """A JSON file with values exchanged, or damaged as text; what is none any more is damaged as text, too."""
    if chance.random() < 0.2:
        return damaged_text(data, chance)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return damaged_text(data, chance)
    return json_bytes(damaged_value(value, chance))


def damaged_glb(data: bytes, chance: random.Random) -> bytes:
    """A GLB whose JSON has values exchanged, with lengths that are right again; or bytes."""
    if chance.random() < 0.25:
        return damaged_bytes(data, chance)
    size = struct.unpack_from("<I", data, 12)[0]
    text, binary = data[20 : 20 + size], data[28 + size :]
    if chance.random() < 0.2 and binary:
        binary = damaged_bytes(binary, chance)
    else:
        text = json_bytes(damaged_value(json.loads(text), chance))
    return glb_of(text, binary)


def glb_of(text: bytes, binary: bytes) -> bytes:
    """A GLB container of two chunks."""
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    total = 28 + len(text) + len(binary)
    head = struct.pack("<4sIIII", b"glTF", 2, total, len(text), 0x4E4F534A)
    return head + text + struct.pack("<II", len(binary), 0x004E4942) + binary


def damaged_npz(data: bytes, chance: random.Random) -> bytes:
    """An .npz with an array of another shape, kind or value, a member that lies about its size, or bytes."""
    if chance.random() < 0.3:
        return damaged_bytes(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    kind = chance.randrange(8)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[chance.choice(("extra.npy", "x", "../x.npy"))] = members[name]
    elif kind <= 5:
        members[name] = damaged_array(members[name], chance)
    else:
        members[name] = damaged_bytes(members[name], chance)
    out = io.BytesIO()
    packing = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(out, "w", packing) as archive:
        for key, content in members.items():
            archive.writestr(key, content)
    return out.getvalue()


def damaged_array(data: bytes, chance: random.Random) -> bytes:
    """A .npy file with another shape, kind or value, or a header that lies."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    kind = chance.randrange(7) if array.dtype.kind in "fiub" else chance.choice((1, 2, 4, 6))
    if kind == 0:
        return array_bytes(array.astype(chance.choice(("f2", "f8", "i1", "u8", "c16", "?", "S3", ">f4"))))
    if kind == 1:
        array = array.reshape(-1) if chance.random() < 0.5 else array[..., None]
    elif kind == 2:
        array = array[: chance.choice((0, 1, max(len(array) - 1, 0)))] if array.ndim else array
    elif kind == 3 and array.size:
        array = array.copy()
        wrong = (np.nan, np.inf, 1e38, -1e38) if array.dtype.kind == "f" else (-1, 0, 127, 10**9)
        with np.errstate(all="ignore"):
            array.flat[chance.randrange(array.size)] = np.array(chance.choice(wrong)).astype(array.dtype)
    elif kind == 4:
        return lying_array(chance.choice(((10**9, 3), (2**31,), (-1, 3), (10**6, 10**6), (2**62, 4))))
    elif kind == 5:
        array = np.concatenate([array.ravel(), array.ravel()])
    else:
        return damaged_bytes(data, chance)
    return array_bytes(array)


def array_bytes(array: np.ndarray) -> bytes:
    """An array as a .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def lying_array(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """A .npy file of a few bytes that claims a shape."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + b"\0" * 64


def damaged_safetensors(data: bytes, chance: random.Random) -> bytes:
    """A safetensors file with another header, or with bytes changed."""
    if chance.random() < 0.3:
        return damaged_bytes(data, chance)
    size = struct.unpack_from("<Q", data)[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    if chance.random() < 0.3 and body:
        spoiled = bytearray(body)
        at = chance.randrange(0, len(body) - 3, 4) if len(body) > 4 else 0
        number = chance.choice((float("nan"), float("inf"), 1e38, -1e38, 0.0))
        spoiled[at : at + 4] = struct.pack("<f", number)
        body = bytes(spoiled)
    else:
        header = damaged_value(header, chance)
    text = json_bytes(header)
    return struct.pack("<Q", len(text)) + text + body


def damaged_png(data: bytes, chance: random.Random) -> bytes:
    """A PNG whose head claims another size or kind, its checksum right again; or bytes."""
    if chance.random() < 0.5:
        return damaged_bytes(data, chance)
    head = bytearray(data[16:29])
    for _ in range(2):
        at = chance.choice((0, 4))
        struct.pack_into(">I", head, at, chance.choice((0, 1, 16, 30_000, 100_000, 2**31 - 1)))
        if chance.random() < 0.3:
            head[chance.randrange(8, 13)] = chance.randrange(256)
    crc = zlib.crc32(b"IHDR" + bytes(head))
    return data[:16] + bytes(head) + struct.pack(">I", crc) + data[33:]


def digest(data: bytes) -> str:
    """The sha256 that a model's config.json states of a file."""
    return hashlib.sha256(data).hexdigest()


Mutation = Callable[[bytes, random.Random], bytes]
