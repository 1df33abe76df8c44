"""PCA blendshapes moved by an LSTM: the baseline of Potamias et al. (ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import UnknownName
from mien.models.base import Reference
from mien.models.motion import MotionModel
from mien.nn.principal import principal_axes
from mien.topology import Topology

UNITS = ("deviation", "largest")


class PcaLSTM(MotionModel):
    """The signal's LSTM code is the coefficients of the principal axes of displaced frames.

    Reference: R. A. Potamias, J. Zheng, S. Ploumpis, G. Bouritsas, E. Ververas, S. Zafeiriou. Learning to
    Generate Customized Dynamic 3D Facial Expressions. ECCV 2020, section 5.2, "Baseline".

    Equations, with principal axes U of the displacements of all training frames, and r the unit of a
    coefficient along each axis::

        z_t = LSTM(e_1 .. e_t),   x^_t = x_id + U (r z_t)

    Departures:
        - z_t lies between -1 and 1, and the publication does not say in which unit it is coefficients.
          With ``unit="deviation"`` it is the standard deviation of the training frames along the axis: the
          plain reading, under which strong frames cannot be reached and the baseline fails as the
          publication says it does. With ``unit="largest"`` it is the largest coefficient of a training
          frame, so that every frame can be reached: a repaired, stronger baseline. ``readout`` puts a
          learned linear map between z_t and the coefficients: more than the baseline has, too.
        - The axes are measured from no displacement instead of the mean one: rest is rest.
        - Everything else is shared with :class:`mien.models.expression_lstm.ExpressionLSTM`.

    Args:
        topology: What all faces share.
        expressions: E expression names, the rows of the signal.
        size: Numbers in z_t, and principal axes.
        readout: A learned linear map from z_t to coefficients.
        unit: ``deviation`` or ``largest``: what a coefficient of 1 stands for. A readout, or a perceptron of
            ``identity_size``, has its own scale.
        signal_scale: ``paper``, ``proportional`` or ``off``.
        identity_size: Principal coefficients of the neutral; a perceptron joins both. 0: none.
        wide_start: The LSTM starts with weights of the signal of deviation 0.5 and orthogonal ones of the
            state, instead of PyTorch's small uniform ones.

    Example:
        >>> model = mien.load_model("runs/pca")
        >>> signal = mien.curves(model.expressions, {"happy": 0.8}, onset=0.2, apex=0.7, offset=1.6)
        >>> frames = mien.animate(model, neutral, signal)                # (T, V, 3) millimeters
    """

    name = "pca_lstm"
    native: ClassVar[frozenset[str]] = frozenset({"animate", "interpolate"})
    reference = Reference(
        "potamias2020learning",
        "Potamias, Rolandos Alexandros and Zheng, Jiali and Ploumpis, Stylianos and Bouritsas, Giorgos and "
        "Ververas, Evangelos and Zafeiriou, Stefanos",
        "Learning to Generate Customized Dynamic 3D Facial Expressions",
        "European Conference on Computer Vision", 2020, "https://arxiv.org/abs/2007.09805",
    )  # fmt: skip
    profiles: ClassVar = {
        "smoke": {"steps": 60, "pairs": 2, "batch_size": 8, "rate": 1e-2, "decay_every": 1, "decay": 0.97},
        "standard": {
            "steps": 8000, "pairs": 1, "rate": 3e-3, "decay": 0.5, "decay_every": 1300, "warm_up": 20,
            "weight_decay": 0.0,
        },
        "full": {"wide_start": False},
    }  # fmt: skip

    axes: Tensor
    reach: Tensor

    def __init__(
        self, topology: Topology, expressions: Sequence[str], size: int = 64, readout: bool = False,
        signal_scale: str = "paper", identity_size: int = 0, unit: str = "deviation",
        wide_start: bool = True,
    ) -> None:  # fmt: skip
        if unit not in UNITS:
            raise UnknownName("unit of coefficients", unit, UNITS)
        super().__init__(topology, expressions, size, signal_scale, identity_size, False, wide_start)
        self.register_buffer("axes", torch.zeros(size, topology.vertex_count * 3))
        self.register_buffer("reach", torch.ones(size))
        self.coefficient_unit = unit
        self.readout: nn.Module = nn.Identity()
        if identity_size:
            self.readout = nn.Sequential(
                nn.Linear(size + identity_size, size), nn.ReLU(), nn.Linear(size, size, bias=False)
            )
        elif readout:
            self.readout = nn.Linear(size, size, bias=False)

    def prepare_decoder(self, read: Any, rows: NDArray[np.int64]) -> None:
        """U, and r along each axis."""
        found = principal_axes(read, rows, self.size, centered=False, label="axes of displacements")
        count = len(found.std)
        self.axes.zero_()[:count] = torch.from_numpy(found.axes)
        reach = found.std
        if self.coefficient_unit == "largest" and isinstance(self.readout, nn.Identity):
            flat = found.axes.T
            largest = [np.abs(read(part).reshape(len(part), -1) @ flat).max(axis=0)
                       for part in np.split(rows, range(256, len(rows), 256))]  # fmt: skip
            reach = np.max(largest, axis=0)
        self.reach.fill_(1e-6)[:count] = torch.from_numpy(np.maximum(reach, 1e-6))

    def expand(self, z: Tensor) -> Tensor:
        """U times coefficients."""
        return ((self.readout(z) * self.reach) @ self.axes).unflatten(1, (-1, 3))
