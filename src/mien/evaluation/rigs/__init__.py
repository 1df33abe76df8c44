"""Rigs, against the shapes that an artist made on the same head."""

from mien.evaluation.rigs.judge import RigReport, judge_rig

__all__ = ["RigReport", "judge_rig"]
