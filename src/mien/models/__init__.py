"""Published methods and baselines; :mod:`mien.models.registry` lists them, ``base`` says what a method is."""

from __future__ import annotations

from mien.models.files import load_model
from mien.models.registry import MODELS, model_class

__all__ = ["MODELS", "load_model", "model_class"]
