"""Adversarial VAE (Gu, Pears and Sun, FG 2023): identity apart from expression, with or without neutrals."""

from mien.models.adversarial_vae.model import AdversarialVAE

__all__ = ["AdversarialVAE"]
