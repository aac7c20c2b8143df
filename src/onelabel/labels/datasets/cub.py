"""CUB-200-2011: the 312 attributes of each bird.

Source: Wah et al. 2011, https://www.vision.caltech.edu/datasets/cub_200_2011/. Labels as in the official code
of Cole et al. 2021, https://github.com/elijahcole/single-positive-multi-label (``preproc/format_cub.py``,
commit 89152d5): an attribute is present where ``is_present`` is 1, whatever the certainty; images keep the
order of ``images.txt``, those without any attribute included. Some lines of the attribute file have one field
too many; the first three count. Deviation: lines are matched by their image and attribute ids, where the
official code relies on their order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError
from onelabel.labels.datasets.common import Archive, Part, finish, read_lines, whole_number
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions

CUB = Archive(
    "cub",
    "Download CUB_200_2011.tgz (1.1 GB) from https://data.caltech.edu/records/20098 and unpack it so that"
    " this folder holds CUB_200_2011/ and attributes.txt",
    {"train": 5994, "test": 5794},
)
_LABELS = Path("attributes") / "image_attribute_labels.txt"


def _root(path: Path) -> Path | None:
    """Return the folder with images.txt; the official code expects one folder more than the archive has."""
    places = (path, path / "CUB_200_2011", path / "CUB_200_2011" / "CUB_200_2011")
    return next((place for place in places if (place / "images.txt").is_file()), None)


def _sniff(probe: Probe) -> bool:
    root = _root(probe.path) if probe.kind == "folder" else None
    return root is not None and (root / "attributes").is_dir()


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read images, split and attributes.

    Raises:
        OneLabelError: a file is missing.
        LabelFileError: a line that cannot be read, or attributes of fewer or more images than there are.
    """
    root = _root(path)
    if root is None:
        raise CUB.missing(path, "there is no CUB_200_2011/images.txt")
    places = (root.parent / "attributes.txt", root / "attributes.txt", root / "attributes" / "attributes.txt")
    names_file = next((place for place in places if place.is_file()), None)
    for file in (root / "train_test_split.txt", root / _LABELS):
        if not file.is_file():
            raise CUB.missing(root, f"the archive is not complete: there is no {file.relative_to(root)}")
    if names_file is None:
        raise CUB.missing(path, "the archive is not complete: there is no attributes.txt")
    images, training = _pairs(root / "images.txt"), _pairs(root / "train_test_split.txt")
    attributes = _pairs(names_file)
    if images.keys() != training.keys():
        raise LabelFileError(root / "train_test_split.txt", "names other images than images.txt")
    present = _present(root / _LABELS, list(images), list(attributes))
    parts = [_part(split, flag, images, training, present) for split, flag in (("train", "1"), ("test", "0"))]
    return finish(path, CUB, parts, list(attributes.values()), root / "images", options)


def _pairs(path: Path) -> dict[int, str]:
    """Read lines of a number and a text."""
    found: dict[int, str] = {}
    for line, text in read_lines(path):
        number, _, value = text.partition(" ")
        key = whole_number(path, line, number)
        if key in found or not value.strip():
            raise LabelFileError(path, f"{text[:40]!r}: no value, or the number stands twice", line=line)
        found[key] = value.strip()
    return found


def _present(path: Path, images: list[int], attributes: list[int]) -> NDArray[np.bool_]:
    """Read which attributes are present, (images, attributes)."""
    row = {key: number for number, key in enumerate(images)}
    column = {key: number for number, key in enumerate(attributes)}
    state = np.full((len(images), len(attributes)), -1, np.int8)
    for line, text in read_lines(path):
        cells = text.split(None, 3)
        image, attribute = (row.get(_number(cells, 0), -1), column.get(_number(cells, 1), -1))
        if image < 0 or attribute < 0 or cells[2:3] not in (["0"], ["1"]):
            problem = f"{text[:40]!r} is not a known image, a known attribute, and 0 or 1"
            raise LabelFileError(path, problem, line=line)
        state[image, attribute] = int(cells[2])
    if absent := int((state < 0).sum()):
        text = f"{absent:,} of {state.size:,} pairs of image and attribute are missing"
        raise LabelFileError(path, f"the archive is not complete: {text}; unpack it again")
    present: NDArray[np.bool_] = state == 1
    return present


def _number(cells: list[str], place: int) -> int:
    cell = cells[place] if len(cells) > place else ""
    return int(cell) if cell.isdecimal() and len(cell) < 10 else -1


def _part(
    split: str,
    flag: str,
    images: dict[int, str],
    training: dict[int, str],
    present: NDArray[np.bool_],
) -> Part:
    rows = [row for row, key in enumerate(images) if training[key] == flag]
    names = list(images.values())
    image, column = np.nonzero(present[rows])
    return Part(split, [names[row] for row in rows], image, column, np.ones(len(image), np.int8))


READER = Reader(
    name=CUB.name,
    summary="CUB-200-2011 attributes, the original archive",
    kind="folder",
    uses=frozenset(),
    sniff=_sniff,
    read=read,
    download=CUB.download,
)
