"""Entropy maximisation with pseudo-labels and focusing."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.sides import Sides
from onelabel.losses.slopes import total
from onelabel.losses.terms import as_float, focus, merge, neg_log


def em_pl_asl(
    logits: Tensor,
    labels: Tensor,
    pseudo: Tensor,
    *,
    gamma_pos: float = 2.0,
    gamma_neg: float = 4.0,
    gamma_unknown: float = 4.0,
    eps: float = 0.0,
) -> Tensor:
    """Entropy maximisation with pseudo-labels and focusing factors (EM-PL-ASL).

    With the observed label, or the pseudo-label where it is unknown: ``+1: -(1-p)^γ₊ log p``,
    ``-1: -p^γ₋ log(1-p)``, ``0: -(1-p)^γᵤ H(p)``. The factors are part of the derivative.

    Source: code mvrl/VLPL (ed09b59) of Xing et al. (2023), https://arxiv.org/abs/2310.15985,
    `loss_EM_PL_ASL`, in no table of the paper; eps = 1e-5. The released function computes a shift of 0.05
    that it never uses, and ignores known negatives; here they are supervised.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        pseudo: (images, classes), the same convention; looked at only where the label is unknown.
        gamma_pos: γ₊, not negative.
        gamma_neg: γ₋, not negative.
        gamma_unknown: γᵤ, not negative.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> labels, pseudo = torch.tensor([[[1, 0, 0]], [[0, -1, 0]]], dtype=torch.int8)
        >>> em_pl_asl(torch.zeros(1, 3), labels, pseudo)
        tensor([[ 0.1733,  0.0433, -0.0433]])
    """
    logits = prepare(logits, labels, pseudo)
    final = as_float(merge(labels, pseudo), logits)
    present, decided = final.relu(), final.abs()
    gamma = gamma_pos * present + gamma_neg * (decided - present)
    nothing = torch.zeros_like(logits)
    doubt = Sides(logits, eps).mixed(nothing, nothing, decided - 1.0)
    return total(
        logits,
        (decided, focus(logits, -final, gamma, neg_log(logits, final, eps))),
        (1.0, focus(logits, -1.0, gamma_unknown, doubt)),
    )


class EMPLASL(Loss):
    """Module of :func:`em_pl_asl`: ``loss(logits, labels, pseudo=pseudo)``."""

    def __init__(
        self,
        gamma_pos: float = 2.0,
        gamma_neg: float = 4.0,
        gamma_unknown: float = 4.0,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        inf = float("inf")
        require(gamma_pos=(gamma_pos, 0.0, inf), gamma_neg=(gamma_neg, 0.0, inf))
        require(gamma_unknown=(gamma_unknown, 0.0, inf))
        self.gamma_pos, self.gamma_neg, self.gamma_unknown = gamma_pos, gamma_neg, gamma_unknown

    def entries(self, logits: Tensor, labels: Tensor, pseudo: Tensor) -> Tensor:
        return em_pl_asl(
            logits,
            labels,
            pseudo,
            gamma_pos=self.gamma_pos,
            gamma_neg=self.gamma_neg,
            gamma_unknown=self.gamma_unknown,
            eps=self.eps,
        )
