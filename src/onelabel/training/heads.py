"""A linear head on cached features: plain torch, seconds per run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.methods.base import Batch, Context, Method
from onelabel.models.heads import LinearHead, initialise
from onelabel.sources.base import Source
from onelabel.training.common import Log, Trained, no_log, observed_prior, require_finite, start_method
from onelabel.training.features import FeatureRows
from onelabel.training.keeper import Keeper
from onelabel.training.order import epoch_order
from onelabel.training.settings import Settings
from onelabel.vlm.mirror import mirror_bits


def train_head(
    train: FeatureRows,
    val: FeatureRows | None,
    method: Method,
    settings: Settings,
    *,
    source: Source | None = None,
    expected_positives: float | None = None,
    log: Log = no_log,
) -> Trained:
    """Train a linear head on cached features.

    Args:
        train: features and labels of the training images.
        val: of the validation images, or None (then ``settings.select`` must be "last").
        method: the method, fresh.
        settings: epochs, learning rate, selection.
        source: pseudo-labels, for methods that need them.
        expected_positives: expected number of positives per image, where known.
        log: called with a dictionary after each epoch.

    Raises:
        OneLabelError: the method needs a source and has none, or the loss became non-finite.
    """
    torch.manual_seed(settings.seed)
    head = LinearHead(train.features.dim, train.table.num_classes)
    initialise(head, settings.head_init, observed_prior(train.table))
    keeper = Keeper(settings.select, None if val is None else val.table)
    context = Context(train.table, settings.epochs, settings.seed, settings.lr, expected_positives)
    start_method(method, source, context)
    optimizer = torch.optim.Adam(head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    for epoch in range(1, settings.epochs + 1):
        began = time.perf_counter()
        method.start_epoch(epoch)
        loss = 0.0
        for batch in _batches(epoch, head, train, settings, source):
            value = method.loss(batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            loss += float(value.detach()) * len(batch.index) / len(train.table)
        require_finite(loss, epoch)
        method.end_epoch(_Scores(head, train, settings.seed, epoch))
        logits = None if val is None else score(head, val)
        chosen = keeper.offer(epoch, head.state_dict(), logits)
        log({"epoch": epoch, "loss": loss, "selection": chosen, "seconds": time.perf_counter() - began})
    return Trained(keeper.state, keeper.epoch, keeper.score, keeper.logits)


def _batches(
    epoch: int, head: LinearHead, train: FeatureRows, settings: Settings, source: Source | None
) -> Iterator[Batch]:
    order = epoch_order(settings.seed, epoch, len(train.table))
    mirrored = mirror_bits(settings.seed, epoch, np.arange(len(order))) & train.features.mirrored
    for index in order.split(settings.batch_size):
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


class _Scores:
    """``score_all`` for :meth:`Method.end_epoch`."""

    def __init__(self, head: LinearHead, rows: FeatureRows, seed: int, epoch: int) -> None:
        self.head, self.rows, self.seed, self.epoch = head, rows, seed, epoch

    @torch.inference_mode()
    def __call__(self, view: str = "eval") -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (index, probs) chunks; with view "train", of the features that this epoch trained on."""
        for index in self.rows.chunks():
            bits = None
            if view == "train" and self.rows.features.mirrored:
                bits = mirror_bits(self.seed, self.epoch, index)
            yield torch.from_numpy(index), torch.sigmoid(self.head(self.rows.batch(index, bits)))
