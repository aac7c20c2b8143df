"""How a store lies on disk: what it holds, which files it has, and how each is checked.

A store is a folder::

    manifest.json     kind, format version, plan, and size and SHA-256 of every other file
    ids.npy           all ids, UTF-8, one after the other: (bytes,) uint8
    offsets.npy       where each id begins, and the end of the last: (N + 1,) int64
    rows-00000.npy    embeddings of the first images: (rows, views, 2 or 1, D) float16; mirrored rows second
    hashes-00000.npy  SHA-256 of their image files: (rows, 32) uint8
    ...

Until the last shard is written the folder has ``.partial`` behind its name, so a store under its own name
is whole. Meanwhile the manifest counts no shards; each finished one has a record ``shard-00000.json`` of its
own, so that several processes can work in one folder.

All files of a finished store have the same time of modification. A file with another one is compared by its
SHA-256 when the store is opened. The time stands in no file: a store that is made again has the same bytes.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.images.views import GLOBAL
from onelabel.io.arrays import load_npy
from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_file, read_manifest, write_manifest
from onelabel.vlm.fingerprint import differing_parts

KIND, VERSION = "onelabel-store", 1
_RECORD = "onelabel-store-shard"
MANIFEST = "manifest.json"
_NAMES = ("ids", "offsets")
_SMALLEST_SHARD, _MOST_SHARDS = 128, 256


@dataclass(frozen=True)
class FileRecord:
    """What a file was like when it was written."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Describe a file that has just been written."""
        return cls(path.stat().st_size, digest_file(path))

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> FileRecord:
        """Read the record from JSON; what else stands there, such as the time in older stores, is left."""
        return cls(entry["size"], entry["sha256"])

    def check(self, path: Path, *, verify: bool) -> None:
        """Compare the size, and the digest where ``verify`` is set.

        Raises:
            OneLabelError: the file is missing or not the one that was written.
        """
        if not path.is_file():
            raise OneLabelError(f"{path} is missing: embed again, or copy the whole store")
        same = path.stat().st_size == self.size
        if same and verify:
            same = digest_file(path) == self.sha256
        if not same:
            raise OneLabelError(f"{path} has changed since it was written: delete the store and embed again")


def give_one_time(folder: Path, names: Iterable[str]) -> None:
    """Give the files that a manifest describes, and itself, one time of modification."""
    now = time.time_ns()
    for name in (*names, MANIFEST):
        os.utime(folder / name, ns=(now, now))


def was_touched(path: Path) -> bool:
    """Return whether a file has another time of modification than the manifest beside it."""
    return path.is_file() and path.stat().st_mtime_ns != path.with_name(MANIFEST).stat().st_mtime_ns


