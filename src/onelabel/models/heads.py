"""The classifier on top of pooled features, and how its bias starts."""

from __future__ import annotations

from typing import Literal, cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from onelabel.io.errors import OneLabelError, unknown_name

Initialisation = Literal["zero", "prior"]


class LinearHead(nn.Linear):
    """One linear layer: features (B, D) -> logits (B, C), ``logits = features @ weight.T + bias``.

    The weights start as torch starts any linear layer, uniform in ±1/√D from torch's generator (set its seed
    first); the bias starts at 0. See :func:`initialise` for the bias.

    Args:
        dim: length D of a feature vector.
        num_classes: number of classes C.

    Example:
        >>> LinearHead(8, 3)(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__(dim, num_classes)
        nn.init.zeros_(self.bias)


@torch.no_grad()
def initialise(head: LinearHead, how: Initialisation, prior: float | ArrayLike | None = None) -> None:
    """Set the bias that training starts from.

    ``zero`` starts every probability near 0.5. ``prior`` starts it at π by ``bias = log(π / (1 − π))``, so
    that the many absent cells do not swamp the first steps. Use one and the same for all methods
    of a comparison: where most cells are absent, the choice can move a method by more than methods differ.

    Source: Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", 2017, section 3.3,
    https://arxiv.org/abs/1708.02002 (one π = 0.01 for all classes there).

    Args:
        head: its bias is changed in place; its weights are left alone.
        how: ``"zero"`` or ``"prior"``.
        prior: for ``"prior"``: expected share of images that show a class, within (0, 1); one number, or one
            per class (C,).

    Raises:
        OneLabelError: unknown ``how``, no prior, or a prior outside (0, 1) or of the wrong length.

    Example:
        >>> head = LinearHead(8, 2)
        >>> initialise(head, "prior", [0.5, 0.1])
        >>> torch.sigmoid(head.bias)
        tensor([0.5000, 0.1000], grad_fn=<SigmoidBackward0>)
    """
    if how == "zero":
        head.bias.zero_()
    elif how == "prior":
        head.bias.copy_(torch.logit(_checked_prior(prior, head.out_features)))
    else:
        raise unknown_name("head initialisation", how, ("zero", "prior"))


def _checked_prior(prior: float | ArrayLike | None, num_classes: int) -> Tensor:
    if prior is None:
        raise OneLabelError("head initialisation 'prior' needs the expected share of positives")
    values = torch.as_tensor(cast(float, prior), dtype=torch.float64)
    if values.shape not in ((), (num_classes,)):
        raise OneLabelError(
            f"the prior has shape {tuple(values.shape)}; give one number or {num_classes}, one per class"
        )
    if not bool(((values > 0) & (values < 1)).all()):
        raise OneLabelError("the prior must lie between 0 and 1, both excluded")
    return values
