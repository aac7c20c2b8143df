"""Every published loss for partly labelled images, behind one interface.

The catalogue is torch-free; a loss is imported when it is asked for. ``create("em", alpha=0.1)`` builds the
module, ``onelabel.losses.functional.em`` is the function under it, ``onelabel.losses.EM`` its class.

Example:
    >>> import torch
    >>> from onelabel import losses
    >>> losses.create("em", alpha=0.2)
    EM(reduction='mean', eps=0.0, alpha=0.2)
    >>> logits = torch.tensor([[0.0, 1.0]], requires_grad=True)
    >>> losses.create("an")(logits, torch.tensor([[1, 0]], dtype=torch.int8))
    tensor(1.0032, grad_fn=<MeanBackward0>)
"""

from __future__ import annotations

from typing import Any

from onelabel.losses.papers import Paper
from onelabel.losses.registry import LossInfo, catalogue, create, info, load

__all__ = ["LossInfo", "Paper", "catalogue", "create", "info", "load"]


def __getattr__(name: str) -> Any:
    # Classes are looked up in the registry on first use, so that listing the losses never imports torch.
    for entry in catalogue():
        if entry.class_name == name:
            return load(entry.name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
