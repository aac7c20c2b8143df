"""List CSV: one row per image with all its positives in one cell, ``image,labels`` / ``a.jpg,cat|dog``."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.build import TableBuilder
from onelabel.labels.readers.classes import ClassList, class_name
from onelabel.labels.readers.columns import (
    CSV_OPTIONS,
    LIST_NAMES,
    OWN_IMAGE,
    find_columns,
    has_image,
    named,
    needed,
    unused_note,
)
from onelabel.labels.readers.label_column import holds_lists
from onelabel.labels.readers.tables import Table, open_table

_ROWS_AT_ONCE = 1 << 16
_DELIMITERS = ("|", ";", ",", " ")


def _sniff(probe: Probe) -> bool:
    if probe.kind != "csv" or not has_image(probe) or OWN_IMAGE in probe.header:
        return False
    column = probe.options.label_column
    if named(probe.header if column is None else [column], LIST_NAMES) is not None:
        return True
    return column is not None and holds_lists(probe)


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read a list CSV file. An image in several rows has the classes of all of them.

    Raises:
        LabelFileError: no list column, or a class that is not in ``--classes``.
    """
    file = open_table(path, options.encoding)
    columns = find_columns(file, options)
    place = needed(file, options, "label_column", LIST_NAMES)
    classes = ClassList(options)
    delimiter, notes = _delimiter(file, place, options, classes)
    builder = TableBuilder(path, columns, file.header)
    numbers: dict[str, int] = {}
    for lines, rows in file.chunks(_ROWS_AT_ONCE):
        images = builder.add_rows(rows, lines).tolist()
        image, column, line_of = [], [], []
        for number, line, row in zip(images, lines, rows, strict=True):
            for name in split_labels(row[place], delimiter, classes):
                if name not in numbers:
                    numbers[name] = classes.number(name, path, line=line, column=file.header[place])
                image.append(number)
                column.append(numbers[name])
                line_of.append(line)
        builder.add_cells(image, column, np.ones(len(image), np.int8), line_of)
    table = builder.finish(classes, -1 if options.exhaustive else 0)
    return Loaded(table, READER.name, (*columns.notes, *notes, *unused_note(file, columns, {place})))


def split_labels(cell: str, delimiter: str | None, classes: ClassList) -> list[str]:
    """Return the names in a cell; a cell that is a class of ``--classes`` as it stands is not split.

    Example:
        >>> split_labels("cat| dog |", "|", ClassList(ReadOptions()))
        ['cat', 'dog']
    """
    if delimiter is None or (classes.closed and class_name(cell) in classes.numbers):
        parts = [cell]
    else:
        parts = cell.split(delimiter)
    return [part.strip() for part in parts if part.strip()]


@dataclass
class _Words:
    """Counts words and neighbours, to warn where a class name may have been cut at its blank."""

    words: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, cell: str) -> None:
        words = cell.split()
        self.words.update(words)
        self.pairs.update(pairwise(words))

    def always_together(self) -> list[str]:
        common = ((a, b, count) for (a, b), count in self.pairs.items() if count > 1)
        return [f"{a} {b}" for a, b, count in common if self.words[a] == self.words[b] == count]


def _delimiter(
    file: Table, place: int, options: ReadOptions, classes: ClassList
) -> tuple[str | None, tuple[str, ...]]:
    """Return what separates labels, None where every cell holds one, and notes for the user."""
    if options.delimiter is not None:
        if not options.delimiter:
            raise OneLabelError("--delimiter is blank; for one label per image use --format long-csv")
        return options.delimiter, ()
    found: set[str] = set()
    words = _Words()
    for lines, rows in file.chunks(_ROWS_AT_ONCE):
        for line, row in zip(lines, rows, strict=True):
            cell = row[place].strip()
            if cell.startswith("[") and cell.endswith("]"):
                text = f"{cell[:40]!r} looks like a Python list: write the labels as cat|dog"
                raise LabelFileError(file.path, text, line=line, column=file.header[place])
            if not (classes.closed and class_name(cell) in classes.numbers):
                found.update(mark for mark in _DELIMITERS if mark in cell)
                words.add(cell)
    delimiter = next((mark for mark in _DELIMITERS if mark in found), None)
    return delimiter, _delimiter_notes(delimiter, words, file.header[place])


def _delimiter_notes(delimiter: str | None, words: _Words, column: str) -> tuple[str, ...]:
    if delimiter is None:
        return ("every image has at most one label",)
    if delimiter != " ":
        return (f"labels are separated by {delimiter!r}",)
    note = "labels are separated by blanks"
    if together := words.always_together():
        note += (
            f"; {together[0]!r} always stand together: if names hold blanks and each image has one label, add"
            f" --format long-csv --label-column {shlex.quote(column)}"
        )
    return (note,)


READER = Reader(
    name="list-csv",
    summary="one row per image with all its classes in one cell: image,labels",
    kind="csv",
    uses=CSV_OPTIONS | {"delimiter", "label_column"},
    sniff=_sniff,
    read=read,
)
