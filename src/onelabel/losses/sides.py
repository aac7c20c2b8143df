"""Both sides of every entry, present and absent, for losses that mix them."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.slopes import Term
from onelabel.losses.terms import complement, plus, softplus


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
            small, up = softplus(-self.logits.abs()), self.logits.relu()
            # Sums of two that are not negative: nothing cancels.
            self.losses = small + (up - self.logits), small + up
        else:
            self.rest = complement(self.p)
            self.shifted = plus(self.p, eps), plus(self.rest, eps)
            self.losses = -torch.log(self.shifted[0]), -torch.log(self.shifted[1])

    @property
    def present(self) -> Term:
        if self.eps == 0.0:
            return Term(self.losses[0], -self.rest)
        return Term(self.losses[0], self.p * self.rest / -self.shifted[0])

    @property
    def absent(self) -> Term:
        slope = self.p if self.eps == 0.0 else self.p * self.rest / self.shifted[1]
        return Term(self.losses[1], slope)

    def mixed(self, to_present: Tensor, to_absent: Tensor, to_entropy: Tensor | None = None) -> Term:
        """``to_present · present + to_absent · absent + to_entropy · H(p)``; the factors have no derivative.

        ``H(p) = -p log(p + eps) - (1 - p) log(1 - p + eps)``, whose slope is ``-s p (1 - p)`` at eps 0.

        Example:
            >>> nothing, one = torch.zeros(2), torch.ones(2)
            >>> Sides(torch.tensor([0.0, 50.0])).mixed(nothing, nothing, one).value.tolist()
            [0.693, 9.84e-21]
        """
        present, absent = self.losses
        by_present, by_absent = to_present, to_absent
        if to_entropy is not None:
            by_present = torch.addcmul(to_present, to_entropy, self.p)
            by_absent = torch.addcmul(to_absent, to_entropy, self.rest)
        value = torch.addcmul(by_present * present, by_absent, absent)
        if self.eps == 0.0:
            return Term(value, self._exact_slope(to_present, to_absent, to_entropy))
        inside = by_absent / self.shifted[1]
        if to_entropy is not None:
            inside = torch.addcmul(inside, to_entropy, present - absent)
        inside = torch.addcdiv(inside, by_present, self.shifted[0], value=-1.0)
        return Term(value, inside * (self.p * self.rest))

    def _exact_slope(self, to_present: Tensor, to_absent: Tensor, to_entropy: Tensor | None) -> Tensor:
        slope = torch.addcmul(to_absent * self.p, to_present, self.rest, value=-1.0)
        if to_entropy is None:
            return slope
        return torch.addcmul(slope, to_entropy * self.logits, self.p * self.rest, value=-1.0)

    def robust_present(self, q: float) -> Term:
        """Generalised cross-entropy ``(1 - p^q) / q``: from ``-log p`` (q near 0) to ``1 - p`` (q = 1).

        Its slope is ``-p^q (1 - p)``.

        Example:
            >>> Sides(torch.tensor([0.0])).robust_present(q=1.0)
            Term(value=tensor([0.5000]), slope=tensor([-0.2500]))
        """
        power = self._power(self.p, self.losses[0], q)
        return Term(complement(power) * (1.0 / q) if q != 1.0 else self.rest, power * -self.rest)

    def robust_absent(self, q: float) -> Term:
        """``(1 - (1 - p)^q) / q``, with the slope ``(1 - p)^q p``."""
        power = self._power(self.rest, self.losses[1], q)
        return Term(complement(power) * (1.0 / q) if q != 1.0 else self.p, power * self.p)

    def _power(self, base: Tensor, loss: Tensor, q: float) -> Tensor:
        if q == 1.0:
            return base
        return base.pow(q) if self.eps > 0.0 else torch.exp(-q * loss)
