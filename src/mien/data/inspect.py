"""What a data set holds, measured: facts for ``mien data info`` and findings for ``mien data check``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FILES, FaceDataset
from mien.data.foretold import foretold_share
from mien.data.texture_files import is_there, texture_file
from mien.errors import MienError
from mien.geometry.alignment import procrustes
from mien.progress import track

Array = NDArray[np.float64]

PLAUSIBLE_EYES_MM = (48.0, 80.0)
"""Distance of the eye centers from small children to large adults."""

_CHUNK = 256
_SAMPLE = 400


def inspect_dataset(data: FaceDataset) -> dict[str, Any]:
    """Facts about a data set or a view of it, ready for JSON; lengths are in millimeters.

    ``interaction_fraction`` near 0 means that an additive model is the truth and will look unbeatable.
    ``foretold_share`` near 0 means that no model can do better than the mean of a class on unseen people.
    """
    topology = data.topology
    people, per_person = np.unique(data.row_subject, return_counts=True)
    facts: dict[str, Any] = {
        "source": data.source,
        "license": data.license,
        "people": len(people),
        "meshes": len(data),
        "meshes_per_person": _range_of(per_person),
        "meshes_per_class": _per_class(data),
        "clips": int(len(np.unique(data.row_clip[data.row_clip >= 0]))),
        "frames_per_second": data.fps,
        "topology": topology.name,
        "vertices": topology.vertex_count,
        "triangles": topology.face_count,
        "components": int(topology.components.max()) + 1,
        "expressions": list(data.expressions),
        "label_coverage": {name: float(data.row_labeled(name).mean()) for name in data.labeled},
        "people_with_neutral": int(len(np.unique(data.row_subject[data.has_neutral]))),
        "textures": int(data.has_textures.sum()),
        "units": str(data.facts.get("units", "millimeters")),
        "extents_mm": [round(float(value), 1) for value in np.ptp(topology.template, axis=0)],
    }
    facts |= _sizes(data) | _variances(data)
    if shares := foretold_share(data):
        facts["foretold_share"] = shares
    facts["truth"] = data.has_truth
    facts["fingerprint"] = data.fingerprint
    facts["built_with"] = dict(data.facts)
    return facts


def _range_of(counts: NDArray) -> dict[str, int]:
    return {"least": int(counts.min()), "median": int(np.median(counts)), "most": int(counts.max())}


def _per_class(data: FaceDataset) -> dict[str, int]:
    """Meshes of each expression (the strongest weight decides), of neutrals, and without a label."""
    labeled = data.row_labeled("expression")
    counts = {"neutral": int(data.is_neutral.sum())}
    for number, name in enumerate(data.expressions):
        counts[name] = int(((data.label == number) & labeled).sum())
    return counts | ({"unlabeled": int((~labeled).sum())} if not labeled.all() else {})


def _sample(data: FaceDataset) -> NDArray[np.int64]:
    """Rows spread over the view; enough to measure sizes on."""
    return np.unique(np.linspace(0, len(data) - 1, min(_SAMPLE, len(data))).astype(int))


def _sizes(data: FaceDataset) -> dict[str, Any]:
    """Eye distance, and how far scans of one person are rigidly off each other."""
    rows = _sample(data)
    facts: dict[str, Any] = {}
    distance = eye_distance(data[rows], data)
    if distance is not None:
        facts["eye_distance_mm"] = {"mean": float(distance.mean()), "std": float(distance.std())}
    if "rigid" in data.topology.regions:
        facts["rigid_residual_mm"] = rigid_residual(data)
    return facts


def eye_distance(vertices: NDArray, data: FaceDataset) -> Array | None:
    """Distance between the eye centers, the middles of the iBUG eye corners.

    Args:
        vertices: (n, V, 3) float, millimeters.
        data: Where they are from.

    Returns:
        (n,) millimeters; None without such landmarks.
    """
    names = list(data.topology.landmarks.names)
    corners = ("ibug_36", "ibug_39", "ibug_42", "ibug_45")
    if not set(corners) <= set(names):
        return None
    points = data.topology.landmarks.positions(vertices)[:, [names.index(name) for name in corners]]
    return np.linalg.norm(points[:, :2].mean(axis=1) - points[:, 2:].mean(axis=1), axis=1)


def rigid_residual(data: FaceDataset) -> float:
    """Mean displacement, millimeters, that the best rigid alignment of a scan to its person still causes.

    Alignment uses the region that expressions hardly move, so posture and registration remain.
    """
    rows, moved = _sample(data), []
    means: dict[int, Array] = {}
    for row in rows:
        person = int(data.row_subject[row])
        if person not in means:
            mine = np.flatnonzero(data.row_subject == person)[:64]
            means[person] = data[mine].astype(np.float64).mean(axis=0)
        face = data[int(row)].astype(np.float64)
        fit = procrustes(face, means[person], weights=data.topology.regions["rigid"])
        moved.append(np.linalg.norm(fit.apply(face) - face, axis=1).mean())
    return float(np.mean(moved))


def _variances(data: FaceDataset) -> dict[str, float]:
    """Spread between people and between expressions, and what an additive model leaves."""
    known = np.flatnonzero(data.row_labeled("identity") & data.row_labeled("expression"))
    labeled = data.take(known)
    if len(known) < 2 or not len(data.expressions):
        return {}
    sums = TwoWaySums(len(data.subjects), len(data.expressions), data.topology.template)
    starts = range(0, len(labeled), _CHUNK)
    for start in track(starts, "measuring variance"):
        rows = slice(start, start + _CHUNK)
        sums.add(labeled[rows], labeled.row_subject[rows], labeled.row_weights[rows])
    return sums.facts()


class TwoWaySums:
    """Sums over rows from which the additive two-way fit follows, so a set larger than memory can be judged.

    Args:
        subjects: S people.
        expressions: E weights.
        origin: (V, 3) float. Subtracted first, for precision.
    """

    def __init__(self, subjects: int, expressions: int, origin: NDArray) -> None:
        self.origin = np.asarray(origin, np.float64).ravel()
        self.count = np.zeros(subjects)
        self.faces = np.zeros((subjects, self.origin.size))
        self.weights = np.zeros((subjects, expressions))
        self.squares = 0.0
        self.weight_products = np.zeros((expressions, expressions))
        self.cross = np.zeros((expressions, self.origin.size))

    def add(self, vertices: NDArray, subject: NDArray, weights: NDArray) -> None:
        """Adds (n, V, 3) faces with (n,) subjects and (n, E) weights."""
        centered = np.asarray(vertices, np.float64).reshape(len(vertices), -1) - self.origin
        weights = np.asarray(weights, np.float64)
        np.add.at(self.count, subject, 1)
        np.add.at(self.faces, subject, centered)
        np.add.at(self.weights, subject, weights)
        self.squares += float((centered**2).sum())
        self.weight_products += weights.T @ weights
        self.cross += weights.T @ centered

    def facts(self) -> dict[str, float]:
        """``interaction_fraction``, and root mean square deviations per vertex in millimeters."""
        present = self.count > 0
        count, weights = self.count[present, None], self.weights[present]
        means = self.faces[present] / count
        within = max(self.squares - float((count * means**2).sum()), 0.0)
        # Centering by subject removes the identity term; what is left is an ordinary regression on weights.
        products = self.weight_products - weights.T @ (weights / count)
        cross = self.cross - weights.T @ means
        explained = float((cross * (np.linalg.pinv(products, hermitian=True) @ cross)).sum())
        grand = (count * means).sum(axis=0) / count.sum()
        between = float((count * (means - grand) ** 2).sum())
        per_vertex = count.sum() * self.origin.size / 3
        left = max(within - explained, 0.0)
        return {
            "between_person_mm": float(np.sqrt(between / per_vertex)),
            "within_person_mm": float(np.sqrt(within / per_vertex)),
            "between_expression_mm": float(np.sqrt(max(explained, 0.0) / per_vertex)),
            "interaction_mm": float(np.sqrt(left / per_vertex)),
            "interaction_fraction": left / within if within > 0 else 0.0,
        }


@dataclass
class DataCheck:
    """What a check of a data folder found.

    Args:
        found: What is there and sound.
        missing: What is absent.
        wrong: What is damaged or implausible.
        notes: What is unusual but not wrong.
    """

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing is missing or wrong."""
        return not (self.missing or self.wrong)

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "sound": self.sound,
            "found": self.found,
            "missing": self.missing,
            "wrong": self.wrong,
            "notes": self.notes,
        }


