"""FLAME (Li, Bolkart, Black, Li and Romero, 2017): the licensed head model, fitted by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.func import jacfwd

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.statistics import vertex_statistics
from mien.errors import BadFile, BadSetting, DataMissing, WrongTopology
from mien.geometry.procrustes import procrustes
from mien.models.base import FaceModel, Reference
from mien.npz import read_npz
from mien.topology import Topology

JOINTS = 5  # neck root, neck, jaw and both eyes
SHAPES = 300  # axes of the file that are shape; those after it are expression
METER = 1000.0
MEASURED = 400  # scans whose codes are measured: each is a fit of its own
VERTICES_AT_ONCE = 20_000  # in a fit, whose derivatives are hundreds of heads a scan
DAMPING = 1e-4  # of the first step of a fit, as a share of the mean curvature
_HOW = (
    "apply for the model at flame.is.tue.mpg.de, save its arrays with numpy.savez, and name the file with "
    "--set file=FLAME.npz"
)


class FLAME(FaceModel):
    """A head of linear shape and expression axes, turned at five joints, in the topology of its own file.

    Reference: T. Li, T. Bolkart, M. J. Black, H. Li, J. Romero. Learning a model of facial shape and
    expression from 4D scans. SIGGRAPH Asia 2017.

    Equations (T the template, S, E and P the axes of shape, expression and pose, J the joints, W the skin)::

        x = W(T + S beta + E psi + P (R(theta) - I), J(beta, psi), theta) + t
        beta, psi, theta, t = argmin ||x - scan||^2 + ridge (||beta||^2 + ||psi||^2) + turning ||theta||^2

    beta is identity; psi, theta and t are expression. The neutral has psi, theta and t zero.

    Departures:
        - The fit is to corresponding vertices, so no landmarks come first: Levenberg and Marquardt start
          from the template, laid rigidly onto the mean of the training scans.
        - Nothing is learned from the data but that place: FLAME saw other people, and knows no names of
          expressions until they are measured.

    Args:
        topology: What all faces share: that of the file.
        expressions: E expression names.
        file: The user's own copy as ``.npz``: ``v_template``, ``shapedirs``, ``posedirs``, ``J_regressor``,
            ``weights`` and ``kintree_table``, in meters. Without it there is no FLAME.
        identity_size: Axes of shape.
        expression_size: Axes of expression; theta and t add 18 numbers to the code.
        ridge: Weight of the squared axes in square millimeters, summed over all coordinates.
        turning: Weight of squared radians, likewise.
        rounds: Steps of the fit.

    Example:
        >>> model = FLAME(data.topology, data.expressions, file="FLAME2020.npz")
        >>> model.prepare(data.split("train"))
        >>> model.calibrate(data.split("train"))
        >>> neutral = model.neutral_face(model.encode(faces))
    """

    name: ClassVar[str] = "flame"
    needs_neutrals: ClassVar[bool] = False
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "neutralize", "transfer", "generate", "fit"))
    refused: ClassVar = {"export": "its license does not let files with its axes be passed on"}
    reference: ClassVar[Reference] = Reference(
        "li2017flame", "Li, Tianye and Bolkart, Timo and Black, Michael J. and Li, Hao and Romero, Javier",
        "Learning a model of facial shape and expression from 4D scans",
        "ACM Transactions on Graphics (SIGGRAPH Asia)", 2017, "https://flame.is.tue.mpg.de",
    )  # fmt: skip

    template: Tensor
    shape_axes: Tensor
    expression_axes: Tensor
    pose_axes: Tensor
    regressor: Tensor
    skin: Tensor
    parents: Tensor
    turn: Tensor
    place: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        file: str | None = None,
        identity_size: int = 100,
        expression_size: int = 50,
        ridge: float = 0.1,
        turning: float = 1.0,
        rounds: int = 8,
    ) -> None:
        super().__init__(topology, expressions)
        if min(ridge, turning) <= 0:
            raise BadSetting("ridge and turning must be positive", received=f"{ridge}, {turning}")
        self.file, self.sizes = file, (identity_size, expression_size)
        self.ridge, self.turning, self.rounds = ridge, turning, rounds
        count = topology.vertex_count
        self.register_buffer("template", torch.from_numpy(topology.template.copy()))
        self.register_buffer("shape_axes", torch.zeros(0, count, 3))
        self.register_buffer("expression_axes", torch.zeros(0, count, 3))
        self.register_buffer("pose_axes", torch.zeros(9 * (JOINTS - 1), count, 3))
        self.register_buffer("regressor", torch.zeros(JOINTS, count))
        self.register_buffer("skin", torch.zeros(count, JOINTS))
        self.register_buffer("parents", torch.zeros(JOINTS, dtype=torch.int64))
        self.register_buffer("turn", torch.eye(3))
        self.register_buffer("place", torch.zeros(3))

    def prepare(self, data: FaceDataset) -> None:
        """Reads the file, and lays its template onto the mean of the training scans."""
        self.check_data(data)
        if self.file is None:
            raise DataMissing("FLAME is licensed and no file was given", received="file=None", remedy=_HOW)
        arrays = flame_arrays(self.file, self.topology.vertex_count)
        axes = METER * np.moveaxis(arrays["shapedirs"], 2, 0)
        split = min(SHAPES, len(axes))
        found = {
            "template": METER * arrays["v_template"],
            "shape_axes": axes[: min(split, self.sizes[0])],
            "expression_axes": axes[split : split + self.sizes[1]],
            "pose_axes": METER * np.moveaxis(arrays["posedirs"], 2, 0),
            "regressor": arrays["J_regressor"], "skin": arrays["weights"],
        }  # fmt: skip
        there = procrustes(found["template"], vertex_statistics(data)[0])
        found |= {"turn": there.rotation, "place": there.translation}
        for name, value in found.items():
            setattr(self, name, torch.from_numpy(np.ascontiguousarray(value, np.float32)).to(self.device))
        parents = np.maximum(arrays["kintree_table"][0].astype(np.int64), 0)
        self.parents = torch.from_numpy(np.where(parents < JOINTS, parents, 0)).to(self.device)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Each scan is fitted on its own; ``neutral`` is not used."""
        few = max(1, VERTICES_AT_ONCE // vertices.shape[1])
        with torch.no_grad():
            found = torch.cat([self._fitted(scans) for scans in vertices.split(few)])
        return Codes(*found.split([len(self.shape_axes), found.shape[1] - len(self.shape_axes)], dim=1))

    def decode(self, codes: Codes) -> Tensor:
        return torch.vmap(self._head)(torch.cat([codes.identity, codes.expression], dim=1))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """beta, psi ~ N(0, I), upright and at rest in all joints."""
        people, shown = len(self.shape_axes), len(self.expression_axes)
        device = generator.device if generator else self.device
        drawn = torch.randn(count, people + shown, generator=generator, device=device).to(self.device)
        still = drawn.new_zeros(count, self._numbers - people - shown)
        return Codes(drawn[:, :people], torch.cat([drawn[:, people:], still], dim=1))

    def calibrate(self, data: FaceDataset) -> None:
        """Rest is psi, theta and t zero; every measured scan is a fit of its own, so not all are."""
        self.measure_codes(data, limit=MEASURED)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)

    # ---- the head as a function of all its numbers, and its fit

    @property
    def _numbers(self) -> int:
        return len(self.shape_axes) + len(self.expression_axes) + 3 * JOINTS + 3

    def _head(self, numbers: Tensor) -> Tensor:
        """(V, 3) millimeters of (beta, psi, theta, t)."""
        linear = torch.cat([self.shape_axes, self.expression_axes])
        weights, theta, t = numbers.split([len(linear), 3 * JOINTS, 3])
        shaped = self.template + torch.tensordot(weights, linear, dims=1)
        turns = _rotations(theta.view(JOINTS, 3))
        bent = (turns[1:] - torch.eye(3).to(turns)).flatten()
        posed = shaped + torch.tensordot(bent, self.pose_axes, dims=1)
        joints = self.regressor @ shaped
        whole, moved = [turns[0]], [joints[0]]
        for joint in range(1, JOINTS):
            parent = int(self.parents[joint])
            whole.append(whole[parent] @ turns[joint])
            moved.append(moved[parent] + whole[parent] @ (joints[joint] - joints[parent]))
        rotation, origin = torch.stack(whole), torch.stack(moved)
        shift = origin - (rotation @ joints[:, :, None])[:, :, 0]
        blended = torch.einsum("vj,jab->vab", self.skin, rotation)
        skinned = (blended @ posed[:, :, None])[:, :, 0] + self.skin @ shift
        return skinned @ self.turn.T + self.place + t

    def _fitted(self, scans: Tensor) -> Tensor:
        """(B, N) numbers of the heads nearest to scans (B, V, 3), by Levenberg and Marquardt."""
        numbers = scans.new_zeros(len(scans), self._numbers)
        weight = torch.full_like(numbers[0], self.ridge).double()
        weight[-3 * JOINTS - 3 : -3] = self.turning
        weight[-3:] = 1e-6  # millimeters of t are free
        damping = torch.ones_like(numbers[:, :1]).double()
        left = self._left(numbers, scans)
        for _ in range(self.rounds):
            slope = torch.vmap(jacfwd(self._head))(numbers).flatten(1, 2).double()
            normal = slope.mT @ slope
            downhill = (slope.mT @ left[:, :, None])[:, :, 0] - weight * numbers
            curvature = normal.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
            softened = torch.diag_embed(weight + DAMPING * damping * curvature)
            new = numbers + torch.linalg.solve(normal + softened, downhill).to(numbers)
            new_left = self._left(new, scans)
            nearer = _energy(new, new_left, weight) < _energy(numbers, left, weight)
            numbers, left = torch.where(nearer, new, numbers), torch.where(nearer, new_left, left)
            damping = torch.where(nearer, damping / 10, damping * 10)
        return numbers

    def _left(self, numbers: Tensor, scans: Tensor) -> Tensor:
        """(B, 3V) what heads leave of scans."""
        return (scans - torch.vmap(self._head)(numbers)).flatten(1).double()


