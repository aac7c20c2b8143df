"""Long CSV: one row per image and class, ``image,label[,value][,weight]``.

Read as a stream in pieces; ids and labels go into arrays, so that ten million rows fit into two gigabytes.
"""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.build import OPEN_ZERO, TableBuilder
from onelabel.labels.readers.classes import ClassList, class_name
from onelabel.labels.readers.columns import (
    CSV_OPTIONS,
    LABEL_NAMES,
    OWN_IMAGE,
    VALUE_NAMES,
    WEIGHT_NAMES,
    Columns,
    find_columns,
    has_image,
    named,
    needed,
    optional,
    unused_note,
)
from onelabel.labels.readers.tables import Table, open_table
from onelabel.labels.readers.values import Survey, canonical, says_absent

_ROWS_AT_ONCE = 1 << 16
_FEW = 8  # a column with more values does not say yes and no


def _sniff(probe: Probe) -> bool:
    if probe.kind != "csv" or not has_image(probe) or OWN_IMAGE in probe.header:
        return False
    return probe.options.label_column is not None or named(probe.header, LABEL_NAMES) is not None


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read a long CSV file.

    A row without a value column is a positive; a row without a label is an image with nothing known.

    Raises:
        LabelFileError: an unknown class, a value without a meaning, a weight outside (0, 1], or rows that
            contradict each other.
    """
    file = open_table(path, options.encoding)
    columns = find_columns(file, options)
    builder, classes = TableBuilder(path, columns, file.header), ClassList(options)
    labels = _Labels(file, options, classes)
    survey = Survey(path, options, wide=False)
    values = _Values(file, options, survey)
    weights = _Weights(file, options)
    unread = _Unread(file, columns, {labels.column, values.column, weights.column})
    for lines, rows in file.chunks(_ROWS_AT_ONCE):
        image, column = builder.add_rows(rows, lines), labels.read(rows, lines)
        given = np.flatnonzero(column >= 0)
        value, weight = values.read(rows, lines), weights.read(rows, lines)
        weight = weight[given] if len(weight) else weight
        unread.look(rows)
        builder.add_cells(image[given], column[given], value[given], np.array(lines)[given], weight)
    cells = len(builder.numbered.ids) * len(classes.numbers)
    meaning = survey.meaning(unlisted=max(0, cells - sum(survey.counts.values())))
    table = builder.finish(classes, -1 if options.exhaustive else 0, zero=meaning.get("0", 0))
    notes = unread.notes(asked=values.column is None)
    return Loaded(table, READER.name, (*columns.notes, *notes))


class _Labels:
    """Turns the label column into class numbers, -1 for a blank cell."""

    def __init__(self, file: Table, options: ReadOptions, classes: ClassList) -> None:
        self.file, self.classes = file, classes
        self.forced = options.format != "auto"
        self.column = needed(file, options, "label_column", LABEL_NAMES)
        self.numbers: dict[str, int] = {}

    def read(self, rows: list[list[str]], lines: list[int]) -> NDArray[np.int32]:
        texts = [row[self.column] for row in rows]
        for text in dict.fromkeys(texts):
            if text not in self.numbers:
                self.numbers[text] = self._number(text, lines[texts.index(text)])
        return np.fromiter(map(self.numbers.__getitem__, texts), np.int32, len(texts))

    def _number(self, text: str, line: int) -> int:
        name = self.file.header[self.column]
        mark = next((mark for mark in "|;," if mark in text), None)
        if mark and not self.forced and class_name(text) not in self.classes.numbers:
            problem = (
                f"{text!r} holds {mark!r}: if it is a list of classes, add --format list-csv --label-column"
                f" {shlex.quote(name)}; if it is one class, add --format long-csv"
            )
            raise LabelFileError(self.file.path, problem, line=line, column=name)
        return self.classes.number(text, self.file.path, line=line, column=name) if text.strip() else -1


class _Values:
    """Turns the value column into labels; 0 stays open (``OPEN_ZERO``) until the whole file is known."""

    def __init__(self, file: Table, options: ReadOptions, survey: Survey) -> None:
        self.file, self.survey = file, survey
        self.column = optional(file, options, "value_column", VALUE_NAMES)
        self.known = survey.given or {"1": 1, "-1": -1, "0": OPEN_ZERO}
        self.blank = -1 if options.exhaustive else 0
        self.codes: dict[str, int] = {}

    def read(self, rows: list[list[str]], lines: list[int]) -> NDArray[np.int8]:
        if self.column is None:
            return np.ones(len(rows), np.int8)
        texts = [row[self.column] for row in rows]
        for text, count in Counter(texts).items():
            value = canonical(text)
            self.survey.add(value, count, lines[texts.index(text)], self.file.header[self.column])
            self.codes[text] = self.known.get(value, self.blank)
        return np.fromiter(map(self.codes.__getitem__, texts), np.int8, len(texts))


class _Weights:
    """Turns the weight column into numbers in (0, 1]; blank is 1."""

    def __init__(self, file: Table, options: ReadOptions) -> None:
        self.file = file
        self.column = optional(file, options, "weight_column", WEIGHT_NAMES)

    def read(self, rows: list[list[str]], lines: list[int]) -> NDArray[np.float32]:
        if self.column is None:
            return np.zeros(0, np.float32)
        weights = np.array([_number(row[self.column]) for row in rows], np.float32)
        wrong = np.flatnonzero(~((weights > 0) & (weights <= 1)))
        if len(wrong):
            name = self.file.header[self.column]
            problem = (
                f"weight {rows[wrong[0]][self.column]!r} is not a number in (0, 1]; leave the column out with"
                f" --ignore-columns {shlex.quote(name)}, or if it says present or absent,"
                f" --value-column {shlex.quote(name)}"
            )
            raise LabelFileError(self.file.path, problem, line=lines[wrong[0]], column=name)
        return weights


class _Unread:
    """The columns that are not read: those that hold yes and no are pointed out."""

    def __init__(self, file: Table, columns: Columns, used: set[int | None]) -> None:
        self.file, self.columns, self.used = file, columns, used
        self.values: dict[int, set[str]] = {column: set() for column in columns.rest if column not in used}

    def look(self, rows: list[list[str]]) -> None:
        """Collect values, as long as a column has few of them."""
        for column, values in self.values.items():
            if len(values) <= _FEW:
                values.update(row[column] for row in rows)

    def notes(self, *, asked: bool) -> tuple[str, ...]:
        """Return what to say; ``asked`` says that no other column tells present from absent."""
        found = {column for column, values in self.values.items() if asked and says_absent(values)}
        names = [self.file.header[column] for column in sorted(found)]
        return (
            *unused_note(self.file, self.columns, self.used | found),
            *(
                f"column {name!r} is not read; if it says present or absent, give --value-column"
                f" {shlex.quote(name)}"
                for name in names
            ),
        )


def _number(text: str) -> float:
    try:
        return float(text) if text.strip() else 1.0
    except ValueError:
        return float("nan")


READER = Reader(
    name="long-csv",
    summary="one row per image and class: image,label[,value][,weight]",
    kind="csv",
    uses=CSV_OPTIONS | {"values", "label_column", "value_column", "weight_column"},
    sniff=_sniff,
    read=read,
)
