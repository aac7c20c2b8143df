"""What a method is: a loss with its source, its schedule and its per-image state.

A training loop, ours or a user's own, calls ``start`` once, ``start_epoch`` before and ``end_epoch`` after
each epoch, and ``loss`` once for each batch that trains. To go on with a run: ``start``, ``load_state``, then
``start_epoch`` of the next epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

from onelabel.io.errors import OneLabelError
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
        device: where the batches will be; per-image state is kept there.
        estimates: probabilities (N, C) of an earlier run, by row of ``table``, for ``role-li``; or None.
    """

    table: LabelTable
    epochs: int
    seed: int = 0
    learning_rate: float = 1e-3
    expected_positives: float | None = None
    device: str = "cpu"
    estimates: Tensor | None = None


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
            field.name: None if (value := getattr(self, field.name)) is None else value[rows.to(value.device)]
            for field in fields(self)
        }
        return Batch(**kept | {"valid": None})


class Method(nn.Module):
    """Base of all methods; alone it is not one.

    Per-image state is plain tensors, not buffers: the training loop may wrap what holds the network, and
    nothing may broadcast or average what every process computes alike from the global batch.

    ``needs_source`` says whether the training loop must fill ``Batch.pseudo``.
    """

    needs_source = False

    @property
    def linear_epochs(self) -> int:
        """Number of epochs at the beginning in which only the head is to train, as published; known after
        :meth:`start`."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the settings, one sentence each; known after :meth:`start`."""
        return ()

    def start(self, context: Context) -> None:
        """Get ready: allocate per-image state, fix schedules.

        Raises:
            OneLabelError: the context lacks what the method needs, or a parameter does not fit it.
        """

    def start_epoch(self, epoch: int) -> None:
        """Set schedules for ``epoch``; epochs count from 1."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar loss of the global batch; may update per-image state."""
        raise NotImplementedError

    def end_epoch(self, score_all: ScoreAll) -> None:
        """Update per-image state after an epoch, from scores where needed."""

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the per-image state between two epochs, by name; empty where there is none."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state` returned in a run on the same table; call :meth:`start` first.

        Raises:
            OneLabelError: the state is that of another method or table.
        """
        require_state(state, {})


def require_state(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check names and shapes of a saved state; a size of -1 fits any.

    Raises:
        OneLabelError: a name or a shape differs.

    Example:
        >>> import torch
        >>> require_state({"soft": torch.zeros(3, 2)}, {"soft": (4, 2)})
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: the saved state has soft (3, 2), this run needs soft (4, 2): ...
    """
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    same = found.keys() == shapes.keys() and all(
        len(found[name]) == len(shape)
        and all(wanted in (-1, size) for size, wanted in zip(found[name], shape, strict=True))
        for name, shape in shapes.items()
    )
    if not same:
        raise OneLabelError(
            f"the saved state has {_listed(found)}, this run needs {_listed(shapes)}: it was saved by "
            "another method, or with other images or classes"
        )


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"


class LossMethod(Method):
    """A loss without per-image state: entries from logits, labels and, for some, pseudo-labels.

    Schedules of the loss (``gr``, ``gpr``, ``gr-pl``, ``splc``, ``ll-r``, ``ll-ct``) are set in each epoch.

    Args:
        loss: any registered loss; its reduction ("mean" or "sum") is kept.
        needs_source: whether it takes pseudo-labels.

    Raises:
        OneLabelError: the loss is not reduced to a scalar.

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
        require_scalar(loss)
        self.criterion = loss
        self.needs_source = needs_source
        self.epochs = 1

    @property
    def linear_epochs(self) -> int:
        """As the loss has it (``gr`` and kin), else 0."""
        return int(getattr(self.criterion, "linear_epochs", 0))

    def start(self, context: Context) -> None:
        self.epochs = context.epochs
        require_linear(self.linear_epochs, context.epochs)

    def start_epoch(self, epoch: int) -> None:
        self.criterion.start_epoch(epoch, self.epochs)

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        inputs = {"pseudo": pseudo_of(batch)} if self.needs_source else {}
        value: Tensor = self.criterion(batch.logits, batch.labels, batch.weight, **inputs)
        return value


def pseudo_of(batch: Batch) -> Tensor:
    """Return the pseudo-labels of a batch.

    Raises:
        OneLabelError: there are none, or those of several sources.
    """
    if batch.pseudo is None:
        raise OneLabelError("this method trains on pseudo-labels and the batch has none: give it a source")
    if batch.pseudo.dim() == batch.labels.dim() + 1:
        raise OneLabelError(
            f"pseudo-labels of {len(batch.pseudo)} sources: a method takes those of one; combine them first"
        )
    return batch.pseudo


def require_linear(linear_epochs: int, epochs: int) -> None:
    """Refuse a linear phase that takes the whole run.

    Raises:
        OneLabelError: not one epoch is left.
    """
    if linear_epochs >= epochs:
        raise OneLabelError(
            f"linear_epochs is {linear_epochs} and the run has {epochs} epochs: lower it or train longer"
        )


def require_scalar(loss: Loss) -> None:
    """Refuse a loss that gives each entry of its own.

    Raises:
        OneLabelError: its reduction is "none".
    """
    if loss.reduction == "none":
        raise OneLabelError('a method needs a scalar loss: reduction must be "mean" or "sum", not "none"')
