"""Who can be picked when the studio opens: the average, random people, people of a data set."""

from __future__ import annotations

import numpy as np

from mien.apply.abilities import refusal
from mien.data.dataset import FaceDataset
from mien.models.base import FaceModel
from mien.viewer.session import Person

RANDOM = 3
FROM_DATA = 12


def first_people(model: FaceModel, data: FaceDataset | None) -> tuple[Person, ...]:
    """The average, a few random people where the model draws them, and people of the data who may be shown.

    Args:
        model: The first model of the studio.
        data: A data set of its topology, or None.
    """
    people = [Person("average", "Average", "average")]
    if not refusal(type(model), "generate"):
        people += [Person(f"random-{k}", f"New {k}", "random", seed=k) for k in range(1, RANDOM + 1)]
    if data is not None:
        model.check_data(data)
        people += people_of(data)
    return tuple(people)


def people_of(data: FaceDataset, count: int = FROM_DATA) -> list[Person]:
    """Neutral scans of the first training people who may be shown in pictures."""
    train = data.split("train")
    allowed = np.asarray(train.publishable)
    people: list[Person] = []
    for subject in np.unique(train.row_subject):
        rows = np.flatnonzero(train.is_neutral & (train.row_subject == subject))
        if len(rows) and allowed[subject] and len(people) < count:
            name = str(train.subjects[subject]).replace("_", " ")
            scan = train[int(rows[0])]
            people.append(Person(f"training-{subject}", name, "training", vertices=scan))
    return people
