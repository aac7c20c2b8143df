"""How sure a mean average precision is: other images of the same kind, drawn from those at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Labels, Matrix, column_blocks, shape_of
from onelabel.evaluation.metrics import mean_average_precision
from onelabel.io.errors import OneLabelError

_CELLS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class MapInterval:
    """A mean average precision with its bootstrap interval; all values in [0, 1].

    Attributes:
        value: of the images at hand, as :func:`mean_average_precision`.
        low: lower end; NaN where no class can be judged.
        high: upper end.
        level: nominal confidence.
        draws: how many draws.
        units: how many images, or groups of images, were drawn from.
    """

    value: float
    low: float
    high: float
    level: float
    draws: int
    units: int

    def __str__(self) -> str:
        """In percent, with what it says and does not say."""
        return (
            f"mAP {100 * self.value:.2f}, {100 * self.level:g} % interval {100 * self.low:.2f} to"
            f" {100 * self.high:.2f} ({self.draws:,} bootstrap draws from {self.units:,} images or groups):"
            " for other images of the same kind, not for another training; too narrow where classes have few"
            " positives"
        )

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the attributes, ready for JSON: None where there is no number."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def bootstrap_map(
    scores: Matrix,
    labels: Matrix,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    groups: NDArray[np.int32] | None = None,
) -> MapInterval:
    """Return the mAP with a bootstrap interval over images.

    The interval is [2m - q(1-a/2), 2m - q(a/2)] for the mAP m and the quantiles q of its draws (the "basic"
    interval), kept within [0, 1]. Average precision over few positives is too high on average, and in the
    draws once more; reflecting them about m corrects for that, where the plain quantiles would add it.
    ``tests/evaluation/test_bootstrap.py`` compares how often both hold the true value.

    Args:
        scores: (N, C) logits or probabilities, finite.
        labels: (N, C), +1 present, 0 unknown, -1 absent.
        draws: how many times N images are drawn with replacement.
        level: nominal confidence, in (0, 1).
        seed: of the draws.
        groups: (N,) group of each image, drawn as a whole (patient, scene); negative for an image by itself.

    Raises:
        OneLabelError: shapes or values do not fit, fewer than 2 draws, or a level outside (0, 1).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.where(rng.random((200, 3)) < 0.3, 1, -1).astype(np.int8)
        >>> found = bootstrap_map(labels + rng.normal(size=(200, 3)), labels, draws=200)
        >>> found.low < found.value < found.high
        True
    """
    if draws < 2 or not 0 < level < 1:
        raise OneLabelError(f"{draws} draws at a level of {level}: at least 2, and a level between 0 and 1")
    values = bootstrap_draws(scores, labels, draws=draws, seed=seed, groups=groups)
    values = values[~np.isnan(values)]
    value = mean_average_precision(scores, labels).value
    ends = np.full(2, np.nan)
    if len(values):
        ends = np.clip(2 * value - np.quantile(values, [(1 + level) / 2, (1 - level) / 2]), 0, 1)
    images, _ = shape_of(scores, labels)
    return MapInterval(
        value=value,
        low=float(ends[0]),
        high=float(ends[1]),
        level=level,
        draws=draws,
        units=len(np.unique(_units(images, groups))),
    )


def bootstrap_draws(
    scores: Matrix,
    labels: Matrix,
    *,
    draws: int = 1000,
    seed: int = 0,
    groups: NDArray[np.int32] | None = None,
) -> NDArray[np.float64]:
    """Return the mAP of each draw of images, (draws,).

    An image drawn k times counts k times: AP = Σ w·(precision at that score) / Σ w over the positives, with
    precision from the weights w of the known images at or above it. A class that lacks positives or negatives
    in a draw is left out of that draw; NaN where none is left. The draws depend on the number of images, the
    groups and the seed alone, so the draws of two models on the same images can be subtracted.

    Source: Efron 1979, https://doi.org/10.1214/aos/1176344552 (the bootstrap).

    Args:
        scores: (N, C) logits or probabilities, finite.
        labels: (N, C), +1 present, 0 unknown, -1 absent.
        draws: how many.
        seed: of the draws.
        groups: (N,) group of each image, drawn as a whole; negative for an image by itself.

    Raises:
        OneLabelError: shapes or values do not fit.
    """
    images, _ = shape_of(scores, labels)
    weights = np.concatenate([*_weights(images, draws, seed, groups)])
    total, used = np.zeros(draws), np.zeros(draws, np.int64)
    for _, block, known in column_blocks(scores, labels):
        for row, marks in zip(block, known, strict=True):
            ap = _weighted_ap(row, marks, weights)
            used += ~np.isnan(ap)
            total += np.nan_to_num(ap)
    values = np.full(draws, np.nan)
    np.divide(total, used, out=values, where=used > 0)
    return values


def _units(images: int, groups: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """Return the unit that each image is drawn with."""
    if groups is None:
        return np.arange(images)
    if len(groups) != images:
        raise OneLabelError(f"{len(groups)} groups for {images} images")
    key = np.where(groups >= 0, groups.astype(np.int64), -1 - np.arange(images))
    unit: NDArray[np.int64] = np.unique(key, return_inverse=True)[1]
    return unit


def _weights(
    images: int, draws: int, seed: int, groups: NDArray[np.int32] | None
) -> Iterator[NDArray[np.uint16]]:
    """Give how often each image is drawn, one draw after the other: (1, images)."""
    rng = np.random.default_rng(seed)
    unit = _units(images, groups)
    number = int(unit.max(initial=-1)) + 1
    for _ in range(draws):
        times = np.bincount(rng.integers(number, size=number), minlength=number)
        yield times[unit][None].astype(np.uint16)


def _weighted_ap(scores: Floats, labels: Labels, weights: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the average precision of one class in each draw, NaN where it is not defined."""
    known = np.flatnonzero(labels)
    order = known[np.argsort(-scores[known], kind="stable")]
    positive, sorted_scores = labels[order] > 0, scores[order]
    last = np.searchsorted(-sorted_scores, -sorted_scores[positive], side="right") - 1  # ties count together
    result = np.full(len(weights), np.nan)
    step = max(1, _CELLS_AT_ONCE // max(1, len(order)))
    for first in range(0, len(weights), step):
        here = slice(first, first + step)
        weight = weights[here, order].astype(np.float64)
        hits = np.cumsum(weight * positive, axis=1)
        seen = np.cumsum(weight, axis=1)
        if not len(order):
            continue
        own, hit, shown = weight[:, positive], hits[:, last], seen[:, last]
        precision = np.divide(hit, shown, out=np.zeros_like(hit), where=shown > 0)
        all_hits, everything = hits[:, -1], seen[:, -1]
        judged = (all_hits > 0) & (all_hits < everything)
        result[here] = np.divide(
            (own * precision).sum(axis=1), all_hits, out=np.full(len(own), np.nan), where=judged
        )
    return result
