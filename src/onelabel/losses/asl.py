"""Asymmetric loss."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.terms import neg_log, positives, power, probability

CLAMP = 1e-8  # below which the released code cuts the argument of its logarithms


def asl(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma_pos: float = 1.0,
    gamma_neg: float = 4.0,
    margin: float = 0.05,
    detach_weight: bool = True,
    as_released: bool = False,
    eps: float = 0.0,
) -> Tensor:
    """Asymmetric loss (ASL): unknown is absent; negatives are focused more, and easy ones dropped.

    ``+1: -(1-p)^γ₊ log p``, ``0 and -1: -q^γ₋ log(1-q)`` with ``q = max(p - m, 0)``.

    Source: Ben-Baruch et al. (2020), https://arxiv.org/abs/2009.14119, class `AsymmetricLoss`: γ₊ = 1, γ₋ =
    4, m = 0.05, the factor outside the derivative (`AsymmetricLossOptimized` keeps it inside:
    ``detach_weight=False``); baselines in the field use γ₊ = 0. Deviations: the mean in place of the sum, and
    no cut of the probability at 1e-8, which makes the derivative of a confident mistake exactly 0;
    ``as_released=True`` brings the cut back.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        gamma_pos: γ₊, 0 or at least 1.
        gamma_neg: γ₋, 0 or at least 1.
        margin: m, in [0, 1).
        detach_weight: keep the focusing factor out of the derivative.
        as_released: cut the arguments of the logarithms at 1e-8.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> asl(torch.tensor([[2.0, 2.0, -4.0]]), torch.tensor([[1, 0, 0]], dtype=torch.int8))
        tensor([[0.0151, 0.8464, 0.0000]])
    """
    logits = prepare(logits, labels)
    positive = positives(labels, logits)
    present, absent = neg_log(logits, 1.0, eps), _neg_log_shifted(logits, margin + eps)
    absent = absent.clamp(min=-math.log1p(eps))  # 1 - q is at most 1
    if as_released:
        present, absent = present.clamp(max=-math.log(CLAMP)), absent.clamp(max=-math.log(CLAMP))
    with torch.set_grad_enabled(torch.is_grad_enabled() and not detach_weight):
        weight_pos = power(-logits, gamma_pos)
        weight_neg = (probability(logits) - margin).clamp(min=0.0).pow(gamma_neg) if gamma_neg > 0.0 else 1.0
    return positive * weight_pos * present + (1.0 - positive) * weight_neg * absent


def _neg_log_shifted(logits: Tensor, shift: float) -> Tensor:
    """``-log(1 - p + shift)``, as a sum of exponentials, which does not round ``1 - p`` away."""
    log_rest = F.logsigmoid(-logits)
    return -(torch.logaddexp(log_rest, log_rest.new_full((), math.log(shift))) if shift > 0.0 else log_rest)


class ASL(Loss):
    """Module of :func:`asl`."""

    def __init__(
        self,
        gamma_pos: float = 1.0,
        gamma_neg: float = 4.0,
        margin: float = 0.05,
        detach_weight: bool = True,
        as_released: bool = False,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        # Between 0 and 1 the derivative of q^γ is infinite at q = 0.
        low = {name: 1.0 if value else 0.0 for name, value in (("pos", gamma_pos), ("neg", gamma_neg))}
        require(gamma_pos=(gamma_pos, low["pos"], math.inf), gamma_neg=(gamma_neg, low["neg"], math.inf))
        require(margin=(margin, 0.0, 1.0))
        self.gamma_pos, self.gamma_neg, self.margin = gamma_pos, gamma_neg, margin
        self.detach_weight, self.as_released = detach_weight, as_released

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return asl(
            logits,
            labels,
            gamma_pos=self.gamma_pos,
            gamma_neg=self.gamma_neg,
            margin=self.margin,
            detach_weight=self.detach_weight,
            as_released=self.as_released,
            eps=self.eps,
        )
