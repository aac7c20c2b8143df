"""Training and validation parts: the published split, and one that never separates a group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError


def random_split(n: int, fraction: float, seed: int = 1200) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows 0 … n-1 as all published single-positive results do.

    With n_val = round(fraction · n) and a permutation π of ``numpy.random.RandomState(seed)``, the validation
    rows are the last n_val of π and the training rows the others, each sorted. Halves are rounded to even.

    Source: Cole et al. 2021, https://arxiv.org/abs/2106.09708; official code
    https://github.com/elijahcole/single-positive-multi-label (``datasets.generate_split``, commit 89152d5).
    Deviation: where round(fraction · n) is 0 the official code returns every row as validation *and* as
    training row; here the validation part is then empty.

    Args:
        n: number of rows.
        fraction: share of validation rows, in [0, 1).
        seed: 1200 as published.

    Returns:
        Training and validation rows, int64, ascending.

    Raises:
        OneLabelError: the fraction is not in [0, 1).

    Example:
        >>> train, val = random_split(5717, 0.2)
        >>> len(train), val[:6].tolist(), int(val.sum())
        (4574, [5, 6, 11, 15, 22, 23], 3242061)
    """
    _check_fraction(fraction)
    first = n - round(fraction * n)
    order = np.random.RandomState(seed).permutation(n)
    return np.sort(order[:first]), np.sort(order[first:])


def released_split(
    n: int,
    fraction: float = 0.2,
    seed: int = 1200,
    *,
    train_share: float = 1.0,
    val_share: float = 1.0,
    share_seed: int = 999,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split as :func:`random_split`, then keep a share of each part, as the released data modules do.

    One generator with ``share_seed`` permutes the training rows and then the validation rows; the first
    round(share · rows) of each are kept, sorted. Shares of 1 change nothing.

    Source: as :func:`random_split` (``datasets.multilabel``).

    Args:
        n: number of rows.
        fraction: share of validation rows, in [0, 1).
        seed: of the split.
        train_share: share of the training rows that is kept.
        val_share: share of the validation rows that is kept.
        share_seed: of the choice.

    Returns:
        Training and validation rows, int64, ascending.

    Raises:
        OneLabelError: the fraction is not in [0, 1), or a share not in [0, 1].

    Example:
        >>> [len(rows) for rows in released_split(100, train_share=0.5)]
        [40, 20]
    """
    rng = np.random.RandomState(share_seed)
    train, val = random_split(n, fraction, seed)
    return _share(train, train_share, rng), _share(val, val_share, rng)


def _share(rows: NDArray[np.int64], share: float, rng: np.random.RandomState) -> NDArray[np.int64]:
    if not 0 <= share <= 1:
        raise OneLabelError(f"the share {share} of rows to keep must be from 0 to 1")
    return rows[np.sort(rng.permutation(len(rows))[: round(share * len(rows))])]


def group_split(
    groups: NDArray[np.int32], fraction: float, seed: int = 1200
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows so that no group stands in both parts.

    Groups are taken from the end of a permutation from ``numpy.random.RandomState(seed)``, as many as bring
    the validation part closest to round(fraction · n) rows. Where every row is a group of its own this is
    :func:`random_split`.

    Args:
        groups: (n,) group of each row; a negative number is a row in no group, which may go anywhere.
        fraction: share of validation rows, in [0, 1).
        seed: of the permutation.

    Returns:
        Training and validation rows, int64, ascending.

    Raises:
        OneLabelError: the fraction is not in [0, 1).

    Example:
        >>> group_split(np.array([0, 0, 1, 1, 2, 2], np.int32), 0.34)[1].tolist()
        [2, 3]
    """
    _check_fraction(fraction)
    # Rows without group count as groups of one row; groups are numbered by their first row.
    key = np.where(groups >= 0, groups.astype(np.int64), -1 - np.arange(len(groups)))
    _, first, member = np.unique(key, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[member]
    sizes = np.bincount(rank)
    order = np.random.RandomState(seed).permutation(len(sizes))[::-1]
    taken = np.cumsum(sizes[order])
    wanted = round(fraction * len(groups))
    distance = np.abs(np.concatenate([[0], taken]) - wanted)
    chosen = order[: int(np.argmin(distance))]
    val = np.isin(rank, chosen)
    return np.flatnonzero(~val), np.flatnonzero(val)


def _check_fraction(fraction: float) -> None:
    if not 0 <= fraction < 1:
        raise OneLabelError(f"the validation fraction {fraction} must be at least 0 and below 1")
