"""Training: one function, one loop, for every method."""

from mien.training.run import Plan, fit_model, plan_training

__all__ = ["Plan", "fit_model", "plan_training"]
