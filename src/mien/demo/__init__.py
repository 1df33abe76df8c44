"""``mien demo``: a rig without training, then the whole path of training, from nothing to a report."""

from mien.demo.folder import Size
from mien.demo.steps import run_demo

__all__ = ["Size", "run_demo"]
