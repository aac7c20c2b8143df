"""Entropy maximisation with asymmetric pseudo-labels."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.sides import Sides
from onelabel.losses.slopes import joined
from onelabel.losses.terms import as_float, complement


def em_apl(
    logits: Tensor, labels: Tensor, soft: Tensor, *, alpha: float = 0.1, beta: float = 0.9, eps: float = 0.0
) -> Tensor:
    """Entropy maximisation with asymmetric pseudo-labels (EM + APL).

    As :func:`~onelabel.losses.em.em`, but an unknown entry with a soft label t gives
    ``-β [t log p + (1-t) log(1-p)]``.

    Source: Zhou et al. (2022), https://arxiv.org/abs/2203.16219, `loss_EM_APL`; (α, β) = (0.2, 0.02) on VOC,
    (0.1, 0.9) on COCO, (0.1, 0.2) on NUS-WIDE, (0.01, 0.4) on CUB. That code writes t into the label matrix
    as -t, so that t = 0 means unknown; here it has its own tensor.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        soft: (images, classes) floating point, target probability, or a negative number where there is none;
            looked at only where the label is unknown.
        alpha: weight of the entropy, not negative.
        beta: weight of soft labels, not negative.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> labels = torch.tensor([[1, 0, 0]], dtype=torch.int8)
        >>> em_apl(torch.zeros(1, 3), labels, torch.tensor([[-1.0, 0.2, -1.0]]))
        tensor([[ 0.6931,  0.6238, -0.0693]])
    """
    logits = prepare(logits, labels)
    if soft.shape != logits.shape or not soft.is_floating_point():
        raise OneLabelError(
            f"soft is {soft.dtype} of shape {tuple(soft.shape)}; give floats shaped as the logits"
        )
    sign, target = as_float(labels, logits), soft.detach().to(logits.dtype)
    unknown, present = complement(sign.abs()), sign.relu()
    labelled = unknown * as_float(target >= 0.0, logits)
    weight = beta * labelled
    to_present = torch.addcmul(present, weight, target)
    to_absent = torch.addcmul(present - sign, weight, complement(target))
    return joined(logits, Sides(logits, eps).mixed(to_present, to_absent, alpha * (labelled - unknown)))


class EMAPL(Loss):
    """Module of :func:`em_apl`: ``loss(logits, labels, soft=soft)``."""

    def __init__(
        self, alpha: float = 0.1, beta: float = 0.9, eps: float = 0.0, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction, eps)
        require(alpha=(alpha, 0.0, float("inf")), beta=(beta, 0.0, float("inf")))
        self.alpha, self.beta = alpha, beta

    def entries(self, logits: Tensor, labels: Tensor, soft: Tensor) -> Tensor:
        return em_apl(logits, labels, soft, alpha=self.alpha, beta=self.beta, eps=self.eps)
