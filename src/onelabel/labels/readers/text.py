"""Text files read as streams, with every fault named by line or byte."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from onelabel.io.errors import LabelFileError

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 26
_OTHER_FILES = {
    b"PK\x03\x04": "it is a zip or Excel file: export the sheet as 'CSV UTF-8'",
    b"PAR1": "it is a parquet file: export it as CSV",
    b"\x93NUMPY": "it is a NumPy array: write a CSV file with an image column instead",
    b"\x1f\x8b": "it is compressed: unpack it with gunzip",
    b"\xff\xd8\xff": "it is a JPEG photo: give the label file, and the photos with --images",
    b"\x89PNG": "it is a PNG picture: give the label file, and the photos with --images",
    b"\xff\xfe\0\0": "it begins like UTF-32: save it as 'CSV UTF-8', or iconv -f UTF-32 -t UTF-8 OLD > NEW",
    b"\xff\xfe": "it begins like UTF-16: save it as 'CSV UTF-8', or iconv -f UTF-16 -t UTF-8 OLD > NEW",
    b"\xfe\xff": "it begins like UTF-16: save it as 'CSV UTF-8', or iconv -f UTF-16 -t UTF-8 OLD > NEW",
}
_CSV_ERRORS = {
    "field larger than field limit": "a cell is longer than {limit:,} characters: is a quote open?",
    "unexpected end of data": "a quote that is opened in this row is never closed",
    "expected after": "text follows a closing quote: write a quote inside a quoted cell twice",
}


def check_text(path: Path) -> None:
    """Read a file once in blocks and make sure that it is UTF-8 text without NUL bytes.

    Raises:
        LabelFileError: missing, empty, not readable, or with a byte that is not text, by value and place.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if not start.removeprefix(codecs.BOM_UTF8).strip() and not stream.read(_BLOCK).strip():
                raise LabelFileError(path, "the file is empty")
            stream.seek(0)
            hint = next((text for magic, text in _OTHER_FILES.items() if start.startswith(magic)), None)
            _check_blocks(path, iter(lambda: stream.read(_BLOCK), b""), hint)
    except OSError as error:
        raise LabelFileError(path, f"cannot be read: {error.strerror or error}") from None


def _check_blocks(path: Path, blocks: Iterator[bytes], hint: str | None) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1
    for block in blocks:
        pending = decoder.getstate()[0]
        fault = block.find(b"\0")
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            place = error.start - len(pending)
            fault = place if fault < 0 else min(fault, place)
        if fault >= 0:
            value = (pending + block)[fault + len(pending)]
            line += block[: max(fault, 0)].count(b"\n")
            raise _not_text(path, value, offset + fault, line, hint)
        offset += len(block)
        line += block.count(b"\n")
    if pending := decoder.getstate()[0]:
        raise _not_text(path, pending[0], offset - len(pending), line, hint)


def _not_text(path: Path, value: int, offset: int, line: int, hint: str | None) -> LabelFileError:
    if value == 0:
        problem = "a NUL byte, which no text holds"
        advice = "remove it, or if it is UTF-16, save it as 'CSV UTF-8'"
    else:
        problem = "not valid UTF-8"
        advice = "save it as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    text = f"byte 0x{value:02X} at offset {offset} is {problem}; {hint or advice}"
    return LabelFileError(path, text, line=line)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file that is read in pieces.

    Args:
        path: the file.
        separator: the first ``,``, ``;`` or tab of the first line, outside quotes.
        header: the column names, without blanks around them.
        start: line of the first row after the header.
    """

    path: Path
    separator: str
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> CsvFile:
        """Read the header.

        Raises:
            LabelFileError: the file cannot be read as text, or two columns have the same name.
        """
        check_text(path)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = next((line for line in _lines(path, stream) if line.strip()), "")
        bare = re.sub(r'"[^"]*"', "", first)
        separator = next((mark for mark in bare if mark in ",;\t"), ",")
        header = next((tuple(cell.strip() for cell in cells) for _, cells in _rows(path, separator)), ())
        if not any(header):
            raise LabelFileError(path, "no column names; begin the file with a line such as image,label")
        repeated = next((name for name, count in Counter(header).items() if name and count > 1), None)
        if repeated:
            problem = "two columns have this name: rename or delete one"
            raise LabelFileError(path, problem, line=1, column=repeated)
        return cls(path, separator, header)

    def chunks(self, size: int) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Give the rows after the header in pieces: their line numbers, and their cells.

        Raises:
            LabelFileError: a row has another number of cells than the header, or quotes are not balanced.
        """
        rows = _rows(self.path, self.separator)
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


def _rows(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give line number and cells of each row that is not blank, the header first."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
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
