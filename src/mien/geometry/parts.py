"""The pieces of a head that are not its skin: what each is, who says so, and how it follows the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.eyeballs import Ball, sphere_center, sphere_radius
from mien.geometry.following import Follow, jaw_region, still, with_head, with_jaw
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.openings import Opening
from mien.geometry.piece_forms import FacePlan, eyeball_of, kind_by_form, kind_in_mouth, row_of
from mien.geometry.piece_kinds import FOLLOWS_SKIN, WITH_HEAD
from mien.topology import Topology

_ROWS, _ROW = ("upper teeth", "lower teeth"), 0.5  # and how wide a row is at least, in widths of the mouth
_SPAN = 0.12  # widths of the mouth above and below its line over which gums share the movement of the jaw


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a mesh that is not skin.

    Args:
        kind: A key of :data:`mien.geometry.piece_kinds.KINDS`.
        members: (n,) vertices of the mesh.
        follows: How it moves; None for a piece that moves with the skin next to it.
        center: (3,) float, millimeters. Of an eye, the point that it turns about.
        title: What to call it.
        told_by: ``user``, ``name`` or ``form``: what says that it is of this kind.
    """

    kind: str
    members: NDArray[np.int64]
    follows: Follow | None
    center: NDArray[np.float64]
    title: str
    told_by: str


def find_parts(
    points: NDArray, skin: NDArray, pieces: NamedPieces, registered: NDArray, topology: Topology,
    fins: NDArray | None = None,
) -> list[Part]:  # fmt: skip
    """Tells what the pieces of a mesh are: by the user's word, by their names, by their place and form.

    What is no piece, vertices of no triangle, is left out: it rests.

    Args:
        points: (M, 3) float, millimeters, in the template's frame.
        skin: (M,) bool. Vertices of the skin.
        pieces: Of these vertices; numbers below 0 belong to no triangle.
        registered: (V, 3) float, millimeters. The aligned template.
        topology: The template's.
        fins: (M,) bool or None. Vertices that stand on pieces and say nothing about their form.
    """
    plan = FacePlan.of(registered, topology)
    order = np.argsort(pieces.label, kind="stable")
    starts = np.flatnonzero(np.diff(pieces.label[order], prepend=-1))
    every = np.split(order, starts[1:])
    others = [members for members in every if not skin[members[0]] and pieces.label[members[0]] >= 0]
    finder = _Finder(points, pieces, plan, np.zeros(len(points), bool) if fins is None else fins)
    eyes = [part for members in others if (part := finder.eye(members))]
    taken = {int(part.members[0]) for part in eyes}
    balls = [(part.center, sphere_radius(finder.cloud(part.members), part.center)) for part in eyes]
    rest = [finder.other(members, balls) for members in others if int(members[0]) not in taken]
    return eyes + finder.in_two_rows(rest)


