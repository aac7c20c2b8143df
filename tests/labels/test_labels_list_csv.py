"""List CSV: all positives of an image in one cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels import Loaded, ReadOptions, load_labels


def read(tmp_path: Path, text: str, **options: Any) -> Loaded:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return load_labels(path, ReadOptions(**options))


@pytest.mark.parametrize("mark", ["|", ";", ",", " "])
def test_delimiter_is_found(tmp_path: Path, mark: str) -> None:
    loaded = read(tmp_path, f'image,labels\na.jpg,"dog{mark}cat"\nb.jpg,\nc.jpg,"owl{mark}"\n')
    assert loaded.format == "list-csv"
    assert loaded.table.class_ids == ("cat", "dog", "owl")
    assert loaded.table.dense().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert any("separated by" in note for note in loaded.notes)


def test_blanks_in_names_are_kept_beside_another_delimiter(tmp_path: Path) -> None:
    table = read(tmp_path, "image,labels\na.jpg,potted plant| vase \n").table
    assert table.class_ids == ("potted plant", "vase")


def test_blanks_in_names_are_warned_about_and_kept_for_known_classes(tmp_path: Path) -> None:
    text = "image,labels\na.jpg,potted plant\nb.jpg,vase\nc.jpg,potted plant\n"
    notes = " ".join(read(tmp_path, text).notes)
    assert "'potted plant' always stand together" in notes
    assert "--format long-csv --label-column labels" in notes
    assert read(tmp_path, text, class_ids=("vase", "potted plant")).table.class_ids == (
        "vase",
        "potted plant",
    )
    assert read(tmp_path, text, format="long-csv", label_column="labels").table.num_classes == 2


def test_delimiter_can_be_forced(tmp_path: Path) -> None:
    text = "image,labels\na.jpg,cat/dog|x\n"
    assert read(tmp_path, text, delimiter="/").table.class_ids == ("cat", "dog|x")
    with pytest.raises(OneLabelError, match="--delimiter is blank"):
        read(tmp_path, text, delimiter="")


def test_exhaustive_lists_and_repeated_images(tmp_path: Path) -> None:
    text = "image,labels\na.jpg,cat\nb.jpg,dog\na.jpg,owl\n"
    assert read(tmp_path, text, exhaustive=True).table.dense().tolist() == [[1, -1, 1], [-1, 1, -1]]


def test_other_columns_are_not_read_and_named(tmp_path: Path) -> None:
    loaded = read(tmp_path, "image,labels,scene,split\na.jpg,cat|dog,field,train\n")
    assert "columns not read: 'scene'" in loaded.notes
    assert loaded.table.groups is None
    assert loaded.table.split_names == ("train",)
    grouped = read(tmp_path, "image,labels,scene\na.jpg,cat|dog,field\n", group_column="scene").table
    assert list(grouped.group_names) == ["field"]


def test_python_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelFileError, match=r"line 3, column 'labels': .* looks like a Python list"):
        read(tmp_path, "image,labels\na.jpg,cat\nb.jpg,\"['cat', 'dog']\"\n")


def test_unknown_class_gives_line_column_and_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        LabelFileError, match=r"line 3, column 'labels': class 'dgo' .* \(did you mean 'dog'\?\)"
    ):
        read(tmp_path, "image,labels\na.jpg,cat|dog\nb.jpg,dgo\n", class_ids=("cat", "dog"))


@pytest.mark.parametrize("mark", ["|", ";", ",", " "])
def test_names_of_ones_own(tmp_path: Path, mark: str) -> None:
    text = f'Datei,Arten\na.jpg,"Hund{mark}Katze"\nb.jpg,Hund\nc.jpg,\n'
    with pytest.raises(LabelFileError, match="--label-column Arten") as caught:
        read(tmp_path, text, image_column="Datei")
    assert "--values" not in str(caught.value)
    loaded = read(tmp_path, text, image_column="Datei", label_column="Arten")
    assert loaded.format == "list-csv"
    assert loaded.table.dense().tolist() == [[1, 1], [1, 0], [0, 0]]


def test_repeated_images_are_a_list_only_with_a_sure_mark(tmp_path: Path) -> None:
    names = {"image_column": "Datei", "label_column": "Arten"}
    assert read(tmp_path, "Datei,Arten\na.jpg,x|y\na.jpg,z\n", **names).format == "list-csv"
    assert read(tmp_path, "Datei,Arten\na.jpg,x\na.jpg,z|y\n", **names).format == "list-csv"
    assert read(tmp_path, "Datei,Arten\na.jpg,x\na.jpg,z\n", **names).format == "long-csv"
    assert read(tmp_path, "Datei,Arten\na.jpg,x\nb.jpg,z\n", **names).format == "list-csv"
    assert read(tmp_path, "Datei,Arten,value\na.jpg,x,1\nb.jpg,z,-1\n", **names).format == "long-csv"
    slash = read(tmp_path, "Datei,Arten\na.jpg,x/y\na.jpg,z\n", **names, delimiter="/")
    assert slash.table.class_ids == ("x", "y", "z")


@pytest.mark.parametrize("name", ["photo", "Picture", "file", "Photo Path"])
def test_image_column_is_known(tmp_path: Path, name: str) -> None:
    assert list(read(tmp_path, f"{name},labels\na.jpg,cat\n").table.ids) == ["a.jpg"]


def test_label_column_by_name(tmp_path: Path) -> None:
    text = "image,found\na.jpg,cat|dog\n"
    assert read(tmp_path, text, format="list-csv", label_column="found").table.num_classes == 2
    with pytest.raises(LabelFileError, match="no column is called 'labels'; name it: --label-column NAME"):
        read(tmp_path, text, format="list-csv")


def test_single_labels_are_said_to_be(tmp_path: Path) -> None:
    assert read(tmp_path, "image,labels\na.jpg,cat\n").notes == ("every image has at most one label",)
