"""A folder of toy scenes with complete labels, as a user's own data would lie there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from onelabel.demo.scenes import CLASSES, PARTS, make_scene, part_seed
from onelabel.io.atomic import atomic_folder
from onelabel.io.errors import unknown_name
from onelabel.io.progress import progress
from onelabel.labels import LabelTable, save_labels

IMAGES, LABELS = "images", "labels.csv"


def write_scenes(
    folder: str | Path, counts: Mapping[str, int], seed: int = 0, size: int = 96, *, overwrite: bool = False
) -> LabelTable:
    """Draw scenes into ``folder/images/PART/`` and write their labels to ``folder/labels.csv``.

    The parts share no picture: each is drawn from a seed of its own. The labels are complete (1 or -1 in
    every cell), with a column ``split``; images are named relative to ``folder/images``.

    Args:
        folder: where to write; it appears when it is complete.
        counts: number of scenes of each part, such as ``{"train": 2000, "val": 500, "test": 1000}``.
        seed: another one gives other scenes.
        size: side of a picture in pixels.
        overwrite: replace the folder if it exists.

    Returns:
        The table that the file holds.

    Raises:
        OneLabelError: an unknown part, or the folder exists or cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "scenes"
        >>> table = write_scenes(folder, {"train": 3, "test": 2})
        >>> [path.name for path in sorted((folder / "images" / "train").iterdir())]
        ['00000.png', '00001.png', '00002.png']
        >>> len(table.part("test")), bool((table.dense() != 0).all())
        (2, True)
    """
    for part in counts:
        if part not in PARTS:
            raise unknown_name("part", part, PARTS)
    ids, found = [], []
    with (
        atomic_folder(folder, overwrite=overwrite) as work,
        progress("draw", sum(counts.values())) as advance,
    ):
        for part, count in counts.items():
            (work / IMAGES / part).mkdir(parents=True)
            for index in range(count):
                picture, names = make_scene(part_seed(part, seed), index, size)
                ids.append(f"{part}/{index:05d}.png")
                picture.save(work / IMAGES / ids[-1], compress_level=1)
                found.append(names)
                advance()
        table = _table(ids, found, counts)
        save_labels(table, work / LABELS)
    return table


def _table(ids: list[str], found: list[list[str]], counts: Mapping[str, int]) -> LabelTable:
    present = np.array([[name in names for name in CLASSES] for names in found])
    table = LabelTable.from_dense(ids, CLASSES, np.where(present, 1, -1))
    splits = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int8)
    return replace(table, splits=splits, split_names=tuple(counts))
