"""Training: one loop for every method, resumable to the same bits."""

from mien.training.plan import Plan, plan_training, resolve_plan
from mien.training.run import fit_model, train

__all__ = ["Plan", "fit_model", "plan_training", "resolve_plan", "train"]
