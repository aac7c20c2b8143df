"""Embeddings of images on disk: written once, resumable, read by row without loading the whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.shards import ShardImages
from onelabel.images.transforms import Preprocessing
from onelabel.images.views import ViewPlan
from onelabel.io.arrays import load_npy
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_json
from onelabel.io.progress import progress
from onelabel.io.shares import WHOLE, Share
from onelabel.vlm.embed import (
    Encoding,
    HashedImages,
    HashedShardImages,
    ImageEncoder,
    check_images_unchanged,
    embed_shards,
)
from onelabel.vlm.fingerprint import differing_parts
from onelabel.vlm.gather import gather, view_bits
from onelabel.vlm.layout import MANIFEST, Manifest, Plan, usual_shard_rows
from onelabel.vlm.workplace import GoneError, Workplace, partial_folder


class UnfinishedStoreError(OneLabelError):
    """This process has done its share of a store, and others have not yet done theirs."""


class EmbeddingStore:
    """A finished store, opened for reading; made by :meth:`open`. Cheap to send to worker processes.

    Args:
        manifest: the checked description of the folder.

    Attributes:
        path: the folder.
        ids: ids of the N rows.
        dim: length D of an embedding.
        views: names of the V views.
        mirrored: whether each image has a second row for its mirror image.
        fingerprint: what decides an embedding, part by part.
        encoder: how to load the encoder again, as it was given when the store was written.
        digest: of everything that it holds.
    """

    def __init__(self, manifest: Manifest) -> None:
        plan = manifest.plan
        self.path = manifest.folder
        self.ids, self.dim, self.views = plan.ids, plan.dim, plan.views
        self.mirrored, self.fingerprint = plan.mirrored, dict(plan.fingerprint)
        self.encoder = dict(plan.encoder)
        self.digest = digest_json([manifest.shards[n].rows.sha256 for n in range(plan.num_shards)])
        self._shard_rows = plan.shard_rows
        self._shards = [_open_shard(manifest, number) for number in range(plan.num_shards)]

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = False) -> EmbeddingStore:
        """Open a store.

        Args:
            path: its folder.
            verify: compare the SHA-256 of every file, not only its size and time of modification.

        Raises:
            OneLabelError: there is none, it is not finished, or a file of it is missing or has changed.
        """
        path = Path(path)
        if not path.is_dir():
            begun = partial_folder(path).is_dir()
            hint = (
                "it is not finished: run the same `onelabel embed` again to go on"
                if begun
                else "no such folder"
            )
            raise OneLabelError(f"cannot open the store {path}: {hint}")
        manifest = Manifest.read(path, verify=verify)
        if not manifest.whole:
            raise OneLabelError(
                f"the store {path} is not finished: run the same `onelabel embed` again to go on"
            )
        return cls(manifest)

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return EmbeddingStore.open, (self.path,)

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return the embeddings of some rows.

        Args:
            index: (B,) rows, 0 or more, in any order and repeated if wanted.
            mirrored: (B,) bool, or (B, V) for each view: take the mirror image; None for never. With
                (B, v), v < V, the first v views alone are read.

        Returns:
            (B, V, D) float32; (B, v, D) where the bits of v views are given.

        Raises:
            OneLabelError: a mirror image is asked for and the store has none.
            IndexError: a row does not exist.
        """
        rows = np.asarray(index, np.int64).reshape(-1)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a store with {len(self)}")
        bits = view_bits(mirrored, len(rows), len(self.views))
        if bits.any() and not self.mirrored:
            raise OneLabelError(f"the store {self.path} has no rows for mirror images: embed again with them")
        return gather(self._shards, self._shard_rows, rows, bits)

    def require(self, fingerprint: Mapping[str, str]) -> None:
        """Check that the store was made by the encoder that is in use now.

        Raises:
            OneLabelError: names the parts that differ.
        """
        parts = differing_parts(self.fingerprint, fingerprint)
        if parts:
            raise OneLabelError(
                f"the store {self.path} was made with other {', '.join(parts)}: "
                "embed again, or use the encoder that it was made with"
            )


def _open_shard(manifest: Manifest, number: int) -> NDArray[np.float16]:
    path = manifest.rows_file(number)
    array = load_npy(path, mapped=True)
    if array.dtype != np.float16 or array.shape != manifest.plan.shape_of(number):
        raise OneLabelError(f"{path} does not hold what {MANIFEST} says: delete the store and embed again")
    return np.asarray(array)  # still mapped; NumPy's own class for it doubles the time of taking few rows


