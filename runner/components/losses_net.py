"""Losses that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FocalLoss(nn.Module):
    """Focal loss (Lin et al., ICCV 2017, equation 4) of the softmax over classes.

    With class weights, their alpha, a batch's loss is the sum of the weighted losses divided by the
    sum of the weights, as torch's cross-entropy has it.
    """

    weight: Tensor | None

    def __init__(self, gamma: float, weight: Tensor | None = None) -> None:
        """Take the exponent and the weights of the classes, (classes,) float32, or None."""
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of logits (B, classes) float and labels (B,) int64."""
        minus_log = functional.cross_entropy(logits, labels, reduction="none")
        # 1 - p, exact for p near 1; not 0, where the gradient of a power below 1 is infinite
        wrong = (-torch.expm1(-minus_log)).clamp_min(torch.finfo(logits.dtype).tiny)
        losses = wrong**self.gamma * minus_log
        if self.weight is None:
            return losses.mean()
        weights = self.weight.index_select(0, labels)
        return (weights * losses).sum() / weights.sum()
