"""Long CSV: one row per image and class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onelabel.io.errors import LabelFileError
from onelabel.labels import Loaded, ReadOptions, load_labels


def read(tmp_path: Path, text: str, **options: Any) -> Loaded:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return load_labels(path, ReadOptions(**options))


def dense(tmp_path: Path, text: str, **options: Any) -> list[list[int]]:
    return read(tmp_path, text, **options).table.dense().tolist()  # type: ignore[no-any-return]


def refused(tmp_path: Path, text: str, **options: Any) -> str:
    with pytest.raises(LabelFileError) as caught:
        read(tmp_path, text, **options)
    return str(caught.value)


def test_rows_without_value_are_positives_and_classes_are_sorted(tmp_path: Path) -> None:
    loaded = read(tmp_path, "image,label\nb.jpg,dog\na.jpg,cat\nb.jpg,cat\nb.jpg,dog\n")
    assert loaded.format == "long-csv"
    assert list(loaded.table.ids) == ["b.jpg", "a.jpg"]
    assert loaded.table.class_ids == ("cat", "dog")
    assert loaded.table.dense().tolist() == [[1, 1], [1, 0]]


def test_what_is_not_listed_is_absent_only_if_exhaustive(tmp_path: Path) -> None:
    text = "image,label\na.jpg,cat\nb.jpg,dog\n"
    assert dense(tmp_path, text) == [[1, 0], [0, 1]]
    assert dense(tmp_path, text, exhaustive=True) == [[1, -1], [-1, 1]]


def test_image_without_label_is_kept(tmp_path: Path) -> None:
    table = read(tmp_path, "image,label\na.jpg,cat\nb.jpg, \n").table
    assert table.dense().tolist() == [[1], [0]]


def test_zero_is_absent_where_pairs_are_not_listed(tmp_path: Path) -> None:
    assert dense(tmp_path, "image,label,value\na.jpg,cat,1\na.jpg,dog,0\nb.jpg,cat,1\n") == [[1, -1], [1, 0]]


def test_every_pair_listed_as_zero_or_one_is_ambiguous(tmp_path: Path) -> None:
    text = "image,label,value\na.jpg,cat,1\na.jpg,dog,0\n"
    assert "Add --exhaustive to read it as 1 present, 1 absent, 0 unknown" in refused(tmp_path, text)
    assert dense(tmp_path, text, exhaustive=True) == [[1, -1]]
    assert dense(tmp_path, text, exhaustive=False) == [[1, 0]]


def test_values_and_blank(tmp_path: Path) -> None:
    text = "image,label,value\na.jpg,cat,1\na.jpg,dog,-1\na.jpg,owl,\n"
    assert dense(tmp_path, text) == [[1, -1, 0]]
    assert dense(tmp_path, text, exhaustive=True) == [[1, -1, -1]]
    assert dense(tmp_path, text, values="1=+,-1=?", exhaustive=True) == [[1, 0, -1]]


def test_strange_value_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, "image,label,value\na.jpg,cat,1\nb.jpg,cat,maybe\n")
    assert "line 3, column 'value': value 'maybe' is not 1, 0, -1 or blank" in message
    assert '--values "1=+,maybe=?"' in message
    both = refused(tmp_path, "image,label,value\na.jpg,cat,-1\nb.jpg,cat,0\n")
    assert "line 3, column 'value': 0 here and -1 at line 2" in both


def test_contradiction_names_both_lines(tmp_path: Path) -> None:
    text = "image,label,value\na.jpg,cat,1\nb.jpg,cat,1\na.jpg,dog,1\na.jpg,cat,-1\n"
    assert "(lines 2 and 5): correct one of them" in refused(tmp_path, text)


def test_weights_are_kept_the_larger_for_repeated_rows(tmp_path: Path) -> None:
    text = "image,label,confidence\na.jpg,cat,0.5\na.jpg,cat,0.75\na.jpg,dog,\n"
    table = read(tmp_path, text).table
    assert table.weight_rows([0]).tolist() == [[0.75, 1.0]]
    assert table.weight_rows([0]).dtype == np.float32


@pytest.mark.parametrize("weight", ["0", "1.5", "-1", "nan", "high"])
def test_bad_weight_is_named(tmp_path: Path, weight: str) -> None:
    message = refused(tmp_path, f"image,label,weight\na.jpg,cat,1\nb.jpg,cat,{weight}\n")
    assert f"line 3, column 'weight': weight {weight!r} is not a number in (0, 1]" in message
    assert "--value-column weight" in message


def test_openimages_confidence_is_a_value_when_named(tmp_path: Path) -> None:
    text = (
        "ImageID,Source,LabelName,Confidence\na,verification,cat,1\na,verification,dog,0\nb,machine,cat,1\n"
    )
    assert "--value-column Confidence" in refused(tmp_path, text)
    loaded = read(tmp_path, text, value_column="Confidence", ignore_columns=("Source",))
    assert loaded.table.dense().tolist() == [[1, -1], [1, 0]]
    assert loaded.table.weights is None
    assert loaded.notes == ()


def test_columns_not_read_are_named(tmp_path: Path) -> None:
    loaded = read(tmp_path, "image,label,author,split\na.jpg,cat,me,train\n")
    assert loaded.notes == ("column 'split' is read as the split of each image", "columns not read: 'author'")


def test_unread_column_that_says_yes_and_no_is_pointed_out(tmp_path: Path) -> None:
    text = "image,label,seen,author\na.jpg,cat,ja,x\nb.jpg,cat,nein,y\n"
    loaded = read(tmp_path, text)
    assert loaded.notes == (
        "columns not read: 'author'",
        "column 'seen' is not read; if it says present or absent, give --value-column seen",
    )
    message = refused(tmp_path, text, value_column="seen")
    assert '--values "ja=+,nein=-"' in message
    assert dense(tmp_path, text, value_column="seen", values="ja=+,nein=-") == [[1], [-1]]


@pytest.mark.parametrize("words", ["yes no", "True False", "1 0", "y n", "present absent", "1 -1", "oui non"])
def test_words_for_present_and_absent(tmp_path: Path, words: str) -> None:
    yes, no = words.split()
    notes = read(tmp_path, f"image,label,is it\na.jpg,cat,{yes}\nb.jpg,cat,{no}\nc.jpg,cat,\n").notes
    assert notes[0].endswith("give --value-column 'is it'")


def test_other_unread_columns_are_not_taken_for_values(tmp_path: Path) -> None:
    many = "".join(f"{i}.jpg,cat,{i},yes,no,1\n" for i in range(20))
    text = "image,label,number,all,remark,value\n" + many + "x.jpg,cat,0,yes,no idea,1\n"
    assert read(tmp_path, text).notes == ("columns not read: 'number', 'all', 'remark'",)


def test_names_of_ones_own_for_single_labels(tmp_path: Path) -> None:
    text = "Datei,Art\na.jpg,Roter Milan\na.jpg,Fuchs\nb.jpg,Fuchs\n"
    message = refused(tmp_path, text, image_column="Datei")
    assert "if 'Art' holds the class or classes of each image, --label-column Art" in message
    loaded = read(tmp_path, text, image_column="Datei", label_column="Art")
    assert loaded.format == "long-csv"
    assert loaded.table.class_ids == ("Fuchs", "Roter Milan")


def test_list_in_a_label_column_is_asked_about(tmp_path: Path) -> None:
    text = "image,label\na.jpg,cat|dog\n"
    message = refused(tmp_path, text)
    assert "line 2, column 'label': 'cat|dog' holds '|'" in message
    assert "--format list-csv --label-column label" in message
    forced = read(tmp_path, text, format="list-csv", label_column="label")
    assert forced.table.class_ids == ("cat", "dog")
    assert read(tmp_path, text, format="long-csv").table.class_ids == ("cat|dog",)
    assert read(tmp_path, text, class_ids=("cat|dog",)).table.class_ids == ("cat|dog",)


def test_unknown_class_gives_line_and_nearest(tmp_path: Path) -> None:
    message = refused(tmp_path, "image,label\na.jpg,cat\nb.jpg,catt\n", class_ids=("cat", "dog"))
    assert "line 3, column 'label': class 'catt' is not a known class (did you mean 'cat'?)" in message


def test_columns_by_name(tmp_path: Path) -> None:
    text = "kind,foto,state\ncat,a.jpg,1\n"
    loaded = read(tmp_path, text, image_column="foto", label_column="kind", value_column="state")
    assert loaded.format == "long-csv"
    assert loaded.table.dense().tolist() == [[1]]


def test_pieces_do_not_change_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a}.jpg,c{b},{0.25 * (1 + a * b % 4)}" for a, b in rng.integers(0, 30, (500, 2)).tolist()]
    text = "image,label,weight\n" + "\n".join(rows) + "\n"
    whole = read(tmp_path, text).table
    monkeypatch.setattr("onelabel.labels.readers.long_csv._ROWS_AT_ONCE", 7)
    monkeypatch.setattr("onelabel.labels.entries._IDS_AT_ONCE", 3)
    assert read(tmp_path, text).table == whole
