"""The parts of the generalised robust framework: K, V, their schedule, and how they are put together.

Source: Chen et al. (2024), https://arxiv.org/abs/2405.03501, code yan4xi1/GRLoss (5e13f7f), `KFunction`,
`VFunction` and the schedule in its training script, which AEVLP shares.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from onelabel.losses.slopes import Term, total
from onelabel.losses.terms import plus


class GRState(NamedTuple):
    """The parameters of K and V in one epoch."""

    w: float
    b: float
    mu: float
    sigma: float


def gr_k(probs: Tensor, w: float, b: float) -> Tensor:
    """K: ``sigmoid(w p + b)``, the guess that an unknown label is present, given the prediction p.

    Example:
        >>> gr_k(torch.tensor([0.0, 1.0]), w=2.0, b=-2.0)
        tensor([0.1192, 0.5000])
    """
    return torch.sigmoid(plus(w * probs, b))


def gr_v(probs: Tensor, mu: float, sigma: float) -> Tensor:
    """V: ``exp(-½ ((p - μ) / σ)²)``, the weight of an unknown entry.

    Example:
        >>> gr_v(torch.tensor([0.5, 1.0]), mu=0.5, sigma=0.5)
        tensor([1.0000, 0.6065])
    """
    return torch.exp(plus(probs, -mu).square() * (-0.5 / sigma**2))


def gr_schedule(
    epoch: int,
    epochs: int,
    *,
    beta: tuple[float, float, float, float],
    alpha: tuple[float, float, float, float],
    linear_epochs: int = 0,
) -> GRState:
    """w, b, μ and σ in ``epoch`` of ``epochs``, counted from 1.

    All move linearly after ``linear_epochs``. As released, w and b still have their first values in the first
    epoch that moves and never reach the last ones; μ and σ have made a step by then, and reach them.

    Args:
        epoch: from 1.
        epochs: length of the training, more than ``linear_epochs``.
        beta: w at first and at last, b at first and at last.
        alpha: μ and σ at first, μ and σ at last.
        linear_epochs: n.

    Returns:
        The state; ``w = w₀ + (w₁ - w₀) max(t - n - 1, 0) / (T - n)``, ``μ = μ₀ + (μ₁ - μ₀) max(t - n, 0) / (T
        - n)``.

    Example:
        >>> gr_schedule(8, 8, beta=(0, 10, -2, -8), alpha=(0.5, 2, 0.8, 0.5))
        GRState(w=8.75, b=-7.25, mu=0.8, sigma=0.5)
    """
    span = epochs - linear_epochs
    late, step = max(epoch - linear_epochs - 1, 0), max(epoch - linear_epochs, 0)

    def move(first: float, last: float, steps: int) -> float:
        return first + (last - first) * steps / span

    return GRState(
        w=move(beta[0], beta[1], late),
        b=move(beta[2], beta[3], late),
        mu=move(alpha[0], alpha[2], step),
        sigma=move(alpha[1], alpha[3], step),
    )


def gr_framework(
    logits: Tensor,
    known: Term,
    *,
    unknown: Tensor,
    k: Tensor | float,
    v: Tensor | float,
    present: Term,
    absent: Term,
) -> Tensor:
    """The framework that many losses are members of: L1 on what is known, ``V [K L2 + (1 - K) L3]`` on the
    rest.

    K and V have no derivative; a term is a value with its slope (:mod:`onelabel.losses.slopes`).

    Args:
        logits: (images, classes).
        known: L1, the loss of the known entries, 0 elsewhere.
        unknown: (images, classes), 1 where the label is unknown, else 0.
        k: probability that an unknown label is present.
        v: weight of unknown entries.
        present: L2, the loss of an unknown entry if it is present.
        absent: L3, the loss of an unknown entry if it is absent.

    Returns:
        (images, classes).

    Example:
        >>> from onelabel.losses.sides import Sides
        >>> sides, known = Sides(torch.tensor([[0.0, 1.0]])), torch.tensor([[1.0, 0.0]])
        >>> first = sides.mixed(known, torch.zeros(1, 2))
        >>> second = {"k": 0.5, "v": 0.1, "present": sides.present, "absent": sides.absent}
        >>> gr_framework(sides.logits, first, unknown=1.0 - known, **second)
        tensor([[0.6931, 0.0813]])
    """
    weight = unknown * v
    weight_present = weight * k
    return total(logits, (1.0, known), (weight_present, present), (weight - weight_present, absent))
