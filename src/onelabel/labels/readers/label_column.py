"""Columns that hold class names rather than marks, told by what is in them."""

from __future__ import annotations

from collections.abc import Iterator

from onelabel.labels.readers.base import Probe
from onelabel.labels.readers.columns import (
    IMAGE_NAMES,
    OWN_IMAGE,
    VALUE_NAMES,
    WEIGHT_NAMES,
    Columns,
    optional,
)
from onelabel.labels.readers.tables import Table, open_table
from onelabel.labels.readers.values import canonical, is_mark

_ROWS_AT_ONCE = 1 << 12
_NUMBERS = {"1", "0", "-1"}


def holds_lists(probe: Probe) -> bool:
    """Whether the column that ``--label-column`` names is to be read as a list of classes.

    It is where a cell holds ``|`` or ``;``, or where every image has one row: then a cell holds all that is
    known of it. Values and weights belong to single classes.
    """
    file, options = open_table(probe.path, probe.options.encoding), probe.options
    single = ("value_column", VALUE_NAMES), ("weight_column", WEIGHT_NAMES)
    if any(optional(file, options, option, names) is not None for option, names in single):
        return False
    if options.delimiter is not None:
        return True
    image = optional(file, options, "image_column", (OWN_IMAGE, *IMAGE_NAMES))
    label = optional(file, options, "label_column", ())
    return image is not None and label is not None and _marks_or_no_repeat(file, image, label)


def _marks_or_no_repeat(file: Table, image: int, label: int) -> bool:
    seen: set[str] = set()
    repeated = False
    for row in _rows(file):
        if "|" in row[label] or ";" in row[label]:
            return True
        if not repeated:
            repeated = row[image] in seen
            seen.add(row[image])
    return not repeated


def text_column(file: Table, columns: Columns) -> str | None:
    """Return the first column of class names where no cell of any column is a mark, else None.

    A blank cell is a mark, too, unless there is only one column.
    """
    names: set[int] = set()
    several = len(columns.rest) > 1
    for row in _rows(file):
        for column in columns.rest:
            value = canonical(row[column])
            if value in _NUMBERS or (several and not value):
                return None
            if not is_mark(value):
                names.add(column)
    return file.header[min(names)] if names else None


def _rows(file: Table) -> Iterator[list[str]]:
    for _, rows in file.chunks(_ROWS_AT_ONCE):
        yield from rows
