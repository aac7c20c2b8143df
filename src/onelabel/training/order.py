"""In which order the images come: a pure function of seed and epoch, so that a resumed run repeats it."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_order(seed: int, epoch: int, rows: int) -> Tensor:
    """Return a permutation of ``range(rows)`` that depends on seed and epoch only.

    Example:
        >>> torch.equal(epoch_order(0, 1, 5), epoch_order(0, 1, 5))
        True
        >>> torch.equal(epoch_order(0, 1, 50), epoch_order(0, 2, 50))
        False
    """
    # Two seeds may not share a stream at different epochs, hence the odd multiplier.
    mixed = (seed * 0x9E3779B97F4A7C15 + epoch) & 0x7FFFFFFFFFFFFFFF
    return torch.randperm(rows, generator=torch.Generator().manual_seed(mixed))
