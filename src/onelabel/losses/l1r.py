"""Assume negative with an L1 penalty on the predicted probabilities."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import total
from onelabel.losses.terms import assumed, likelihood, neg_log


def l1r(logits: Tensor, labels: Tensor, *, penalty: float = 0.01, eps: float = 0.0) -> Tensor:
    """Assume negative with an L1 penalty (L1R): ``an + penalty · |p|``.

    Source: a row of the tables of Zhou et al. (2022), https://arxiv.org/abs/2203.16219, without released
    code. Neither what is penalised nor the weight is stated in what we could read. We penalise the predicted
    probabilities, because a loss sees nothing else, with a weight of our choice.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        penalty: weight of the penalty, not negative.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> l1r(torch.zeros(1, 2), torch.tensor([[1, 0]], dtype=torch.int8), penalty=0.1)
        tensor([[0.7431, 0.7431]])
    """
    logits = prepare(logits, labels)
    p = likelihood(logits, eps)
    return total(logits, (1.0, neg_log(logits, assumed(labels, logits), eps)), (penalty, p))


class L1R(Loss):
    """Module of :func:`l1r`."""

    def __init__(self, penalty: float = 0.01, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(penalty=(penalty, 0.0, float("inf")))
        self.penalty = penalty

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return l1r(logits, labels, penalty=self.penalty, eps=self.eps)
