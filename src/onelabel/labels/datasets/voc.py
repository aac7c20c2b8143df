"""PASCAL VOC 2012 and 2007: the classification lists of ``ImageSets/Main``.

Source: Everingham et al. 2010, https://doi.org/10.1007/s11263-009-0275-4. Labels as in the official code of
Cole et al. 2021, https://github.com/elijahcole/single-positive-multi-label (``preproc/format_pascal.py``,
commit 89152d5): a class is present where its flag is 1; 0 (difficult) and -1 are absent; images without a
positive are left out; images are sorted by name. For 2007 there is no such code; it is read in the same way,
trainval for training and test for testing.
"""

from __future__ import annotations

from pathlib import Path

from onelabel.io.errors import LabelFileError
from onelabel.labels.datasets.common import Archive, Part, finish, named_few, read_lines
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_SITE = "http://host.robots.ox.ac.uk/pascal/VOC"
_UNPACKED = "and unpack it so that this folder holds VOCdevkit/{year}/ImageSets/Main and .../JPEGImages"
VOC2012 = Archive(
    "voc2012",
    f"Download VOCtrainval_11-May-2012.tar (2 GB) from {_SITE}/voc2012/ " + _UNPACKED.format(year="VOC2012"),
    {"train": 5717, "test": 5823},
)
VOC2007 = Archive(
    "voc2007",
    f"Download VOCtrainval_06-Nov-2007.tar (450 MB) and VOCtest_06-Nov-2007.tar (430 MB) from"
    f" {_SITE}/voc2007/ " + _UNPACKED.format(year="VOC2007"),
    {"train": 5011, "test": 4952},
)
_PARTS = {"VOC2012": {"train": "train", "test": "val"}, "VOC2007": {"train": "trainval", "test": "test"}}


def _root(path: Path, year: str) -> Path | None:
    places = [path / "VOCdevkit" / year, path / year, *([path] if path.resolve().name == year else [])]
    return next((place for place in places if (place / "ImageSets" / "Main").is_dir()), None)


def _reader(archive: Archive, year: str) -> Reader:
    def sniff(probe: Probe) -> bool:
        return probe.kind == "folder" and _root(probe.path, year) is not None

    def read(path: Path, options: ReadOptions) -> Loaded:
        root = _root(path, year)
        if root is None:
            raise archive.missing(path, f"there is no VOCdevkit/{year}/ImageSets/Main")
        lists = root / "ImageSets" / "Main"
        notes: list[str] = []
        parts = [_part(lists, split, part, archive, notes) for split, part in _PARTS[year].items()]
        loaded = finish(path, archive, [p for p in parts if p], CLASSES, root / "JPEGImages", options)
        return Loaded(loaded.table, loaded.format, (*notes, *loaded.notes))

    return Reader(
        name=archive.name,
        summary=f"PASCAL {year[:3]} {year[3:]}, the original archive",
        kind="folder",
        uses=frozenset(),
        sniff=sniff,
        read=read,
        download=archive.download,
    )


def _part(lists: Path, split: str, part: str, archive: Archive, notes: list[str]) -> Part | None:
    """Read one part; None, with a note, if none of its lists is there.

    Raises:
        OneLabelError: some of its lists are there and others not.
        LabelFileError: a line that is not an image and a flag.
    """
    absent = [name for name in CLASSES if not (lists / f"{name}_{part}.txt").is_file()]
    if len(absent) == len(CLASSES):
        notes.append(f"there is no {split} part: {lists} holds none of the lists CLASS_{part}.txt")
        return None
    if absent:
        files = named_few([f"{name}_{part}.txt" for name in absent])
        raise archive.missing(lists, f"the archive is not complete: there is no {files}")
    flags = [_flags(lists / f"{name}_{part}.txt") for name in CLASSES]
    listed = set().union(*flags)
    short = [
        f"{name}_{part}.txt" for name, found in zip(CLASSES, flags, strict=True) if len(found) < len(listed)
    ]
    if short:
        notes.append(f"lists with fewer images than the others, perhaps cut off: {named_few(short)}")
    kept = sorted(f"{name}.jpg" for name in listed if any(found.get(name) == 1 for found in flags))
    if len(kept) < len(listed):
        notes.append(
            f"{len(listed) - len(kept):,} {split} images without a positive are left out, as published"
        )
    row = {name: number for number, name in enumerate(kept)}
    pairs = [
        (row[f"{name}.jpg"], column)
        for column, found in enumerate(flags)
        for name in found
        if found[name] == 1
    ]
    return Part.of_pairs(split, kept, pairs)


def _flags(path: Path) -> dict[str, int]:
    flags: dict[str, int] = {}
    for number, line in read_lines(path):
        cells = line.split()
        if len(cells) != 2 or cells[1] not in ("1", "0", "-1"):
            problem = f"{line[:40]!r} is not an image and 1, 0 or -1: unpack the archive again"
            raise LabelFileError(path, problem, line=number)
        flags[cells[0]] = int(cells[1])
    return flags


READER_2012 = _reader(VOC2012, "VOC2012")
READER_2007 = _reader(VOC2007, "VOC2007")
