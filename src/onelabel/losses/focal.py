"""Focal loss."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import joined
from onelabel.losses.terms import assumed, focus, neg_log


def focal(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, eps: float = 0.0) -> Tensor:
    """Focal loss: unknown is absent, and entries that are already right count little.

    ``+1: -(1-p)^γ log p``, ``0 and -1: -p^γ log(1-p)``.

    Source: Lin et al. (2017), https://arxiv.org/abs/1708.02002, γ = 2. The rows of this name in the tables of
    the field do not state their γ. The class that research codes use for it (`AsymmetricLoss(2, 2, clip=0)`)
    keeps the factor out of the derivative and sums: :func:`~onelabel.losses.asl.asl` with
    ``gamma_pos=gamma_neg=2, margin=0``.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        gamma: γ, not negative.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> focal(torch.tensor([[2.0, 2.0]]), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.0018, 1.6501]])
    """
    logits = prepare(logits, labels)
    sign = assumed(labels, logits)
    return joined(logits, focus(logits, -sign, gamma, neg_log(logits, sign, eps)))


class Focal(Loss):
    """Module of :func:`focal`."""

    def __init__(self, gamma: float = 2.0, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(gamma=(gamma, 0.0, float("inf")))
        self.gamma = gamma

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return focal(logits, labels, gamma=self.gamma, eps=self.eps)
