"""A head on cached features: plain torch, seconds per run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from onelabel.methods.base import Batch, Method
from onelabel.models.heads import LinearHead
from onelabel.sources.base import Source
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.common import Log, Trained, no_log
from onelabel.training.course import Course
from onelabel.training.features import Bits, FeatureRows
from onelabel.training.first_weights import first_head
from onelabel.training.optimizers import make_optimizer
from onelabel.training.order import epoch_order
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.training.threads import threads_for
from onelabel.vlm.mirror import mirror_bits


def train_head(
    train: FeatureRows,
    val: FeatureRows | None,
    recipe: Recipe,
    log: Log = no_log,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train a head on cached features.

    Args:
        train: features and labels of the training images.
        val: of the validation images, or None.
        recipe: method, source and settings, fresh.
        log: called with a dictionary after each epoch.
        checkpoints: where the run is saved, and what it goes on from; or None.

    Raises:
        OneLabelError: the loss became non-finite, or the head of an earlier run does not fit.
    """
    method, settings = recipe.method, recipe.settings
    head = first_head(recipe, train.features.dim)
    optimizer = make_optimizer(head.parameters(), settings)
    course = Course(recipe, head, optimizer, log, checkpoints)
    weights = sum(parameter.numel() for parameter in head.parameters())
    with threads_for(settings.batch_size * weights):
        while not course.over:
            epoch = course.begin()
            batches = _batches(epoch, head, train, settings, recipe.source)
            _epoch(method, optimizer, batches, course)
            scores = _Scores(head, train, _mirrored(train, settings, epoch))
            course.end(scores, lambda: None if val is None else score(head, val))
    return course.result(head, head)


def _epoch(method: Method, optimizer: Optimizer, batches: Iterable[Batch], course: Course) -> None:
    """Take a step with each batch."""
    for batch in batches:
        value = method.loss(batch)
        course.add(value, batch.index)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        optimizer.step()
        course.stepped()


def _batches(
    epoch: int, head: LinearHead, train: FeatureRows, settings: Settings, source: Source | None
) -> Iterator[Batch]:
    order = epoch_order(settings.seed, epoch, len(train.table))
    mirrored = _mirrored(train, settings, epoch)
    for start in range(0, len(order), settings.batch_size):
        index = order[start : start + settings.batch_size]
        rows = index.numpy()
        labels = torch.from_numpy(train.table.rows(rows))
        bits = torch.from_numpy(mirrored[rows])
        features = train.batch(rows, mirrored[rows])
        weight = train.table.weights is not None
        pseudo = (None, None) if source is None else source.pseudo(index, labels, bits, epoch)
        yield Batch(
            index=index,
            labels=labels,
            logits=head(features),
            mirrored=bits,
            weight=torch.from_numpy(train.table.weight_rows(rows)) if weight else None,
            pseudo=pseudo[0],
            pseudo_score=pseudo[1],
            features=features,
        )


@torch.inference_mode()
def score(head: LinearHead, rows: FeatureRows) -> NDArray[np.float32]:
    """Return the logits (N, C) of all rows."""
    logits = np.empty((len(rows.table), rows.table.num_classes), np.float32)
    for index in rows.chunks():
        logits[index] = head(rows.batch(index)).numpy()
    return logits


def _mirrored(train: FeatureRows, settings: Settings, epoch: int) -> Bits:
    """Say for each training image whether this epoch sees its mirror image."""
    if not (settings.mirror and train.features.mirrored):
        return np.zeros(len(train.table), np.bool_)
    return mirror_bits(settings.seed, epoch, np.arange(len(train.table)))


class _Scores:
    """``score_all`` for :meth:`Method.end_epoch`."""

    def __init__(self, head: LinearHead, rows: FeatureRows, mirrored: Bits) -> None:
        self.head, self.rows, self.mirrored = head, rows, mirrored

    @torch.inference_mode()
    def __call__(self, view: str = "eval") -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (index, probs) chunks; with view "train", of the features that this epoch trained on."""
        for index in self.rows.chunks():
            bits = self.mirrored[index] if view == "train" else None
            yield torch.from_numpy(index), torch.sigmoid(self.head(self.rows.batch(index, bits)))
