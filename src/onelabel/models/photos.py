"""Photos from anywhere on disk as batches for a network; a bad one is reported, never replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from onelabel.images.decode import decode
from onelabel.images.loading import begin_worker, require_shared_memory
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import ImageError

_Item = tuple[int, Tensor | ImageError]
Batch = tuple[list[int], Tensor, list[ImageError]]


class _Photos(Dataset[_Item]):
    """Row i is (i, pixels), or (i, error): an error that a loader worker *raised* would lose its type."""

    def __init__(self, paths: Sequence[Path], preprocess: Preprocess, max_pixels: int) -> None:
        self.paths = paths
        self.preprocess = preprocess
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> _Item:
        try:
            return index, self.preprocess(decode(self.paths[index], self.max_pixels))
        except ImageError as error:
            return index, error


def read_photos(
    paths: Sequence[Path], preprocess: Preprocess, *, batch_size: int, workers: int, max_pixels: int
) -> Iterator[Batch]:
    """Yield (rows, pixels (B, 3, S, S), errors) for each ``batch_size`` photos, in the order of ``paths``.

    ``rows`` are those that could be read, so ``pixels`` may hold fewer than ``batch_size``, or none.
    """
    require_shared_memory(workers)
    rows = _Photos(paths, preprocess, max_pixels)
    yield from DataLoader(
        rows, batch_size, num_workers=workers, collate_fn=_collate, worker_init_fn=begin_worker
    )


def _collate(items: list[_Item]) -> Batch:
    good = [(row, pixels) for row, pixels in items if isinstance(pixels, Tensor)]
    errors = [error for _, error in items if isinstance(error, ImageError)]
    pixels = torch.stack([pixels for _, pixels in good]) if good else torch.empty(0, 3, 0, 0)
    return [row for row, _ in good], pixels, errors
