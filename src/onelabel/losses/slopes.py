"""Losses as sums of terms whose derivative in the logit is written down, not traced.

A loss of the field is a sum of coefficient × term, where the coefficients (which kind of label, which weight)
have no derivative. Value and derivative are computed side by side and joined to the logits in one step: about
half the operations of automatic differentiation, and a derivative that is as exact as its formula.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Term(NamedTuple):
    """A function of the logits: its value, of each entry or one for all, and its derivative in each logit."""

    value: Tensor
    slope: Tensor


class _Join(torch.autograd.Function):
    """The value, as a function of the logits with the given derivative. A second derivative is refused."""

    @staticmethod
    def forward(ctx: Any, _logits: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise NotImplementedError("losses have no second derivative: do not use create_graph")
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None


def joined(logits: Tensor, term: Term) -> Tensor:
    """One term as a function of the logits.

    Example:
        >>> logits = torch.tensor([[2.0, 3.0]], requires_grad=True)
        >>> joined(logits, Term(logits.detach() ** 2, 2 * logits.detach())).sum().backward()
        >>> logits.grad
        tensor([[4., 6.]])
    """
    found: Tensor = _Join.apply(logits, term.value, term.slope)
    return found


def _first(coefficient: Tensor | float, quantity: Tensor) -> Tensor:
    return quantity if isinstance(coefficient, float) and coefficient == 1.0 else coefficient * quantity


def _add(so_far: Tensor, coefficient: Tensor | float, quantity: Tensor) -> Tensor:
    if isinstance(coefficient, Tensor):
        return torch.addcmul(so_far, coefficient, quantity)
    return torch.add(so_far, quantity, alpha=coefficient)


def total(logits: Tensor, *parts: tuple[Tensor | float, Term]) -> Tensor:
    """The sum of coefficient × term as a function of the logits; the coefficients have no derivative.

    Example:
        >>> logits = torch.tensor([[2.0, 3.0]], requires_grad=True)
        >>> square = Term(logits.detach() ** 2, 2 * logits.detach())
        >>> total(logits, (torch.tensor([[1.0, 0.0]]), square), (0.5, square)).sum().backward()
        >>> logits.grad
        tensor([[6., 3.]])
    """
    coefficient, (value, slope) = parts[0]
    value, slope = _first(coefficient, value), _first(coefficient, slope)
    for coefficient, term in parts[1:]:
        value = _add(value, coefficient, term.value)
        slope = _add(slope, coefficient, term.slope)
    return joined(logits, Term(value, slope))
