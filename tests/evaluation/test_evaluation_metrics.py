"""Masked average precision against scikit-learn, a slow reference, and what may not change it."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

from onelabel.evaluation import average_precision, blocks, mean_average_precision, metrics, support
from onelabel.io.errors import OneLabelError

Array = NDArray[Any]

TIED = st.integers(-3, 3).map(lambda step: step / 64)
"""Few values, so that most are tied; exact in every float type, also after scaling."""


@st.composite
def problems(draw: st.DrawFn, values: tuple[int, ...] = (-1, 0, 1)) -> tuple[Array, Array]:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=25))
    kind = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    some = st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(kind).itemsize * 8)  # type: ignore[arg-type]
    scores = draw(hnp.arrays(kind, shape, elements=draw(st.sampled_from([TIED, some]))))
    return scores, draw(hnp.arrays(np.int8, shape, elements=st.sampled_from(values)))


def slow_ap(scores: Array, labels: Array) -> float:
    """Σ_j (R_j − R_{j−1}) · P_j, one threshold after the other."""
    known = [(float(s), int(y)) for s, y in zip(scores, labels, strict=True) if y != 0]
    positives = sum(y > 0 for _, y in known)
    if positives in (0, len(known)):
        return float("nan")
    total, recall = 0.0, 0.0
    for threshold in sorted({s for s, _ in known}, reverse=True):
        called = [y for s, y in known if s >= threshold]
        hits = sum(y > 0 for y in called)
        total += (hits / positives - recall) * (hits / len(called))
        recall = hits / positives
    return total


def sklearn_ap(scores: Array, labels: Array) -> float:
    known = labels != 0
    if not (labels > 0).any() or not (labels < 0).any():
        return float("nan")
    return float(average_precision_score(labels[known] > 0, scores[known]))


def same(found: Array | float, expected: Array | float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, equal_nan=True)


@settings(max_examples=300, deadline=None)
@given(problems())
@example((np.array([[0.8], [0.8]]), np.array([[-1], [1]], np.int8)))
@example((np.array([[-0.0], [0.0], [1.0]], np.float32), np.array([[1], [-1], [1]], np.int8)))
@example((np.array([[-3e38], [3e38], [0]], np.float32), np.array([[1], [-1], [1]], np.int8)))
@example((np.array([[1e-45], [0], [3e-45]], np.float32), np.array([[1], [-1], [1]], np.int8)))
def test_equals_scikit_learn_and_the_slow_reference(problem: tuple[Array, Array]) -> None:
    scores, labels = problem
    found = average_precision(scores, labels)
    pairs = list(zip(scores.T, labels.T, strict=True))
    same(found, np.array([slow_ap(s, y) for s, y in pairs]))
    same(found, np.array([sklearn_ap(s, y) for s, y in pairs]))


@pytest.mark.parametrize("shape", ["logits", "probabilities", "saturated", "tied", "constant", "outlier"])
def test_equals_scikit_learn_on_many_images(shape: str) -> None:
    random = np.random.default_rng(5)
    labels = random.choice([-1, 0, 1], (20_000, 4), p=[0.5, 0.4, 0.1]).astype(np.int8)
    logits = (random.standard_normal(labels.shape) * 3 + labels).astype(np.float32)
    cases: dict[str, Array] = {
        "logits": logits,
        "probabilities": 1 / (1 + np.exp(5 - logits)),
        "saturated": (1 + np.sign(logits)) / 2,
        "tied": np.round(logits),
        "constant": np.zeros_like(logits),
        "outlier": np.where(np.arange(20_000)[:, None] == 7, np.float32(1e20), logits),
    }
    scores = cases[shape]
    expected = [sklearn_ap(s, y) for s, y in zip(scores.T, labels.T, strict=True)]
    same(average_precision(scores, labels), np.array(expected))


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 80), elements=st.one_of(TIED, st.floats(-1e6, 1e6, width=32))),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_counts_at_or_above_are_exact_with_any_number_of_buckets(
    values: Array, buckets: int, random: Any
) -> None:
    cuts = np.sort(np.array([random.choice(list(values)) for _ in range(5)], np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BUCKETS", buckets)
        found = metrics._at_or_above(values, cuts)
    np.testing.assert_array_equal(found, [(values >= cut).sum() for cut in cuts])


@settings(deadline=None)
@given(problems(), st.floats(-1e4, 1e4, width=16))
def test_unknown_entries_change_nothing(problem: tuple[Array, Array], other: float) -> None:
    scores, labels = problem
    before = mean_average_precision(scores, labels)
    changed = np.where(labels == 0, np.asarray(other, scores.dtype), scores)
    longer = np.vstack([changed, np.full((3, labels.shape[1]), other, scores.dtype)])
    more = np.vstack([labels, np.zeros((3, labels.shape[1]), np.int8)])
    after = mean_average_precision(longer, more)
    np.testing.assert_array_equal(after.ap, before.ap)
    np.testing.assert_array_equal([after.value, after.map_published], [before.value, before.map_published])


@settings(deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_order_of_images_and_classes_does_not_matter(problem: tuple[Array, Array], random: Any) -> None:
    scores, labels = problem
    rows, columns = list(range(len(labels))), list(range(labels.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    expected = average_precision(scores, labels)
    same(average_precision(scores[rows], labels[rows]), expected)
    same(average_precision(scores[:, columns], labels[:, columns]), expected[columns])


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (20, 3), elements=TIED), hnp.arrays(np.int8, (20, 3), elements=st.integers(-1, 1))
)
def test_only_the_order_of_scores_counts(logits: Array, labels: Array) -> None:
    expected = average_precision(logits, labels)
    for monotone in (logits * 40, logits.astype(np.float16), 1 / (1 + np.exp(-logits.astype(np.float64)))):
        same(average_precision(monotone, labels), expected)
    same(average_precision(np.repeat(logits, 3, axis=0), np.repeat(labels, 3, axis=0)), expected)


def test_logits_keep_an_order_that_float32_probabilities_lose() -> None:
    logits = np.array([[20.0], [30.0], [40.0]], np.float32)
    labels = np.array([[-1], [1], [1]], np.int8)
    assert average_precision(logits, labels) == [1.0]
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    assert average_precision(probabilities, labels) == [2 / 3]


def test_what_is_not_defined_is_nan_and_counted() -> None:
    labels = np.array([[1, -1, 1, 0], [1, -1, -1, 0]], np.int8)
    scores = np.array([[0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1]])
    result = mean_average_precision(scores, labels)
    np.testing.assert_array_equal(np.isnan(result.ap), [True, True, False, True])
    assert (result.value, result.classes_used) == (1.0, 1)
    assert result.map_published == pytest.approx(2 / 3)  # 1 and 0 and 1; of the last class nothing is known
    counts = support(labels)
    assert (counts.positive.tolist(), counts.negative.tolist(), counts.unknown.tolist()) == (
        [2, 0, 1, 0], [0, 2, 1, 0], [0, 0, 0, 2],
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (5, 0), (1, 1)])
def test_empty_and_single(shape: tuple[int, int]) -> None:
    result = mean_average_precision(np.zeros(shape), np.zeros(shape, np.int8))
    assert result.ap.shape == (shape[1],)
    assert np.isnan([result.value, result.map_published, *result.ap]).all()
    assert result.classes_used == 0


class Chunked:
    """Not an array: has a shape and gives slices, as a file of chunks does."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape = array, array.shape

    def __getitem__(self, key: Any) -> Array:
        part: Array = self.array[key]
        return part


