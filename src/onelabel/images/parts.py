"""Images through a network a few at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_PIXELS_AT_ONCE = 4 * 224 * 224


def in_parts(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return ``network(images)``; on a CPU a few images at a time.

    The layers of a large batch take memory that the system hands out anew each time and clears first, which
    costs more than the arithmetic. A GPU gets the batch whole.

    Args:
        network: images (B, 3, H, W) -> (B, ...), row by row.
        images: (B, 3, H, W), B at least 1.

    Example:
        >>> in_parts(lambda part: part.mean(dim=(1, 2, 3)), torch.ones(9, 3, 224, 224)).shape
        torch.Size([9])
    """
    if images.device.type != "cpu":
        return network(images)
    size = max(1, _PIXELS_AT_ONCE // max(1, images.shape[-1] * images.shape[-2]))
    return torch.cat([network(part) for part in torch.split(images, size)])
