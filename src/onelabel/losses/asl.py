"""Asymmetric loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import Term, total
from onelabel.losses.terms import focus, likelihood, neg_log, positives

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
    q = _shifted(logits, margin)
    present, absent = neg_log(logits, 1.0, eps), _neg_log_rest(logits, q, margin, eps)
    if as_released:
        present, absent = _cut(present), _cut(absent)
    if detach_weight:
        present = _scaled(present, torch.sigmoid(-logits.detach()) ** gamma_pos)
        absent = _scaled(absent, q.value**gamma_neg)
    else:
        present = focus(logits, -1.0, gamma_pos, present)
        rate = gamma_neg * q.value ** max(gamma_neg - 1.0, 0.0) * q.slope
        absent = Term(
            q.value**gamma_neg * absent.value, rate * absent.value + q.value**gamma_neg * absent.slope
        )
    return total(logits, (positive, present), (1.0 - positive, absent))


def _shifted(logits: Tensor, margin: float) -> Term:
    """``q = max(p - m, 0)``."""
    p = likelihood(logits)
    above = p.value - margin
    return Term(above.clamp(min=0.0), (above > 0.0) * p.slope)


def _neg_log_rest(logits: Tensor, q: Term, margin: float, eps: float) -> Term:
    """``-log(1 - q + eps)``; without a margin ``1 - q`` is the likelihood of "absent", with its own form."""
    if margin == 0.0:
        return neg_log(logits, -1.0, eps)
    rest = 1.0 + eps - q.value
    return Term(-torch.log(rest), q.slope / rest)


def _cut(term: Term) -> Term:
    """The logarithm of nothing below 1e-8, as released."""
    highest = -math.log(CLAMP)
    return Term(term.value.clamp(max=highest), term.slope * (term.value < highest))


def _scaled(term: Term, factor: Tensor) -> Term:
    return Term(factor * term.value, factor * term.slope)


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
