"""What each method can do: as published, derived from its verbs, or not at all, and then why."""

from __future__ import annotations

from mien import fit
from mien.errors import UnknownName
from mien.models.base import FaceModel

ABILITIES = (
    "reconstruct", "neutralize", "transfer", "interpolate", "generate", "animate", "rig", "fit", "recognize",
)  # fmt: skip


def ability(model: type[FaceModel], name: str) -> str:
    """Whether an ability is ``native`` to a method's publication, ``derived`` here, or ``refused``."""
    if refusal(model, name):
        return "refused"
    return "native" if name in model.native else "derived"


def refusal(model: type[FaceModel], name: str) -> str | None:
    """Why a method lacks an ability, or None if it has it."""
    if name not in ABILITIES:
        raise UnknownName("ability", name, ABILITIES)
    if name in model.refused:
        return model.refused[name]
    if name == "fit":
        return fit.fitting_refusal(model)
    if name == "generate" and model.sample is FaceModel.sample:
        return "it has no identity space to sample people from"
    if name in ("neutralize", "recognize") and model.anchored:
        return "it is given the person's neutral mesh and has no way to find one"
    return None


def allow(model: FaceModel, name: str) -> None:
    """Raises :class:`mien.errors.Unsupported` with the reason if a model lacks an ability."""
    reason = refusal(type(model), name)
    if reason:
        raise model.refusal(name, reason)
