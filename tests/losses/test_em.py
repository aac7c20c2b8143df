"""Entropy maximisation: the equation, the promises of a loss, what it is for. A pattern to imitate."""

from __future__ import annotations

import math

import pytest
import torch

from onelabel import losses
from onelabel.losses.em import em
from onelabel.testing import check_loss

LABELS = torch.tensor([[1, 0, -1], [0, 0, 1]], dtype=torch.int8)


def slow(s: float, label: int, alpha: float, eps: float) -> float:
    """The equation of one entry, as slowly as it reads."""
    p = 1.0 / (1.0 + math.exp(-s))
    present, absent = -math.log(p + eps), -math.log(1.0 - p + eps)
    return {1: present, 0: -alpha * (p * present + (1.0 - p) * absent), -1: absent}[label]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("eps", [0.0, 1e-5, 1e-2])
def test_value_and_derivative(seed: int, eps: float) -> None:
    torch.manual_seed(seed)
    logits = (2.5 * torch.randn(2, 3, dtype=torch.float64)).requires_grad_()
    wanted = [
        [slow(s, label, 0.2, eps) for s, label in zip(*rows, strict=True)]
        for rows in zip(logits.tolist(), LABELS.tolist(), strict=True)
    ]
    found = em(logits, LABELS, alpha=0.2, eps=eps)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(lambda s: em(s, LABELS, alpha=0.2, eps=eps), logits)


def test_the_promises_of_a_loss() -> None:
    check_loss(losses.create("em", alpha=0.2))


def test_unknown_entries_are_pushed_towards_one_half_and_less_where_confident() -> None:
    logits = torch.tensor([[-8.0, -1.0, 0.0, 1.0, 8.0]], requires_grad=True)
    value = em(logits, torch.zeros(1, 5, dtype=torch.int8)).sum()
    (gradient,) = torch.autograd.grad(value, logits)
    low, lower, middle, upper, high = gradient[0].tolist()
    assert lower < low < middle == 0.0 < high < upper
