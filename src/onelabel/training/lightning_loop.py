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
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from onelabel.images.dataset import ImageRows
from onelabel.io.progress import Advance
from onelabel.methods.base import Batch
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.common import Log
from onelabel.training.course import Course, epoch_seed
from onelabel.training.lightning_team import machines
from onelabel.training.optimizers import make_optimizer
from onelabel.training.order import epoch_order
from onelabel.training.photo_network import MirrorBits, PhotoNetwork, mirror_some
from onelabel.training.photo_rows import EpochOrder, PhotoBatches, photo_batches
from onelabel.training.recipe import Recipe
from onelabel.training.sharding import shard
from onelabel.training.team import ALONE, Strategy, Team
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

    Of several processes each computes the logits of its slice of a global batch; from all logits, gathered,
    every one computes the same loss, and with it the same state of the method, but only its own logits carry
    gradients. The sum of these over the processes is the gradient of that one loss.

    Args:
        network: changed in place.
        recipe: method, source, labels and settings, fresh.
        photos: of the training images.
        val: of the validation images, or None.
        workers: extra processes that read photos.
        write: called with the record of each epoch.
        advance: called with the number of photos done.
        checkpoints: where the run is saved, and what it goes on from; or None.
        team: the processes that train together.
    """

    def __init__(
        self, network: PhotoNetwork, recipe: Recipe, photos: ImageRows, val: ImageRows | None,
        workers: int, write: Log, advance: Advance, checkpoints: Checkpoints | None = None,
        team: Team = ALONE,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.recipe, self.photos = network, recipe, photos
        self.workers, self.write, self.advance, self.team = workers, write, advance, team
        self.val_rows = 0 if val is None else len(val)
        self.val_batches = None if val is None else self._in_order(val)
        saved = None if checkpoints is None else checkpoints.saved
        self.checkpoints, self.done = checkpoints, 0 if saved is None else saved.epoch

    def on_fit_start(self) -> None:
        """Begin, or go on, now that the network is on its device."""
        (optimizer,) = self.trainer.optimizers
        scaler = self.trainer.precision_plugin
        self.course = Course(self.recipe, self.network, optimizer, self.write, self.checkpoints, scaler)

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return self.course.epoch

    def configure_model(self) -> None:
        """Share the weights out, where each process is to hold a part of them."""
        if self.device_mesh is not None:
            self.network = shard(self.network, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> Optimizer:
        """Return the optimiser, with a learning rate of its own for the head."""
        settings = self.recipe.settings
        groups = [
            {"params": list(self.network.backbone.parameters()), "lr": settings.lr},
            {"params": list(self.network.head.parameters()), "lr": settings.lr * settings.head_lr_multiplier},
        ]
        return make_optimizer(groups, settings)

    def train_dataloader(self) -> DataLoader[_Photos]:
        """Return the training photos in the order of the epoch."""
        settings = self.recipe.settings
        order = EpochOrder(settings.seed, len(self.photos), self.done)
        return photo_batches(self.photos, settings.batch_size, self.workers, order, self.team)

    def _in_order(self, photos: ImageRows) -> PhotoBatches:
        return photo_batches(photos, self.recipe.settings.batch_size, self.workers, team=self.team)

    def on_train_start(self) -> None:
        """Let a process that waits for others end at once when it is asked to."""
        if self.team.size > 1:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def transfer_batch_to_device(self, batch: _Photos, device: torch.device, dataloader_idx: int) -> _Photos:  # noqa: ARG002 - the signature is Lightning's
        """Move the pixels; the index is needed on the CPU."""
        index, photos = batch
        return index, photos.to(device)

    def on_train_epoch_start(self) -> None:
        """Set everything that depends on the epoch from seed and epoch alone."""
        epoch, settings = self.course.begin(), self.recipe.settings
        if self.team.rank:
            torch.manual_seed(epoch_seed(settings.seed, epoch, self.team.rank))
        self.order = epoch_order(settings.seed, epoch, len(self.photos))
        self.network.train()
        if alone := self.recipe.head_only_epochs:
            self.network.only_head(epoch <= alone, settings.freeze_batchnorm)

    def training_step(self, batch: _Photos, batch_idx: int) -> Tensor:
        """Return the loss of a global batch, times the number of processes: gradients will be averaged."""
        own, photos = batch
        size = self.recipe.settings.batch_size
        index = self.order[batch_idx * size : (batch_idx + 1) * size]
        logits = self.team.gather(self.network(mirror_some(photos, self._bits(own))), len(index))
        value = self.recipe.method.loss(self._batch(index, self._bits(index), logits.cpu()))
        self.course.add(value, index)
        self.advance(len(index))
        return value.to(logits.device) * self.team.size

    def on_train_batch_end(self, *_: Any) -> None:
        """Take note of the step."""
        self.course.stepped()

    def on_train_epoch_end(self) -> None:
        """Close the epoch, and the run where its stopping rule says so."""
        self._unite_statistics()
        self.course.end(self._score_all, self._val_logits)
        self.trainer.should_stop = self.course.over

    def _val_logits(self) -> NDArray[np.float32] | None:
        if self.val_batches is None:
            return None
        logits = np.empty((self.val_rows, self.network.head.out_features), np.float32)
        for index, values in self._scores(self.val_batches, self.val_rows):
            logits[index.numpy()] = values.numpy()
        self.advance(self.val_rows)
        return logits

    def _unite_statistics(self) -> None:
        """Take over what BatchNorm of the first process has seen, and the average of it."""
        average = self.course.average
        names = [] if average is None else [name for name, _ in self.network.named_buffers()]
        kept = [average.state[name] for name in names if average is not None and name in average.state]
        self.team.follow((*self.network.buffers(), *kept))

    def _scores(
        self, batches: PhotoBatches, rows: int, bits: MirrorBits | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (index, logits) of all rows in their order, each once, in every process."""
        size = self.recipe.settings.batch_size
        for start, (_, own) in zip(range(0, rows, size), self.network.scores(batches, bits), strict=True):
            index = torch.arange(start, min(start + size, rows))
            yield index, self.team.gather(own, len(index))

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
        bits = self._bits if view == "train" else None
        scores = self._scores(self._in_order(self.photos), len(self.photos), bits)
        return ((index, torch.sigmoid(logits)) for index, logits in scores)


def fit(module: FineTuning, precision: Precision, strategy: Strategy = "ddp") -> None:
    """Run all epochs that are left.

    Raises:
        KeyboardInterrupt: Ctrl-C, or the process was asked to end.
    """
    with _silent():
        trainer = pl.Trainer(
            max_epochs=module.recipe.settings.epochs - module.done,
            precision=_PRECISIONS[precision],
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **machines(module.team, strategy),
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
            warnings.filterwarnings("ignore", "Grad strides do not match")  # slower, no more
            yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        log.setLevel(level)
        if signal.getsignal(signal.SIGINT) is not on_interrupt:
            signal.signal(signal.SIGINT, on_interrupt)
