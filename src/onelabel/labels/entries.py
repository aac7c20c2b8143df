"""Array work behind the label table: merging single cells, gathering rows, checking what comes in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no class name may hold: they move the cursor of a terminal, end lines, or are no text."""

_IDS_AT_ONCE = 1 << 18


class LabelConflict(OneLabelError):
    """A cell is marked both present and absent.

    Args:
        image: row of the image.
        column: number of the class.
        message: text for the user.
    """

    def __init__(self, image: int, column: int, message: str) -> None:
        self.image = image
        self.column = column
        super().__init__(message)


class Entries(NamedTuple):
    """Distinct cells in order of image, then class."""

    images: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.int8]
    weights: NDArray[np.float32] | None


def merge(
    images: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.int8],
    weights: NDArray[np.float32] | None,
    shape: tuple[int, int],
) -> Entries:
    """Sort cells and merge those that stand twice: a known value beats 0, the larger weight is kept.

    Raises:
        LabelConflict: a cell is both +1 and -1 (the message has numbers only; callers know the names).
        IndexError: a cell outside ``shape``.

    Example:
        >>> cells = np.array([1, 0, 1]), np.array([0, 2, 0]), np.array([0, -1, 1], np.int8)
        >>> merge(*cells, None, (2, 3)).values.tolist()
        [-1, 1]
    """
    for name, numbers, size in (("image", images, shape[0]), ("class", columns, shape[1])):
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
            raise IndexError(f"{name} numbers from {numbers.min()} to {numbers.max()}, there are {size}")
    if not len(images) == len(columns) == len(values) == (len(values) if weights is None else len(weights)):
        raise OneLabelError("cells need as many image numbers, class numbers, values and weights")
    key = images * max(shape[1], 1) + columns
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    if not len(first):
        return Entries(images, columns, values, weights)
    highest, lowest = (f.reduceat(values[order], first) for f in (np.maximum, np.minimum))
    clash = np.flatnonzero((highest == 1) & (lowest == -1))
    if len(clash):
        image, column = divmod(int(key[first[clash[0]]]), shape[1])
        raise LabelConflict(image, column, f"image {image}, class {column} is both +1 and -1")
    return Entries(
        key[first] // shape[1],
        key[first] % shape[1],
        np.where(highest == 1, highest, lowest),
        None if weights is None else np.maximum.reduceat(weights[order], first),
    )


def merge_named(
    ids: IdTable,
    class_ids: Sequence[str],
    images: ArrayLike,
    columns: ArrayLike,
    values: ArrayLike,
    weights: ArrayLike | None,
) -> Entries:
    """Check cells and merge them; a conflict names image and class.

    Raises:
        LabelConflict: a cell is both +1 and -1.
        OneLabelError: a value or weight is out of range.
        IndexError: a row or column does not exist.
    """
    numbers = np.asarray(values)
    check_values(numbers)
    weight = None if weights is None else np.asarray(weights, np.float32)
    if weight is not None:
        check_weights(weight)
    where = np.asarray(images, np.int64), np.asarray(columns, np.int64)
    try:
        return merge(*where, numbers.astype(np.int8), weight, (len(ids), len(class_ids)))
    except LabelConflict as clash:
        what = f"image {ids.text(clash.image)!r} is marked both present and absent"
        message = f"{what} for class {class_ids[clash.column]!r}"
        raise LabelConflict(clash.image, clash.column, message) from None


def offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each run of the given lengths begins, and the end of the last.

    Example:
        >>> offsets(np.array([2, 0, 1])).tolist()
        [0, 2, 2, 3]
    """
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def gather(indptr: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for every stored cell of ``rows``, which of the rows it belongs to and where it is stored.

    Example:
        >>> [part.tolist() for part in gather(np.array([0, 2, 2, 3]), np.array([2, 0]))]
        [[0, 1, 1], [2, 0, 1]]
    """
    lengths = indptr[rows + 1] - indptr[rows]
    starts = offsets(lengths)
    line = np.repeat(np.arange(len(rows)), lengths)
    return line, np.arange(starts[-1]) + np.repeat(indptr[rows] - starts[:-1], lengths)


