"""Several sources at once: what they say together, by each way to combine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.several import WAYS, SeveralSource

S, B, C = 3, 4, 3
SAID = arrays(np.int8, (S, B, C), elements=st.integers(-1, 1))
SCORES = arrays(np.float32, (S, B, C), elements=st.sampled_from([0, 0.25, 0.5, 1, math.nan]))
LABELS = arrays(np.int8, (B, C), elements=st.integers(-1, 1))


class Said:
    """A source of given answers."""

    def __init__(self, pseudo: NDArray[np.int8], score: NDArray[np.float32], decides: bool = True) -> None:
        self.pseudo_, self.score, self.decides = torch.from_numpy(pseudo), torch.from_numpy(score), decides
        self.seen: list[Any] = []
        self.notes, self.provenance = ("noted",), {"a": "b"}

    def start(self, table: LabelTable) -> None:
        self.seen.append(table)

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        self.seen.append((index, labels, mirrored, epoch))
        return torch.where(labels == 0, self.pseudo_[index], torch.zeros_like(labels)), self.score[index]


def together(votes: list[int], how: str) -> int:
    """The rule in words, one vote at a time."""
    opinions = [vote for vote in votes if vote]
    if how == "first":
        return opinions[0] if opinions else 0
    if how == "agree":
        return opinions[0] if opinions and all(vote == opinions[0] for vote in opinions) else 0
    if how == "all":
        return votes[0] if all(vote == votes[0] for vote in votes) else 0
    return int(np.sign(sum(votes)))


def joint(votes: list[int], scores: list[float], how: str) -> float:
    heard = [score for score in scores if not math.isnan(score)]
    if how != "first":
        return sum(heard) / len(heard) if heard else math.nan
    decided = [score for vote, score in zip(votes, scores, strict=True) if vote]
    return decided[0] if decided else heard[0] if heard else math.nan


@settings(max_examples=60)
@given(SAID, SCORES, LABELS, st.sampled_from(sorted(WAYS)))
def test_equals_a_slow_count(
    said: NDArray[np.int8], scores: NDArray[np.float32], labels: NDArray[np.int8], how: Any
) -> None:
    source = SeveralSource([Said(said[s], scores[s]) for s in range(S)], combine=how)
    never, index = torch.zeros(B, dtype=torch.bool), torch.arange(B)
    pseudo, score = source.pseudo(index, torch.from_numpy(labels), never, epoch=1)
    assert pseudo.dtype == torch.int8 and score.dtype == torch.float32
    for b in range(B):
        for c in range(C):
            votes = said[:, b, c].tolist() if labels[b, c] == 0 else [0] * S
            assert pseudo[b, c] == (together(votes, how) if labels[b, c] == 0 else 0)
            wanted = joint(votes, scores[:, b, c].tolist(), how)
            np.testing.assert_allclose(float(score[b, c]), wanted, rtol=1e-6)


def test_many_sources_do_not_overflow() -> None:
    said = np.ones((200, 1, 1), np.int8)
    source = SeveralSource([Said(each, np.ones((1, 1), np.float32)) for each in said], combine="majority")
    never, nothing = torch.zeros(1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.int8)
    assert source.pseudo(torch.arange(1), nothing, never, epoch=1)[0].tolist() == [[1]]


def test_every_source_is_asked_the_same() -> None:
    parts = [Said(np.zeros((B, C), np.int8), np.zeros((B, C), np.float32)) for _ in range(2)]
    source = SeveralSource(parts)
    table = LabelTable.from_dense([str(n) for n in range(B)], ["a", "b", "c"], np.zeros((B, C), np.int8))
    source.start(table)
    question = torch.tensor([2, 0]), torch.zeros(2, C, dtype=torch.int8), torch.tensor([True, False]), 7
    source.pseudo(*question)
    assert parts[0].seen == parts[1].seen == [table, question]
    assert source.notes == ("noted", "noted") and source.provenance == {"1.a": "b", "2.a": "b"}
    assert source.decides
    parts[1].decides = False
    assert not source.decides


def test_what_cannot_be_combined() -> None:
    part = Said(np.zeros((B, C), np.int8), np.zeros((B, C), np.float32))
    with pytest.raises(OneLabelError, match="combines two or more: give --source NAME,NAME"):
        SeveralSource([part])
    with pytest.raises(OneLabelError, match=r"unknown way to combine sources 'agre' \(did you mean 'agree'"):
        SeveralSource([part, part], combine="agre")  # type: ignore[arg-type]
