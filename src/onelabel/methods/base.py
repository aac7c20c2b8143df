"""What a method is: a loss with its source, its schedule and its per-image state.

A training loop, ours or a user's own, calls ``start`` once, ``start_epoch`` before and ``end_epoch`` after
each epoch, and ``loss`` for each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelabel.labels.table import LabelTable
from onelabel.losses.base import Loss

ScoreAll = Callable[[str], Iterable[tuple[Tensor, Tensor]]]
"""``score_all(view)`` yields (index, probs) chunks over the training rows; view is "eval" or "train"."""


@dataclass(frozen=True)
class Context:
    """What a method may know when training starts.

    Args:
        table: labels of the training rows; ``Batch.index`` counts rows of this table.
        epochs: number of epochs T.
        seed: seed of the run.
        learning_rate: of the classifier head, for methods that own parameters.
        expected_positives: expected number of positives per image k, where it is known.
        device: where the batches will be.
    """

    table: LabelTable
    epochs: int
    seed: int = 0
    learning_rate: float = 1e-3
    expected_positives: float | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Batch:
    """One global batch: B images, C classes.

    Args:
        index: rows of the training table, (B,) int64.
        labels: observed labels, (B, C) int8: +1 present, 0 unknown, -1 absent.
        logits: scores of the classifier, (B, C).
        mirrored: whether the classifier saw the mirrored image, (B,) bool.
        valid: False for rows that only pad an uneven batch, (B,) bool.
        weight: weight of each entry, (B, C), or None for ones.
        pseudo: pseudo-labels of the source, (B, C) int8, or None.
        pseudo_score: their scores in [0, 1], (B, C), or None.
        features: input of the head, (B, D), or None.
    """

    index: Tensor
    labels: Tensor
    logits: Tensor
    mirrored: Tensor
    valid: Tensor
    weight: Tensor | None = None
    pseudo: Tensor | None = None
    pseudo_score: Tensor | None = None
    features: Tensor | None = None


def mean_over_valid(entries: Tensor, valid: Tensor) -> Tensor:
    """Sum of ``entries`` (B, C) over valid rows, divided by (valid rows × C).

    Example:
        >>> mean_over_valid(torch.tensor([[1.0, 3.0], [9.0, 9.0]]), torch.tensor([True, False]))
        tensor(2.)
    """
    kept = torch.where(valid[:, None], entries, torch.zeros_like(entries))
    return kept.sum() / (valid.sum() * entries.shape[1])


class Method(nn.Module):
    """Base of all methods; alone it is not one.

    ``needs_source`` says whether the training loop must fill ``Batch.pseudo``.
    """

    needs_source = False

    def start(self, context: Context) -> None:
        """Get ready: allocate per-image state, fix schedules."""

    def start_epoch(self, epoch: int) -> None:
        """Set schedules for ``epoch``; epochs count from 1."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar loss of the global batch."""
        raise NotImplementedError

    def end_epoch(self, score_all: ScoreAll) -> None:
        """Update per-image state after an epoch, from scores where needed."""


class LossMethod(Method):
    """A loss that needs neither schedule nor state.

    Args:
        loss: any registered loss; its reduction ("mean" or "sum") is kept.

    Example:
        >>> from onelabel import losses
        >>> method = LossMethod(losses.create("an"))
        >>> batch = Batch(torch.arange(1), torch.tensor([[1, 0]], dtype=torch.int8), torch.zeros(1, 2),
        ...               torch.zeros(1, dtype=torch.bool), torch.ones(1, dtype=torch.bool))
        >>> method.loss(batch)
        tensor(0.6931)
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.criterion = loss
        self.needs_source = loss.needs_pseudo
