"""Generalised robust loss."""

from __future__ import annotations

import math

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.gr_parts import GRState, gr_framework, gr_k, gr_schedule, gr_v
from onelabel.losses.sides import Sides
from onelabel.losses.terms import as_float, complement

Four = tuple[float, float, float, float]


def gr(
    logits: Tensor,
    labels: Tensor,
    *,
    w: float = 0.0,
    b: float = -2.0,
    mu: float = 0.5,
    sigma: float = 2.0,
    q2: float = 0.01,
    q3: float = 1.0,
    eps: float = 0.0,
) -> Tensor:
    """Generalised robust loss (GR): an unknown label is present with a probability K guessed from p.

    ``+1: -log p``, ``0: V [K (1 - p^q2) / q2 + (1 - K) (1 - (1-p)^q3) / q3]``, ``-1: -log(1-p)``, with
    ``K = sigmoid(w p + b)`` and ``V = exp(-½ ((p - μ) / σ)²)``, both without derivative.

    Source: Chen et al. (2024), https://arxiv.org/abs/2405.03501, `GR_loss`, eps = 1e-7; w, b, μ, σ move with
    the epoch (:func:`~onelabel.losses.gr_parts.gr_schedule`). The released function ignores known negatives;
    here they are supervised.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        w: slope of K.
        b: offset of K.
        mu: probability of the largest weight V.
        sigma: width of V, positive.
        q2: exponent of the "present" half, positive; near 0 it is -log p, 1 is 1 - p.
        q3: exponent of the "absent" half, positive.
        eps: constant inside the logarithms (the powers have none).

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> gr(torch.zeros(1, 3), torch.tensor([[1, 0, -1]], dtype=torch.int8))
        tensor([[0.6931, 0.5227, 0.6931]])
    """
    logits = prepare(logits, labels)
    sign, sides = as_float(labels, logits), Sides(logits, eps)
    present = sign.relu()
    return gr_framework(
        logits,
        sides.mixed(present, present - sign),
        unknown=complement(sign.abs()),
        k=gr_k(sides.p, w, b),
        v=gr_v(sides.p, mu, sigma),
        present=sides.robust_present(q2),
        absent=sides.robust_absent(q3),
    )


class Scheduled(Loss):
    """A loss with K and V, whose w, b, μ, σ follow the schedule through :meth:`start_epoch`.

    Until the first call they have their first values.

    Args:
        beta: w at first and at last, b at first and at last.
        alpha: μ and σ at first, μ and σ at last.
        q2: exponent of the "present" half, positive; near 0 it is -log p, 1 is 1 - p.
        q3: exponent of the "absent" half, positive.
        linear_epochs: epochs at the beginning in which only the head trains and nothing moves.
        eps: constant inside the logarithms.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(
        self,
        beta: Four = (0.0, 2.0, -2.0, -2.0),
        alpha: Four = (0.5, 2.0, 0.8, 0.5),
        q2: float = 0.01,
        q3: float = 1.0,
        linear_epochs: int = 0,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        tiny = 1e-6
        require(q2=(q2, tiny, math.inf), q3=(q3, tiny, math.inf), linear_epochs=(linear_epochs, 0, math.inf))
        require(**{"first sigma": (alpha[1], tiny, math.inf), "last sigma": (alpha[3], tiny, math.inf)})
        self.beta, self.alpha, self.q2, self.q3, self.linear_epochs = beta, alpha, q2, q3, linear_epochs
        self.state = GRState(w=beta[0], b=beta[2], mu=alpha[0], sigma=alpha[1])

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.state = gr_schedule(
            epoch, epochs, beta=self.beta, alpha=self.alpha, linear_epochs=self.linear_epochs
        )


class GR(Scheduled):
    """Module of :func:`gr`; see :class:`Scheduled`."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return gr(logits, labels, **self.state._asdict(), q2=self.q2, q3=self.q3, eps=self.eps)
