"""Text files read as streams, with every fault named by line or byte."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from onelabel.io.errors import LabelFileError
from onelabel.labels.readers.encoding import check_text

_LONGEST_LINE = 1 << 26
_CSV_ERRORS = {
    "field larger than field limit": "a cell is longer than {limit:,} characters: is a quote open?",
    "unexpected end of data": "a quote that is opened in this row is never closed",
    "expected after": "text follows a closing quote: write a quote inside a quoted cell twice",
}


@dataclass(frozen=True)
class CsvFile:
    """A CSV file that is read in pieces.

    Args:
        path: the file.
        separator: the first ``,``, ``;`` or tab of the first line, outside quotes.
        header: the column names, without blanks around them.
        encoding: of its text.
    """

    path: Path
    separator: str
    header: tuple[str, ...]
    encoding: str

    @classmethod
    def open(cls, path: Path, encoding: str | None = None) -> CsvFile:
        """Read the header.

        Args:
            path: the file.
            encoding: as given by the user; None detects it.

        Raises:
            LabelFileError: the file cannot be read as text, or two columns have the same name.
        """
        encoding = check_text(path, encoding)
        with path.open(encoding=encoding, newline="") as stream:
            first = next((line for line in _lines(path, stream) if line.strip()), "")
        bare = re.sub(r'"[^"]*"', "", first)
        separator = next((mark for mark in bare if mark in ",;\t"), ",")
        header = next(
            (tuple(cell.strip() for cell in cells) for _, cells in _rows(path, separator, encoding)), ()
        )
        if not any(header):
            raise LabelFileError(path, "no column names; begin the file with a line such as image,label")
        repeated = next((name for name, count in Counter(header).items() if name and count > 1), None)
        if repeated:
            problem = "two columns have this name: rename or delete one"
            raise LabelFileError(path, problem, line=1, column=repeated)
        return cls(path, separator, header, encoding)

    def chunks(self, size: int) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Give the rows after the header in pieces: their line numbers, and their cells.

        Raises:
            LabelFileError: a row has another number of cells than the header, or quotes are not balanced.
        """
        rows = _rows(self.path, self.separator, self.encoding)
        next(rows)
        while piece := list(islice(rows, size)):
            lines, cells = (list(part) for part in zip(*piece, strict=True))
            for line, row in piece:
                if len(row) != len(self.header):
                    raise LabelFileError(self.path, self._wrong_count(row), line=line)
            yield lines, cells

    def _wrong_count(self, row: list[str]) -> str:
        found, wanted = len(row), len(self.header)
        advice = (
            "put a cell that holds the separator in double quotes"
            if found > wanted
            else "add what is missing"
        )
        return (
            f"{found} cells, but the header names {wanted} columns: {advice} (separator {self.separator!r})"
        )


def _rows(path: Path, separator: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Give line number and cells of each row that is not blank, the header first."""
    with path.open(encoding=encoding, newline="") as stream:
        reader = csv.reader(_lines(path, stream), delimiter=separator, strict=True, skipinitialspace=True)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise LabelFileError(path, _explain(error), line=line) from None
            if any(row):
                yield line, row


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    for line in iter(lambda: stream.readline(_LONGEST_LINE), ""):
        if len(line) == _LONGEST_LINE:
            raise LabelFileError(
                path, f"a line is longer than {_LONGEST_LINE:,} characters: not a label file"
            )
        yield line


def _explain(error: csv.Error) -> str:
    known = (text for start, text in _CSV_ERRORS.items() if start in str(error))
    return next(known, str(error)).format(limit=csv.field_size_limit())
