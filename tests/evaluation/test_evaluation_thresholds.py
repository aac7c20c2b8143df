"""What each rule promises, against every threshold tried one by one; and what shrinkage is good for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onelabel.evaluation import f1_at, fit_thresholds
from onelabel.evaluation.rules import parse_rule
from onelabel.evaluation.thresholds import Scope
from onelabel.io.errors import OneLabelError

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """Probabilities and labels of a few images."""

    probs: Array
    labels: Array

    @property
    def ids(self) -> list[str]:
        return [f"c{column}" for column in range(self.probs.shape[1])]

    def columns(self) -> list[tuple[Array, Array]]:
        return list(zip(self.probs.T, self.labels.T, strict=True))

    def pooled(self) -> tuple[Array, Array]:
        """Known entries of the classes where a yes can be wrong."""
        wrong = (self.labels == -1).any(axis=0) | (self.labels != 0).all(axis=0)
        known = (self.labels != 0) & wrong
        return self.probs[known], self.labels[known]


@st.composite
def problems(draw: st.DrawFn, dtypes: tuple[Any, ...] = (np.float64, np.float32, np.float16)) -> Problem:
    shape = draw(st.integers(1, 14)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    levels = draw(st.sampled_from([1, 3, 1000]))  # few levels give ties, one gives a constant
    probs = rng.integers(0, levels + 1, shape) / levels
    low = draw(st.sampled_from([-1, 0]))
    return Problem(probs.astype(draw(st.sampled_from(dtypes))), rng.integers(low, 2, shape).astype(np.int8))


def tried(scores: Array) -> Array:
    """Every threshold that makes a difference: each score, and one above all."""
    return np.append(np.unique(scores).astype(np.float64), 2.0)


def fits(problem: Problem, rule: str, scope: Scope) -> Any:
    """The fit, or None where it is rightly refused."""
    able = (problem.labels == 1).any(axis=0)
    if parse_rule(rule).needs_absent:
        able &= (problem.labels == -1).any(axis=0)
    if not able.any():
        with pytest.raises(OneLabelError, match=r"needs (a class with )?known positives"):
            fit_thresholds(problem.probs, problem.labels, problem.ids, rule, scope)
        return None
    return fit_thresholds(problem.probs, problem.labels, problem.ids, rule, scope)


@given(problems())
@settings(max_examples=80, deadline=None)
def test_no_threshold_has_a_higher_f1(problem: Problem) -> None:
    def f1(scores: Array, labels: Array, cut: float) -> float:
        called = scores.astype(np.float64) >= cut
        true, false = ((called & (labels == sign)).sum() for sign in (1, -1))
        return float(2 * true / (true + false + (labels == 1).sum()))

    def best(scores: Array, labels: Array) -> float:
        return max(f1(scores, labels, cut) for cut in tried(scores[labels != 0]))

    if (found := fits(problem, "f1", "class")) is not None:
        for (scores, labels), own in zip(problem.columns(), found.own, strict=True):
            if (labels == 1).any() and (labels == -1).any():
                assert f1(scores, labels, own) == pytest.approx(best(scores, labels))
            else:
                assert np.isnan(own)
        assert np.array_equal(found.values, np.where(np.isnan(found.own), found.common, found.own))
    if (found := fits(problem, "f1", "all")) is not None:
        assert f1(*problem.pooled(), found.common) == pytest.approx(best(*problem.pooled()))
        assert (found.values == found.common).all()
        # It is the OF1 that an evaluation shows.
        assert found.reached.overall_f1 == pytest.approx(best(*problem.pooled()))


@given(problems(), st.floats(0.05, 1.0))
@settings(max_examples=80, deadline=None)
def test_the_precision_is_reached_with_the_highest_recall_or_said_not_to_be(
    problem: Problem, target: float
) -> None:
    rule = f"precision:{target}"
    target = parse_rule(rule).numbers[0]

    def hits(scores: Array, labels: Array, cut: float) -> tuple[float, int]:
        called = scores.astype(np.float64) >= cut
        true, false = ((called & (labels == sign)).sum() for sign in (1, -1))
        return true / max(true + false, 1), int(true)

    def most(scores: Array, labels: Array) -> int:
        """Most positives found at the precision; 0 for none."""
        found = (hits(scores, labels, cut) for cut in tried(scores[labels != 0]))
        return max([true for precision, true in found if precision >= target], default=0)

    if (problem.pooled()[1] == 1).any() and most(*problem.pooled()) == 0:
        with pytest.raises(OneLabelError, match=r"no threshold reaches it|needs a class"):
            fit_thresholds(problem.probs, problem.labels, problem.ids, rule, "class")
        return
    if (found := fits(problem, rule, "class")) is None:
        return
    unable = []
    for name, (scores, labels), own in zip(problem.ids, problem.columns(), found.own, strict=True):
        if not ((labels == 1).any() and (labels == -1).any()):
            assert np.isnan(own)
        elif most(scores, labels) == 0:
            assert np.isnan(own)
            unable.append(name)
        else:
            precision, true = hits(scores, labels, own)
            assert precision >= target and true == most(scores, labels)
    said = " ".join(note for note in found.notes if "no threshold reaches" in note)
    assert all(repr(name) in said for name in unable) and bool(said) == bool(unable)
    precision, true = hits(*problem.pooled(), found.common)
    assert precision >= target and true == most(*problem.pooled())


@given(problems(), st.floats(0.05, 1.0))
@settings(max_examples=80, deadline=None)
def test_the_recall_is_reached_and_no_higher_threshold_reaches_it(problem: Problem, recall: float) -> None:
    rule = f"recall:{recall}"
    if (found := fits(problem, rule, "class")) is None:
        return
    positive = [scores[labels == 1] for scores, labels in problem.columns()]
    cases = [(part, own) for part, own in zip(positive, found.own, strict=True) if len(part)]
    assert sum(np.isnan(found.own)) == len(positive) - len(cases)
    for part, cut in [*cases, (np.concatenate(positive), found.common)]:
        assert (part.astype(np.float64) >= cut).mean() >= recall
        assert (part.astype(np.float64) > cut).mean() < recall


@given(problems(), st.floats(0.1, 9.0), st.floats(0.1, 9.0))
@settings(max_examples=80, deadline=None)
def test_no_threshold_costs_less(problem: Problem, missed: float, false: float) -> None:
    def cost(scores: Array, labels: Array, cut: float) -> float:
        called = scores.astype(np.float64) >= cut
        return missed * float((~called & (labels == 1)).sum()) + false * float(
            (called & (labels == -1)).sum()
        )

    if (found := fits(problem, f"cost:{missed}:{false}", "class")) is None:
        return
    missed, false = found.rule.numbers
    cases = [
        (*part, own) for part, own in zip(problem.columns(), found.own, strict=True) if not np.isnan(own)
    ]
    for scores, labels, cut in [*cases, (*problem.pooled(), found.common)]:
        least = min(cost(scores, labels, other) for other in tried(scores[labels != 0]))
        assert cost(scores, labels, cut) == pytest.approx(least)


@given(problems(), st.floats(0.01, 0.99))
@settings(max_examples=80, deadline=None)
def test_the_share_is_called_but_for_ties(problem: Problem, share: float) -> None:
    found = fit_thresholds(problem.probs, problem.labels, problem.ids, f"share:{share}", "class")
    share = found.rule.numbers[0]
    cases = [*zip(problem.probs.T, found.own, strict=True), (problem.probs.ravel(), found.common)]
    for scores, cut in cases:
        assert (scores.astype(np.float64) >= cut).mean() >= share - 1e-6
        assert (scores.astype(np.float64) > cut).mean() < share
    again = fit_thresholds(problem.probs, np.zeros_like(problem.labels), problem.ids, f"share:{share}")
    assert again.scope == "all" and (again.values == found.common).all(), "no label is used"


@given(problems(), st.sampled_from(["f1", "recall:0.8", "cost:1:2"]), st.floats(0, 50))
@settings(max_examples=60, deadline=None)
def test_shrinkage_is_the_stated_equation(problem: Problem, rule: str, k: float) -> None:
    if fits(problem, rule, "class") is None:
        return
    found = fit_thresholds(problem.probs, problem.labels, problem.ids, rule, "shrunk", shrinkage=k)
    for c in range(len(problem.ids)):
        positive, negative = ((problem.labels[:, c] == sign).sum() for sign in (1, -1))
        n = positive if rule.startswith("recall") else min(positive, negative)
        if np.isnan(found.own[c]) or n == 0:
            assert found.values[c] == found.common and found.weight[c] == 0
            continue
        w = n / (n + k)
        own, common = (min(max(t, 1e-7), 1 - 1e-7) for t in (found.own[c], found.common))
        odds = w * np.log(own / (1 - own)) + (1 - w) * np.log(common / (1 - common))
        expected = found.own[c] if k == 0 else 1 / (1 + np.exp(-odds))
        assert found.values[c] == pytest.approx(expected, abs=1e-6) and found.weight[c] == pytest.approx(w)


@given(problems(), st.sampled_from(["f1", "recall:0.8", "share:0.3"]), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_order_of_images_and_unknown_scores_have_no_say(problem: Problem, rule: str, seed: int) -> None:
    scope: Scope = "all" if rule.startswith("share") else "shrunk"
    if not rule.startswith("share") and fits(problem, rule, scope) is None:
        return
    found = fit_thresholds(problem.probs, problem.labels, problem.ids, rule, scope)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(problem.probs))
    probs = problem.probs.copy()
    if not rule.startswith("share"):
        probs[problem.labels == 0] = rng.random((problem.labels == 0).sum())
    again = fit_thresholds(probs[order], problem.labels[order], problem.ids, rule, scope)
    np.testing.assert_array_equal(found.values, again.values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_threshold_parts_neighbouring_numbers(dtype: Any) -> None:
    """Half-way between two neighbours rounds to one of them; it must not be the lower one."""
    low = dtype(0.3)
    high = np.nextafter(low, dtype(1))
    probs, labels = np.array([[low], [high]]), np.array([[-1], [1]], np.int8)
    found = fit_thresholds(probs, labels, ["a"], "f1", "class")
    assert (probs.astype(np.float64) >= found.values).ravel().tolist() == [False, True]
    assert found.reached.overall_f1 == f1_at(probs, labels, found.values).overall_f1 == 1


# -- what cannot be said ---


@pytest.mark.parametrize("rule", ["f1", "precision:0.9", "cost:5:1"])
def test_positives_alone_answer_only_recall_and_share(rule: str) -> None:
    probs, labels = np.array([[0.9, 0.2], [0.4, 0.6]]), np.array([[1, 0], [0, 1]], np.int8)
    with pytest.raises(OneLabelError, match=r"known absences.*Use recall:R or share:PI") as error:
        fit_thresholds(probs, labels, ["a", "b"], rule)
    assert "nothing called present is known to be wrong" in str(error.value)
    for other in ("recall:0.9", "share:0.5"):
        assert "how many decisions are false is not known" in fit_thresholds(
            probs, labels, ["a", "b"], other
        ).source("x.csv")


def test_classes_that_cannot_tell_take_the_common_threshold_and_are_named() -> None:
    probs = np.array([[0.9, 0.8, 0.7], [0.1, 0.6, 0.5]])
    labels = np.array([[1, 1, -1], [-1, 0, -1]], np.int8)
    found = fit_thresholds(probs, labels, ["fine", "no absence", "no positive"], "f1", "class")
    assert found.values.tolist() == [found.own[0], found.common, found.common]
    assert "'no absence', 'no positive' take the common threshold" in found.notes[0]
    content = found.to_dict()
    assert content["classes"]["no positive"]["own"] is None and content["notes"] == list(found.notes)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("F1", "unknown rule 'F1' (did you mean 'f1'?)"),
        ("precision", "must be written as precision:P"),
        ("recall:a", "must be written as recall:R"),
        ("f1:2", "must be written as f1"),
        ("cost:1", "must be written as cost:FN:FP"),
        ("cost:1:0", "both costs must be above 0"),
        ("cost:nan:1", "both costs must be above 0"),
        ("recall:90", "R must be above 0 and up to 1, such as recall:0.9"),
        ("precision:0", "P must be above 0 and up to 1"),
        ("recall:nan", "R must be above 0"),
        ("share:1", "PI must be between 0 and 1"),
    ],
)
def test_rules_that_are_none(rule: str, message: str) -> None:
    with pytest.raises(OneLabelError) as error:
        parse_rule(rule)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "for class 0 is nan"), (1.5, "not logits"), (-0.1, "not logits"), (np.inf, "inf")],
)
def test_what_is_no_probability_is_refused(value: float, message: str) -> None:
    probs, labels = np.array([[0.5], [value]]), np.array([[1], [-1]], np.int8)
    for rule in ("f1", "share:0.5"):
        with pytest.raises(OneLabelError, match=message):
            fit_thresholds(probs, labels, ["a"], rule)


def test_one_image_and_no_image() -> None:
    probs, labels = np.array([[0.7, 0.2]]), np.array([[1, -1]], np.int8)
    assert fit_thresholds(probs, labels, ["a", "b"], "recall:1").common == 0.7
    with pytest.raises(OneLabelError, match="rule f1 needs a class"):
        fit_thresholds(probs, labels, ["a", "b"], "f1")
    for rule in ("f1", "recall:1", "share:0.5"):
        with pytest.raises(OneLabelError, match="needs"):
            fit_thresholds(probs[:0], labels[:0], ["a", "b"], rule)


def test_a_cost_can_ask_to_call_nothing() -> None:
    probs, labels = np.array([[1.0], [1.0], [0.2]], np.float32), np.array([[1], [-1], [-1]], np.int8)
    found = fit_thresholds(probs, labels, ["a"], "cost:1:5", "class")
    assert not (probs >= found.values).any()


# -- shrinkage against simulation ---


def simulated(rng: np.random.Generator, images: int, share: float, shift: Array) -> tuple[Array, Array]:
    """Classes whose logits part presence alike, but for a shift of their own."""
    labels = np.where(rng.random((images, len(shift))) < share, 1, -1)
    logits = 1.2 * labels + rng.normal(size=labels.shape) + shift
    return (1 / (1 + np.exp(-logits))).astype(np.float32), labels.astype(np.int8)


def missed_by(rule: str, probs: Array, labels: Array, cuts: Array) -> float:
    """How far decisions on new images are from what a rule wants, mean over classes; less is better."""
    called = probs >= cuts
    true, false = ((called & (labels == sign)).sum(axis=0) for sign in (1, -1))
    positives = (labels == 1).sum(axis=0)
    if rule == "f1":
        return 1 - float(np.mean(2 * true / (true + false + positives)))
    if rule == "cost:3:1":
        return float(np.mean(3 * (positives - true) + false) / len(labels))
    reached = true / positives if rule == "recall:0.9" else true / np.maximum(true + false, 1)
    return float(np.abs(reached - parse_rule(rule).numbers[0]).mean())


def simulation(rule: str, images: int, seeds: int) -> tuple[float, float, float]:
    """What is missed on new images by thresholds shrunk, of each class alone, and common."""
    scopes: tuple[Scope, ...] = ("shrunk", "class", "all")
    total = np.zeros(3)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        shift = rng.normal(0, 0.5, 20)
        fitted, new = simulated(rng, images, 0.15, shift), simulated(rng, 4000, 0.15, shift)
        ids = [str(c) for c in range(len(shift))]
        cuts = [fit_thresholds(*fitted, ids, rule, scope).values for scope in scopes]
        total += np.array([missed_by(rule, *new, cut) for cut in cuts]) / seeds
    return float(total[0]), float(total[1]), float(total[2])


@pytest.mark.parametrize("rule", ["f1", "cost:3:1", "recall:0.9", "precision:0.7"])
def test_with_few_positives_shrinkage_is_better_and_with_many_it_is_the_threshold_of_the_class(
    rule: str,
) -> None:
    shrunk, alone, common = simulation(rule, images=30, seeds=8)  # 4.5 positives per class
    assert shrunk < alone - 0.01 and shrunk < common, (shrunk, alone, common)
    shrunk, alone, common = simulation(rule, images=3000, seeds=2)
    assert abs(shrunk - alone) < 0.002 and shrunk < common - 0.01, (shrunk, alone, common)
