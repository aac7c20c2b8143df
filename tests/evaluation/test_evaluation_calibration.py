"""Platt curves against slow minimisation, calibration error against a loop, the F1 curve against f1_at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]

from onelabel.evaluation import calibration_error, evaluate, f1_at, f1_curve, fit_platt
from onelabel.evaluation.calibration import platt_curve
from onelabel.io.errors import OneLabelError

Array = NDArray[Any]


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Array, Array]:
    """Probabilities and labels."""
    shape = draw(st.integers(1, 20)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    levels = draw(st.sampled_from([1, 4, 1000]))
    probs = (rng.integers(0, levels + 1, shape) / levels).astype(np.float32)
    return probs, rng.integers(-1, 2, shape).astype(np.int8)


# -- Platt ---


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.01, 1.0, 300.0]))
@settings(max_examples=40, deadline=None)
def test_a_curve_is_the_minimum_of_platts_loss(seed: int, up: int, down: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    gap = rng.uniform(-1, 4)  # above about 3 the two are parted, below 0 they are the wrong way round
    positive, negative = scale * (rng.normal(size=up) + gap), scale * (rng.normal(size=down) - 5)
    z = np.concatenate([positive, negative])
    target = np.concatenate([np.full(up, (up + 1) / (up + 2)), np.full(down, 1 / (down + 2))])

    def loss(theta: Array) -> float:
        logit = theta[0] * z / scale + theta[1]
        return float((np.logaddexp(0, logit) - target * logit).sum())

    slope, intercept = platt_curve(positive, negative)
    best = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert loss(np.array([slope * scale, intercept])) <= best.fun + 1e-6


def test_the_curve_that_made_the_labels_is_found() -> None:
    rng = np.random.default_rng(0)
    slope, intercept = np.array([0.5, 2.0]), np.array([-1.0, 0.5])
    logits = rng.normal(0, 2, (40_000, 2))
    labels = np.where(rng.random(logits.shape) < sigmoid(logits * slope + intercept), 1, -1).astype(np.int8)
    labels[rng.random(labels.shape) < 0.5] = 0
    found = fit_platt(logits, labels, ["a", "b"])
    assert found.own.all()
    np.testing.assert_allclose(found.slope, slope, rtol=0.05)
    np.testing.assert_allclose(found.intercept, intercept, atol=0.05)
    before = calibration_error(sigmoid(logits), labels).value
    after = calibration_error(sigmoid(logits * found.slope + found.intercept), labels).value
    assert before > 0.1 and after < 0.02


def test_rare_and_falling_classes_take_the_common_curve() -> None:
    rng = np.random.default_rng(1)
    labels = np.where(rng.random((200, 4)) < 0.4, 1, -1).astype(np.int8)
    logits = labels + rng.normal(size=labels.shape)
    logits[:, 1] *= -1  # the wrong way round
    labels[9:, 2] = 0  # rare
    labels[:, 3] = np.maximum(labels[:, 3], 0)  # positives alone
    found = fit_platt(logits, labels, ["fine", "falls", "rare", "positives"])
    assert found.own.tolist() == [True, False, False, False]
    assert len({(found.slope[c], found.intercept[c]) for c in (1, 2, 3)}) == 1
    pooled = [np.concatenate([logits[labels[:, c] == sign, c] for c in (0, 1, 2)]) for sign in (1, -1)]
    assert (found.slope[1], found.intercept[1]) == pytest.approx(platt_curve(*pooled))
    assert (found.slope > 0).all()


@pytest.mark.parametrize("value", [0.0, 7.5, -1e6])
def test_constant_scores_cannot_be_calibrated(value: float) -> None:
    labels = np.array([[1], [1], [-1], [-1]], np.int8)
    with pytest.raises(OneLabelError, match="nothing to calibrate"):
        fit_platt(np.full((4, 1), value), labels, ["a"], least=1)


def test_calibration_needs_known_absences() -> None:
    with pytest.raises(OneLabelError, match="calibration needs a class with known positives and known absen"):
        fit_platt(np.zeros((2, 2)), np.array([[1, 0], [1, -1]], np.int8), ["a", "b"])
    with pytest.raises(OneLabelError, match="is nan"):
        fit_platt(np.array([[np.nan], [1.0]]), np.array([[1], [-1]], np.int8), ["a"])


# -- calibration error ---


def slow_ece(probs: Array, labels: Array, bins: int) -> list[float]:
    found = []
    for p, y in zip(probs.T.astype(np.float64), labels.T, strict=True):
        if not ((y == 1).any() and (y == -1).any()):
            found.append(np.nan)
            continue
        known = sorted((value, sign > 0) for value, sign in zip(p, y, strict=True) if sign != 0)
        runs: dict[int, list[tuple[float, bool]]] = {}
        for value, present in known:
            below = sum(other < value for other, _ in known)
            runs.setdefault(below * bins // len(known), []).append((value, present))
        gaps = [abs(sum(v for v, _ in run) - sum(present for _, present in run)) for run in runs.values()]
        found.append(sum(gaps) / len(known))
    return found


@given(problems(), st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_calibration_error_is_that_of_the_loop(problem: tuple[Array, Array], bins: int) -> None:
    probs, labels = problem
    found, expected = calibration_error(probs, labels, bins), slow_ece(probs, labels, bins)
    np.testing.assert_allclose(found.per_class, expected, atol=1e-6)
    used = [value for value in expected if not np.isnan(value)]
    assert found.classes_used == len(used)
    assert found.value == pytest.approx(np.mean(used), abs=1e-6) if used else np.isnan(found.value)
    judged = (labels == 1).any(axis=0) & (labels == -1).any(axis=0)
    assert found.count.sum() == (labels[:, judged] != 0).sum()
    assert (np.diff(found.mean_prob) >= 0).all()
    order = np.random.default_rng(0).permutation(len(probs))
    np.testing.assert_allclose(
        calibration_error(probs[order], labels[order], bins).per_class, found.per_class, atol=1e-9
    )


def test_right_probabilities_have_a_small_error_and_logits_are_refused() -> None:
    rng = np.random.default_rng(0)
    probs = rng.random((20_000, 2))
    labels = np.where(rng.random(probs.shape) < probs, 1, -1).astype(np.int8)
    assert calibration_error(probs, labels).value < 0.02
    assert calibration_error(1 - probs, labels).value > 0.4
    with pytest.raises(OneLabelError, match="not logits"):
        calibration_error(probs * 3, labels)


# -- F1 against the threshold ---


@given(problems(), st.integers(3, 9))
@settings(max_examples=80, deadline=None)
def test_the_curve_is_that_of_an_evaluation(problem: tuple[Array, Array], points: int) -> None:
    probs, labels = problem
    found = f1_curve(probs, labels, points)
    if not ((labels == 1).any(axis=0) & (labels == -1).any(axis=0)).any():
        assert found.to_dict() is None
        return
    assert len(found.thresholds) <= points and (np.diff(found.thresholds) > 0).all()
    for t, f, p, r in zip(found.thresholds, found.f1, found.precision, found.recall, strict=True):
        at = f1_at(probs, labels, t)
        assert (at.overall_f1, at.overall_precision, at.overall_recall) == pytest.approx((f, p, r))
    assert found.half_f1 == pytest.approx(f1_at(probs, labels, 0.5).overall_f1)
    known = labels != 0
    best = max(f1_at(probs, labels, t).overall_f1 for t in np.unique(probs[known]))
    assert found.best_f1 == pytest.approx(best) == pytest.approx(f1_at(probs, labels, found.best).overall_f1)


def test_probabilities_that_crowd_at_one_value_are_resolved() -> None:
    """EM keeps what is unknown near 0.5; a grid of equal steps would miss where F1 is high."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((500, 4)) < 0.3, 1, -1).astype(np.int8)
    probs = (0.5 + 1e-4 * (labels + rng.normal(size=labels.shape)) + 2e-4).astype(np.float32)
    found = f1_curve(probs, labels)
    assert found.best_f1 > found.half_f1 + 0.2
    assert ((found.thresholds > 0.499) & (found.thresholds < 0.501)).sum() > 100


