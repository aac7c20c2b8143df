"""Texts that repeat over millions of rows, collected in arrays: image ids, groups, splits."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from onelabel.io.ids import IdTable
from onelabel.labels.entries import take_ids

_LONGEST = 4096  # of a path, in characters; also bounds the time that tidying one up takes
_PLAIN = re.compile(r"[\w+%@=,~ -][\w+%@=,~ .-]*(/[\w+%@=,~ -][\w+%@=,~ .-]*)*", re.ASCII)


def image_id(text: str) -> str:
    """Return the id for an image path as written in a file: ``/`` between parts, Unicode NFC, no ``./``.

    Raises:
        ValueError: blank, absolute, with a drive letter, an address, leaving the folder by ``..``, too long,
            or with a character that no path can hold; the message says which.

    Example:
        >>> image_id("./photos\\\\a.jpg")
        'photos/a.jpg'
    """
    found = text.strip()
    if len(found) > _LONGEST:
        raise ValueError(f"image {found[:40]!r}... is longer than any path: {len(found):,} characters")
    while not _PLAIN.fullmatch(found) and (tidied := _tidy(found)) != found:
        found = tidied
    return found


def _tidy(text: str) -> str:
    if not text:
        raise ValueError("the image is blank")
    if any(character < " " or "\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"image {text!r} holds a character that no path can hold")
    path = unicodedata.normalize("NFC", text.replace("\\", "/"))
    if path.startswith("/") or re.match(r"[A-Za-z]:|[A-Za-z][\w+.-]*://", path):
        raise ValueError(f"image {text!r} must be a path relative to the image folder (--images)")
    parts = [part for part in path.split("/") if part.strip() not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"image {text!r} leaves the image folder by '..'; give paths below --images")
    if not parts:
        raise ValueError(f"image {text!r} names a folder, not an image")
    return "/".join(parts).strip()


class Collector:
    """Gives every distinct text a number, in order of first appearance, in bytes rather than Python strings.

    Rows come in pieces. Within a piece a dict finds repeats; over all pieces 128-bit hashes do, at the end.

    Args:
        normalise: applied to each distinct text of a piece; may raise ValueError.

    Example:
        >>> names = Collector()
        >>> rows = np.concatenate([names.add(["b", "a", "b"]), names.add(["c", "a"])])
        >>> table, numbers = names.finish()
        >>> list(table), numbers[rows].tolist()
        (['b', 'a', 'c'], [0, 1, 0, 2, 1])
    """

    def __init__(self, normalise: Callable[[str], str] = str.strip) -> None:
        self.normalise = normalise
        self._buffer = bytearray()
        self._ends = array("q", [0])
        self._digests = bytearray()

    def add(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return provisional numbers of a piece of rows; :meth:`finish` gives the final ones.

        Raises:
            BadText: a text is refused by ``normalise``; with its position.
        """
        local: dict[str, int] = {}
        rows = [local.setdefault(text, len(local)) for text in texts]
        start = len(self._ends) - 1
        for text in local:
            try:
                data = self.normalise(text).encode()
            except UnicodeEncodeError:
                raise BadText(rows.index(local[text]), f"{text!r} is not valid Unicode text") from None
            except ValueError as error:
                raise BadText(rows.index(local[text]), str(error)) from None
            self._buffer += data
            self._ends.append(len(self._buffer))
            self._digests += hashlib.blake2b(data, digest_size=16).digest()
        return np.array(rows, np.int32) + np.int32(start)

    def finish(self) -> tuple[IdTable, NDArray[np.int32]]:
        """Return the distinct texts, and for each provisional number the final one."""
        high, low = np.frombuffer(self._digests, np.uint64).reshape(-1, 2).T
        ids = IdTable(np.frombuffer(self._buffer, np.uint8), np.frombuffer(self._ends, np.int64))
        if not len(ids):
            return ids, np.zeros(0, np.int32)
        order = np.lexsort((low, high))
        new = np.ones(len(order), bool)
        new[1:] = np.diff(high[order]) != 0
        new[1:] |= np.diff(low[order]) != 0
        first = order[new]  # lexsort is stable, so this is where each text stood first
        rank = np.empty(len(first), np.int32)
        rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
        numbers = np.empty(len(order), np.int32)
        numbers[order] = rank[np.cumsum(new) - 1]
        return (ids if new.all() else take_ids(ids, np.sort(first))), numbers


class BadText(ValueError):
    """A text that was refused.

    Args:
        position: where it stands in the piece.
        problem: why.
    """

    def __init__(self, position: int, problem: str) -> None:
        self.position = position
        super().__init__(problem)
