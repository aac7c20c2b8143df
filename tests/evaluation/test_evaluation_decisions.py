"""F1 at thresholds, top-k and the quality of pseudo-labels, against scikit-learn and slow references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support  # type: ignore[import-untyped]

from onelabel.evaluation import blocks, f1_at, pseudo_quality, top_k
from onelabel.io.errors import OneLabelError

Array = NDArray[Any]


def problems(values: tuple[int, ...] = (-1, 0, 1)) -> st.SearchStrategy[tuple[Array, Array]]:
    steps = st.integers(-4, 4).map(lambda step: step / 4)
    return hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12).flatmap(
        lambda shape: st.tuples(
            hnp.arrays(np.float32, shape, elements=steps),
            hnp.arrays(np.int8, shape, elements=st.sampled_from(values)),
        )
    )


def scikit(true: Array, called: Array, average: str | None) -> list[Any]:
    scores = precision_recall_fscore_support(true, called, average=average, zero_division=0)
    return list(scores[:3])


@settings(deadline=None)
@given(problems(), st.integers(-4, 4).map(lambda step: step / 4))
def test_f1_per_class_is_that_of_the_known_entries(problem: tuple[Array, Array], threshold: float) -> None:
    scores, labels = problem
    found = f1_at(scores, labels, threshold)
    used = []
    for c, (s, y) in enumerate(zip(scores.T, labels.T, strict=True)):
        p, r, f = scikit(y[y != 0] > 0, s[y != 0] >= threshold, "binary") if y.any() else (0, 0, 0)
        if (y > 0).any():
            assert found.recall[c] == pytest.approx(r, abs=1e-9)
        else:
            assert np.isnan(found.recall[c])
        if (y > 0).any() and (y < 0).any():
            used.append((p, r))
            assert (found.precision[c], found.f1[c]) == pytest.approx((p, f), abs=1e-9)
        else:
            assert np.isnan([found.precision[c], found.f1[c]]).all()
    assert found.classes_used == len(used)
    if used:
        cp, cr = np.mean(used, axis=0)
        assert (found.class_precision, found.class_recall) == pytest.approx((cp, cr), abs=1e-9)
        assert found.class_f1 == pytest.approx(2 * cp * cr / (cp + cr) if cp + cr else 0, abs=1e-9)
    else:
        assert np.isnan([found.class_precision, found.class_recall, found.class_f1]).all()


@settings(deadline=None)
@given(problems(values=(-1, 1)), st.integers(-4, 4).map(lambda step: step / 4))
def test_overall_f1_of_complete_labels_is_the_micro_average(
    problem: tuple[Array, Array], threshold: float
) -> None:
    scores, labels = problem
    found = f1_at(scores, labels, threshold)
    p, r, f = scikit((labels > 0).ravel(), (scores >= threshold).ravel(), "binary")
    if (labels > 0).any():
        assert (found.overall_precision, found.overall_recall, found.overall_f1) == pytest.approx((p, r, f))
    else:
        assert np.isnan(found.overall_recall)
    np.testing.assert_allclose(found.predicted, (scores >= threshold).mean(axis=0))


@settings(deadline=None)
@given(problems(), st.floats(-9, 9, width=16), st.integers(1, 6))
def test_unknown_entries_change_no_decision_metric(
    problem: tuple[Array, Array], other: float, k: int
) -> None:
    scores, labels = problem
    changed = np.where(labels == 0, np.float32(other), scores)
    before, after = f1_at(scores, labels, 0.25), f1_at(changed, labels, 0.25)
    for name in before.__dataclass_fields__.keys() - {"predicted"}:
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    one, two = top_k(scores, labels, k), top_k(changed, labels, k)
    np.testing.assert_array_equal(one.row_precision, two.row_precision)
    np.testing.assert_array_equal(one.row_recall, two.row_recall)


def test_a_class_with_positives_alone_enters_no_precision() -> None:
    labels = np.array([[1, 1], [0, 1], [0, -1]], np.int8)
    found = f1_at(np.array([[0.9, 0.9], [0.1, 0.1], [0.1, 0.9]]), labels, 0.5)
    assert (found.class_precision, found.overall_precision) == (0.5, 0.5)
    assert (found.class_recall, found.overall_recall) == (0.5, 0.5)
    assert found.observed_recall == pytest.approx(2 / 3)
    only = f1_at(np.array([[0.9], [0.1]]), np.array([[1], [0]], np.int8), 0.5)
    assert np.isnan([only.class_f1, only.overall_f1, only.overall_precision, only.overall_recall]).all()
    assert only.observed_recall == 1.0


def test_thresholds_per_class_and_in_the_precision_of_the_scores() -> None:
    scores = np.array([[0.7, 0.7], [0.2, 0.2]], np.float32)
    labels = np.array([[1, 1], [-1, -1]], np.int8)
    assert f1_at(scores, labels, [0.7, 0.71]).recall.tolist() == [1.0, 0.0]
    assert f1_at(scores, labels, 0.7).class_recall == 1.0


@pytest.mark.parametrize("thresholds", [[0.5], [0.5] * 3, [[0.5, 0.5]], np.nan])
def test_thresholds_that_do_not_fit_are_refused(thresholds: Any) -> None:
    with pytest.raises(OneLabelError, match="threshold"):
        f1_at(np.zeros((2, 2)), np.ones((2, 2), np.int8), thresholds)


def slow_top_k(scores: Array, labels: Array, k: int) -> tuple[float, float]:
    """One image; NaN where it does not count. Sorting is stable: equal scores in column order."""
    known = [c for c in range(len(labels)) if labels[c] != 0]
    unknown = len(labels) - len(known)
    if len(known) < min(k, len(labels)) or (unknown and not (labels < 0).any()):
        return float("nan"), float("nan")
    first = sorted(known, key=lambda c: -scores[c])[:k]
    hits = sum(labels[c] > 0 for c in first)
    return hits / k, hits / max(1, (labels > 0).sum())


@settings(deadline=None)
@given(problems(), st.integers(1, 14))
def test_top_k_is_that_of_the_slow_reference(problem: tuple[Array, Array], k: int) -> None:
    scores, labels = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", 64)
        found = top_k(scores, labels, k)
    rows = np.array([slow_top_k(s, y, k) for s, y in zip(scores, labels, strict=True)])
    np.testing.assert_allclose(np.c_[found.row_precision, found.row_recall], rows)
    counted = rows[~np.isnan(rows[:, 0])]
    assert found.images_used == len(counted)
    if len(counted):
        expected = (*counted.mean(axis=0), (counted[:, 0] > 0).mean())
        assert (found.precision, found.recall, found.any_present) == pytest.approx(expected)
    else:
        assert np.isnan([found.precision, found.recall, found.any_present]).all()


def test_top_k_of_single_positives_says_nothing() -> None:
    labels = np.array([[1, 0, 0], [0, 1, 0]], np.int8)
    assert top_k(np.zeros((2, 3)), labels, 1).images_used == 0


@pytest.mark.parametrize("k", [0, -1])
def test_top_k_needs_a_k(k: int) -> None:
    with pytest.raises(OneLabelError, match="at least 1"):
        top_k(np.zeros((1, 2)), np.ones((1, 2), np.int8), k)


def test_pseudo_quality_leaves_out_observed_entries_and_unknown_truth() -> None:
    pseudo = np.array([[1, 1, 1, 1, 0, -1, 1]], np.int8)
    observed = np.array([[1, 0, 0, 0, 0, 0, -1]], np.int8)
    truth = np.array([[1, 1, -1, 0, 1, 1, -1]], np.int8)
    found = pseudo_quality(pseudo, observed, truth)
    assert (found.precision, found.recall, found.f1) == pytest.approx((1 / 2, 1 / 3, 2 / 5))


def test_pseudo_quality_of_nothing_is_not_defined() -> None:
    nothing = np.zeros((2, 2), np.int8)
    found = pseudo_quality(nothing, nothing, nothing)
    assert np.isnan([found.precision, found.recall, found.f1]).all()
    with pytest.raises(OneLabelError, match="must both be"):
        pseudo_quality(nothing, nothing, nothing[:1])
