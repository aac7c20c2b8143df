"""Intervals and p values against independent implementations, and what a paired design must give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from onelabel.compare.statistics import holm, paired, seeds_to_tell, t_quantile, t_within

numbers = st.floats(-1, 1, allow_nan=False, width=32)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 30, 99, 400])
def test_student_against_scipy(df: int) -> None:
    for t in (0.0, 0.3, 1.0, 2.5, 12.0):
        assert t_within(t, df) == pytest.approx(2 * stats.t.cdf(t, df) - 1, abs=1e-12)
    for p in (0.6, 0.95, 0.975, 0.9995):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-10)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12))
def test_paired_is_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    found = paired(a - b)
    assert found.n == len(pairs) and found.mean == pytest.approx(float(np.mean(a - b)))
    if np.std(a - b) < 1e-9:
        assert found.low == found.high == found.mean
        return
    theirs = stats.ttest_rel(a, b)
    interval = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


def test_variance_of_images_widens_the_interval() -> None:
    plain, wider = paired([1.0, 2.0, 3.0]), paired([1.0, 2.0, 3.0], image_variance=1 / 3)
    assert (wider.high - wider.low) == pytest.approx(math.sqrt(2) * (plain.high - plain.low))
    assert wider.p > plain.p


def test_one_seed_says_nothing() -> None:
    found = paired([0.3])
    assert found.mean == 0.3 and math.isnan(found.low) and math.isnan(found.p)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_its_definition(p: list[float]) -> None:
    found, order = holm(p), np.argsort(p, kind="stable")
    for place, index in enumerate(order):
        steps = [min(1.0, (len(p) - before) * p[order[before]]) for before in range(place + 1)]
        assert found[index] == max(steps)


def test_holm_leaves_out_what_has_no_p() -> None:
    assert holm([math.nan, 0.02])[1] == 0.02


def test_seeds_to_tell_is_the_first_that_tells() -> None:
    values = [0.010, 0.030, -0.010, 0.020]
    needed = seeds_to_tell(values)
    assert needed is not None
    mean, spread = np.mean(values), np.std(values, ddof=1)

    def told(n: int) -> bool:
        return bool(stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n) < mean)

    assert told(needed) and not told(needed - 1)
    assert seeds_to_tell([0.1, -0.1]) is None
