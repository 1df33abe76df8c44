"""Evaluation of models on people they have not seen: every metric with its controls, in one report."""

from mien.evaluation.faces.protocol import CONTROLS, evaluate
from mien.evaluation.kinds import evaluate_by_kind
from mien.evaluation.motion.protocol import evaluate_sequences
from mien.evaluation.report import Report
from mien.evaluation.rows import Row
from mien.evaluation.tables import Table

__all__ = ["CONTROLS", "Report", "Row", "Table", "evaluate", "evaluate_by_kind", "evaluate_sequences"]
