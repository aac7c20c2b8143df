"""Cosines of all images, views and classes on disk, beside the embeddings that they come from.

A cache is a folder in the store's own::

    cosines-1f3a.../manifest.json   what decides the cosines, and size and SHA-256 of the other file
    cosines-1f3a.../cosines.npy     (N, V, 2 or 1, C) int16, in units of 1/32767

Sixteen bits in equal steps keep a cosine to within 1.6e-5; float16 would keep one of 0.3 to within 1.2e-4,
which at a temperature of 0.01 moves an exponent by 0.012.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from onelabel.io.arrays import load_npy
from onelabel.io.atomic import atomic_folder
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_json, read_manifest, write_manifest
from onelabel.io.progress import progress
from onelabel.vlm.gather import gather, view_bits
from onelabel.vlm.layout import FileRecord, give_one_time, was_touched
from onelabel.vlm.store import EmbeddingStore
from onelabel.vlm.texts import Words

KIND, VERSION = "onelabel-cosines", 1
UNIT = 32767
_ROWS_AT_ONCE = 256


class CosineCache:
    """Cosines of one list of classes, opened for reading; made by :func:`open_cosines`.

    Args:
        array: (N, V, 2 or 1, C) int16, mapped into memory.
    """

    def __init__(self, array: NDArray[np.int16]) -> None:
        self._array = array

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return cosines (B, V, C) float32; ``mirrored`` is (B,) or (B, V) bool, or None for never."""
        rows = np.asarray(index, np.int64).reshape(-1)
        bits = view_bits(mirrored, len(rows), self._array.shape[1])
        found = gather([self._array], len(self._array), rows, bits)
        found /= UNIT
        return found


def open_cosines(store: EmbeddingStore, words: Words) -> CosineCache:
    """Open the cosines of a store for some classes; compute them where they are not there yet.

    Args:
        store: embeddings.
        words: text vectors.

    Raises:
        OneLabelError: they cannot be written, or were changed since they were.
    """
    parts = {**words.fingerprint, "embeddings": store.digest}
    folder = store.path / f"cosines-{digest_json(parts)[:16]}"
    if not folder.is_dir():
        _write(folder, store, words, parts)
    return CosineCache(_read(folder, store, words))


def _write(folder: Path, store: EmbeddingStore, words: Words, parts: Mapping[str, str]) -> None:
    shape = _shape(store, words)
    with atomic_folder(folder) as temporary, progress("cosines", len(store)) as advance:
        file = temporary / "cosines.npy"
        with file.open("wb") as stream:
            header = {"descr": "<i2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for start in range(0, len(store), _ROWS_AT_ONCE):
                rows = np.arange(start, min(len(store), start + _ROWS_AT_ONCE))
                stream.write(_computed(store, words, rows).tobytes())
                advance(len(rows))
        record = FileRecord.of(file)
        content = {"fingerprint": dict(parts), "file": vars(record)}
        write_manifest(temporary / "manifest.json", KIND, VERSION, content)
        give_one_time(temporary, [file.name])


def _computed(store: EmbeddingStore, words: Words, rows: NDArray[np.int64]) -> NDArray[np.int16]:
    versions = [np.full(len(rows), bool(bit)) for bit in range(1 + store.mirrored)]
    images = np.stack([store.rows(rows, bits) for bits in versions], axis=2)
    cosines = words.cosines(torch.from_numpy(images)).clamp(-1, 1)
    found: NDArray[np.int16] = (cosines * UNIT).round().to(torch.int16).numpy().astype("<i2", copy=False)
    return found


def _read(folder: Path, store: EmbeddingStore, words: Words) -> NDArray[np.int16]:
    content = read_manifest(folder / "manifest.json", KIND, VERSION)
    file = folder / "cosines.npy"
    hint = f"delete {folder}; it is made again"
    try:
        record = FileRecord.parse(content["file"])
    except (KeyError, TypeError) as error:
        raise OneLabelError(f"{folder / 'manifest.json'} is damaged ({error}): {hint}") from None
    try:
        record.check(file, verify=was_touched(file))
    except OneLabelError:
        raise OneLabelError(f"{file} is missing or has changed since it was written: {hint}") from None
    array: NDArray[Any] = load_npy(file, mapped=True)
    if array.shape != _shape(store, words) or array.dtype != np.int16:
        raise OneLabelError(f"{file} does not fit the store: {hint}")
    return array


def _shape(store: EmbeddingStore, words: Words) -> tuple[int, int, int, int]:
    return len(store), len(store.views), 1 + store.mirrored, words.num_classes
