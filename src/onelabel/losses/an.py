"""Assume negative."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, prepare
from onelabel.losses.slopes import joined
from onelabel.losses.terms import assumed, neg_log


def an(logits: Tensor, labels: Tensor, *, eps: float = 0.0) -> Tensor:
    """Assume negative (AN): every unknown label counts as absent.

    ``+1: -log p``, ``0 and -1: -log(1 - p)``.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_an` (the same in the codes of EM, VLPL
    and AEVLP; eps 1e-5 there, 1e-7 in AEVLP's).

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
        >>> an(torch.tensor([[2.0, 2.0]]), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.1269, 2.1269]])
    """
    logits = prepare(logits, labels)
    sign = assumed(labels, logits)
    return joined(logits, neg_log(logits, sign, eps))


class AN(Loss):
    """Module of :func:`an`."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return an(logits, labels, eps=self.eps)
