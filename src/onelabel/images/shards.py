"""Images in tar files, as WebDataset writes them: which there are, and their bytes.

Nothing is unpacked. A shard on another machine is copied to this one while its images are read.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tarfile
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from onelabel.images.folder import SUFFIXES
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_URL = re.compile(r"(https?|s3|gs)://[\w.~/%:@?=&+,-]+")
_BLOCK = 512


def are_shards(images: str) -> bool:
    """Return whether ``--images`` names tar files and no folder.

    Example:
        >>> are_shards("shards/data-{000..009}.tar"), are_shards("photos")
        (True, False)
    """
    return images.endswith(".tar") and not Path(images).is_dir()


def expand_shards(pattern: str) -> list[str]:
    """Return the shards of a pattern such as ``data-{000..009}.tar``, in order.

    Raises:
        OneLabelError: a range that goes down, or more than a million shards.

    Example:
        >>> expand_shards("a{08..10}.tar")
        ['a08.tar', 'a09.tar', 'a10.tar']
    """
    found = _RANGE.search(pattern)
    if not found:
        return [pattern]
    sizes = [int(last) - int(first) + 1 for first, last in _RANGE.findall(pattern)]
    if min(sizes) < 1 or math.prod(sizes) > 1_000_000:
        raise OneLabelError(f"{pattern}: ranges must go up, and give a million shards at most")
    first, last = int(found[1]), int(found[2])
    names = (f"{number:0{len(found[1])}d}" for number in range(first, last + 1))
    return [
        shard
        for name in names
        for shard in expand_shards(pattern[: found.start()] + name + pattern[found.end() :])
    ]


class ShardFiles:
    """The files of shards, those on other machines copied when they are needed.

    Args:
        pattern: see :func:`expand_shards`; paths, or addresses http(s)://, s3:// or gs://.
        spool: folder for copies; a copy is removed when the images behind it have been read.
    """

    def __init__(self, pattern: str, spool: str | Path) -> None:
        self.shards = expand_shards(pattern)
        self._spool = Path(spool)

    def path(self, number: int) -> Path:
        """Return where a shard lies, or will lie, on this machine."""
        shard = self.shards[number]
        return self._spool / f"{number:06d}.tar" if "://" in shard else Path(shard)

    def fetch(self, number: int) -> Path:
        """Copy a shard to this machine unless it is there.

        Raises:
            OneLabelError: it cannot be read, or the extra that reads addresses is not installed.
        """
        path = self.path(number)
        if not path.exists() and "://" in self.shards[number]:
            _copy(self.shards[number], path)
        return path

    def drop(self, number: int) -> None:
        """Remove the copy of a shard."""
        if "://" in self.shards[number]:
            self.path(number).unlink(missing_ok=True)


def _copy(address: str, path: Path) -> None:
    if not _URL.fullmatch(address):  # parts of it become a command of the shell
        raise OneLabelError(
            f"{address} is no address of a tar file: http(s)://, s3:// or gs://, plain characters"
        )
    try:
        gopen = import_module("webdataset.gopen").gopen
    except ImportError:
        raise OneLabelError(
            "reading shards by address needs an extra: pip install 'onelabel[stream]'"
        ) from None
    temporary = path.with_suffix(".tmp")
    try:
        with gopen(_command(address), "rb") as source, temporary.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except Exception as error:  # pipes and clients of object stores raise many types
        temporary.unlink(missing_ok=True)
        raise OneLabelError(f"{address} cannot be read: {error}") from error
    temporary.replace(path)


def _command(address: str) -> str:
    """WebDataset knows no s3:// of its own; none of the characters that we let pass ends the quotes."""
    return f"pipe:aws s3 cp '{address}' -" if address.startswith("s3://") else address


