"""Assume negative with pseudo-labels."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.an import an
from onelabel.losses.base import Loss, prepare
from onelabel.losses.terms import merge


def an_pl(logits: Tensor, labels: Tensor, pseudo: Tensor, *, eps: float = 0.0) -> Tensor:
    """Assume negative with pseudo-labels (AN-PL): a positive pseudo-label counts as present.

    Observed +1, or pseudo +1 where unknown: ``-log p``; all else ``-log(1-p)``.

    Source: Tran et al. (2025), https://arxiv.org/abs/2508.20381, `AN_PL_loss`, eps = 1e-7. The released
    function ignores known negatives; here they are supervised.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        pseudo: (images, classes), the same convention; looked at only where the label is unknown.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> labels, pseudo = torch.tensor([[[1, 0, 0]], [[0, 1, 0]]], dtype=torch.int8)
        >>> an_pl(torch.ones(1, 3), labels, pseudo)
        tensor([[0.3133, 0.3133, 1.3133]])
    """
    prepare(logits, labels, pseudo)
    return an(logits, merge(labels, pseudo), eps=eps)


class ANPL(Loss):
    """Module of :func:`an_pl`: ``loss(logits, labels, pseudo=pseudo)``."""

    def entries(self, logits: Tensor, labels: Tensor, pseudo: Tensor) -> Tensor:
        return an_pl(logits, labels, pseudo, eps=self.eps)