# -- in an evaluation ---


def test_thresholds_are_in_the_unit_of_the_last_probabilities_and_ranking_in_that_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((60, 2)) < 0.4, 1, -1).astype(np.int8)
    logits = 40 * labels + rng.normal(size=labels.shape)  # the sigmoid of most is exactly 0 or 1
    probs = {"before": sigmoid(logits), "after": sigmoid(logits / 40)}
    found = evaluate(logits, labels, ["a", "b"], [0.6, 0.7], probs=probs, warnings=["seen before"])
    assert found.f1 is not None and found.f1_curve is not None
    np.testing.assert_array_equal(found.f1.predicted, (probs["after"] >= [0.6, 0.7]).mean(axis=0))
    assert found.mean_ap.value == 1 and found.notes[0] == "seen before"
    content = found.to_dict()
    for entry, part in zip(content["calibration"], probs.values(), strict=True):
        assert entry["ece"] == calibration_error(part, labels).value
    assert content["per_class"][1]["ece"] == calibration_error(probs["after"], labels).per_class[1]
    assert found.table().count("calibration error (classwise ECE)") == 2


def test_without_known_absences_nothing_is_said_of_calibration() -> None:
    probs, labels = np.array([[0.9, 0.2], [0.4, 0.6]]), np.array([[1, 0], [0, 1]], np.int8)
    found = evaluate(probs, labels, ["a", "b"], 0.5, probs={"raw": probs})
    assert found.to_dict()["f1_curve"] is None and found.to_dict()["calibration"][0]["ece"] is None
    assert "calibration error" not in found.table() and "at 0.5, at best" not in found.table()
