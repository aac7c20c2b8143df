"""Weak assume negative."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import total
from onelabel.losses.terms import as_float, complement, neg_log


def wan(logits: Tensor, labels: Tensor, *, gamma: float | None = None, eps: float = 0.0) -> Tensor:
    """Weak assume negative (WAN, "down-weighting"): unknown is absent, with a small weight.

    ``+1: -log p``, ``0: -γ log(1-p)``, ``-1: -log(1-p)``.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_wan` with γ = 1 / (classes - 1). The γ
    of the rows named "DW" in later tables is not stated in what we could read; give it as ``gamma``.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        gamma: weight of unknown entries; None for 1 / (classes - 1), and 1 where there is one class.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> wan(torch.zeros(1, 3), torch.tensor([[1, 0, -1]], dtype=torch.int8))
        tensor([[0.6931, 0.3466, 0.6931]])
    """
    logits = prepare(logits, labels)
    sign = as_float(labels, logits)
    unknown = complement(sign.abs())
    weight = 1.0 / max(logits.shape[1] - 1, 1) if gamma is None else gamma
    return total(logits, (1.0 - (1.0 - weight) * unknown, neg_log(logits, sign - unknown, eps)))


class WAN(Loss):
    """Module of :func:`wan`."""

    def __init__(self, gamma: float | None = None, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(gamma=(gamma or 0.0, 0.0, float("inf")))
        self.gamma = gamma

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return wan(logits, labels, gamma=self.gamma, eps=self.eps)
