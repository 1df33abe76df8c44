"""Performances between rigs: both laid on one mesh, the shapes of one as sums of the other's."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.apply.default_model import default_model
from mien.data.conversion import KEPT, Conversion, convert_shapes, table_lines
from mien.data.expressions import ARKIT
from mien.data.head_rigs import HeadRig, read_head_rig
from mien.data.recorded import Handling, frame_rate, performance_of
from mien.data.speech import REST, VISEMES
from mien.data.textbook import Shapes
from mien.data.textbook_sources import ShapeSource, on_template, own_shapes
from mien.errors import BadFile, BadSetting, UnknownName
from mien.io.atomic import atomic_file, write_bytes
from mien.io.curves import read_curves
from mien.io.table import table_rows
from mien.limits import LARGEST_WEIGHT
from mien.models.textbook import Textbook
from mien.topology import cache_folder

RIGS = ("arkit", "ict", "makehuman", "procedural", "visemes")
"""Rigs by name; any other is a file that :func:`mien.read_head_rig` reads."""
_LISTED = 16
_NEEDED = ("from", "to", "weight")


def conversion_between(source: str | Path, target: str | Path, model: Textbook | None = None) -> Conversion:
    """How coefficients of one rig become those of another.

    Rigs of different meshes are registered onto the template
    of :func:`mien.default_model`; two rigs on the same vertices are compared as they are.

    Args:
        source: ``arkit`` (the textbook shapes of the sources on this machine), ``ict``, ``makehuman``,
            ``procedural``, ``visemes``, or a rig's file: GLB, VRM, NPZ or a folder of meshes.
        target: The same.
        model: Whose shapes are ``arkit``'s, and whose template rigs are laid on; None for
            :func:`mien.default_model`.

    Raises:
        UnknownName: A name is neither a rig's nor a file's.
        DataMissing: A source or file is not on this machine.
        BadMesh: A rig's head cannot be registered.
    """
    first, second = (_rig(str(name)) for name in (source, target))
    if (
        isinstance(first, HeadRig)
        and isinstance(second, HeadRig)
        and np.array_equal(first.faces, second.faces)
    ):
        shapes = [_on_skin(rig, first.skin) for rig in (first, second)]
    else:
        model = model or default_model()
        shapes = [_on_template(rig, model) for rig in (first, second)]
    leading = {str(target): "target", str(source): "source"}.get("arkit")
    return convert_shapes(shapes[0], shapes[1], leading)


def convert_performance(
    path: str | Path, made: Conversion, out: str | Path, *, fps: float | None = None
) -> list[str]:
    """Writes a performance with the coefficients of another rig, as a CSV of times and weights.

    Args:
        path: A recording in any form of :func:`mien.read_performance`.
        made: From the rig of the recording to the other one.
        out: The CSV.
        fps: Frames per second of the result; None: the recording's own.

    Returns:
        Sentences about what was understood and what cannot be kept.
    """
    curves = read_curves(path)
    rate = fps or frame_rate(curves)
    values, notes = performance_of(curves, made.source, Handling(rate))
    undone = made.undone(values)
    result = values @ made.weights if undone is None else undone
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("time", *made.target))
    for number, row in enumerate(result):
        table.writerow((f"{number / rate:.6f}", *(f"{value:.6g}" for value in row)))
    write_bytes(out, text.getvalue().encode())
    if undone is not None:
        return [*notes, "The take was converted from this rig before: its coefficients are what they were."]
    used = values.max(axis=0, initial=0) > 0
    weak = [name for name, moved in zip(made.source, used, strict=True) if moved and name in made.lost]
    return [*notes, *([f"These do not come back as they are: {', '.join(weak)}."] if weak else [])]


def convert_files(
    out: str | Path, take: Path | None = None, source: str | None = None, target: str | None = None,
    table: Path | None = None, fps: float | None = None,
) -> list[str]:  # fmt: skip
    """Writes a take in another rig's coefficients, or without a take the table of the conversion.

    Args:
        out: The CSV.
        take: A recording, or None for the table.
        source: The rig of the take, as for :func:`conversion_between`.
        target: The other rig.
        table: An edited table in place of both rigs.
        fps: Frames per second of the result; None: the recording's own.

    Returns:
        Sentences about what was understood, found and lost.
    """
    if (table is None) != (source is not None and target is not None) or (table is not None and take is None):
        given = [
            f for f, v in (("a take", take), ("--from", source), ("--to", target), ("--table", table)) if v
        ]
        raise BadSetting(
            "a conversion goes --from one rig --to another, or takes a take and its --table",
            received=", ".join(given) or "none of them",
            remedy="mien convert take.csv --from arkit --to makehuman",
        )  # fmt: skip
    if Path(out).suffix.lower() != ".csv":
        raise BadSetting("tables and takes are written as CSV", received=str(out), remedy="name it *.csv")
    if table is not None:
        made, told = read_conversion(table), []
    else:
        made = conversion_between(str(source), str(target))
        told = [conversion_sentence(made)]
    if take is not None:
        return [*told, *convert_performance(take, made, out, fps=fps)]
    write_conversion(out, made)
    return told


def write_conversion(path: str | Path, made: Conversion) -> None:
    """Writes a conversion as a table to edit: columns from, to, weight, error_mm, shown, returned.

    Args:
        path: The CSV.
        made: What :func:`conversion_between` found.
    """
    text = io.StringIO()
    lines = table_lines(made)
    table = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    table.writeheader()
    for line in lines:
        table.writerow(
            {k: v if isinstance(v, str) else "" if v != v else f"{v:.4g}" for k, v in line.items()}
        )
    write_bytes(path, text.getvalue().encode())


def read_conversion(path: str | Path) -> Conversion:
    """Reads a table with the columns from, to and weight; each frame of a take is converted by its weights.

    Args:
        path: A CSV as :func:`write_conversion` writes it, edited or not.

    Raises:
        DataMissing: There is no such file.
        BadFile: A column is missing, or a weight is no finite number.
    """
    path = Path(path)
    remedy = "the first line must be: from,to,weight"
    found: dict[str, dict[str, float]] = {}
    for row in table_rows(path, "the table of the conversion", _NEEDED, remedy):
        found.setdefault(row["from"], {})[row["to"]] = row.number("weight", most=LARGEST_WEIGHT)
    target = tuple(dict.fromkeys(name for parts in found.values() for name in parts if name))
    if not target:
        raise BadFile("the table of the conversion has no line", received=path.name)
    weights = np.array([[parts.get(name, 0.0) for name in target] for parts in found.values()])
    unknown = np.full(len(found), np.nan)
    return Conversion(tuple(found), target, weights, unknown, unknown, np.zeros(len(found)))


def conversion_sentence(made: Conversion) -> str:
    """How much of a rig's motion another shows, and whose coefficients do not come back."""
    seen = ~np.isnan(made.shown)
    error, share = made.error_mm[seen].mean(), 100 * made.shown[seen].mean()
    text = f"{len(made.source)} shapes by {len(made.target)}: {error:.2f} mm off on average, "
    text += f"{share:.0f} % of the motion shown"
    text += f"; {int((~seen).sum())} of eyes and tongue pass by name" if not seen.all() else ""
    if not made.lost:
        return f"{text}. There and back every coefficient returns within {KEPT:g}."
    if len(made.lost) > _LISTED:
        kept = f"{len(made.source) - len(made.lost)} of {len(made.source)}"
        return f"{text}. There and back {kept} coefficients return within {KEPT:g}; the table tells which."
    return f"{text}. There and back all but {', '.join(made.lost)} return within {KEPT:g}."


