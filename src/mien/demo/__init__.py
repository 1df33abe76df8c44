"""``mien demo``: the whole path on the embedded data, from nothing to a report."""

from mien.demo.folder import Size
from mien.demo.steps import run_demo

__all__ = ["Size", "run_demo"]
