"""Every metric by name: which function makes the number in its rows, and in which unit.

The functions stand with what they measure: :mod:`mien.evaluation.faces.metrics`,
:mod:`mien.evaluation.reading.metrics`, :mod:`mien.evaluation.generation.metrics` and
:mod:`mien.evaluation.motion.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from mien.errors import UnknownName
from mien.evaluation.faces import metrics as faces
from mien.evaluation.generation import metrics as generation
from mien.evaluation.motion import metrics as motion
from mien.evaluation.reading import metrics as reading

Function = Callable[..., object]
TRUTH = "_truth"
"""Ends the name of a metric that compares with the face without capture noise instead of the scan."""
METRICS: tuple[tuple[str, Function | None, str], ...] = (
    ("rec_avd_mesh", faces.rec_avd_mesh, "mm"), ("rec_avd_pooled", faces.rec_avd_pooled, "mm"),
    ("rec_avd_*", faces.rec_avd_region, "mm"), ("rec_detail", faces.rec_detail, "mm"),
    ("rec_gap_*", faces.gap_error, "mm"), ("transfer_gap_*", faces.gap_error, "mm"),
    ("neu_avd", faces.neu_avd, "mm"), ("neu_avd_aligned", faces.neu_avd_aligned, "mm"),
    ("neu_avd_triplet", faces.neu_avd_triplet, "mm"), ("*id_mad", faces.id_mad, "mm"),
    ("*id_std_pooled", faces.id_std_pooled, "mm"), ("*id_std_vertex", faces.id_std_vertex, "mm"),
    ("*id_std_mesh", faces.id_std_mesh, "mm"), ("*id_std_avd", faces.id_std_avd, "mm"),
    ("id_between_avd", faces.id_between_avd, "mm"), ("id_ratio", faces.id_ratio, ""),
    ("exp_mad", faces.exp_mad, "mm"), ("exp_std_pooled", faces.exp_std_pooled, "mm"),
    ("exp_std_vertex", faces.exp_std_vertex, "mm"),
    ("transfer_avd_detail", faces.transfer_avd_detail, "mm"),
    ("transfer_floor", faces.transfer_floor, "mm"), ("transfer_avd*", faces.transfer_avd, "mm"),
    ("path_length_*", faces.path_length_ratio, ""), ("path_step_cv_*", faces.path_step_cv, ""),
    ("rank1_mesh", faces.rank1_mesh, "%"), ("rank1_code", faces.rank1_code, "%"),
    ("leakage_*", faces.leakage, "%"), ("read_found", reading.read_found, "%"),
    ("read_error", reading.read_error, ""), ("read_share", reading.read_share, ""),
    ("read_left", reading.read_left, ""), ("div_*", generation.diversity, "mm"),
    ("specificity", generation.specificity, "mm"), ("dec_*_random", generation.decoupling_random, "%"),
    ("dec_*_lift", generation.decoupling_lift, "%"), ("dec_*_own", generation.decoupling_own, "%"),
    ("dec_*", generation.decoupling, "%"), ("id_kept", generation.id_kept, "%"),
    ("cls_*_held", generation.named_as_asked, "%"), ("intensity_rho_*", generation.intensity_rho, ""),
    ("disp_ratio_1_5", generation.disp_ratio, ""), ("style_spread*", generation.style_spread, "mm"),
    ("sparse_rmse_*", generation.sparse_rmse, "mm"),
    ("sparse_residual_*", generation.sparse_residual, "mm"), ("sparse_gain", generation.sparse_gain, ""),
    ("*silhouette_*", generation.silhouette, ""), ("seq_avd_*", motion.frame_avd, "mm"),
    ("phase_avd_*", motion.frame_avd, "mm"), ("phase_l1_*", motion.frame_l1, "mm"),
    ("temporal_l1", motion.temporal_l1, "mm"), ("confusion*", motion.confusion, ""),
    ("seq_precision*", motion.seq_precision, ""), ("seq_recall*", motion.seq_recall, ""),
    ("seq_f1*", motion.seq_f1, ""), ("seq_accuracy*", motion.seq_accuracy, ""),
    # Facts of models and similarity networks, which are counted, timed or chosen.
    ("parameters", None, ""), ("*code_ms", None, "ms"), ("judge_tau", None, ""), ("judge_pairs", None, ""),
    ("judge_*", None, "%"),
)  # fmt: skip
"""Pattern of a metric's name, the function that makes it, its unit; the first that fits counts."""


def metric_named(name: str) -> tuple[Function | None, str]:
    """The function that makes a metric, and its unit: ``mm``, ``%``, ``ms`` or empty.

    Args:
        name: As rows name it, e.g. ``transfer_avd/smile``; the same function compares with the truth.

    Raises:
        UnknownName: No pattern of ``METRICS`` fits.
    """
    plain = name.replace(TRUTH, "", 1)
    for pattern, function, unit in METRICS:
        if fnmatchcase(plain, pattern):
            return function, unit
    raise UnknownName("metric", name, [pattern for pattern, _, _ in METRICS])
