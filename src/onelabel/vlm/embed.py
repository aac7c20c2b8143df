"""Images in, finished shards out: the loop behind :func:`onelabel.vlm.store.write_store`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from onelabel.images.decode import decode
from onelabel.images.loading import begin_worker, loader_faults_explained, require_shared_memory
from onelabel.images.shards import ShardImages
from onelabel.images.transforms import Pixels, Preprocessing, mirror
from onelabel.images.views import ViewPlan
from onelabel.io.arrays import load_npy
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_file
from onelabel.io.progress import Advance
from onelabel.vlm.chunk import USUAL, fastest_chunk
from onelabel.vlm.layout import Manifest, Plan

ImageEncoder = Callable[[Tensor], Tensor]
"""Any callable (B, 3, H, W) -> (B, D): an encoder's ``encode_images``, or a backbone."""

_Item = tuple[Pixels, NDArray[np.uint8]]
_Batch = tuple[Tensor, NDArray[np.uint8]]


class HashedImages(Dataset[_Item | ImageError]):
    """Pixels of all views and content hash of each image; a bad image is handed on as its error.

    An image is decoded once, whatever the number of views. Its pixels leave a worker as uint8, a quarter of
    what the encoder reads. An error that a loader worker *raises* comes out as another type, so it is
    returned and raised outside.

    Args:
        root: image folder.
        paths: file of each image below ``root``.
        preprocess: what makes an image the encoder's input.
        views: what is cut from an image.
        max_pixels: refuse larger images before decoding.
    """

    def __init__(
        self, root: Path, paths: IdTable, preprocess: Preprocessing, views: ViewPlan, max_pixels: int
    ) -> None:
        self._root, self._paths = root, paths
        self._preprocess, self._views, self._max_pixels = preprocess, views, max_pixels

    def path(self, index: int) -> Path:
        """Return the file of an image."""
        return self._root / self._paths.text(index)

    def hash(self, index: int) -> NDArray[np.uint8]:
        """Return the SHA-256 of the file of an image, (32,) uint8.

        Raises:
            ImageError: it cannot be read.
        """
        try:
            return np.frombuffer(bytes.fromhex(digest_file(self.path(index))), np.uint8)
        except OSError as error:
            raise ImageError(self.path(index), f"cannot be read: {error.strerror or error}") from None

    def missing(self, rows: Iterable[int]) -> list[Path]:
        """Return the files that are not there."""
        return [path for path in map(self.path, rows) if not path.is_file()]

    def fetch(self, rows: range) -> None:
        """Make ready what is read next; called in the main process, in the order of the rows."""

    def release(self, row: int) -> None:
        """Let go of what only earlier rows need."""

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> _Item | ImageError:
        try:
            image, digest = self._decoded(index)
            return self._views.pixels(image, self._preprocess), digest
        except ImageError as error:
            return error

    def _decoded(self, index: int) -> tuple[Image, NDArray[np.uint8]]:
        digest = self.hash(index)
        return decode(self.path(index), self._max_pixels), digest


class HashedShardImages(HashedImages):
    """The same for images in tar files.

    Args:
        images: where each row lies.
        preprocess: as above, like what follows.
    """

    def __init__(
        self, images: ShardImages, preprocess: Preprocessing, views: ViewPlan, max_pixels: int
    ) -> None:
        super().__init__(Path(), images.names, preprocess, views, max_pixels)
        self._images, self._released = images, 0

    def path(self, index: int) -> Path:
        """Return shard and path within, for messages."""
        shard = self._images.files.shards[int(self._images.shard[index])]
        return Path(f"{shard}/{self._images.names.text(index)}")

    def hash(self, index: int) -> NDArray[np.uint8]:
        """Return the SHA-256 of an image, (32,) uint8."""
        return _digest(self._read(index))

    def missing(self, rows: Iterable[int]) -> list[Path]:  # noqa: ARG002
        """Return nothing: all were found when the shards were listed."""
        return []

    def fetch(self, rows: range) -> None:
        """Copy the shards of some rows to this machine."""
        for number in np.unique(self._images.shard[rows.start : rows.stop]):
            self._images.files.fetch(int(number))

    def release(self, row: int) -> None:
        """Remove the copies of shards that only earlier rows need."""
        first = int(self._images.shard[row])
        for number in range(self._released, first):
            self._images.files.drop(number)
        self._released = first

    def _read(self, index: int) -> bytes:
        try:
            return self._images.read(index)
        except OSError as error:
            raise ImageError(self.path(index), f"cannot be read: {error.strerror or error}") from None

    def _decoded(self, index: int) -> tuple[Image, NDArray[np.uint8]]:
        data = self._read(index)
        return decode(self.path(index), self._max_pixels, data=data), _digest(data)