@dataclass(frozen=True)
class Plan:
    """What a store holds, fixed before the first image is read.

    Args:
        ids: ids of the N images, in row order.
        dim: length D of an embedding.
        fingerprint: what decides an embedding, part by part.
        mirrored: whether each image has a second row for its mirror image.
        shard_rows: rows of each shard but the last.
        views: names of the views.
        encoder: how to load the encoder again, such as its kind and spec; not compared, as the fingerprint
            says what the encoder is wherever it lies.
    """

    ids: IdTable
    dim: int
    fingerprint: Mapping[str, str]
    mirrored: bool
    shard_rows: int
    views: tuple[str, ...] = (GLOBAL,)
    encoder: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return math.ceil(len(self.ids) / self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """Return the rows of a shard."""
        return range(shard * self.shard_rows, min(len(self.ids), (shard + 1) * self.shard_rows))

    def shape_of(self, shard: int) -> tuple[int, int, int, int]:
        """Return (rows, views, 2 or 1, D)."""
        return len(self.rows_of(shard)), len(self.views), 1 + self.mirrored, self.dim

    def differences(self, other: Plan) -> list[str]:
        """Return the names of the parts in which two plans differ."""
        own, foreign = self.facts(), other.facts()
        parts = [name for name in own if own[name] != foreign[name]]
        parts += differing_parts(self.fingerprint, other.fingerprint)
        return parts if self.ids == other.ids else [*parts, "image ids"]

    def facts(self) -> dict[str, Any]:
        """Return what is compared besides ids and fingerprint."""
        return {"dim": self.dim, "mirrored": self.mirrored, "views": list(self.views)}


def usual_shard_rows(images: int) -> int:
    """Return the rows of a shard: little is lost by an interruption, and all shards can be open at once.

    Example:
        >>> usual_shard_rows(5_000), usual_shard_rows(1_000_000)
        (128, 3907)
    """
    return max(_SMALLEST_SHARD, math.ceil(images / _MOST_SHARDS))


@dataclass(frozen=True)
class Shard:
    """The two files of a finished shard."""

    rows: FileRecord
    hashes: FileRecord

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Shard:
        """Read the records from JSON."""
        return cls(FileRecord.parse(entry["rows"]), FileRecord.parse(entry["hashes"]))


@dataclass
class Manifest:
    """A store folder: its plan and what is finished.

    Args:
        folder: where the files are.
        plan: what the store holds, or will hold.
        names: records of ``ids.npy`` and ``offsets.npy``.
        shards: the finished shards that were looked at, by number.
        views_at_once: views per call of the encoder; None where nobody says. Networks round a little
            differently in batches of another size, so work goes on with the same.
    """

    folder: Path
    plan: Plan
    names: dict[str, FileRecord]
    shards: dict[int, Shard]
    views_at_once: int | None = None

    @classmethod
    def begin(cls, folder: Path, plan: Plan, views_at_once: int | None = None) -> Manifest:
        """Write the ids and a manifest without shards into an empty folder."""
        save_array(folder / "ids.npy", plan.ids.buffer)
        save_array(folder / "offsets.npy", plan.ids.offsets)
        names = {name: FileRecord.of(folder / f"{name}.npy") for name in _NAMES}
        manifest = cls(folder, plan, names, {}, views_at_once)
        manifest.write()
        return manifest

    def add(self, number: int, rows: NDArray[np.float16], hashes: NDArray[np.uint8]) -> None:
        """Write a shard, then the record that counts it."""
        files = self.rows_file(number), self.hashes_file(number)
        save_array(files[0], rows)
        save_array(files[1], hashes)
        shard = Shard(*(FileRecord.of(path) for path in files))
        write_manifest(self.record_file(number), _RECORD, VERSION, asdict(shard))
        self.shards[number] = shard

    def collect(self, numbers: Iterable[int], *, verify: bool) -> None:
        """Look for finished shards, whoever wrote them.

        Args:
            numbers: the shards to look for.
            verify: compare the digests of their files.

        Raises:
            OneLabelError: a file of a finished shard is missing or has changed.
        """
        for number in numbers:
            record = self.record_file(number)
            if number not in self.shards and record.exists():
                try:
                    self.shards[number] = Shard.parse(read_manifest(record, _RECORD, VERSION))
                except (KeyError, TypeError) as error:
                    raise OneLabelError(f"{record} is damaged ({error}): delete it") from None
                self._check(number, lambda _: verify)

    def complete(self) -> None:
        """Write the manifest that counts all shards, in place of their own records."""
        self.write()
        for number in self.shards:
            self.record_file(number).unlink(missing_ok=True)
        shards = [file.name for n in self.shards for file in (self.rows_file(n), self.hashes_file(n))]
        give_one_time(self.folder, [*(f"{name}.npy" for name in _NAMES), *shards])

    @property
    def whole(self) -> bool:
        """Whether all shards are known to be finished."""
        return len(self.shards) == self.plan.num_shards

    def write(self) -> None:
        """Write the manifest; it counts shards only where it counts all."""
        write_manifest(self.folder / MANIFEST, KIND, VERSION, self.content(shards=self.whole))

    def content(self, *, shards: bool) -> dict[str, Any]:
        """Return what stands in the file, with or without the shards."""
        return {
            "kind": KIND,
            "format_version": VERSION,
            "rows": len(self.plan.ids),
            **self.plan.facts(),
            "dtype": "float16",
            "shard_rows": self.plan.shard_rows,
            "views_at_once": self.views_at_once,
            "encoder": dict(self.plan.encoder),
            "fingerprint": dict(self.plan.fingerprint),
            "names": {name: asdict(record) for name, record in self.names.items()},
            "shards": [asdict(self.shards[number]) for number in sorted(self.shards)] if shards else [],
        }

    @classmethod
    def read(cls, folder: Path, *, verify: bool = False) -> Manifest:
        """Read a manifest and check the files that it counts.

        Args:
            folder: the store.
            verify: compare the digest of every file, not only that of files with another time.

        Raises:
            OneLabelError: it is no manifest of a store, or a file is missing or has changed.
        """
        content = read_manifest(folder / MANIFEST, KIND, VERSION)
        try:
            manifest = cls._parse(folder, content, verify)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise OneLabelError(f"{folder / MANIFEST} is damaged ({problem}): embed again") from None
        for number in manifest.shards:
            manifest._check(number, lambda path: verify or was_touched(path))
        return manifest

    @classmethod
    def _parse(cls, folder: Path, content: dict[str, Any], verify: bool) -> Manifest:
        names = {name: FileRecord.parse(content["names"][name]) for name in _NAMES}
        for name, record in names.items():
            path = folder / f"{name}.npy"
            record.check(path, verify=verify or was_touched(path))
        plan = Plan(
            IdTable.checked(load_npy(folder / "ids.npy"), load_npy(folder / "offsets.npy")),
            int(content["dim"]), dict(content["fingerprint"]), bool(content["mirrored"]),
            int(content["shard_rows"]), tuple(content["views"]), dict(content["encoder"]),
        )  # fmt: skip
        shards = dict(enumerate(map(Shard.parse, content["shards"])))
        if (
            content["rows"] != len(plan.ids)
            or not 1 <= plan.shard_rows <= 2**40
            or len(shards) > plan.num_shards
        ):
            raise ValueError("its numbers contradict each other")
        return cls(folder, plan, names, shards, content.get("views_at_once"))

    def _check(self, number: int, verify: Callable[[Path], bool]) -> None:
        shard = self.shards[number]
        for record, path in ((shard.rows, self.rows_file(number)), (shard.hashes, self.hashes_file(number))):
            record.check(path, verify=verify(path))

    def record_file(self, shard: int) -> Path:
        """Return the file that says of a shard that it is finished, as long as the store is not."""
        return self.folder / f"shard-{shard:05d}.json"

    def rows_file(self, shard: int) -> Path:
        """Return the file of the embeddings of a shard."""
        return self.folder / f"rows-{shard:05d}.npy"

    def hashes_file(self, shard: int) -> Path:
        """Return the file of the image digests of a shard."""
        return self.folder / f"hashes-{shard:05d}.npy"


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file atomically."""
    buffer = io.BytesIO()  # into a file NumPy writes by C streams, which keep quiet about a full disk
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    with atomic_write(path, "wb") as stream:
        stream.write(buffer.getbuffer())
