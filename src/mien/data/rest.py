"""People's faces at rest from identity labels alone: no other label is read, so nobody has to name neutrals.

Most scans move a part of the face and leave the rest of it alone. So the median of a person's scans, taken
vertex by vertex, is near the face at rest wherever fewer than half of the scans move; it is off, by one and
the same displacement in most people, where many do (mouths that are a little open on average). The deviation
from their own median that people have in common, and that is far from it nowhere, is rest.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, Note
from mien.progress import track

NEEDED_PEOPLE, NEEDED_SCANS = 5, 3
"""Fewer people have too little in common, and the median of fewer scans is one of them."""
MOST_SCANS = 60
"""Evenly spread over a person's scans; more frames of a film say little more."""
ROUNDS = 10
CLEAREST = 0.1
"""Share of the people who are believed to have a scan at rest if anybody has."""
NEAR, SURELY_NEAR, AT_REST = 0.5, 0.4, 0.2
"""A scan at rest deviates at its peak by so much of what the person's typical scan does, at the most. To be
surely one it is nearer, and not ``LOOSE`` times as far as those of the clearest people, or at rest anyway."""
LOOSE = 2.0
FEWEST = 3
"""People whose scan is near, or they share nothing."""
UNSURE, UNCLEAR = 0.026, 0.3
"""Closeness of the clearest people times the square of how far the common displacement reaches, and the
closeness alone. Measured on performed people (procedural and ICT, 5 to 160): 0.0002 to 0.022 where a third to
all of them have a scan at rest, 0.031 to 0.049 where none has, or clearest people at 0.32."""

Faces = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FoundRest:
    """Faces at rest of people, and what they are worth.

    Args:
        faces: Subject index -> (V, 3) float32, millimeters.
        scans: Subject index -> the row of the view that is this face, where a scan was taken for it; the
            faces of others are their medians, moved by what those lack in common.
        confidence: 0 to 1; at 0 nothing that recurs can be rest, and ``faces`` are the medians.
    """

    faces: Mapping[int, Faces]
    scans: Mapping[int, int]
    confidence: float


def find_rest(data: FaceDataset) -> FoundRest:
    """Everybody's face at rest, or the median of their scans where rest cannot be told.

    Alternates between two steps until nothing changes: the scan nearest to the person's median plus the
    common displacement, by the largest distance of any vertex; and the common displacement, by the median
    over the people whose nearest scan is near.

    Args:
        data: A view. Scans without an identity label, and people with fewer than three scans, are left out.

    Returns:
        The faces. Whoever has no scan near enough gets the median plus the common displacement.

    Raises:
        BadSetting: Fewer than five people have three scans with an identity label.
    """
    rows = scans_of_people(data)
    medians = {person: geometric_median(data[own]) for person, own in track(rows.items(), "median faces")}
    common = np.zeros(data.topology.template.shape, np.float32)
    found = _Nearest.settled(data, rows, medians, common, NEAR, np.inf)
    if not (confidence := found.confidence):
        return FoundRest(medians, {}, 0.0)
    found = _Nearest.settled(data, rows, medians, found.common, SURELY_NEAR, LOOSE)
    faces = {p: data[found.scans[p]] if p in found.scans else m + found.common for p, m in medians.items()}
    return FoundRest(faces, found.scans, confidence)


def median_faces(data: FaceDataset) -> FoundRest:
    """The geometric median of everybody's scans, with confidence 0; people and errors as in
    :func:`find_rest`."""
    rows = scans_of_people(data)
    return FoundRest({p: geometric_median(data[own]) for p, own in rows.items()}, {}, 0.0)


def scans_of_people(data: FaceDataset) -> dict[int, Rows]:
    """Subject index -> at most 60 rows (n,) int64 of the view, for people with enough labeled scans.

    Raises:
        BadSetting: They are too few to find rest from.
    """
    subject, known = data.row_subject, data.row_labeled("identity")
    rows = {int(p): np.flatnonzero(known & (subject == p)) for p in np.unique(subject[known])}
    rows = {person: own for person, own in rows.items() if len(own) >= NEEDED_SCANS}
    if len(rows) < NEEDED_PEOPLE:
        raise BadSetting(
            f"rest is found from who is who: at least {NEEDED_PEOPLE} people need {NEEDED_SCANS} scans each "
            "with an identity label", received=f"{len(rows)} such people among {len(data)} scans",
            remedy="label identities, or train in the published form with --set rest=none",
        )  # fmt: skip
    spread = {p: np.linspace(0, len(own) - 1, min(len(own), MOST_SCANS)) for p, own in rows.items()}
    return {person: own[spread[person].round().astype(int)] for person, own in rows.items()}


