"""How far probabilities are from how often a class is present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Matrix, column_blocks, shape_of
from onelabel.evaluation.metrics import support
from onelabel.io.errors import OneLabelError

BINS = 15
"""Number of bins, as most papers have it."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CalibrationError:
    """The result of :func:`calibration_error`.

    Attributes:
        value: classwise ECE in [0, 1]: the mean of ``per_class`` where defined; NaN where no class is.
        per_class: (C,) ECE of each class; NaN without known positives or without known absences.
        classes_used: number of classes in the mean.
        mean_prob: (≤ bins,) mean probability in each bin of all those classes together, rising.
        share_present: share of the known entries in that bin that are present: the reliability curve.
        count: known entries in that bin.
    """

    value: float
    per_class: Vector
    classes_used: int
    mean_prob: Vector
    share_present: Vector
    count: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON; what is not defined is None."""
        return {
            "ece": self.value if self.classes_used else None,
            "classes": self.classes_used,
            "bins": BINS,
            "definition": DEFINITION,
            "curve": {
                "mean_probability": self.mean_prob.tolist(),
                "share_present": self.share_present.tolist(),
                "known_entries": self.count.tolist(),
            },
        }


DEFINITION = (
    f"classwise expected calibration error, {BINS} bins of equal mass per class, known entries of classes "
    "with known positives and known absences, mean over classes"
)
"""What the number is, for every output that names it."""


def calibration_error(probs: Matrix, labels: Matrix, bins: int = BINS) -> CalibrationError:
    """Return the classwise expected calibration error of the known entries.

        ECE_c = Σ_b (n_cb / n_c) · |mean probability − share present|,   ECE = mean of ECE_c over classes

    over bins b of equal mass: the known entries of a class in order of probability, cut into ``bins`` runs of
    equal length; equal probabilities are never parted. Few known entries make the number too high, even for
    probabilities that are right: compare models on the same images only.

    Classwise ECE: Kull et al., "Beyond temperature scaling" (2019), https://arxiv.org/abs/1910.12656; bins of
    equal mass: Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural language
    processing models" (2015), https://arxiv.org/abs/1508.05154. Deviations: every label has a sigmoid of its
    own, and unknown entries are left out.

    Args:
        probs: (N, C) probabilities in [0, 1].
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        bins: 1 or more.

    Raises:
        OneLabelError: probabilities outside [0, 1].

    Example:
        >>> probs = np.array([[0.75], [0.75], [0.75], [0.75]])
        >>> calibration_error(probs, np.array([[1], [1], [1], [-1]], dtype=np.int8)).value
        0.0
        >>> calibration_error(probs, np.array([[1], [1], [1], [0]], dtype=np.int8)).value
        nan
    """
    known = support(labels)
    used = (known.positive > 0) & (known.negative > 0)
    per_class = np.full(shape_of(probs, labels)[1], np.nan)
    pool: list[tuple[Floats, NDArray[np.bool_]]] = []
    for columns, block, marks in column_blocks(probs, labels):
        require_probs(block)
        for c in np.flatnonzero(used[columns]):
            row, mark = block[c], marks[c]
            pool.append((row[mark != 0], mark[mark != 0] > 0))
            mean, share, count = _bins(*pool[-1], bins)
            per_class[columns.start + c] = (np.abs(mean - share) * count).sum() / count.sum()
    if not pool:
        empty = np.zeros(0)
        return CalibrationError(np.nan, per_class, 0, empty, empty, np.zeros(0, np.int64))
    together, present = (np.concatenate(part) for part in zip(*pool, strict=True))
    curve = _bins(together, present, bins)
    return CalibrationError(float(per_class[used].mean()), per_class, int(used.sum()), *curve)


def require_probs(block: Floats) -> None:
    """Check that scores are probabilities.

    Raises:
        OneLabelError: one is outside [0, 1].
    """
    if block.size and not (block.min() >= 0 and block.max() <= 1):
        raise OneLabelError("probabilities between 0 and 1 are expected here, not logits")


def _bins(probs: Floats, present: NDArray[np.bool_], bins: int) -> tuple[Vector, Vector, NDArray[np.int64]]:
    """Return mean probability, share present and number of entries of each bin that is not empty."""
    order = np.argsort(probs)
    ranked = probs[order]
    place = np.arange(len(ranked))
    place[1:][ranked[1:] == ranked[:-1]] = 0
    first = np.maximum.accumulate(place)  # of equal ones
    number = first * bins // len(ranked)
    count = np.bincount(number, minlength=bins)
    kept = count > 0
    sums = (np.bincount(number, weights, bins)[kept] for weights in (ranked, present[order]))
    mean, share = (total / count[kept] for total in sums)
    return mean, share, count[kept]
