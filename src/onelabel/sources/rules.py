"""Rules that turn scores of any origin into pseudo-labels, and the sources that apply them class by class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.base import Source, decides, notes_of, provenance_of

Rule = Callable[[Tensor], Tensor]
"""Scores (B, C) in [0, 1], NaN where the source abstains, to decisions (B, C) int8 in {+1, 0, -1}."""

Columns = Sequence[int]


class Threshold:
    """Present from one score on, absent up to another, undecided between; an abstention stays undecided.

    Args:
        positive: least score of "present", above 0 and up to 1.
        negative: highest score of "absent", from 0 and below ``positive``; None for no negatives.

    Raises:
        OneLabelError: a number is out of range.

    Example:
        >>> Threshold(positive=0.8, negative=0.1)(torch.tensor([[0.9, 0.5, 0.1, float("nan")]]))
        tensor([[ 1,  0, -1,  0]], dtype=torch.int8)
    """

    def __init__(self, positive: float, negative: float | None = None) -> None:
        if not 0 < positive <= 1:
            raise OneLabelError(f"rule threshold: positive must be above 0 and at most 1, not {positive}")
        if negative is not None and not 0 <= negative < positive:
            raise OneLabelError(
                f"rule threshold: negative must be from 0 and below positive ({positive}), not {negative}"
            )
        self.positive, self.negative = positive, negative

    def __call__(self, score: Tensor) -> Tensor:
        """Return decisions (B, C) int8 for scores (B, C)."""
        decision = (score >= _like(self.positive, score)).to(torch.int8)
        if self.negative is not None:
            decision -= (score <= _like(self.negative, score)).to(torch.int8)
        return decision


class Top:
    """Present are the ``most`` classes of an image with the highest scores, as far as these reach ``least``.

    Where scores tie, the earlier class counts as higher.

    Args:
        most: highest number of pseudo-labels of an image, 1 or more.
        least: least score of "present", from 0 to 1.

    Raises:
        OneLabelError: a number is out of range.

    Example:
        >>> Top(most=2, least=0.3)(torch.tensor([[0.9, 0.2, 0.4, 0.5], [0.9, 0.1, 0.1, float("nan")]]))
        tensor([[1, 0, 0, 1],
                [1, 0, 0, 0]], dtype=torch.int8)
    """

    def __init__(self, most: int, least: float = 0.0) -> None:
        if most < 1:
            raise OneLabelError(f"rule top: most must be 1 or more, not {most}")
        if not 0 <= least <= 1:
            raise OneLabelError(f"rule top: least must be from 0 to 1, not {least}")
        self.most, self.least = most, least

    def __call__(self, score: Tensor) -> Tensor:
        """Return decisions (B, C) int8 for scores (B, C)."""
        ranked = torch.argsort(score.nan_to_num(nan=-math.inf), dim=1, descending=True, stable=True)
        top = torch.zeros_like(score, dtype=torch.bool).scatter(1, ranked[:, : self.most], True)
        return (top & (score >= _like(self.least, score))).to(torch.int8)


class Nothing:
    """No pseudo-labels: for classes in which a source is not to be trusted.

    Example:
        >>> Nothing()(torch.tensor([[0.9, 0.1]]))
        tensor([[0, 0]], dtype=torch.int8)
    """

    def __call__(self, score: Tensor) -> Tensor:
        """Return zeros (B, C) int8 for scores (B, C)."""
        return torch.zeros_like(score, dtype=torch.int8)


def _like(number: float, score: Tensor) -> Tensor:
    """Return a bound in the precision of the scores: a file's 0.8 is the 0.8 of the option."""
    return torch.tensor(number, dtype=score.dtype, device=score.device)


class RuledSource:
    """A source whose scores are decided by rules, each in classes of its own.

    Args:
        source: gives the scores, and the decisions in all other classes; none there if it makes none.
        rules: rule and columns.
    """

    def __init__(self, source: Source, rules: Sequence[tuple[Rule, Columns]]) -> None:
        self.source, self.rules = source, tuple(rules)

    @property
    def decides(self) -> bool:
        """Whether the source under the rules makes decisions of its own."""
        return decides(self.source)

    @property
    def notes(self) -> tuple[str, ...]:
        """As the source under the rules has them."""
        return notes_of(self.source)

    @property
    def provenance(self) -> dict[str, str]:
        """As the source under the rules has it."""
        return provenance_of(self.source)

    def start(self, table: LabelTable) -> None:
        """Start the source.

        Raises:
            OneLabelError: as the source.
        """
        self.source.start(table)

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and the scores (B, C) float32."""
        decision, score = self.source.pseudo(index, labels, mirrored, epoch)
        decision = decision.clone()
        for rule, columns in self.rules:
            decision[:, list(columns)] = rule(score)[:, list(columns)]
        return torch.where(labels == 0, decision, torch.zeros_like(decision)), score


class MixedSource:
    """Several sources, each in classes of its own.

    Args:
        parts: source and columns; every class in exactly one part.
    """

    def __init__(self, parts: Sequence[tuple[Source, Columns]]) -> None:
        self.parts = tuple(parts)

    @property
    def decides(self) -> bool:
        """Whether all parts make decisions."""
        return all(decides(source) for source, _ in self.parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(dict.fromkeys(note for source, _ in self.parts for note in notes_of(source)))

    @property
    def provenance(self) -> dict[str, str]:
        """Those of all parts, numbered."""
        return numbered([source for source, _ in self.parts])

    def start(self, table: LabelTable) -> None:
        """Start all parts.

        Raises:
            OneLabelError: as the parts.
        """
        assert sorted(np.concatenate([list(columns) for _, columns in self.parts])) == [
            *range(table.num_classes)
        ]
        for source, _ in self.parts:
            source.start(table)

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and scores (B, C) float32."""
        decision = torch.zeros_like(labels)
        score = torch.empty(labels.shape, dtype=torch.float32, device=labels.device)
        for source, columns in self.parts:
            found = source.pseudo(index, labels, mirrored, epoch)
            decision[:, list(columns)] = found[0][:, list(columns)]
            score[:, list(columns)] = found[1][:, list(columns)].to(torch.float32)
        return decision, score


def numbered(sources: Sequence[Source]) -> dict[str, str]:
    """Return what several sources say of their origin, with the number of each before its keys."""
    return {
        f"{number}.{key}": value
        for number, source in enumerate(sources, start=1)
        for key, value in provenance_of(source).items()
    }