@dataclass(frozen=True)
class ShardImages:
    """Where the images of shards lie.

    Args:
        files: the shards.
        names: paths within the shards, with extension.
        shard: (N,) number of the shard of each.
        start: (N,) first byte.
        size: (N,) bytes.
    """

    files: ShardFiles
    names: IdTable
    shard: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> ShardImages:
        """Return some of them, in that order."""
        return ShardImages(
            self.files, self.names.take(rows), self.shard[rows], self.start[rows], self.size[rows]
        )

    def read(self, row: int) -> bytes:
        """Return the bytes of an image.

        Raises:
            OSError: its shard cannot be read.
        """
        path = self.files.path(int(self.shard[row]))
        with path.open("rb") as stream:
            data = os.pread(stream.fileno(), int(self.size[row]), int(self.start[row]))
        if len(data) != self.size[row]:
            raise OSError(f"{path} is shorter than it was")
        return data


def list_shards(files: ShardFiles) -> ShardImages:
    """Find the images in shards: regular files with the extension of an image; others are left.

    Raises:
        OneLabelError: a shard is missing, damaged, cut off or compressed; it holds a link, a device, or a
            path that is absolute or leaves its folder; two images have the same path.
    """
    places = array("q")
    table = IdTable.from_strings(_listed(files, places))
    table.require_distinct("the image")
    found = np.frombuffer(places, np.int64).reshape(-1, 3)
    return ShardImages(files, table, found[:, 0], found[:, 1], found[:, 2])


def _listed(files: ShardFiles, places: array[int]) -> Iterator[str]:
    """Yield the path of each image, and note shard, first byte and size: millions fit into memory so."""
    for number in range(len(files.shards)):
        for name, start, size in _members(files.fetch(number), files.shards[number]):
            places.extend((number, start, size))
            yield name
        files.drop(number)


def _members(path: Path, shard: str) -> Iterator[tuple[str, int, int]]:
    if not path.is_file():  # reading a pipe may never end
        raise OneLabelError(f"there is no shard {shard}, or it is not a regular file")
    try:
        with tarfile.open(path, "r:") as archive:
            last, whole = -1, path.stat().st_size
            while (member := archive.next()) is not None:
                if member.offset_data <= last:
                    raise OneLabelError(f"the shard {shard} is damaged: its entries go back")
                last = member.offset_data
                if last + member.size > whole:
                    raise OneLabelError(f"the shard {shard} is cut off or damaged after {last} bytes")
                archive.members = []  # type: ignore[attr-defined]  # else it keeps all of them
                if (name := _checked(member, shard)) is not None:
                    yield name, member.offset_data, member.size
            end = archive.offset
        _require_end(path, end, shard)
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise OneLabelError(f"the shard {shard} cannot be read as a plain tar file: {error}") from None


def _require_end(path: Path, end: int, shard: str) -> None:
    """A tar file ends with zeros; Python's reader takes the end of a cut off one for its end."""
    with path.open("rb") as stream:
        stream.seek(end)
        if stream.read(_BLOCK) != bytes(_BLOCK):
            raise OneLabelError(f"the shard {shard} is cut off or damaged after {end} bytes")


def _checked(member: tarfile.TarInfo, shard: str) -> str | None:
    """Return the path of an image; None for what is none."""
    name = member.name
    if member.isdir():
        return None
    if not member.isreg() or member.issparse():
        raise OneLabelError(f"{name!r} in the shard {shard} is not a regular file: links are not followed")
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise OneLabelError(f"{name!r} in the shard {shard} is not a path below the shard")
    plain = unicodedata.normalize("NFC", "/".join(parts))
    return plain if PurePosixPath(plain).suffix.lower() in SUFFIXES else None


def rows_in_shards(ids: IdTable, images: ShardImages, wanted: str) -> tuple[NDArray[np.int64], ShardImages]:
    """Return which rows of a table to take so that they lie as in the shards, and the images of these.

    Args:
        ids: of the table.
        images: all images of the shards.
        wanted: what was searched, for the error.

    Raises:
        OneLabelError: images are in no shard; names a few.
    """
    places = images.names.rows_of(unicodedata.normalize("NFC", text) for text in ids)
    missing = np.flatnonzero(places < 0)
    if len(missing):
        some = ", ".join(ids.text(int(row)) for row in missing[:3])
        raise OneLabelError(
            f"{len(missing)} of {len(ids)} images are not in {wanted} (such as {some}): ids must be paths "
            "within the shards, with extension"
        )
    order = np.argsort(places, kind="stable")
    return order, images.take(places[order])
