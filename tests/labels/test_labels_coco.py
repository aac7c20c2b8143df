"""COCO detection JSON, with the negatives of LVIS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onelabel.io.errors import LabelFileError
from onelabel.labels import Loaded, ReadOptions, load_labels


def content() -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", "neg_category_ids": [3], "not_exhaustive_category_ids": [90]},
            {"id": 2, "file_name": "sub/a.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 1, "segmentation": {"counts": [1]}},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]},
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 90, "name": "ant"}, {"id": 3, "name": "cat"}],
    }


def read(tmp_path: Path, data: object, **options: Any) -> Loaded:
    path = tmp_path / "labels.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return load_labels(path, ReadOptions(**options))


def test_file_order_json_order_and_images_without_boxes(tmp_path: Path) -> None:
    loaded = read(tmp_path, content())
    assert loaded.format == "coco"
    assert loaded.notes == ("1 crowd regions count as present",)
    assert list(loaded.table.ids) == ["b.jpg", "sub/a.jpg"]
    assert loaded.table.class_ids == ("dog", "ant", "cat")
    assert loaded.table.dense().tolist() == [[1, 0, -1], [0, 0, 0]]


def test_not_exhaustive_stays_unknown_when_exhaustive(tmp_path: Path) -> None:
    assert read(tmp_path, content(), exhaustive=True).table.dense().tolist() == [[1, 0, -1], [-1, -1, -1]]


def test_given_classes_fix_the_order(tmp_path: Path) -> None:
    table = read(tmp_path, content(), class_ids=("cat", "owl", "dog", "ant")).table
    assert table.dense().tolist() == [[-1, 0, 1, 0], [0, 0, 0, 0]]


def test_text_as_ids(tmp_path: Path) -> None:
    text = json.dumps(content()).replace('"id": 7', '"id": "x"').replace('"image_id": 7', '"image_id": "x"')
    assert read(tmp_path, text).table.dense().tolist() == [[1, 0, -1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        (("annotations", 0), "image_id", 99, r"annotations\[0\] has image_id 99, but no image has this id"),
        (("annotations", 1), "category_id", 4, r"annotations\[1\] has category_id 4, but no category"),
        (("annotations", 1), "category_id", None, r"annotations\[1\] has no 'category_id'"),
        (
            ("annotations", 1),
            "category_id",
            [1],
            r"has 'category_id': \[1\]; expected a whole number or text",
        ),
        (("annotations", 1), "category_id", True, "expected a whole number or text"),
        (("images", 0), "file_name", None, r"images\[0\] has no 'file_name'"),
        (("images", 0), "file_name", "../x.jpg", r"leaves the image folder"),
        (("images", 0), "file_name", "\ud800.jpg", r"a character that no path can hold"),
        (("images", 0), "file_name", "a\0.jpg", r"a character that no path can hold"),
        (("images", 1), "id", 7, r"images\[1\]: id 7 stands twice"),
        (("images", 0), "neg_category_ids", [1], "marked both present and absent for class 'dog'"),
        (("images", 0), "neg_category_ids", 3, "expected a list"),
        (("images", 0), "neg_category_ids", [55], r"images\[0\] has neg_category_ids 55"),
        (("categories", 1), "name", "dog", "categories 0 and 1 are both called 'dog'"),
        (("categories", 1), "name", " ", "a class without a name"),
        (("categories", 1), "name", "\ud800", "control character"),
        (("categories", 1), "id", 1, r"categories\[1\]: id 1 stands twice"),
    ],
)
def test_bad_content(tmp_path: Path, where: tuple[str, int], key: str, value: object, message: str) -> None:
    data = content()
    data[where[0]][where[1]][key] = value
    with pytest.raises(LabelFileError, match=message) as caught:
        read(tmp_path, data)
    assert str(caught.value).startswith(str(tmp_path / "labels.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "has no list 'images'"),
        ("{}", "has no list 'images'"),
        ('{"images": [], "annotations": {}, "categories": []}', "has no list 'annotations'"),
        ('{"images": [3], "annotations": [], "categories": []}', r"images\[0\] is 3, not an object"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}', "no images"),
        ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": []}', "no class"),
        ('{"images":\n [1,]}', "line 2: not valid JSON at character"),
        ("{", "not valid JSON"),
        ("[" * 200_000, "not a COCO file"),
        ('{"images": ' + "9" * 10_000 + "}", "not a COCO file"),
    ],
)
def test_not_coco(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelFileError, match=message):
        read(tmp_path, text)


def test_byte_order_mark(tmp_path: Path) -> None:
    assert len(read(tmp_path, "\ufeff" + json.dumps(content())).table) == 2
