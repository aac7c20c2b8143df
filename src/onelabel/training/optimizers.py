"""The optimisers of the papers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from onelabel.training.settings import Settings

_MOMENTUM = 0.9  # train.py of LargeLossMatters, the one published code with SGD


def make_optimizer(
    groups: Iterable[nn.Parameter] | Iterable[dict[str, Any]], settings: Settings
) -> Optimizer:
    """Return the optimiser of a run.

    "adam" is the choice of all papers here but one: Kim et al. 2022 (https://arxiv.org/abs/2206.03740; code
    https://github.com/snucml/LargeLossMatters, 5025d16) train on PASCAL VOC with "sgd", momentum 0.9.

    Args:
        groups: weights, or groups of them with a learning rate each.
        settings: of the run; weight decay is added to the gradient (L2) with both.

    Example:
        >>> import torch
        >>> weight = nn.Parameter(torch.zeros(1))
        >>> make_optimizer([weight], Settings(optimizer="sgd", lr=0.5)).defaults["momentum"]
        0.9
    """
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.lr, momentum=_MOMENTUM, weight_decay=settings.weight_decay)
    return Adam(groups, lr=settings.lr, weight_decay=settings.weight_decay)
