"""From rows that a reader gives to a checked table: what every reader needs, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import LabelFileError
from onelabel.io.ids import IdTable
from onelabel.labels.entries import LabelConflict
from onelabel.labels.readers.classes import ClassList
from onelabel.labels.readers.collect import BadText, Collector, image_id
from onelabel.labels.readers.columns import Columns
from onelabel.labels.table import LabelTable

_MOST_SPLITS = 127  # int8 codes


OPEN_ZERO = 2
"""Stands for a 0 whose meaning is known only at the end of the file."""


NO_LINE = -1
"""Line of a cell in a format without lines."""


class Numbered(NamedTuple):
    """The images of a file.

    Args:
        ids: in order of first appearance.
        final: row of ``ids`` for each provisional number.
        rows: provisional number of the image of each row of the file.
    """

    ids: IdTable
    final: NDArray[np.int32]
    rows: NDArray[np.int32]


class Pieces:
    """Arrays of one kind that are appended and joined at the end."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self.dtype = dtype
        self.parts: list[NDArray[Any]] = []

    def add(self, values: ArrayLike) -> None:
        """Append a piece."""
        self.parts.append(np.asarray(values, self.dtype))

    def join(self) -> NDArray[Any]:
        """Return all pieces as one array, and forget them."""
        whole = np.concatenate([np.zeros(0, self.dtype), *self.parts])
        self.parts.clear()
        return whole


