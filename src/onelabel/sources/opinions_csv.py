"""Opinions from a CSV or parquet file: ``image,class,score[,decision]``, or a column a class.

Every fault is named with its line. What can be told from the header is known before the rows are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError
from onelabel.labels.readers.build import Pieces
from onelabel.labels.readers.classes import class_name
from onelabel.labels.readers.collect import BadText, Collector, image_id
from onelabel.labels.readers.columns import IMAGE_NAMES, LABEL_NAMES, named
from onelabel.labels.readers.tables import Table, open_table
from onelabel.labels.readers.values import canonical
from onelabel.sources.opinions import Opinions, not_a_class

SCORE_NAMES, DECISION_NAMES = ("score", "probability", "confidence"), ("decision",)
_DECISIONS = {"1": 1, "0": 0, "-1": -1, "": 0}
_ROWS_AT_ONCE = 1 << 16
Lines = list[int]
Rows = list[list[str]]


@dataclass(frozen=True)
class OpinionsCsv:
    """A CSV or parquet file of opinions whose header has been read.

    Args:
        file: the file.
        image: position of the column of images.
        label: position of the column of classes; None where every class has a column of its own.
        score: position of the column of scores in a file with a column of classes.
        decision: position of the column of decisions in such a file.
    """

    file: Table
    image: int
    label: int | None
    score: int | None
    decision: int | None

    @classmethod
    def open(cls, path: Path) -> OpinionsCsv:
        """Read the header.

        Raises:
            LabelFileError: not a CSV file, or without the columns that are needed.
        """
        file = open_table(path)
        image, label = named(file.header, IMAGE_NAMES), named(file.header, LABEL_NAMES)
        score, decision = named(file.header, SCORE_NAMES), named(file.header, DECISION_NAMES)
        if image is None:
            some = ", ".join(map(repr, file.header[:8]))
            raise LabelFileError(path, f"no column is called 'image'; rename one of {some}", line=1)
        if label is None:
            return cls(file, image, None, None, None)
        if score is None and decision is None:
            problem = (
                f"a column {file.header[label]!r} of classes, and none called 'score' (from 0 to 1) or "
                "'decision' (1, -1 or blank); if the file holds labels, give --source review --source.path"
            )
            raise LabelFileError(path, f"{problem} {path}", line=1)
        return cls(file, image, label, score, decision)

    @property
    def decides(self) -> bool:
        """Whether the file holds decisions."""
        return self.decision is not None

    def read(self, class_ids: tuple[str, ...]) -> Opinions:
        """Read the rows.

        Args:
            class_ids: the classes of the labels; the file must not have others.

        Raises:
            LabelFileError: an unknown class, a score that is no number from 0 to 1, a decision that is none,
                or an image or pair that stands twice; with its line.
        """
        return _read_wide(self, class_ids) if self.label is None else _read_long(self, class_ids)


def _images(csv: OpinionsCsv, images: Collector, rows: Rows, lines: Lines) -> NDArray[np.int32]:
    try:
        return images.add([row[csv.image] for row in rows])
    except BadText as error:
        raise LabelFileError(csv.file.path, str(error), line=lines[error.position]) from None


# -- a row for each image and class ---


def _read_long(csv: OpinionsCsv, class_ids: tuple[str, ...]) -> Opinions:
    images, known = Collector(image_id), {name: number for number, name in enumerate(class_ids)}
    pieces = {
        "image": Pieces(np.int32), "column": Pieces(np.int32), "line": Pieces(np.int32),
        "score": Pieces(np.float32), "decision": Pieces(np.int8),
    }  # fmt: skip
    seen: dict[str, int] = {}
    for lines, rows in csv.file.chunks(_ROWS_AT_ONCE):
        pieces["image"].add(_images(csv, images, rows, lines))
        pieces["column"].add(_columns(csv, rows, lines, known, seen))
        pieces["line"].add(lines)
        scores = np.full(len(rows), np.nan) if csv.score is None else _scores(csv, csv.score, rows, lines)
        pieces["score"].add(scores)
        pieces["decision"].add(_decisions(csv, rows, lines))
    ids, final = images.finish()
    cells = {name: piece.join() for name, piece in pieces.items()}
    cells["image"] = final[cells["image"]] if len(ids) else cells["image"]
    given = np.flatnonzero(cells["column"] >= 0)  # a row without a class is an image without opinions
    cells = {name: values[given] for name, values in cells.items()}
    _refuse_twice(csv, ids, class_ids, cells)
    score = np.full((len(ids), len(class_ids)), np.nan, np.float32)
    score[cells["image"], cells["column"]] = cells["score"]
    if csv.decision is None:
        return Opinions(ids, class_ids, None, score)
    decision = np.zeros(score.shape, np.int8)
    decision[cells["image"], cells["column"]] = cells["decision"]
    if csv.score is None:
        return Opinions(ids, class_ids, decision, None)
    bare = np.isnan(score) & (decision != 0)
    score[bare] = (1 + decision[bare]) / 2
    return Opinions(ids, class_ids, decision, score)


def _columns(
    csv: OpinionsCsv, rows: Rows, lines: Lines, known: dict[str, int], seen: dict[str, int]
) -> NDArray[np.int32]:
    """Return the class of each row, -1 where the cell is blank."""
    assert csv.label is not None
    texts = [row[csv.label] for row in rows]
    for text in dict.fromkeys(texts):
        name = class_name(text)
        if name and name not in known:
            raise LabelFileError(
                csv.file.path, not_a_class(name, tuple(known)), line=lines[texts.index(text)],
                column=csv.file.header[csv.label],
            )  # fmt: skip
        seen[text] = known[name] if name else -1
    return np.fromiter(map(seen.__getitem__, texts), np.int32, len(texts))


def _decisions(csv: OpinionsCsv, rows: Rows, lines: Lines) -> NDArray[np.int8]:
    if csv.decision is None:
        return np.zeros(len(rows), np.int8)
    texts = [row[csv.decision] for row in rows]
    codes = {text: _DECISIONS.get(canonical(text)) for text in dict.fromkeys(texts)}
    for text, code in codes.items():
        if code is None:
            problem = f"decision {text!r} must be 1 (present), -1 (absent), 0 or blank (none)"
            column = csv.file.header[csv.decision]
            raise LabelFileError(csv.file.path, problem, line=lines[texts.index(text)], column=column)
    return np.array([codes[text] for text in texts], np.int8)


def _refuse_twice(
    csv: OpinionsCsv, ids: Any, class_ids: tuple[str, ...], cells: dict[str, NDArray[Any]]
) -> None:
    """Refuse two rows for one image and class."""
    key = cells["image"].astype(np.int64) * len(class_ids) + cells["column"]
    order = np.argsort(key, kind="stable")
    again = order[1:][np.diff(key[order]) == 0]
    if len(again):
        second = int(again[np.argmin(cells["line"][again])])
        first = int(np.flatnonzero(key == key[second])[0])
        image, column = ids.text(int(cells["image"][second])), class_ids[int(cells["column"][second])]
        problem = f"image {image!r} and class {column!r} stand at line {cells['line'][first]} already"
        raise LabelFileError(
            csv.file.path, f"{problem}: delete one of the rows", line=int(cells["line"][second])
        )


# -- a row for each image, a column for each class ---


def _read_wide(csv: OpinionsCsv, class_ids: tuple[str, ...]) -> Opinions:
    places = [place for place in range(len(csv.file.header)) if place != csv.image]
    names = tuple(_class_of(csv, place, class_ids) for place in places)
    images, line_of, blocks = Collector(image_id), Pieces(np.int32), []
    codes = Pieces(np.int32)
    step = max(1, _ROWS_AT_ONCE * 16 // len(csv.file.header))
    for lines, rows in csv.file.chunks(step):
        codes.add(_images(csv, images, rows, lines))
        line_of.add(lines)
        columns = [_scores(csv, place, rows, lines) for place in places]
        blocks.append(np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((len(rows), 0)))
    ids, final = images.finish()
    order = final[codes.join()] if len(ids) else codes.join()
    _refuse_image_twice(csv, ids, order, line_of.join())
    score = np.concatenate([np.empty((0, len(places)), np.float32), *blocks]).astype(np.float32, copy=False)
    return Opinions(ids, names, None, score)


def _class_of(csv: OpinionsCsv, place: int, class_ids: tuple[str, ...]) -> str:
    name = class_name(csv.file.header[place])
    if name not in class_ids:
        column = csv.file.header[place] or place + 1
        raise LabelFileError(csv.file.path, not_a_class(name, class_ids), line=1, column=column)
    return name


def _refuse_image_twice(csv: OpinionsCsv, ids: Any, order: NDArray[Any], lines: NDArray[Any]) -> None:
    _, first = np.unique(order, return_index=True)
    again = np.setdiff1d(np.arange(len(order)), first)
    if len(again):
        row = int(again[0])
        earlier = int(lines[np.flatnonzero(order == order[row])[0]])
        problem = f"image {ids.text(int(order[row]))!r} stands at line {earlier} already: delete one row"
        raise LabelFileError(csv.file.path, problem, line=int(lines[row]))


# -- scores ---


def _scores(csv: OpinionsCsv, place: int, rows: Rows, lines: Lines) -> NDArray[np.float64]:
    """Return the numbers of one column, NaN for a blank cell.

    Raises:
        LabelFileError: a cell that is no number from 0 to 1.
    """
    texts = [row[place].strip() for row in rows]
    blank = np.array([not text for text in texts], bool)
    numbers = _numbers(texts)
    wrong = np.flatnonzero(~blank & ~((numbers >= 0) & (numbers <= 1)))
    if len(wrong):
        text = texts[wrong[0]]
        problem = f"score {text!r} must be a number from 0 to 1, or blank where there is no opinion"
        if canonical(text) == "-1":
            problem += "; if these are labels (1, -1), give --source review --source.path FILE"
        raise LabelFileError(csv.file.path, problem, line=lines[wrong[0]], column=csv.file.header[place])
    return numbers


def _numbers(texts: list[str]) -> NDArray[np.float64]:
    try:
        return np.array([text or "nan" for text in texts], np.str_).astype(np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts], np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