def _energy(numbers: Tensor, left: Tensor, weight: Tensor) -> Tensor:
    """(B, 1) what the fit minimizes."""
    return (left.square().sum(1) + (weight * numbers.double().square()).sum(1))[:, None]


def _rotations(theta: Tensor) -> Tensor:
    """(J, 3) axis-angle, radians, to (J, 3, 3)."""
    x, y, z = theta.unbind(1)
    zero = torch.zeros_like(x)
    return torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3))


def flame_arrays(path: Path | str, count: int) -> dict[str, NDArray[np.float64]]:
    """The arrays of a FLAME file.

    Args:
        path: The user's ``.npz``.
        count: V, vertices of the topology that it has to have.

    Returns:
        ``v_template`` (V, 3), ``shapedirs`` (V, 3, K), ``posedirs`` (V, 3, 36) in meters, ``J_regressor``
        (5, V), ``weights`` (V, 5), ``kintree_table`` (2, 5) float.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no ``.npz`` of numbers, or an array is absent, of another shape, or not finite.
        WrongTopology: It has other vertices than the data.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("the FLAME file does not exist", received=str(path), remedy=_HOW)
    shapes: dict[str, tuple[int | None, ...]] = {
        "v_template": (None, 3), "shapedirs": (None, 3, None), "posedirs": (None, 3, 9 * (JOINTS - 1)),
        "J_regressor": (JOINTS, None), "weights": (None, JOINTS), "kintree_table": (2, JOINTS),
    }  # fmt: skip
    stored = read_npz(path, "the FLAME model", _HOW, shapes)
    if odd := [name for name, array in stored.items() if array.dtype.kind not in "fiu"]:
        received = f"{odd[0]} of {stored[odd[0]].dtype} in {path}"
        raise BadFile("an array of the FLAME file holds no numbers", received=received, remedy=_HOW)
    arrays = {name: array.astype(np.float64) for name, array in stored.items()}
    for name, wanted in shapes.items():
        shape = arrays[name].shape
        fits = len(shape) == len(wanted) and all(w in (None, n) for w, n in zip(wanted, shape, strict=True))
        if not fits or not np.isfinite(arrays[name]).all():
            raise BadFile(
                f"the array {name!r} of the FLAME file is damaged", received=f"{shape} in {path}", remedy=_HOW
            )
    sizes = {len(arrays[name]) for name in ("v_template", "shapedirs", "posedirs", "weights")}
    if sizes | {arrays["J_regressor"].shape[1]} != {count}:
        raise WrongTopology(
            "the FLAME file and the data set have other vertices", received=f"{max(sizes)} and {count}",
            remedy="use scans in the topology of the file, such as CoMA",
        )  # fmt: skip
    return arrays
