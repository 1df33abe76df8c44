"""MakeHuman: its head, modeling targets and face units, read from the package that carries them."""
