"""Precision, recall and F1 of yes/no decisions, from the labels that are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.evaluation.blocks import Matrix, column_blocks, shape_of
from onelabel.evaluation.metrics import support
from onelabel.io.errors import OneLabelError

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class F1Scores:
    """Precision, recall and F1 at given thresholds, all in [0, 1], NaN where not defined.

    Attributes:
        precision: (C,) per class; NaN unless the class has known positives and known negatives; 0 where
            nothing known was called present.
        recall: (C,) share of the known positives called present; NaN without a known positive.
        f1: (C,) 2PR/(P+R); NaN where the precision is.
        predicted: (C,) share of all images called present, known or not.
        class_precision: CP, mean precision over the classes that have one.
        class_recall: CR, mean recall over the same classes.
        class_f1: CF1 = 2·CP·CR/(CP+CR), as the field computes it: not the mean of ``f1``.
        overall_precision: OP, all known entries pooled, over the classes where a yes can be wrong.
        overall_recall: OR, over the same entries.
        overall_f1: OF1 = 2·OP·OR/(OP+OR).
        observed_recall: share of all known positives, of every class, that are called present.
        classes_used: number of classes in CP and CR.
    """

    precision: Vector
    recall: Vector
    f1: Vector
    predicted: Vector
    class_precision: float
    class_recall: float
    class_f1: float
    overall_precision: float
    overall_recall: float
    overall_f1: float
    observed_recall: float
    classes_used: int


def f1_at(scores: Matrix, labels: Matrix, thresholds: ArrayLike) -> F1Scores:
    """Return precision, recall and F1 when an image is called present where its score >= the threshold.

    Precision needs entries that can be wrong. A class with known positives only is therefore left out of CP,
    CR and CF1 (which need both kinds), and a class that has unknown entries and no known negative is left out
    of OP, OR and OF1. On complete labels OP, OR and OF1 are scikit-learn's micro averages.

    Args:
        scores: (N, C) logits or probabilities, finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        thresholds: one number or (C,) numbers **in the unit of the scores**; compared in their precision.

    Raises:
        OneLabelError: thresholds are not one number or one per class, or as :func:`average_precision`.

    Example:
        >>> scores = np.array([[0.9, 0.6], [0.8, 0.7], [0.1, 0.2]])
        >>> labels = np.array([[1, 1], [-1, 0], [1, 1]], dtype=np.int8)
        >>> found = f1_at(scores, labels, 0.5)
        >>> found.class_f1, found.classes_used, found.recall, found.observed_recall
        (0.5, 1, array([0.5, 0.5]), 0.5)
    """
    images, classes = shape_of(scores, labels)
    cuts = as_thresholds(thresholds, classes)
    true, false, called = (np.zeros(classes, np.int64) for _ in range(3))
    for columns, block, known in column_blocks(scores, labels):
        yes = block >= cuts[columns, None].astype(block.dtype)
        true[columns] = (yes & (known > 0)).sum(axis=1)
        false[columns] = (yes & (known < 0)).sum(axis=1)
        called[columns] = yes.sum(axis=1)
    counts = support(labels)
    both = (counts.positive > 0) & (counts.negative > 0)
    precision = np.where(both, _share(true, true + false, empty=0.0), np.nan)
    recall = _share(true, counts.positive)
    cp, cr = _mean(precision[both]), _mean(recall[both])
    pooled = counts.judgeable
    op = (
        float(_share(true[pooled].sum(), (true + false)[pooled].sum(), empty=0.0)) if pooled.any() else np.nan
    )
    overall_recall = float(_share(true[pooled].sum(), counts.positive[pooled].sum()))
    return F1Scores(
        precision=precision,
        recall=recall,
        f1=harmonic_mean(precision, recall),
        predicted=_share(called, np.full(classes, images)),
        class_precision=cp,
        class_recall=cr,
        class_f1=float(harmonic_mean(cp, cr)),
        overall_precision=op,
        overall_recall=overall_recall,
        overall_f1=float(harmonic_mean(op, overall_recall)),
        observed_recall=float(_share(true.sum(), counts.positive.sum())),
        classes_used=int(both.sum()),
    )


def as_thresholds(thresholds: ArrayLike, classes: int) -> Vector:
    """Return one threshold per class: (C,) float64.

    Raises:
        OneLabelError: neither one number nor one per class, or one is NaN.

    Example:
        >>> as_thresholds(0.5, 2)
        array([0.5, 0.5])
    """
    cuts = np.asarray(thresholds, dtype=np.float64)
    if cuts.shape not in ((), (classes,)):
        raise OneLabelError(f"thresholds must be one number or {classes} (one per class), not {cuts.shape}")
    if np.isnan(cuts).any():
        raise OneLabelError("a threshold is NaN")
    return np.broadcast_to(cuts, (classes,))


def harmonic_mean(precision: ArrayLike, recall: ArrayLike) -> Vector:
    """Return 2PR/(P+R), 0 where both are 0, NaN where one is.

    Example:
        >>> harmonic_mean([0.5, 0.0], [0.5, 0.0])
        array([0.5, 0. ])
    """
    p, r = np.asarray(precision, dtype=np.float64), np.asarray(recall, dtype=np.float64)
    return np.where(p + r == 0, 0.0, 2 * p * r / np.where(p + r == 0, 1.0, p + r))


def _share(part: Any, whole: Any, empty: float = np.nan) -> Vector:
    return np.where(np.asarray(whole) > 0, part / np.maximum(whole, 1), empty)


def _mean(values: Vector) -> float:
    return float(values.mean()) if len(values) else np.nan
