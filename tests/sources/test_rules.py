"""Rules on scores, and sources that apply them class by class."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.base import decides, notes_of, provenance_of
from onelabel.sources.rules import MixedSource, Nothing, RuledSource, Threshold, Top

SCORE = st.one_of(st.just(math.nan), st.sampled_from([0, 0.1, 0.5, 0.8, 0.9, 1]))
SCORES = st.lists(st.lists(SCORE, min_size=4, max_size=4), min_size=1, max_size=5)
TABLE = LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog", "cow"], np.zeros((2, 3), np.int8))
NEVER = torch.zeros(2, dtype=torch.bool)


class Fixed:
    """A source that says the same always, and notes how often it was started."""

    def __init__(self, pseudo: list[list[int]], score: list[list[float]], decides: bool = True) -> None:
        self.answer = torch.tensor(pseudo, dtype=torch.int8), torch.tensor(score, dtype=torch.float32)
        self.decides, self.started = decides, 0
        self.notes, self.provenance = ("a note",), {"origin": "here"}

    def start(self, table: LabelTable) -> None:  # noqa: ARG002 (part of the interface)
        self.started += 1

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        assert not mirrored.any() and epoch == 1
        found = self.answer[0][index]
        return torch.where(labels == 0, found, torch.zeros_like(found)), self.answer[1][index]


@given(SCORES, st.sampled_from([0.1, 0.5, 0.9, 1.0]), st.sampled_from([None, 0.0, 0.05]))
def test_threshold_equals_a_slow_count(scores: list[list[float]], high: float, low: float | None) -> None:
    found = Threshold(high, low)(torch.tensor(scores, dtype=torch.float32))
    assert found.dtype == torch.int8
    for row, wanted in zip(found.tolist(), scores, strict=True):
        for value, score in zip(row, wanted, strict=True):
            assert value == (1 if score >= high else -1 if low is not None and score <= low else 0)


@given(SCORES, st.integers(1, 5), st.sampled_from([0.0, 0.5, 0.8]))
def test_top_equals_a_slow_count(scores: list[list[float]], most: int, least: float) -> None:
    found = Top(most, least)(torch.tensor(scores, dtype=torch.float32)).tolist()
    for row, wanted in zip(found, scores, strict=True):
        ranked = sorted((-score, c) for c, score in enumerate(wanted) if not math.isnan(score))
        chosen = {c for value, c in ranked[:most] if -value >= least}
        assert row == [int(c in chosen) for c in range(4)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Threshold(0.0), "positive must be above 0 and at most 1, not 0"),
        (lambda: Threshold(1.1), "positive must be above 0 and at most 1"),
        (lambda: Threshold(math.nan), "positive must be above 0"),
        (lambda: Threshold(0.5, 0.5), r"negative must be from 0 and below positive \(0.5\), not 0.5"),
        (lambda: Threshold(0.5, -0.1), "negative must be from 0"),
        (lambda: Top(0), "most must be 1 or more, not 0"),
        (lambda: Top(1, 1.5), "least must be from 0 to 1, not 1.5"),
    ],
)
def test_numbers_out_of_range(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(OneLabelError, match=message):
        make()


def test_a_rule_decides_in_its_classes_alone_and_observed_labels_win() -> None:
    inner = Fixed([[1, 1, -1], [0, 0, 0]], [[0.1, 0.9, 0.2], [0.7, 0.9, math.nan]])
    source = RuledSource(inner, [(Threshold(0.6, 0.1), [0]), (Nothing(), [1])])
    source.start(TABLE)
    labels = torch.zeros(2, 3, dtype=torch.int8)
    pseudo, score = source.pseudo(torch.arange(2), labels, NEVER, epoch=1)
    assert pseudo.tolist() == [[-1, 0, -1], [1, 0, 0]]
    np.testing.assert_equal(score.numpy(), inner.answer[1].numpy())
    assert inner.answer[0].tolist() == [[1, 1, -1], [0, 0, 0]], "the source's own answer is not changed"
    labels[:, 0] = torch.tensor([1, -1])
    assert source.pseudo(torch.arange(2), labels, NEVER, epoch=1)[0].tolist() == [[0, 0, -1], [0, 0, 0]]
    assert notes_of(source) == ("a note",) and provenance_of(source) == {"origin": "here"}


def test_whether_it_decides_where_there_is_no_rule() -> None:
    for answer in (False, True):
        inner = Fixed([[0] * 3] * 2, [[0.5] * 3] * 2, decides=answer)
        assert decides(RuledSource(inner, [(Threshold(0.4), [0, 2])])) is answer


def test_parts_answer_for_their_own_classes() -> None:
    one = Fixed([[1, 1, 1], [1, 1, 1]], [[0.9] * 3] * 2)
    two = Fixed([[-1, -1, -1], [0, 0, 0]], [[0.1] * 3] * 2)
    source = MixedSource([(one, [2, 0]), (two, [1])])
    source.start(TABLE)
    assert (one.started, two.started) == (1, 1)
    labels = torch.tensor([[0, 0, 0], [0, 1, -1]], dtype=torch.int8)
    pseudo, score = source.pseudo(torch.tensor([0, 1]), labels, NEVER, epoch=1)
    assert pseudo.tolist() == [[1, -1, 1], [1, 0, 0]]
    np.testing.assert_allclose(score.numpy(), [[0.9, 0.1, 0.9]] * 2)
    assert notes_of(source) == ("a note",)
    assert provenance_of(source) == {"1.origin": "here", "2.origin": "here"}
