"""``judge_rig``: a rig against an artist's on the same head, with controls beside."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.data.head_rigs import (
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    UPPER_TEETH,
    HeadRig,
    read_head_rig,
)
from mien.errors import BadSetting, WrongTopology
from mien.evaluation.reading.shapes import Reader, ShapeReading, read_shapes, reading_table
from mien.evaluation.rigs import measures
from mien.evaluation.rigs.controls import controls_beside
from mien.evaluation.rigs.through import seen_skin, tallest_slit
from mien.evaluation.tables import Table
from mien.geometry.mouth_opening import covered_share
from mien.io.atomic import write_bytes

SHAPE_MEASURES = ("error", "cosine", "size", "leak", "stretch", "seen_error", "hidden_error")
HEAD_MEASURES = (
    "lid_gap", "lid_slit", "lip_gap", "mouth_close_gap", "mouth_covered", "upper_teeth", "lower_teeth",
    "eyes",
)  # fmt: skip
"""Millimeters, but ``mouth_covered``, the share of the open mouth that skin covers, and ``lower_teeth``, the
relative error of the lower teeth in jaw shapes."""
MEASURES = (*SHAPE_MEASURES, *HEAD_MEASURES)
ARTIST, NOTHING = "the artist", "doing nothing"
_WORST = ("stretch", "lid_slit")  # of which the largest counts
_SAME_MM = 0.5
_TITLES = {
    "error": "error", "cosine": "cosine", "size": "size", "leak": "leak", "stretch": "stretch",
    "seen_error": "error, seen", "hidden_error": "error, hidden",
    "lid_gap": "lid gap", "lid_slit": "lid slit", "lip_gap": "lips apart", "mouth_close_gap": "lips closed",
    "mouth_covered": "mouth covered",
    "upper_teeth": "upper teeth", "lower_teeth": "lower teeth", "eyes": "eyes",
}  # fmt: skip
NOTE = (
    "On the skin, against the artist's shapes: relative error (0 is the artist, 1 is doing nothing), cosine, "
    "largest motion over the artist's, share of motion on skin that the artist leaves at rest, worst stretch "
    "of an edge; the error also apart for skin that is seen at rest and for what is hidden in mouth and "
    "sockets. Lid gap: height of the upper lid over the lower where the artist's meet in a blink, mm; lid "
    "slit: how high the eyeball is seen in it, mm. Lips apart: distance of the "
    "lips in jawOpen, lips closed: in mouthClose over jawOpen, mm. Mouth covered: share of the mouth that "
    "jawOpen opens across which skin stands, 0 is good. Upper teeth and eyes: largest motion "
    "where they should rest, mm. Lower teeth: relative error in jaw shapes, where the artist moves them. Two "
    "artists never agree fully."
)


@dataclass(frozen=True, eq=False)
class RigReport:
    """What was measured, shape by shape and in sum.

    Args:
        head: Name of the head.
        shapes: The names that were compared.
        values: System -> measure -> one value a shape, or a single one for measures of the whole head; None
            where the head or the rig lacks what is measured.
        artist: The artist's rig.
        made: Name -> (N, 3) float, millimeters: the judged rig's displacements of the artist's vertices.
        readings: What an outside judge read off the rig, and off the artist's.
    """

    head: str
    shapes: tuple[str, ...]
    values: Mapping[str, Mapping[str, Sequence[float | None]]]
    artist: HeadRig
    made: Mapping[str, NDArray]
    readings: tuple[ShapeReading, ...] = ()

    def mean(self, system: str, measure: str) -> float | None:
        """The mean over shapes; the largest ``stretch`` and ``lid_slit``; None where nothing was measured."""
        found = [value for value in self.values[system][measure] if value is not None and np.isfinite(value)]
        if not found:
            return None
        return float(max(found)) if measure in _WORST else float(np.mean(found))

    @property
    def tables(self) -> list[Table]:
        """The sum of all shapes, each shape of the rig, and what was read from outside."""
        read = [reading_table(self.readings)] if self.readings else []
        if not self.values:
            return read
        head = ("system", *(_TITLES[name] for name in MEASURES))
        rows = [(name, *(_cell(self.mean(name, measure)) for measure in MEASURES)) for name in self.values]
        first = next(iter(self.values))
        own = self.values[first]
        each = [
            (shape, *(_cell(own[measure][number]) for measure in SHAPE_MEASURES))
            for number, shape in enumerate(self.shapes)
        ]
        return [
            Table(f"{self.head}: {len(self.shapes)} shapes", NOTE, head, tuple(rows)),
            Table(f"{first}, shape by shape", "", ("shape", *SHAPE_MEASURES), tuple(each)),
            *read,
        ]

    @property
    def notes(self) -> list[str]:
        """What the tables mean, and what was read from outside."""
        told = [sentence for reading in self.readings for sentence in reading.sentences]
        return [*(table.note for table in self.tables if table.note), *told]

    def to_markdown(self) -> str:
        """All tables, and what was read from outside."""
        told = [sentence for reading in self.readings for sentence in reading.sentences]
        return "\n".join([*(table.markdown() for table in self.tables), *(f"{line}\n" for line in told)])

    def to_csv(self) -> str:
        """One line a system, shape and measure."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["head", "system", "shape", "measure", "value"])
        for system, found in self.values.items():
            for measure, values in found.items():
                shapes = self.shapes if measure in SHAPE_MEASURES else ("",) * len(values)
                for shape, value in zip(shapes, values, strict=True):
                    if value is not None:
                        table.writerow([self.head, system, shape, measure, f"{value:.6g}"])
        return text.getvalue()

    def to_json(self) -> str:
        """Everything, as JSON text."""
        sums = {system: {name: self.mean(system, name) for name in MEASURES} for system in self.values}
        found: dict[str, object] = {
            "head": self.head,
            "shapes": self.shapes,
            "sums": sums,
            "values": self.values,
        }
        if self.readings:
            found["readings"] = [reading.as_dict() for reading in self.readings]
        return json.dumps(found, indent=1)

    def save(self, folder: Path | str, name: str = "rig") -> list[Path]:
        """Writes ``rig.md``, ``.csv`` and ``.json`` and returns their paths."""
        texts = {"md": self.to_markdown(), "csv": self.to_csv(), "json": self.to_json()}
        paths = [Path(folder) / f"{name}.{ending}" for ending in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            write_bytes(path, text.encode())
        return paths


def judge_rig(
    rig: HeadRig, artist: HeadRig, *, beside: Mapping[str, HeadRig] | None = None,
    shapes: Sequence[str] | None = None,
) -> RigReport:  # fmt: skip
    """Compares a rig with an artist's shapes on the same head.

    Args:
        rig: What is judged; its vertices may stand in another order than the artist's, not in other places.
        artist: The artist's; both with the names that are compared, see :meth:`HeadRig.in_arkit_names`.
        beside: Further rigs of the same head: another artist's, the mean of a studio's, the nearest copy.
        shapes: Which names; None for all that both have and that the artist moves.

    Raises:
        WrongTopology: The rigs are not of one head.
        BadSetting: They share no name.
    """
    moved = [name for name in artist.names if np.abs(artist.shape(name)).max(initial=0) > measures.MOVED_MM]
    chosen = tuple(name for name in moved if name in rig.names and (shapes is None or name in shapes))
    if not chosen:
        raise BadSetting(
            "the rig and the artist's share no name", received=", ".join(rig.names[:6]) or "no names",
            remedy=f"the artist has {', '.join(artist.names[:6])}; map names by a table (--names)",
        )  # fmt: skip
    setup = _Head.of(artist, chosen)
    systems = {rig.name: rig, **(beside or {})}
    placed = {name: _on(own, artist) for name, own in systems.items()}
    values = {name: setup.measured(own, chosen) for name, own in placed.items()}
    still = dict.fromkeys(chosen, np.zeros_like(artist.vertices))
    values[NOTHING] = setup.measured(still, chosen)
    values[ARTIST] = setup.measured({name: artist.shape(name) for name in artist.names}, chosen)
    return RigReport(artist.name, chosen, values, artist, placed[rig.name])


def _on(rig: HeadRig, artist: HeadRig) -> dict[str, NDArray]:
    """The rig's displacements at the artist's vertices, whatever order the rig's file has."""
    same = rig.vertices.shape == artist.vertices.shape
    if same and np.allclose(rig.vertices, artist.vertices, atol=_SAME_MM):
        return {name: rig.shape(name) for name in rig.names}
    away, nearest = cKDTree(rig.vertices).query(artist.vertices)
    if away.max() > _SAME_MM:
        raise WrongTopology(
            "the two rigs are not of the same head at rest",
            received=f"{(away > _SAME_MM).sum()} of {len(away)} vertices are up to {away.max():.1f} mm apart",
            remedy="judge a rig that was made for the artist's own mesh",
        )
    return {name: rig.shape(name)[nearest] for name in rig.names}


@dataclass(frozen=True, eq=False)
class _Head:
    """The artist's head with all that is measured on it."""

    artist: HeadRig
    rest: NDArray[np.float64]
    edges: NDArray[np.int64]
    lids: Mapping[str, measures.Pairs]
    lips: measures.Pairs | None
    still: Mapping[str, NDArray[np.bool_]]
    seen: NDArray[np.bool_]

    @staticmethod
    def of(artist: HeadRig, chosen: Sequence[str]) -> _Head:
        rest = artist.vertices[artist.skin]
        blinks: list[str] = [name for name in ("eyeBlinkLeft", "eyeBlinkRight") if name in artist.names]
        lids = {name: measures.lid_pairs(artist.shape(name)[artist.skin], rest) for name in blinks}
        jaw = artist.shape("jawOpen")[artist.skin] if "jawOpen" in artist.names else None
        lips = None if jaw is None else measures.lip_pairs(jaw, rest)
        still = {name: measures.should_rest(artist.shape(name)[artist.skin], rest) for name in chosen}
        seen = seen_skin(artist)[artist.skin]
        return _Head(artist, rest, measures.measured_edges(rest, artist.skin_faces), lids, lips, still, seen)

    def measured(self, made: Mapping[str, NDArray], chosen: Sequence[str]) -> dict[str, list[float | None]]:
        """Measure -> values of displacements (N, 3) by name."""
        found: dict[str, list[float | None]] = {name: [] for name in SHAPE_MEASURES}
        skin, rest = self.artist.skin, self.rest
        for name in chosen:
            p, g = np.asarray(made[name], np.float64)[skin], self.artist.shape(name)[skin].astype(np.float64)
            found["error"].append(measures.relative_error(p, g))
            found["cosine"].append(measures.cosine(p, g))
            found["size"].append(measures.size_ratio(p, g))
            found["leak"].append(measures.leak(p, self.still[name]))
            found["stretch"].append(measures.edge_stretch(p, rest, self.edges))
            for measure, rows in (("seen_error", self.seen), ("hidden_error", ~self.seen)):
                error = measures.relative_error(p[rows], g[rows])
                found[measure].append(error if np.isfinite(error) else None)
        return found | self._contacts(made) | self._pieces(made, chosen)

    def _contacts(self, made: Mapping[str, NDArray]) -> dict[str, list[float | None]]:
        """Lids in blinks, lips in jawOpen and in mouthClose over it."""
        skin, rest = self.artist.skin, self.rest
        lids = [p.opening(made[n][skin], rest) for n, p in self.lids.items() if len(p) and n in made]
        lips: dict[str, list[float | None]] = {
            name: [None] for name in ("lip_gap", "mouth_close_gap", "mouth_covered")
        }
        if self.lips is not None and len(self.lips) and "jawOpen" in made:
            jaw = np.asarray(made["jawOpen"], np.float64)[skin]
            lips["lip_gap"] = [self.lips.distance(jaw, rest)]
            pairs = self.lips.upper, self.lips.lower
            lips["mouth_covered"] = [covered_share(rest + jaw, self.artist.skin_faces, *pairs)]
            if "mouthClose" in made:
                lips["mouth_close_gap"] = [self.lips.distance(jaw + made["mouthClose"][skin], rest)]
        slits = [
            tallest_slit(self.artist, made[name], eye)
            for name, eye in (("eyeBlinkLeft", LEFT_EYE), ("eyeBlinkRight", RIGHT_EYE))
            if name in made and (self.artist.piece == eye).any()
        ]
        return {"lid_gap": list(lids) or [None], "lid_slit": list(slits) or [None], **lips}

    def _pieces(self, made: Mapping[str, NDArray], chosen: Sequence[str]) -> dict[str, list[float | None]]:
        """Upper teeth and eyes rest, lower teeth follow the jaw as the artist's do."""
        piece = self.artist.piece
        still = {
            "upper_teeth": piece == UPPER_TEETH, "eyes": (piece == LEFT_EYE) | (piece == RIGHT_EYE),
        }  # fmt: skip
        calm = [name for name in chosen if not name.startswith("eyeLook")]
        found: dict[str, list[float | None]] = {
            name: [max(float(np.linalg.norm(made[n][rows], axis=1).max()) for n in calm)]
            if rows.any() and calm else [None]
            for name, rows in still.items()
        }  # fmt: skip
        lower, jaw = piece == LOWER_TEETH, [name for name in chosen if name.startswith("jaw")]
        teeth = [measures.relative_error(made[n][lower], self.artist.shape(n)[lower]) for n in jaw]
        return found | {"lower_teeth": list(teeth) if lower.any() and jaw else [None]}


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def compare_rig_files(
    rig: Path | str, artist: Path | str | None, beside: Mapping[str, Path | str] | None = None,
    names: Path | None = None, out: Path | None = None, judge: Reader | None = None,
) -> RigReport:  # fmt: skip
    """Judges rig files, under ARKit's names.

    Args:
        rig: What is judged.
        artist: The artist's, on the same head; None if there is only an outside judge.
        beside: Name -> further rigs of this head, or rigs of others, a file or a folder, which are carried
            over; see :func:`mien.evaluation.rigs.controls.controls_beside`.
        names: A table for names of no known scheme, of all rigs that lack one.
        out: Where to write the tables, or None.
        judge: Reads what each shape shows, such as :class:`mien.find.reader.FaceReader`.

    Raises:
        BadSetting: There is nothing to judge the rig by.
    """
    if artist is None and (judge is None or beside):
        raise BadSetting(
            "there is no artist's rig to compare with", received=str(rig),
            remedy="name one of the same head, or let the judge look at the rig alone (--judges)",
        )  # fmt: skip
    own = read_head_rig(rig).in_arkit_names(names)
    if artist is None:
        report = RigReport(own.name, (), {}, own, {})
    else:
        theirs = read_head_rig(artist).in_arkit_names(names)
        others: dict[str, HeadRig] = {}
        for name, place in (beside or {}).items():
            others |= controls_beside(theirs, name, place, names)
        report = judge_rig(own, theirs, beside=others)
    if judge is not None:
        looked = [own] if artist is None else [own, replace(report.artist, name=ARTIST)]
        report = replace(report, readings=tuple(read_shapes(item, judge) for item in looked))
    if out is not None:
        report.save(out)
    return report
