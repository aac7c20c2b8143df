"""List CSV: all positives of an image in one cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels import Loaded, ReadOptions, load_labels
from onelabel.labels.readers.blanks import Blanks


def read(tmp_path: Path, text: str, **options: Any) -> Loaded:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return load_labels(path, ReadOptions(**options))


@pytest.mark.parametrize("mark", ["|", ";", ",", " "])
def test_delimiter_is_found(tmp_path: Path, mark: str) -> None:
    text = f'image,labels\na.jpg,"dog{mark}cat"\nb.jpg,\nc.jpg,"owl{mark}"\nd.jpg,cat{mark}owl{mark}dog\n'
    text = text.replace("cat,owl,dog", '"cat,owl,dog"')
    loaded = read(tmp_path, text)
    assert loaded.format == "list-csv"
    assert loaded.table.class_ids == ("cat", "dog", "owl")
    assert loaded.table.dense().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]]
    assert any("separated by" in note for note in loaded.notes)


def test_blanks_in_names_are_kept_beside_another_delimiter(tmp_path: Path) -> None:
    table = read(tmp_path, "image,labels\na.jpg,potted plant| vase \n").table
    assert table.class_ids == ("potted plant", "vase")


NAMES_OF_SEVERAL_WORDS = {
    "digits": [f"digit {word}" for word in ("zero", "one", "two", "three", "four", "five")],
    "bears": ["polar bear", "grizzly bear", "dog"],
    "one word inside another name": ["hot dog", "dog"],
    "names that cross": ["fire truck", "truck", "fire hydrant", "fire"],
    "the same name again": ["vase", "potted plant", "vase", "potted plant", " potted  plant"],
    "one cell": ["dog cat"],
    "twice the same word": ["Bora Bora", "Fiji"],
}


@pytest.mark.parametrize("cells", NAMES_OF_SEVERAL_WORDS.values(), ids=NAMES_OF_SEVERAL_WORDS.keys())
def test_blanks_that_may_be_inside_names_are_asked_about(tmp_path: Path, cells: list[str]) -> None:
    text = "image,labels\n" + "".join(f"{row}.jpg,{cell}\n" for row, cell in enumerate(cells))
    with pytest.raises(LabelFileError) as caught:
        read(tmp_path, text)
    line = next(line for line, cell in enumerate(cells, start=2) if " " in cell)
    assert f"labels.csv, line {line}, column 'labels': {cells[line - 2]!r} may be" in str(caught.value)
    assert "--delimiter ' ' if" in str(caught.value) and "--delimiter '|' if" in str(caught.value)
    whole = read(tmp_path, text, delimiter="|")
    assert set(whole.table.class_ids) == {cell.strip() for cell in cells}
    assert "no cell holds '|': every cell is read as one label" in whole.notes
    split = read(tmp_path, text, delimiter=" ")
    assert set(split.table.class_ids) == set(" ".join(cells).split()) and not split.notes
    known = tuple({cell.strip(): None for cell in cells})
    assert read(tmp_path, text, class_ids=known).table.class_ids == known


def test_blanks_between_labels_are_plain(tmp_path: Path) -> None:
    """As in the lists of the competition 'Understanding the Amazon from Space'."""
    cells = [
        "haze primary",
        "agriculture clear primary water",
        "clear primary",
        "clear",
        "water clear bare_ground",
    ]
    loaded = read(tmp_path, "image,tags\n" + "".join(f"{row}.jpg,{cell}\n" for row, cell in enumerate(cells)))
    assert loaded.notes == ("labels are separated by blanks",)
    assert loaded.table.class_ids == ("agriculture", "bare_ground", "clear", "haze", "primary", "water")


def test_words_that_always_stand_together_are_noted(tmp_path: Path) -> None:
    text = "image,labels\na.jpg,potted plant vase\nb.jpg,vase cat\nc.jpg,cat potted plant\n"
    (note,) = read(tmp_path, text).notes
    assert "'potted plant' always stand together" in note and "separate the labels by '|'" in note


def test_known_classes_are_split_at_blanks_without_asking(tmp_path: Path) -> None:
    assert read(
        tmp_path, "image,labels\na.jpg,dog cat\n", class_ids=("cat", "dog")
    ).table.dense().tolist() == [[1, 1]]


WORDS = st.sampled_from(["polar", "bear", "dog", "hot", "sea", "lion", "é"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=9))
def test_blanks_are_split_by_the_rule_or_refused(tmp_path: Path, cells: list[str]) -> None:
    """A slow reading of the rule in docs/labels.md decides the same; the labels are the words."""
    several = {frozenset(cell.split()) for cell in cells if " " in cell}
    words = [word for cell in several for word in cell]
    again = sum(words.count(word) > 1 for word in set(words))
    text = "image,labels\n" + "".join(f"{row}.jpg,{cell}\n" for row, cell in enumerate(cells))
    if again < len(set(words)) / 2:
        with pytest.raises(LabelFileError, match="may be several labels or one name"):
            read(tmp_path, text)
    else:
        table = read(tmp_path, text).table
        rows = [{table.class_ids[column] for column in row.nonzero()[0]} for row in table.dense() == 1]
        assert rows == [set(cell.split()) for cell in cells]


def test_cells_are_counted_up_to_a_bound() -> None:
    """Beyond it nothing is kept: the rule is decided by the first 10,000 different cells."""
    blanks = Blanks()
    for row in range(10_000):
        blanks.add(f"name {row}", row)
    for row in range(30_000):
        blanks.add(f"clear w{row % 15_000} w{(row + 1) % 15_000}", row)
    assert not blanks.separate() and len(blanks._seen) == len(blanks._sets) == 10_000


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
    text = f'Datei,Arten\na.jpg,"Hund{mark}Katze"\nb.jpg,Hund\nc.jpg,\nd.jpg,"Hund{mark}Katze{mark}Wal"\n'
    with pytest.raises(LabelFileError, match="--label-column Arten") as caught:
        read(tmp_path, text, image_column="Datei")
    assert "--values" not in str(caught.value)
    loaded = read(tmp_path, text, image_column="Datei", label_column="Arten")
    assert loaded.format == "list-csv"
    assert loaded.table.dense().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]]


def test_repeated_images_are_a_list_only_with_a_sure_mark(tmp_path: Path) -> None:
    names = {"image_column": "Datei", "label_column": "Arten"}
    assert read(tmp_path, "Datei,Arten\na.jpg,x|y\na.jpg,z\n", **names).format == "list-csv"
    assert read(tmp_path, "Datei,Arten\na.jpg,x\na.jpg,z|y\n", **names).format == "list-csv"
    assert read(tmp_path, "Datei,Arten\na.jpg,x\na.jpg,z\n", **names).format == "long-csv"
    assert read(tmp_path, "Datei,Arten\na.jpg,x\nb.jpg,z\n", **names).format == "list-csv"
    assert read(tmp_path, "Datei,Arten,value\na.jpg,x,1\nb.jpg,z,-1\n", **names).format == "long-csv"
    valued = "Datei,Arten,value\na.jpg,x,1\nb.jpg,z,-1\n"
    with pytest.raises(OneLabelError, match="--delimiter has no meaning for long-csv"):
        read(tmp_path, valued, **names, delimiter="/")
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
