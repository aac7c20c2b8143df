"""The bootstrap interval of the mAP: against slow resampling, against known truth, and its edges."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onelabel.evaluation import bootstrap_draws, bootstrap_map, mean_average_precision
from onelabel.io.errors import OneLabelError

Array = NDArray[Any]


def slow(scores: Array, labels: Array, draws: int, seed: int, groups: Array | None = None) -> list[float]:
    """Copy the images of each draw and take the mAP of the copies."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(labels))
    if groups is None:
        members = [rows[i : i + 1] for i in rows]
    else:
        alone = [rows[i : i + 1] for i in rows[::-1] if groups[i] < 0]
        members = alone + [rows[groups == group] for group in np.unique(groups[groups >= 0])]
    result = []
    for _ in range(draws):
        drawn = rng.integers(len(members), size=len(members))
        index = np.concatenate([members[i] for i in drawn])
        result.append(mean_average_precision(scores[index], labels[index]).value)
    return result


def some(seed: int, images: int = 30, classes: int = 4, rate: float = 0.3) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, -1, 0], (images, classes), p=[rate, 0.9 - rate, 0.1]).astype(np.int8)
    return rng.normal(size=labels.shape) + labels, labels


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_draws_are_those_of_copied_images(seed: int, ties: bool, grouped: bool) -> None:
    scores, labels = some(seed, 12 + seed % 20, rate=0.05 + seed % 3 / 10)
    scores = np.round(scores) if ties else scores
    groups = np.random.default_rng(seed).integers(-2, 5, len(labels)).astype(np.int32) if grouped else None
    if groups is not None:
        groups[groups < 0] = -1
    found = bootstrap_draws(scores, labels, draws=5, seed=seed, groups=groups)
    assert found == pytest.approx(slow(scores, labels, 5, seed, groups), nan_ok=True)


def test_more_images_narrow_it_and_seeds_repeat_it() -> None:
    scores, labels = some(1, 2000)
    wide, narrow = (bootstrap_map(scores[:n], labels[:n], draws=300) for n in (100, 2000))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert narrow.low < narrow.value < narrow.high and narrow.units == 2000
    assert bootstrap_map(scores, labels, draws=300) == narrow
    assert bootstrap_map(scores, labels, draws=300, seed=1) != narrow
    assert bootstrap_map(scores, labels, draws=300, level=0.5).high < narrow.high


def test_copies_in_one_group_do_not_narrow_it() -> None:
    scores, labels = some(2, 100)
    alone = bootstrap_map(scores, labels, draws=200)
    copies = np.repeat(scores, 5, axis=0), np.repeat(labels, 5, axis=0)
    together = bootstrap_map(*copies, draws=200, groups=np.repeat(np.arange(100), 5).astype(np.int32))
    fooled = bootstrap_map(*copies, draws=200)
    assert (together.low, together.high, together.units) == pytest.approx((alone.low, alone.high, 100))
    assert fooled.high - fooled.low < 0.6 * (alone.high - alone.low)


def test_draws_of_two_models_are_paired() -> None:
    scores, labels = some(3, 300)
    better = scores + 0.05 * labels
    one, two = (bootstrap_draws(model, labels, draws=200) for model in (scores, better))
    assert np.std(two - one) < 0.3 * np.std(one)


def test_it_holds_the_truth_more_often_than_the_quantiles() -> None:
    """Normal scores, 3 % positives: the truth is the mAP of very many images."""

    def sample(rng: np.random.Generator, images: int) -> tuple[Array, Array]:
        labels = np.where(rng.random((images, 5)) < 0.03, 1, -1).astype(np.int8)
        return rng.normal(size=labels.shape) + 1.5 * (labels > 0), labels

    rng = np.random.default_rng(0)
    truth = mean_average_precision(*sample(rng, 200_000)).value
    basic = plain = 0
    for seed in range(100):
        data = sample(rng, 300)
        found = bootstrap_map(*data, draws=200, seed=seed)
        low, high = np.quantile(bootstrap_draws(*data, draws=200, seed=seed), [0.025, 0.975])
        basic += found.low <= truth <= found.high
        plain += low <= truth <= high
    assert basic >= 82 and basic > plain


def test_nothing_to_judge() -> None:
    found = bootstrap_map(np.zeros((4, 2)), np.zeros((4, 2), np.int8), draws=3)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["low"] is None
    positives = bootstrap_map(np.arange(4.0)[:, None], np.ones((4, 1), np.int8), draws=3)
    assert np.isnan(positives.low)


def test_mistakes() -> None:
    scores, labels = some(4)
    for draws, level in ((1, 0.95), (10, 1.0), (10, 0.0), (10, float("nan"))):
        with pytest.raises(OneLabelError, match="at least 2, and a level between 0 and 1"):
            bootstrap_map(scores, labels, draws=draws, level=level)
    with pytest.raises(OneLabelError, match="7 groups for 30 images"):
        bootstrap_map(scores, labels, groups=np.zeros(7, np.int32))
    with pytest.raises(OneLabelError, match="must both be"):
        bootstrap_map(scores[:, :2], labels)
