"""What the readers of the published data sets share: what is missing, where photos lie, the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.readers.base import Loaded, ReadOptions
from onelabel.labels.readers.classes import ClassList
from onelabel.labels.readers.collect import image_id
from onelabel.labels.readers.encoding import check_text
from onelabel.labels.table import LabelTable

_NAMED = 3


@dataclass(frozen=True)
class Archive:
    """A published data set.

    Args:
        name: of its reader.
        download: what to download, from where, how big it is, and how the folder looks then.
        images: images of each part in the complete set, by the names of the splits here.
    """

    name: str
    download: str
    images: dict[str, int]

    def missing(self, path: Path, what: str) -> OneLabelError:
        """Build the error for files that are not there."""
        return OneLabelError(f"{what} in {path} for --format {self.name}. {self.download}")

    def count_notes(self, table: LabelTable) -> Iterator[str]:
        """Say where a part has another number of images than the complete set."""
        for part, complete in self.images.items():
            found = len(table.part(part)) if part in table.split_names else 0
            if found != complete:
                yield f"{part} has {found:,} images; the published list has {complete:,}"


@dataclass(frozen=True)
class Part:
    """One official part: its images in the order of the released scripts, and their positives.

    Args:
        split: name of the split.
        ids: image paths relative to the folder of the photos.
        image: (M,) image of each marked cell.
        column: (M,) its class.
        value: (M,) +1 or -1.
        default: of the cells that are not marked: -1 in a complete part, else 0.
    """

    split: str
    ids: Sequence[str]
    image: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.int8]
    default: int = -1

    @classmethod
    def of_pairs(
        cls, split: str, ids: Sequence[str], positives: Iterable[tuple[int, int]], default: int = -1
    ) -> Part:
        """Build a part from pairs of image and class."""
        image, column = np.array([*positives], np.int64).reshape(-1, 2).T
        return cls(split, ids, image, column, np.ones(len(image), np.int8), default)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give number and text of every line that is not blank.

    Raises:
        LabelFileError: the file cannot be read as text.
    """
    with path.open(encoding=check_text(path)) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line.strip()


def whole_number(path: Path, line: int, text: str) -> int:
    """Return a number from a line.

    Raises:
        LabelFileError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise LabelFileError(path, f"{text!r} is not a whole number", line=line) from None


def named_few(names: Sequence[str]) -> str:
    """Name the first of many.

    Example:
        >>> named_few(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def image_prefix(photos: Path, options: ReadOptions) -> str:
    """Return what stands before an id so that it is relative to ``--images``, where that is a folder above.

    Example:
        >>> image_prefix(Path("data/VOC/JPEGImages"), ReadOptions(images="data"))
        'VOC/JPEGImages/'
    """
    if options.images is None:
        return ""
    given, natural = Path(options.images).resolve(), photos.resolve()
    if given == natural or not natural.is_relative_to(given):
        return ""
    return natural.relative_to(given).as_posix() + "/"


def photo_notes(photos: Path, ids: Iterable[str], options: ReadOptions) -> Iterator[str]:
    """Say where photos are expected and which are not there; nothing if ``--images`` is elsewhere."""
    if options.images is not None and not photos.resolve().is_relative_to(Path(options.images).resolve()):
        return
    if options.images is None:
        yield f"ids are relative to {photos}: give it with --images"
    present: dict[str, set[str]] = {}
    total, absent, first = 0, 0, ""
    for name in ids:
        folder, _, file = name.rpartition("/")
        if folder not in present:
            place = photos / folder
            present[folder] = {entry.name for entry in place.iterdir()} if place.is_dir() else set()
        total += 1
        if file not in present[folder]:
            absent, first = absent + 1, first or name
    if absent:
        yield f"{absent:,} of {total:,} photos are not in {photos}, such as {first}"


def _checked_id(path: Path, name: str) -> str:
    try:
        return image_id(name)
    except ValueError as error:
        raise LabelFileError(path, str(error)) from None


def finish(
    path: Path,
    archive: Archive,
    parts: Sequence[Part],
    class_ids: Sequence[str],
    photos: Path | None,
    options: ReadOptions,
) -> Loaded:
    """Join the parts to a table with splits, in the order of ``--classes`` where it is given.

    Args:
        path: what the user gave, for messages.
        archive: the data set.
        parts: its parts, in order.
        class_ids: its classes, in their published order.
        photos: folder that the ids are relative to, where it is known.
        options: as given by the user; ``exhaustive`` overrides what cells without a mark mean.

    Raises:
        OneLabelError: ``--classes`` are others than those of the data set, or an image stands twice.
        LabelFileError: an image path that leaves the image folder, or that no path can be.
    """
    classes = ClassList(options, keep_order=True)
    numbers = np.array([classes.number(name, path) for name in class_ids], np.int64)
    own = set(numbers.tolist())
    if extra := [name for name, number in classes.numbers.items() if number not in own]:
        raise OneLabelError(f"{archive.name} has no class {named_few(extra)}: leave it out of --classes")
    prefix = "" if photos is None else image_prefix(photos, options)
    unmarked = {None: None, True: -1, False: 0}[options.exhaustive]
    defaults = [part.default if unmarked is None else unmarked for part in parts]
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    if not starts[-1]:
        raise archive.missing(path, "there are no images")
    table = LabelTable.from_entries(
        (_checked_id(path, prefix + name) for part in parts for name in part.ids),
        list(classes.numbers),
        np.concatenate([part.image + start for part, start in zip(parts, starts[:-1], strict=True)]),
        numbers[np.concatenate([part.column for part in parts])],
        np.concatenate([part.value for part in parts]),
        default=np.repeat(defaults, np.diff(starts)),
    )
    if parts[0].split:
        codes = np.repeat(np.arange(len(parts)), np.diff(starts)).astype(np.int8)
        table = replace(table, splits=codes, split_names=tuple(part.split for part in parts))
    notes = [*archive.count_notes(table)]
    if photos is not None:
        notes += photo_notes(photos, chain.from_iterable(part.ids for part in parts), options)
    return Loaded(table, archive.name, tuple(notes))
