"""Sizes and places of objects, from COCO annotations: which label an annotator would give first.

size: an object counts by its area. location: by 1/d, where d is the distance in pixels from the centre of its
box to the centre of the image, 0.0005 where that is 0. Objects of one class add up.

Source: Arroyo, Perona and Cole 2023, https://arxiv.org/abs/2305.15584; official code
https://github.com/elijahcole/single-positive-multi-label (``preproc/biased_labels.py``, commit 0bd90fb).
There weights are divided by their sum over the image, which changes a draw by rounding at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Any

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.bias import Preference
from onelabel.labels.datasets import coco2014
from onelabel.labels.datasets.common import image_prefix
from onelabel.labels.readers.base import ReadOptions
from onelabel.labels.readers.classes import class_name
from onelabel.labels.readers.coco import Content, category_columns, load_content
from onelabel.labels.readers.collect import image_id
from onelabel.labels.table import LabelTable

_AT_THE_CENTRE = 0.0005


def box_preference(path: str | Path, options: ReadOptions, table: LabelTable, how: str) -> Preference:
    """Weigh the classes of each image by the size or the place of their objects.

    Args:
        path: COCO JSON file, or folder of COCO 2014.
        options: as the labels were read.
        table: the labels.
        how: ``"size"`` or ``"location"``.

    Raises:
        OneLabelError: another format.
        LabelFileError: an object without area or box, or an image without width and height.
    """
    path = Path(path)
    files = [(path, "")] if path.is_file() else coco2014.annotation_files(path)
    if not files or options.format not in ("auto", "coco", "coco2014"):
        raise _no_boxes(path, how)
    columns = {name: number for number, name in enumerate(table.class_ids)}
    cells = [cell for file, part in files for cell in _cells(file, part, path, options, table, columns, how)]
    image, column, weight = zip(*cells, strict=True) if cells else ((), (), ())
    return Preference.from_cells(len(table), image, column, weight)


def _cells(
    file: Path,
    part: str,
    path: Path,
    options: ReadOptions,
    table: LabelTable,
    columns: dict[str, int],
    how: str,
) -> Iterator[tuple[int, int, float]]:
    """Give row, class and weight of each object."""
    try:
        content = load_content(file, options)
    except LabelFileError:
        raise _no_boxes(path, how) from None  # it was read before as something else
    names = [class_name(str(item["name"])) for item in content["categories"]]
    column = {
        key: columns[names[place]] for key, place in category_columns(file, content["categories"]).items()
    }
    prefix = image_prefix(path, options) if part else ""
    rows = {key: table.ids.find(image_id(prefix + name)) for key, name in _names(content, part)}
    sizes = {item.get("id"): item for item in content["images"]}
    for position, box in enumerate(content["annotations"]):
        row = rows.get(box.get("image_id"), -1)
        if row >= 0:
            weigh = _size if how == "size" else _nearness
            try:
                yield row, column[box["category_id"]], weigh(box, sizes[box["image_id"]])
            except (KeyError, TypeError, ValueError) as error:
                problem = f"annotations[{position}] or its image has no {error}: --bias {how} needs it"
                raise LabelFileError(file, problem) from None


def _no_boxes(path: Path, how: str) -> OneLabelError:
    return OneLabelError(
        f"--bias {how} needs boxes: give a COCO JSON file or the folder of COCO 2014, not {path}"
    )


def _names(content: Content, part: str) -> Iterator[tuple[Any, str]]:
    """Give the id and the path of each image, as the reader of this format makes it."""
    for item in content["images"]:
        if part and not isinstance(item.get("id"), int):
            continue  # no annotation can name it
        yield item["id"], coco2014.path_of(part, item["id"]) if part else item["file_name"]


def _size(box: dict[str, Any], _image: dict[str, Any]) -> float:
    return float(box["area"])


def _nearness(box: dict[str, Any], image: dict[str, Any]) -> float:
    left, top, width, height = map(float, box["bbox"])
    across = left + width / 2 - 0.5 * float(image["width"])
    down = top + height / 2 - 0.5 * float(image["height"])
    return 1 / (hypot(across, down) or _AT_THE_CENTRE)
