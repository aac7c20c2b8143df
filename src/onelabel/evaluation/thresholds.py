"""From which score on a class counts as present."""

from __future__ import annotations

import numpy as np

from onelabel.evaluation.blocks import Matrix, as_array
from onelabel.evaluation.metrics import support


def best_f1_threshold(scores: Matrix, labels: Matrix) -> float:
    """Return the one threshold for all classes with the highest pooled F1.

    F1 = 2·TP / (called present + known present), over the known entries of the classes that have known
    positives and known negatives: without negatives, calling everything present would be best.

    Args:
        scores: (N, C) logits or probabilities, finite.
        labels: (N, C), +1 present, 0 unknown, -1 absent.

    Returns:
        A number half-way between the last score called present and the next; NaN where no class has both.

    Example:
        >>> best_f1_threshold([[0.9, 0.2], [0.4, 0.3]], np.array([[1, 1], [-1, -1]]))
        0.65
        >>> best_f1_threshold([[0.9], [0.1]], np.array([[1], [0]]))
        nan
    """
    values = as_array(labels)
    known = support(values)
    usable = (values != 0) & (known.positive > 0) & (known.negative > 0)
    if not usable.any():
        return float("nan")
    chosen = as_array(scores)[usable].astype(np.float64)
    order = np.argsort(-chosen, kind="stable")
    ranked, present = chosen[order], values[usable][order] > 0
    lower = np.append(ranked[1:], ranked[-1])
    f1 = 2 * np.cumsum(present) / (np.arange(1, len(ranked) + 1) + present.sum())
    f1[:-1][ranked[:-1] == lower[:-1]] = -1.0  # equal scores are called alike
    best = int(np.argmax(f1))
    return float((ranked[best] + lower[best]) / 2)


def recall_threshold(scores: Matrix, labels: Matrix, recall: float = 0.9) -> float:
    """Return the highest threshold at which a share of the known positives is called present.

    All that positives alone can tell: nobody knows how many others are called present, too.

    Args:
        scores: (N, C) logits or probabilities, finite.
        labels: (N, C), +1 present, 0 unknown, -1 absent.
        recall: the share, above 0 and up to 1.

    Returns:
        The score of a known positive; NaN where there is none.

    Example:
        >>> recall_threshold([[0.9, 0.1], [0.6, 0.7]], np.array([[1, 0], [1, 1]]), recall=0.6)
        0.7
    """
    positive = np.sort(as_array(scores)[as_array(labels) == 1].astype(np.float64))[::-1]
    if not len(positive):
        return float("nan")
    shares = np.arange(1, len(positive) + 1) / len(positive)
    return float(positive[np.searchsorted(shares, recall)])
