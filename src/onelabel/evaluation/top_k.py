"""Precision and recall among the k classes that a model ranks first in each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Matrix, row_blocks, shape_of
from onelabel.io.errors import OneLabelError


@dataclass(frozen=True)
class TopK:
    """What the k first classes of each image hold. Means are over the images that count; NaN when none does.

    Attributes:
        k: how many classes are looked at.
        precision: mean of present classes among the first k, divided by k.
        recall: mean share of the image's present classes that are among the first k.
        any_present: share of images with at least one present class among the first k.
        images_used: how many images count.
        row_precision: (N,) precision of each image, NaN where it does not count.
        row_recall: (N,) recall of each image, NaN where it does not count.
    """

    k: int
    precision: float
    recall: float
    any_present: float
    images_used: int
    row_precision: NDArray[np.float64]
    row_recall: NDArray[np.float64]


def top_k(scores: Matrix, labels: Matrix, k: int) -> TopK:
    """Return precision and recall among the k first known classes of each image.

    Unknown classes are left out of an image's ranking. An image counts when at least min(k, C) of its classes
    are known and, if any of them is unknown, one is known absent: otherwise nothing in its ranking could be
    wrong. Classes with equal scores keep the order of the columns. As in the published code an image without
    a present class counts with precision and recall 0, and precision divides by k also when C < k.

    On complete labels without ties: ``compute_metrics`` of Cole et al. (2021),
    https://github.com/elijahcole/single-positive-multi-label (commit 89152d5): ``prec_at_k``, ``rec_at_k``
    and ``top_k``. There the order of ties depends on the sorting routine.

    Args:
        scores: (N, C) logits or probabilities on one scale for all classes, finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        k: at least 1.

    Raises:
        OneLabelError: k is below 1, or as :func:`onelabel.evaluation.average_precision`.

    Example:
        >>> scores = np.array([[0.9, 0.8, 0.1], [0.2, 0.8, 0.7]])
        >>> labels = np.array([[1, -1, 1], [1, 0, 0]], dtype=np.int8)
        >>> found = top_k(scores, labels, 2)
        >>> found.precision, found.recall, found.any_present, found.images_used
        (0.5, 0.5, 1.0, 1)
    """
    images, classes = shape_of(scores, labels)
    precision, recall = np.full(images, np.nan), np.full(images, np.nan)
    for rows, block, known in row_blocks(scores, labels):
        first = first_columns(np.where(known != 0, block, -np.inf), k)
        hits = np.take_along_axis(known > 0, first, axis=1).sum(axis=1)
        present, given = (known > 0).sum(axis=1), (known != 0).sum(axis=1)
        counts = (given >= min(k, classes)) & ((given == classes) | (known < 0).any(axis=1))
        precision[rows] = np.where(counts, hits / k, np.nan)
        recall[rows] = np.where(counts, hits / np.maximum(present, 1), np.nan)
    used = ~np.isnan(precision)
    return TopK(
        k=k,
        precision=_mean(precision[used]),
        recall=_mean(recall[used]),
        any_present=_mean(precision[used] > 0),
        images_used=int(used.sum()),
        row_precision=precision,
        row_recall=recall,
    )


def first_columns(scores: Floats, k: int) -> NDArray[np.intp]:
    """Return the columns of the k highest scores of each row, equal scores in column order: (N, min(k, C)).

    Raises:
        OneLabelError: k is below 1.

    Example:
        >>> first_columns(np.array([[0.1, 0.5, 0.5, 0.9]]), 2)
        array([[3, 1]])
    """
    if k < 1:
        raise OneLabelError(f"k is {k}; the first k classes of an image need k of at least 1")
    left = scores.copy()
    columns = np.empty((len(scores), min(k, scores.shape[1])), np.intp)
    for rank in range(columns.shape[1]):  # k passes cost less than a sort; argmax takes the first of equals
        columns[:, rank] = left.argmax(axis=1)
        np.put_along_axis(left, columns[:, rank : rank + 1], -np.inf, axis=1)
    return columns


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else np.nan
