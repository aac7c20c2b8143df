"""Fine-tuning as a Lightning module. Importing this imports Lightning, which takes seconds."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader

from onelabel.images.dataset import ImageRows
from onelabel.io.progress import Advance
from onelabel.methods.base import Batch
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.common import Log
from onelabel.training.course import Course
from onelabel.training.photo_network import PhotoNetwork, mirror_some
from onelabel.training.photo_rows import EpochOrder, photo_batches
from onelabel.training.recipe import Recipe
from onelabel.vlm.mirror import mirror_bits

Precision = Literal["32", "bf16", "16"]
_PRECISIONS: dict[Precision, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"
}  # fmt: skip
_Photos = tuple[Tensor, Tensor]


class FineTuning(pl.LightningModule):
    """Trains backbone and head together with a method, and offers each epoch to a keeper.

    The network runs on the device. Labels, pseudo-labels and the loss of a batch, B × C numbers, stay on the
    CPU, where the state of sources and methods is.

    Args:
        network: changed in place.
        recipe: method, source, labels and settings, fresh.
        photos: of the training images.
        val: of the validation images, or None.
        workers: extra processes that read photos.
        write: called with the record of each epoch.
        advance: called with the number of photos done.
        checkpoints: where the run is saved, and what it goes on from; or None.
    """

    def __init__(
        self, network: PhotoNetwork, recipe: Recipe, photos: ImageRows, val: ImageRows | None,
        workers: int, write: Log, advance: Advance, checkpoints: Checkpoints | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.recipe, self.photos = network, recipe, photos
        self.workers, self.write, self.advance = workers, write, advance
        self.val_rows = 0 if val is None else len(val)
        self.val_batches = None if val is None else photo_batches(val, recipe.settings.batch_size, workers)
        saved = None if checkpoints is None else checkpoints.saved
        self.checkpoints, self.done = checkpoints, 0 if saved is None else saved.epoch

    def on_fit_start(self) -> None:
        """Begin, or go on, now that the network is on its device."""
        (adam,) = self.trainer.optimizers
        scaler = self.trainer.precision_plugin
        self.course = Course(self.recipe, self.network, adam, self.write, self.checkpoints, scaler)

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return self.course.epoch

    def configure_optimizers(self) -> Optimizer:
        """Return Adam, with a learning rate of its own for the head."""
        settings = self.recipe.settings
        groups = [
            {"params": list(self.network.backbone.parameters()), "lr": settings.lr},
            {"params": list(self.network.head.parameters()), "lr": settings.lr * settings.head_lr_multiplier},
        ]
        return Adam(groups, weight_decay=settings.weight_decay)

    def train_dataloader(self) -> DataLoader[_Photos]:
        """Return the training photos in the order of the epoch."""
        settings = self.recipe.settings
        order = EpochOrder(settings.seed, len(self.photos), self.done)
        return photo_batches(self.photos, settings.batch_size, self.workers, order)

    def transfer_batch_to_device(self, batch: _Photos, device: torch.device, dataloader_idx: int) -> _Photos:  # noqa: ARG002 - the signature is Lightning's
        """Move the pixels; the index is needed on the CPU."""
        index, photos = batch
        return index, photos.to(device)

    def on_train_epoch_start(self) -> None:
        """Set everything that depends on the epoch from seed and epoch alone."""
        epoch = self.course.begin()
        self.network.train()
        if alone := self.recipe.head_only_epochs:
            self.network.only_head(epoch <= alone, self.recipe.settings.freeze_batchnorm)

    def training_step(self, batch: _Photos, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of a batch."""
        index, photos = batch
        bits = self._bits(index)
        logits = self.network(mirror_some(photos, bits))
        value = self.recipe.method.loss(self._batch(index, bits, logits.cpu()))
        self.course.add(value, index)
        self.advance(len(index))
        return value.to(logits.device)

    def on_train_batch_end(self, *_: Any) -> None:
        """Take note of the step."""
        self.course.stepped()

    def on_train_epoch_end(self) -> None:
        """Close the epoch, and the run where its stopping rule says so."""
        self.course.end(self._score_all, self._val_logits)
        self.trainer.should_stop = self.course.over

    def _val_logits(self) -> NDArray[np.float32] | None:
        if self.val_batches is None:
            return None
        logits = self.network.all_scores(self.val_batches, self.val_rows)
        self.advance(self.val_rows)
        return logits

    def _bits(self, index: Tensor) -> Tensor:
        """Say which photos this epoch sees mirrored, (B,) bool."""
        settings = self.recipe.settings
        if not settings.mirror:
            return torch.zeros(len(index), dtype=torch.bool)
        return torch.from_numpy(mirror_bits(settings.seed, self.epoch, index.numpy()))

    def _batch(self, index: Tensor, bits: Tensor, logits: Tensor) -> Batch:
        table, source = self.recipe.parts.train, self.recipe.source
        rows = index.numpy()
        labels = torch.from_numpy(table.rows(rows))
        pseudo = (None, None) if source is None else source.pseudo(index, labels, bits, self.epoch)
        return Batch(
            index=index,
            labels=labels,
            logits=logits,
            mirrored=bits,
            weight=None if table.weights is None else torch.from_numpy(table.weight_rows(rows)),
            pseudo=pseudo[0],
            pseudo_score=pseudo[1],
        )

    def _score_all(self, view: str = "eval") -> Iterator[tuple[Tensor, Tensor]]:
        """``score_all`` of :meth:`Method.end_epoch`; view "train" is mirrored as this epoch was."""
        batches = photo_batches(self.photos, self.recipe.settings.batch_size, self.workers)
        bits = self._bits if view == "train" else None
        return ((index, torch.sigmoid(logits)) for index, logits in self.network.scores(batches, bits))


def fit(module: FineTuning, precision: Precision) -> None:
    """Run all epochs that are left.

    Raises:
        KeyboardInterrupt: Ctrl-C, or the process was asked to end.
    """
    with _silent():
        trainer = pl.Trainer(
            max_epochs=module.recipe.settings.epochs - module.done,
            precision=_PRECISIONS[precision],
            accelerator="auto",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module)


@contextmanager
def _silent() -> Iterator[None]:
    """Take Lightning's own messages away, and give Ctrl-C back, which it turns into an exit."""
    log = logging.getLogger("lightning.pytorch")
    level, on_interrupt = log.level, signal.getsignal(signal.SIGINT)
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        log.setLevel(level)
        if signal.getsignal(signal.SIGINT) is not on_interrupt:
            signal.signal(signal.SIGINT, on_interrupt)
