"""Regularised online label estimation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelabel.losses.base import Loss, Reduction, in_float32, prepare, require
from onelabel.losses.regulariser import expected_positive_regulariser
from onelabel.losses.sides import Sides
from onelabel.losses.slopes import joined
from onelabel.losses.terms import as_float

OBSERVED = 0.995  # estimated probability of an observed positive at the start
SPREAD = 0.6  # unknown entries start between 1 - SPREAD and SPREAD
CLIP = 1e-5  # estimates are kept this far from 0 and 1 before they become logits


def role(
    logits: Tensor,
    labels: Tensor,
    estimator_logits: Tensor,
    *,
    expected: float | None,
    eps: float = 0.0,
) -> Tensor:
    """Regularised online label estimation (ROLE): classifier and label estimator teach each other.

    With p the classifier's probabilities, q the estimator's, and a bar for "no derivative":
    ``½ [known(p) + CE(q̄, p)] + ½ [known(q) + CE(p̄, q)]``, ``known``: ``+1: -log``, ``-1: -log(1-·)``, ``0:
    0``, ``CE(t, p) = -t log p - (1-t) log(1-p)``; and ``½ [R(p) + R(q)]`` over the batch, added to every
    entry.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708, `loss_role`; the estimator is one free logit
    per image and class, trained by Adam at ten times the learning rate. Observed negatives, which the
    released function refuses, are supervised in both halves.

    Args:
        logits: (images, classes), of the classifier.
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        estimator_logits: (images, classes), of the estimator, for the same images.
        expected: k of :func:`~onelabel.losses.regulariser.expected_positive_regulariser`; None leaves R out.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> labels = torch.tensor([[1, 0]], dtype=torch.int8)
        >>> role(torch.zeros(1, 2), labels, torch.zeros(1, 2), expected=1.0)
        tensor([[1.3863, 0.6931]])
    """
    prepare(estimator_logits, labels)
    half = _half(prepare(logits, labels), labels, estimator_logits, eps)
    total = half + _half(in_float32(estimator_logits), labels, logits, eps)
    if expected is None:
        return 0.5 * total
    return 0.5 * total + role_regulariser(logits, estimator_logits, expected, eps=eps)


def role_regulariser(
    logits: Tensor, estimator_logits: Tensor, expected: float, *, eps: float = 0.0
) -> Tensor:
    """``½ [R(p) + R(q)]``, the term of :func:`role` over the batch."""
    regularisers = (
        expected_positive_regulariser(side, expected, eps=eps) for side in (logits, estimator_logits)
    )
    return 0.5 * sum(regularisers, torch.zeros((), device=logits.device))


def _half(logits: Tensor, labels: Tensor, teacher: Tensor, eps: float) -> Tensor:
    """The terms that teach ``logits``: known labels, and the teacher's probabilities as targets."""
    sign = as_float(labels, logits)
    teacher = in_float32(teacher.detach())
    present = sign.relu()
    # The targets of the known labels are added to those of the teacher, so each logarithm is taken once.
    to_present, to_absent = present + torch.sigmoid(teacher), present - sign + torch.sigmoid(-teacher)
    return joined(logits, Sides(logits, eps).mixed(to_present, to_absent))


def role_initial_logits(labels: Tensor, uniform: Tensor) -> Tensor:
    """The estimator's logits at the start of training.

    Unknown: ``logit(0.6) (2u - 1)``, that is probabilities in [0.4, 0.6]; observed: logit of 0.995 or 0.005.
    Source: Cole et al. (2021), `LabelEstimator`.

    Args:
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        uniform: (images, classes), u, independent and uniform in [0, 1).

    Returns:
        (images, classes), of the type of ``uniform``.

    Example:
        >>> labels = torch.tensor([[1, 0, -1]], dtype=torch.int8)
        >>> role_initial_logits(labels, torch.full((1, 3), 0.5))
        tensor([[ 5.2933,  0.0000, -5.2933]])
    """
    sign = as_float(labels, uniform)
    spread = math.log(SPREAD / (1.0 - SPREAD))
    observed = math.log(OBSERVED / (1.0 - OBSERVED))
    return (1.0 - sign.abs()) * spread * (2.0 * uniform - 1.0) + sign * observed


def role_logits_of(estimate: Tensor) -> Tensor:
    """Logits of given estimates, kept 1e-5 from 0 and 1: how the second phase of LinearInit begins.

    Example:
        >>> role_logits_of(torch.tensor([0.5, 1.0]))
        tensor([ 0.0000, 11.5116])
    """
    return torch.logit(estimate.clamp(CLIP, 1.0 - CLIP))


class ROLE(Loss):
    """Module of :func:`role`: ``loss(logits, labels, estimator_logits=...)``; a weight does not apply to
    R."""

    def __init__(self, expected: float, eps: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, eps)
        require(expected=(expected, 0.0, float("inf")))
        self.expected = expected

    def entries(self, logits: Tensor, labels: Tensor, estimator_logits: Tensor) -> Tensor:
        return role(logits, labels, estimator_logits, expected=None, eps=self.eps)

    def batch_term(self, logits: Tensor, _labels: Tensor, estimator_logits: Tensor) -> Tensor:
        return role_regulariser(logits, estimator_logits, self.expected, eps=self.eps)
