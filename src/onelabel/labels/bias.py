"""Which positive an annotator would name: the large object, the central one, the common class."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.labels.entries import offsets
from onelabel.labels.table import LabelTable

BIASES = ("uniform", "size", "location", "prior")
NEED_BOXES = ("size", "location")


@dataclass(frozen=True)
class Preference:
    """How likely each positive of an image is named, relative to the image's other positives.

    Args:
        indptr: (N + 1,) where the weights of each image begin.
        columns: (M,) class of each weight, ascending within an image.
        weights: (M,) from 0; classes without a weight have 0.

    Example:
        >>> preference = Preference.from_cells(2, [0, 0, 1], [3, 1, 1], [2.0, 1.0, 5.0])
        >>> preference.of(0, np.array([1, 2, 3])).tolist()
        [1.0, 0.0, 2.0]
    """

    indptr: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def from_cells(cls, images: int, image: ArrayLike, column: ArrayLike, weight: ArrayLike) -> Preference:
        """Add up weights of single objects, in the given order.

        Raises:
            OneLabelError: a weight is negative or not finite.
        """
        rows, columns = np.asarray(image, np.int64), np.asarray(column, np.int64)
        values = np.asarray(weight, np.float64)
        if not (np.isfinite(values) & (values >= 0)).all():
            raise OneLabelError("the weights of a label bias must be finite and not negative")
        width = int(columns.max(initial=0)) + 1
        keys, place = np.unique(rows * width + columns, return_inverse=True)
        sums = np.zeros(len(keys))
        np.add.at(sums, place, values)  # one after the other, as the official code adds
        return cls(offsets(np.bincount(keys // width, minlength=images)), keys % width, sums)

    @classmethod
    def by_prior(cls, table: LabelTable) -> Preference:
        """Weigh each class by the share of images known to have it: common classes are named first."""
        share = table.counts().positive / max(1, len(table))
        image, position = table.stored_images(), np.flatnonzero(table.values == 1)
        columns = table.indices[position]
        return cls.from_cells(len(table), image[position], columns, share[columns])

    def of(self, image: int, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weights of some classes of an image."""
        here = slice(self.indptr[image], self.indptr[image + 1])
        known, weights = self.columns[here], self.weights[here]
        place = np.searchsorted(known, columns)
        found = place < len(known)
        found[found] = known[place[found]] == columns[found]
        result = np.zeros(len(columns))
        result[found] = weights[place[found]]
        return result


def choose(
    preference: Preference, image: int, columns: NDArray[np.int64], number: int, rng: random.Random
) -> NDArray[np.int64]:
    """Draw positives of an image one after the other, with the weights of those that are left.

    The first draw is that of the official code of Arroyo, Perona and Cole 2023 ("Understanding Label Bias in
    Single Positive Multi-Label Learning", https://arxiv.org/abs/2305.15584;
    https://github.com/elijahcole/single-positive-multi-label, ``preproc/biased_labels.py``, commit 0bd90fb):
    ``random.choices`` with one generator over all images in file order. Where all weights are 0, any of the
    positives is drawn.

    Args:
        preference: the weights.
        image: row of the image.
        columns: its positives.
        number: how many to draw; -1 for all, without drawing.
        rng: generator, advanced by one number for each draw.

    Returns:
        The classes drawn, in the order drawn.
    """
    if number == -1:
        return columns
    left, weights = columns.tolist(), preference.of(image, columns).tolist()
    drawn: list[int] = []
    while left and len(drawn) < number:
        drawn.append(rng.choices(left, weights)[0] if any(weights) else rng.choice(left))
        place = left.index(drawn[-1])
        del left[place], weights[place]
    return np.array(drawn, np.int64)


def check_bias(name: str) -> None:
    """Refuse a name that is none of ``BIASES``.

    Raises:
        OneLabelError: it is none; the nearest is named.
    """
    if name not in BIASES:
        raise unknown_name("label bias", name, BIASES)
