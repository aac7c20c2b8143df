"""How many views one call of an encoder gets: what a short trial finds fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SIZES = (8, 32, 128, 512)
USUAL = 32
_SHARE = 50
_WORTH = 0.95


def fastest_chunk(encoder: Callable[[Tensor], Tensor], views: Callable[[], Tensor], total: int) -> int:
    """Time calls of an encoder with more and more views, and return the number that is fastest for each view.

    The trial ends where more views at once are not at least 5 % faster, do not fit into the memory of a GPU,
    or would cost more than 2 % of the whole work. Where so little is left to do that no two sizes can be
    compared, 32 is returned untried. What the trial encodes is thrown away.

    Args:
        encoder: (B, 3, S, S) -> (B, D).
        views: gives what it is tried with, (V, 3, S, S), repeated as needed; not called without a trial.
        total: number of views, mirror images included, that there are to encode.

    Example:
        >>> fastest_chunk(lambda images: images[:, 0, 0, :4], lambda: torch.zeros(1, 3, 4, 4), total=100)
        32
    """
    sizes = _affordable(total)
    if len(sizes) < 2:
        return USUAL
    best, least = USUAL, float("inf")
    try:
        some = views()
        _seconds(encoder, some, sizes[0])  # the first call also prepares what later ones find ready
        for size in sizes:
            spent = _seconds(encoder, some, size) / size
            if spent > _WORTH * least:
                break
            best, least = size, spent
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    return best


def _affordable(total: int) -> Sequence[int]:
    """Return the sizes that may be tried, smallest first; the smallest is encoded twice."""
    counts = [SIZES[0] + sum(SIZES[: number + 1]) for number in range(len(SIZES))]
    return [size for size, count in zip(SIZES, counts, strict=True) if count * _SHARE <= total]


def _seconds(encoder: Callable[[Tensor], Tensor], views: Tensor, size: int) -> float:
    batch = views.repeat(-(-size // len(views)), 1, 1, 1)[:size]
    begin = time.perf_counter()
    encoder(batch).cpu()  # waits for a GPU
    return time.perf_counter() - begin
