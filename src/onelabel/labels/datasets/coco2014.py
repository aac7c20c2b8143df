"""MS COCO 2014: the detection annotations of train2014 and val2014.

Source: Lin et al. 2014, https://arxiv.org/abs/1405.0312. Labels as in the official code of Cole et al. 2021,
https://github.com/elijahcole/single-positive-multi-label (``preproc/format_coco.py``, commit 89152d5): images
with at least one annotation, crowd regions included, sorted by image id *as text* ("10" before "9"); classes
in the order of ``categories``. The simulated labels depend on this order.
"""

from __future__ import annotations

import reprlib
from pathlib import Path

from onelabel.io.errors import LabelFileError
from onelabel.labels.datasets.common import Archive, Part, finish
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.coco import Content, category_columns, load_content

COCO2014 = Archive(
    "coco2014",
    "Download annotations_trainval2014.zip (241 MB) from http://images.cocodataset.org/annotations/, and"
    " train2014.zip (13 GB) and val2014.zip (6 GB) from http://images.cocodataset.org/zips/, and unpack them"
    " so that this folder holds annotations/, train2014/ and val2014/",
    {"train": 82081, "test": 40137},
)
_PARTS = {"train": "train", "test": "val"}


def _file(path: Path, part: str) -> Path:
    return path / "annotations" / f"instances_{part}2014.json"


def annotation_files(path: Path) -> list[tuple[Path, str]]:
    """Return the annotation files that are there, each with its part, train or val."""
    return [(_file(path, part), part) for part in _PARTS.values() if _file(path, part).is_file()]


def path_of(part: str, number: int) -> str:
    """Return the path of an image.

    Example:
        >>> path_of("val", 42)
        'val2014/COCO_val2014_000000000042.jpg'
    """
    return f"{part}2014/COCO_{part}2014_{number:012d}.jpg"


def _sniff(probe: Probe) -> bool:
    return probe.kind == "folder" and bool(annotation_files(probe.path))


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read both annotation files; one that is missing is noted.

    Raises:
        OneLabelError: neither file is there.
        LabelFileError: not COCO, or the two have other categories.
    """
    names: tuple[str, ...] = ()
    parts, notes = [], []
    for split, part in _PARTS.items():
        file = _file(path, part)
        if not file.is_file():
            notes.append(f"there is no {split} part: {file} is missing")
            continue
        content = load_content(file, options)
        here = tuple(str(item.get("name")) for item in content["categories"])
        if names and here != names:
            raise LabelFileError(file, "has other categories than the annotations of train2014")
        names = here
        parts.append(_part(file, content, split, part))
    if not parts:
        raise COCO2014.missing(path, "there is no annotations/instances_train2014.json")
    loaded = finish(path, COCO2014, parts, names, path, options)
    return Loaded(loaded.table, loaded.format, (*notes, *loaded.notes))


def _part(file: Path, content: Content, split: str, part: str) -> Part:
    column = category_columns(file, content["categories"])
    pairs = set()
    for position, box in enumerate(content["annotations"]):
        image, category = box.get("image_id"), box.get("category_id")
        number = column.get(category) if isinstance(category, int | str) else None
        if not isinstance(image, int) or isinstance(image, bool) or number is None:
            shown = f"image_id {reprlib.repr(image)} and category_id {reprlib.repr(category)}"
            problem = f"annotations[{position}] has {shown}"
            raise LabelFileError(file, f"{problem}: no such category, or not a whole number")
        pairs.add((str(image), number))
    row = {name: number for number, name in enumerate(sorted({name for name, _ in pairs}))}
    ids = [path_of(part, int(name)) for name in row]
    return Part.of_pairs(split, ids, [(row[name], number) for name, number in pairs])


READER = Reader(
    name=COCO2014.name,
    summary="MS COCO 2014, the original archives",
    kind="folder",
    uses=frozenset(),
    sniff=_sniff,
    read=read,
    download=COCO2014.download,
)
