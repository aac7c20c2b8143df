"""Diagnostics of missing labels against slow references, as properties, and through the command."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.recipes.diagnostics_figures import draw_diagnostics
from onelabel.recipes.diagnostics_files import write_numbers
from onelabel.recipes.diagnostics_k import KEstimate, chance_missing, k_given
from onelabel.recipes.diagnostics_missing import QUANTILES, MissingLabels, missing_labels
from onelabel.recipes.diagnostics_run import saved_scores, truth_of, unknown_part

Arrays = tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.int8]]


@st.composite
def cases(draw: st.DrawFn) -> Arrays:
    """Probabilities with many ties, complete labels, and a part of them observed."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grain = draw(st.sampled_from([4, 100, 1000]))
    probs = generator.integers(0, grain + 1, shape) / grain
    complete = generator.choice(np.array([1, -1, 0], np.int8), shape, p=[0.5, 0.4, 0.1])
    observed = np.where(generator.random(shape) < 0.6, 0, complete).astype(np.int8)
    return probs, observed, complete


def ids_of(probs: NDArray[np.float64]) -> list[str]:
    return [f"c{number}" for number in range(probs.shape[1])]


def slow_auc(high: list[float], low: list[float]) -> float:
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in high for b in low]
    return math.fsum(wins) / len(wins) if wins else math.nan


def slow_distance(first: list[float], second: list[float]) -> float:
    """Area between the distribution functions, step by step over all places."""
    if not first or not second:
        return math.nan
    places, area = sorted({*first, *second}), 0.0
    for left, right in itertools.pairwise(places):
        below_first = sum(value <= left for value in first) / len(first)
        below_second = sum(value <= left for value in second) / len(second)
        area += abs(below_first - below_second) * (right - left)
    return area


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([2, 7, 100]))
def test_every_number_is_that_of_a_slow_reference(case: Arrays, bins: int) -> None:
    probs, observed, complete = case
    entries = [
        (c, float(probs[n, c]), int(complete[n, c]))
        for n in range(len(probs)) for c in range(probs.shape[1]) if observed[n, c] == 0 and complete[n, c]
    ]  # fmt: skip
    if not entries:
        with pytest.raises(OneLabelError, match="nothing to compare"):
            missing_labels(probs, observed, complete, ids_of(probs), bins)
        return
    found = missing_labels(probs, observed, complete, ids_of(probs), bins)
    high, low = ([p for _, p, truth in entries if truth == sign] for sign in (1, -1))
    assert found.auc == pytest.approx(slow_auc(high, low), abs=1e-12, nan_ok=True)
    assert found.distance == pytest.approx(slow_distance(high, low), abs=1e-12, nan_ok=True)
    for c in range(probs.shape[1]):
        mine = [(p, truth) for column, p, truth in entries if column == c]
        assert found.missing[c] == sum(truth == 1 for _, truth in mine)
        assert found.absent[c] == sum(truth == -1 for _, truth in mine)
        assert found.observed[c] == (observed[:, c] == 1).sum()
        within = slow_auc([p for p, t in mine if t == 1], [p for p, t in mine if t == -1])
        assert found.class_auc[c] == pytest.approx(within, abs=1e-12, nan_ok=True)
    edges = [number / bins for number in range(bins + 1)]
    for b in range(bins):

        def inside(p: float, b: int = b) -> bool:
            return edges[b] <= p < edges[b + 1] or (b == bins - 1 and p == 1)

        fn, tn = sum(map(inside, high)), sum(map(inside, low))
        assert (found.missing_counts[b], found.absent_counts[b]) == (fn, tn)
        share = fn / (fn + tn) if fn + tn else math.nan
        assert found.share_missing[b] == pytest.approx(share, nan_ok=True)
    for values, quantiles in ((high, found.missing_quantiles), (low, found.absent_quantiles)):
        expected = [np.quantile(values, q) if values else math.nan for q in QUANTILES]
        np.testing.assert_allclose(quantiles, expected)


