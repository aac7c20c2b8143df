"""Figures of held-out images against slow references, with complete labels and without."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    f1_score,
)

from fairground import full_table, labels
from onelabel.compare.checked import DRAWS, f1_draws, judge_checked
from onelabel.compare.measure import chance, crossed_decisions, measure, random_ap
from onelabel.evaluation.bootstrap import bootstrap_map
from onelabel.evaluation.selection import pu_auc
from onelabel.labels.simulate import simulate_single_positives


def scores(images: int = 90, seed: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    return (labels(images) + rng.normal(size=(images, 4))).astype(np.float32)


def test_complete_labels_against_scikit_learn() -> None:
    found, truth = measure(scores(), full_table()), labels()
    each = [average_precision_score(truth[:, c] > 0, scores()[:, c]) for c in range(4)]
    assert found["map"] == pytest.approx(np.mean(each)) and found["per_class"] == pytest.approx(each)
    called = crossed_decisions(scores(), truth)
    assert found["f1"] == pytest.approx(f1_score(truth > 0, called, average="micro"))
    assert found["pu_auc"] is None and found["recall_at_1"] is None


def test_single_positives_give_no_map() -> None:
    table = simulate_single_positives(full_table())
    found = measure(scores(), table)
    assert found["map"] is None and found["f1"] is None
    assert found["pu_auc"] == pytest.approx(pu_auc(scores(), table.dense()).value)
    first = scores().argmax(axis=1)
    assert found["recall_at_1"] == pytest.approx((table.dense()[np.arange(90), first] == 1).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 60))
def test_no_image_is_decided_by_its_own_label(seed: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    truth, values = labels(images, seed=seed), rng.normal(size=(images, 4))
    before = crossed_decisions(values, truth)
    row = int(rng.integers(images))
    truth[row] *= -1
    assert (crossed_decisions(values, truth)[row] == before[row]).all()


def test_order_of_scores_alone_decides() -> None:
    truth = labels()
    assert (crossed_decisions(scores(), truth) == crossed_decisions(3 * scores() - 5, truth)).all()


def test_chance_is_what_random_scores_reach() -> None:
    table = full_table()
    rng = np.random.default_rng(0)
    random = [measure(rng.normal(size=(90, 4)).astype(np.float32), table)["map"] for _ in range(200)]
    assert chance(table)["map"] == pytest.approx(np.mean(random), abs=0.01)
    single = simulate_single_positives(table)
    found = [measure(rng.normal(size=(90, 4)).astype(np.float32), single) for _ in range(200)]
    for name in ("pu_auc", "recall_at_1", "recall_at_3"):
        assert chance(single)[name] == pytest.approx(np.mean([each[name] for each in found]), abs=0.02)


@pytest.mark.parametrize(("positive", "negative"), [(1, 1), (2, 3), (4, 2), (1, 6)])
def test_random_order_against_all_orders(positive: int, negative: int) -> None:
    labels = np.array([1] * positive + [0] * negative)
    orders = [average_precision_score(labels, scores) for scores in permutations(range(len(labels)))]
    (found,) = random_ap(np.array([positive]), np.array([negative]))
    assert found == pytest.approx(np.mean(orders), abs=1e-12)


def test_interval_of_one_seed_is_that_of_evaluate() -> None:
    truth = labels()
    found, theirs = judge_checked([scores()], truth), bootstrap_map(scores(), truth, draws=DRAWS)
    assert (found.map.low, found.map.high) == pytest.approx((theirs.low, theirs.high))
    called = crossed_decisions(scores(), truth)
    rng = np.random.default_rng(0)
    rows = rng.integers(90, size=90)
    assert f1_draws(called, truth)[0] == pytest.approx(
        f1_score(truth[rows] > 0, called[rows], average="micro")
    )


def test_four_times_the_images_halve_the_half_width() -> None:
    """What is foretold from few checked images is about what more of them give."""
    few = [judge_checked([scores(100, seed)], labels(100)).map for seed in range(5)]
    many = [judge_checked([scores(400, seed)], labels(400)).map for seed in range(5)]
    foretold = np.mean([interval.with_more(4) for interval in few])
    assert foretold == pytest.approx(np.mean([interval.half_width for interval in many]), rel=0.25)
