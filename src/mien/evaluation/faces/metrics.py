"""The metrics of encoded faces, one pure function of arrays each; the number in a table comes from it.

Distances are millimeters, rates percent. ``avd(x, y) = (1/V) sum_v ||x_v - y_v||`` is the average vertex
distance. Standard deviations divide by the count. A function gives one value a mesh, person, draw or path;
rows state mean, spread and interval of these values.

The variants of identity consistency measure different things and must never share a column:
``id_std_pooled`` and ``id_std_mesh`` are the spread of the size of the error, not the error (a predictor that
is wrong by exactly 1 mm everywhere scores 0), so ``id_mad`` is the headline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.distances import Meshes, Values, avd, avd_table, distances, rigidly_aligned
from mien.evaluation.probes import read_labels
from mien.geometry.differential import uniform_laplacian

# Reconstruction: truth and prediction (N, V, 3), one value a mesh ---------------------------------------


def rec_avd_mesh(truth: Meshes, predicted: Meshes) -> Values:
    """Error of each mesh.

    Args:
        truth: (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.

    Returns:
        (N,) float, millimeters.
    """
    return avd(truth, predicted)


def rec_avd_pooled(truth: Meshes, predicted: Meshes) -> NDArray[np.float32]:
    """Error of each vertex of each mesh: the mean agrees with the former, spread and median do not.

    Args:
        truth: (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.

    Returns:
        (N, V) float, millimeters.
    """
    return distances(truth, predicted)


def rec_avd_region(truth: Meshes, predicted: Meshes, vertices: NDArray[np.bool_]) -> Values:
    """Error of each mesh in one region of the face.

    Args:
        truth: (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.
        vertices: (V,) bool. Which belong to the region.

    Returns:
        (N,) float, millimeters.
    """
    return avd(np.asarray(truth)[:, vertices], np.asarray(predicted)[:, vertices])


def gap_error(
    truth: Meshes, predicted: Meshes, upper: NDArray[np.integer], lower: NDArray[np.integer]
) -> Values:
    """How wrongly a mouth or an eye stands open, which an average over vertices hides.

    The gap is the distance between the mean of the upper lip or lid and that of the lower one.

    Args:
        truth: (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.
        upper: (n,) int. Vertices of the upper lip or lid.
        lower: (m,) int. Vertices of the lower one.

    Returns:
        (N,) float, millimeters: the absolute difference of the gaps.
    """

    def gap(meshes: Meshes) -> Values:
        found = np.asarray(meshes, np.float64)
        return np.linalg.norm(found[:, upper].mean(axis=1) - found[:, lower].mean(axis=1), axis=-1)

    return np.abs(gap(predicted) - gap(truth))


def rec_detail(truth: Meshes, predicted: Meshes, faces: NDArray[np.integer]) -> Values:
    """Loss of fine shape that avd hides: mean over v of ``||(U x)_v - (U x_hat)_v||``.

    U is the uniform Laplacian.

    Args:
        truth: (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.
        faces: (F, 3) int. Triangles.

    Returns:
        (N,) float, millimeters.
    """
    difference = np.asarray(truth, np.float32) - np.asarray(predicted, np.float32)
    operator = uniform_laplacian(faces, difference.shape[-2]).astype(np.float32)
    columns = np.moveaxis(difference, -2, 0)
    rough = (operator @ columns.reshape(len(columns), -1)).reshape(columns.shape)
    return np.linalg.norm(np.moveaxis(rough, 0, -2), axis=-1).mean(axis=-1)


# Neutralization: one value a mesh -----------------------------------------------------------------------


def neu_avd(neutral: Meshes, predicted: Meshes) -> Values:
    """Distance of each predicted neutral to the person's true one.

    Args:
        neutral: (V, 3) or (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.

    Returns:
        (N,) float, millimeters.
    """
    return avd(neutral, predicted)


def neu_avd_aligned(neutral: Meshes, predicted: Meshes) -> Values:
    """The same after each prediction has been moved rigidly onto its truth.

    Args:
        neutral: (V, 3) or (N, V, 3) float, millimeters.
        predicted: (N, V, 3) float, millimeters.

    Returns:
        (N,) float, millimeters; nan without a true neutral.
    """
    if not np.isfinite(neutral).all():
        return np.full(len(predicted), np.nan)
    return avd(neutral, rigidly_aligned(predicted, neutral))


def neu_avd_triplet(neutral: Meshes, decoded: Meshes) -> Values:
    """Neutrals decoded with the expression code of another person's neutral (FaceTuneGAN, equation 13).

    Args:
        neutral: (V, 3) or (N, V, 3) float, millimeters.
        decoded: (N, V, 3) float, millimeters.

    Returns:
        (N,) float, millimeters.
    """
    return avd(neutral, decoded)


# Consistency: the predictions (k, V, 3) of one person (or expression), one value a person ----------------


def id_std_vertex(meshes: Meshes) -> float:
    """All rigidly aligned to the first; mean over v of sqrt(sum over x, y, z of the variance over i).

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    aligned = rigidly_aligned(meshes, meshes[0]).astype(np.float64)
    return float(np.sqrt(aligned.var(axis=0).sum(axis=-1)).mean())


def id_std_pooled(meshes: Meshes) -> float:
    """Standard deviation over all (i, v) of d_iv, the distance to the person's mean prediction.

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return float(_deviations(meshes).std(dtype=np.float64))


def id_std_mesh(meshes: Meshes) -> float:
    """Standard deviation over i of avd(A_i, mean A).

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return float(_deviations(meshes).mean(axis=1, dtype=np.float64).std())


def id_std_avd(meshes: Meshes) -> float:
    """sqrt(mean over i of avd(A_i, mean A)^2).

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return float(np.sqrt((_deviations(meshes).mean(axis=1, dtype=np.float64) ** 2).mean()))


def id_mad(meshes: Meshes) -> float:
    """Mean over all (i, v) of d_iv: the headline.

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return float(_deviations(meshes).mean(dtype=np.float64))


def _deviations(meshes: Meshes) -> NDArray[np.float32]:
    """(k, V) distances d_iv to the mean of the predictions."""
    return distances(meshes, np.asarray(meshes).mean(axis=0, dtype=np.float64))


def consistency(meshes: Meshes) -> dict[str, float]:
    """All variants of one person.

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return {
        "id_mad": id_mad(meshes), "id_std_pooled": id_std_pooled(meshes),
        "id_std_vertex": id_std_vertex(meshes), "id_std_mesh": id_std_mesh(meshes),
        "id_std_avd": id_std_avd(meshes),
    }  # fmt: skip


def exp_mad(meshes: Meshes) -> float:
    """``id_mad`` over people at one expression, on expression-only meshes.

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return id_mad(meshes)


def exp_std_pooled(meshes: Meshes) -> float:
    """``id_std_pooled`` over people at one expression.

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return id_std_pooled(meshes)


def exp_std_vertex(meshes: Meshes) -> float:
    """``id_std_vertex`` over people at one expression.

    Args:
        meshes: (k, V, 3) float, millimeters.
    """
    return id_std_vertex(meshes)


def id_between_avd(means: Meshes) -> float:
    """Mean avd over pairs of different persons' mean predictions: the scale for ``id_mad``.

    Args:
        means: (S, V, 3) float, millimeters.
    """
    table = avd_table(means, means)
    return float(table[np.triu_indices(len(table), 1)].mean()) if len(table) > 1 else float("nan")


def id_ratio(mad: float, between: float) -> float:
    """``id_mad / id_between_avd``: free of units, comparable across data; nan if all persons coincide."""
    return mad / between if between > 0 else float("nan")


# Transfer: one value a draw -----------------------------------------------------------------------------


def transfer_avd(truth: Meshes, predicted: Meshes) -> Values:
    """Distance of a person's own scan of an expression and its prediction from another person's.

    Args:
        truth: (n, V, 3) float, millimeters.
        predicted: (n, V, 3) float, millimeters.

    Returns:
        (n,) float, millimeters.
    """
    return avd(truth, predicted)


def transfer_avd_detail(truth: Meshes, predicted: Meshes, lost: Meshes) -> Values:
    """The same with what the receiver's codes lost of the neutral added back.

    Args:
        truth: (n, V, 3) float, millimeters.
        predicted: (n, V, 3) float, millimeters.
        lost: (n, V, 3) float, millimeters. The receiver's true neutral minus its reconstruction.

    Returns:
        (n,) float, millimeters.
    """
    return avd(truth, predicted + lost)


def transfer_floor(truth: Meshes, predicted: Meshes) -> Values:
    """The same where the expression comes from the person's own scan: what the codes alone cost.

    Args:
        truth: (n, V, 3) float, millimeters.
        predicted: (n, V, 3) float, millimeters.

    Returns:
        (n,) float, millimeters.
    """
    return avd(truth, predicted)


# Paths: one value a path --------------------------------------------------------------------------------


def path_length_ratio(path: Meshes) -> float:
    """Sum of the steps of a path over the distance of its ends; 1 is straight.

    Args:
        path: (K + 1, V, 3) float, millimeters.
    """
    ends = float(avd(path[0], path[-1]))
    return float(avd(path[1:], path[:-1]).sum() / ends) if ends > 0 else float("nan")


def path_step_cv(path: Meshes) -> float:
    """Standard deviation over mean of the steps of a path; 0 is even.

    Args:
        path: (K + 1, V, 3) float, millimeters.
    """
    steps = avd(path[1:], path[:-1])
    return float(steps.std() / steps.mean()) if steps.mean() > 0 else float("nan")


# Recognition and leakage: 100 where the answer is right, 0 where it is wrong ------------------------------


def rank1_mesh(gallery: Meshes, gallery_person: NDArray, probes: Meshes, probe_person: NDArray) -> Values:
    """Whether the gallery mesh nearest by avd shows the probe's person.

    Args:
        gallery: (n, V, 3) float, millimeters. One predicted neutral a person.
        gallery_person: (n,) int.
        probes: (m, V, 3) float, millimeters. Predicted neutrals of all other scans.
        probe_person: (m,) int.

    Returns:
        (m,) float, percent: 100 or 0; the mean is the rank-1 rate.
    """
    nearest = avd_table(probes, gallery).argmin(axis=1)
    return 100.0 * (np.asarray(gallery_person)[nearest] == probe_person)


def rank1_code(gallery: NDArray, gallery_person: NDArray, probes: NDArray, probe_person: NDArray) -> Values:
    """The same with the cosine of identity codes.

    Args:
        gallery: (n, D) float. Codes, without unit.
        gallery_person: (n,) int.
        probes: (m, D) float.
        probe_person: (m,) int.

    Returns:
        (m,) float, percent: 100 or 0.
    """
    nearest = (_unit(probes) @ _unit(gallery).T).argmax(axis=1)
    return 100.0 * (np.asarray(gallery_person)[nearest] == probe_person)


def _unit(codes: NDArray) -> Values:
    codes = np.asarray(codes, np.float64).reshape(len(codes), -1)
    return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)


def rank1_chance(gallery: int) -> float:
    """Percent of probes that a blind guess among the people of the gallery names."""
    return 100 / gallery if gallery else float("nan")


def leakage(codes: NDArray, labels: NDArray, folds: NDArray) -> Values:
    """Whether a linear reader names a scan's label from its code, having learned from other scans.

    Args:
        codes: (n, ...) float. Codes, without unit, or meshes in millimeters.
        labels: (n,) int. What to read.
        folds: (n,) int. Scans with equal numbers are held out together.

    Returns:
        (n,) float, percent: 100 or 0.
    """
    return 100.0 * (read_labels(codes, labels, folds) == labels)


def leakage_chance(labels: NDArray) -> float:
    """Percent of scans that always naming the commonest label gets.

    Args:
        labels: (n,) int.
    """
    return 100 * np.unique(labels, return_counts=True)[1].max() / len(labels) if len(labels) else float("nan")
