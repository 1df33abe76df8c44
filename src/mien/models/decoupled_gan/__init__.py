"""The decoupled GAN (Abrevaya, Boukhayma, Wuhrer and Boyer, ICCV 2019): new people, new expressions."""

from mien.models.decoupled_gan.model import DecoupledGAN

__all__ = ["DecoupledGAN"]
