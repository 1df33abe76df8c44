"""A tiny instance of every model, prepared, trained for a moment and calibrated on tiny data."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import torch
from fixtures import flame_file, run_stage, tiny_data

from mien.apply import refusal
from mien.data.dataset import FaceDataset
from mien.models import MODELS, model_class
from mien.models.base import FaceModel

# Constructor arguments and training settings that make a model small enough for a second of training.
# A new method needs a line only if its defaults are too large for 48 faces of 120 vertices.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "adversarial_vae": {"identity_size": 6, "expression_size": 6, "hidden": 32},
    "pca": {"size": 16, "expression_size": 5},
    "facetunegan": {"content_size": 10, "style_size": 4, "channels": (8, 16), "mapping": (16,)},
    "decoupled_gan": {"identity_size": 6, "expression_size": 5, "noise_size": 2, "hidden": 64},
    "facecam": {"hidden": (64, 32), "generator_hidden": (32, 32)},
    "spiralnet": {"size": 16, "expression_size": 5, "channels": (8, 16)},
    "coma": {"size": 16, "expression_size": 5, "channels": (8, 16)},
    "conv_mesh_ae": {"size": 12, "channels": (8, 8), "order": 3},
    "neutral_bank": {
        "identity_size": 6, "expression_size": 4, "coupled_size": 24, "hidden": (32,), "channels": (8, 8),
    },
    "deep_flame": {"expression_size": 5, "channels": (8, 8), "order": 3},
    "di_meshencoder": {"identity_size": 6, "expression_size": 4, "channels": (8, 8)},
    "kacem": {"size": 12, "hidden": 24, "channels": (8, 8)},
    "multilinear_autoencoder": {
        "identity_size": 6, "expression_size": 4, "vertex_axes": 40, "image_size": 16, "channels": (8, 16),
    },
    "jiang": {
        "identity_size": 6, "expression_size": 4, "channels": (8, 3), "hidden": 32, "fusion": (8, 8, 8),
        "residuals": 1,
    },
    "residual_morphable": {"identity_size": 6, "manner_size": 2, "expression_size": 5, "hidden": 32},
    "flame": {"file": flame_file(), "identity_size": 12, "expression_size": 6, "rounds": 5},
    "expression_lstm": {"size": 24, "factors": (3, 2), "identity_size": 3},
    "pca_lstm": {"size": 16},
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "adversarial_vae": {
        "steps": 100, "pretraining_steps": 2, "batch_size": 6, "rate": 3e-3, "validate_every": 100,
        "discriminator_points": 40,
    },
    "facetunegan": {"steps": 20, "batch_size": 8, "rate": 5e-3, "average": 0.8, "validate_every": 100},
    "decoupled_gan": {"steps": 20, "batch_size": 8, "image_size": 16, "rate": 3e-3},
    "facecam": {"steps": 200, "rate": 4e-3, "latent_steps": 30, "batch_size": 24, "latent_batch_size": 24},
    "spiralnet": {"steps": 80, "batch_size": 12, "rate": 1e-2, "decay_every": 5, "validate_every": 100},
    "coma": {"steps": 80, "batch_size": 12, "rate": 1e-2, "decay_every": 5, "validate_every": 100},
    "conv_mesh_ae": {"steps": 40, "batch_size": 8, "rate": 1e-2, "decay_every": 5, "validate_every": 100},
    "neutral_bank": {"steps": 40, "batch_size": 12, "rate": 1e-2, "bank_decay": 0.9, "validate_every": 100},
    "deep_flame": {"steps": 40, "batch_size": 8, "rate": 1e-2, "decay_every": 5, "validate_every": 100},
    "di_meshencoder": {"steps": 40, "batch_size": 12, "rate": 1e-2, "decay_every": 5},
    "kacem": {"steps": 40, "batch_size": 8, "rate": 1e-2, "decay_every": 5, "validate_every": 100},
    "jiang": {"stage_steps": 25, "steps": 20, "batch_size": 8, "rate": 1e-2, "validate_every": 60},
    "residual_morphable": {"steps": 70, "batch_size": 16, "validate_every": 100},
    "multilinear_autoencoder": {"steps": 70, "batch_size": 16, "rate": 5e-3, "validate_every": 200},
    "expression_lstm": {"steps": 40, "rate": 2e-2, "decay_every": 3, "validate_every": 200},
    "pca_lstm": {"steps": 60, "rate": 3e-2, "decay_every": 3, "validate_every": 200},
}  # fmt: skip
# What the longer training does without, to stay short; single steps are tested with everything on.
SHORTCUTS: dict[str, dict[str, Any]] = {"adversarial_vae": {"identity_discriminator": False}}

NAMES = tuple(MODELS)


def data() -> FaceDataset:
    """48 faces of 8 people, with some interaction and noise."""
    return tiny_data()


def fresh(name: str) -> FaceModel:
    """A new model that has seen nothing."""
    torch.manual_seed(1)
    return model_class(name)(data().topology, data().expressions, **ARGUMENTS.get(name, {}))


@lru_cache
def trained(name: str) -> FaceModel:
    """A model after its stages, in evaluation mode; tests share it and must not change it."""
    model, shown = fresh(name), data()
    model.prepare(shown)
    run_stages(model, shown)
    model.eval()
    model.calibrate(shown)
    return model


def run_stages(model: FaceModel, shown: FaceDataset, limit: int | None = None) -> list[dict[str, float]]:
    """The plainest loop over a model's stages; returns the losses of every step."""
    kind = getattr(type(model), "Settings", None)
    changes = SETTINGS.get(model.name, {}) | (SHORTCUTS.get(model.name, {}) if limit is None else {})
    settings = dataclasses.replace(kind(), **changes) if kind else None
    generator = torch.Generator().manual_seed(0)
    seen = []
    for stage in model.stages(shown, settings, shown):
        for module in stage.modules.values():
            module.train()
        seen += run_stage(stage, generator, limit)
    return seen


def precise(name: str, millimeters: float) -> float:
    """How equal two ways to the same face must be; codes found by descent end where a kink stops them."""
    return max(millimeters, 0.5) if model_class(name).encode is FaceModel.encode else millimeters


def lacks(name: str, ability: str) -> str | None:
    """Why a model refuses an ability, or None."""
    return refusal(model_class(name), ability)
