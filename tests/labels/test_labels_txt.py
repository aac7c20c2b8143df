"""A folder with one text file per image: tags, or YOLO boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onelabel.io.errors import OneLabelError
from onelabel.labels import Loaded, ReadOptions, load_labels


def folder(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(path: Path, **options: Any) -> Loaded:
    return load_labels(path, ReadOptions(**options))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(OneLabelError) as caught:
        read(path, **options)
    return str(caught.value)


def test_tags_beside_the_photos(tmp_path: Path) -> None:
    folder(
        tmp_path,
        {"a.txt": "long hair, cat\n dog ,\n", "a.jpg": "", "b.PNG": "", "b.txt": "cat\r\nowl", "c.txt": ""},
    )
    loaded = read(tmp_path)
    table = loaded.table
    assert loaded.format == "txt"
    assert list(table.ids) == ["a.jpg", "b.PNG", "c"]
    assert table.class_ids == ("cat", "dog", "long hair", "owl")
    assert table.dense().tolist() == [[1, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    assert loaded.notes[0] == "text files hold class names, one a line or separated by commas"
    assert "1 text files have no photo" in loaded.notes[1] and "such as c" in loaded.notes[1]
    assert read(tmp_path, exhaustive=True).table.rows([2]).tolist() == [[-1, -1, -1, -1]]


def test_a_class_with_a_comma_that_is_in_classes(tmp_path: Path) -> None:
    folder(tmp_path, {"a.txt": "box, small\ncat"})
    (classes := tmp_path.parent / "names.txt").write_text("box, small\ncat\n")
    assert read(tmp_path, classes_file=classes).table.dense().tolist() == [[1, 1]]
    folder(tmp_path, {"b.txt": "cat\ncta"})
    message = refused(tmp_path, classes_file=classes)
    assert "b.txt, line 2: class 'cta' is not in --classes (did you mean 'cat'?)" in message


def test_yolo_boxes(tmp_path: Path) -> None:
    labels = folder(
        tmp_path / "labels", {"s/a.txt": "1 0.5 .5 0.2 1e-3\n0 0.1 0.1 0.1 0.1\n1 0 0 1 1\n", "b.txt": ""}
    )
    photos = folder(tmp_path / "images", {"s/a.jpg": "", "b.jpg": ""})
    assert "holds class numbers: give their names, one a line, --classes FILE" in refused(
        labels, format="txt"
    )
    (labels / "classes.txt").write_text("cat\ndog\nowl\n")
    loaded = read(labels, format="txt", images=photos)
    assert list(loaded.table.ids) == ["b.jpg", "s/a.jpg"]
    assert loaded.table.class_ids == ("cat", "dog", "owl")
    assert loaded.table.dense().tolist() == [[0, 0, 0], [1, 1, 0]]
    assert loaded.notes == ("text files hold YOLO boxes",)
    (labels / "classes.txt").write_text("cat\n")
    assert "a.txt, line 1: class number 1, but there are 1 classes, counted from 0" in refused(
        labels, format="txt"
    )


def test_below_the_image_folder(tmp_path: Path) -> None:
    folder(tmp_path, {"set/a.txt": "cat", "set/a.jpg": "", "a.jpg": ""})
    assert list(read(tmp_path / "set", images=tmp_path).table.ids) == ["set/a.jpg"]


def test_what_is_no_such_folder(tmp_path: Path) -> None:
    folder(tmp_path, {"cat/a.jpg": "", "readme.txt": "hello"})
    assert read(tmp_path).format == "folders"
    assert "there is no .txt file in" in refused(tmp_path / "cat", format="txt")
    folder(tmp_path, {"two/a.txt": "cat", "two/a.jpg": "", "two/a.png": ""})
    assert "may belong to a.jpg or to a.png" in refused(tmp_path / "two")
    folder(tmp_path, {"bad/a.txt": b"caf\xe9"})
    assert "byte 0xE9 at offset 3 is not valid UTF-8" in refused(tmp_path / "bad")
    assert read(tmp_path / "bad", encoding="latin-1").table.class_ids == ("café",)
