"""Assume negative, smoothing the assumed negatives only."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import joined
from onelabel.losses.terms import as_float, complement, smoothed


def an_nls(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1, eps: float = 0.0) -> Tensor:
    """Assume negative with smoothing of the assumed negatives only (N-LS).

    ``+1: -log p``, ``0: -(1-λ) log(1-p) - λ log p``, ``-1: -log(1-p)``.

    Source: a row of the tables of Zhou et al. (2022), https://arxiv.org/abs/2203.16219, without released
    code. λ is not stated in what we could read: 0.1, the value of AN-LS, is our choice.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        smoothing: λ, the target probability of an unknown label, in [0, 1].
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> an_nls(torch.tensor([[2.0, 2.0]]), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.1269, 1.9269]])
    """
    logits = prepare(logits, labels)
    sign = as_float(labels, logits)
    unknown = complement(sign.abs())
    return joined(logits, smoothed(logits, sign - unknown, smoothing * unknown, eps))


class ANNLS(Loss):
    """Module of :func:`an_nls`."""

    def __init__(self, smoothing: float = 0.1, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(smoothing=(smoothing, 0.0, 1.0))
        self.smoothing = smoothing

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return an_nls(logits, labels, smoothing=self.smoothing, eps=self.eps)
