"""Rows of arrays on disk, one vector for each view, plain or mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def view_bits(mirrored: ArrayLike | None, rows: int, views: int) -> NDArray[np.intp]:
    """Return the mirror bit of each row and view, from one for each, one for each row, or none.

    Bits of fewer views are those of the first ones, and the others are left out.

    Example:
        >>> view_bits([True, False], 2, 3).tolist()
        [[1, 1, 1], [0, 0, 0]]
        >>> view_bits([[True], [False]], 2, 3).tolist()
        [[1], [0]]
    """
    if mirrored is None:
        return np.zeros((rows, views), np.intp)
    bits = np.asarray(mirrored).astype(np.intp)
    if bits.ndim == 2:
        return np.broadcast_to(bits, (rows, min(bits.shape[1], views)))
    return np.broadcast_to(bits.reshape(-1, 1), (rows, views))


def gather(
    shards: Sequence[NDArray[Any]], shard_rows: int, rows: NDArray[np.int64], bits: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Take one vector for each row and view from arrays (rows, views, 2 or 1, size) on disk.

    Args:
        shards: the arrays, each of ``shard_rows`` rows but the last.
        shard_rows: see there.
        rows: (B,) rows.
        bits: (B, V), 1 where the mirror image is wanted.

    Returns:
        (B, V, size) float32.
    """
    numbers, places = np.divmod(rows, shard_rows)
    order, views = np.argsort(numbers, kind="stable"), np.arange(bits.shape[1])
    firsts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    found = np.empty((*bits.shape, shards[0].shape[-1]), shards[0].dtype)
    for here in np.split(order, firsts[1:]) if len(rows) else ():  # the rows of one shard
        found[here] = shards[numbers[here[0]]][places[here, None], views, bits[here]]
    return found.astype(np.float32, copy=False)
