"""Labels of any factor as class numbers, complete or not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, Note, UnknownName

#: A face that performs an expression more weakly says little about it: clips pass through such frames.
CLEAR_WEIGHT = 0.5
NEUTRAL = "neutral"


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of one factor that occur in a view, and which row has which.

    Args:
        names: Of the classes that occur.
        index: (n,) int64 number of each row's class in ``names``; -1 where the label is missing.
    """

    names: tuple[str, ...]
    index: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.int64]:
        """(n,) int64 rows with a label."""
        return np.flatnonzero(self.index >= 0)

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """(C,) int64 where each of the C classes stands in a longer list of names."""
        every = list(names)
        return np.array([every.index(name) for name in self.names], np.int64)

    def among(self, names: Sequence[str]) -> NDArray[np.int64]:
        """(n,) the same labels as numbers in a longer list of names, -1 where missing."""
        return np.append(self.places(names), -1)[self.index]

    def balance(self, *, least: float = 0.1, most: float = 10.0) -> NDArray[np.float32]:
        """(C,) weights N_labeled / (C N_c) that let each of the C classes count the same, clipped."""
        counts = np.bincount(self.index[self.known], minlength=len(self.names))
        return np.clip(counts.sum() / (len(counts) * counts), least, most).astype(np.float32)


def labels_of(data: FaceDataset, factor: str) -> Labels:
    """Labels of ``identity``, ``expression`` or a further factor of a view.

    The expression of a face is its strongest one, from half weight up; all weights zero is ``neutral``.
    """
    names, index = _classes(data, factor)
    index = np.where(data.row_labeled(factor), index, -1)
    present = np.unique(index[index >= 0])
    number = np.full(len(names) + 1, -1)  # the last entry serves missing labels, which are -1
    number[present] = np.arange(len(present))
    return Labels(tuple(names[place] for place in present), number[index])


def _classes(data: FaceDataset, factor: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """All class names of a factor, and (n,) each row's class whether or not its label is hidden."""
    if factor == "identity":
        return data.subjects, data.row_subject.astype(np.int64)
    if factor == "expression":
        strength = data.row_weights.max(axis=1, initial=0.0)
        clear = np.where(strength >= CLEAR_WEIGHT, data.label, -1)
        return (*data.expressions, NEUTRAL), np.where(strength > 0, clear, len(data.expressions))
    if factor not in data.classes:
        raise UnknownName("factor", factor, data.labeled)
    return data.factors[factor], data.classes[factor][data.rows].astype(np.int64)


def hide_labels(data: FaceDataset, factor: str, share: float, *, seed: int = 0) -> FaceDataset:
    """The same faces with labels of one factor left on a share of those that have one, drawn at random.

    Args:
        data: A view. What other views of the set know is not changed.
        factor: ``identity``, ``expression`` or a further factor.
        share: 0 to 1; at least one label stays.
        seed: Draws others.
    """
    if not 0 < share <= 1:
        raise BadSetting("the share of labels must be above 0 and at most 1", received=share)
    known = np.flatnonzero(data.row_labeled(factor))
    if not len(known) or share == 1:
        return data
    count = max(1, round(share * len(known)))
    kept = np.random.default_rng([seed, len(known)]).permutation(known)[:count]
    assert data.rows is not None
    mask = np.zeros(len(data.vertices), bool)
    mask[data.rows[kept]] = True
    return replace(data, labeled={**data.labeled, factor: mask})


def classifiable(labels: Mapping[str, Labels], wanted: Sequence[str] | None = None) -> list[str]:
    """Factors that a classifier can learn: those asked for (None: all) with at least two classes."""
    for name in wanted or ():
        if name not in labels:
            raise UnknownName("factor", name, labels)
    chosen = [name for name in labels if wanted is None or name in wanted]
    for name in chosen:
        if len(labels[name].names) < 2:
            count = len(labels[name].names)
            warnings.warn(f"{name} has {count} labeled classes, too few for a classifier", Note, stacklevel=2)
    return [name for name in chosen if len(labels[name].names) > 1]
