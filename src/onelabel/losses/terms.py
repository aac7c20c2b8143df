"""The terms that the losses are built of, each with its derivative in the logit.

p is ``sigmoid(logit)``; ``sign`` says which side is meant, +1 present or -1 absent, entry by entry or for
all. With ``eps=0`` everything is written in logits, so that nothing saturates: ``1 - p`` is never formed by
subtraction, which in float32 would give 0 from a logit of 17 upwards, and with it no derivative. With ``eps >
0`` the arithmetic is that of the released codes, rounding included: p first, then ``1 - p``, then ``-log(· +
eps)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from onelabel.losses.slopes import Term, joined

Sign = Tensor | float


def neg_log(logits: Tensor, sign: Sign, eps: float = 0.0) -> Term:
    """``-log(p + eps)`` where ``sign`` is +1, ``-log(1 - p + eps)`` where it is -1; no slope where it is 0.

    Example:
        >>> neg_log(torch.tensor([0.0, -100.0]), 1.0)
        Term(value=tensor([  0.6931, 100.0000]), slope=tensor([-0.5000, -1.0000]))
        >>> neg_log(torch.tensor([-100.0]), 1.0, eps=1e-5).value
        tensor([11.5129])
    """
    logits = logits.detach()
    if eps == 0.0:
        right = sign * logits
        return Term(-F.logsigmoid(right), -sign * torch.sigmoid(-right))
    p = torch.sigmoid(logits)
    shifted = 0.5 * (1.0 - sign) + sign * p + eps  # p at +1 and 1 - p at -1, to the bit
    return Term(-torch.log(shifted), -sign * (p * (1.0 - p) / shifted))


def smoothed(logits: Tensor, sign: Sign, share: Tensor | float, eps: float = 0.0) -> Term:
    """``(1 - share)`` of the loss of the side ``sign`` and ``share`` of the loss of the other side.

    Example:
        >>> smoothed(torch.tensor([2.0]), 1.0, share=0.1).value
        tensor([0.3269])
    """
    if eps == 0.0:
        right = sign * logits.detach()
        return Term(share * right - F.logsigmoid(right), sign * (share - torch.sigmoid(-right)))
    own, other = neg_log(logits, sign, eps), neg_log(logits, -sign, eps)
    return Term(
        (1.0 - share) * own.value + share * other.value, (1.0 - share) * own.slope + share * other.slope
    )


def entropy(logits: Tensor, eps: float = 0.0) -> Term:
    """Binary entropy ``H(p) = -p log(p + eps) - (1 - p) log(1 - p + eps)``; its slope is ``-s p (1 - p)`` at
    eps 0.

    Example:
        >>> entropy(torch.tensor([0.0, 50.0])).value.tolist()
        [0.693, 9.84e-21]
    """
    logits = logits.detach()
    if eps == 0.0:
        size = logits.abs()  # the entropy is even in the logit
        smaller = torch.sigmoid(-size)
        return Term(size * smaller - F.logsigmoid(size), logits * smaller * (smaller - 1.0))
    p = torch.sigmoid(logits)
    rest = 1.0 - p
    p_eps, rest_eps = p + eps, rest + eps
    log_p, log_rest = torch.log(p_eps), torch.log(rest_eps)
    by_p = log_rest - log_p - p / p_eps + rest / rest_eps
    return Term(-(p * log_p + rest * log_rest), p * rest * by_p)


def robust(logits: Tensor, sign: float, q: float) -> Term:
    """Generalised cross-entropy of one side, ``(1 - p^q) / q``: from ``-log p`` (q near 0) to ``1 - p`` (q =
    1).

    Its slope is ``-p^q (1 - p)``.

    Example:
        >>> robust(torch.tensor([0.0]), 1.0, q=1.0)
        Term(value=tensor([0.5000]), slope=tensor([-0.2500]))
    """
    right = sign * logits.detach()
    rest = torch.sigmoid(-right)
    if q == 1.0:
        return Term(rest, -sign * (torch.sigmoid(right) * rest))
    power = (q * F.logsigmoid(right)).exp()
    return Term((1.0 - power) * (1.0 / q), -sign * (power * rest))


def focus(logits: Tensor, sign: Sign, gamma: Tensor | float, term: Term) -> Term:
    """``term`` times (probability of the side ``sign``)^γ; both factors have a slope.

    Example:
        >>> focus(torch.tensor([0.0]), -1.0, 2.0, neg_log(torch.tensor([0.0]), 1.0)).value
        tensor([0.1733])
    """
    right = sign * logits.detach()
    factor = (gamma * F.logsigmoid(right)).exp()
    rate = gamma * sign * torch.sigmoid(-right)
    return Term(factor * term.value, factor * (rate * term.value + term.slope))


def probability(logits: Tensor, eps: float = 0.0) -> Tensor:
    """p as a function of the logits, with the slope ``p (1 - p)`` to full precision.

    That of ``torch.sigmoid`` is computed from the rounded p, hence exactly 0 from a logit of 17 upwards;
    ``eps > 0`` gives that one.
    """
    if eps > 0.0:
        return torch.sigmoid(logits)
    p = torch.sigmoid(logits.detach())
    return joined(logits, Term(p, p * torch.sigmoid(-logits.detach())))


def merge(labels: Tensor, pseudo: Tensor) -> Tensor:
    """Observed labels where there are any, else the pseudo-labels."""
    return labels + (labels == 0) * pseudo


def as_float(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels as numbers beside the logits; sums and products of -1, 0, 1 then select without any indexing."""
    return labels.to(logits.dtype)


def positives(labels: Tensor, logits: Tensor) -> Tensor:
    """1 where the label is +1, else 0."""
    return labels.to(logits.dtype).clamp(min=0.0)
