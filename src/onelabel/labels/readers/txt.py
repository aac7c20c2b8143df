"""A folder with one ``.txt`` file per image: its classes, one a line or separated by commas, or YOLO boxes.

YOLO lines (``3 0.5 0.5 0.2 0.2``: class number, box) need the class names: ``--classes``, or a file
``classes.txt`` in the folder. Images are found by the name of the text file without its ending, beside it or
under ``--images``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from onelabel.images.folder import list_images
from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.build import TableBuilder
from onelabel.labels.readers.classes import ClassList, read_classes
from onelabel.labels.readers.encoding import check_text
from onelabel.labels.readers.list_csv import split_labels

# One way to read each number: with two, a long line that is no box would take hours to refuse.
_YOLO = re.compile(r"\d+( +-?(\d+\.\d+|\.\d+|\d+)(e-?\d+)?){4,}")
_MOST_DIGITS = 10
_NO_IMAGE = {"classes.txt", "readme.txt", "license.txt"}


def _sniff(probe: Probe) -> bool:
    if probe.kind != "folder":
        return False
    try:
        entries = [entry for entry in probe.path.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return False  # the reader of class folders, asked next, says what is wrong
    return any(_is_label(entry) for entry in entries) and not any(entry.is_dir() for entry in entries)


def _is_label(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and path.name.lower() not in _NO_IMAGE and path.is_file()


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read a folder of text files, folders in it included. An empty file is an image with nothing known.

    Raises:
        OneLabelError: there is no text file, or YOLO class numbers without names.
        LabelFileError: a file that is not text, or a class that is not in ``--classes``.
    """
    files = sorted(file for file in path.rglob("*") if _is_label(file))
    if not files:
        raise OneLabelError(f"there is no .txt file in {path}")
    lines = [_lines(file, options) for file in files]
    given = [text for found in lines for _, text in found]
    boxes = bool(given) and all(_YOLO.fullmatch(text) for text in given)
    classes, names = _classes(path, options, boxes)
    ids, notes = _ids(path, files, options)
    builder = TableBuilder(path)
    images = builder.add_images(ids)
    for image, file, found in zip(images.tolist(), files, lines, strict=True):
        for line, text in found:
            marked = [_box_class(file, line, text, names)] if boxes else split_labels(text, ",", classes)
            numbers = [classes.number(name, file, line=line) for name in marked]
            ones = np.ones(len(numbers), np.int8)
            builder.add_cells(np.full(len(numbers), image), numbers, ones, np.full(len(numbers), line))
    form = "YOLO boxes" if boxes else "class names, one a line or separated by commas"
    table = builder.finish(classes, -1 if options.exhaustive else 0)
    return Loaded(table, READER.name, (f"text files hold {form}", *notes))


def _lines(file: Path, options: ReadOptions) -> list[tuple[int, str]]:
    if not file.stat().st_size:
        return []
    with file.open(encoding=check_text(file, options.encoding)) as stream:
        return [(line, text.strip()) for line, text in enumerate(stream, start=1) if text.strip()]


def _classes(path: Path, options: ReadOptions, boxes: bool) -> tuple[ClassList, list[str]]:
    """Return the classes, and their names by number for YOLO boxes."""
    classes = ClassList(options)
    if boxes and not classes.closed:
        if not (path / "classes.txt").is_file():
            raise OneLabelError(f"{path} holds class numbers: give their names, one a line, --classes FILE")
        classes = ClassList(ReadOptions(class_ids=read_classes(path / "classes.txt")))
    return classes, list(classes.numbers)


def _box_class(file: Path, line: int, text: str, names: list[str]) -> str:
    digits = text.split()[0]
    number = int(digits) if len(digits) < _MOST_DIGITS else digits
    if isinstance(number, str) or number >= len(names):
        problem = f"class number {number}, but there are {len(names):,} classes, counted from 0"
        raise LabelFileError(file, problem, line=line)
    return names[number]


def _ids(path: Path, files: list[Path], options: ReadOptions) -> tuple[list[str], list[str]]:
    """Return the image of each text file, and a note on those without one."""
    root = path if options.images is None else Path(options.images)
    photos: defaultdict[str, list[str]] = defaultdict(list)
    for name in list_images(root) if root.is_dir() else ():
        photos[name.rpartition(".")[0]].append(name)
    inside = path.resolve().relative_to(root.resolve()).as_posix() if _is_below(path, root) else "."
    ids, alone = [], []
    for file in files:
        stem = file.relative_to(path).with_suffix("").as_posix()
        places = [stem if inside == "." else f"{inside}/{stem}", stem]
        found = next((photos[place] for place in places if place in photos), [])
        if len(found) > 1:
            raise OneLabelError(f"{file} may belong to {' or to '.join(found)}: rename one of them")
        ids.append(found[0] if found else stem)
        alone += [] if found else [stem]
    note = f"{len(alone):,} text files have no photo in {root}, such as {alone[0] if alone else ''}"
    return ids, [note] if alone else []


def _is_below(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


READER = Reader(
    name="txt",
    summary="a folder with one text file of classes, or of YOLO boxes, per image",
    kind="folder",
    uses=frozenset({"encoding"}),
    sniff=_sniff,
    read=read,
)
