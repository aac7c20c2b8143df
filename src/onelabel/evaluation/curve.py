"""F1 at every threshold: which one a method needs, and how much is lost at 0.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Matrix, column_blocks
from onelabel.evaluation.ece import require_probs
from onelabel.evaluation.metrics import support

POINTS = 200
"""Most thresholds of a curve."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class F1Curve:
    """The result of :func:`f1_curve`; all in [0, 1].

    Attributes:
        thresholds: (T,) rising; 0.5 is one of them.
        f1: (T,) OF1 when probability >= threshold is present, in every class; see
            :class:`onelabel.evaluation.F1Scores`.
        precision: (T,) OP.
        recall: (T,) OR.
        best: the threshold with the highest F1; NaN where there is no curve.
        best_f1: F1 there.
        half_f1: F1 at 0.5.
    """

    thresholds: Vector
    f1: Vector
    precision: Vector
    recall: Vector
    best: float
    best_f1: float
    half_f1: float

    def to_dict(self) -> dict[str, Any] | None:
        """Return the numbers for JSON; None where there is no curve."""
        if not len(self.thresholds):
            return None
        names = ("thresholds", "f1", "precision", "recall")
        lists = {name: getattr(self, name).tolist() for name in names}
        return {**lists, "best": self.best, "best_f1": self.best_f1, "half_f1": self.half_f1}


def f1_curve(probs: Matrix, labels: Matrix, points: int = POINTS) -> F1Curve:
    """Return pooled F1, precision and recall against one threshold for all classes.

    Over the known entries of all classes but those of which only positives are known: the OF1, OP and OR of
    :func:`onelabel.evaluation.f1_at`. The thresholds are probabilities of known positives, evenly spaced in
    rank, so that a method whose probabilities crowd at one value (EM near 0.5) is resolved there; the best of
    all thresholds and 0.5 are always among them.

    Args:
        probs: (N, C) probabilities in [0, 1].
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        points: most thresholds, 3 or more.

    Returns:
        A curve; without points where no class has known positives and known absences.

    Raises:
        OneLabelError: probabilities outside [0, 1].

    Example:
        >>> found = f1_curve(np.array([[0.52], [0.51], [0.50]]), np.array([[1], [-1], [-1]], dtype=np.int8))
        >>> found.best, found.best_f1, found.half_f1
        (0.52, 1.0, 0.5)
    """
    known = support(labels)
    if not ((known.positive > 0) & (known.negative > 0)).any():
        empty = np.zeros(0)
        return F1Curve(empty, empty, empty, empty, np.nan, np.nan, np.nan)
    pools: list[tuple[Floats, Floats]] = []
    for columns, block, marks in column_blocks(probs, labels):
        require_probs(block)
        for c in np.flatnonzero(known.judgeable[columns]):
            pools.append((block[c][marks[c] > 0], block[c][marks[c] < 0]))
    positive, negative = (np.sort(np.concatenate(part)) for part in zip(*pools, strict=True))
    candidates = np.unique(positive)
    best = candidates[::-1][np.argmax(_at(candidates, positive, negative)[0][::-1])]
    chosen = candidates[np.unique(np.linspace(0, len(candidates) - 1, max(points - 2, 1)).astype(int))]
    thresholds = np.unique(np.append(chosen, [best, candidates.dtype.type(0.5)]))
    f1, precision, recall = _at(thresholds, positive, negative)
    at = {float(t): float(value) for t, value in zip(thresholds, f1, strict=True)}
    return F1Curve(
        thresholds.astype(np.float64), f1, precision, recall, float(best), at[float(best)], at[0.5]
    )


def _at(thresholds: Floats, positive: Floats, negative: Floats) -> tuple[Vector, Vector, Vector]:
    """Return F1, precision and recall at each threshold, of sorted scores."""
    true = len(positive) - np.searchsorted(positive, thresholds)
    false = len(negative) - np.searchsorted(negative, thresholds)
    precision = true / np.maximum(true + false, 1)
    return 2 * true / (true + false + len(positive)), precision, true / len(positive)