def _rig(name: str) -> str | HeadRig:
    if name not in RIGS and not Path(name).suffix and not Path(name).exists():
        raise UnknownName("rig", name, (*RIGS, "a GLB, VRM or NPZ file", "a folder of meshes"))
    return name if name in RIGS else read_head_rig(name)


def _on_skin(rig: HeadRig, skin: NDArray[np.bool_]) -> Shapes:
    return {name: rig.shape(name)[skin].astype(np.float64) for name in rig.names}


def _on_template(rig: str | HeadRig, model: Textbook) -> Shapes:
    """Name -> (V, 3) float64, millimeters: a rig's shapes on the default model's template."""
    textbook = dict(zip(model.expressions, model.shapes.double().unflatten(1, (-1, 3)).numpy(), strict=True))
    if rig == "arkit":
        return textbook
    if rig == "visemes":
        named = {shape: textbook[name] for name, of in ARKIT.items() for shape in of if name in textbook}
        return {
            viseme: np.sum([weight * named[shape] for shape, weight in recipe.items()], axis=0)
            for viseme, recipe in VISEMES.items() if viseme != REST
        }  # fmt: skip
    if isinstance(rig, HeadRig):
        faces = rig.skin_faces.astype(np.int32)
        source = ShapeSource(rig.name, rig.vertices[rig.skin], faces, _on_skin(rig, rig.skin), "")
    else:
        source = own_shapes(rig)
    modes = model.people_modes()
    template = ShapeSource(
        "textbook", model.topology.template.astype(np.float64), model.topology.faces, {}, "", model.topology,
        None if modes is None else modes.numpy(),
    )  # fmt: skip
    if np.array_equal(source.faces, template.faces) and np.allclose(source.vertices, template.vertices):
        return source.shapes
    return _registered(source, template)


def _registered(source: ShapeSource, template: ShapeSource) -> Shapes:
    """Shapes on the template, kept in the cache: registering takes far longer than the rest."""
    shapes = np.stack(list(source.shapes.values())).astype(np.float32)
    parts = (source.vertices, source.faces, shapes, template.vertices, template.faces)
    told = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    key = hashlib.sha256(told + "\n".join(source.shapes).encode()).hexdigest()[:24]
    path = cache_folder() / "rigs" / f"{key}.npy"
    if path.is_file():
        return dict(zip(source.shapes, np.load(path, allow_pickle=False).astype(np.float64), strict=True))
    found = on_template(source, template)
    with atomic_file(path) as file:
        np.save(file, np.stack(list(found.values())).astype(np.float32))
    return found
