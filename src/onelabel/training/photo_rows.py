"""The photos of a label table: found, checked, and in the order in which they train."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from onelabel.images.dataset import ImageRows
from onelabel.images.decode import read_header
from onelabel.images.loading import begin_worker, loader_faults_explained, require_shared_memory
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.progress import progress
from onelabel.labels.table import LabelTable
from onelabel.training.find_photos import find_photos
from onelabel.training.order import epoch_order
from onelabel.training.team import ALONE, Slices, Team

PhotoBatches = Iterable[tuple[Tensor, Tensor]]
"""Yields (index (B,) int64, pixels (B, 3, S, S) float32)."""

_CHUNK = 4096


def photo_rows(table: LabelTable, root: str, preprocess: Preprocess, max_pixels: int) -> ImageRows:
    """Return the photos of a table, in its order; the file names are one byte buffer, not a list.

    Args:
        table: labels.
        root: image folder.
        preprocess: what the network expects.
        max_pixels: larger photos are refused before decoding.

    Raises:
        OneLabelError: photos are missing; names a few.
    """
    return ImageRows(root, find_photos(table, root), preprocess, max_pixels)


def require_readable(*parts: ImageRows) -> None:
    """Read the header of every photo, so that an unusable one stops a run before its first epoch.

    A photo that is cut off behind its header is found only when it is decoded.

    Raises:
        OneLabelError: photos are empty, of no known format or too large; says how many, and names the first.
    """
    bad: list[ImageError] = []
    with progress("look at photos", sum(map(len, parts))) as advance:
        for photos in parts:
            for name in photos.ids:
                try:
                    read_header(photos.root / name, photos.max_pixels)
                except ImageError as error:
                    bad.append(error)
                advance()
    if bad:
        more = f" ({len(bad)} photos cannot be used: run onelabel check for the list)" if bad[1:] else ""
        raise OneLabelError(f"{bad[0]}{more}")


class EpochOrder(Sampler[int]):
    """The training rows in the order of one epoch, see :func:`onelabel.training.order.epoch_order`.

    Args:
        seed: seed of the run.
        rows: number of training images.
        done: number of epochs before those that Lightning counts.

    Example:
        >>> order = EpochOrder(seed=0, rows=4)
        >>> first = list(order)
        >>> order.set_epoch(1)
        >>> sorted(first), list(order) == epoch_order(0, 2, 4).tolist()
        ([0, 1, 2, 3], True)
    """

    def __init__(self, seed: int, rows: int, done: int = 0) -> None:
        self.seed, self.rows, self.done, self.epoch = seed, rows, done, done + 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch as Lightning does before each, counting from 0."""
        self.epoch = self.done + epoch + 1

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(self.seed, self.epoch, self.rows)
        for start in range(0, self.rows, _CHUNK):
            yield from order[start : start + _CHUNK].tolist()


def photo_batches(
    photos: ImageRows, batch_size: int, workers: int, order: EpochOrder | None = None, team: Team = ALONE
) -> DataLoader[Any]:
    """Return a loader of the photos: in their own order, or in that of an epoch; the last batch is kept.

    Args:
        photos: the photos.
        batch_size: photos per batch, of all processes together.
        workers: extra processes that read photos; they stay between passes.
        order: order of the training epochs.
        team: of several processes, each reads its slice of every batch.
    """
    require_shared_memory(workers)
    rows = range(len(photos)) if order is None else order
    # A loader draws a number from its generator at each pass. From torch's own, the random numbers of the
    # network (dropout) would depend on how often photos were read.
    return DataLoader(
        photos, batch_sampler=Slices(rows, len(photos), batch_size, team), num_workers=workers,
        persistent_workers=workers > 0, generator=torch.Generator(), worker_init_fn=begin_worker,
    )  # fmt: skip


@contextmanager
def machine_errors_explained() -> Iterator[None]:
    """Turn what a machine that is too small raises into a message that says what to change.

    Raises:
        OneLabelError: the device has too little memory, or a process that reads photos died.
    """
    try:
        with loader_faults_explained():
            yield
    except torch.OutOfMemoryError as error:
        raise OneLabelError("the device has too little memory: use a smaller --batch-size") from error