@dataclass(frozen=True, eq=False)
class _Finder:
    """A mesh whose pieces are told."""

    points: NDArray
    pieces: NamedPieces
    plan: FacePlan
    fins: NDArray

    def cloud(self, members: NDArray) -> NDArray:
        """(n, 3) where the vertices of a piece are, millimeters."""
        return self.points[_own(members, self.fins)]

    def eye(self, members: NDArray) -> Part | None:
        """A piece as an eyeball; names alone make none of what is flat, but the user's word does."""
        number = int(self.pieces.label[members[0]])
        said, cloud = self.pieces.kind(number), self.cloud(members)
        found = eyeball_of(cloud, self.plan)
        if found is None and self.pieces.said.get(number) == "eye" and len(cloud) >= 4:
            center = sphere_center(cloud)
            found = center, sphere_radius(cloud, center)
        if found is None or said not in (None, "eye"):
            return None
        return self._part("eye", members, found[0], self._teller(number))

    def other(self, members: NDArray, balls: Sequence[tuple[NDArray, float]]) -> Part:
        """A piece that is no eyeball itself."""
        number = int(self.pieces.label[members[0]])
        cloud = self.cloud(members)
        kind, told_by = self.pieces.kind(number), self._teller(number)
        if kind == "eye":  # lashes, irises and films lie in groups of this name, too
            form = kind_by_form(cloud, self.plan, balls)
            kind = form if form in ("eye", "tear film", "lashes", "brows") else "tear film"
            if not self.plan.is_at_an_eye(cloud) and told_by == "name":
                kind, told_by = form, "form"  # whatever it is called, no eye is there
        if kind is None:
            kind = kind_by_form(cloud, self.plan, balls)
        if (
            kind == "teeth"
            and self.plan.mouth is not None
            and kind_in_mouth(cloud, self.plan.mouth) != "gums"
        ):
            kind = row_of(cloud, self.plan.mouth)
        center = cloud.mean(axis=0)
        if kind == "eye":
            center = min(
                balls, key=lambda ball: float(np.linalg.norm(ball[0] - center)), default=(center, 0)
            )[0]
        return self._part(kind, members, center, told_by)

    def in_two_rows(self, parts: list[Part]) -> list[Part]:
        """Pieces; of two rows of teeth on one side of the line of the mouth the higher is the upper.

        Lips that are full on one side, or a template whose lips end inside the mouth, shift that line.
        """
        rows = [part for part in parts if part.kind in _ROWS and self._is_row(part)]
        if len(rows) != 2 or rows[0].kind != rows[1].kind or any(part.told_by != "form" for part in rows):
            return parts
        rows.sort(key=lambda part: -float(np.median(self.points[part.members, 1])))
        named = {
            int(part.members[0]): self._part(kind, part.members, part.center, "form")
            for kind, part in zip(_ROWS, rows, strict=True)
        }
        return [named.get(int(part.members[0]), part) for part in parts]

    def _is_row(self, part: Part) -> bool:
        """Whether teeth are a whole row of them."""
        mouth = self.plan.mouth
        return mouth is not None and float(np.ptp(self.points[part.members, 0])) > _ROW * mouth.width

    def _teller(self, number: int) -> str:
        return "user" if number in self.pieces.said else "name" if number in self.pieces.named else "form"

    def _part(self, kind: str, members: NDArray, center: NDArray, told_by: str) -> Part:
        title = self.pieces.title(int(self.pieces.label[members[0]]))
        follows = _movement(kind, self.points[members], self.plan)
        return Part(kind, members, follows, center, title, told_by)


def _movement(kind: str, cloud: NDArray, plan: FacePlan) -> Follow | None:
    """How a kind of piece follows a face; None for what moves with the skin next to it."""
    if kind in FOLLOWS_SKIN or kind == "skin":
        return None
    if kind in WITH_HEAD:
        return with_head
    if kind in ("lower teeth", "tongue", "gums", "teeth") and plan.mouth is not None:
        jaw = jaw_region(plan.template.vertices, plan.mouth)
        both = kind in ("gums", "teeth")
        return with_jaw(jaw, _share(cloud, plan.mouth) if both else np.ones(len(cloud)))
    return still


def _share(cloud: NDArray, mouth: Opening) -> NDArray[np.float64]:
    """(n,) how much gums move with the jaw: nothing above the line of the mouth, all below it."""
    return np.clip(0.5 - (cloud[:, 1] - mouth.center[1]) / (2 * _SPAN * mouth.width), 0, 1)


def _own(members: NDArray, fins: NDArray) -> NDArray:
    """The vertices of a piece without fins that stand on it; all of what is nothing else."""
    own = members[~fins[members]]
    return own if len(own) else members


def eyeballs(parts: list[Part], points: NDArray, fins: NDArray) -> list[Ball]:
    """The eyeballs of a head; irises and other pieces inside one are left out.

    Args:
        parts: The pieces of the head.
        points: (V, 3) float, millimeters.
        fins: (V,) bool. Vertices that stand on pieces.
    """
    found: list[Ball] = []
    for part in parts:
        if part.kind == "eye":
            members = _own(part.members, fins)
            cloud = points[members] - part.center
            radius = sphere_radius(points[members], part.center)
            if all(np.linalg.norm(part.center - other.center) > 0.5 * other.radius for other in found):
                found.append(Ball(part.center, radius, cloud))
    return found
