"""Average precision from the labels that are known, and nothing else.

Every score may be a logit or a probability: only the order within a class counts. Use logits where you have
them; probabilities that round to exactly 0 or 1 make ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Labels, Matrix, column_blocks, label_part, shape_of

BUCKETS = 2**20
"""Most buckets that a class is spread over; more would cost more to count than they save."""


@dataclass(frozen=True)
class Support:
    """How many images are known present, known absent and unknown, per class: each (C,) int64.

    Example:
        >>> support(np.array([[1, 0], [-1, 0]], dtype=np.int8)).unknown
        array([0, 2])
    """

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    unknown: NDArray[np.int64]

    @property
    def judgeable(self) -> NDArray[np.bool_]:
        """Classes where saying "present" can be wrong: some image is known absent, or nothing is unknown."""
        wrong: NDArray[np.bool_] = (self.negative > 0) | (self.unknown == 0)
        return wrong


def support(labels: Matrix) -> Support:
    """Count the labels of each class.

    Args:
        labels: (N, C), +1 present, 0 unknown, -1 absent.

    Raises:
        OneLabelError: not a matrix, or another type or value.
    """
    images, classes = shape_of(labels, labels)
    positive, negative = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    step = max(1, 2**26 // max(classes, 1))
    for first in range(0, images, step):
        part = label_part(labels, slice(first, min(first + step, images)), slice(0, classes))
        positive += (part > 0).sum(axis=0)
        negative += (part < 0).sum(axis=0)
    return Support(positive, negative, images - positive - negative)


def average_precision(scores: Matrix, labels: Matrix) -> NDArray[np.float64]:
    """Return the average precision of each class over its known images.

    AP_c = Σ_j (R_j − R_{j−1}) · P_j over the distinct scores of class c from high to low, where R_j and P_j
    are recall and precision when every known image with at least the j-th score is called present. Equal
    scores are one step, so the order of images does not matter; there is no interpolation. Equal to
    ``sklearn.metrics.average_precision_score`` on the entries of the class whose label is not 0.

    Args:
        scores: (N, C) logits or probabilities, finite; NumPy, memory-mapped NumPy, or torch.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.

    Returns:
        (C,) in [0, 1]; NaN for a class without a known positive or without a known negative.

    Raises:
        OneLabelError: shapes differ, a score is not finite, or a label is not one of the three values.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.7], [0.7, 0.2]])
        >>> labels = np.array([[1, 1], [-1, 0], [1, 1]], dtype=np.int8)
        >>> average_precision(scores, labels)
        array([0.8333, nan])
    """
    ap = np.full(shape_of(scores, labels)[1], np.nan)
    for columns, block, known in column_blocks(scores, labels):
        ap[columns] = [_class_ap(row, marks) for row, marks in zip(block, known, strict=True)]
    return ap


def _class_ap(scores: Floats, labels: Labels) -> float:
    positives = np.sort(scores[labels > 0])
    known = scores[labels != 0]
    if not 0 < len(positives) < len(known):
        return np.nan
    hits = len(positives) - np.searchsorted(positives, positives)
    return float(np.mean(hits / _at_or_above(known, positives)))


def _at_or_above(values: Floats, cuts: Floats) -> NDArray[np.int64]:
    """Count the ``values`` >= each of ``cuts``, which are some of the values in rising order.

    Only values that share a bucket with a cut need sorting; the others need only be counted. The map to
    buckets never falls as the value rises, because rounding does not, so the counts are exact.
    """
    low, high = values.min(), values.max()
    span = float(high) - float(low)
    if not 1e-30 < span < 1e30:  # one value, or outside what float32 can scale
        return len(values) - np.searchsorted(np.sort(values), cuts)
    buckets = min(len(values), BUCKETS)
    scale = values.dtype.type(buckets / span)
    where, where_cut = (((v - low) * scale).astype(np.intp) for v in (values, cuts))
    shared = np.zeros(buckets + 2, np.bool_)  # the last value may round up past the last bucket
    shared[where_cut] = True
    near = np.sort(values[shared[where]])
    counts = np.bincount(where, minlength=buckets + 2)
    counts[shared] = 0
    far_above = counts.sum() - np.cumsum(counts)
    found: NDArray[np.int64] = len(near) - np.searchsorted(near, cuts) + far_above[where_cut]
    return found


@dataclass(frozen=True)
class MeanAP:
    """Mean average precision, and what it was taken over. All values in [0, 1]; papers print them times 100.

    Attributes:
        value: mean AP over the classes with known positives and known negatives; NaN when there is none.
        classes_used: how many classes those are.
        ap: (C,) average precision per class, NaN where it is not defined.
        map_published: the mean that published code takes, see :func:`mean_average_precision`.
    """

    value: float
    classes_used: int
    ap: NDArray[np.float64]
    map_published: float


def mean_average_precision(scores: Matrix, labels: Matrix) -> MeanAP:
    """Return the masked mean average precision, with the published definition beside it.

    ``map_published`` keeps every class of which anything is known: a class without a known positive counts 0
    and a class with known positives only counts 1. Unknown entries are left out, never taken as absent.

    * On complete labels it is ``compute_metrics`` of Cole et al., "Multi-Label Learning from Single Positive
      Labels" (2021), https://github.com/elijahcole/single-positive-multi-label (commit 89152d5), over 100.
    * On partly known labels it is ``compute_metrics_openimages`` of AEVLP,
      https://github.com/Fsoft-AIC/AEVLP (commit 0bad82a), over 100.

    With positives alone it is 1 for every model and means nothing; then ``value`` is NaN.

    Raises:
        OneLabelError: as :func:`average_precision`.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.7], [0.7, 0.2]])
        >>> labels = np.array([[1, -1], [-1, -1], [1, -1]], dtype=np.int8)
        >>> result = mean_average_precision(scores, labels)
        >>> round(result.value, 4), result.classes_used, round(result.map_published, 4)
        (0.8333, 1, 0.4167)
    """
    ap = average_precision(scores, labels)
    counts = support(labels)
    published = np.where(np.isnan(ap), counts.positive > 0, ap)[counts.positive + counts.negative > 0]
    used = ap[~np.isnan(ap)]
    return MeanAP(
        value=float(used.mean()) if len(used) else np.nan,
        classes_used=len(used),
        ap=ap,
        map_published=float(published.mean()) if len(published) else np.nan,
    )
