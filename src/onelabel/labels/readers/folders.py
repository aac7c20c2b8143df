"""A folder of class folders: ``photos/cat/1.jpg`` shows a cat.

The same photo in two class folders (same path inside them, same bytes) is one image with two positives; its
id is the path under the class that comes first in the alphabet. Photos beside the class folders are kept,
with nothing known.
"""

from __future__ import annotations

import filecmp
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from onelabel.images.folder import list_images, resolve
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.build import NO_LINE, TableBuilder
from onelabel.labels.readers.classes import ClassList

_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test"}


def _sniff(probe: Probe) -> bool:
    return probe.kind == "folder"


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read a folder of class folders; every folder in it is a class, also an empty one.

    Raises:
        OneLabelError: no class folders, folders of splits rather than classes, a class that is not in
            ``--classes``, or the folder is not inside ``--images``.
    """
    prefix = _prefix(path, options.images)
    names = _class_folders(path, options)
    classes = ClassList(options)
    column = {name: classes.number(name, path) for name in names}
    copies = _copies(path, list_images(path))
    builder = TableBuilder(path)
    builder.add_images([prefix + image for image in copies])
    pairs = [(row, copy) for row, same in enumerate(copies.values()) for copy in same if "/" in copy]
    marked = [column[copy.partition("/")[0]] for _, copy in pairs]
    ones = np.ones(len(pairs), np.int8)
    builder.add_cells([row for row, _ in pairs], marked, ones, np.full(len(pairs), NO_LINE))
    table = builder.finish(classes, -1 if options.exhaustive else 0)
    others = tuple(prefix + copy for image, same in copies.items() for copy in same if copy != image)
    return Loaded(table, READER.name, tuple(_notes(copies)), others)


def _prefix(path: Path, images: str | Path | None) -> str:
    if images is None or path.resolve() == Path(images).resolve():
        return ""
    try:
        return path.resolve().relative_to(Path(images).resolve()).as_posix() + "/"
    except ValueError:
        text = f"{path} is not inside the image folder {images}; give a folder that holds it with --images"
        raise OneLabelError(text) from None


def _class_folders(path: Path, options: ReadOptions) -> list[str]:
    try:
        folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise OneLabelError(f"cannot read the folder {path}: {error.strerror or error}") from None
    names = sorted(unicodedata.normalize("NFC", entry.name) for entry in folders)
    if not names:
        raise OneLabelError(f"{path} has no folders in it: give one folder per class, or a CSV or JSON file")
    if options.format == "auto" and {name.lower() for name in names} <= _SPLITS:
        raise OneLabelError(
            f"the folders in {path} are called {', '.join(names)}, like splits: give one of them, such as"
            f" {path / names[0]}, or add --format folders if these are classes"
        )
    return names


def _copies(path: Path, images: Iterable[str]) -> dict[str, list[str]]:
    """Return for each image that is kept itself and its copies in other class folders."""
    by_place: defaultdict[str, list[str]] = defaultdict(list)
    for image in images:
        _, slash, inner = image.partition("/")
        by_place[inner if slash else "/" + image].append(image)
    several = [image for same in by_place.values() if len(same) > 1 for image in same]
    found = resolve(IdTable.from_strings(several), path).paths if several else []
    file = {image: path / name for image, name in zip(several, found, strict=True)}
    copies: dict[str, list[str]] = {}
    for same in by_place.values():
        for image in same:
            earlier = (k for k in same if k in copies and filecmp.cmp(file[k], file[image], shallow=False))
            copies.setdefault(next(earlier, image), []).append(image)
    return {image: copies[image] for image in sorted(copies)}


def _notes(copies: dict[str, list[str]]) -> Iterable[str]:
    several = [same for same in copies.values() if len(same) > 1]
    if several:
        yield (
            f"{len(several):,} photos stand in more than one class folder and are one image each,"
            f" such as {' = '.join(several[0])}; the first path is the id"
        )
    loose = [image for image in copies if "/" not in image]
    if loose:
        yield f"{len(loose):,} photos beside the class folders have nothing known, such as {loose[0]}"


READER = Reader(
    name="folders",
    summary="a folder with one folder of photos per class",
    kind="folder",
    uses=frozenset(),
    sniff=_sniff,
    read=read,
)
