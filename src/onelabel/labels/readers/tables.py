"""Tables of text, whatever file they lie in: CSV or parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from math import isnan
from pathlib import Path
from typing import Any, Protocol

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.readers.text import CsvFile

NUMPY, PARQUET = b"\x93NUMPY", b"PAR1"


class Table(Protocol):
    """Column names and rows of text.

    Args:
        path: the file.
        header: the column names, without blanks around them.
    """

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def header(self) -> tuple[str, ...]:
        """The column names."""

    def chunks(self, size: int) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Give the rows in pieces: their line numbers, and their cells."""


def has_magic(path: Path, magic: bytes) -> bool:
    """Whether a file begins with these bytes.

    Raises:
        LabelFileError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError as error:
        raise LabelFileError(path, f"cannot be read: {error.strerror or error}") from None


def open_table(path: Path, encoding: str | None = None) -> Table:
    """Open a CSV or parquet file and read its column names.

    Raises:
        LabelFileError: the file cannot be read, or two columns have the same name.
        OneLabelError: a parquet file without pyarrow.
    """
    return ParquetTable.open(path) if has_magic(path, PARQUET) else CsvFile.open(path, encoding)


@dataclass(frozen=True)
class ParquetTable:
    """A parquet file as rows of text: blank for null, 1 and 0 for true and false, ``a|b`` for a list.

    Rows are numbered from 1 where a CSV file has lines.

    Args:
        path: the file.
        header: the column names, without blanks around them.
    """

    path: Path
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> ParquetTable:
        """Read the column names.

        Raises:
            LabelFileError: not a parquet file, or two columns have the same name.
            OneLabelError: pyarrow is not installed.
        """
        header = _header(path)
        repeated = next((name for name, number in Counter(header).items() if number > 1), None)
        if repeated is not None:
            raise LabelFileError(path, "two columns have this name: rename or delete one", column=repeated)
        return cls(path, header)

    def chunks(self, size: int) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Give the rows in pieces: their numbers from 1, and their cells as text.

        Raises:
            LabelFileError: a cell that is no text, number, truth value or list of these.
        """
        numbers = count(1)
        for batch in _batches(self.path, size):
            lines = list(islice(numbers, batch.num_rows))
            columns = [
                [
                    _text(self.path, cell, row, name)
                    for row, cell in zip(lines, _cells(self.path, column, name), strict=True)
                ]
                for name, column in zip(self.header, batch.columns, strict=True)
            ]
            yield lines, [list(row) for row in zip(*columns, strict=True)]


def _open(path: Path) -> Any:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped]
    except ImportError:
        text = f"{path} is a parquet file; to read it: pip install 'onelabel[parquet]', or export it as CSV"
        raise OneLabelError(text) from None
    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # damaged files raise nearly every type there is
        raise _unreadable(path, error) from None


def _header(path: Path) -> tuple[str, ...]:
    file = _open(path)
    try:
        return tuple(str(name).strip() for name in file.schema_arrow.names)
    except Exception as error:  # as above
        raise _unreadable(path, error) from None


def _batches(path: Path, size: int) -> Iterator[Any]:
    file = _open(path)
    try:
        yield from file.iter_batches(batch_size=size)
    except Exception as error:  # as above
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> LabelFileError:
    reason = (str(error).splitlines() or ["unknown fault"])[0]
    return LabelFileError(path, f"not a parquet file that can be read: {reason}; export it as CSV")


def _cells(path: Path, column: Any, name: str) -> list[Any]:
    try:
        cells: list[Any] = column.to_pylist()
    except (ValueError, OverflowError) as error:  # bytes that are no text, dates that Python does not have
        raise LabelFileError(path, f"cells that cannot be read: {error}; leave it out", column=name) from None
    return cells


def _text(path: Path, cell: object, row: int, column: str) -> str:
    if isinstance(cell, list):
        parts = [_text(path, part, row, column) for part in cell]
        if mixed := next((part for part in parts if "|" in part), None):
            raise LabelFileError(path, f"{mixed!r} in a list holds '|'", line=row, column=column)
        return "|".join(parts)
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, str | int | float):
        return str(cell)
    problem = f"{type(cell).__name__} is no text, number, truth value or list of these; leave the column out"
    raise LabelFileError(path, problem, line=row, column=column)
