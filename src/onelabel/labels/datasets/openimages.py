"""Open Images V3: labels verified by people, +1 and -1; what nobody verified is unknown.

Source: Krasin et al. 2017, https://github.com/openimages/dataset/blob/main/READMEV3.md. Confidence 1 is
present, 0 is absent. Without ``--classes`` the classes are the trainable ones of ``classes-trainable.txt``
where it is there, else all that occur, sorted; labels of other classes are left out. A pair of image and
class that two sources judge differently is unknown. Class ids are machine ids (``/m/...``); their names come
from ``class-descriptions.csv``. Machine-generated labels are not read: they are guesses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError
from onelabel.labels.datasets.common import Archive, Part, finish, named_few
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.classes import ClassList, read_classes
from onelabel.labels.readers.collect import Collector
from onelabel.labels.readers.text import CsvFile
from onelabel.labels.table import ClassInfo, LabelTable

_SITE = "https://storage.googleapis.com/openimages/2017_11"
OPEN_IMAGES = Archive(
    "openimages-v3",
    f"Download annotations_human_2017_11.tar.gz (137 MB) and classes_2017_11.tar.gz (295 KB) from {_SITE}/"
    " and unpack them so that this folder holds 2017_11/train/annotations-human.csv, 2017_11/validation/..."
    " and 2017_11/test/...; the photos are expected in train/, validation/ and test/",
    {},
)
_PARTS = ("train", "validation", "test")
_COLUMNS = ("ImageID", "LabelName", "Confidence")
_VALUES = {"1": 1, "1.0": 1, "0": -1, "0.0": -1}
_ROWS_AT_ONCE = 1 << 16


def _root(path: Path) -> Path | None:
    places = (path, path / "2017_11")
    return next((place for place in places if any(_file(place, part).is_file() for part in _PARTS)), None)


def _file(root: Path, part: str) -> Path:
    return root / part / "annotations-human.csv"


def _sniff(probe: Probe) -> bool:
    return probe.kind == "folder" and _root(probe.path) is not None


class _Labels:
    """Gives each class its number, and counts labels of classes that are left out."""

    def __init__(self, options: ReadOptions, trainable: Path) -> None:
        chosen = ClassList(options)
        self.closed = chosen.closed or trainable.is_file()
        names = chosen.numbers if chosen.closed else read_classes(trainable) if self.closed else ()
        self.numbers = {name: number for number, name in enumerate(names)}
        self.left_out = 0

    def number(self, name: str) -> int:
        """Return the number of a class, -1 for one that is left out."""
        if not self.closed:
            return self.numbers.setdefault(name, len(self.numbers))
        found = self.numbers.get(name, -1)
        self.left_out += found < 0
        return found


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read the verified labels of each part; a part that is missing is noted.

    Raises:
        OneLabelError: no part is there.
        LabelFileError: a file of another form, or a confidence that is neither 0 nor 1.
    """
    root = _root(path)
    if root is None:
        raise OPEN_IMAGES.missing(path, "there is no 2017_11/train/annotations-human.csv")
    labels = _Labels(options, root / "classes-trainable.txt")
    notes: list[str] = []
    parts: list[Part] = []
    for name in _PARTS:
        if _file(root, name).is_file():
            parts.append(_part(_file(root, name), name, labels, notes))
        else:
            notes.append(f"there is no {name} part: {_file(root, name)} is missing")
    if labels.left_out:
        notes.append(f"{labels.left_out:,} labels of classes that are not trained on are left out")
    loaded = finish(path, OPEN_IMAGES, parts, [*labels.numbers], path, options)
    table, more = _named(loaded.table, root / "class-descriptions.csv")
    if not labels.closed:
        table = table.reorder(sorted(table.class_ids))
    return Loaded(table, loaded.format, (*notes, *more, *loaded.notes))


def _part(path: Path, split: str, labels: _Labels, notes: list[str]) -> Part:
    file = CsvFile.open(path)
    missing = [name for name in _COLUMNS if name not in file.header]
    if missing:
        raise LabelFileError(path, f"there is no column {missing[0]!r}: not a file of Open Images V3", line=1)
    place = [file.header.index(name) for name in _COLUMNS]
    images = Collector(lambda name: f"{split}/{name.strip()}.jpg")
    cells = []
    for lines, rows in file.chunks(_ROWS_AT_ONCE):
        names, marks, confidences = ([row[column] for row in rows] for column in place)
        wrong = next((n for n, text in enumerate(confidences) if text not in _VALUES), None)
        if wrong is not None:
            problem = f"{confidences[wrong]!r} is neither 0 nor 1: not labels that people have verified"
            raise LabelFileError(path, problem, line=lines[wrong], column="Confidence")
        column = np.array([labels.number(mark) for mark in marks], np.int64)
        value = np.array([_VALUES[text] for text in confidences], np.int64)
        cells.append(np.stack([images.add(names), column, value]))
    ids, final = images.finish()
    row, column, value = np.concatenate([np.zeros((3, 0), np.int64), *cells], axis=1)
    image, column, mark = _agreed(final[row], column, value, split, notes)
    return Part(split, ids, image, column, mark, 0)


def _agreed(
    image: NDArray[np.int32],
    column: NDArray[np.int64],
    value: NDArray[np.int64],
    split: str,
    notes: list[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
    """Leave out classes without a number and pairs that are judged in both ways."""
    kept = column >= 0
    width = int(column.max(initial=0)) + 1
    signed = np.unique((image[kept].astype(np.int64) * width + column[kept]) * 2 + (value[kept] > 0))
    pair = signed // 2
    same = np.zeros(len(pair) + 1, bool)
    same[1:-1] = pair[1:] == pair[:-1]
    if same.any():
        notes.append(f"{same.sum():,} {split} labels are judged present and absent by two sources: unknown")
    agreed = ~(same[1:] | same[:-1])
    pair, present = pair[agreed], signed[agreed] % 2
    return pair // width, pair % width, (2 * present - 1).astype(np.int8)


def _named(table: LabelTable, descriptions: Path) -> tuple[LabelTable, list[str]]:
    """Give the classes their names, and say which names stand for several classes."""
    if not descriptions.is_file():
        return table, [f"classes have no names: {descriptions} is missing"]
    names = _descriptions(descriptions)
    classes = tuple(ClassInfo(key, names.get(key, key)) for key in table.class_ids)
    twice = [name for name, number in Counter(info.name for info in classes).items() if number > 1]
    notes = [f"{len(twice):,} names stand for more than one class: {named_few(twice)}"] if twice else []
    return replace(table, classes=classes), notes


def _descriptions(path: Path) -> dict[str, str]:
    """Read ``/m/011k07,Tortoise``; the file has no header."""
    file = CsvFile.open(path)
    rows = [file.header, *(row for _, part in file.chunks(_ROWS_AT_ONCE) for row in part)]
    return {row[0]: row[1].strip() for row in rows if len(row) == 2 and row[1].strip()}


READER = Reader(
    name=OPEN_IMAGES.name,
    summary="Open Images V3, verified labels, the original archive",
    kind="folder",
    uses=frozenset(),
    sniff=_sniff,
    read=read,
    download=OPEN_IMAGES.download,
)