def cheapest_default(absent: NDArray[Any], unknown: NDArray[Any]) -> NDArray[np.int8]:
    """Return per image the default (0 or -1) that leaves fewer cells to store.

    Example:
        >>> cheapest_default(np.array([3, 1]), np.array([2, 4])).tolist()
        [-1, 0]
    """
    return np.where(absent > unknown, -1, 0).astype(np.int8)


def row_numbers(index: Any, size: int) -> NDArray[np.int64]:
    """Turn row numbers, a mask or one number into (B,) int64 in [0, size).

    Raises:
        IndexError: a row does not exist.
    """
    rows = np.atleast_1d(np.asarray(index))
    if rows.dtype == bool:
        if rows.shape != (size,):
            raise IndexError(f"a mask of shape {rows.shape} for {size} rows")
        return np.flatnonzero(rows)
    rows = rows.astype(np.int64) if rows.size == 0 else rows.astype(np.int64, casting="same_kind")
    if rows.size and not -size <= rows.min() <= rows.max() < size:
        raise IndexError(f"rows from {rows.min()} to {rows.max()}, there are {size}")
    return np.where(rows < 0, rows + size, rows)


def distinct_ids(ids: IdTable | Iterable[str]) -> IdTable:
    """Return the ids as a table; one that is a table already is taken as it is, since a check costs seconds.

    Raises:
        OneLabelError: an id stands twice.
    """
    if isinstance(ids, IdTable):
        return ids
    table = IdTable.from_strings(ids)
    table.require_distinct("image")
    return table


def check_values(values: NDArray[Any]) -> None:
    """Raise unless every value is +1, 0 or -1.

    Raises:
        OneLabelError: names the first other value.
    """
    wrong = (values != 1) & (values != 0) & (values != -1)
    if np.any(wrong):
        found = values[wrong].flat[0]
        raise OneLabelError(f"label {found} has no meaning: +1 is present, 0 unknown, -1 absent")


def check_weights(weights: NDArray[np.float32]) -> None:
    """Raise unless every weight is in (0, 1].

    Raises:
        OneLabelError: names the first other weight.
    """
    wrong = ~((weights > 0) & (weights <= 1))
    if np.any(wrong):
        raise OneLabelError(f"weight {weights[wrong].flat[0]} is outside (0, 1]")


def check_class_ids(class_ids: Sequence[str]) -> None:
    """Raise when a class id is blank, has blanks around it, holds a control character, or stands twice.

    Raises:
        OneLabelError: names the class.
    """
    seen: set[str] = set()
    for name in class_ids:
        if not name or name != name.strip():
            raise OneLabelError(f"class name {name!r} is blank or has blanks around it")
        if CONTROL.search(name):
            raise OneLabelError(f"class name {name!r} holds a character that cannot be printed")
        if name in seen:
            raise OneLabelError(f"class {name!r} stands twice")
        seen.add(name)


def same_names(
    codes: NDArray[Any] | None, names: Sequence[str], other: NDArray[Any] | None, other_names: Sequence[str]
) -> bool:
    """Whether two columns of codes give each row the same name, whatever the order of the names.

    Example:
        >>> same_names(np.array([0, 1]), ("a", "b"), np.array([1, 0]), ("b", "a"))
        True
    """
    if codes is None or other is None:
        return codes is other
    translated = IdTable.from_strings(other_names).rows_of(names)
    translated[translated < 0] = len(other_names)
    return np.array_equal(np.append(translated, -1)[codes], other)


def take_ids(ids: IdTable, index: NDArray[np.int64]) -> IdTable:
    """Return the ids of some rows, a piece at a time: the work arrays of one piece stay small."""
    pieces = [ids.take(index[start : start + _IDS_AT_ONCE]) for start in range(0, len(index), _IDS_AT_ONCE)]
    if len(pieces) == 1:
        return pieces[0]
    buffer = np.concatenate([piece.buffer for piece in pieces] or [np.zeros(0, np.uint8)])
    lengths = np.concatenate([np.diff(piece.offsets) for piece in pieces] or [np.zeros(0, np.int64)])
    return IdTable(buffer, offsets(lengths))
