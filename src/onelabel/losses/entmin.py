"""Entropy minimisation."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, require
from onelabel.losses.em import em


def entmin(logits: Tensor, labels: Tensor, *, alpha: float = 0.1, eps: float = 0.0) -> Tensor:
    """Entropy minimisation (EntMin): the unknown entries are pushed to the side they are on.

    ``+1: -log p``, ``0: α H(p)``, ``-1: -log(1-p)``: :func:`~onelabel.losses.em.em` with the other sign.

    Source: a row of the tables of Zhou et al. (2022), https://arxiv.org/abs/2203.16219, without released
    code. α is not stated in what we could read: 0.1 is our choice.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        alpha: weight of the entropy, not negative.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> entmin(torch.zeros(1, 2), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.6931, 0.0693]])
    """
    return em(logits, labels, alpha=-alpha, eps=eps)


class EntMin(Loss):
    """Module of :func:`entmin`."""

    def __init__(self, alpha: float = 0.1, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(alpha=(alpha, 0.0, float("inf")))
        self.alpha = alpha

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return entmin(logits, labels, alpha=self.alpha, eps=self.eps)
