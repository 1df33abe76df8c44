"""Carries what a registered template does to the mesh that it was registered to, every vertex of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from mien.geometry.attachment import Attachment, attached, lies_on_pocket, pocket_is_laid
from mien.geometry.carried import MovedSurface, check_carried
from mien.geometry.contact import (
    Eye,
    Lips,
    Meets,
    as_far_as_open,
    find_eyes,
    find_lips,
    lids_closed,
    shut_eyes,
)
from mien.geometry.correctives import lids_halfway, turned_with_jaw
from mien.geometry.cover import Cover
from mien.geometry.defects import Defects
from mien.geometry.differential import cotangent_laplacian, vertex_areas, vertex_normals
from mien.geometry.eyeballs import turned
from mien.geometry.following import with_head
from mien.geometry.lid_pieces import LidPiece, lid_pieces
from mien.geometry.mouth_inside import MouthInside, find_mouth_inside
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.openings import Opening, edge_lengths, openings
from mien.geometry.overshoot import flung, held, holding
from mien.geometry.parts import Part, eyeballs, find_parts
from mien.geometry.slit_sides import without_strays
from mien.geometry.sparse_solver import factored
from mien.geometry.surface import Places, Surface, welded
from mien.geometry.tongue import JAW_BELOW_TONGUE, depth_in_tongue, lips_of, put_out
from mien.topology import Topology

_THINNEST = 0.02  # sine of a triangle's angle: what is thinner counts as if it were that
_SPREAD_MM = 30.0  # above this scale what lies beyond the template stretches rather than bends
_LID_REACH = 1.7  # radii of an eyeball within which skin is lids, which slide over it
_LOOSE = 1.35  # times as far as anything on the template: more is no continuation of what moves there
_FIN = 4.0  # and so much more is nothing that necks and scalps do
_WRONG_MM = 2.0  # and on the wrong side of it from here on
_LABELED = 0.2  # of the label of a side, from -1 to 1: nearer to zero nothing is told


class Carrier:
    """Displacements of a registered template, as displacements of a user's mesh.

    A vertex of the skin takes the displacement of the closest place of the template that faces the same way
    and lies on the same side of lips and lids. Which side it is on is told along the mesh itself: from
    places that are clearly on one side the label spreads over the mesh, which is cut where lips part. The
    displacements are then made smooth (they come from a coarser mesh), and go on beyond the template:

        min_d  sum_i a_i c_i |d_i - d_i(template)|^2 + s [ |laplacian d|^2 + |gradient d|^2 / r^2 ]

    with areas a, beliefs c (0 beyond the template, pinned to rest far from it). Inside lips, lids and
    nostrils, where the template ends, the skin around holds what lies there, such as the bag of the mouth:
    what bends least would go on in there with the slope of the lips. All of this is linear and factorized
    once. Eyeballs, teeth and what else is in pieces of its own follow as :mod:`parts` says.

    Args:
        vertices: (N, 3) float, millimeters, in the template's frame.
        faces: (F, 3) int.
        registered: (V, 3) float, millimeters. The template, aligned to the mesh.
        topology: The template's.
        skin: (N,) bool. The pieces of the mesh that the template was aligned to.
        pieces: Of the mesh.
    """

    def __init__(
        self, vertices: NDArray, faces: NDArray, registered: NDArray, topology: Topology, skin: NDArray,
        pieces: NamedPieces,
    ) -> None:  # fmt: skip
        self.registered, self.topology = np.asarray(registered, np.float64), topology
        self._place = welded(np.asarray(vertices, np.float32))
        _, first = np.unique(self._place, return_index=True)
        self._points = np.asarray(vertices, np.float64)[first]
        every = _proper(self._place[np.asarray(faces, np.int64)])
        self._skin = np.asarray(skin, bool)[first]
        stray = ~self._skin  # vertices of no triangle; a point scan is all skin
        stray[every] = False
        self.stray = stray[self._place]
        welded_pieces = replace(pieces, label=np.where(stray, -1, pieces.label[first]))
        defects = Defects.of(self._points, every, self._skin)
        self._faces = every[defects.sound(every)]
        self.parts: list[Part] = find_parts(
            self._points, self._skin, welded_pieces, self.registered, topology, defects.fins
        )
        self._balls = eyeballs(self.parts, self._points, defects.fins)
        self._edges = edge_lengths(self._faces, self._points).max(axis=1).toarray().ravel()
        bound = _bound(self.parts, len(first))
        lies, inside, is_told = self._laid(bound)
        self._sides = lies.sides
        self._solve = _skin_map(self._points, self._faces, self._skin | bound, lies)
        flight = flung(self._solve, self.registered)
        self.loose, self.fins = (flight > _LOOSE) | defects.held, flight > _FIN
        around = defects.around(every, len(first))
        if (calmed := self.loose | lies.inner).any():
            self._solve = held(self._solve, calmed, around)
        self._hold = holding(defects.held & (self._skin | bound), around)
        self._inside = None if is_told else inside
        self._covers = self._behind_chin(self._faces, lies, defects.fins, inside)

    def carry(
        self, moved: NDArray, gaze: NDArray | None = None, meets: Meets | None = None
    ) -> NDArray[np.float64]:
        """(..., N, 3) displacements of the mesh when the template is elsewhere, millimeters.

        Args:
            moved: (..., V, 3) float, millimeters.
            gaze: (..., 2, 2) degrees or None. How far the left and the right eyeball (the person's own)
                turn to the left, and up.
            meets: Of (B, V, 3) movements, in which of them lids or lips close; or None.
        """
        moved = np.asarray(moved, np.float64)
        lead = moved.shape[:-2]
        change = (moved - self.registered).reshape(-1, *self.registered.shape)
        columns = change.transpose(1, 0, 2).reshape(len(self.registered), -1)
        carried = self._solve(columns).reshape(len(self._points), -1, 3).transpose(1, 0, 2)
        if self._inside is not None:
            moves = self._inside.moved(carried, self._points, self.registered, change)
            carried[:, self._inside.members] = moves
        for ball in self._balls:
            offset = np.linalg.norm(self._points - ball.center, axis=1)
            near = self._skin & (offset < _LID_REACH * ball.radius)
            carried[:, near] = ball.slid_over(self._points[near], carried[:, near], self._edges[near])
        self._check(self._hold(carried), change)
        if meets is not None:
            carried = self.settled(carried, meets)
        carried = self._with_lids(carried)
        rigid = [part.members for part in self.parts if part.follows is with_head]
        if rigid:  # together: how the head moves is found once for all of them
            members = np.concatenate(rigid)
            carried[:, members] = with_head(self._points[members], self.registered, change)
        for number, part in enumerate(self.parts):
            if part.follows is not None and part.follows is not with_head:
                moves = part.follows(self._points[part.members], self.registered, change)
                cover = self._covers.get(number)
                carried[:, part.members] = moves if cover is None else cover.drawn_back(moves, carried)
            if part.kind == "eye" and gaze is not None:
                side = int(part.center[0] < np.median(self.registered[:, 0]))  # +X is the person's left
                turns = np.broadcast_to(gaze, (*lead, 2, 2)).reshape(-1, 2, 2)[:, side]
                carried[:, part.members] = turned(self._points[part.members], part.center, turns)
        if meets is not None and meets.tongue is not None and len(self.tongue):
            carried[meets.tongue, self.tongue] += self._tongue_out(carried, change, meets.jaw)
        carried = self._hold(carried)
        return carried[:, self._place].reshape(*lead, len(self._place), 3)

    def _tongue_out(self, carried: NDArray, change: NDArray, jaw: int | None) -> NDArray[np.float64]:
        """(t, 3) what puts the tongue out, between the lips that the movement of the jaw parts."""
        mouth, cloud = self._mouth, self._points[self.tongue]
        assert mouth is not None
        if jaw is None:
            return put_out(cloud, mouth)
        open_face = self.registered + JAW_BELOW_TONGUE * change[jaw]
        return put_out(cloud, mouth, lips_of(open_face, mouth), JAW_BELOW_TONGUE * carried[jaw, self.tongue])

    def settled(self, carried: NDArray, meets: Meets) -> NDArray[np.float64]:
        """(B, M, 3) movements of the welded mesh, millimeters, in which what should meet does.

        Args:
            carried: (B, M, 3) float, millimeters.
            meets: What should meet.
        """
        bound = _bound(self.parts, len(self._points))
        left = self._points[:, 0] > np.median(self.registered[:, 0])  # +X is the person's left
        carried = as_far_as_open(carried, left, meets, self.eyes, self.shut)
        carried = lids_closed(self.eyes, carried, meets, self._edges, bound)
        if meets.jaw is None or meets.lips is None:
            return carried
        lips = self.lips(carried[meets.jaw])
        if lips is not None:
            carried[meets.lips] += lips.closed(carried[meets.jaw] + carried[meets.lips])
        return carried

    def halfway(self, blink: NDArray, side: NDArray, part: float) -> NDArray[np.float64]:
        """(M, 3) millimeters to be added part of the way through a blink: lids go over the eyeball.

        Args:
            blink: (M, 3) float, millimeters. Displacements of the welded mesh at the blink's full weight.
            side: (2,) bool. Which eyes close: the person's left, the right.
            part: Of the way, 0 to 1.
        """
        more = lids_halfway(self.eyes, blink, self._edges, side, part)
        return self._with_lids((part * blink + more)[None])[0] - part * blink

    def on_open_jaw(self, jaw_open: NDArray, other: NDArray, closes: bool) -> NDArray[np.float64]:
        """(M, 3) millimeters to be added to a movement on a dropped jaw: it turns with the jaw's skin.

        Args:
            jaw_open: (M, 3) float, millimeters. Displacements of the welded mesh that drop the jaw.
            other: (M, 3) float, millimeters. The movement.
            closes: The lips lie as at rest then.
        """
        more = turned_with_jaw(self._points, jaw_open, other)
        more[~(self._skin | _bound(self.parts, len(self._points)))] = 0.0
        lips = self.lips(jaw_open) if closes else None
        if lips is not None:
            more += lips.closed(jaw_open + other + more)
        return more

    def spread(self, values: NDArray) -> NDArray:
        """(..., N, 3) of values (..., M, 3) of the welded mesh, at its vertices as they came."""
        return values[..., self._place, :]

    def places_of_template(self, placed: NDArray, faces: NDArray) -> Places:
        """Where the template's vertices lie on the mesh, each on its own side of lips and lids.

        Args:
            placed: (N, 3) float, millimeters. The mesh as it came, in the template's frame.
            faces: (F, 3) int. Those of its triangles that count.
        """
        normals = vertex_normals(self.registered, self.topology.faces)
        found = Surface(placed, faces, toward=np.array([0.0, 0.0, 1.0])).located(self.registered, normals)
        if not len(faces):
            return found
        for slit, sign in product(self._sides, (1.0, -1.0)):
            label = sign * slit.label[self._place]
            lies = (found.weights * label[found.corners]).sum(axis=1)
            chosen = np.flatnonzero(slit.near & (sign * slit.lead > _WRONG_MM) & (lies < -_LABELED))
            triangles = (label[faces] > _LABELED).all(axis=1)
            if len(chosen) and triangles.any():
                part = Surface(placed, faces[triangles]).located(self.registered[chosen], normals[chosen])
                found.corners[chosen], found.weights[chosen] = part.corners, part.weights
        return Places(found.corners, found.weights, found.surface)

    def read_back(self, change: NDArray, places: Places) -> NDArray[np.float64]:
        """(..., V, 3) what the template does when it is moved by the places where it lies on the mesh.

        Args:
            change: (..., N, 3) float, millimeters. Displacements of the mesh.
            places: Of the template, see :meth:`places_of_template`.
        """
        moved = np.einsum("nk,...nkc->...nc", places.weights, change[..., places.corners, :])
        return without_strays(moved, self.topology.faces, self._sides)

    def lips(self, jaw_open: NDArray) -> Lips | None:
        """The lips of the welded mesh, by displacements (M, 3) in millimeters that drop its jaw."""
        mouth = self._mouth
        return None if mouth is None else find_lips(self.points, self.skin, jaw_open, mouth)

    @cached_property
    def _mouth(self) -> Opening | None:
        return next((slit for slit in self._slits if slit.kind == "mouth"), None)

    @cached_property
    def tongue(self) -> NDArray[np.int64]:
        """(t,) vertices of the welded mesh's tongue; none without one, or where the mouth is not known."""
        tongues = [part.members for part in self.parts if part.kind == "tongue" and self._mouth is not None]
        return np.concatenate([np.zeros(0, np.int64), *tongues])

    def tongue_through(self, jaw_open: NDArray, out: NDArray) -> tuple[float, float] | None:
        """How far the tongue comes out over the lower lip, and how deep lips lie in it, millimeters.

        Args:
            jaw_open: (M, 3) float, millimeters. Displacements of the welded mesh that drop the jaw.
            out: (M, 3) float, millimeters. Those that put the tongue out.
        """
        lips = self.lips(jaw_open)
        if lips is None or not len(self.tongue):
            return None
        there = self._points + JAW_BELOW_TONGUE * jaw_open + out
        is_tongue = np.isin(self._faces, self.tongue).all(axis=1)
        touching = there[np.concatenate([lips.upper, lips.lower])]
        inside = depth_in_tongue(touching, there, self._faces[is_tongue])
        return float(there[self.tongue, 2].max() - there[lips.lower, 2].max()), inside

    @property
    def points(self) -> NDArray[np.float64]:
        """(M, 3) float64, millimeters: the welded mesh in the template's frame."""
        return self._points

    @property
    def skin(self) -> NDArray[np.bool_]:
        """(M,) bool: its skin."""
        return self._skin

    @property
    def skin_faces(self) -> NDArray[np.int64]:
        """(F, 3) the triangles of the welded mesh's skin."""
        return self._faces[self._skin[self._faces].all(axis=1)]

    def welded(self, values: NDArray) -> NDArray:
        """(..., M, 3) of values (..., N, 3) at the vertices of the mesh as it came."""
        return values[..., np.unique(self._place, return_index=True)[1], :]

    def unwelded(self, values: NDArray) -> NDArray:
        """(N, ...) of values (M, ...) of the welded mesh: at the vertices of the mesh as it came."""
        return values[self._place]

    @cached_property
    def _slits(self) -> list[Opening]:
        return [slit.on(self.registered) for slit in openings(self.topology)]

    @cached_property
    def eyes(self) -> list[Eye]:
        """The eyes of the mesh whose lids stand open at rest."""
        return find_eyes(self._points, self.skin_faces, self.registered, self._slits, self._balls)

    @cached_property
    def _lid_pieces(self) -> list[LidPiece]:
        pieces = [(part.kind, part.members) for part in self.parts]
        return lid_pieces(self._points, self._skin, self.eyes, pieces)

    def _with_lids(self, carried: NDArray) -> NDArray[np.float64]:
        """(B, M, 3) movements of the welded mesh in which lashes and films of tears go with the lids."""
        for piece in self._lid_pieces:
            carried[:, piece.members] = piece.moved(carried)
        return carried

    @cached_property
    def shut(self) -> tuple[int, ...]:
        """The eyes that are closed at rest: 0 for the person's left one, 1 for the right one."""
        return shut_eyes(self.registered, self._slits, self.eyes)

    def _laid(self, bound: NDArray) -> tuple[Attachment, MouthInside | None, bool]:
        """The mesh, with bound pieces (M,), on the template; the inside of its mouth, and whether a pocket of
        the template tells how that moves.
        """
        given = (self._points, self._faces, self._skin, bound, self.registered, self.topology)
        lies = attached(*given)
        inside = self._behind_lips(self._faces, lies)
        if inside is not None and pocket_is_laid(self.registered, self.topology):
            whole = attached(*given, with_pocket=True)
            if lies_on_pocket(whole, inside.members):
                return whole, inside, True
        return lies, inside, False

    def _behind_lips(self, faces: NDArray, lies: Attachment) -> MouthInside | None:
        """The inside of the mouth, of the mesh's sound triangles (F, 3)."""
        mouth = self._mouth
        if mouth is None:
            return None
        return find_mouth_inside(
            self._points,
            faces[self._skin[faces].all(axis=1)],
            lies.inner,
            lies.at_lips,
            lies.above,
            self.registered,
            mouth,
        )

    def _behind_chin(
        self, faces: NDArray, lies: Attachment, fins: NDArray, inside: MouthInside | None
    ) -> dict[int, Cover]:
        """Number of a part -> the skin before it, for teeth that turn with the jaw."""
        seen, lips = self._skin & ~lies.inner, np.flatnonzero(lies.at_lips & self._skin)
        if inside is not None:
            seen[inside.members] = False
            lips = np.union1d(*(side.lip for side in inside.sides))
        teeth = [number for number, part in enumerate(self.parts) if part.kind == "lower teeth"]
        if not teeth or not len(lips):
            return {}
        skin = faces[seen[faces].all(axis=1)]
        covers = {}
        for number in teeth:
            members = self.parts[number].members
            own = np.flatnonzero(~fins[members])
            cover = Cover.of(self._points, skin, members[own], lips)
            covers[number] = replace(cover, rows=own[cover.rows])
        return covers

    def _check(self, carried: NDArray, change: NDArray) -> None:
        """Refuses what the skin and what follows it do where the model does not."""
        rows, mesh = self._following
        model = MovedSurface(self.registered, self.topology.faces)
        check_carried(mesh, carried[:, rows], model, change, self.topology)

    @cached_property
    def _following(self) -> tuple[NDArray[np.int64], MovedSurface]:
        """The vertices of the skin and of what follows it, and their surface."""
        mask = self._skin | _bound(self.parts, len(self._points))
        number = np.cumsum(mask) - 1
        return np.flatnonzero(mask), MovedSurface(
            self._points[mask], number[self._faces[mask[self._faces].all(axis=1)]]
        )


def _proper(faces: NDArray) -> NDArray[np.int64]:
    """Triangles without those that welding has collapsed."""
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return faces[distinct]


def _bound(parts: list[Part], count: int) -> NDArray[np.bool_]:
    """Vertices of pieces that move with the skin next to them."""
    mask = np.zeros(count, bool)
    for part in parts:
        if part.follows is None:
            mask[part.members] = True
    return mask


def _skin_map(
    points: NDArray, faces: NDArray, moving: NDArray, lies: Attachment
) -> Callable[[NDArray], NDArray[np.float64]]:
    """A function from (V, n) values on the template to (M, n) values on the mesh."""
    areas = np.maximum(vertex_areas(points, faces), 1e-12) if len(faces) else np.ones(len(points))
    areas = np.maximum(areas, 0.02 * np.median(areas[areas > 1e-12]) if (areas > 1e-12).any() else 1.0)
    rows = np.flatnonzero(moving & ~lies.far)
    energy = _stretch(points, faces, areas)
    weight = areas * lies.belief
    # A vertex alone, or a piece that nothing is believed of, stays at rest.
    system = (diags(weight) + energy + 1e-7 * diags(areas)).tocsr()[rows][:, rows]
    factor = factored(system)
    pulls = diags(weight) @ lies.weights

    def carried(values: NDArray) -> NDArray:
        result = np.zeros((len(points), values.shape[1]))
        result[rows] = factor.solve((pulls @ values)[rows])
        return result

    return carried


def _stretch(points: NDArray, faces: NDArray, areas: NDArray) -> csr_matrix:
    """(M, M) the energy of bending, and of stretching over long ways, in units of squared displacement."""
    edges = edge_lengths(faces, points)
    if not edges.nnz:
        return csr_matrix((len(points), len(points)))
    laplacian = cotangent_laplacian(points, faces, smallest_sine=_THINNEST)
    bending = laplacian.T @ diags(1 / areas) @ laplacian
    return (bending + laplacian / _SPREAD_MM**2).tocsr()
