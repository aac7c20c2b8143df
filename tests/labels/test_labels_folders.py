"""A folder of class folders."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from onelabel.io.errors import OneLabelError
from onelabel.labels import ReadOptions, load_labels


def photos(root: Path, **files: str) -> Path:
    """Make photos; what is in them does not matter to labels, only whether two are the same."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_one_folder_per_class(tmp_path: Path) -> None:
    root = photos(
        tmp_path / "photos", cat__a_jpg="1", dog__b_jpg="2", dog__sub__c_png="3", dog__notes_txt="4"
    )
    (root / "owl").mkdir()
    (root / ".cache").mkdir()
    loaded = load_labels(root)
    assert loaded.format == "folders"
    assert loaded.table.class_ids == ("cat", "dog", "owl")
    assert list(loaded.table.ids) == ["cat/a.jpg", "dog/b.jpg", "dog/sub/c.png"]
    assert loaded.table.dense().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    exhaustive = load_labels(root, ReadOptions(exhaustive=True)).table
    assert exhaustive.dense().tolist() == [[1, -1, -1], [-1, 1, -1], [-1, 1, -1]]


def test_same_photo_in_two_class_folders_is_one_image_with_two_positives(tmp_path: Path) -> None:
    root = photos(tmp_path, cat__a_jpg="same", dog__a_jpg="same", owl__a_jpg="other", owl__b_jpg="same")
    loaded = load_labels(root)
    assert list(loaded.table.ids) == ["cat/a.jpg", "owl/a.jpg", "owl/b.jpg"]
    assert loaded.table.dense().tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert "cat/a.jpg = dog/a.jpg; the first path is the id" in loaded.notes[0]
    assert loaded.copies == ("dog/a.jpg",)
    above = load_labels(root, ReadOptions(images=root.parent))
    assert above.copies == (f"{root.name}/dog/a.jpg",)


def test_photos_beside_the_class_folders_have_nothing_known(tmp_path: Path) -> None:
    loaded = load_labels(photos(tmp_path, cat__a_jpg="1", a_jpg="1"))
    assert list(loaded.table.ids) == ["a.jpg", "cat/a.jpg"]
    assert loaded.table.dense().tolist() == [[0], [1]]
    assert "1 photos beside the class folders" in loaded.notes[0]


def test_ids_are_relative_to_the_image_folder(tmp_path: Path) -> None:
    photos(tmp_path, all__cat__a_jpg="1")
    assert list(load_labels(tmp_path / "all", ReadOptions(images=tmp_path)).table.ids) == ["all/cat/a.jpg"]
    assert list(load_labels(tmp_path / "all", ReadOptions(images=tmp_path / "all")).table.ids) == [
        "cat/a.jpg"
    ]
    with pytest.raises(OneLabelError, match="is not inside the image folder"):
        load_labels(tmp_path / "all", ReadOptions(images=tmp_path / "other"))


def test_folders_of_splits_are_not_classes(tmp_path: Path) -> None:
    photos(tmp_path, train__cat__a_jpg="1", val__cat__b_jpg="2")
    with pytest.raises(OneLabelError, match=r"like splits: give one of them, such as .*train"):
        load_labels(tmp_path)
    assert load_labels(tmp_path, ReadOptions(format="folders")).table.class_ids == ("train", "val")


@pytest.mark.parametrize("files", [{}, {"a_jpg": "1"}])
def test_no_class_folders(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(OneLabelError, match="has no folders in it: give one folder per class"):
        load_labels(photos(tmp_path, **files))


def test_class_folders_without_photos(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match="no images"):
        load_labels(photos(tmp_path, cat__a_txt="1"))


def test_folder_that_is_no_known_class(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"class 'catt' is not a known class \(did you mean 'cat'\?\)"):
        load_labels(photos(tmp_path, catt__a_jpg="1"), ReadOptions(class_ids=("cat",)))


def test_names_are_composed(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "müll")
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.jpg").write_text("x")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.jpg").write_text("x")
    table = load_labels(tmp_path).table
    assert table.class_ids == ("cat", "müll")
    assert table.dense().tolist() == [[1, 1]]
