"""The terms that the losses are built of.

p is ``sigmoid(logit)``. With ``eps=0`` everything is written in logits, so that nothing saturates: ``1 - p``
is never formed by subtraction, which in float32 would give 0 from a logit of 17 upwards, and with it no
gradient. With ``eps > 0`` the arithmetic is that of the released codes, rounding included: p first, then ``1
- p``, then ``-log(· + eps)``. That is what their published numbers were trained with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def neg_log(logits: Tensor, sign: Tensor | float, eps: float = 0.0) -> Tensor:
    """``-log(p + eps)`` where ``sign`` is +1, ``-log(1 - p + eps)`` where it is -1, a constant where it is 0.

    With ``eps=0`` the derivative in the logit is ``-(1 - p)`` or ``p``, at any size of the logit.

    Example:
        >>> neg_log(torch.tensor([0.0, -100.0]), 1.0)
        tensor([  0.6931, 100.0000])
        >>> neg_log(torch.tensor([-100.0]), 1.0, eps=1e-5)
        tensor([11.5129])
    """
    if eps == 0.0:
        return -F.logsigmoid(sign * logits)
    # p at +1 and 1 - p at -1, both to the bit.
    likelihood = 0.5 * (1.0 - sign) + sign * torch.sigmoid(logits)
    return -torch.log(likelihood + eps)


def smoothed(logits: Tensor, sign: Tensor | float, share: Tensor | float, eps: float = 0.0) -> Tensor:
    """``(1 - share)`` of the loss of the side ``sign`` and ``share`` of the loss of the other side."""
    return (1.0 - share) * neg_log(logits, sign, eps) + share * neg_log(logits, -sign, eps)


def entropy(logits: Tensor, eps: float = 0.0) -> Tensor:
    """Binary entropy ``H(p) = -p log(p + eps) - (1 - p) log(1 - p + eps)``; derivative ``-s p (1 - p)`` at
    eps 0.

    Example:
        >>> entropy(torch.tensor([0.0, 50.0])).tolist()
        [0.693, 9.84e-21]
    """
    p = torch.sigmoid(logits)
    rest = torch.sigmoid(-logits) if eps == 0.0 else 1.0 - p
    return p * neg_log(logits, 1.0, eps) + rest * neg_log(logits, -1.0, eps)


def probability(logits: Tensor, eps: float = 0.0) -> Tensor:
    """p, with the derivative ``p (1 - p)`` to full precision.

    The derivative of ``torch.sigmoid`` is computed from the rounded p, hence exactly 0 from a logit of 17
    upwards; ``eps > 0`` gives that one.
    """
    return F.logsigmoid(logits).exp() if eps == 0.0 else torch.sigmoid(logits)


def power(logits: Tensor, exponent: Tensor | float) -> Tensor:
    """``p^exponent``, with a derivative that is finite and not 0 however small p is."""
    return (exponent * F.logsigmoid(logits)).exp()


def focused(logits: Tensor, sign: Tensor | float, gamma: float, eps: float = 0.0) -> Tensor:
    """Loss of the side ``sign`` times (probability of the other side)^γ; the factor is differentiated too."""
    return power(-sign * logits, gamma) * neg_log(logits, sign, eps)


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


def positives(labels: Tensor, logits: Tensor) -> Tensor:
    """1 where the label is +1, else 0."""
    return labels.to(logits.dtype).clamp(min=0.0)
