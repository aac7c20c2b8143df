"""Both sides of every entry, present and absent, for losses that mix them."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.slopes import Term
from onelabel.losses.terms import softplus


class Sides:
    """p and 1 - p, their losses and what is made of them, each computed once.

    ``present`` is ``-log(p + eps)``, ``absent`` is ``-log(1 - p + eps)``; on ``eps`` see
    :mod:`onelabel.losses.terms`.

    Args:
        logits: (images, classes).
        eps: constant inside the logarithms.

    Example:
        >>> both = Sides(torch.tensor([0.0, -100.0]))
        >>> both.present
        Term(value=tensor([  0.6931, 100.0000]), slope=tensor([-0.5000, -1.0000]))
        >>> Sides(torch.tensor([-100.0]), eps=1e-5).present.value
        tensor([11.5129])
    """

    def __init__(self, logits: Tensor, eps: float = 0.0) -> None:
        self.logits, self.eps = logits.detach(), eps
        self.p = torch.sigmoid(self.logits)
        if eps == 0.0:
            self.rest = torch.sigmoid(-self.logits)
            small, up = softplus(-self.logits.abs()), self.logits.clamp(min=0.0)
            # Sums of two that are not negative: nothing cancels.
            self.present = Term(small + (up - self.logits), -self.rest)
            self.absent = Term(small + up, self.p)
        else:
            self.rest = 1.0 - self.p
            p_eps, rest_eps, both = self.p + eps, self.rest + eps, self.p * self.rest
            self.present = Term(-torch.log(p_eps), -(both / p_eps))
            self.absent = Term(-torch.log(rest_eps), both / rest_eps)

    def entropy(self) -> Term:
        """``H(p) = -p log(p + eps) - (1 - p) log(1 - p + eps)``; its slope is ``-s p (1 - p)`` at eps 0.

        Example:
            >>> Sides(torch.tensor([0.0, 50.0])).entropy().value.tolist()
            [0.693, 9.84e-21]
        """
        value = torch.addcmul(self.p * self.present.value, self.rest, self.absent.value)
        both = self.p * self.rest
        if self.eps == 0.0:
            return Term(value, -(self.logits * both))
        inside = torch.addcmul(self.p * self.present.slope, self.rest, self.absent.slope)
        return Term(value, torch.addcmul(inside, both, self.present.value - self.absent.value))

    def robust_present(self, q: float) -> Term:
        """Generalised cross-entropy ``(1 - p^q) / q``: from ``-log p`` (q near 0) to ``1 - p`` (q = 1).

        Its slope is ``-p^q (1 - p)``.

        Example:
            >>> Sides(torch.tensor([0.0])).robust_present(q=1.0)
            Term(value=tensor([0.5000]), slope=tensor([-0.2500]))
        """
        power = self._power(self.p, self.present, q)
        return Term((1.0 - power) * (1.0 / q) if q != 1.0 else self.rest, -(power * self.rest))

    def robust_absent(self, q: float) -> Term:
        """``(1 - (1 - p)^q) / q``, with the slope ``(1 - p)^q p``."""
        power = self._power(self.rest, self.absent, q)
        return Term((1.0 - power) * (1.0 / q) if q != 1.0 else self.p, power * self.p)

    def _power(self, base: Tensor, loss: Term, q: float) -> Tensor:
        if q == 1.0:
            return base
        return base.pow(q) if self.eps > 0.0 else torch.exp(-q * loss.value)
