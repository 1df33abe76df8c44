"""Pictures of faces and of numbers."""

from mien.figures.render import View, render
from mien.figures.sheets import grid, strip

__all__ = ["View", "grid", "render", "strip"]
