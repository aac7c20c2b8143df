"""NUS-WIDE, 81 concepts: three lists in use that are not comparable, hence three formats that never mix.

``nus-cole``: the images that Cole et al. could still fetch in 2020, also used by LargeLossMatters.
``nus-official``: the official images with the lists of Zhou et al. 2022 (AckTheUnknown) and VLPL.
``nus-splc``: the text lists of Zhang et al. 2021 (robust-loss-mlml), also used by SCPNet.
The first two come as ``.npy`` pairs of the same names; only their sizes tell them apart, and a list of the
size of the other is refused.

Source: Chua et al. 2009, https://doi.org/10.1145/1646396.1646452; lists from
https://github.com/elijahcole/single-positive-multi-label, https://github.com/mvrl/VLPL (README) and
https://github.com/xinyu1205/robust-loss-mlml (``dataset/nus_val.txt``, commit ac60bba).
"""

from __future__ import annotations

from pathlib import Path

from onelabel.io.arrays import load_npy
from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.datasets.common import Archive, Part, finish, read_lines
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.npy import PARTS, read_parts

CLASSES = (
    "airport", "animal", "beach", "bear", "birds", "boats", "book", "bridge", "buildings", "cars",
    "castle", "cat", "cityscape", "clouds", "computer", "coral", "cow", "dancing", "dog", "earthquake",
    "elk", "fire", "fish", "flags", "flowers", "food", "fox", "frost", "garden", "glacier", "grass",
    "harbor", "horses", "house", "lake", "leaf", "map", "military", "moon", "mountain", "nighttime",
    "ocean", "person", "plane", "plants", "police", "protest", "railroad", "rainbow", "reflection",
    "road", "rocks", "running", "sand", "sign", "sky", "snow", "soccer", "sports", "statue", "street",
    "sun", "sunset", "surf", "swimmers", "tattoo", "temple", "tiger", "tower", "town", "toy", "train",
    "tree", "valley", "vehicle", "water", "waterfall", "wedding", "whales", "window", "zebra",
)  # fmt: skip

_SITE = "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html"
_PHOTOS = f"ask for Flickr.zip (269,648 photos) at {_SITE}"
_PAIRS = "formatted_train_images.npy, formatted_train_labels.npy and the same two for val"
_COLE = Archive(
    "nus-cole",
    f"Download {_PAIRS} (126,034 and 84,226 images; 136 MB as float64) from https://caltech.box.com/v/single-positive-multi-label"
    f" into this folder; for the photos, {_PHOTOS} and unpack it here to Flickr/",
    {"train": 126034, "test": 84226},
)
_OFFICIAL = Archive(
    "nus-official",
    f"Download {_PAIRS} (150,000 and 60,260 images; 136 MB as float64) by the link in https://github.com/mvrl/VLPL#nus-wide"
    f" into this folder; for the photos, {_PHOTOS} and unpack it here to Flickr/",
    {"train": 150000, "test": 60260},
)
_SPLC = Archive(
    "nus-splc",
    "Download nus_train.txt (or nus_train_single.txt) and nus_val.txt (2 MB) from the folder dataset/ of"
    " https://github.com/xinyu1205/robust-loss-mlml into this folder; the photos are expected in images/",
    {"train": 119103, "test": 50720},
)
_ORIGINAL = ("Concepts81.txt", "ConceptsList", "ImageList", "Groundtruth")
_TRAIN_LISTS = {
    "nus_train.txt": -1,
    "nus_train_full.txt": -1,
    "nus_train_single.txt": 0,
    "nus_train_singlelabel.txt": 0,
}


def _never(_probe: Probe) -> bool:
    return False  # the lists cole and official have the same file names: the user must say which


def _pairs_reader(archive: Archive, other: Archive) -> Reader:
    def read(path: Path, options: ReadOptions) -> Loaded:
        parts, notes = read_parts(path, archive, len(CLASSES))
        for part in parts:
            if len(part.ids) == other.images[part.split]:
                text = f"{path}: {len(part.ids):,} {part.split} images are those of the list {other.name}"
                raise OneLabelError(f"{text}; results of two lists cannot be compared: --format {other.name}")
        loaded = finish(path, archive, parts, CLASSES, path / "Flickr", options)
        return Loaded(loaded.table, loaded.format, (*notes, *loaded.notes))

    return Reader(
        name=archive.name,
        summary=f"NUS-WIDE, the list {archive.name.removeprefix('nus-')!r}, .npy pairs",
        kind="folder",
        uses=frozenset(),
        sniff=_never,
        read=read,
        download=archive.download,
    )


