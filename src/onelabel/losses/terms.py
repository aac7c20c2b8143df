"""The terms that the losses are built of, written in logits so that nothing saturates.

p is ``sigmoid(logit)``. ``1 - p`` is never formed by subtraction: in float32 it would be exactly 0 from a
logit of 17 upwards, and with it the gradient.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def neg_log(logits: Tensor, eps: float = 0.0) -> Tensor:
    """``-log(p + eps)``; use ``neg_log(-logits, eps)`` for ``-log(1 - p + eps)``.

    The derivative in the logit is ``-(1 - p) p / (p + eps)``, so ``-(1 - p)`` with the default.

    Example:
        >>> neg_log(torch.tensor([0.0, -100.0]))
        tensor([  0.6931, 100.0000])
        >>> neg_log(torch.tensor([-100.0]), eps=1e-5)
        tensor([11.5129])
    """
    log_p = F.logsigmoid(logits)
    if eps > 0.0:
        # log(p + eps) as a sum of exponentials: p + eps itself would round p away near 1.
        log_p = torch.logaddexp(log_p, log_p.new_full((), math.log(eps)))
    return -log_p


def smoothed(logits: Tensor, share: Tensor | float, eps: float = 0.0) -> Tensor:
    """``-(1 - share) log(p + eps) - share log(1 - p + eps)``: the target 1, smoothed."""
    return (1.0 - share) * neg_log(logits, eps) + share * neg_log(-logits, eps)


def entropy(logits: Tensor, eps: float = 0.0) -> Tensor:
    """Binary entropy ``H(p) = -p log(p + eps) - (1 - p) log(1 - p + eps)``, with derivative ``-s p (1 - p)``.

    Example:
        >>> entropy(torch.tensor([0.0, 50.0])).tolist()
        [0.693, 9.84e-21]
    """
    absent = -logits
    return torch.sigmoid(logits) * neg_log(logits, eps) + torch.sigmoid(absent) * neg_log(absent, eps)


def probability(logits: Tensor) -> Tensor:
    """p with the derivative ``p (1 - p)`` to full precision.

    The derivative of ``torch.sigmoid`` is computed from the rounded p, hence exactly 0 from a logit of 17
    upwards.
    """
    return F.logsigmoid(logits).exp()


def power(logits: Tensor, exponent: Tensor | float) -> Tensor:
    """``p^exponent``, with a derivative that is finite and not 0 however small p is."""
    return (exponent * F.logsigmoid(logits)).exp()


def focused(logits: Tensor, gamma: float, eps: float = 0.0) -> Tensor:
    """``-(1 - p)^γ log(p + eps)``; the factor is part of the derivative."""
    return power(-logits, gamma) * neg_log(logits, eps)


def robust(logits: Tensor, q: float) -> Tensor:
    """Generalised cross-entropy ``(1 - p^q) / q``, between ``-log p`` (q near 0) and ``1 - p`` (q = 1).

    Its derivative in the logit is ``-p^q (1 - p)``.
    """
    return (1.0 - power(logits, q)) / q


def merge(labels: Tensor, pseudo: Tensor) -> Tensor:
    """Observed labels where there are any, else the pseudo-labels."""
    return torch.where(labels == 0, pseudo, labels)


def as_float(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels as numbers beside the logits; sums and products of -1, 0, 1 then select without any indexing."""
    return labels.to(logits.dtype)
