"""Binary cross-entropy over what is known, with label smoothing."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import total
from onelabel.losses.terms import as_float, smoothed


def bce_ls(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1, eps: float = 0.0) -> Tensor:
    """Binary cross-entropy of the known entries with smoothed targets; unknown ones give 0.

    ``+1: -(1-λ) log p - λ log(1-p)``, ``-1: -(1-λ) log(1-p) - λ log p``, ``0: 0``.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_bce_ls` on complete labels, λ = 0.1.

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
        >>> bce_ls(torch.tensor([[2.0, 2.0]]), torch.tensor([[1, 0]], dtype=torch.int8))
        tensor([[0.3269, 0.0000]])
    """
    logits = prepare(logits, labels)
    sign = as_float(labels, logits)
    return total(logits, (sign.abs(), smoothed(logits, sign, smoothing, eps)))


class BCELS(Loss):
    """Module of :func:`bce_ls`."""

    def __init__(self, smoothing: float = 0.1, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(smoothing=(smoothing, 0.0, 1.0))
        self.smoothing = smoothing

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return bce_ls(logits, labels, smoothing=self.smoothing, eps=self.eps)
