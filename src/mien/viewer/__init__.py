"""The studio: faces in the browser, with sliders, people, a time line and files in and out.

``session`` and ``actions`` are the state and what can be done to it, without models; ``engine`` turns a state
into vertices with one model; ``studio`` answers requests; ``server`` carries them to the page in ``page/``.
"""

from __future__ import annotations

from mien.viewer.engine import Engine
from mien.viewer.server import StudioServer
from mien.viewer.studio import Studio

__all__ = ["Engine", "Studio", "StudioServer"]
