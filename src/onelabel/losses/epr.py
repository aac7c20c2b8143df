"""Expected-positive regularisation."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, require
from onelabel.losses.bce import bce
from onelabel.losses.regulariser import expected_positive_regulariser


def epr(logits: Tensor, labels: Tensor, *, expected: float, eps: float = 0.0) -> Tensor:
    """Expected-positive regularisation (EPR): the known labels, and R(p) over the batch.

    ``+1: -log p``, ``0: 0``, ``-1: -log(1-p)``; R is added to every entry, so that the mean is the published
    loss ``mean + R``.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_epr`; k = 1.5 on VOC, 2.9 on COCO, 1.9
    on NUS-WIDE, 31.4 on CUB.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        expected: k, positive labels per image; a fact about the data that single positives do not tell.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> epr(torch.zeros(1, 2), torch.tensor([[1, 0]], dtype=torch.int8), expected=2.0)
        tensor([[0.9431, 0.2500]])
    """
    return bce(logits, labels, eps=eps) + expected_positive_regulariser(logits, expected, eps=eps)


class EPR(Loss):
    """Module of :func:`epr`; a weight applies to the entries, not to R."""

    def __init__(self, expected: float, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(expected=(expected, 0.0, float("inf")))
        self.expected = expected

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return bce(logits, labels, eps=self.eps)

    def batch_term(self, logits: Tensor, _labels: Tensor) -> Tensor:
        return expected_positive_regulariser(logits, self.expected, eps=self.eps)
