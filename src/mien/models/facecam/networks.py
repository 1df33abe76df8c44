"""The networks of FaceCAM, layer by layer as in the tables of its appendix, and its labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting

SLOPE = 0.2
UNKNOWN = -1


def stack(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with LeakyReLU (and dropout) in between, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE), *dropped(dropout)]
    return nn.Sequential(*layers[: -2 if dropout else -1])


def dropped(share: float) -> list[nn.Module]:
    """A dropout layer, or none."""
    return [nn.Dropout(share)] if share else []


def pair(identity: Sequence[int], expression: Sequence[int]) -> nn.ModuleDict:
    """Two stacks of these sizes, one a factor."""
    return nn.ModuleDict({"identity": stack(identity), "expression": stack(expression)})


class EmbeddingDecoder(nn.Module):
    """Table 2: both embeddings to the numbers of a mesh.

    Args:
        identity: Size of the identity embedding.
        expression: Size of the expression embedding.
        hidden: Widths of the encoders; the decoder has them in reverse.
        output: Numbers of a mesh.
        form: ``joint``, one decoder of both embeddings (figure and code of the authors), or ``split_sum``,
            one decoder each, whose outputs are added (table 2).
    """

    def __init__(
        self, identity: int, expression: int, hidden: Sequence[int], output: int, form: str = "joint"
    ) -> None:
        super().__init__()
        if form not in ("joint", "split_sum"):
            raise BadSetting("unknown form of the decoder", received=form, remedy="use joint or split_sum")
        inputs = [identity + expression] if form == "joint" else [identity, expression]
        self.parts = nn.ModuleList(stack([size, *reversed(hidden), output]) for size in inputs)

    def forward(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, identity), (B, expression) to (B, output)."""
        if len(self.parts) == 1:
            return self.parts[0](torch.cat([identity, expression], dim=1))
        return self.parts[0](identity) + self.parts[1](expression)


class Heads(nn.Module):
    """The class heads of stage I: embeddings to logits of training people and of expression labels."""

    def __init__(self, identity: int, expression: int, people: int, classes: int) -> None:
        super().__init__()
        self.identity = nn.Linear(identity, people)
        self.expression = nn.Linear(expression, classes)


class LatentDiscriminator(nn.Module):
    """Table 4: real or generated, which person, which expression.

    Args:
        identity: Size of the identity embedding.
        expression: Size of the expression embedding.
        people: Training people.
        classes: Expression labels.
        inputs: ``split``: three entries into shared layers, so that the identity head cannot read the person
            from the expression embedding (code of the authors), or ``joint``: one entry for all heads.
        dropout: Share of the shared layers' outputs that is dropped in training.
    """

    def __init__(
        self, identity: int, expression: int, people: int, classes: int, inputs: str = "split",
        dropout: float = 0.5, hidden: Sequence[int] = (1024, 512, 256),
    ) -> None:  # fmt: skip
        super().__init__()
        if inputs not in ("split", "joint"):
            raise BadSetting(
                "unknown form of the discriminator", received=inputs, remedy="use split or joint"
            )
        sizes = {"both": identity + expression}
        if inputs == "split":
            sizes |= {"identity": identity, "expression": expression}
        self.entries = nn.ModuleDict({name: nn.Linear(size, hidden[0]) for name, size in sizes.items()})
        drop = dropped(dropout)
        self.shared = nn.Sequential(nn.LeakyReLU(SLOPE), *drop, stack(hidden, dropout), nn.LeakyReLU(SLOPE))
        self.real = nn.Linear(hidden[-1], 1)
        self.identity = nn.Linear(hidden[-1], people)
        self.expression = nn.Linear(hidden[-1], classes)

    def forward(self, identity: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings (B, identity) and (B, expression) to logits (B,), (B, people) and (B, classes)."""
        both = self.shared(self.entries["both"](torch.cat([identity, expression], dim=1)))
        if "identity" not in self.entries:
            return self.real(both).squeeze(1), self.identity(both), self.expression(both)
        who = self.shared(self.entries["identity"](identity))
        what = self.shared(self.entries["expression"](expression))
        return self.real(both).squeeze(1), self.identity(who), self.expression(what)


class LabelMap:
    """Labels as class numbers, mapped once: people of the training view to 0..n-1, expressions to 0..m-1.

    Args:
        data: The training view.
        intensities: False: a face has one expression class, 0 is neutral and 1 + k is expression k. True:
            its weights themselves are the label (intensities of expressions, or of action units).
    """

    def __init__(self, data: FaceDataset, intensities: bool) -> None:
        known = np.unique(data.row_subject[data.row_labeled("identity")])
        self.people = tuple(data.subjects[person] for person in known)
        self.intensities = intensities
        self._number = torch.full((len(data.subjects) + 1,), UNKNOWN)  # the last one serves subject -1
        self._number[torch.from_numpy(known.astype(np.int64))] = torch.arange(len(known))
        #: Expression classes that occur: nobody learns to be neutral where nobody is.
        self.present = torch.from_numpy(np.unique(data.label[data.row_labeled("expression")]) + 1)

    def person(self, subject: Tensor) -> Tensor:
        """(B,) class numbers of subject indices (B,); UNKNOWN for people without a label and virtual ones."""
        return self._number.to(subject.device)[subject]

    def expression(self, weights: Tensor) -> Tensor:
        """(B,) class numbers, or (B, E) intensities, of named weights (B, E)."""
        if self.intensities:
            return weights.clamp(0, 1)
        return torch.where(weights.max(dim=1).values > 0, weights.argmax(dim=1) + 1, 0)


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy: of the rows whose class number is known, or of every intensity.

    Args:
        logits: (B, n) float.
        labels: (B,) int64 class numbers, UNKNOWN where there is none, or (B, n) float intensities 0..1.

    Returns:
        Scalar.
    """
    if labels.is_floating_point():
        return functional.binary_cross_entropy_with_logits(logits, labels)
    total = functional.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="sum")
    return total / (labels != UNKNOWN).sum().clamp_min(1)


def code_nearest_to(network: nn.Module, target: Tensor, rest: Tensor, start: Tensor, ridge: Tensor) -> Tensor:
    """FaceCAM's code z whose face is nearest to a given one: damped Gauss-Newton with exact Jacobians.

    Minimizes ||f(z, rest) - target||^2 + ridge ||z||^2 for each row on its own.

    Args:
        network: A stack: linear layers and LeakyReLU.
        target: (B, D) float.
        rest: (B, R) float. Inputs after z that stay.
        start: (B, Z) float.
        ridge: () float. Weight of the prior N(0, I).
    """
    z = start
    identity = ridge * torch.eye(z.shape[1], device=z.device)
    for _ in range(GAUSS_NEWTON_STEPS):
        value = torch.cat([z, rest], dim=1)
        slope = torch.eye(z.shape[1], value.shape[1], device=z.device).expand(len(z), -1, -1)
        for layer in network.children():
            if isinstance(layer, nn.Linear):
                slope = slope @ layer.weight.T
            else:
                slope = slope * torch.where(value > 0, 1.0, SLOPE)[:, None]
            value = layer(value)
        gradient = (slope @ (target - value)[..., None]).squeeze(2) - ridge * z
        step = torch.linalg.solve(slope @ slope.transpose(1, 2) + identity, gradient)
        z = z + DAMPING * step
    return z


GAUSS_NEWTON_STEPS = 6
DAMPING = 0.8