def _digest(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(hashlib.sha256(data).digest(), np.uint8)


@dataclass(frozen=True)
class _Batches:
    """The rows of each batch; what they need is fetched just before a loader is told of them."""

    images: HashedImages
    batches: Sequence[range]

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            self.images.fetch(batch)
            yield list(batch)


@dataclass(frozen=True)
class Encoding:
    """How pixels become vectors.

    Args:
        encoder: called without gradients.
        preprocess: what makes an image the encoder's input.
        workers: processes that read and decode.
        device: where pixels are normalised; the encoder's own device saves three quarters of the transfer.
        views_at_once: views per call of the encoder.
    """

    encoder: ImageEncoder
    preprocess: Preprocessing
    workers: int
    device: str = "cpu"
    views_at_once: int = USUAL

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, plan: Plan) -> Tensor:
        """Return the vectors (B, V, 2 or 1, D) float32 of pixels (B, V, 3, side, side) uint8.

        Raises:
            OneLabelError: the encoder gives something else than one vector of D numbers for each image.
        """
        every = pixels.flatten(0, 1)
        parts = [self._versions(part, plan) for part in torch.split(every, self.views_at_once)]
        return torch.cat(parts).view(*pixels.shape[:2], 1 + plan.mirrored, plan.dim)

    @torch.inference_mode()
    def tried(self, images: HashedImages, total: int) -> Encoding:
        """Return the same with as many views per call as are fastest, tried on the first image.

        Raises:
            ImageError: that image cannot be used.
        """

        def views() -> Tensor:
            images.fetch(range(1))
            found = images[0]
            if isinstance(found, ImageError):
                raise found
            return self.preprocess.normalise(torch.from_numpy(found[0]).to(self.device))

        return replace(self, views_at_once=fastest_chunk(self.encoder, views, total))

    def _versions(self, pixels: Tensor, plan: Plan) -> Tensor:
        images = self.preprocess.normalise(pixels.to(self.device))
        versions = [images, mirror(images)] if plan.mirrored else [images]
        features = [self.encoder(version).float().cpu() for version in versions]
        expected = (len(images), plan.dim)
        for feature in features:
            if feature.shape != expected:
                raise OneLabelError(
                    f"the encoder gives {tuple(feature.shape)} for a batch, expected {expected}"
                )
        return torch.stack(features, dim=1)


def _collate(items: list[_Item | ImageError]) -> _Batch | ImageError:
    good = []
    for item in items:
        if isinstance(item, ImageError):
            return item
        good.append(item)
    pixels, digests = default_collate([pixels for pixels, _ in good]), [digest for _, digest in good]
    return pixels, np.stack(digests)


def _stream(
    images: HashedImages, batches: Sequence[range], workers: int
) -> Iterator[tuple[range, Tensor, NDArray[np.uint8]]]:
    require_shared_memory(workers)
    sampler: Any = _Batches(images, batches)
    loader: DataLoader[Any] = DataLoader(
        images, batch_sampler=sampler, num_workers=workers, collate_fn=_collate, worker_init_fn=begin_worker
    )
    for index, batch in zip(batches, loader, strict=True):
        if isinstance(batch, ImageError):
            raise batch
        yield index, *batch
        images.release(index.start)


def embed_shards(
    plan: Plan,
    numbers: Sequence[int],
    images: HashedImages,
    encoding: Encoding,
    keep: Callable[[int, NDArray[np.float16], NDArray[np.uint8]], None],
    advance: Advance,
) -> None:
    """Embed the images of some shards and hand each shard on as it is finished.

    An image is decoded once; its mirror image is the decoded one flipped. No batch reaches over the end of a
    shard, so a shard does not depend on who embeds it, or on what else there is to do.

    Args:
        plan: what the store will hold.
        numbers: the shards, in order.
        images: of the whole store.
        encoding: how pixels become vectors.
        keep: given the number of a shard, its rows and the digests of its images.
        advance: moves the bar of progress on.

    Raises:
        ImageError: an image cannot be used; shards finished before it stay.
        OneLabelError: the encoder gives something else than (B, dim) finite numbers, or the disk is full.
    """
    size = max(1, encoding.views_at_once // len(plan.views))
    batches = [rows[i : i + size] for rows in map(plan.rows_of, numbers) for i in range(0, len(rows), size)]
    features, hashes, left = [], [], iter(numbers)
    with loader_faults_explained():
        for index, pixels, digests in _stream(images, batches, encoding.workers):
            features.append(_halved(encoding(pixels, plan), plan, index))
            hashes.append(digests)
            advance(len(index))
            if index.stop == len(plan.ids) or index.stop % plan.shard_rows == 0:
                keep(next(left), np.concatenate(features), np.concatenate(hashes))
                features, hashes = [], []


def _halved(features: Tensor, plan: Plan, index: range) -> NDArray[np.float16]:
    rows = features.to(torch.float16)
    bad = (~torch.isfinite(rows)).flatten(1).any(dim=1)
    if bad.any():
        name = plan.ids.text(index[int(bad.nonzero()[0])])
        raise OneLabelError(
            f"the encoder gives values for {name} that float16 cannot hold (NaN or above 65504)"
        )
    array: NDArray[np.float16] = rows.numpy()
    return array


def check_images_unchanged(
    manifest: Manifest, numbers: Sequence[int], images: HashedImages, advance: Advance
) -> None:
    """Compare the images of some finished shards with the content hashes in the store.

    Raises:
        OneLabelError: an image has changed since it was embedded.
        ImageError: an image cannot be read.
    """
    for number in numbers:
        known = load_npy(manifest.hashes_file(number))
        for row, digest in zip(manifest.plan.rows_of(number), known, strict=True):
            images.fetch(range(row, row + 1))
            if not np.array_equal(images.hash(row), digest):
                raise OneLabelError(
                    f"{images.path(row)} has changed since {manifest.folder} was begun: delete that folder "
                    "to embed all images again"
                )
            advance()
