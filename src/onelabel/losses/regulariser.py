"""The expected-positive regulariser, a term over the whole batch."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from onelabel.losses.base import in_float32
from onelabel.losses.slopes import Term, joined
from onelabel.losses.terms import likelihood

Norm = Literal["l1", "l2"]


def expected_positive_regulariser(
    logits: Tensor, expected: float, *, norm: Norm = "l2", eps: float = 0.0
) -> Tensor:
    """R(p): how far the mean number of predicted positives per image is from what is expected.

    ``R = (mean over images of Σ p - k)² / classes²``; with ``norm="l1"`` the absolute value in place of the
    square.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `expected_positive_regularizer` (which
    leaves the division to its callers). Over several processes, give the gathered batch: R of a part is not R
    of the whole.

    Args:
        logits: (images, classes).
        expected: k, positive labels per image.
        norm: ``"l2"`` as published, or ``"l1"``.
        eps: there is no logarithm; above 0, p is rounded as in the released codes.

    Returns:
        A scalar.

    Example:
        >>> import torch
        >>> expected_positive_regulariser(torch.zeros(5, 4), expected=1.0)
        tensor(0.0625)
    """
    logits = in_float32(logits)
    images, classes = logits.shape
    p = likelihood(logits, eps)
    gap = p.value.sum(dim=1).mean() - expected
    value, slope = (gap.abs(), gap.sign()) if norm == "l1" else (gap.square(), 2.0 * gap)
    return joined(logits, Term(value / classes**2, p.slope * (slope / (images * classes**2))))
