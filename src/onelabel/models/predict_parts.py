"""Predictions by several processes: each writes pieces of the file, and the last one joins them.

Unfinished work is a folder ``OUT.partial``::

    plan.json         what is predicted for which photos by which model, and how many photos a piece has
    piece-00000.rows  rows of the first photos, as they stand in the result
    piece-00000.json  its size and SHA-256, how many photos it has, and which were skipped
    ...

A piece is a whole number of batches, so the network sees the batches that one process would show it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import IO, Any

from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.lock import LOCK, locked
from onelabel.io.manifest import digest_file, read_manifest, write_manifest
from onelabel.io.shares import Share

_PLAN, _PIECE, _VERSION = "onelabel-predictions", "onelabel-predictions-piece", 1
_HEAD = ("kind", "format_version")
_MOST_PIECES, _LEAST_BATCHES = 256, 4


class LeftToOthersError(OneLabelError):
    """This process has done its share of the predictions; another one writes the result, or has."""


@dataclass(frozen=True)
class Told:
    """What is told of the photos of a piece.

    Args:
        images: how many have rows.
        skipped: path and problem of each of the others.
    """

    images: int
    skipped: tuple[tuple[str, str], ...]


Write = Callable[[IO[str], range], Told]
"""Writes the rows of some photos."""


def partial_folder(out: Path) -> Path:
    """Return where predictions are kept until all are finished."""
    return out.with_name(f"{out.name}.partial")


def digest_of(texts: Iterable[str]) -> str:
    """Return the SHA-256 of texts, in order; none of them may hold a NUL character."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\0")
    return found.hexdigest()


def require_some(found: Sequence[Told]) -> None:
    """Check that there is a photo that could be used.

    Raises:
        OneLabelError: all were skipped.
    """
    skipped = [one for told in found for one in told.skipped]
    if not any(told.images for told in found):
        path, problem = skipped[0]
        raise OneLabelError(f"none of the {len(skipped)} photos can be used; the first: {path}: {problem}")