def geometric_median(points: NDArray, *, rounds: int = 30, least: float = 0.05) -> Faces:
    """Weiszfeld's iteration, vertex by vertex.

    Args:
        points: (n, V, 3) float, millimeters. Scans of one person.
        rounds: How many.
        least: Distances below this many millimeters count as it, so that a scan may be the median.

    Returns:
        (V, 3) float32, millimeters.
    """
    median = points.mean(axis=0)
    for _ in range(rounds):
        weight = 1 / np.maximum(np.linalg.norm(points - median, axis=-1), least)
        median = np.einsum("nv,nvc->vc", weight, points) / weight.sum(axis=0)[:, None]
    return np.asarray(median, np.float32)


def known_at_rest(data: FaceDataset, kind: str) -> FaceDataset:
    """The scans of people whose rest is known from identity labels, which stands for neutral scans.

    Says what was found, and how many scans have no person to find it from.

    Args:
        data: A view.
        kind: ``found`` (:func:`find_rest`) or ``median`` (:func:`median_faces`).

    Returns:
        A view in which ``neutral_of`` gives these faces.
    """
    found = find_rest(data) if kind == "found" else median_faces(data)
    for line in _told(data, found, kind):
        warnings.warn(line, Note, stacklevel=2)
    return data.take(_seen(data, found)).with_rest(found.faces)


def _told(data: FaceDataset, found: FoundRest, kind: str) -> Iterator[str]:
    people = len(found.faces)
    if kind == "found" and found.confidence:
        yield (
            f"rest was found from identity labels (confidence {found.confidence:.2f}): in {len(found.scans)} "
            f"of {people} people a scan stands for it, in others the median, moved by what people share"
        )
    elif kind == "found":
        yield f"nothing that {people} people share is surely rest: the median of their scans stands for it"
    if left := len(data) - int(_seen(data, found).sum()):
        yield f"{left} of {len(data)} scans are of nobody with {NEEDED_SCANS} labeled scans and are left out"


def _seen(data: FaceDataset, found: FoundRest) -> NDArray[np.bool_]:
    """(n,) rows of the view whose person's rest was found."""
    return data.row_labeled("identity") & np.isin(data.row_subject, list(found.faces))


@dataclass(frozen=True, eq=False)
class _Nearest:
    """The scan of every person that is nearest to the median plus what people have in common.

    Args:
        common: (V, 3) float32, millimeters. What medians lack in common.
        scans: Subject index -> row of the view, of those whose nearest scan is near.
        closeness: (P,) float64. Peak deviation of the nearest scan, as a share of the typical scan's.
        typical: Peak deviation of the typical scan, millimeters.
    """

    common: Faces
    scans: Mapping[int, int]
    closeness: NDArray[np.float64]
    typical: float

    @classmethod
    def settled(
        cls, data: FaceDataset, rows: Mapping[int, Rows], medians: Mapping[int, Faces], common: Faces,
        near: float, loose: float,
    ) -> _Nearest:  # fmt: skip
        """Alternates until the common displacement does not change any more."""
        for _ in range(ROUNDS):
            found = cls.of(data, rows, medians, common, near, loose)
            moved = [data[row] - medians[person] for person, row in found.scans.items()]
            before, common = common, np.median(moved, axis=0).astype(np.float32)
            if np.allclose(before, common, atol=1e-3):
                break
        return found

    @classmethod
    def of(
        cls, data: FaceDataset, rows: Mapping[int, Rows], medians: Mapping[int, Faces], common: Faces,
        near: float, loose: float,
    ) -> _Nearest:  # fmt: skip
        nearest, closeness, peaks = {}, [], []
        for person, own in rows.items():
            peak = np.linalg.norm(data[own] - (medians[person] + common), axis=-1).max(axis=1)
            nearest[person] = int(own[peak.argmin()])
            closeness.append(peak.min() / max(float(np.median(peak)), 1e-9))
            peaks.append(peak)
        limit = min(near, max(loose * np.quantile(closeness, CLEAREST), AT_REST))
        limit = max(limit, min(closeness))  # somebody is the nearest
        scans = {p: row for (p, row), close in zip(nearest.items(), closeness, strict=True) if close <= limit}
        return cls(common, scans, np.array(closeness), float(np.median(np.concatenate(peaks))))

    @property
    def confidence(self) -> float:
        """Falls with the distance of the clearest people's scans, and of what is common from the medians."""
        far = np.linalg.norm(self.common, axis=-1).max() / max(self.typical, 1e-9)
        clearest = float(np.quantile(self.closeness, CLEAREST))
        if len(self.scans) < FEWEST or clearest > UNCLEAR:
            return 0.0
        return max(0.0, 1.0 - clearest * float(far) ** 2 / UNSURE)
