"""Jiang et al. (2019): who and what as deformations, each of a graph autoencoder, and their fusion."""

from mien.models.jiang.model import Jiang as Jiang

__all__ = ["Jiang"]
