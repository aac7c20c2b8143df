"""Rows of a parquet file, in pieces and as texts: what a CSV file gives. Needs the extra ``parquet``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from onelabel.io.errors import LabelFileError, OneLabelError


@dataclass(frozen=True)
class ParquetFile:
    """A parquet file whose columns are known.

    Args:
        path: the file.
        header: names of the columns.
    """

    path: Path
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> ParquetFile:
        """Read the names of the columns.

        Raises:
            OneLabelError: pyarrow is not installed.
            LabelFileError: not a parquet file, or two columns have the same name.
        """
        header = tuple(str(name).strip() for name in _open(path).schema_arrow.names)
        repeated = next((name for name in header if header.count(name) > 1), None)
        if repeated is not None:
            raise LabelFileError(path, "two columns have this name: rename or delete one", column=repeated)
        return cls(path, header)

    def chunks(self, size: int) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Give the rows in pieces: their numbers, from 1, and their cells as texts, blank for null.

        Raises:
            LabelFileError: the file is damaged.
        """
        row = 1
        try:
            for batch in _open(self.path).iter_batches(batch_size=size):
                columns = [["" if v is None else str(v) for v in each.to_pylist()] for each in batch.columns]
                rows = [list(cells) for cells in zip(*columns, strict=True)]
                yield list(range(row, row + len(rows))), rows
                row += len(rows)
        except (OSError, ValueError) as error:  # what pyarrow's own errors are kinds of
            raise LabelFileError(self.path, f"cannot be read: {error}", line=row) from None


def _open(path: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise OneLabelError(
            f"{path} is a parquet file, which needs pyarrow: pip install 'onelabel[parquet]', or save it as "
            "CSV"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise LabelFileError(path, f"cannot be read as parquet: {error}") from None
