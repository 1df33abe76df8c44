"""All methods by name. To add one, write ``models/<method>.py`` and add a line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mien.errors import UnknownName

if TYPE_CHECKING:
    from mien.models.base import FaceModel

MODELS: dict[str, str] = {
    "adversarial_vae": "mien.models.adversarial_vae:AdversarialVAE",
    "facetunegan": "mien.models.facetunegan:FaceTuneGAN",
    "decoupled_gan": "mien.models.decoupled_gan:DecoupledGAN",
    "facecam": "mien.models.facecam:FaceCAM",
    "expression_lstm": "mien.models.expression_lstm:ExpressionLSTM",
    "pca_lstm": "mien.models.pca_lstm:PcaLSTM",
    "spiralnet": "mien.models.spiralnet:SpiralNet",
    "coma": "mien.models.coma:CoMA",
    "morphable": "mien.models.morphable:Morphable",
    "pca": "mien.models.pca:PCA",
    "displacement_transfer": "mien.models.displacement_transfer:DisplacementTransfer",
    "deformation_transfer": "mien.models.deformation_transfer:DeformationTransfer",
    "mean_expression": "mien.models.mean_expression:MeanExpression",
    "nearest_identity": "mien.models.nearest_identity:NearestIdentity",
}
"""Name of a method -> ``module:Class``."""


def model_class(name: str) -> type[FaceModel]:
    """The class of a method.

    Raises:
        UnknownName: No such method; the nearest name is suggested.
    """
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    module, attribute = MODELS[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def load_model(folder: str) -> FaceModel:
    """Opens a model folder; see :func:`mien.models.files.load_model`."""
    from mien.models import files

    return files.load_model(folder)
