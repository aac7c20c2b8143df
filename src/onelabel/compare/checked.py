"""How sure a figure on checked images is, and how much surer more checking would make it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelabel.compare.measure import crossed_decisions, pooled_f1
from onelabel.compare.statistics import LEVEL
from onelabel.evaluation.bootstrap import bootstrap_draws
from onelabel.evaluation.metrics import mean_average_precision

DRAWS = 1000
Scores = NDArray[np.float32]
Labels = NDArray[np.int8]
Draws = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with the interval that other images of the same kind would give.

    Attributes:
        value: mean over the seeds, on the images at hand.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of its length."""
        return (self.high - self.low) / 2

    def with_more(self, times: float) -> float:
        """Return the half-width to expect with so many times the images: it falls with the square root.

        Example:
            >>> Interval(0.5, 0.4, 0.6).with_more(4)
            0.05
        """
        return round(self.half_width / math.sqrt(times), 12)


@dataclass(frozen=True)
class CheckedResult:
    """What checked images say of one method.

    Attributes:
        map: mean average precision.
        f1: pooled F1, decided as :func:`onelabel.compare.measure.crossed_decisions` does.
        map_draws: its bootstrap draws, which those of another method may be subtracted from.
    """

    map: Interval
    f1: Interval
    map_draws: Draws


def judge_checked(scores: Sequence[Scores], labels: Labels) -> CheckedResult:
    """Return figures with bootstrap intervals over images.

    Every draw takes the same images for all seeds and all methods. The decisions of F1 are made once, on the
    images at hand. For what a bootstrap is, see :func:`onelabel.evaluation.bootstrap_map`.

    Args:
        scores: (N, C) of the run of each seed.
        labels: (N, C), +1 present, -1 absent.
    """
    maps = np.mean([bootstrap_draws(each, labels, draws=DRAWS) for each in scores], axis=0)
    called = [crossed_decisions(each, labels) for each in scores]
    f1 = np.mean([f1_draws(each, labels) for each in called], axis=0)
    return CheckedResult(
        _interval(float(np.mean([mean_average_precision(each, labels).value for each in scores])), maps),
        _interval(float(np.mean([pooled_f1(each, labels) for each in called])), f1),
        maps,
    )


def f1_draws(called: NDArray[np.bool_], labels: Labels, seed: int = 0) -> Draws:
    """Return the pooled F1 of each draw of images, (draws,); the draws are those of ``bootstrap_draws``."""
    rng, images = np.random.default_rng(seed), len(labels)
    hits = (called & (labels > 0)).sum(axis=1)
    size = (called & (labels != 0)).sum(axis=1) + (labels > 0).sum(axis=1)
    draws = np.empty(DRAWS)
    for number in range(DRAWS):
        times = np.bincount(rng.integers(images, size=images), minlength=images)
        draws[number] = 2 * (times @ hits) / max(times @ size, 1)
    return draws


def _interval(value: float, draws: Draws) -> Interval:
    """Return the basic interval, as :func:`onelabel.evaluation.bootstrap_map`."""
    used = draws[~np.isnan(draws)]
    if not len(used):
        return Interval(value, math.nan, math.nan)
    low, high = np.clip(2 * value - np.quantile(used, [(1 + LEVEL) / 2, (1 - LEVEL) / 2]), 0, 1)
    return Interval(value, float(low), float(high))


def difference_variance(results: Mapping[str, CheckedResult], key: str, other: str) -> float:
    """Return the variance of the difference of two mean average precisions over draws of images."""
    return float(np.nanvar(results[key].map_draws - results[other].map_draws))