def test_perfect_and_reversed_models() -> None:
    complete = np.array([[1, -1], [-1, 1], [1, 1]], np.int8)
    observed = np.array([[0, 0], [0, 0], [1, 0]], np.int8)
    perfect = (complete + 1) / 2.0
    found = missing_labels(perfect, observed, complete, ["a", "b"])
    assert (found.auc, found.distance) == (1, 1)
    assert found.share_missing[0] == 0 and found.share_missing[-1] == 1
    assert np.isnan(found.share_missing[1:-1]).all()
    assert found.observed_share == 0.25
    turned = missing_labels(1 - perfect, observed, complete, ["a", "b"])
    assert (turned.auc, turned.distance) == (0, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [  # of probabilities, observed and complete labels
        (lambda p, o, c: (p + 1, o, c), "between 0 and 1"),
        (lambda p, o, c: (p * np.nan, o, c), "between 0 and 1"),
        (lambda p, o, c: (p[:, :1], o, c), "do not fit"),
        (lambda p, o, c: (p, o[:, :1], c), "do not fit"),
        (lambda p, _, c: (p, -c, c), "2 labels are present in one of the two files and absent in the other"),
        (lambda p, _, c: (p, c, c), "nothing to compare"),
        (lambda p, o, _: (p, o, o), "nothing to compare"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[..., Arrays], expected: str) -> None:
    complete = np.array([[1, -1]], np.int8)
    probs, observed, truth = change(np.array([[0.5, 0.25]]), np.zeros_like(complete), complete)
    with pytest.raises(OneLabelError, match=expected):
        missing_labels(probs, observed, truth, ["a", "b"])


def test_chance_missing_is_bayes() -> None:
    """P(present | unknown) counted in a large draw where each positive is observed with probability a."""
    a, generator = 0.4, np.random.default_rng(0)
    for p in (0.1, 0.5, 0.9):
        present = generator.random(200_000) < p
        unknown = ~(present & (generator.random(200_000) < a))
        assert chance_missing(p, a) == pytest.approx(present[unknown].mean(), abs=0.005)
    assert chance_missing([0.0, 1.0], 0.3).tolist() == [0, 1]


def test_k_is_a_logistic_curve() -> None:
    k = k_given("10,-8")
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(k.curve(p), 1 / (1 + np.exp(-(10 * p - 8))), rtol=1e-12)
    for text in ("", "1", "1,2,3", "a,b"):
        with pytest.raises(OneLabelError, match="--k"):
            k_given(text)


def test_tables_are_aligned_by_id_and_class() -> None:
    observed = LabelTable.from_dense(["b", "a"], ["x", "y"], [[1, 0], [0, 1]])
    complete = LabelTable.from_dense(["a", "z", "b"], ["y", "x"], [[1, -1], [1, 1], [-1, 1]])
    assert truth_of(observed, complete).dense().tolist() == [[1, -1], [-1, 1]]
    with pytest.raises(OneLabelError, match="2 of 2 images have no complete labels, such as 'b', 'a'"):
        truth_of(observed, complete.take(np.array([1])))
    with pytest.raises(OneLabelError, match="nothing is unknown"):
        unknown_part(complete, None)


def test_saved_scores_are_found_by_id_and_class(tmp_path: Path) -> None:
    table = LabelTable.from_dense(["b", "a"], ["x", "y"], [[1, 0], [0, 1]])
    logits = np.arange(6, dtype=np.float32).reshape(3, 2)
    file = tmp_path / "predictions.npz"
    np.savez(file, ids=np.array(["a", "c", "b"]), classes=np.array(["y", "x"]), logits=logits)
    assert saved_scores(tmp_path, table).tolist() == [[5, 4], [1, 0]]
    np.savez(file, ids=np.array(["a"]), classes=np.array(["x", "y"]), logits=logits[:1])
    with pytest.raises(OneLabelError, match="no scores of 1 of the 2 images"):
        saved_scores(tmp_path, table)
    file.write_bytes(b"PK")
    with pytest.raises(OneLabelError, match=r"is not an \.npz archive"):
        saved_scores(tmp_path, table)
    file.unlink()
    with pytest.raises(OneLabelError, match=r"holds no predictions\.npz"):
        saved_scores(tmp_path, table)


def found_of(names: list[str]) -> MissingLabels:
    generator = np.random.default_rng(1)
    complete = generator.choice(np.array([1, -1], np.int8), (40, len(names)))
    observed = np.where(generator.random(complete.shape) < 0.8, 0, complete).astype(np.int8)
    return missing_labels(generator.random(complete.shape), observed, complete, names)


def test_figures_hold_names_as_they_are_and_say_the_same_twice(tmp_path: Path) -> None:
    found = found_of(["$x_1$", "<script>&", "名前", "a\nb\u202e"])
    files = draw_diagnostics(tmp_path, found, KEstimate(10, -8, "given"))
    assert [file.name for file in files if file.suffix == ".png"] == [
        "separation.png", "missing-per-class.png", "share-missing.png",
    ]  # fmt: skip
    texts = {file.name: file.read_text(encoding="utf-8") for file in files if file.suffix == ".svg"}
    assert (
        "$x_1$" in texts["missing-per-class.svg"] and "&lt;script&gt;&amp;" in texts["missing-per-class.svg"]
    )
    assert "<script>" not in texts["missing-per-class.svg"] and "\u202e" not in texts["missing-per-class.svg"]
    assert "K = sigmoid(10 p -8)" in texts["share-missing.svg"]
    (tmp_path / "again").mkdir()
    again = draw_diagnostics(tmp_path / "again", found, KEstimate(10, -8, "given"))
    assert [a.read_bytes() for a in files] == [b.read_bytes() for b in again]


def test_numbers_without_any_missing_positive_are_written_without_nan(tmp_path: Path) -> None:
    complete = np.array([[-1, -1]], np.int8)
    found = missing_labels(np.full((1, 2), 0.5), np.zeros_like(complete), complete, ["a", "b"])
    write_numbers(tmp_path, found, None)
    draw_diagnostics(tmp_path, found, None)
    text = (tmp_path / "diagnosis.json").read_text() + (tmp_path / "bins.csv").read_text()
    assert "nan" not in text.lower() and '"auc": null' in text
