"""List CSV: one row per image with all its positives in one cell, ``image,labels`` / ``a.jpg,cat|dog``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.blanks import Blanks
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
        LabelFileError: no list column, a class that is not in ``--classes``, or blanks that may stand between
            labels as well as inside names.
    """
    file = open_table(path, options.encoding)
    columns = find_columns(file, options)
    place = needed(file, options, "label_column", LIST_NAMES)
    classes = ClassList(options)
    delimiter, notes = _delimiter(file, place, options, classes)
    builder = TableBuilder(path, columns, file.header)
    numbers: dict[str, int] = {}
    divided = False
    for lines, rows in file.chunks(_ROWS_AT_ONCE):
        images = builder.add_rows(rows, lines).tolist()
        image, column, line_of = [], [], []
        for number, line, row in zip(images, lines, rows, strict=True):
            divided = divided or (options.delimiter is not None and options.delimiter in row[place])
            for name in split_labels(row[place], delimiter, classes):
                if name not in numbers:
                    numbers[name] = classes.number(name, path, line=line, column=file.header[place])
                image.append(number)
                column.append(numbers[name])
                line_of.append(line)
        builder.add_cells(image, column, np.ones(len(image), np.int8), line_of)
    if options.delimiter is not None and not divided:
        notes = (*notes, f"no cell holds {delimiter!r}: every cell is read as one label")
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


def _delimiter(
    file: Table, place: int, options: ReadOptions, classes: ClassList
) -> tuple[str | None, tuple[str, ...]]:
    """Return what separates labels, None where every cell holds one, and notes for the user."""
    if options.delimiter is not None:
        if not options.delimiter:
            advice = "for one label a cell give a mark that no cell holds, such as --delimiter '|'"
            raise OneLabelError(f"--delimiter is blank; {advice}")
        return options.delimiter, ()
    found, blanks = _look(file, place, classes)
    delimiter = next((mark for mark in _DELIMITERS if mark in found), None)
    if delimiter is None:
        return None, ("every image has at most one label",)
    if delimiter != " ":
        return delimiter, (f"labels are separated by {delimiter!r}",)
    if not classes.closed and not blanks.separate():
        raise blanks.unclear(file, file.header[place])
    note = "labels are separated by blanks"
    if together := blanks.always_together():
        note += (
            f"; {together!r} always stand together: if that is one name, separate the labels by '|' instead"
        )
    return delimiter, (note,)


def _look(file: Table, place: int, classes: ClassList) -> tuple[set[str], Blanks]:
    """Return which marks the cells hold that may separate labels, and how blanks are used."""
    found: set[str] = set()
    blanks = Blanks()
    for lines, rows in file.chunks(_ROWS_AT_ONCE):
        for line, row in zip(lines, rows, strict=True):
            cell = row[place].strip()
            if cell.startswith("[") and cell.endswith("]"):
                text = f"{cell[:40]!r} looks like a Python list: write the labels as cat|dog"
                raise LabelFileError(file.path, text, line=line, column=file.header[place])
            if not (classes.closed and class_name(cell) in classes.numbers):
                found.update(mark for mark in _DELIMITERS if mark in cell)
                if found <= {" "}:
                    blanks.add(cell, line)
    return found, blanks


READER = Reader(
    name="list-csv",
    summary="one row per image with all its classes in one cell: image,labels",
    kind="csv",
    uses=CSV_OPTIONS | {"delimiter", "label_column"},
    sniff=_sniff,
    read=read,
)
