"""Mirror bits that depend on nothing but (seed, epoch, row, view).

They come from a counter-based hash and not from a generator, so they are the same for any number of
workers and processes, any order of the images, and after a resumed run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        word = word + _GOLDEN
        word = (word ^ (word >> np.uint64(30))) * _FIRST
        word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))


def mirror_bits(seed: int, epoch: int, rows: ArrayLike, view: int | range = 0) -> NDArray[np.bool_]:
    """Say for each row whether the image is mirrored in this epoch; True with probability 1/2.

    The words seed, epoch, view and row are absorbed one after the other by the SplitMix64 finaliser,
    and the top bit of the result is taken. Finaliser: Steele, Lea, Flood, "Fast splittable
    pseudorandom number generators", 2014, https://doi.org/10.1145/2660193.2660195, with the constants
    of https://prng.di.unimi.it/splitmix64.c.

    Args:
        seed: seed of the run, 0 or more.
        epoch: epoch, counted from 1.
        rows: (B,) rows of the table.
        view: number of the view, or V of them; views of one image have independent bits.

    Returns:
        (B,) bool; (B, V) for a range of views.

    Example:
        >>> mirror_bits(seed=1, epoch=1, rows=[0, 1, 2, 3]).tolist()
        [True, False, False, True]
        >>> mirror_bits(seed=1, epoch=1, rows=[3]).tolist()
        [True]
        >>> mirror_bits(seed=1, epoch=1, rows=[2, 3], view=range(2)).tolist()
        [[False, True], [True, True]]
    """
    state = np.zeros(1, np.uint64)
    for word in (seed, epoch):
        state = _mix(state ^ np.uint64(word))
    state = _mix(state ^ np.asarray(view, np.uint64).reshape(-1))
    hashed = _mix(state ^ np.asarray(rows, np.uint64).reshape(-1, 1))
    bits: NDArray[np.bool_] = (hashed >> np.uint64(63)).astype(np.bool_)
    return bits if isinstance(view, range) else bits[:, 0]
