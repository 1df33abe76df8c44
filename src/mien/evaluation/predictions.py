"""What any program predicted for the test scans, as one ``.npz`` file; and the rows that it is to predict."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import BadFile, DataMissing, UnknownName, Unsupported
from mien.evaluation.distances import Meshes
from mien.evaluation.scans import TestScans, TransferDraws
from mien.npz import array_heads, read_npz

COLUMNS = ("task", "row", "subject", "expression", "from")
#: Array of meshes -> array of the rows that they stand for.
ROWS_OF = {"reconstructions": "rows", "neutrals": "rows", "transfers": "transfer_rows"}
MOST_SAMPLES = 100_000
MOST_ROWS = 10_000_000
_HOW = "`mien data rows` prints what to predict"
_WHAT, _WRITE = "the file of predictions", "write it with numpy.savez"


@dataclass(frozen=True)
class Predictions:
    """Predicted meshes in the order of the test scans and draws; None where a kind was not predicted.

    Args:
        reconstructions: (n, V, 3) float32, millimeters: each test scan again.
        neutrals: (n, V, 3) float32, millimeters: the person of each test scan at rest.
        transfers: (m, V, 3) float32, millimeters: each draw of the transfer test.
        samples: (k, V, 3) float32, millimeters: random faces.
        file: Name of the file.
        sha256: Of the file.
    """

    reconstructions: Meshes | None
    neutrals: Meshes | None
    transfers: Meshes | None
    samples: Meshes | None
    file: str
    sha256: str

    @property
    def facts(self) -> dict[str, str]:
        """What a report states of the system."""
        return {"method": "predictions", "file": self.file, "sha256": self.sha256}


def rows_to_predict(
    data: FaceDataset, *, part: str = "test", protocol: str = "subject", seed: int = 0, styles: int = 2,
    limit: int | None = 4000,
) -> str:  # fmt: skip
    """The rows of a data set to learn from and to predict, as CSV; options as for :func:`evaluate`.

    Columns: ``task``, ``row``, ``subject``, ``expression`` (or ``neutral``, ``unlabeled``), ``from``.
    Tasks: ``train`` and ``validation`` rows may be learned from; a ``scan`` is to be reconstructed and
    neutralized; a ``transfer`` is the person of ``row`` at rest, whose neutral may be used, with the
    expression of the row ``from``, which is somebody else's.

    Args:
        data: The whole data set; row numbers are those of its ``vertices.npy``.
        part: Which part is predicted.
        protocol: How the set is divided.
        seed: Of the division and of the draws.
        styles: How many other people's performances are transferred to each expressive scan.
        limit: Most scans and most transfers.
    """
    scans = TestScans.of(data, part=part, protocol=protocol, seed=seed, limit=limit)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name in ("train", "validation"):
        if part not in (name, "all"):
            learned = data.split(name, protocol=protocol, seed=seed)
            table.writerows((name, *line, "") for line in _lines(learned))
    lines = list(_lines(scans.data))
    table.writerows(("scan", *line, "") for line in lines)
    try:
        draws = TransferDraws.of(scans, styles=styles, limit=limit)
    except Unsupported:  # nothing to transfer: evaluation says why
        return text.getvalue()
    for target, style in zip(draws.target, draws.style, strict=True):
        table.writerow(("transfer", *lines[target], lines[style][0]))
    return text.getvalue()


def _lines(data: FaceDataset) -> Iterator[tuple[int, str, str]]:
    """Row, subject and expression of every scan of a view."""
    names, labeled = {-1: "neutral"}, data.row_labeled("expression")
    assert data.rows is not None
    for row, person, label, known in zip(data.rows, data.row_subject, data.label, labeled, strict=True):
        shown = (names.get(int(label)) or data.expressions[label]) if known else "unlabeled"
        yield int(row), data.subjects[person], shown


def read_predictions(
    path: Path | str, scans: TestScans, draws: TransferDraws | str | None = None
) -> Predictions:
    """Reads and checks a file of predictions.

    Arrays of the file, each optional: ``reconstructions`` and ``neutrals`` (n, V, 3) for ``rows`` (n,),
    ``transfers`` (m, V, 3) for ``transfer_rows`` (m, 2) of ``row`` and ``from``, ``samples`` (k, V, 3);
    millimeters, in any order of the rows.

    Args:
        path: The ``.npz`` file.
        scans: What had to be predicted.
        draws: The transfers, or the sentence why there are none; None: transfers are not looked at.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is damaged, an array has the wrong shape or is not finite, or rows are missing, come
            twice, or are not of this test.
        UnknownName: It has an array of another name.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("the file of predictions does not exist", received=str(path), remedy=_HOW)
    shapes = _shapes(path)
    known = (*ROWS_OF, "samples", "rows", "transfer_rows")
    for name in shapes:
        if name not in known:
            raise UnknownName("array of predictions", name, known)
    if not set(shapes) & {*ROWS_OF, "samples"}:
        raise BadFile("the file predicts nothing", received=str(path), remedy=f"{_HOW}; {ROWS_OF}")
    assert scans.data.rows is not None
    wanted: dict[str, NDArray] = {"rows": scans.data.rows}
    if isinstance(draws, TransferDraws):
        wanted["transfer_rows"] = np.column_stack([scans.data.rows[k] for k in (draws.target, draws.style)])
    kinds = [name for name in (*ROWS_OF, "samples") if name != "transfers" or draws is not None]
    found = dict.fromkeys((*ROWS_OF, "samples")) | {
        name: _meshes(path, name, shapes, wanted, scans) for name in kinds
    }
    return Predictions(**found, file=path.name, sha256=file_digest(path))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Array -> shape, from the heads alone: nothing is unpacked before its size is known."""
    heads = array_heads(path, _WHAT, _WRITE)
    for name, head in heads.items():
        if head.kind.kind not in "fiu":
            raise BadFile(
                f"the array {name!r} of the predictions holds no numbers", received=f"{head.kind} in {path}",
                remedy=_WRITE,
            )  # fmt: skip
    return {name: head.shape for name, head in heads.items()}


def _meshes(
    path: Path, name: str, shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, NDArray],
    scans: TestScans,
) -> Meshes | None:  # fmt: skip
    """One kind of predictions in the order of the test, or None where the file has none."""
    if name not in shapes:
        return None
    count, order = min(shapes[name][0] if shapes[name] else 0, MOST_SAMPLES), None
    if name in ROWS_OF:
        order = _order(path, ROWS_OF[name], shapes, wanted)
        count = len(order)
    shape = (count, scans.data.topology.vertex_count, 3)
    if shapes[name] != shape or not count:
        raise BadFile(
            f"the array {name!r} of the predictions has the wrong shape",
            received=f"{shapes[name]} in {path}", remedy=f"give {shape}, millimeters",
        )  # fmt: skip
    meshes = np.asarray(read_npz(path, _WHAT, _WRITE, [name])[name], np.float32)
    if not np.isfinite(meshes).all():
        wrong = int(np.flatnonzero(~np.isfinite(meshes).all(axis=(1, 2)))[0])
        raise BadFile(
            f"the array {name!r} of the predictions has values that are not finite",
            received=f"mesh {wrong} in {path}", remedy="predict numbers, or leave the array out",
        )  # fmt: skip
    return meshes if order is None else meshes[order]


def _order(
    path: Path, name: str, shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, NDArray]
) -> NDArray[np.int64]:
    """Where each row of the test stands in the file; each has to be there exactly once."""
    if name not in wanted:
        raise BadFile(
            "the predictions have transfers, and this test has none", received=str(path),
            remedy="leave 'transfers' out",
        )  # fmt: skip
    truth = wanted[name].reshape(len(wanted[name]), -1)
    shape = shapes.get(name, ())
    if len(shape) != wanted[name].ndim or shape[1:] != wanted[name].shape[1:] or shape[0] > MOST_ROWS:
        raise BadFile(
            f"the predictions need the array {name!r}, which says what they stand for",
            received=f"{shape or 'none'} in {path}", remedy=f"give {wanted[name].shape} row numbers; {_HOW}",
        )  # fmt: skip
    stored = read_npz(path, _WHAT, _WRITE, [name])[name]
    given = [tuple(line) for line in stored.reshape(shape[0], truth.shape[1]).tolist()]
    place = {line: number for number, line in enumerate(given)}
    asked = dict.fromkeys(tuple(line) for line in truth.tolist())
    odd = {
        "come twice": [line for number, line in enumerate(given) if place[line] != number],
        "are not of this test": [line for line in place if line not in asked],
        "are missing": [line for line in asked if line not in place],
    }
    for what, lines in odd.items():
        if lines:
            told = ", ".join("-".join(f"{value:.0f}" for value in line) for line in lines[:3])
            raise BadFile(
                f"rows of the predictions {what}", received=f"{len(lines)} in {name!r}, such as {told}",
                remedy=f"{_HOW}; use the same data set, part, protocol and seed",
            )  # fmt: skip
    return np.array([place[line] for line in asked], np.int64)
