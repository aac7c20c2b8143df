"""Generalised robust loss with pseudo-labels taken at their word."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import prepare
from onelabel.losses.gr import Scheduled, gr
from onelabel.losses.terms import merge


def gr_pl(
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
    eps: float = 0.0,
) -> Tensor:
    """Generalised robust loss with pseudo-labels (GR-PL): they count as if they had been observed.

    :func:`~onelabel.losses.gr.gr` of the labels with their gaps filled.

    Source: the code khanhluong34/grloss_spml (93c4830), predecessor of AEVLP (Tran et al., 2025,
    https://arxiv.org/abs/2508.20381), `GR_loss`, eps = 1e-7.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        pseudo: (images, classes), the same convention; looked at only where the label is unknown.
        w: as in :func:`~onelabel.losses.gr.gr`, like those that follow.
        b: offset of K.
        mu: probability of the largest weight V.
        sigma: width of V.
        q2: exponent of the "present" half.
        q3: exponent of the "absent" half.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> labels, pseudo = torch.tensor([[[1, 0, 0]], [[0, 1, 0]]], dtype=torch.int8)
        >>> gr_pl(torch.zeros(1, 3), labels, pseudo)
        tensor([[0.6931, 0.6931, 0.5227]])
    """
    prepare(logits, labels, pseudo)
    return gr(logits, merge(labels, pseudo), w=w, b=b, mu=mu, sigma=sigma, q2=q2, q3=q3, eps=eps)


class GRPL(Scheduled):
    """Module of :func:`gr_pl`: ``loss(logits, labels, pseudo=pseudo)``; the schedule is that of
    :class:`GR`."""

    def entries(self, logits: Tensor, labels: Tensor, pseudo: Tensor) -> Tensor:
        return gr_pl(logits, labels, pseudo, **self.state._asdict(), q2=self.q2, q3=self.q3, eps=self.eps)
