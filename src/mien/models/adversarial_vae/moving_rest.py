"""Targets of the identity shape that follow what the model makes of a person, as a neutral bank does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch


class MovingRest(nn.Module):
    """How far everybody's target has moved from where it began; part of training and not of the model.

    Reference: G. Li, H. Yang, D. Huang, Y. Wang. WSDF, FG 2024 (the bank of :mod:`mien.models.neutral_bank`).

    Equation (beta what stays, r_p where the target of person p began, over the rows of p in a batch)::

        m_p <- beta m_p + (1 - beta) mean (X_id_hat - r),   target = r + m_p

    A virtual person's row moves with the person whose scan it was made of.

    Args:
        model: Whose unit and device it has.
        data: The training faces.
        stays: beta, 0 to 1.
    """

    moved: Tensor

    def __init__(self, model: Any, data: FaceDataset, stays: float) -> None:
        super().__init__()
        self.stays, self.restore = stays, model.restore
        self.register_buffer("moved", torch.zeros(len(data.subjects), *model.mean_face.shape))

    @torch.no_grad()
    def follow_shapes(self, batch: Batch, x_id: Tensor) -> Tensor:
        """The batch's targets as they stand; then moves them toward its identity shapes.

        Args:
            batch: With ``neutral``, where the targets began.
            x_id: (B, V, 3) float, normalized. X_id_hat.

        Returns:
            (B, V, 3) float, millimeters.
        """
        assert batch.neutral is not None
        person = batch.subject if batch.origin is None else batch.origin
        target = batch.neutral + self.moved[person]
        people, index = person.unique(return_inverse=True)
        away = self.restore(x_id) - batch.neutral
        mean = torch.zeros(len(people), *away.shape[1:]).to(away).index_add_(0, index, away)
        mean /= index.bincount()[:, None, None]
        self.moved[people] = self.stays * self.moved[people] + (1 - self.stays) * mean
        return target
