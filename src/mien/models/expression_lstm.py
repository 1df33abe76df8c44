"""Expression LSTM (Potamias, Zheng, Ploumpis, Bouritsas, Ververas and Zafeiriou, ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.models.base import Reference
from mien.models.motion import MotionModel
from mien.nn.spiral import SpiralConvolution, SpiralLevels, SpiralOperator
from mien.topology import Topology

CHANNELS = (64, 32, 16, 8, 3)


class ExpressionLSTM(MotionModel):
    """Moves one neutral face by a signal: which expression, how strong, and when onset, apex and offset are.

    Reference: R. A. Potamias, J. Zheng, S. Ploumpis, G. Bouritsas, E. Ververas, S. Zafeiriou. Learning to
    Generate Customized Dynamic 3D Facial Expressions. ECCV 2020 (arXiv:2007.09805).

    Equations (e_t the signal: one row an expression, 0 at rest, s_i at the apex, linear ramps; x_id the
    neutral; eq. 4 to 6)::

        z_t = LSTM(e_1 .. e_t),   x^_t = x_id + D(z_t)
        D: linear 64 -> V_4 x 64, then four times up-sampling, spiral convolution, ReLU (none after the last),
           channels 32, 16, 8, 3; level sizes V_{k+1} = ceil(V_k / 5)
        L = |x^_t - x_t|_1 + |(x^_t - x^_{t-1}) - (x_t - x_{t-1})|_1
        s_i = (clip((m_i - mu_e) / sigma_e, -1, 1) + 1) / 2, held to [0.1, 1]

    Departures:
        - x^_t = x_id + D(z_t) - D(0) and an LSTM without bias: no signal leaves the neutral exactly as given.
        - Up-sampling stands before the convolution (Table 1; the text says after, which fits no shape), and
          the last convolution has no ReLU (the text gives it one), as displacements are signed.
        - s_i is at least 0.1: eq. 6 gives 0 for mild sequences and would pair motion with no signal. m_i is
          the mean over apex frames, as over all frames it would depend on how long the apex lasts.
          ``signal_scale="proportional"`` makes half the signal ask for half the motion.
        - The losses may look at random pairs of neighboring frames instead of all (``pairs``), weighted so
          that the expected loss is the same.
        - The smoke and standard profiles start with wider weights of the LSTM (``wide_start``); the standard
          one trains the decoder by Muon. Both are for a shorter training.
        - ``identity_size`` joins principal coefficients of x_id to z_t: the paper's own model does not know
          whom it moves, and names that as its limit.

    Args:
        topology: What all faces share.
        expressions: E expression names, the rows of the signal.
        size: Numbers in z_t.
        factors: How much smaller each level is than the one before. The publication's four fives leave 46 of
            28,431 vertices; smaller meshes take smaller factors to keep about as many.
        length: Entries of a spiral on the levels 0 to 4: mean + 2 deviations of the ring sizes, two rings
            with every second vertex on the two finest, one ring below.
        dilation: Takes every dilation-th vertex of a longer spiral, by level.
        coarsest: Vertices of the last level; None: found from the topology.
        signal_scale: ``paper``, ``proportional`` or ``off`` (ablation: all s_i = 1).
        identity_size: Principal coefficients of the neutral beside z_t; 0 is the publication's model.
        per_vertex: Divide displacements by each vertex's deviation instead of one for all.
        wide_start: The LSTM starts with weights of the signal of deviation 0.5 and orthogonal ones of the
            state, instead of PyTorch's small uniform ones.

    Example:
        >>> model = mien.load_model("runs/lstm")
        >>> signal = mien.curves(model.expressions, {"happy": 0.8}, onset=0.2, apex=0.7, offset=1.6)
        >>> frames = mien.animate(model, neutral, signal)                # (T, V, 3) millimeters
    """

    name = "expression_lstm"
    native: ClassVar[frozenset[str]] = frozenset({"animate", "interpolate"})
    reference = Reference(
        "potamias2020learning",
        "Potamias, Rolandos Alexandros and Zheng, Jiali and Ploumpis, Stylianos and Bouritsas, Giorgos and "
        "Ververas, Evangelos and Zafeiriou, Stefanos",
        "Learning to Generate Customized Dynamic 3D Facial Expressions",
        "European Conference on Computer Vision", 2020, "https://arxiv.org/abs/2007.09805",
    )  # fmt: skip
    profiles: ClassVar = {
        "smoke": {"steps": 60, "pairs": 2, "batch_size": 8, "rate": 4e-3, "decay_every": 1, "decay": 0.97},
        "standard": {
            "steps": 8000, "pairs": 1, "rate": 3e-3, "decay": 0.5, "decay_every": 1300, "warm_up": 20,
            "weight_decay": 0.0, "optimizer": "muon",
        },
        "full": {"wide_start": False},
    }  # fmt: skip

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        size: int = 64,
        factors: Sequence[int] = (5, 5, 5, 5),
        length: Sequence[int] = (14, 14, 9, 9, 9),
        dilation: Sequence[int] = (2, 2, 1, 1, 1),
        coarsest: int | None = None,
        signal_scale: str = "paper",
        identity_size: int = 0,
        per_vertex: bool = False,
        wide_start: bool = True,
    ) -> None:
        super().__init__(topology, expressions, size, signal_scale, identity_size, per_vertex, wide_start)
        count = len(factors) + 1
        factors = self.fitting_factors(factors, coarsest)
        self.levels = SpiralLevels(factors, tuple(length)[:count], tuple(dilation)[:count], only_up=True)
        self.coarsest = self.coarsest_level(coarsest, self.levels.factors)
        channels = CHANNELS[-count:]
        self.raised = nn.Linear(size + identity_size, self.coarsest * channels[0])
        pairs = zip(channels, channels[1:], reversed(self.levels.lengths[:-1]), strict=False)
        self.up = nn.ModuleList(SpiralConvolution(a, b, entries) for a, b, entries in pairs)

    def prepare(self, data: FaceDataset) -> None:
        """Spirals and hierarchy, and what all motion models measure."""
        self.levels.build(self.topology)
        super().prepare(data)

    def sizes(self) -> list[tuple[int, int]]:
        """Shapes (V_k, channels) of Table 1, from the linear layer to the displacement."""
        shapes = [(self.coarsest, self.raised.out_features // self.coarsest)]
        for number, convolution in enumerate(self.up):
            operator = cast(SpiralOperator, self.levels.up[len(self.up) - 1 - number])
            shapes.append((operator.spread.shape[0], len(cast(SpiralConvolution, convolution).weight)))
        return shapes

    def expand(self, z: Tensor) -> Tensor:
        """D up to its constant: Table 1 of the publication."""
        x = self.raised(z).unflatten(1, (self.coarsest, -1))
        for number, convolution in enumerate(self.up):
            level = len(self.up) - 1 - number
            x = convolution(x if number == 0 else functional.relu(x), self.levels.up[level])
        return x
