"""A table of landmarks for people to fill, for heads on which no face was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from numpy.typing import NDArray

from mien.io.atomic import write_bytes
from mien.landmark_names import landmark_words
from mien.topology import Topology


def landmarks_to_fill(topology: Topology, filled: Mapping[str, NDArray] | None = None) -> str:
    """A CSV of a template's landmarks that people have a name for, and of those that have a position.

    Args:
        topology: The template's; where its landmarks lie stands beside, to tell them apart.
        filled: Name of the template -> (3,) position on a mesh, in its unit and axes; others stay empty.
    """
    filled = filled or {}
    points = topology.landmarks.positions(topology.template)
    lines = ["name,x,y,z,template_x,template_y,template_z"]
    for name, at in zip(topology.landmarks.names, points, strict=True):
        if landmark_words(name) != name or name in filled:
            place = ",".join(f"{value:.8g}" for value in filled[name]) if name in filled else ",,"
            lines.append(f"{landmark_words(name)},{place},{at[0]:.1f},{at[1]:.1f},{at[2]:.1f}")
    return "\n".join(lines) + "\n"


def write_landmarks_to_fill(path: str | Path, topology: Topology) -> None:
    """Writes a table of a template's landmarks without positions.

    Args:
        path: A CSV file; filled in, it is read as any landmarks.
        topology: The template's.
    """
    write_bytes(path, landmarks_to_fill(topology).encode())
