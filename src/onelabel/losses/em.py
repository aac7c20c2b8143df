"""Entropy maximisation."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.sides import Sides
from onelabel.losses.slopes import joined
from onelabel.losses.terms import as_float


def em(logits: Tensor, labels: Tensor, *, alpha: float = 0.1, eps: float = 0.0) -> Tensor:
    """Entropy maximisation (EM): the unknown entries are pushed towards 1/2, weakly where they are confident.

    ``+1: -log p``, ``0: -α H(p)``, ``-1: -log(1 - p)``, with ``H(p) = -p log p - (1-p) log(1-p)``.
    The loss of an unknown entry is negative; its derivative in the logit s is ``α s p (1 - p)``.

    Source: Zhou et al. (2022), https://arxiv.org/abs/2203.16219, `loss_EM`; α = 0.2 on VOC, 0.1 on COCO and
    NUS-WIDE, 0.01 on CUB, eps = 1e-5. The released function ignores observed negatives; here they are
    supervised.

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
        >>> em(torch.zeros(1, 3), torch.tensor([[1, 0, -1]], dtype=torch.int8))
        tensor([[ 0.6931, -0.0693,  0.6931]])
    """
    logits = prepare(logits, labels)
    sign = as_float(labels, logits)
    present, known = sign.relu(), sign.abs()
    return joined(logits, Sides(logits, eps).mixed(present, present - sign, (known - 1.0) * alpha))


class EM(Loss):
    """Module of :func:`em`."""

    def __init__(self, alpha: float = 0.1, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(alpha=(alpha, 0.0, float("inf")))
        self.alpha = alpha

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return em(logits, labels, alpha=self.alpha, eps=self.eps)