def test_large_scores_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    labels = random.choice([-1, 0, 1], (10_000, 200)).astype(np.int8)
    scores = random.standard_normal(labels.shape, dtype=np.float32)
    np.save(tmp_path / "scores.npy", scores)
    expected = average_precision(scores, labels)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2**19)
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    tracemalloc.start()
    found = average_precision(mapped, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert peak < scores.nbytes / 4
    np.testing.assert_array_equal(average_precision(Chunked(scores), labels), expected)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_torch_tensors(kind: torch.dtype) -> None:
    scores = torch.tensor([[0.5, -1.0], [0.25, 2.0], [1.0, 0.5]], dtype=kind, requires_grad=True)
    labels = torch.tensor([[1, 1], [-1, 0], [-1, -1]], dtype=torch.int8)
    same(average_precision(scores, labels), np.array([0.5, 0.5]))


def test_integer_scores() -> None:
    same(average_precision(np.array([[3], [2], [1]]), np.array([[1], [-1], [1]])), np.array([5 / 6]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_by_place(value: float) -> None:
    scores, labels = np.zeros((4, 3), np.float32), np.ones((4, 3), np.int8)
    scores[2, 1] = value
    with pytest.raises(OneLabelError, match=r"image 2 \(counted from 0\) for class 1 is -?(nan|inf)"):
        average_precision(scores, labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones((2, 2), bool), "signed integers .*bool"),
        (np.ones((2, 2), np.uint8), "signed integers .*uint8"),
        (np.ones((2, 2)), "signed integers .*float64"),
        (np.full((2, 2), 2, np.int8), r"must be \+1"),
        (np.full((2, 2), -9), r"must be \+1"),
        (np.ones((2, 3), np.int8), r"\(2, 2\) and labels \(2, 3\)"),
        (np.ones(2, np.int8), r"\(2, 2\) and labels \(2,\)"),
    ],
)
def test_labels_that_would_be_misread_are_refused(labels: Array, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        mean_average_precision(np.zeros((2, 2)), labels)


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(OneLabelError, match="must be numbers"):
        average_precision(np.array([["a"]]), np.array([[1]]))


def test_the_room_is_torch_free() -> None:
    code = "import sys, onelabel.evaluation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