def check_dataset(folder: Path | str) -> DataCheck:
    """Checks a data folder: every file, every number, units, and what people and labels lack."""
    folder, check = Path(folder), DataCheck()
    for name in FILES:
        (check.found if (folder / name).is_file() else check.missing).append(name)
    if check.missing:
        return check
    try:
        data = FaceDataset.load(folder)
    except MienError as error:
        check.wrong.append(str(error))
        return check
    check.found.append(
        f"{len(data)} meshes of {len(data.subjects)} people, {len(data.expressions)} expressions"
    )
    _check_numbers(data, check)
    _check_labels(data, check)
    _check_textures(data, folder, check)
    return check


def _check_numbers(data: FaceDataset, check: DataCheck) -> None:
    """Finite vertices, plausible units, no mesh far off the others."""
    offsets, template = np.zeros(len(data)), data.topology.template
    for start in track(range(0, len(data), _CHUNK), "checking vertices"):
        chunk = np.asarray(data.vertices[start : start + _CHUNK])  # also what a set refuses to give
        finite = np.isfinite(chunk).all(axis=(1, 2))
        check.wrong += [f"mesh {start + row} has NaN or infinite vertices" for row in np.flatnonzero(~finite)]
        offsets[start : start + len(chunk)] = np.linalg.norm(chunk - template, axis=2).mean(axis=1)
    usual = float(np.nanmedian(offsets))
    far = np.flatnonzero(offsets > max(8 * usual, 40.0))
    check.wrong += [
        f"mesh {row} is {offsets[row]:.0f} mm off the template, the median is {usual:.1f}" for row in far[:10]
    ]
    distance = eye_distance(np.asarray(data.vertices[_sample(data)]), data)
    if distance is not None:
        low, high = PLAUSIBLE_EYES_MM
        text = f"eye distance {distance.mean():.1f} mm"
        (check.found if low < distance.mean() < high else check.wrong).append(text)


