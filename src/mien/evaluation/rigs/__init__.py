"""Rigs, against the shapes that an artist made on the same head."""

from mien.evaluation.rigs.judge import RigReport, compare_rig_files, judge_rig

__all__ = ["RigReport", "compare_rig_files", "judge_rig"]
