"""How right pseudo-labels are, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onelabel.evaluation.blocks import Matrix, label_part, shape_of
from onelabel.evaluation.f1 import harmonic_mean


@dataclass(frozen=True)
class PseudoQuality:
    """Precision, recall and F1 of positive pseudo-labels in [0, 1]; NaN where nothing can be counted.

    Attributes:
        precision: share of the positive pseudo-labels of known truth that are true.
        recall: share of the true positives that are pseudo-labelled positive.
        f1: 2PR/(P+R).
    """

    precision: float
    recall: float
    f1: float


def pseudo_quality(pseudo: Matrix, observed: Matrix, truth: Matrix) -> PseudoQuality:
    """Compare positive pseudo-labels with the truth on the entries that were not observed.

    Source: ``compute_precision_recall_pl`` of AEVLP, https://github.com/Fsoft-AIC/AEVLP (commit 0bad82a).
    Deviations: shares instead of percent; NaN instead of 0 where the denominator is 0; F1 is the usual
    harmonic mean (the code computes 1/(1/P + 1/R), half of it); entries of unknown truth are left out.

    Args:
        pseudo: (N, C) signed integers, +1 positive pseudo-label; 0 and -1 are none.
        observed: (N, C) what was known in training; entries other than 0 are left out.
        truth: (N, C) +1 present, 0 unknown, -1 absent.

    Raises:
        OneLabelError: shapes differ, or a value is not one of the three.

    Example:
        >>> def table(*rows): return np.array(rows, dtype=np.int8)
        >>> found = pseudo_quality(table([1, 1, 0, 0]), table([1, 0, 0, 0]), table([1, 1, 1, -1]))
        >>> found.precision, found.recall, round(found.f1, 4)
        (1.0, 0.5, 0.6667)
    """
    images, classes = shape_of(pseudo, observed)
    shape_of(truth, observed)
    hits = called = present = 0
    step = max(1, 2**26 // max(classes, 1))
    for first in range(0, images, step):
        part = slice(first, first + step), slice(0, classes)
        marked, seen, real = (label_part(table, *part) for table in (pseudo, observed, truth))
        judged = (seen == 0) & (real != 0)
        hits += int((judged & (marked > 0) & (real > 0)).sum())
        called += int((judged & (marked > 0)).sum())
        present += int((judged & (real > 0)).sum())
    precision = hits / called if called else np.nan
    recall = hits / present if present else np.nan
    return PseudoQuality(precision, recall, float(harmonic_mean(precision, recall)))
