"""COCO detection JSON: an image has the classes of its boxes. LVIS adds checked negatives.

``neg_category_ids`` of an image are absent. ``not_exhaustive_category_ids`` stay unknown where nothing is
annotated, also with ``--exhaustive`` (LVIS v1: https://www.lvisdataset.org/dataset). Crowd regions count.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from onelabel.io.errors import LabelFileError
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.build import NO_LINE, TableBuilder
from onelabel.labels.readers.classes import ClassList
from onelabel.labels.readers.encoding import check_text

_Id = int | str
Content = dict[str, list[dict[str, Any]]]
"""A COCO file without outlines: ``images``, ``annotations`` and ``categories``."""

_WORDS = {int: "a whole number", str: "text", list: "a list"}


def _sniff(probe: Probe) -> bool:
    return probe.kind == "json"


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read a COCO JSON file. Images without a box are kept, with nothing known.

    Raises:
        LabelFileError: not JSON, not COCO, an id that is used but not defined, or a checked negative with a
            box.
    """
    content = load_content(path, options)
    classes = ClassList(options, keep_order=True)
    column = _categories(path, content["categories"], classes)
    builder = TableBuilder(path)
    images = content["images"]
    names = [_get(path, image, "file_name", (str,), f"images[{n}]") for n, image in enumerate(images)]
    image_of = _by_id(path, images, "images", builder.add_images(names).tolist())
    cells = [
        *_boxes(path, content["annotations"], image_of, column),
        *_checked(path, images, image_of, column),
    ]
    row, number, value = np.array(cells, np.int64).reshape(-1, 3).T
    builder.add_cells(row, number, value, np.full(len(cells), NO_LINE))
    crowds = sum(bool(box.get("iscrowd")) for box in content["annotations"])
    notes = (f"{crowds:,} crowd regions count as present",) if crowds else ()
    return Loaded(builder.finish(classes, -1 if options.exhaustive else 0), READER.name, notes)


def load_content(path: Path, options: ReadOptions) -> Content:
    """Read a COCO file and check its three lists.

    Raises:
        LabelFileError: not JSON, or not COCO.
    """
    encoding = check_text(path, options.encoding)
    try:
        with path.open(encoding=encoding) as stream:
            content = json.load(stream, object_hook=_without_outlines)
    except json.JSONDecodeError as error:
        text = f"not valid JSON at character {error.colno}: {error.msg}"
        end = "" if error.doc[error.pos :].strip() else "; the file ends too early"
        raise LabelFileError(path, text + end, line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise LabelFileError(path, f"not a COCO file: {error}") from None
    for key in ("images", "annotations", "categories"):
        value = content.get(key) if isinstance(content, dict) else None
        if not isinstance(value, list):
            raise LabelFileError(path, f"not a COCO detection file: it has no list {key!r}")
        for number, item in enumerate(value):
            if not isinstance(item, dict):
                raise LabelFileError(path, f"{key}[{number}] is {_short(item)}, not an object")
    return cast(Content, content)


def _without_outlines(item: dict[str, Any]) -> dict[str, Any]:
    item.pop("segmentation", None)  # most of the file, and nothing about presence
    return item


def _short(value: object) -> str:
    text = reprlib.repr(value)  # of a deep list, repr itself would fail
    return text if len(text) <= 40 else text[:37] + "..."


def _get(path: Path, item: dict[str, Any], key: str, kinds: tuple[type, ...], where: str) -> Any:
    value = item.get(key)
    if not isinstance(value, kinds) or isinstance(value, bool):
        problem = f"{where} has no {key!r}" if value is None else f"{where} has {key!r}: {_short(value)}"
        raise LabelFileError(path, f"{problem}; expected {' or '.join(_WORDS[kind] for kind in kinds)}")
    return value


def _by_id(path: Path, items: list[dict[str, Any]], key: str, numbers: list[int]) -> dict[_Id, int]:
    """Return the number of each item by its id."""
    found: dict[_Id, int] = {}
    for position, (item, number) in enumerate(zip(items, numbers, strict=True)):
        name = _get(path, item, "id", (int, str), f"{key}[{position}]")
        if name in found:
            raise LabelFileError(path, f"{key}[{position}]: id {name!r} stands twice")
        found[name] = number
    return found


def category_columns(path: Path, items: list[dict[str, Any]]) -> dict[_Id, int]:
    """Return the position of each category by its id.

    Raises:
        LabelFileError: an id or name is missing or stands twice.
    """
    return _categories(path, items, ClassList(ReadOptions(), keep_order=True))


def _categories(path: Path, items: list[dict[str, Any]], classes: ClassList) -> dict[_Id, int]:
    seen: dict[int, int] = {}
    for position, item in enumerate(items):
        name = _get(path, item, "name", (str,), f"categories[{position}]")
        number = classes.number(name, path)
        if number in seen:
            raise LabelFileError(path, f"categories {seen[number]} and {position} are both called {name!r}")
        seen[number] = position
    return _by_id(path, items, "categories", list(seen))


def _look_up(path: Path, table: dict[_Id, int], item: dict[str, Any], key: str, where: str, kind: str) -> int:
    name = _get(path, item, key, (int, str), where)
    if name not in table:
        raise LabelFileError(path, f"{where} has {key} {name!r}, but no {kind} has this id")
    return table[name]


def _boxes(
    path: Path, boxes: list[dict[str, Any]], image_of: dict[_Id, int], column: dict[_Id, int]
) -> Iterator[tuple[int, int, int]]:
    for position, box in enumerate(boxes):
        where = f"annotations[{position}]"
        image = _look_up(path, image_of, box, "image_id", where, "image")
        yield image, _look_up(path, column, box, "category_id", where, "category"), 1


def _checked(
    path: Path, images: list[dict[str, Any]], image_of: dict[_Id, int], column: dict[_Id, int]
) -> Iterator[tuple[int, int, int]]:
    for position, image in enumerate(images):
        for key, value in (("neg_category_ids", -1), ("not_exhaustive_category_ids", 0)):
            names = image.get(key)
            if names is None:
                continue
            where = f"images[{position}]"
            for name in _get(path, image, key, (list,), where):
                found = _look_up(path, column, {key: name}, key, where, "category")
                yield image_of[image["id"]], found, value


READER = Reader(
    name="coco",
    summary="COCO detection JSON; LVIS negatives are kept",
    kind="json",
    uses=frozenset({"encoding"}),
    sniff=_sniff,
    read=read,
)
