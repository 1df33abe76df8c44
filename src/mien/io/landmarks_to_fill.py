"""A table of landmarks for people to fill, for heads on which no face was found."""

from __future__ import annotations

from pathlib import Path

from mien.io.atomic import write_bytes
from mien.landmark_names import landmark_words
from mien.topology import Topology


def write_landmarks_to_fill(path: str | Path, topology: Topology) -> None:
    """Writes a table of a template's landmarks without positions, for those that people have a name for.

    Args:
        path: A CSV file; filled in, it is read as any landmarks.
        topology: The template's; where its landmarks lie stands beside, to tell them apart.
    """
    points = topology.landmarks.positions(topology.template)
    lines = ["name,x,y,z,template_x,template_y,template_z"]
    for name, at in zip(topology.landmarks.names, points, strict=True):
        if landmark_words(name) != name:
            lines.append(f"{landmark_words(name)},,,,{at[0]:.1f},{at[1]:.1f},{at[2]:.1f}")
    write_bytes(path, ("\n".join(lines) + "\n").encode())