def write_store(
    path: str | Path,
    *,
    root: str | Path,
    ids: IdTable,
    encoder: ImageEncoder,
    preprocess: Preprocessing,
    dim: int,
    fingerprint: Mapping[str, str],
    encoder_spec: Mapping[str, str] | None = None,
    paths: IdTable | None = None,
    views: ViewPlan = ViewPlan(),  # noqa: B008 (frozen)
    mirrored: bool = True,
    batch_size: int | None = None,
    workers: int = 0,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
    shard_rows: int | None = None,
    overwrite: bool = False,
    share: Share = WHOLE,
    shards: ShardImages | None = None,
) -> EmbeddingStore:
    """Embed images into a store, or go on with one that was interrupted.

    Work in progress is kept in ``PATH.partial``. When that folder exists and was begun for the same images
    and encoder, its files and the images of its finished shards are checked by digest and only the rest is
    embedded; the result is the same, byte for byte, as without the interruption.

    Several processes, on one machine or on several that share the folder, each embed a share of the shards;
    they need not run at the same time, and do not wait for each other. Whoever finds all shards finished
    gives the store its name. It is the same, byte for byte, as that of one process.

    Args:
        path: folder to make.
        root: image folder.
        ids: the images; they become the rows, in this order.
        encoder: images (B, 3, H, W) -> (B, dim), called without gradients.
        preprocess: what makes an image the encoder's input.
        dim: length of an embedding.
        fingerprint: what decides an embedding, part by part; it guards the store.
        encoder_spec: how to load the encoder again, such as ``{"kind": "open_clip", "spec": "local-dir:x"}``;
            kept as :attr:`EmbeddingStore.encoder`.
        paths: file of each image below ``root``, where it is not the id itself.
        views: what is cut from an image; each view becomes a row of its own.
        mirrored: store a second row for the mirror image, which is flipped after resizing.
        batch_size: views per call of the encoder; None for what a short trial finds fastest (see
            :func:`~onelabel.vlm.chunk.fastest_chunk`), and for the same again where work goes on. Another
            number may change the last digit of an embedding, as networks round differently.
        workers: processes that read and decode.
        device: where pixels are normalised, best where the encoder runs.
        max_pixels: refuse larger images before decoding.
        shard_rows: images per file; what an interruption costs at most. None chooses by their number.
        overwrite: replace an existing store (and nothing else) once the new one is whole, and discard
            unfinished work that was begun for something else. Of several processes, none begins the store
            anew that they have just finished.
        share: which of several processes this is.
        shards: where each image lies, for images in tar files; ``root`` and ``paths`` are not used then.

    Returns:
        The finished store, opened.

    Raises:
        UnfinishedStoreError: this share is finished; those of others are not.
        OneLabelError: the output cannot be written, or unfinished work belongs to something else.
        ImageError: an image is missing or broken, with its path; finished shards stay.
    """
    rows = shard_rows or usual_shard_rows(len(ids))
    plan = Plan(ids, dim, dict(fingerprint), mirrored, rows, views.names, dict(encoder_spec or {}))
    images = (
        HashedImages(Path(root), ids if paths is None else paths, preprocess, views, max_pixels)
        if shards is None
        else HashedShardImages(shards, preprocess, views, max_pixels)
    )
    work, own = Workplace(Path(path), plan, share, overwrite), share.range(plan.num_shards)
    if not work.finished_by_others():
        work.check()
        _check_images_exist(images, plan, own)
    encoding = Encoding(encoder, preprocess, workers, device)
    views_at_once = partial(_tried, encoding, images, len(ids) * len(views) * (1 + mirrored))
    manifest = work.begin(batch_size, views_at_once)
    if manifest is None:
        _check_unchanged(Manifest.read(work.path), own, images)
        return EmbeddingStore.open(path)
    _check_space(manifest)
    _check_unchanged(manifest, [number for number in own if number in manifest.shards], images)
    encoding = replace(encoding, views_at_once=manifest.views_at_once or views_at_once())
    try:
        _embed(work, manifest, images, encoding)
        finished = work.finish(manifest)
    except GoneError:
        if not work.finished():
            raise OneLabelError(f"{work.folder} has been removed while we worked in it") from None
        finished = True
    if not finished:
        left = plan.num_shards - len(manifest.shards)
        raise UnfinishedStoreError(
            f"{share} is finished; {left} of {plan.num_shards} shards are left to others"
        )
    return EmbeddingStore.open(path)


def _embed(work: Workplace, manifest: Manifest, images: HashedImages, encoding: Encoding) -> None:
    plan, share = work.plan, work.share
    todo = [number for number in share.range(plan.num_shards) if number not in manifest.shards]
    total = sum(len(plan.rows_of(number)) for number in todo)
    with progress("embed", total) if share.of == 1 else nullcontext(lambda count=1: None) as advance:  # noqa: ARG005
        embed_shards(plan, todo, images, encoding, partial(work.keep, manifest), advance)


def _check_images_exist(images: HashedImages, plan: Plan, numbers: range) -> None:
    if not len(images):
        raise OneLabelError("there are no images to embed")
    rows = (row for number in numbers for row in plan.rows_of(number))
    missing = images.missing(rows)
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ImageError(missing[0], f"there is no such file{more}; `onelabel check` lists them all")


def _check_space(manifest: Manifest) -> None:
    plan = manifest.plan
    todo = [n for n in range(plan.num_shards) if not manifest.rows_file(n).exists()]
    needed = sum(2 * int(np.prod(plan.shape_of(number))) for number in todo)
    free = shutil.disk_usage(manifest.folder).free
    if free < needed:
        raise OneLabelError(
            f"cannot write {manifest.folder}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        )


def _check_unchanged(manifest: Manifest, numbers: Sequence[int], images: HashedImages) -> None:
    with progress("check", sum(len(manifest.plan.rows_of(number)) for number in numbers)) as advance:
        check_images_unchanged(manifest, numbers, images, advance)


def _tried(encoding: Encoding, images: HashedImages, total: int) -> int:
    return encoding.tried(images, total).views_at_once
