"""Generalised pseudo-label robust loss."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.losses.base import Reduction, prepare, require
from onelabel.losses.gr import Four, Scheduled
from onelabel.losses.gr_parts import gr_framework, gr_k, gr_v
from onelabel.losses.regulariser import expected_positive_regulariser
from onelabel.losses.sides import Sides
from onelabel.losses.terms import as_float, complement, merge


def gpr(
    logits: Tensor,
    labels: Tensor,
    pseudo: Tensor,
    *,
    w: float = 0.0,
    b: float = -2.0,
    mu: float = 0.5,
    sigma: float = 2.0,
    q2: float = 0.01,
    q3: float = 1.0,
    lam1: float = 0.7,
    lam2: float = 0.4,
    rho: float = 0.9,
    reg: float = 0.05,
    expected: float | None = None,
    eps: float = 0.0,
) -> Tensor:
    """Generalised pseudo-label robust loss (GPR): GR, with pseudo-labels believed the more, the rarer V is.

    With K and V as in :func:`~onelabel.losses.gr.gr`, both without derivative:
    observed ``+1: -log p``; pseudo ``+1: -(1-Ṽ) [ρ log p + (1-ρ) log(1-p)]``, Ṽ = V within [1-λ₁, 1-λ₂];
    observed or pseudo ``-1: -V log(1-p)``; else ``V [K (1 - p^q2) / q2 + (1-K) (1 - (1-p)^q3) / q3]``.
    Where ``expected`` is given, ``reg · R(p)`` over the batch is added to every entry.

    Source: Tran et al. (2025), https://arxiv.org/abs/2508.20381, `GPR_loss`, eps = 1e-7, defaults of its VOC
    file.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        pseudo: (images, classes), the same convention; looked at only where the label is unknown.
        w: slope of K.
        b: offset of K.
        mu: probability of the largest weight V.
        sigma: width of V.
        q2: exponent of the "present" half.
        q3: exponent of the "absent" half.
        lam1: λ₁, largest weight of a positive pseudo-label.
        lam2: λ₂, smallest weight of a positive pseudo-label.
        rho: target probability of a positive pseudo-label.
        reg: weight of R.
        expected: k of :func:`~onelabel.losses.regulariser.expected_positive_regulariser`; None leaves R out.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> labels, pseudo = torch.tensor([[[1, 0, 0]], [[0, 1, 0]]], dtype=torch.int8)
        >>> gpr(torch.zeros(1, 3), labels, pseudo)
        tensor([[0.6931, 0.2773, 0.5227]])
    """
    logits = prepare(logits, labels, pseudo)
    observed, final = as_float(labels, logits), as_float(merge(labels, pseudo), logits)
    sides = Sides(logits, eps)
    v, present, decided = gr_v(sides.p, mu, sigma), observed.relu(), final.relu()
    trust = (decided - present) * complement(v.clamp(1.0 - lam1, 1.0 - lam2))
    to_present = torch.add(present, trust, alpha=rho)
    to_absent = torch.addcmul((1.0 - rho) * trust, decided - final, v)
    entries = gr_framework(
        logits,
        sides.mixed(to_present, to_absent),
        unknown=complement(final.abs()),
        k=gr_k(sides.p, w, b),
        v=v,
        present=sides.robust_present(q2),
        absent=sides.robust_absent(q3),
    )
    if expected is None:
        return entries
    return entries + reg * expected_positive_regulariser(logits, expected, eps=eps)


class GPR(Scheduled):
    """Module of :func:`gpr`: ``loss(logits, labels, pseudo=pseudo)``; schedule as
    :class:`~onelabel.losses.gr.Scheduled`.

    A weight applies to the entries, not to R.
    """

    def __init__(
        self,
        beta: Four = (0.0, 2.0, -2.0, -2.0),
        alpha: Four = (0.5, 2.0, 0.8, 0.5),
        q2: float = 0.01,
        q3: float = 1.0,
        lam1: float = 0.7,
        lam2: float = 0.4,
        rho: float = 0.9,
        reg: float = 0.05,
        expected: float | None = None,
        linear_epochs: int = 0,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(beta, alpha, q2, q3, linear_epochs, eps, reduction)
        inf = float("inf")
        require(lam1=(lam1, 0.0, 1.0), lam2=(lam2, 0.0, lam1), rho=(rho, 0.0, 1.0), reg=(reg, 0.0, inf))
        require(expected=(expected or 0.0, 0.0, inf))
        self.lam1, self.lam2, self.rho, self.reg, self.expected = lam1, lam2, rho, reg, expected

    def entries(self, logits: Tensor, labels: Tensor, pseudo: Tensor) -> Tensor:
        return gpr(
            logits,
            labels,
            pseudo,
            **self.state._asdict(),
            q2=self.q2,
            q3=self.q3,
            lam1=self.lam1,
            lam2=self.lam2,
            rho=self.rho,
            eps=self.eps,
        )

    def batch_term(self, logits: Tensor, _labels: Tensor, **_inputs: Tensor) -> Tensor | None:
        if self.expected is None:
            return None
        return self.reg * expected_positive_regulariser(logits, self.expected, eps=self.eps)
