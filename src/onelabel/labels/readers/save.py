"""Writing labels so that every command reads back the same table without a flag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.atomic import atomic_write, check_output
from onelabel.io.errors import OneLabelError
from onelabel.labels.readers.classes import class_name
from onelabel.labels.readers.collect import image_id
from onelabel.labels.readers.columns import (
    IMAGE_NAMES,
    OWN_GROUP,
    OWN_IMAGE,
    OWN_SPLIT,
    SPECIAL,
    SPLIT_NAMES,
    plain,
)
from onelabel.labels.table import LabelTable

_CELLS_AT_ONCE = 1 << 20
_TEXT = {1: "1", 0: "", -1: "-1"}


def save_labels(table: LabelTable, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a table as wide CSV: 1 present, -1 absent, blank unknown; every image and every class.

    The columns are ``image``, ``split`` and ``onelabel:group`` if there are any, then the classes. The file
    is written in pieces and takes its name only when it is complete.

    Args:
        table: the labels.
        path: CSV file to write.
        overwrite: replace it if it exists.

    Raises:
        OneLabelError: the file exists or cannot be written; the table has no image or no class, or has
            weights, which this format cannot hold; or an id or name would not be read back as it is.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> save_labels(LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[1, 0], [-1, 1]]), path)
        >>> print(path.read_text())
        image,cat,dog
        a.jpg,1,
        b.jpg,-1,1
        <BLANKLINE>
    """
    check_output(path, overwrite=overwrite)
    header = _header(table)
    if not len(table) or not table.num_classes:
        raise OneLabelError(f"nothing to write to {path}: {len(table)} images, {table.num_classes} classes")
    if table.weights is not None and np.any(table.weights != 1):
        raise OneLabelError(f"cannot write {path}: a wide CSV file holds no weights")
    with atomic_write(path) as stream:
        stream.write(",".join(map(_quoted, header)) + "\n")
        step = max(1, _CELLS_AT_ONCE // table.num_classes)
        for start in range(0, len(table), step):
            stream.writelines(_lines(table, np.arange(start, min(start + step, len(table)))))


def _header(table: LabelTable) -> list[str]:
    for name in table.class_ids:
        if class_name(name) != name or plain(name).startswith("onelabel:"):
            raise OneLabelError(f"class {name!r} cannot be a column name; rename it")
    for name in (*table.split_names, *table.group_names):
        if not name or name != name.strip() or "\0" in name:
            raise OneLabelError(
                f"the split or group {name!r} cannot be written: it is blank or has blanks around it"
            )
    # A class called "image" or "split" must not be taken for the column of that use.
    own = any(plain(name) in SPECIAL for name in table.class_ids)
    header = [OWN_IMAGE if own else IMAGE_NAMES[0]]
    if table.splits is not None:
        header.append(OWN_SPLIT if own else SPLIT_NAMES[0])
    if table.groups is not None:
        header.append(OWN_GROUP)
    return [*header, *table.class_ids]


def _quoted(text: str) -> str:
    """Return a cell as CSV; csv.writer leaves a lone carriage return bare, and readers end the line there."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in '",\r\n') else text


def _lines(table: LabelTable, index: NDArray[np.int64]) -> Iterator[str]:
    columns = [
        _names(codes[index], names)
        for codes, names in ((table.splits, table.split_names), (table.groups, table.group_names))
        if codes is not None
    ]
    for number, row in enumerate(table.rows(index).tolist()):
        image = table.ids.text(int(index[number]))
        try:
            same = image_id(image) == image
        except ValueError:
            same = False
        if not same:
            raise OneLabelError(f"image id {image!r} cannot be written: no plain path below the folder")
        texts = [_quoted(image), *(_quoted(column[number]) for column in columns)]
        yield ",".join([*texts, *map(_TEXT.__getitem__, row)]) + "\n"


def _names(codes: NDArray[np.int8] | NDArray[np.int32], names: Sequence[str]) -> list[str]:
    return [names[code] if code >= 0 else "" for code in codes.tolist()]
