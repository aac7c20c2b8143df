"""Wide CSV: one row per image, one column per class, ``image,cat,dog`` / ``a.jpg,1,-1``.

The file is read twice: first to see which values and images it holds, then, once their meaning is known, to
store what differs from each image's default. Memory grows with what is marked, not with the number of cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError
from onelabel.labels.entries import cheapest_default
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.build import TableBuilder
from onelabel.labels.readers.classes import ClassList, class_name
from onelabel.labels.readers.columns import CSV_OPTIONS, Columns, find_columns, has_image
from onelabel.labels.readers.label_column import text_column
from onelabel.labels.readers.tables import Table, open_table
from onelabel.labels.readers.values import Survey, canonical, codes

_CELLS_AT_ONCE = 1 << 20


def _sniff(probe: Probe) -> bool:
    return probe.kind == "csv" and has_image(probe)


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read a wide CSV file.

    Raises:
        LabelFileError: a column that is no class, a value without a meaning, 0 that may mean two things, or
            rows that contradict each other.
    """
    file = open_table(path, options.encoding)
    columns = find_columns(file, options)
    classes = ClassList(options, keep_order=True)
    builder, survey = TableBuilder(path, columns, file.header), Survey(path, options)
    spelling, empty = _survey(file, columns, builder, survey)
    columns = _without_empty(file, columns, empty, classes, survey)
    targets = [_class_of(file, classes, column) for column in columns.rest]
    meaning = survey.meaning()
    code = codes(meaning, spelling)
    final, rows_done = builder.numbered.final[builder.numbered.rows], 0
    default = np.zeros(len(builder.numbered.ids), np.int8)
    once = np.bincount(final) == 1
    for lines, rows in file.chunks(_rows_at_once(file)):
        labels = np.full((len(rows), len(classes.numbers)), meaning[""], np.int8)
        labels[:, targets] = _labels(rows, columns, code)
        here = slice(rows_done, rows_done := rows_done + len(rows))
        # An image in several rows keeps every mark, so that rows which contradict each other are found.
        cheapest = cheapest_default((labels == -1).sum(axis=1), (labels == 0).sum(axis=1)) * once[final[here]]
        default[final[here]] = cheapest
        row, column = np.nonzero(labels != cheapest[:, None])
        builder.add_cells(builder.numbered.rows[here][row], column, labels[row, column], np.array(lines)[row])
    notes = (
        *columns.notes,
        *survey.notes(),
        *_missing_note(classes, targets, meaning[""]),
        *builder.repeated_note(),
    )
    return Loaded(builder.finish(classes, default), READER.name, notes)


def _missing_note(classes: ClassList, targets: list[int], blank: int) -> tuple[str, ...]:
    columns = set(targets)
    missing = [name for name, number in classes.numbers.items() if number not in columns]
    if not missing:
        return ()
    state = "absent" if blank == -1 else "unknown"
    return (f"classes without a column are {state} in every image: {', '.join(missing)}",)


def _rows_at_once(file: Table) -> int:
    return max(1, _CELLS_AT_ONCE // len(file.header))


def _class_of(file: Table, classes: ClassList, column: int) -> int:
    name = file.header[column]
    if not name:
        text = (
            f"column {column + 1} has no name: name the class, or delete it"
            " (pandas writes such a column unless to_csv(index=False))"
        )
        raise LabelFileError(file.path, text, line=1)
    return classes.number(name, file.path, line=1, column=name)


def _without_empty(
    file: Table, columns: Columns, empty: set[int], classes: ClassList, survey: Survey
) -> Columns:
    """Leave out columns without any value beside columns with 0, unless they are among the classes given.

    In a file without 0 they stay: there, a class of which nothing is known yet is an ordinary thing.
    """
    out = {column for column in empty if class_name(file.header[column]) not in classes.numbers}
    out = out if survey.counts.get("0") else set()
    notes = [_empty_note("left out: name them in --classes if they are classes", file, out)]
    if not classes.closed:
        text = "classes of which nothing is known: --ignore-columns NAMES if they are none"
        notes.append(_empty_note(text, file, empty - out))
    survey.empty = survey.empty // max(1, len(empty)) * len(empty - out)
    rest = tuple(column for column in columns.rest if column not in out)
    return replace(columns, rest=rest, notes=(*columns.notes, *filter(None, notes)))


def _empty_note(what: str, file: Table, columns: set[int]) -> str:
    names = ", ".join(repr(file.header[column]) for column in sorted(columns))
    return names and f"columns without any value are {what}: {names}"


def _picker(columns: Columns) -> Callable[[Sequence[str]], Sequence[str]]:
    """Return a function that takes the class cells of a row."""
    if len(columns.rest) > 1:
        return itemgetter(*columns.rest)
    return lambda row: [row[column] for column in columns.rest]


def _survey(
    file: Table, columns: Columns, builder: TableBuilder, survey: Survey
) -> tuple[dict[str, str], set[int]]:
    """Collect images and count values.

    Returns:
        The canonical spelling of every cell that occurs, and the columns without any value. Their blank cells
        are counted apart.
    """
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    empty, seen = set(columns.rest), 0
    pick = _picker(columns)
    for lines, rows in file.chunks(_rows_at_once(file)):
        builder.add_rows(rows, lines)
        empty = {column for column in empty if not "".join([row[column] for row in rows]).strip()}
        seen += len(rows)
        for line, row in zip(lines, rows, strict=True):
            cells = pick(row)
            counts.update(cells)
            if len(counts) > len(spelling):
                for column, cell in zip(columns.rest, cells, strict=True):
                    if cell not in spelling:
                        spelling[cell] = canonical(cell)
                        if survey.is_strange(spelling[cell]) and survey.options.format == "auto":
                            survey.label_column = text_column(file, columns)
                        survey.add(spelling[cell], 0, line, file.header[column])
    for cell, count in counts.items():
        survey.counts[spelling[cell]] += count
    survey.empty = seen * len(empty)
    survey.counts[""] = survey.counts.get("", 0) - survey.empty
    return spelling, empty


def _labels(rows: list[list[str]], columns: Columns, code: dict[str, int]) -> NDArray[np.int8]:
    pick = _picker(columns)
    cells = b"".join(bytes(map(code.__getitem__, pick(row))) for row in rows)
    return np.frombuffer(cells, np.int8).reshape(len(rows), len(columns.rest)) - np.int8(1)


READER = Reader(
    name="wide-csv",
    summary="one row per image, one column per class",
    kind="csv",
    uses=CSV_OPTIONS | {"values"},
    sniff=_sniff,
    read=read,
)