def _check_labels(data: FaceDataset, check: DataCheck) -> None:
    """People without a neutral, expressions nobody performs, weights out of range."""
    weights = data.row_weights
    bad = np.flatnonzero(
        ~np.isfinite(weights).all(axis=1) | (weights < 0).any(axis=1) | (weights > 1.5).any(axis=1)
    )
    check.wrong += [f"mesh {row} has an expression weight outside 0..1.5" for row in bad[:10]]
    used = np.asarray((weights > 0).any(axis=0))
    unused = [name for name, seen in zip(data.expressions, used, strict=True) if not seen]
    if unused:
        check.notes.append(f"no mesh performs: {', '.join(unused)}")
    without = sorted({data.subjects[person] for person in data.row_subject[~data.has_neutral]})
    if without:
        check.notes.append(f"{len(without)} people have no neutral: {', '.join(without[:10])}")
    for factor in data.labeled:
        if not data.row_labeled(factor).all():
            check.notes.append(f"{int((~data.row_labeled(factor)).sum())} meshes have no {factor} label")


def _check_textures(data: FaceDataset, folder: Path, check: DataCheck) -> None:
    absent: list[str] = []
    outside: list[str] = []
    for name in sorted({name for name in data.textures or () if name}):
        try:
            if not is_there(texture_file(folder, name)):
                absent.append(f"texture {name}")
        except MienError as error:
            outside.append(str(error))
    check.missing += absent[:10]
    check.wrong += outside[:10]


def in_short(value: object) -> str:
    """A fact about a data set in one line of the table of ``mien data info``."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_short(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(in_short(item) for item in value)
    return str(value)
