"""What partial labels can order, and the refusals where they cannot."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from onelabel.evaluation import (
    Selection,
    mean_average_precision,
    pu_auc,
    pu_recall_at_k,
    require_selectable,
    selection_score,
    selection_sentence,
)
from onelabel.io.errors import OneLabelError

Array = NDArray[Any]

STEPS = st.integers(-4, 4).map(lambda step: step / 4)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
PROBLEMS = SHAPES.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=STEPS),
        hnp.arrays(np.int8, shape, elements=st.integers(-1, 1)),
    )
)


def slow_pu_auc(scores: Array, labels: Array) -> float:
    pairs = [(p, u) for p in scores[labels > 0] for u in scores[labels == 0]]
    return float(np.mean([(p > u) + 0.5 * (p == u) for p, u in pairs])) if pairs else float("nan")


@settings(deadline=None)
@given(PROBLEMS)
def test_pu_auc_is_that_of_the_slow_reference(problem: tuple[Array, Array]) -> None:
    scores, labels = problem
    found = pu_auc(scores, labels)
    expected = np.array([slow_pu_auc(s, y) for s, y in zip(scores.T, labels.T, strict=True)])
    np.testing.assert_allclose(found.per_class, expected, rtol=0, atol=1e-12)
    assert found.classes_used == (~np.isnan(expected)).sum()
    if found.classes_used:
        assert found.value == pytest.approx(np.nanmean(expected))
    else:
        assert np.isnan(found.value)


@settings(deadline=None)
@given(PROBLEMS, st.floats(-9, 9, width=16))
def test_pu_auc_does_not_use_known_absences_nor_the_scale(problem: tuple[Array, Array], other: float) -> None:
    scores, labels = problem
    expected = pu_auc(scores, labels).per_class
    changed = np.where(labels < 0, np.float32(other), scores * 40)
    np.testing.assert_allclose(pu_auc(changed, labels).per_class, expected, rtol=0, atol=1e-12)
    reverse = pu_auc(-scores, labels).per_class
    np.testing.assert_allclose(reverse, 1 - expected, rtol=0, atol=1e-12)


def test_pu_auc_is_a_known_function_of_the_true_auc() -> None:
    """(1 − π)·AUC + π/2 where the hidden positives have the scores of the observed ones."""
    random = np.random.default_rng(3)
    positive, negative = random.standard_normal(40) + 1, random.standard_normal(160)
    scores = np.concatenate([positive, positive, negative])[:, None]
    labels = np.concatenate([np.ones(40), np.zeros(200)]).astype(np.int8)[:, None]
    share = 40 / 200
    true_auc = roc_auc_score(np.r_[np.ones(40), np.zeros(160)], np.r_[positive, negative])
    assert pu_auc(scores, labels).value == pytest.approx((1 - share) * true_auc + share / 2)


@settings(deadline=None)
@given(PROBLEMS, st.integers(1, 14))
def test_pu_recall_counts_observed_positives_among_the_first_k(problem: tuple[Array, Array], k: int) -> None:
    scores, labels = problem
    found = [
        labels[i, c] > 0
        for i in range(len(labels))
        for c in sorted(range(labels.shape[1]), key=lambda c, i=i: -scores[i, c])[:k]  # type: ignore[misc]
    ]
    positives = (labels > 0).sum()
    if positives:
        assert pu_recall_at_k(scores, labels, k) == pytest.approx(sum(found) / positives)
    else:
        assert np.isnan(pu_recall_at_k(scores, labels, k))


SINGLE = np.array([[1, 0], [0, 1], [1, 0]], np.int8)
COMPLETE = np.array([[1, -1], [-1, 1], [1, -1]], np.int8)
SCORES = np.array([[0.9, 0.3], [0.1, 0.8], [0.5, 0.4]])


def test_the_score_is_the_one_of_the_rule() -> None:
    assert selection_score("observed", SCORES, SINGLE) == pu_auc(SCORES, SINGLE).value
    assert selection_score("full", SCORES, COMPLETE) == mean_average_precision(SCORES, COMPLETE).value
    assert np.isnan(selection_score("last", SCORES, SINGLE))


@pytest.mark.parametrize(
    ("how", "labels", "message"),
    [
        ("full", SINGLE, "2 of 2 classes have unknown images and none known to be absent.*--select observed"),
        ("full", np.array([[1, 1], [-1, 0]], np.int8), "1 of 2 classes"),
        ("full", np.array([[1, -1], [1, -1]], np.int8), "present in one validation image and absent"),
        ("full", np.zeros((0, 2), np.int8), "there is none"),
        ("observed", COMPLETE, "complete: use --select full"),
        ("observed", np.array([[1, -1], [1, 0]], np.int8), "marked present in one .* unknown in another"),
        ("obsrved", SINGLE, "did you mean 'observed'"),
    ],
)
def test_labels_that_cannot_answer_are_refused(how: str, labels: Array, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        require_selectable(how, labels)
    with pytest.raises(OneLabelError, match=message):
        selection_score(how, np.zeros(labels.shape), labels)


def test_full_takes_labels_with_gaps_where_each_class_has_known_absences() -> None:
    require_selectable("full", np.array([[1, -1], [-1, 0], [0, 1]], np.int8))


@pytest.mark.parametrize("how", get_args(Selection))
def test_every_rule_says_what_it_cannot_show(how: str) -> None:
    sentence = selection_sentence(how)
    assert any(word in sentence for word in ("not", "nothing"))
    assert "not mAP" in selection_sentence("observed")
