"""Wide CSV: what 1, 0, -1 and blank mean, and which files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "labels.csv"))
    assert "\n" not in message
    return message


MIXED = "image,cat,dog\na.jpg,1,-1\nb.jpg,,1\n"
BINARY = "image,cat,dog\na.jpg,1,0\nb.jpg,0,0\n"


def test_one_minus_one_and_blank_need_no_flag(tmp_path: Path) -> None:
    loaded = read(tmp_path, MIXED)
    assert loaded.format == "wide-csv"
    assert list(loaded.table.ids) == ["a.jpg", "b.jpg"]
    assert loaded.table.class_ids == ("cat", "dog")
    assert loaded.table.dense().tolist() == [[1, -1], [0, 1]]
    assert dense(tmp_path, MIXED, exhaustive=True) == [[1, -1], [-1, 1]]


def test_only_zeros_and_ones_are_refused_with_both_readings_in_counts(tmp_path: Path) -> None:
    message = refused(tmp_path, BINARY)
    assert "Add --exhaustive to read it as 1 present, 3 absent, 0 unknown" in message
    assert "--no-exhaustive for 1 present, 0 absent, 3 unknown" in message
    assert dense(tmp_path, BINARY, exhaustive=True) == [[1, -1], [-1, -1]]
    assert dense(tmp_path, BINARY, exhaustive=False) == [[1, 0], [0, 0]]


def test_exhaustive_stores_only_what_is_present(tmp_path: Path) -> None:
    table = read(tmp_path, BINARY, exhaustive=True).table
    assert table.default.tolist() == [-1, -1]
    assert len(table.indices) == 1


@pytest.mark.parametrize("exhaustive", [None, False])
def test_zero_beside_blanks_is_absent(tmp_path: Path, exhaustive: bool | None) -> None:
    text = "image,cat,dog\na.jpg,1,0\nb.jpg,,\n"
    assert dense(tmp_path, text, exhaustive=exhaustive) == [[1, -1], [0, 0]]


def test_floats_of_pandas_are_numbers(tmp_path: Path) -> None:
    assert dense(tmp_path, "image,cat,dog\na.jpg,1.0,0.0\nb.jpg, +1 ,\n") == [[1, -1], [1, 0]]


def test_zero_and_minus_one_need_values(tmp_path: Path) -> None:
    text = "image,cat,dog\na.jpg,1,0\nb.jpg,-1,\n"
    message = refused(tmp_path, text)
    assert "line 3, column 'cat': -1 here and 0 at line 2, column 'dog'" in message
    assert '--values "1=+,0=-,-1=?"' in message
    assert dense(tmp_path, text, values="1=+,0=-,-1=?") == [[1, -1], [0, 0]]
    assert dense(tmp_path, text, values="1=+,0=?,-1=-") == [[1, 0], [-1, 0]]


def test_explicit_unknown_stays_unknown_when_exhaustive(tmp_path: Path) -> None:
    text = "image,cat,dog,owl\na.jpg,1,-1,\n"
    assert dense(tmp_path, text, values="1=+,-1=?", exhaustive=True) == [[1, 0, -1]]


def test_other_values_are_named_with_line_and_column(tmp_path: Path) -> None:
    text = "image,cat,dog\na.jpg,1,\nb.jpg,1,yes\n"
    message = refused(tmp_path, text)
    assert "line 3, column 'dog': value 'yes' is not 1, 0, -1 or blank" in message
    assert '+ present, - absent, ? unknown, as in --values "1=+,yes=+,no=-"' in message
    assert "--ignore-columns dog" in message
    assert dense(tmp_path, text, values="1=+,yes=+") == [[1, 0], [1, 1]]
    assert "value 'yes' is not in --values" in refused(tmp_path, text, values="1=+")


@pytest.mark.parametrize(
    ("cells", "proposal"),
    [
        ("x,", "x=+"),
        ("No,Yes", "Yes=+,No=-"),
        ("1,x", "1=+,x=+"),
        ("1,?", "1=+,?=?"),
        ("0,unclear", "0=-,unclear=?"),
        ("1,2", "1=+,0=-,2=?"),
        ("FALSE,", "TRUE=+,FALSE=-"),
    ],
)
def test_proposed_values_make_sense_and_can_be_copied(tmp_path: Path, cells: str, proposal: str) -> None:
    text = f"image,cat,dog\na.jpg,{cells}\n"
    assert f'--values "{proposal}"' in refused(tmp_path, text)
    read(tmp_path, text, values=proposal)


def test_zero_beside_blanks_is_said_with_counts(tmp_path: Path) -> None:
    text = "image,cat,dog\na.jpg,1,0\nb.jpg,,\n"
    for exhaustive in (None, False):
        (note,) = read(tmp_path, text, exhaustive=exhaustive).notes
        assert "0 is read as absent: 1 cells; blank as unknown: 2 cells" in note
        assert note.endswith('--values "1=+,0=?"')
    assert read(tmp_path, text, exhaustive=True).notes == ()
    assert dense(tmp_path, text, values="1=+,0=?") == [[1, 0], [0, 0]]


NOTES_COLUMN = "image,cat,dog,notes\na.jpg,1,0, \nb.jpg,0,0,\n"


def test_a_column_without_values_says_nothing_about_zero(tmp_path: Path) -> None:
    assert "1 present, 3 absent, 0 unknown" in refused(tmp_path, NOTES_COLUMN)
    loaded = read(tmp_path, NOTES_COLUMN, exhaustive=False)
    assert loaded.table.class_ids == ("cat", "dog")
    assert loaded.table.dense().tolist() == [[1, 0], [0, 0]]
    (note,) = loaded.notes
    assert note.startswith("columns without any value are left out") and note.endswith("'notes'")
    assert dense(tmp_path, NOTES_COLUMN, exhaustive=True) == [[1, -1], [-1, -1]]


def test_a_column_without_values_stays_a_class_that_is_given(tmp_path: Path) -> None:
    classes = ("cat", "dog", "notes")
    message = refused(tmp_path, NOTES_COLUMN, class_ids=classes)
    assert "1 present, 5 absent, 0 unknown" in message and "0 absent, 5 unknown" in message
    for exhaustive, rest in ((False, 0), (True, -1)):
        loaded = read(tmp_path, NOTES_COLUMN, class_ids=classes, exhaustive=exhaustive)
        assert loaded.table.dense().tolist() == [[1, rest, rest], [rest, rest, rest]]
    assert read(tmp_path, NOTES_COLUMN, class_ids=("cat", "dog"), exhaustive=True).table.num_classes == 2


def test_a_column_without_values_stays_a_class_in_a_file_without_zeros(tmp_path: Path) -> None:
    """As ``onelabel simulate`` may write it: nothing is observed of a rare class."""
    loaded = read(tmp_path, "image,cat,rare\na.jpg,1,\nb.jpg,-1,\n")
    assert loaded.table.class_ids == ("cat", "rare")
    assert loaded.table.dense().tolist() == [[1, 0], [-1, 0]]
    assert loaded.notes == (
        "columns without any value are classes of which nothing is known: --ignore-columns NAMES if they are"
        " none: 'rare'",
    )


def test_repeated_images_are_counted_with_lines(tmp_path: Path) -> None:
    loaded = read(tmp_path, "image,cat\na.jpg,1\nb.jpg,1\n./b.jpg,\na.jpg,\nc.jpg,\na.jpg,\na.jpg,\n")
    assert loaded.notes == (
        "images in more than one row, which are merged: 2, such as 'a.jpg' (lines 2, 5, 7, ...)",
    )


def test_text_column_is_no_class_and_the_message_says_how_to_leave_it_out(tmp_path: Path) -> None:
    text = "image,cat,patient id\na.jpg,1,somebody with a long name\n"
    message = refused(tmp_path, text)
    assert "line 2, column 'patient id'" in message
    assert "--ignore-columns 'patient id'" in message
    assert "--values" not in message
    assert read(tmp_path, text, ignore_columns=("patient id",)).table.class_ids == ("cat",)
    grouped = read(tmp_path, text, group_column="patient id").table
    assert list(grouped.group_names) == ["somebody with a long name"]


@pytest.mark.parametrize("values", ["1", "1=yes", "1=+,1=-", "1=+,,", "=", "1=+,1.0=-"])
def test_values_that_cannot_be_read(tmp_path: Path, values: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(MIXED)
    with pytest.raises(Exception, match=r"cannot read .* in --values .* write it as --values"):
        load_labels(path, ReadOptions(values=values))


def test_columns_by_name_not_by_position(tmp_path: Path) -> None:
    table = read(tmp_path, "cat,dog,Image,split\n1,,a.jpg,train\n,1,b.jpg,\n").table
    assert list(table.ids) == ["a.jpg", "b.jpg"]
    assert table.dense().tolist() == [[1, 0], [0, 1]]
    assert table.split_names == ("train",)
    assert table.splits is not None and table.splits.tolist() == [0, -1]


def test_split_is_reported_and_group_is_never_guessed(tmp_path: Path) -> None:
    loaded = read(tmp_path, "image,split,cat\na.jpg,train,1\n")
    assert loaded.notes == ("column 'split' is read as the split of each image",)
    assert "column 'group'" in refused(tmp_path, "image,group,cat\na.jpg,g1,1\n")


def test_contradiction_names_both_lines(tmp_path: Path) -> None:
    message = refused(tmp_path, "image,cat,dog\na.jpg,1,-1\nb.jpg,1,\na.jpg,-1,\n")
    assert "line 4" in message
    assert "image 'a.jpg' is marked both present and absent for class 'cat' (lines 2 and 4)" in message


def test_contradiction_of_complete_rows_is_found(tmp_path: Path) -> None:
    assert "(lines 2 and 3)" in refused(tmp_path, "image,cat,dog\na.jpg,1,0\na.jpg,0,0\n", exhaustive=True)


def test_rows_that_agree_are_merged(tmp_path: Path) -> None:
    table = read(tmp_path, "image,cat,dog,owl\na.jpg,1,,\n./a.jpg,,-1,\na.jpg,1,,\n").table
    assert len(table) == 1
    assert table.dense().tolist() == [[1, -1, 0]]
    exhaustive = "image,cat,dog,owl\na.jpg,1,0,\na.jpg,,,1\n"
    assert dense(tmp_path, exhaustive) == [[1, -1, 1]]


def test_splits_and_groups_that_contradict(tmp_path: Path) -> None:
    text = "image,split,cat\na.jpg,train,1\nb.jpg,val,1\na.jpg,,1\na.jpg,test,1\n"
    assert "image 'a.jpg' is in split 'train' and in split 'test' (lines 2 and 5)" in refused(tmp_path, text)
    text = "image,who,cat\na.jpg,p,1\na.jpg,q,1\n"
    assert "in group 'p' and in group 'q'" in refused(tmp_path, text, group_column="who")


def test_given_classes_fix_the_order(tmp_path: Path) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("dog\ncat\nowl\n")
    loaded = read(tmp_path, MIXED, classes_file=classes)
    assert loaded.table.class_ids == ("dog", "cat", "owl")
    assert loaded.table.dense().tolist() == [[-1, 1, 0], [1, 0, 0]]
    assert loaded.notes == ("classes without a column are unknown in every image: owl",)
    absent = read(tmp_path, MIXED, class_ids=("dog", "cat", "owl"), exhaustive=True)
    assert absent.table.dense().tolist() == [[-1, 1, -1], [1, -1, -1]]


def test_unknown_class_gives_the_nearest_name(tmp_path: Path) -> None:
    message = refused(tmp_path, "image,cat,dgo\na.jpg,1,\n", class_ids=("cat", "dog"))
    assert "line 1, column 'dgo': class 'dgo' is not a known class (did you mean 'dog'?)" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,cat,cat\na.jpg,1,1\n", "line 1, column 'cat': two columns have this name"),
        ("image,cat,\na.jpg,1,1\n", "line 1: column 3 has no name"),
        (",image,cat\n0,a.jpg,1\n", r"to_csv\(index=False\)"),
        ("image,cat\na.jpg,1,1\n", "line 2: 3 cells, but the header names 2 columns"),
        ("image,cat,dog\na.jpg,1,\nb.jpg,1\n", "line 3: 2 cells, but the header names 3"),
        ("image,cat\n", "column names but no rows"),
        ("image\na.jpg\n", "no class is named anywhere"),
        ("a.jpg,1\nb.jpg,1\n", "line 1: this is a row of data"),
        (
            "foto,cat\na.jpg,1\n",
            r"line 1: no column is called 'image'; name it: --image-column NAME \('foto'",
        ),
        ("image,cat\n,1\n", "line 2: the image is blank"),
        ("image,cat\na.jpg,1\n/etc/x.jpg,1\n", "line 3: image '/etc/x.jpg' must be a path relative"),
        ("image,cat\nC:\\x.jpg,1\n", "line 2: .* must be a path relative"),
        ("image,cat\nhttps://x/y.jpg,1\n", "line 2: .* must be a path relative"),
        ("image,cat\na/../../x.jpg,1\n", "line 2: .* leaves the image folder"),
        ("image,cat\n./,1\n", "line 2: .* names a folder"),
    ],
)
def test_bad_structure(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelFileError, match=message):
        read(tmp_path, text)


def test_ids_are_posix_and_composed(tmp_path: Path) -> None:
    table = read(tmp_path, "image,cat\n.\\sub\\a.jpg,1\nu\u0308.jpg,1\nsub//./b c.jpg,1\n").table
    assert list(table.ids) == ["sub/a.jpg", "\u00fc.jpg", "sub/b c.jpg"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    assert dense(tmp_path, MIXED.replace(",", separator)) == [[1, -1], [0, 1]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_blank_lines(tmp_path: Path, end: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (MIXED + "\n,,\n\n").replace("\n", end).encode())
    assert load_labels(path).table.dense().tolist() == [[1, -1], [0, 1]]


def test_image_column_by_name(tmp_path: Path) -> None:
    assert list(read(tmp_path, "foto,cat\na.jpg,1\n", image_column="foto").table.ids) == ["a.jpg"]
    message = refused(tmp_path, "foto,cat\na.jpg,1\n", image_column="photo")
    assert "no column 'photo' for --image-column (did you mean 'foto'?)" in message
    assert "given two uses" in refused(tmp_path, MIXED, image_column="cat", split_column="cat")


def test_pieces_do_not_change_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "image,split,cat,dog,owl\n" + "".join(
        f"{i % 37}.jpg,{'ab'[i % 37 % 2]},{['1', '', '0'][i % 37 % 3]},,1\n" for i in range(100)
    )
    whole = read(tmp_path, text).table
    monkeypatch.setattr("onelabel.labels.readers.wide_csv._CELLS_AT_ONCE", 10)
    assert read(tmp_path, text).table == whole
    assert len(whole) == 37
