"""The best threshold against all thresholds tried one by one with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score  # type: ignore[import-untyped]

from onelabel.evaluation.thresholds import best_f1_threshold, recall_threshold


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, Any]:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    levels = draw(st.sampled_from([3, 1000]))  # few levels give ties
    return rng.integers(0, levels, shape) / levels, rng.integers(-1, 2, shape).astype(np.int8)


@given(problems())
@settings(max_examples=60, deadline=None)
def test_no_threshold_has_a_higher_f1(problem: tuple[Any, Any]) -> None:
    scores, labels = problem
    both = (labels == 1).any(axis=0) & (labels == -1).any(axis=0)
    known = (labels != 0) & both
    found = best_f1_threshold(scores, labels)
    if not known.any():
        assert np.isnan(found)
        return

    def f1(threshold: float) -> float:
        return float(f1_score(labels[known] == 1, scores[known] >= threshold))

    assert f1(found) == pytest.approx(max(f1(threshold) for threshold in np.unique(scores[known])))


def test_what_is_unknown_has_no_say() -> None:
    scores, labels = np.array([[0.9], [0.8], [0.2]]), np.array([[1], [0], [-1]], np.int8)
    assert best_f1_threshold(scores, labels) == best_f1_threshold(scores[[0, 2]], labels[[0, 2]]) == 0.55


@given(problems(), st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_the_recall_is_reached_and_no_higher_threshold_reaches_it(
    problem: tuple[Any, Any], recall: float
) -> None:
    scores, labels = problem
    positive = scores[labels == 1]
    found = recall_threshold(scores, labels, recall)
    if not len(positive):
        assert np.isnan(found)
        return
    assert (positive >= found).mean() >= recall
    assert (positive > found).mean() < recall
