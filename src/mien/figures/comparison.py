"""The papers' figure forms: neutralized variations, transfers side by side, walks between two faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.figures.faces import draw, face_sheet, face_view
from mien.figures.heat import nice_maximum, with_bar
from mien.figures.sheets import grid
from mien.progress import track
from mien.topology import Topology


def variation_sheet(
    scans: NDArray, neutrals: NDArray, topology: Topology, labels: Sequence[str], *, title: str = "",
    size: int = 150,
) -> Pictures.Image:  # fmt: skip
    """Scans of one person, the neutral that a model finds in each, and how far it is from their mean.

    Args:
        scans: (K, V, 3) float, millimeters.
        neutrals: (K, V, 3) float, millimeters: one prediction a scan.
        topology: What the faces share.
        labels: One a scan.
        title: Heading.
        size: Pixels of a face.
    """
    deviation = np.linalg.norm(neutrals - neutrals.mean(axis=0), axis=-1)
    maximum, view = nice_maximum(deviation), face_view(topology)
    rows: list[list[NDArray]] = [[], [], []]
    for number in track(range(len(scans)), "drawing faces"):
        rows[0].append(draw(scans[number], topology, size=size, view=view))
        rows[1].append(draw(neutrals[number], topology, size=size, view=view))
        errors = deviation[number]
        rows[2].append(draw(neutrals[number], topology, size=size, view=view, errors=errors, maximum=maximum))
    return with_bar(grid(rows, ("scan", "neutral found", "from their mean"), labels, title), maximum)


def transfer_sheet(
    performers: NDArray, receivers: NDArray, truth: NDArray, results: Mapping[str, NDArray],
    topology: Topology, labels: Sequence[str] = (), *, title: str = "", size: int = 170,
) -> Pictures.Image:  # fmt: skip
    """An expression, who receives it, how they perform it themselves, and what each model made of it.

    Args:
        performers: (N, V, 3) float, millimeters: faces whose expression is taken; one a row.
        receivers: (N, V, 3) float, millimeters: neutrals of those who receive it.
        truth: (N, V, 3) float, millimeters: the receivers' own scans of the expression.
        results: Model -> (N, V, 3) float, millimeters.
        topology: What the faces share.
        labels: One a row.
        title: Heading.
        size: Pixels of a face.
    """
    errors = {name: np.linalg.norm(meshes - truth, axis=-1) for name, meshes in results.items()}
    maximum, view = nice_maximum(np.stack(list(errors.values()))), face_view(topology)
    columns, rows = ["expression of", "onto", "their own"], []
    for name in results:
        columns += [name, f"error {name}"]
    for row in track(range(len(truth)), "drawing faces"):
        given = (performers[row], receivers[row], truth[row])
        cells = [draw(mesh, topology, size=size, view=view) for mesh in given]
        for name, meshes in results.items():
            cells.append(draw(meshes[row], topology, size=size, view=view))
            wrong = errors[name][row]
            cells.append(draw(truth[row], topology, size=size, view=view, errors=wrong, maximum=maximum))
        rows.append(cells)
    return with_bar(grid(rows, labels, columns, title), maximum)


def walk_sheet(
    walks: Mapping[str, NDArray], shares: Sequence[float], topology: Topology, *, title: str = "",
    size: int = 170,
) -> Pictures.Image:  # fmt: skip
    """Straight lines in a model's codes, with the faces before the start and beyond the end.

    Args:
        walks: Row label -> (K, V, 3) float, millimeters.
        shares: K shares of the way; 0 is the first face and 1 the second.
        topology: What the faces share.
        title: Heading.
        size: Pixels of a face.
    """
    labels = [f"{share:g}" for share in shares]
    note = "Shares of the way from the first face (0) to the second (1); others are extrapolated."
    return face_sheet(
        [list(walk) for walk in walks.values()], topology, list(walks), labels, title, note=note, size=size
    )