class TableBuilder:
    """Collects images, cells, splits and groups, with the line of each for messages.

    Args:
        path: the label file, for messages.
        columns: where split and group stand in a CSV row; None for other formats.
        header: names of the CSV columns.
    """

    def __init__(self, path: Path, columns: Columns | None = None, header: Sequence[str] = ()) -> None:
        self.path = path
        self.columns = columns
        self.header = header
        self.images = Collector(image_id)
        self.row_image, self.row_line = Pieces(np.int32), Pieces(np.int32)
        self.extra = {"split": Collector(), "group": Collector()}
        self.extra_codes = {"split": Pieces(np.int32), "group": Pieces(np.int32)}
        self.cells = {
            "image": Pieces(np.int32), "column": Pieces(np.int32), "value": Pieces(np.int8),
            "line": Pieces(np.int32), "weight": Pieces(np.float32),
        }  # fmt: skip

    def add_images(self, texts: Sequence[str], lines: Sequence[int] | None = None) -> NDArray[np.int32]:
        """Add one image per row and return their provisional numbers.

        Args:
            texts: paths as the file has them.
            lines: line of each, for messages, in formats that have lines.

        Raises:
            LabelFileError: an image path that cannot be used, with its line.
        """
        codes = self._coded(self.images, texts, lines)
        self.row_image.add(codes)
        self.row_line.add(lines or np.full(len(texts), NO_LINE))
        return codes

    def add_rows(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> NDArray[np.int32]:
        """Add the image, split and group of CSV rows and return the provisional numbers of the images."""
        assert self.columns is not None
        places = {"split": self.columns.split, "group": self.columns.group}
        for name, place in places.items():
            if place is not None:
                codes = self._coded(self.extra[name], [row[place] for row in rows], lines)
                self.extra_codes[name].add(codes)
        return self.add_images([row[self.columns.image] for row in rows], lines)

    def _coded(
        self, collector: Collector, texts: Sequence[str], lines: Sequence[int] | None
    ) -> NDArray[np.int32]:
        try:
            return collector.add(texts)
        except BadText as error:
            line = lines[error.position] if lines else None
            raise LabelFileError(self.path, str(error), line=line) from None

    def add_cells(
        self, image: ArrayLike, column: ArrayLike, value: ArrayLike, line: ArrayLike, weight: ArrayLike = ()
    ) -> None:
        """Add marked cells, by provisional image number."""
        for name, part in zip(self.cells, (image, column, value, line, weight), strict=True):
            self.cells[name].add(part)

    @cached_property
    def numbered(self) -> Numbered:
        """Number the images, once all rows are added.

        Raises:
            LabelFileError: there are no rows.
        """
        ids, final = self.images.finish()
        if not len(ids):
            raise LabelFileError(
                self.path, "there are column names but no rows" if self.header else "there are no images"
            )
        return Numbered(ids, final, self.row_image.join())

    @cached_property
    def lines(self) -> NDArray[np.int32]:
        """The line of each row, once all rows are added."""
        return self.row_line.join()

    def repeated_note(self) -> tuple[str, ...]:
        """Return a note on the images that stand in more than one row, with the lines of the first."""
        image = self.numbered.final[self.numbered.rows]
        again = np.flatnonzero(np.bincount(image) > 1)
        if not len(again):
            return ()
        lines = self.lines[image == again[0]].tolist()
        first = f"{self.numbered.ids.text(int(again[0]))!r} (lines {', '.join(map(str, lines[:3]))}"
        more = ", ...)" if len(lines) > 3 else ")"
        return (f"images in more than one row, which are merged: {len(again):,}, such as {first}{more}",)

    def finish(self, classes: ClassList, default: int | NDArray[np.int8], *, zero: int = 0) -> LabelTable:
        """Build the table.

        Args:
            classes: the classes; cells count them as they were first seen.
            default: of every image.
            zero: what ``OPEN_ZERO`` means.

        Raises:
            LabelFileError: no rows, no classes, or rows that contradict each other, with both lines.
        """
        names, order = classes.finish(self.path)
        cells = {name: pieces.join() for name, pieces in self.cells.items()}
        image, column, value = self.numbered.final[cells["image"]], order[cells["column"]], cells["value"]
        value[value == OPEN_ZERO] = zero
        weights = cells["weight"] if len(cells["weight"]) else None
        try:
            table = LabelTable.from_entries(self.numbered.ids, names, image, column, value, weights, default)
        except LabelConflict as clash:
            here = (image == clash.image) & (column == clash.column)
            lines = sorted(int(cells["line"][here & (value == sign)][0]) for sign in (1, -1))
            raise self._contradiction(str(clash), lines) from None
        return self._with_splits_and_groups(table)

    def _contradiction(self, problem: str, lines: Iterable[int]) -> LabelFileError:
        first, second = lines
        if first == NO_LINE:
            return LabelFileError(self.path, problem)
        text = f"{problem} (lines {first} and {second}): correct one of them"
        return LabelFileError(self.path, text, line=max(first, second))

    def _with_splits_and_groups(self, table: LabelTable) -> LabelTable:
        lines = self.lines
        splits, split_names = self._per_image("split", lines)
        groups, group_names = self._per_image("group", lines)
        if len(split_names) > _MOST_SPLITS:
            raise LabelFileError(
                self.path,
                f"{len(split_names):,} different values in a split column; leave it out: --ignore-columns",
                column=self.header[self.columns.split]
                if self.columns and self.columns.split is not None
                else None,
            )
        return replace(
            table,
            splits=None if splits is None else splits.astype(np.int8),
            split_names=tuple(split_names),
            groups=groups,
            group_names=group_names,
        )

    def _per_image(self, what: str, lines: NDArray[np.int32]) -> tuple[NDArray[np.int32] | None, IdTable]:
        codes = self.extra_codes[what].join()
        names, numbers = self.extra[what].finish()
        if not len(codes):
            return None, names
        row_code, names = _without_blank(numbers[codes], names)
        ids, row_image = self.numbered.ids, self.numbered.final[self.numbered.rows]
        given = np.flatnonzero(row_code >= 0)
        image, code = row_image[given], row_code[given]
        result = np.full(len(ids), -1, np.int32)
        result[image[::-1]] = code[::-1]  # the first row of an image is written last and stays
        other = np.flatnonzero(result[image] != code)
        if len(other):
            row = other[0]
            first = int(lines[given[np.flatnonzero(image == image[row])[0]]])
            two = [names.text(int(value)) for value in (result[image[row]], code[row])]
            problem = f"image {ids.text(int(image[row]))!r} is in {what} {two[0]!r} and in {what} {two[1]!r}"
            raise self._contradiction(problem, (first, int(lines[given[row]])))
        return result, names


def _without_blank(codes: NDArray[np.int32], names: IdTable) -> tuple[NDArray[np.int32], IdTable]:
    blank = names.find("")
    if blank < 0:
        return codes, names
    kept = np.delete(np.arange(len(names)), blank)
    new = np.full(len(names), -1, np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return new[codes], names.take(kept)
