"""Binary cross-entropy over what is known."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, prepare
from onelabel.losses.slopes import total
from onelabel.losses.terms import as_float, neg_log


def bce(logits: Tensor, labels: Tensor, *, eps: float = 0.0) -> Tensor:
    """Binary cross-entropy of the known entries; unknown ones give 0.

    ``+1: -log p``, ``-1: -log(1 - p)``, ``0: 0``.

    With complete labels this is the upper bound of the field; with the observed labels "ignore unobserved"
    (IU); with the observed positives and all true negatives "ignore unobserved positives" (IUN). These are
    tables, not losses. Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_bce`, `loss_iu`,
    `loss_iun`. Deviation: the released `loss_iun` of that code looks for -1 in a table of 0 and 1 and so has
    no negatives.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> bce(torch.zeros(1, 3), torch.tensor([[1, 0, -1]], dtype=torch.int8))
        tensor([[0.6931, 0.0000, 0.6931]])
    """
    logits = prepare(logits, labels)
    sign = as_float(labels, logits)
    return total(logits, (sign.abs(), neg_log(logits, sign, eps)))


class BCE(Loss):
    """Module of :func:`bce`."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return bce(logits, labels, eps=self.eps)
