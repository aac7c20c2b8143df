"""Paired differences over seeds: how large, how sure, and how many seeds it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
_NUMBERS = (2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)


@dataclass(frozen=True)
class Paired:
    """A mean difference with its interval.

    Attributes:
        mean: of the differences.
        low: lower end of the interval; NaN with one difference.
        high: upper end.
        p: probability of a mean at least as far from 0, were the true one 0; NaN with one difference.
        n: how many differences.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int


def paired(differences: Sequence[float], image_variance: float = 0.0) -> Paired:
    """Return the mean of paired differences with its t interval.

    d̄ ± t(n-1, 0.975)·√(s²/n + v), with the standard deviation s of the n differences. v is the variance that
    the choice of the judged images adds, where that is known; n - 1 degrees of freedom are then too few
    rather than too many.

    Source: Student 1908, https://doi.org/10.1093/biomet/6.1.1.

    Args:
        differences: one for each seed.
        image_variance: v.

    Example:
        >>> found = paired([1.0, 2.0, 3.0])
        >>> round(found.low, 3), found.mean, round(found.high, 3), round(found.p, 4)
        (-0.484, 2.0, 4.484, 0.0742)
    """
    values = np.asarray(differences, np.float64)
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Paired(mean, math.nan, math.nan, math.nan, n)
    error = math.sqrt(float(np.var(values, ddof=1)) / n + image_variance)
    half = t_quantile((1 + LEVEL) / 2, n - 1) * error
    if error < 1e-12:
        return Paired(mean, mean, mean, float(abs(mean) < 1e-12), n)
    return Paired(mean, mean - half, mean + half, 1 - t_within(abs(mean) / error, n - 1), n)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values for their number: Holm 1979, https://www.jstor.org/stable/4615733.

    With many methods, some beat the reference by chance at 5 % each; at 5 % of the adjusted values, the
    chance that any method without an effect is called different is at most 5 %. NaN stays NaN and does not
    count.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted((index for index, value in enumerate(p) if not math.isnan(value)), key=lambda i: p[i])
    adjusted, largest = [math.nan] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p[index]))
        adjusted[index] = largest
    return adjusted


def seeds_to_tell(differences: Sequence[float], methods: int = 1) -> int | None:
    """Return how many seeds would tell this mean difference from 0, were mean and spread the true ones.

    Args:
        differences: one for each seed, two or more.
        methods: m, number of methods among which it is the clearest.

    Returns:
        The smallest n with t(n-1, 1 - 0.025/m)·s/√n < \\|d̄\\|; None above 1000.

    Example:
        >>> seeds_to_tell([1.0, 2.0, 3.0]), seeds_to_tell([1.0, 2.0, 3.0], methods=6)
        (4, 6)
    """
    mean, spread = abs(float(np.mean(differences))), float(np.std(differences, ddof=1))

    def enough(n: int) -> bool:
        return t_quantile(1 - (1 - LEVEL) / (2 * methods), n - 1) * spread / math.sqrt(n) < mean

    bound = next((n for n in _NUMBERS if enough(n)), None)
    if bound is None:
        return None
    low, high = 1, bound
    while high - low > 1:  # the half-width falls with n
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def t_within(t: float, df: int) -> float:
    """Return P(\\|T\\| ≤ t) of Student's distribution with a whole number of degrees of freedom.

    Source: the finite sums 26.7.3 and 26.7.4 of Abramowitz and Stegun 1964,
    https://personal.math.ubc.ca/~cbm/aands/page_948.htm.

    Args:
        t: from 0.
        df: 1 or more.

    Example:
        >>> round(t_within(2.0, 1), 4), round(t_within(2.0, 2), 4)
        (0.7048, 0.8165)
    """
    angle = math.atan(t / math.sqrt(df))
    cosine2 = math.cos(angle) ** 2
    term, total = 1.0, 1.0 if df > 1 else 0.0
    for k in range(2 + df % 2, df, 2):
        term *= cosine2 * (k - 1) / k
        total += term
    if df % 2 == 0:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)


def t_quantile(p: float, df: int) -> float:
    """Return the t below which a share p, above ½, of Student's distribution lies; by bisection.

    Example:
        >>> round(t_quantile(0.975, 4), 4)
        2.7764
    """
    low, high = 0.0, 2.0
    while t_within(high, df) < 2 * p - 1:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, df) < 2 * p - 1 else (low, middle)
    return high
