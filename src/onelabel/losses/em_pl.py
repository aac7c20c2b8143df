"""Entropy maximisation with pseudo-labels: the loss of VLPL."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.sides import Sides
from onelabel.losses.slopes import joined
from onelabel.losses.terms import as_float, merge


def em_pl(
    logits: Tensor,
    labels: Tensor,
    pseudo: Tensor,
    *,
    alpha: float = 0.1,
    beta: float = 0.7,
    rho: float = 0.9,
    gamma: float | None = None,
    eps: float = 0.0,
) -> Tensor:
    """Entropy maximisation with smoothed pseudo-labels, the loss of VLPL.

    Observed: ``+1: -log p``, ``-1: -log(1-p)``. Elsewhere the pseudo-label decides:
    ``+1: -β [ρ log p + (1-ρ) log(1-p)]``, ``-1: -γ [ρ log(1-p) + (1-ρ) log p]``, ``0: -α H(p)``.

    Source: Xing et al. (2023), https://arxiv.org/abs/2310.15985, code mvrl/VLPL `loss_EM_PL` with β = 0.7, ρ
    = 0.9, eps = 1e-5 and the α of EM. The paper's table with negative pseudo-labels has no stated weight and
    the branch is commented out in the code: γ = β is our choice, unconfirmed. ``gamma=0`` ignores them as
    released. The released function also ignores observed negatives; here they are supervised.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        pseudo: (images, classes), the same convention; looked at only where the label is unknown.
        alpha: weight of the entropy, not negative.
        beta: weight of positive pseudo-labels.
        rho: target probability of a pseudo-label, in [0, 1].
        gamma: weight of negative pseudo-labels; ``beta`` if None.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> labels, pseudo = torch.tensor([[[1, 0, 0]], [[0, 1, 0]]], dtype=torch.int8)
        >>> em_pl(torch.zeros(1, 3), labels, pseudo)
        tensor([[ 0.6931,  0.4852, -0.0693]])
    """
    logits = prepare(logits, labels, pseudo)
    observed, final = as_float(labels, logits), as_float(merge(labels, pseudo), logits)
    present, guided = observed.relu(), final - observed
    towards = guided.relu()
    against, gamma = towards - guided, beta if gamma is None else gamma
    to_present = _sum(present, (beta * rho, towards), (gamma * (1.0 - rho), against))
    to_absent = _sum(present - observed, (beta * (1.0 - rho), towards), (gamma * rho, against))
    return joined(logits, Sides(logits, eps).mixed(to_present, to_absent, (final.abs() - 1.0) * alpha))


def _sum(first: Tensor, *parts: tuple[float, Tensor]) -> Tensor:
    for factor, part in parts:
        first = torch.add(first, part, alpha=factor)
    return first


class EMPL(Loss):
    """Module of :func:`em_pl`: ``loss(logits, labels, pseudo=pseudo)``."""

    def __init__(
        self,
        alpha: float = 0.1,
        beta: float = 0.7,
        rho: float = 0.9,
        gamma: float | None = None,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        inf = float("inf")
        require(
            alpha=(alpha, 0.0, inf),
            beta=(beta, 0.0, inf),
            rho=(rho, 0.0, 1.0),
            gamma=(gamma or 0.0, 0.0, inf),
        )
        self.alpha, self.beta, self.rho, self.gamma = alpha, beta, rho, gamma

    def entries(self, logits: Tensor, labels: Tensor, pseudo: Tensor) -> Tensor:
        return em_pl(
            logits,
            labels,
            pseudo,
            alpha=self.alpha,
            beta=self.beta,
            rho=self.rho,
            gamma=self.gamma,
            eps=self.eps,
        )
