"""How a store lies on disk: what it holds, which files it has, and how each is checked.

A store is a folder::

    manifest.json     kind, format version, plan, and size, time and SHA-256 of every other file
    ids.npy           all ids, UTF-8, one after the other: (bytes,) uint8
    offsets.npy       where each id begins, and the end of the last: (N + 1,) int64
    rows-00000.npy    embeddings of the first images: (rows, views, 2 or 1, D) float16; mirrored rows second
    hashes-00000.npy  SHA-256 of their image files: (rows, 32) uint8
    ...

Until the last shard is written the folder has ``.partial`` behind its name, so a store under its own name
is whole.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.images.views import GLOBAL
from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_file, read_manifest, write_manifest
from onelabel.vlm.fingerprint import differing_parts

KIND, VERSION = "onelabel-store", 1
MANIFEST = "manifest.json"
_NAMES = ("ids", "offsets")
_SMALLEST_SHARD, _MOST_SHARDS = 128, 256


@dataclass(frozen=True)
class FileRecord:
    """What a file was like when it was written."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Describe a file that has just been written."""
        facts = path.stat()
        return cls(facts.st_size, facts.st_mtime_ns, digest_file(path))

    def check(self, path: Path, *, verify: bool) -> None:
        """Compare size and time, and the digest where ``verify`` is set or the time differs (a copied store).

        Raises:
            OneLabelError: the file is missing or not the one that was written.
        """
        if not path.is_file():
            raise OneLabelError(f"{path} is missing: embed again, or copy the whole store")
        facts = path.stat()
        same = facts.st_size == self.size
        if same and (verify or facts.st_mtime_ns != self.mtime_ns):
            same = digest_file(path) == self.sha256
        if not same:
            raise OneLabelError(f"{path} has changed since it was written: delete the store and embed again")


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
        return {"dim": self.dim, "mirrored": self.mirrored, "views": self.views}


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


@dataclass
class Manifest:
    """A store folder: its plan and what is finished.

    Args:
        folder: where the files are.
        plan: what the store holds, or will hold.
        names: records of ``ids.npy`` and ``offsets.npy``.
        shards: the finished shards, in order.
        views_at_once: views per call of the encoder; None before it is chosen. Networks round a little
            differently in batches of another size, so work goes on with the same.
    """

    folder: Path
    plan: Plan
    names: dict[str, FileRecord]
    shards: list[Shard]
    views_at_once: int | None = None

    @classmethod
    def begin(cls, folder: Path, plan: Plan) -> Manifest:
        """Write the ids and a manifest without shards into an empty folder."""
        save_array(folder / "ids.npy", plan.ids.buffer)
        save_array(folder / "offsets.npy", plan.ids.offsets)
        manifest = cls(folder, plan, {name: FileRecord.of(folder / f"{name}.npy") for name in _NAMES}, [])
        manifest.write()
        return manifest

    def add(self, rows: NDArray[np.float16], hashes: NDArray[np.uint8]) -> None:
        """Write the next shard, then the manifest that counts it."""
        number = len(self.shards)
        files = self.rows_file(number), self.hashes_file(number)
        save_array(files[0], rows)
        save_array(files[1], hashes)
        self.shards.append(Shard(*(FileRecord.of(path) for path in files)))
        self.write()

    def write(self) -> None:
        """Write the manifest."""
        content = {
            "rows": len(self.plan.ids),
            **self.plan.facts(),
            "dtype": "float16",
            "shard_rows": self.plan.shard_rows,
            "views_at_once": self.views_at_once,
            "encoder": dict(self.plan.encoder),
            "fingerprint": dict(self.plan.fingerprint),
            "names": {name: asdict(record) for name, record in self.names.items()},
            "shards": [asdict(shard) for shard in self.shards],
        }
        write_manifest(self.folder / MANIFEST, KIND, VERSION, content)

    @classmethod
    def read(cls, folder: Path, *, verify: bool = False) -> Manifest:
        """Read a manifest and check the files that it counts.

        Args:
            folder: the store.
            verify: compare the digest of every file, not only its size and time.

        Raises:
            OneLabelError: it is no manifest of a store, or a file is missing or has changed.
        """
        content = read_manifest(folder / MANIFEST, KIND, VERSION)
        try:
            manifest = cls._parse(folder, content, verify)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise OneLabelError(f"{folder / MANIFEST} is damaged ({problem}): embed again") from None
        for number, shard in enumerate(manifest.shards):
            shard.rows.check(manifest.rows_file(number), verify=verify)
            shard.hashes.check(manifest.hashes_file(number), verify=verify)
        return manifest

    @classmethod
    def _parse(cls, folder: Path, content: dict[str, Any], verify: bool) -> Manifest:
        names = {name: FileRecord(**content["names"][name]) for name in _NAMES}
        for name, record in names.items():
            record.check(folder / f"{name}.npy", verify=verify)
        plan = Plan(
            IdTable(load_array(folder / "ids.npy"), load_array(folder / "offsets.npy")),
            int(content["dim"]), dict(content["fingerprint"]), bool(content["mirrored"]),
            int(content["shard_rows"]), tuple(content["views"]), dict(content["encoder"]),
        )  # fmt: skip
        shards = [
            Shard(FileRecord(**entry["rows"]), FileRecord(**entry["hashes"])) for entry in content["shards"]
        ]
        if content["rows"] != len(plan.ids) or plan.shard_rows < 1 or len(shards) > plan.num_shards:
            raise ValueError("its numbers contradict each other")
        return cls(folder, plan, names, shards, content.get("views_at_once"))

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


def load_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """Read a ``.npy`` file, or open it as a memory map.

    Raises:
        OneLabelError: it is not an array file.
    """
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise OneLabelError(f"{path} cannot be read: {error}") from None
