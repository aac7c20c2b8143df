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


def softplus(values: Tensor) -> Tensor:
    """``log(1 + exp(x))``; the default threshold of 20 would drop what float64 still sees."""
    return F.softplus(values, threshold=50.0)


_ONE = torch.ones((), device="cpu")


def complement(values: Tensor) -> Tensor:
    """``1 - x``; a tensor of no dimension in place of a number saves half the time on small batches."""
    return torch.sub(_ONE, values)


def plus(values: Tensor, number: float) -> Tensor:
    """``x + number``, as fast as :func:`complement`."""
    return torch.add(values, _ONE, alpha=number)


def neg_log(logits: Tensor, sign: Sign, eps: float = 0.0) -> Term:
    """``-log(p + eps)`` where ``sign`` is +1, ``-log(1 - p + eps)`` where it is -1; no slope where it is 0.

    Example:
        >>> neg_log(torch.tensor([0.0, -100.0]), 1.0)
        Term(value=tensor([  0.6931, 100.0000]), slope=tensor([-0.5000, -1.0000]))
        >>> neg_log(torch.tensor([-100.0]), 1.0, eps=1e-5).value
        tensor([11.5129])
    """
    logits, against = logits.detach(), -sign
    if eps == 0.0:
        wrong = against * logits
        return Term(softplus(wrong), against * torch.sigmoid(wrong))
    p = torch.sigmoid(logits)
    rest = complement(p)
    one_side = p if not isinstance(sign, Tensor) and sign > 0.0 else rest
    # lerp gives one of the two, to the bit
    likelihood = torch.lerp(rest, p, sign.relu()) if isinstance(sign, Tensor) else one_side
    shifted = plus(likelihood, eps)
    return Term(-torch.log(shifted), against * (p * rest / shifted))


def smoothed(logits: Tensor, sign: Sign, share: Tensor | float, eps: float = 0.0) -> Term:
    """``(1 - share)`` of the loss of the side ``sign`` and ``share`` of the loss of the other side.

    Example:
        >>> smoothed(torch.tensor([2.0]), 1.0, share=0.1).value
        tensor([0.3269])
    """
    if eps == 0.0:
        wrong = -sign * logits.detach()
        return Term(softplus(wrong) - share * wrong, sign * (share - torch.sigmoid(wrong)))
    own, other = neg_log(logits, sign, eps), neg_log(logits, -sign, eps)
    return Term(
        (1.0 - share) * own.value + share * other.value, (1.0 - share) * own.slope + share * other.slope
    )


def focus(logits: Tensor, sign: Sign, gamma: Tensor | float, term: Term) -> Term:
    """``term`` times (probability of the side ``sign``)^γ; both factors have a slope.

    Example:
        >>> focus(torch.tensor([0.0]), -1.0, 2.0, neg_log(torch.tensor([0.0]), 1.0)).value
        tensor([0.1733])
    """
    right = sign * logits.detach()
    factor = (-gamma * softplus(-right)).exp()
    rate = gamma * sign * torch.sigmoid(-right)
    return Term(factor * term.value, factor * (rate * term.value + term.slope))


def probability(logits: Tensor, eps: float = 0.0) -> Tensor:
    """p as a function of the logits, with the slope ``p (1 - p)`` to full precision.

    That of ``torch.sigmoid`` is computed from the rounded p, hence exactly 0 from a logit of 17 upwards;
    ``eps > 0`` gives that one.
    """
    return torch.sigmoid(logits) if eps > 0.0 else joined(logits, likelihood(logits))


def likelihood(logits: Tensor, eps: float = 0.0) -> Term:
    """p as a term; see :func:`probability`."""
    p = torch.sigmoid(logits.detach())
    return Term(p, p * (torch.sigmoid(-logits.detach()) if eps == 0.0 else 1.0 - p))


def merge(labels: Tensor, pseudo: Tensor) -> Tensor:
    """Observed labels where there are any, else the pseudo-labels."""
    return labels + (labels == 0) * pseudo


def as_float(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels as numbers beside the logits; sums and products of -1, 0, 1 then select without any indexing."""
    return labels.to(logits.dtype)


def positives(labels: Tensor, logits: Tensor) -> Tensor:
    """1 where the label is +1, else 0."""
    return labels.to(logits.dtype).relu()


def assumed(labels: Tensor, logits: Tensor) -> Tensor:
    """+1 where the label is +1, else -1: what is unknown counts as absent."""
    return (labels.to(logits.dtype) - 0.5).sign()
