"""Millions of text ids in two arrays instead of millions of Python strings."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


class IdTable(Sequence[str]):
    """An immutable sequence of distinct text ids, kept as one UTF-8 byte buffer plus offsets.

    Loader workers that are forked share the two arrays; a list of Python strings would be copied page by page
    as reference counts change.

    Args:
        buffer: all ids, UTF-8, one after the other: (bytes,) uint8.
        offsets: where each id begins, and the end of the last: (n + 1,) int64.

    Example:
        >>> ids = IdTable.from_strings(["a.jpg", "b/ü.png"])
        >>> ids[1], len(ids), ids.index("a.jpg"), ids.find("none")
        ('b/ü.png', 2, 0, -1)
    """

    def __init__(self, buffer: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.buffer = buffer
        self.offsets = offsets

    @classmethod
    def checked(cls, buffer: NDArray[Any], offsets: NDArray[Any]) -> IdTable:
        """Build the table from two arrays that come from a file.

        Raises:
            OneLabelError: they are no ids: other types, offsets that go back or leave the buffer, an id that
                is blank or no UTF-8.

        Example:
            >>> ids = IdTable.from_strings(["a.jpg", "b.jpg"])
            >>> IdTable.checked(ids.buffer, ids.offsets + 1)
            Traceback (most recent call last):
            onelabel.io.errors.OneLabelError: the ids are damaged: their offsets do not fit
        """
        if buffer.dtype != np.uint8 or offsets.dtype != np.int64 or buffer.ndim != 1 or offsets.ndim != 1:
            raise OneLabelError("the ids are damaged: not bytes and whole numbers")
        whole = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(buffer)
        if not whole or bool((offsets[1:] <= offsets[:-1]).any()):
            raise OneLabelError("the ids are damaged: their offsets do not fit")
        ids = cls(buffer, offsets)
        try:
            for _ in ids:
                pass
        except UnicodeDecodeError:
            raise OneLabelError("the ids are damaged: not valid UTF-8") from None
        return ids

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> IdTable:
        """Build the table from text, in the given order.

        Raises:
            OneLabelError: a text that is not valid Unicode (half of a surrogate pair).
        """
        buffer = bytearray()
        ends = [0]
        try:
            for text in strings:
                buffer += text.encode()
                ends.append(len(buffer))
        except UnicodeEncodeError as error:
            raise OneLabelError(f"{error.object!r} is not valid Unicode text: correct it") from None
        return cls(np.frombuffer(bytes(buffer), dtype=np.uint8), np.array(ends, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int | slice) -> str | list[str]:  # type: ignore[override]
        if isinstance(index, slice):
            return [self.text(i) for i in range(*index.indices(len(self)))]
        return self.text(index)

    def __iter__(self) -> Iterator[str]:
        return (self.text(i) for i in range(len(self)))

    def text(self, index: int) -> str:
        """Return one id as text."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        index %= len(self)
        return self.buffer[self.offsets[index] : self.offsets[index + 1]].tobytes().decode()

    @cached_property
    def _sorted_hashes(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        data, offsets = self.buffer.tobytes(), self.offsets.tolist()
        hashes = np.fromiter((_hash(data[a:b]) for a, b in itertools.pairwise(offsets)), np.uint64, len(self))
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def find(self, text: str) -> int:
        """Return the row of ``text``, or -1."""
        hashes, order = self._sorted_hashes
        value = np.uint64(_hash(text.encode()))
        position = int(np.searchsorted(hashes, value))
        while position < len(hashes) and hashes[position] == value:
            row = int(order[position])
            if self.text(row) == text:
                return row
            position += 1
        return -1

    def index(self, value: str, start: int = 0, stop: int | None = None) -> int:
        """Return the row of ``value``.

        Raises:
            ValueError: it is not in the table.
        """
        row = self.find(value)
        if row < start or (stop is not None and row >= stop):
            raise ValueError(f"{value!r} is not in the table")
        return row

    def rows_of(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """Return the row of each text, -1 where it is not in the table."""
        return np.fromiter((self.find(text) for text in texts), np.int64)

    def take(self, index: NDArray[np.int64]) -> IdTable:
        """Return the ids of the given rows as a new table."""
        starts, lengths = self.offsets[index], np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return IdTable(self.buffer[source], offsets)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self.find(value) >= 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdTable):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.buffer, other.buffer)

    __hash__ = None  # type: ignore[assignment]

    def require_distinct(self, what: str) -> None:
        """Raise when two rows hold the same text.

        Raises:
            OneLabelError: names the first repeated id.
        """
        hashes, order = self._sorted_hashes
        for position in np.flatnonzero(hashes[1:] == hashes[:-1]):
            first, second = self.text(int(order[position])), self.text(int(order[position + 1]))
            if first == second:
                raise OneLabelError(f"{what} {first!r} appears twice")
