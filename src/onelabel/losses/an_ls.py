"""Assume negative with label smoothing."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import joined
from onelabel.losses.terms import assumed, smoothed


def an_ls(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1, eps: float = 0.0) -> Tensor:
    """Assume negative with label smoothing (AN-LS): unknown is absent, and every target is smoothed.

    ``+1: -(1-λ) log p - λ log(1-p)``, ``0 and -1: -(1-λ) log(1-p) - λ log p``.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_an_ls`, λ = 0.1. Other codes write λ =
    ε/2 with ε = 0.1: ``smoothing=0.05``.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        smoothing: λ, the share of the other target, in [0, 1].
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> an_ls(torch.tensor([[2.0, 2.0]]), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.3269, 1.9269]])
    """
    logits = prepare(logits, labels)
    sign = assumed(labels, logits)
    return joined(logits, smoothed(logits, sign, smoothing, eps))


class ANLS(Loss):
    """Module of :func:`an_ls`."""

    def __init__(self, smoothing: float = 0.1, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(smoothing=(smoothing, 0.0, 1.0))
        self.smoothing = smoothing

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return an_ls(logits, labels, smoothing=self.smoothing, eps=self.eps)
