"""How a model sees the labels that are missing: the diagnostics of the generalised robust loss paper.

Source: Chen et al. (2024), https://arxiv.org/abs/2405.03501, Figures 3 to 5; code yan4xi1/GRLoss (5e13f7f),
``instrumentation.py``, ``prob_stat`` and ``hist1``. Deviation: there each of the two histograms has bins from
its own smallest to its own largest probability, and the share of missing positives of a bin divides counts of
different intervals; here both have the same bins, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError

BINS = 100
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Probs = NDArray[np.floating[Any]]
Labels = NDArray[np.int8]


@dataclass(frozen=True)
class MissingLabels:
    """What a model predicts where the label of an image was not given to it.

    An entry (image, class) with an unknown label is a missing positive where the class is in truth present,
    and a true negative where it is absent; entries whose truth is unknown are left out.

    Attributes:
        class_ids: C class ids.
        observed: (C,) images where the class was known to be present.
        missing: (C,) missing positives of each class.
        absent: (C,) true negatives of each class.
        missing_counts: (bins,) missing positives by predicted probability, in equal bins from 0 to 1.
        absent_counts: (bins,) true negatives.
        missing_quantiles: of the probability of missing positives, at ``QUANTILES``; NaN without any.
        absent_quantiles: of true negatives.
        auc: share of pairs (missing positive, true negative) in which the model ranks the first higher, over
            all classes together; a tie counts one half. NaN where there are no pairs.
        class_auc: (C,) the same within each class.
        distance: mean shift of probability between the two distributions (the first Wasserstein distance),
            from 0 to 1; NaN where one is empty.
    """

    class_ids: tuple[str, ...]
    observed: NDArray[np.int64]
    missing: NDArray[np.int64]
    absent: NDArray[np.int64]
    missing_counts: NDArray[np.int64]
    absent_counts: NDArray[np.int64]
    missing_quantiles: NDArray[np.float64]
    absent_quantiles: NDArray[np.float64]
    auc: float
    class_auc: NDArray[np.float64]
    distance: float

    @property
    def edges(self) -> NDArray[np.float64]:
        """(bins + 1,) edges of the bins; a probability on an edge is in the bin above, 1 in the last."""
        return _edges(len(self.missing_counts))

    @property
    def share_missing(self) -> NDArray[np.float64]:
        """(bins,) FN / (FN + TN): how many unknown entries of a bin are present; NaN where it is empty."""
        with np.errstate(invalid="ignore"):
            return self.missing_counts / (self.missing_counts + self.absent_counts)

    @property
    def observed_share(self) -> float:
        """Share of all positives that were observed; NaN where there are none."""
        total = int(self.observed.sum() + self.missing.sum())
        return float(self.observed.sum()) / total if total else float("nan")


def missing_labels(
    probs: Probs, observed: Labels, complete: Labels, class_ids: Sequence[str], bins: int = BINS
) -> MissingLabels:
    """Compare predictions on missing positives and on true negatives.

    Args:
        probs: (N, C) predicted probabilities, in [0, 1].
        observed: (N, C) what the training knew: +1 present, 0 unknown, -1 absent.
        complete: (N, C) the truth, in the same convention.
        class_ids: C ids.
        bins: number of equal bins from 0 to 1.

    Raises:
        OneLabelError: shapes that do not fit, probabilities out of range, labels that contradict each other,
            or nothing unknown whose truth is known.

    Example:
        >>> found = missing_labels(
        ...     np.array([[0.9, 0.8], [0.2, 0.6]]), np.array([[1, 0], [0, 1]], np.int8),
        ...     np.array([[1, 1], [-1, 1]], np.int8), ["cat", "dog"], bins=2,
        ... )
        >>> found.missing.tolist(), found.absent.tolist(), found.share_missing.tolist(), found.auc
        ([0, 1], [1, 0], [0.0, 1.0], 1.0)
    """
    _check(probs, observed, complete, class_ids)
    unknown = observed == 0
    is_missing, is_absent = unknown & (complete == 1), unknown & (complete == -1)
    if not (is_missing.any() or is_absent.any()):
        raise OneLabelError("no label is unknown in the one file and known in the other: nothing to compare")
    missing, absent = probs[is_missing].astype(np.float64), probs[is_absent].astype(np.float64)
    columns = range(probs.shape[1])
    within = [pair_auc(probs[is_missing[:, c], c], probs[is_absent[:, c], c]) for c in columns]
    return MissingLabels(
        class_ids=tuple(class_ids),
        observed=(observed == 1).sum(axis=0),
        missing=is_missing.sum(axis=0),
        absent=is_absent.sum(axis=0),
        missing_counts=_histogram(missing, bins),
        absent_counts=_histogram(absent, bins),
        missing_quantiles=_quantiles(missing),
        absent_quantiles=_quantiles(absent),
        auc=pair_auc(missing, absent),
        class_auc=np.array(within, np.float64),
        distance=_distance(missing, absent),
    )


def pair_auc(high: Probs, low: Probs) -> float:
    """Return the share of pairs in which ``high`` is larger than ``low``, ties one half; NaN without pairs.

    Example:
        >>> pair_auc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
        0.875
    """
    if not len(high) or not len(low):
        return float("nan")
    below = np.sort(low)
    smaller = np.searchsorted(below, high, "left").sum(dtype=np.float64)
    not_larger = np.searchsorted(below, high, "right").sum(dtype=np.float64)
    return float((smaller + not_larger) / 2 / len(high) / len(low))


def _edges(bins: int) -> NDArray[np.float64]:
    """Return the edges as the numbers that people write: 57 of 100 is 0.57, which linspace misses."""
    return np.arange(bins + 1) / bins


def _histogram(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.histogram(values, _edges(bins))[0].astype(np.int64)


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(values, QUANTILES) if len(values) else np.full(len(QUANTILES), np.nan)


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The area between the two distribution functions."""
    if not len(first) or not len(second):
        return float("nan")
    first, second = np.sort(first), np.sort(second)
    places = np.sort(np.concatenate([first, second]))
    gap = np.searchsorted(first, places, "right") / len(first)
    gap -= np.searchsorted(second, places, "right") / len(second)
    return float((np.abs(gap[:-1]) * np.diff(places)).sum())


def _check(probs: Probs, observed: Labels, complete: Labels, class_ids: Sequence[str]) -> None:
    if not probs.shape == observed.shape == complete.shape or probs.shape[1:] != (len(class_ids),):
        raise OneLabelError(
            f"probabilities {probs.shape}, observed {observed.shape} and complete labels {complete.shape} of "
            f"{len(class_ids)} classes do not fit each other"
        )
    if not bool(((probs >= 0) & (probs <= 1)).all()):
        raise OneLabelError("probabilities must be between 0 and 1")
    contradicted = int((observed.astype(np.int16) * complete == -1).sum())
    if contradicted:
        raise OneLabelError(
            f"{contradicted} labels are present in one of the two files and absent in the other: "
            "are they of the same images?"
        )
