"""The classifier on top of pooled features, and how its bias starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from onelabel.io.errors import OneLabelError, unknown_name

Initialisation = Literal["zero", "prior"]


BOOST = 5.0
"""α of BoostLU, as published."""


class LinearHead(nn.Linear):
    """One linear layer: features (B, D) -> logits (B, C), ``logits = features @ weight.T + bias``.

    Maps of features (B, D, H, W) are classified position by position, and the logits are the mean over the
    positions: without ``boost`` those of the mean features.

    With ``boost`` α > 1 this is BoostLU: at each position a class score s becomes α·s where s > 0, before the
    mean, in training and in use alike; evidence for a class then outweighs its absence elsewhere. Pooled
    features are one position: the order of images within a class stays, what is trained differs.

    The weights start as torch starts any linear layer, uniform in ±1/√D from torch's generator (set its seed
    first); the bias starts at 0. See :func:`initialise` for the bias.

    Source: Kim et al., "Bridging the Gap between Model Explanations in Partially Annotated Multi-label
    Classification", 2023, https://arxiv.org/abs/2304.01804; code youngwk/BridgeGapExplanationPAMC (3f3fbaa),
    ``models.py``: α = 5, on the last maps of a ResNet, with the large-loss methods: Δ = 0.5 for ``ll-r``, 0.2
    for ``ll-ct``, 0.1 for ``ll-cp``. The bias starts at random there.

    Args:
        dim: length D of a feature vector.
        num_classes: number of classes C.
        boost: α of BoostLU, 1 or more; 1 is a plain linear head.
        maps: whether the network around it is to give it maps in place of their mean, as published.

    Raises:
        OneLabelError: ``boost`` out of range.

    Example:
        >>> LinearHead(8, 3)(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
        >>> head = LinearHead(1, 1, boost=5)
        >>> torch.nn.init.ones_(head.weight)[0]
        tensor([1.], grad_fn=<SelectBackward0>)
        >>> head(torch.tensor([[[[-1.0, 3.0]]]]))  # (-1 + 5 · 3) / 2
        tensor([[7.]], grad_fn=<MeanBackward1>)
    """

    def __init__(self, dim: int, num_classes: int, boost: float = 1.0, maps: bool = False) -> None:
        super().__init__(dim, num_classes)
        if not 1 <= boost < math.inf:
            raise OneLabelError(f"the boost of a head must be 1 or more, not {boost}")
        self.boost, self.maps = float(boost), maps
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (B, C) of features (B, D) or maps (B, D, H, W)."""
        if features.dim() == 4:
            return self._scores(features.flatten(2).transpose(1, 2)).mean(dim=1)
        return self._scores(features)

    def _scores(self, features: Tensor) -> Tensor:
        scores = super().forward(features)
        return scores if self.boost == 1.0 else torch.where(scores > 0, self.boost * scores, scores)

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return what is needed beside the weights to build it again; JSON-like."""
        plain: dict[str, str | int | float | bool] = {"kind": "linear", "dim": self.in_features}
        return plain if self.boost == 1.0 else {**plain, "boost": self.boost, "maps": self.maps}

    def extra_repr(self) -> str:
        """Say the boost, where there is one."""
        return super().extra_repr() + (f", boost={self.boost:g}" if self.boost != 1.0 else "")


class MLPHead(LinearHead):
    """One hidden layer: features (B, D) -> width -> logits (B, C), ``W₂ max(W₁ x + b₁, 0) + b₂``.

    ``weight`` and ``bias`` are those of the last layer, whose bias starts as that of a :class:`LinearHead`;
    the hidden layer starts as torch starts any linear layer.

    Args:
        dim: length D of a feature vector.
        num_classes: number of classes C.
        width: of the hidden layer.

    Example:
        >>> head = MLPHead(8, 3, width=16)
        >>> head(torch.zeros(2, 8)).shape, head.in_features
        (torch.Size([2, 3]), 8)
    """

    def __init__(self, dim: int, num_classes: int, width: int) -> None:
        super().__init__(width, num_classes)
        self.hidden = nn.Linear(dim, width)
        self.in_features = dim  # what comes in from outside

    def _scores(self, features: Tensor) -> Tensor:
        return super()._scores(torch.relu(self.hidden(features)))

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return what is needed beside the weights to build it again; JSON-like."""
        return {"kind": "mlp", "dim": self.in_features, "width": self.hidden.out_features}


def rebuild_head(description: Mapping[str, Any], state: Mapping[str, Tensor]) -> LinearHead:
    """Build the head that fits recorded weights; they are not loaded yet.

    Args:
        description: what ``describe`` returned, from a file that may have been changed.
        state: weights by name.

    Raises:
        OneLabelError: the weights are not those of such a head.

    Example:
        >>> head = MLPHead(8, 3, width=16)
        >>> rebuild_head(head.describe(), head.state_dict()).describe() == head.describe()
        True
    """
    weight, hidden = state.get("weight"), state.get("hidden.weight")
    mlp = description.get("kind") == "mlp"
    for tensor in (weight, hidden) if mlp else (weight,):
        if tensor is None or tensor.dim() != 2 or 0 in tensor.shape:
            raise OneLabelError(f"there are no weights of a {'MLP' if mlp else 'linear'} head")
    assert weight is not None
    if mlp:
        assert hidden is not None
        return MLPHead(hidden.shape[1], weight.shape[0], hidden.shape[0])
    boost, maps = description.get("boost", 1.0), description.get("maps", False)
    if type(boost) not in (int, float) or type(maps) is not bool:
        raise OneLabelError("the description of the head holds a boost that is no number")
    return LinearHead(weight.shape[1], weight.shape[0], boost, maps)


@torch.no_grad()
def initialise(head: LinearHead, how: Initialisation, prior: float | ArrayLike | None = None) -> None:
    """Set the bias that training starts from.

    ``zero`` starts every probability near 0.5. ``prior`` starts it at π by ``bias = log(π / (1 − π))``, so
    that the many absent cells do not swamp the first steps. Use one and the same for all methods
    of a comparison: where most cells are absent, the choice can move a method by more than methods differ.
    With BoostLU, π holds for the score before it is boosted, which a π below ½ is not.

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