class Pieces:
    """The pieces of one file of predictions, made now, before ``out`` can be finished by others.

    Args:
        out: the file.
        identity: what decides its content, by name; JSON-like.
        photos: number of photos.
        batch_size: photos per pass through the network.
        share: which of the processes this is.
    """

    def __init__(
        self, out: Path, identity: dict[str, Any], photos: int, batch_size: int, share: Share
    ) -> None:
        self.out, self.share = out, share
        self.folder = partial_folder(out)
        self._photos, self._before = photos, _facts(out)
        self._rows = batch_size * max(_LEAST_BATCHES, ceil(ceil(photos / batch_size) / _MOST_PIECES))
        self.count = ceil(photos / self._rows)
        self._plan = {"kind": _PLAN, "format_version": _VERSION, **identity}

    def run(self, write: Write, header: str, overwrite: bool) -> list[Told]:
        """Write the missing pieces of our share; where none is missing then, write the result.

        Args:
            write: writes the rows of some photos.
            header: first line of the result.
            overwrite: discard unfinished work that was begun for something else.

        Returns:
            What is told of all pieces, in order.

        Raises:
            LeftToOthersError: pieces of others are missing, or others have written the result.
            OneLabelError: unfinished work belongs to something else, a file cannot be written, or none of the
                photos can be used.
        """
        self._begin(overwrite)
        for number in self.share.range(self.count):
            if self._found(number) is None:
                self._keep(number, write)
        with self._alone():
            self._require_ours()
            left = sum(not self._record_file(number).exists() for number in range(self.count))
            if left:
                raise LeftToOthersError(
                    f"{self.share} is finished; {left} of {self.count} pieces are left to others"
                )
            found = [told for told in map(self._found, range(self.count)) if told is not None]
            require_some(found)
            self._join(header)
        return found

    def _begin(self, overwrite: bool) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OneLabelError(f"cannot write {self.folder}: {error.strerror or error}") from error
        with self._alone():
            if _facts(self.out) != self._before:  # others finished just before we made this folder
                self._remove()
                raise self._by_others()
            names = sorted(entry.name for entry in self.folder.iterdir())
            if "plan.json" in names and overwrite and not self._ours():
                for name in names:
                    if name != LOCK:
                        (self.folder / name).unlink()
                names = []
            if "plan.json" in names:
                self._require_ours()
            elif foreign := [name for name in names if not name.endswith(".tmp")]:
                raise OneLabelError(f"{self.folder} is in the way: it holds {foreign[0]}")
            else:
                content = {name: value for name, value in self._plan.items() if name not in _HEAD}
                write_manifest(self.folder / "plan.json", _PLAN, _VERSION, content)

    def _keep(self, number: int, write: Write) -> None:
        rows = range(number * self._rows, min(self._photos, (number + 1) * self._rows))
        temporary = self.folder / f".piece-{number:05d}.{secrets.token_hex(4)}.tmp"
        try:
            with self._opened(temporary) as stream:
                told = write(stream, rows)
                stream.flush()
                os.fsync(stream.fileno())
            with self._alone():
                self._require_ours()
                if not self._record_file(number).exists():
                    record = {**asdict(told), "sha256": digest_file(temporary)}
                    temporary.replace(self._rows_file(number))
                    write_manifest(self._record_file(number), _PIECE, _VERSION, record)
        except OSError as error:
            raise OneLabelError(f"cannot write {temporary}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)
        if self.share.of > 1:
            print(f"{self.share}: photos up to {rows.stop} of {self._photos}", file=sys.stderr, flush=True)

    def _found(self, number: int) -> Told | None:
        file = self._record_file(number)
        if not file.exists():
            return None
        record = read_manifest(file, _PIECE, _VERSION)
        rows = self._rows_file(number)
        try:
            if digest_file(rows) != record["sha256"]:
                raise OneLabelError(f"{rows} has changed since it was written: delete {self.folder}")
            skipped = tuple((str(path), str(problem)) for path, problem in record["skipped"])
            return Told(int(record["images"]), skipped)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise OneLabelError(f"{file} is damaged ({error}): delete {self.folder}") from None

    def _join(self, header: str) -> None:
        with atomic_write(self.out, "wb") as stream:
            stream.write(header.encode())
            for number in range(self.count):
                with self._rows_file(number).open("rb") as rows:
                    shutil.copyfileobj(rows, stream, 1 << 20)
        self._remove()

    def _remove(self) -> None:
        """Remove the folder, first its name, so that nobody who waits for the lock makes a file in it."""
        old = self.folder.with_name(f".{self.folder.name}.{secrets.token_hex(4)}.tmp")
        self.folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _opened(self, temporary: Path) -> Iterator[IO[str]]:
        try:
            stream = temporary.open("w", encoding="utf-8", newline="\n")
        except FileNotFoundError:
            raise self._by_others() from None
        with stream:
            yield stream

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder, needed=self.share.of > 1))
            except FileNotFoundError:
                raise self._by_others() from None
            yield

    def _by_others(self) -> OneLabelError:
        if _facts(self.out) != self._before:
            return LeftToOthersError(f"{self.share} is finished; others have written {self.out}")
        return OneLabelError(f"{self.folder} has been removed while we worked in it")

    def _ours(self) -> bool:
        return read_manifest(self.folder / "plan.json", _PLAN, _VERSION) == self._plan

    def _require_ours(self) -> None:
        now = read_manifest(self.folder / "plan.json", _PLAN, _VERSION)
        other = ", ".join(name for name in self._plan if now.get(name) != self._plan[name])
        if other:
            raise OneLabelError(
                f"{self.folder} was begun with other {other}: delete that folder, or add --overwrite"
            )

    def _rows_file(self, number: int) -> Path:
        return self.folder / f"piece-{number:05d}.rows"

    def _record_file(self, number: int) -> Path:
        return self.folder / f"piece-{number:05d}.json"


def _facts(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
