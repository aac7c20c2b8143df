"""Self-paced loss correction."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.slopes import joined
from onelabel.losses.terms import as_float, focus, neg_log


def splc(
    logits: Tensor,
    labels: Tensor,
    *,
    tau: float = 0.6,
    margin: float = 1.0,
    gamma: float = 2.0,
    active: bool = True,
    eps: float = 0.0,
) -> Tensor:
    """Self-paced loss correction (SPLC): an unknown label above τ counts as present, else as absent.

    With ``t = logit - margin`` on observed positives and ``t = logit`` elsewhere, ``p = sigmoid(t)``:
    ``+1, or 0 with p > τ: -(1-p)^γ log p``, ``-1, or 0 with p ≤ τ: -p^γ log(1-p)``.

    Source: Zhang et al. (2021), https://arxiv.org/abs/2112.07368, `SPLC`: τ = 0.6, margin 1, γ = 2,
    correction from the second epoch, sum (here the mean). Known negatives are never corrected; the released
    code knows none.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        tau: τ, in [0, 1].
        margin: shift of the logits of observed positives.
        gamma: γ, not negative.
        active: correct; False in the first epoch.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> splc(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1, 0, 0]], dtype=torch.int8))
        tensor([[0.1733, 0.0018, 0.1733]])
    """
    logits = prepare(logits, labels)
    sign = as_float(labels, logits)
    positive = sign.clamp(min=0.0)
    shifted = logits - margin * positive
    if active:
        confident = as_float(torch.sigmoid(logits.detach()) > tau, logits)
        positive = positive + (1.0 - sign.abs()) * confident
    sign = 2.0 * positive - 1.0
    return joined(logits, focus(shifted, -sign, gamma, neg_log(shifted, sign, eps)))


class SPLC(Loss):
    """Module of :func:`splc`; the correction begins after ``warmup`` epochs, through :meth:`start_epoch`.

    Until the first call it is as in epoch 1.

    Args:
        tau: as in :func:`splc`, like ``margin``, ``gamma`` and ``eps``.
        margin: shift of the logits of observed positives.
        gamma: γ, not negative.
        warmup: epochs without correction.
        eps: constant inside the logarithms.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(
        self,
        tau: float = 0.6,
        margin: float = 1.0,
        gamma: float = 2.0,
        warmup: int = 1,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        inf = float("inf")
        require(
            tau=(tau, 0.0, 1.0), margin=(margin, 0.0, inf), gamma=(gamma, 0.0, inf), warmup=(warmup, 0, inf)
        )
        self.tau, self.margin, self.gamma, self.warmup = tau, margin, gamma, warmup
        self.active = warmup == 0

    def start_epoch(self, epoch: int, epochs: int) -> None:
        del epochs
        self.active = epoch > self.warmup

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return splc(
            logits,
            labels,
            tau=self.tau,
            margin=self.margin,
            gamma=self.gamma,
            active=self.active,
            eps=self.eps,
        )
