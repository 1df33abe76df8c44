"""Judging models on people they have not seen: every metric with its controls, in one report."""

from mien.evaluate.protocol import CONTROLS, evaluate
from mien.evaluate.report import Report
from mien.evaluate.rows import Row
from mien.evaluate.sequences import evaluate_sequences
from mien.evaluate.tables import Table

__all__ = ["CONTROLS", "Report", "Row", "Table", "evaluate", "evaluate_sequences"]
