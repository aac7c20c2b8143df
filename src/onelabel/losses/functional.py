"""The pure functions: ``f(logits, labels, *, ..., eps=0.0)`` gives the loss of each entry, (images, classes).

Pseudo-label losses are ``f(logits, labels, pseudo, *, ..., eps=0.0)``. A function has the name of its loss
with ``_`` for ``-``, and stands in the file of the loss; this module looks it up in the registry.

Example:
    >>> import torch
    >>> from onelabel.losses import functional
    >>> functional.em(torch.zeros(1, 2), torch.tensor([[1, 0]], dtype=torch.int8), alpha=0.1)
    tensor([[ 0.6931, -0.0693]])
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from torch import Tensor

from onelabel.losses.apl import apl_counts, apl_select
from onelabel.losses.gr_parts import GRState, gr_framework, gr_k, gr_schedule, gr_v
from onelabel.losses.large_loss import clean_rate, large_loss_count, large_loss_threshold, large_losses
from onelabel.losses.registry import catalogue
from onelabel.losses.regulariser import expected_positive_regulariser
from onelabel.losses.role import role_initial_logits, role_logits_of, role_regulariser

# Terms over the batch, schedules and label updates; the losses themselves come through the registry.
__all__ = [
    "GRState",
    "apl_counts",
    "apl_select",
    "clean_rate",
    "expected_positive_regulariser",
    "gr_framework",
    "gr_k",
    "gr_schedule",
    "gr_v",
    "large_loss_count",
    "large_loss_threshold",
    "large_losses",
    "role_initial_logits",
    "role_logits_of",
    "role_regulariser",
]


def __getattr__(name: str) -> Callable[..., Tensor]:
    for entry in catalogue():
        if entry.function == name:
            function: Callable[..., Tensor] = getattr(importlib.import_module(entry.module), name)
            return function
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([entry.function for entry in catalogue()] + __all__)
