"""FaceTuneGAN (Olivier, Baert, Danieau, Multon and Avril, 2021): one face's content with another's style."""

from mien.models.facetunegan.model import FaceTuneGAN

__all__ = ["FaceTuneGAN"]
