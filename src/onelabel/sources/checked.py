"""How many classes an image shows, from the images of which everything is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onelabel.labels.table import LabelTable

FEWEST = 10
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Checked:
    """What the checked images say.

    Args:
        images: their number.
        mean: mean number of positives.
    """

    images: int
    mean: float

    @property
    def most(self) -> int:
        """The mean, rounded up: a limit on the pseudo-labels of one image."""
        return max(1, math.ceil(self.mean))


def checked_positives(table: LabelTable) -> Checked | None:
    """Count the positives of the images without an unknown class.

    Returns:
        None where there are fewer than 10 such images, which would say little.

    Example:
        >>> table = LabelTable.from_dense([f"{n}.jpg" for n in range(12)], ["a", "b"], [[1, 1], [1, -1]] * 6)
        >>> checked_positives(table)
        Checked(images=12, mean=1.5)
    """
    images, positives = 0, 0
    for start in range(0, len(table), _ROWS_AT_ONCE):
        labels = table.rows(np.arange(start, min(len(table), start + _ROWS_AT_ONCE)))
        known = labels[(labels != 0).all(axis=1)]
        images, positives = images + len(known), positives + int((known == 1).sum())
    return Checked(images, positives / images) if images >= FEWEST else None