def _folder(path: Path) -> Path:
    return next((place for place in (path, path / "dataset") if (place / "nus_val.txt").is_file()), path)


def _sniff(probe: Probe) -> bool:
    names = ("nus_val.txt", *_TRAIN_LISTS)
    return probe.kind == "folder" and any((_folder(probe.path) / name).is_file() for name in names)


def refuse_unnamed_list(path: Path) -> None:
    """Ask which list is meant, in a folder that looks like NUS-WIDE: label matrices, or original archives.

    Raises:
        OneLabelError: it looks so.
    """
    pairs = f"--format {_COLE.name} or --format {_OFFICIAL.name}"
    if any(_columns(path / f"formatted_{part}_labels.npy") == len(CLASSES) for part in PARTS.values()):
        advice = f"say which one with {pairs}, or give your own classes, --classes FILE"
    elif sum((path / name).exists() for name in _ORIGINAL) > 1 or (path / _ORIGINAL[0]).is_file():
        advice = f"get one, as --format {_SPLC.name} or {pairs} tells"
    else:
        return
    text = "looks like NUS-WIDE, of which three lists are in use that cannot be compared"
    raise OneLabelError(f"{path} {text}: {advice}")


def _columns(path: Path) -> int:
    """Return the number of columns of a matrix; 0 if there is none."""
    try:
        shape = load_npy(path, mapped=True).shape if path.is_file() else ()
    except OneLabelError:
        return 0
    return int(shape[1]) if len(shape) == 2 else 0


def _read_splc(path: Path, options: ReadOptions) -> Loaded:
    """Read the text lists; a training list of single positives leaves the rest unknown."""
    folder = _folder(path)
    notes: list[str] = []
    parts: list[Part] = []
    train = [name for name in _TRAIN_LISTS if (folder / name).is_file()]
    if train:
        parts.append(_list(folder / train[0], "train", _TRAIN_LISTS[train[0]]))
        notes.append(f"training labels are those of {train[0]}")
    else:
        notes.append(f"there is no train part: {folder / 'nus_train.txt'} is missing")
    if (folder / "nus_val.txt").is_file():
        parts.append(_list(folder / "nus_val.txt", "test", -1))
    elif train:
        notes.append(f"there is no test part: {folder / 'nus_val.txt'} is missing")
    else:
        raise _SPLC.missing(path, "there is no nus_train.txt and no nus_val.txt")
    loaded = finish(path, _SPLC, parts, CLASSES, path / "images", options)
    return Loaded(loaded.table, loaded.format, (*notes, *loaded.notes))


def _list(path: Path, split: str, default: int) -> Part:
    """Read lines such as ``123_456_m.jpg,42 60 79``."""
    ids: list[str] = []
    pairs: list[tuple[int, int]] = []
    for line, text in read_lines(path):
        name, comma, numbers = text.rpartition(",")
        columns = numbers.split()
        if not comma or not all(
            cell.isdecimal() and len(cell) < 3 and int(cell) < len(CLASSES) for cell in columns
        ):
            problem = f"{text[:60]!r} is not an image, a comma and class numbers from 0 to 80"
            raise LabelFileError(path, problem, line=line)
        pairs += [(len(ids), int(cell)) for cell in columns]
        ids.append(name)
    return Part.of_pairs(split, ids, pairs, default)


COLE = _pairs_reader(_COLE, _OFFICIAL)
OFFICIAL = _pairs_reader(_OFFICIAL, _COLE)
SPLC = Reader(
    name=_SPLC.name,
    summary="NUS-WIDE, the list 'splc', text files",
    kind="folder",
    uses=frozenset(),
    sniff=_sniff,
    read=_read_splc,
    download=_SPLC.download,
)
