"""All methods by name: those of Mien, and those that installed packages add.

To add one to Mien, write ``models/<method>.py`` and add a line to ``MODELS``. A package adds one without a
line here: by an entry point of the group ``mien.models``, the method's name = ``module:Class``.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from mien.errors import BadSetting, MienError, UnknownName
from mien.models.own_code import checked, class_at, is_address

if TYPE_CHECKING:
    from mien.models.base import FaceModel

GROUP = "mien.models"
"""The entry points by which installed packages add methods."""

MODELS: dict[str, str] = {
    "adversarial_vae": "mien.models.adversarial_vae:AdversarialVAE",
    "facetunegan": "mien.models.facetunegan:FaceTuneGAN",
    "decoupled_gan": "mien.models.decoupled_gan:DecoupledGAN",
    "facecam": "mien.models.facecam:FaceCAM",
    "expression_lstm": "mien.models.expression_lstm:ExpressionLSTM",
    "pca_lstm": "mien.models.pca_lstm:PcaLSTM",
    "spiralnet": "mien.models.spiralnet:SpiralNet",
    "coma": "mien.models.coma:CoMA",
    "conv_mesh_ae": "mien.models.conv_mesh_ae:ConvMeshAE",
    "kacem": "mien.models.kacem:Kacem",
    "neutral_bank": "mien.models.neutral_bank:NeutralBank",
    "deep_flame": "mien.models.deep_flame:DeepFLAME",
    "di_meshencoder": "mien.models.di_meshencoder:DIMeshEncoder",
    "jiang": "mien.models.jiang:Jiang",
    "residual_morphable": "mien.models.residual_morphable:ResidualMorphable",
    "morphable": "mien.models.morphable:Morphable",
    "multilinear_autoencoder": "mien.models.multilinear_autoencoder:MultilinearAutoencoder",
    "multilinear": "mien.models.multilinear:Multilinear",
    "flame": "mien.models.flame:FLAME",
    "pca": "mien.models.pca:PCA",
    "displacement_transfer": "mien.models.displacement_transfer:DisplacementTransfer",
    "deformation_transfer": "mien.models.deformation_transfer:DeformationTransfer",
    "mean_expression": "mien.models.mean_expression:MeanExpression",
    "textbook": "mien.models.textbook:Textbook",
    "nearest_identity": "mien.models.nearest_identity:NearestIdentity",
}
"""Name of a method of Mien -> ``module:Class``."""


def model_class(method: str | type[FaceModel]) -> type[FaceModel]:
    """The class of a method that the caller asked for.

    Args:
        method: Name of a method (``mien list``), ``module:Class``, ``file.py:Class``, or the class itself.

    Raises:
        UnknownName: No such method; the nearest name is suggested.
        MienError: The class cannot be imported, or is no method.
    """
    if not isinstance(method, str):
        return _own(checked(method))
    return _own(class_at(method)) if is_address(method) else registered_class(method)


def registered_class(name: str) -> type[FaceModel]:
    """The class of a method by name alone: of Mien, or of an installed package. Follows no address."""
    if address := MODELS.get(name):
        module, attribute = address.split(":")
        return getattr(importlib.import_module(module), attribute)
    points = entry_points_of_methods()
    if name not in points:
        raise UnknownName("model", name, method_names())
    return _loaded(points[name])


def method_names() -> list[str]:
    """Names of all methods, of Mien and of installed packages, whether they work or not."""
    return [*MODELS, *(name for name in entry_points_of_methods() if name not in MODELS)]


def entry_points_of_methods() -> dict[str, EntryPoint]:
    """Name -> entry point of every method that an installed package adds."""
    return {point.name: point for point in entry_points(group=GROUP)}


def added_methods() -> tuple[dict[str, type[FaceModel]], dict[str, str]]:
    """The methods of installed packages, and those that do not work: name -> class, name -> reason."""
    found: dict[str, type[FaceModel]] = {}
    broken: dict[str, str] = {}
    for name, point in sorted(entry_points_of_methods().items()):
        try:
            found[name] = _loaded(point)
        except MienError as error:
            broken[name] = str(error)
    return found, broken


def is_registered(kind: type[FaceModel]) -> bool:
    """Whether a class is found by its name alone, so that loading it runs no code but what is installed."""
    if kind.name in MODELS:
        return _is_ours(kind)
    point = entry_points_of_methods().get(kind.name)
    return point is not None and point.value == f"{kind.__module__}:{kind.__qualname__}"


def _loaded(point: EntryPoint) -> type[FaceModel]:
    """The class of an entry point, which has to bear the name that it is listed by."""
    if point.name in MODELS:
        raise BadSetting(
            "an installed package adds a method under a name of Mien's own",
            received=f"{point.name} = {point.value}", remedy="rename its entry point",
        )  # fmt: skip
    kind = class_at(point.value, installed=True)
    if kind.name != point.name:
        raise BadSetting(
            f"the entry point {point.name!r} leads to a method of another name", received=repr(kind.name),
            remedy="give both the same name",
        )  # fmt: skip
    return kind


def _own(kind: type[FaceModel]) -> type[FaceModel]:
    """Refuses a class that would stand under a built-in method's name in tables and model folders."""
    if kind.name in MODELS and not _is_ours(kind):
        raise BadSetting(
            f"{kind.__qualname__} bears the name of a method of Mien", received=repr(kind.name),
            remedy="give the class a name attribute of its own",
        )  # fmt: skip
    return kind


def _is_ours(kind: type[FaceModel]) -> bool:
    return kind.__module__.startswith("mien.models.")
