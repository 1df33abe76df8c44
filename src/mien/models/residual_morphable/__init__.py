"""An additive face model in closed form, and on top of it what a face foretells of its own expressions."""

from mien.models.residual_morphable.model import ResidualMorphable as ResidualMorphable

__all__ = ["ResidualMorphable"]
