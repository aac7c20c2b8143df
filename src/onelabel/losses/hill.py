"""Hill loss."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import Term, total
from onelabel.losses.terms import focus, neg_log, positives


def hill(
    logits: Tensor,
    labels: Tensor,
    *,
    lam: float = 1.5,
    margin: float = 1.0,
    gamma: float = 2.0,
    eps: float = 0.0,
) -> Tensor:
    """Hill loss: unknown is absent, but a confident "mistake" is forgiven, for it may be a missing label.

    ``+1: -(1-p')^γ log p'`` with ``p' = sigmoid(logit - margin)``, ``0 and -1: (λ - p) p²``. The derivative
    of the second in the logit, ``p² (1-p) (2λ - 3p)``, falls back to 0 as p goes to 1.

    Source: Zhang et al. (2021), https://arxiv.org/abs/2112.07368, `Hill`: λ = 1.5, margin 1, γ = 2, sum (here
    the mean). The codes of GR and AEVLP take plain ``-log p`` for positives: ``margin=0, gamma=0``.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        lam: λ, at least 1.5 where the loss is to rise with p everywhere.
        margin: shift of the logits of positives.
        gamma: γ of the positives, not negative.
        eps: constant inside the logarithm.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> hill(torch.tensor([[0.0, 0.0]]), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.7019, 0.2500]])
    """
    logits = prepare(logits, labels)
    positive = positives(labels, logits)
    shifted = logits - margin
    present = focus(shifted, -1.0, gamma, neg_log(shifted, 1.0, eps))
    return total(logits, (positive, present), (1.0 - positive, _forgiving(logits, lam, eps)))


def _forgiving(logits: Tensor, lam: float, eps: float) -> Term:
    """``(λ - p) p²`` with the slope ``p² (1-p) (2λ - 3p)``."""
    p = torch.sigmoid(logits.detach())
    if eps == 0.0:
        rest = torch.sigmoid(-logits.detach())
        by_p = p * (2.0 * lam - 3.0 + 3.0 * rest)
    else:
        rest, by_p = 1.0 - p, (lam - p) * p + (lam - p) * p - p * p
    return Term((lam - p) * p * p, p * rest * by_p)


class Hill(Loss):
    """Module of :func:`hill`."""

    def __init__(
        self,
        lam: float = 1.5,
        margin: float = 1.0,
        gamma: float = 2.0,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        inf = float("inf")
        require(lam=(lam, 1.0, inf), margin=(margin, 0.0, inf), gamma=(gamma, 0.0, inf))
        self.lam, self.margin, self.gamma = lam, margin, gamma

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return hill(logits, labels, lam=self.lam, margin=self.margin, gamma=self.gamma, eps=self.eps)
