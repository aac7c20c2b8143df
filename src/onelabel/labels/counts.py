"""How much is known: +1, -1 and 0 counted per class or per image, without the full matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Counts:
    """How many cells are +1, -1 and 0, each (classes,) or (images,) int64."""

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    unknown: NDArray[np.int64]


def count_cells(
    where: NDArray[Any],
    values: NDArray[np.int8],
    default: NDArray[np.int8],
    implied: NDArray[Any],
    total: int,
) -> Counts:
    """Count the cells of each class or image.

    Args:
        where: (stored,) class or image of each stored cell.
        values: (stored,) its value.
        default: (stored,) the value it replaces.
        implied: how many cells of each class or image would be -1 if nothing were stored.
        total: how many cells each class or image has.

    Example:
        >>> cells = np.array([0, 1]), np.array([1, 0], np.int8), np.array([-1, -1], np.int8)
        >>> count_cells(*cells, implied=np.array([3, 3]), total=3).negative.tolist()
        [2, 2]
    """

    def count(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(where[mask], minlength=len(implied)).astype(np.int64)

    positive = count(values == 1)
    negative = implied - count(default == -1) + count(values == -1)
    return Counts(positive, negative, total - positive - negative)
