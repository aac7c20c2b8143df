"""Pairwise ranking."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, prepare
from onelabel.losses.terms import positives, probability


def pr(logits: Tensor, labels: Tensor, *, eps: float = 0.0) -> Tensor:
    """Pairwise ranking (PR): every positive above every label that is not positive, by a margin of 1.

    ``+1: Σ over j with label 0 or -1 of max(0, 1 - p_i + p_j)``, elsewhere 0. Since ``0 ≤ p ≤ 1`` the maximum
    is always its second argument, hence ``n (1 - p_i) + Σ p_j``.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_pr` (not in the paper's tables). Known
    negatives, which the released function does not take, are ranked below the positives as unknown labels
    are.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        eps: there is no logarithm; above 0, p is rounded as in the released code.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> pr(torch.zeros(1, 3), torch.tensor([[1, 0, 0]], dtype=torch.int8))
        tensor([[2., 0., 0.]])
    """
    logits = prepare(logits, labels)
    positive = positives(labels, logits)
    rest = probability(-logits) if eps == 0.0 else 1.0 - probability(logits, eps)
    below = 1.0 - positive
    lower = (below * probability(logits, eps)).sum(dim=1, keepdim=True)
    return positive * (below.sum(dim=1, keepdim=True) * rest + lower)


class PR(Loss):
    """Module of :func:`pr`."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return pr(logits, labels, eps=self.eps)
