"""Small data sets in the layout of the original archives: photos of noise, labels drawn at random."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onelabel.labels.datasets import nus, voc

TRAIN, TEST, SIDE = 10, 3, 32
Labels = NDArray[np.int64]


def labels_of(images: int, classes: int, generator: np.random.Generator) -> Labels:
    """Draw labels (images, classes) of 0 and 1, at least one in each row and in each column."""
    labels = (generator.random((images, classes)) < 0.15).astype(np.int64)
    labels[np.arange(classes) % images, np.arange(classes)] = 1
    labels[np.arange(images), generator.integers(0, classes, images)] = 1
    return labels


def _photo(path: Path, generator: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(generator.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)


def voc2012(root: Path, generator: np.random.Generator) -> None:
    """``VOCdevkit/VOC2012`` with the lists of train and val."""
    lists = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, images in (("train", TRAIN), ("val", TEST)):
        names = [f"2008_{part}{number:03d}" for number in range(images)]
        labels = labels_of(images, len(voc.CLASSES), generator)
        for column, name in enumerate(voc.CLASSES):
            lines = [
                f"{image} {2 * mark - 1:2d}" for image, mark in zip(names, labels[:, column], strict=True)
            ]
            (lists / f"{name}_{part}.txt").write_text("\n".join(lines) + "\n")
        for name in names:
            _photo(lists.parents[1] / "JPEGImages" / f"{name}.jpg", generator)


def coco2014(root: Path, generator: np.random.Generator) -> None:
    """``annotations`` of 80 categories, ``train2014``, ``val2014``."""
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": number + 1, "name": f"thing {number}"} for number in range(80)]
    for part, images in (("train", TRAIN), ("val", TEST)):
        marks = np.argwhere(labels_of(images, 80, generator)).tolist()
        entries = [{"image_id": row + 1, "category_id": column + 1} for row, column in marks]
        ids = [{"id": row + 1} for row in range(images)]
        content = {"images": ids, "annotations": entries, "categories": categories}
        (root / "annotations" / f"instances_{part}2014.json").write_text(json.dumps(content))
        for row in range(images):
            _photo(root / f"{part}2014" / f"COCO_{part}2014_{row + 1:012d}.jpg", generator)


def nus_pairs(root: Path, generator: np.random.Generator) -> None:
    """``.npy`` pairs as of the lists ``nus-official`` and ``nus-cole``, and ``Flickr``."""
    root.mkdir(parents=True)
    for part, images in (("train", TRAIN), ("val", TEST)):
        names = [f"sky/{part}_{number}.jpg" for number in range(images)]
        np.save(root / f"formatted_{part}_images.npy", np.array(names))
        labels = labels_of(images, len(nus.CLASSES), generator)
        np.save(root / f"formatted_{part}_labels.npy", labels.astype(np.float64))
        for name in names:
            _photo(root / "Flickr" / name, generator)


def nus_splc(root: Path, generator: np.random.Generator) -> None:
    """Text lists and ``images``."""
    root.mkdir(parents=True)
    for part, images in (("train", TRAIN), ("val", TEST)):
        labels = labels_of(images, len(nus.CLASSES), generator)
        rows = [f"{part}_{n}.jpg,{' '.join(map(str, np.flatnonzero(row)))}" for n, row in enumerate(labels)]
        (root / f"nus_{part}.txt").write_text("\n".join(rows) + "\n")
        for number in range(images):
            _photo(root / "images" / f"{part}_{number}.jpg", generator)


def cub(root: Path, generator: np.random.Generator) -> None:
    """``CUB_200_2011`` with 312 attributes."""
    place = root / "CUB_200_2011"
    (place / "attributes").mkdir(parents=True)
    images = TRAIN + TEST
    labels = labels_of(images, 312, generator)
    names = [f"001.Bird/bird_{number}.jpg" for number in range(images)]
    _numbered(place / "images.txt", names)
    _numbered(place / "train_test_split.txt", [str(int(number < TRAIN)) for number in range(images)])
    _numbered(root / "attributes.txt", [f"has_part_{number}::colour" for number in range(312)])
    cells = [f"{row + 1} {column + 1} {mark} 3 1.5" for (row, column), mark in np.ndenumerate(labels)]
    (place / "attributes" / "image_attribute_labels.txt").write_text("\n".join(cells) + "\n")
    for name in names:
        _photo(place / "images" / name, generator)


def _numbered(path: Path, texts: Sequence[str]) -> None:
    path.write_text("".join(f"{number} {text}\n" for number, text in enumerate(texts, start=1)))


ARCHIVES: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "voc2012": voc2012,
    "coco2014": coco2014,
    "nus-official": nus_pairs,
    "nus-cole": nus_pairs,
    "nus-splc": nus_splc,
    "cub": cub,
}


def write_archive(data_set: str, root: Path, seed: int = 0) -> Path:
    """Write a data set with 10 training and 3 test images; return its folder, which is made."""
    ARCHIVES[data_set](root, np.random.default_rng(seed))
    return root
