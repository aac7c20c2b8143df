"""Several sources at once: what they say together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.labels.table import LabelTable
from onelabel.sources.base import Source, decides, notes_of
from onelabel.sources.rules import numbered

Combine = Literal["agree", "majority", "all", "first"]


class SeveralSource:
    """The pseudo-labels of several sources as those of one.

    Each source says present (+1), absent (-1) or nothing (0) of an image and class. Together they say

    * ``agree``: what those say that say anything, if they are of one mind; nothing where they contradict;
    * ``majority``: the sign of the sum; nothing where there are as many for as against;
    * ``all``: what every one says;
    * ``first``: what the first of them says that says anything.

    The score is the mean of the scores of the sources that do not abstain; for ``first`` that of the source
    which decided, else of the first that does not abstain. NaN where all abstain. A rule (``--rule``) on
    several sources looks at this score.

    Args:
        of: the sources, two or more; on the command line their names or files, as in
            ``--source vlpl,tags.csv``.
        combine: how.

    Raises:
        OneLabelError: fewer than two sources, or an unknown way to combine.

    Example:
        >>> combine(torch.tensor([[[1, 1, 0]], [[0, -1, 0]], [[1, 1, -1]]], dtype=torch.int8), "agree")
        tensor([[ 1,  0, -1]], dtype=torch.int8)
    """

    def __init__(self, of: list[Any] | None = None, combine: Combine = "agree") -> None:
        if of is None or len(of) < 2:
            raise OneLabelError("the source 'several' combines two or more: give --source NAME,NAME")
        if combine not in WAYS:
            raise unknown_name("way to combine sources", combine, WAYS)
        self.sources: list[Source] = list(of)
        self.combine = combine

    @property
    def decides(self) -> bool:
        """Whether all make decisions."""
        return all(map(decides, self.sources))

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of all sources."""
        return tuple(note for source in self.sources for note in notes_of(source))

    @property
    def provenance(self) -> dict[str, str]:
        """Those of all sources, numbered."""
        return numbered(self.sources)

    def start(self, table: LabelTable) -> None:
        """Start all sources.

        Raises:
            OneLabelError: as the sources.
        """
        for source in self.sources:
            source.start(table)

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and scores (B, C) float32."""
        found = [source.pseudo(index, labels, mirrored, epoch) for source in self.sources]
        decisions = torch.stack([decision for decision, _ in found])
        scores = torch.stack([score.to(torch.float32) for _, score in found])
        decision = combine(decisions, self.combine)
        joint = _first_score(decisions, scores) if self.combine == "first" else scores.nanmean(dim=0)
        return torch.where(labels == 0, decision, torch.zeros_like(decision)), joint


def combine(decisions: Tensor, how: str) -> Tensor:
    """Combine the decisions of several sources.

    Args:
        decisions: (S, B, C) int8 in {+1, 0, -1}, one slice a source.
        how: a name of :data:`WAYS`.

    Returns:
        (B, C) int8.
    """
    return WAYS[how](decisions)


def _agree(decisions: Tensor) -> Tensor:
    # +1 and -1 cancel where both are said.
    return (decisions.amax(dim=0).clamp(min=0) + decisions.amin(dim=0).clamp(max=0)).to(torch.int8)


def _majority(decisions: Tensor) -> Tensor:
    return decisions.sum(dim=0, dtype=torch.int32).sign().to(torch.int8)


def _all(decisions: Tensor) -> Tensor:
    same = (decisions == decisions[0]).all(dim=0)
    return torch.where(same, decisions[0], torch.zeros_like(decisions[0]))


def _first(decisions: Tensor) -> Tensor:
    return decisions.gather(0, _first_of(decisions != 0))[0]


def _first_of(marked: Tensor) -> Tensor:
    """Return the number (1, B, C) of the first slice that is marked, 0 where none is."""
    return marked.to(torch.int8).argmax(dim=0, keepdim=True)


def _first_score(decisions: Tensor, scores: Tensor) -> Tensor:
    decided = (decisions != 0).any(dim=0, keepdim=True)
    return scores.gather(0, torch.where(decided, _first_of(decisions != 0), _first_of(~scores.isnan())))[0]


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "agree": _agree, "majority": _majority, "all": _all, "first": _first
}  # fmt: skip
