"""What a method is: a loss with its source, its schedule and its per-image state.

A training loop, ours or a user's own, calls ``start`` once, ``start_epoch`` before and ``end_epoch`` after
each epoch, and ``loss`` for each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

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
        mirrored: whether the classifier saw the mirrored image, (B,) bool, or None for never.
        valid: False for rows that only pad an uneven batch, (B,) bool, or None for a batch without padding.
        weight: weight of each entry, (B, C), or None for ones.
        pseudo: pseudo-labels of the source, (B, C) int8, or None.
        pseudo_score: their scores in [0, 1], (B, C), or None.
        features: input of the head, (B, D), or None.
    """

    index: Tensor
    labels: Tensor
    logits: Tensor
    mirrored: Tensor | None = None
    valid: Tensor | None = None
    weight: Tensor | None = None
    pseudo: Tensor | None = None
    pseudo_score: Tensor | None = None
    features: Tensor | None = None

    def kept(self) -> Batch:
        """Return the batch without its padding."""
        if self.valid is None:
            return self
        rows = self.valid.nonzero()[:, 0]
        kept: dict[str, Any] = {
            field.name: None if (value := getattr(self, field.name)) is None else value[rows]
            for field in fields(self)
        }
        return Batch(**kept | {"valid": None})


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
    """A loss without per-image state: entries from logits, labels and, for some, pseudo-labels.

    Args:
        loss: any registered loss; its reduction ("mean" or "sum") is kept.

    Example:
        >>> import torch
        >>> from onelabel import losses
        >>> method = LossMethod(losses.create("an"))
        >>> labels = torch.tensor([[1, 0]], dtype=torch.int8)
        >>> method.loss(Batch(torch.arange(1), labels, torch.zeros(1, 2)))
        tensor(0.6931)
    """

    def __init__(self, loss: Loss, needs_source: bool = False) -> None:
        super().__init__()
        self.criterion = loss
        self.needs_source = needs_source
        self.epochs = 1

    def start(self, context: Context) -> None:
        self.epochs = context.epochs

    def start_epoch(self, epoch: int) -> None:
        self.criterion.start_epoch(epoch, self.epochs)

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        inputs = {} if batch.pseudo is None or not self.needs_source else {"pseudo": batch.pseudo}
        value: Tensor = self.criterion(batch.logits, batch.labels, batch.weight, **inputs)
        return value
