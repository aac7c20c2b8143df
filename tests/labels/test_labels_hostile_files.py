"""Files that are not what they should be: every one gives a table or one line that says what to change."""

from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.labels import LabelTable, ReadOptions, load_labels
from onelabel.labels.readers import READERS, Probe, Reader, find_reader
from onelabel.labels.readers.base import Loaded

QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(OneLabelError) as caught:
        load_labels(path, ReadOptions(**options))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(tmp_path: Path, data: bytes, name: str = "labels.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n"])
@pytest.mark.parametrize("name", ["labels.csv", "labels.json"])
def test_empty_file(tmp_path: Path, data: bytes, name: str) -> None:
    assert "the file is empty" in refused(written(tmp_path, data, name))


def test_missing_and_special_files(tmp_path: Path) -> None:
    assert "there is no label file or folder" in refused(tmp_path / "none.csv")
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in refused(tmp_path / "pipe")


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, b"image,cat\na,1\n")
    monkeypatch.setattr(Path, "open", denied)  # the superuser may read everything, so chmod shows nothing
    assert "cannot be read: Permission denied" in refused(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("image,cat\né.jpg,1\n".encode("cp1252"), "line 2: byte 0xE9 at offset 10 is not valid UTF-8; n"),
        (b"image,cat\na.jpg,1\nb\x00.jpg,1\n", "line 3: byte 0x00 at offset 19 is a NUL byte"),
        (b"image,cat\na.jpg,1\nb.jpg,1\n\xe2\x82", "line 4: byte 0xE2 at offset 26 is not valid UTF-8"),
        ("image,cat\na.jpg,1\n".encode("utf-16-le"), "byte 0x00 at offset 1 is a NUL byte.*UTF-16"),
        (b"PK\x03\x04\x14\x00", "zip or Excel"),
        (b"PAR1\x15\x04\x00", "parquet"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (gzip.compress(b"image,cat\n", mtime=0), "gunzip"),
        (b"\xff\xd8\xff\xe0", "JPEG photo"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_text_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(OneLabelError, match=message):
        load_labels(path)


@pytest.mark.parametrize("pad", [(1 << 20) - 20 + i for i in range(12)])
def test_bad_byte_at_the_edge_of_a_block_has_the_right_offset(tmp_path: Path, pad: int) -> None:
    good = b"image,cat\n" + b"x" * (pad - 10)
    assert f"line 2: byte 0xF0 at offset {pad} " in refused(written(tmp_path, good + b"\xf0\x9f\x98\n,1\n"))


def test_letters_of_several_bytes_over_the_edge_of_a_block(tmp_path: Path) -> None:
    rows = b"".join(b"%06d\xf0\x9f\x98\x80.jpg,1\n" % i for i in range(65_000))
    assert len(rows) > 1 << 20
    assert len(load_labels(written(tmp_path, b"image,cat\n" + rows)).table) == 65_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('image,cat\na.jpg,1\n"b.jpg,1\nc.jpg,1\n', "line 3: a quote that is opened .* is never closed"),
        ('image,cat\n"a"b.jpg,1\n', "line 2: text follows a closing quote"),
        ('image,cat\na.jpg,1\n"' + "x" * 200_000, "line 3: a cell is longer than 131,072 characters"),
        ('image,cat\n"a\nb.jpg",1\nc,1,1\n', "line 4: 3 cells"),
        ('image,cat\n"a\nb.jpg",1\n', "line 2: image 'a\\\\nb.jpg' holds a character"),
    ],
)  # fmt: skip
def test_quotes_and_long_cells(tmp_path: Path, text: str, message: str) -> None:
    limit = csv.field_size_limit()
    with pytest.raises(OneLabelError, match=message):
        load_labels(written(tmp_path, text.encode()))
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("name", ["two\nlines", "red\x1b[31m", "bell\a", "c1\x9b", "tab\there"])
def test_class_names_that_would_upset_a_terminal(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, f'image,"{name}"\na.jpg,1\n'.encode())
    assert "line 1, column " in (message := refused(path)) and "control character" in message
    with pytest.raises(OneLabelError, match="cannot be printed"):
        LabelTable.from_dense(["a.jpg"], [name], [[1]])


@pytest.mark.parametrize(
    ("text", "classes", "labels"),
    [
        ("image;cat, small;dog\na.jpg;1;\n", ("cat, small", "dog"), [1, 0]),
        ("image,cat; small,dog\na.jpg,1,\n", ("cat; small", "dog"), [1, 0]),
        ('image,"cat; a; b"\na.jpg,1\n', ("cat; a; b",), [1]),
        ("image\tcat, a\tdog\na.jpg\t1\t-1\n", ("cat, a", "dog"), [1, -1]),
        ("image,traffic light,größe,日本 \na.jpg,1,-1,\n", ("traffic light", "größe", "日本"), [1, -1, 0]),
        ("\ufeffimage,cat\r\na.jpg,1.0\r\n", ("cat",), [1]),
        ("image,cat,dog\ra.jpg, -1.0 ,+1\r", ("cat", "dog"), [-1, 1]),
    ],
)
def test_files_that_look_odd_and_are_right(
    tmp_path: Path, text: str, classes: tuple[str, ...], labels: list[int]
) -> None:
    table = load_labels(written(tmp_path, text.encode())).table
    assert table.class_ids == classes and table.dense().tolist() == [labels]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,cat,\na.jpg,1,\n", "line 1: column 3 has no name"),
        (",image,cat\n0,a.jpg,1\n", r"line 1: column 1 has no name.*to_csv\(index=False\)"),
        ("image,cat\na.jpg,1,\n", "line 2: 3 cells, but the header names 2 columns"),
        ("image,cat,cat\na.jpg,1,1\n", "line 1, column 'cat': two columns have this name"),
        ("image;cat\na.jpg;1,0\n", "line 2, column 'cat': value '1,0' is not 1, 0, -1 or blank; if the"),
        ("image,cat\na.jpg,nan\n", "line 2, column 'cat': value 'nan' is not"),
        ("image,cat\na.jpg,−1\n", "line 2, column 'cat': value '−1' is not"),
        ("# made by hand\nimage,cat\na.jpg,1\n", "line 1: no column is called 'image'"),
        ("image,cat\ncafé.jpg,1\ncafe\u0301.jpg,-1\n", "line 3: image 'café.jpg' is marked both"),
    ],
)
def test_files_that_cannot_be_read_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        load_labels(written(tmp_path, text.encode()))


def test_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelabel.labels.readers.text._LONGEST_LINE", 100)
    assert "a line is longer than 100 characters" in refused(written(tmp_path, b"image," * 50))


def test_too_many_splits(tmp_path: Path) -> None:
    rows = "".join(f"{i}.jpg,s{i},1\n" for i in range(200))
    message = refused(written(tmp_path, f"image,split,cat\n{rows}".encode()))
    assert "column 'split': 200 different values in a split column; leave it out: --ignore-columns" in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cat\ndog\ncat\n", "line 3: class 'cat' stands at line 1 already"),
        (b"", "the file is empty"),
        (b"cat\n\xff\n", "line 2: byte 0xFF"),
    ],
)
def test_bad_class_file(tmp_path: Path, data: bytes, message: str) -> None:
    path, classes = written(tmp_path, b"image,cat\na,1\n"), written(tmp_path, data, "classes.txt")
    with pytest.raises(OneLabelError, match=message) as caught:
        load_labels(path, ReadOptions(classes_file=classes))
    assert str(caught.value).startswith(str(classes))


def test_class_file_that_is_missing_and_two_class_lists(tmp_path: Path) -> None:
    path = written(tmp_path, b"image,cat\na,1\n")
    with pytest.raises(OneLabelError, match=r"none.txt: cannot be read: No such file"):
        load_labels(path, ReadOptions(classes_file=tmp_path / "none.txt"))
    with pytest.raises(OneLabelError, match="not both"):
        load_labels(path, ReadOptions(classes_file=path, class_ids=("cat",)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "wide"}, r"unknown label format 'wide' \(did you mean 'wide-csv'\?\)"),
        ({"format": "coco"}, "is a csv, but --format coco reads a json"),
        ({"format": "folders"}, "is a csv, but --format folders reads a folder"),
        ({"delimiter": "|"}, "--delimiter has no meaning for wide-csv"),
        ({"weight_column": "cat"}, "--weight-column has no meaning for wide-csv"),
        ({"split_column": "cta"}, r"line 1: no column 'cta' for --split-column \(did you mean 'cat'\?\)"),
        ({"ignore_columns": ("cta",)}, r"no column 'cta' for --ignore-columns \(did you mean 'cat'\?\)"),
        ({"ignore_columns": ("image",), "image_column": "image"}, "column 'image': .* given two uses"),
        ({"format": "no_such_module:READER"}, "No module named"),
        ({"format": "os:path"}, "is not a onelabel.labels.readers.Reader"),
        ({"format": "os:nothing"}, "no attribute"),
        ({"format": ":"}, "Empty module name"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = written(tmp_path, b"image,cat\na.jpg,1\n")
    with pytest.raises(OneLabelError, match=message):
        load_labels(path, ReadOptions(**options))


def test_names_of_readers_are_distinct_and_found() -> None:
    assert [find_reader(reader.name) for reader in READERS] == list(READERS)
    assert len({reader.name for reader in READERS}) == len(READERS)


def _read_own(path: Path, options: ReadOptions) -> Loaded:
    table = LabelTable.from_dense([path.name], ["own"], [[-1 if options.exhaustive else 0]])
    return Loaded(table, "own")


def _never(probe: Probe) -> bool:
    raise AssertionError(f"a forced reader is not asked about {probe.path}")


OWN = Reader("own", "a reader of somebody else", "csv", frozenset(), _never, _read_own)


def test_reader_of_a_third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = written(tmp_path, b"anything")
    loaded = load_labels(path, ReadOptions(format="test_labels_hostile_files:OWN", exhaustive=True))
    assert loaded.table.dense().tolist() == [[-1]]


def read_or_refuse(path: Path, **options: Any) -> None:
    try:
        loaded = load_labels(path, ReadOptions(**options))
    except OneLabelError as error:
        assert "\n" not in str(error).removeprefix(str(path)).replace("\\n", "")
        return
    table = loaded.table
    assert len(table) and table.num_classes
    assert table.dense().shape == (len(table), table.num_classes)


FORMATS = st.sampled_from(["auto", *(reader.name for reader in READERS if reader.kind == "csv")])
HEADERS = st.sampled_from(["image,labels", "image,label", "image,cat", "label,image", "image,split"])
CELLS = st.sampled_from(
    ["image", "labels", "label", "value", "weight", "split", "a.jpg", "b.jpg", "1", "0", "-1", "", " ", "cat",
     "x|y", '"', '""', '"a,b"', "0.5", "nan", "../a", "[1]", "é", "\r", "\ufeff", "onelabel:image",
     "onelabel:group"]
)  # fmt: skip


@QUIET
@given(st.binary(max_size=300), FORMATS, st.none() | st.booleans())
@example(b"image,cat\n\xed\xa0\x80,1\n", "auto", None)
def test_random_bytes(tmp_path: Path, data: bytes, format: str, exhaustive: bool | None) -> None:
    read_or_refuse(written(tmp_path, data), format=format, exhaustive=exhaustive)


@QUIET
@given(
    st.lists(st.lists(CELLS, max_size=4), max_size=5),
    FORMATS,
    st.none() | st.booleans(),
    st.sampled_from(",;\t"),
)
def test_random_cells(
    tmp_path: Path, rows: list[list[str]], format: str, exhaustive: bool | None, separator: str
) -> None:
    data = "\n".join(separator.join(row) for row in rows).encode()
    read_or_refuse(written(tmp_path, data), format=format, exhaustive=exhaustive)


@QUIET
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5), st.none() | st.booleans(), HEADERS)
def test_random_rows_under_a_good_header(
    tmp_path: Path, rows: list[list[str]], exhaustive: bool | None, header: str
) -> None:
    data = "\n".join([header, *(",".join(row) for row in rows)]).encode()
    read_or_refuse(written(tmp_path, data), exhaustive=exhaustive)


KEYS = st.sampled_from(
    [
        "images",
        "annotations",
        "categories",
        "id",
        "file_name",
        "name",
        "image_id",
        "category_id",
        "neg_category_ids",
    ]
)
TEXTS = st.sampled_from(["a.jpg", "cat", "", "/x", "\ud800"])
SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.floats() | TEXTS
ITEMS = st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=2), max_size=5)


@QUIET
@given(st.dictionaries(KEYS, SCALARS | st.lists(ITEMS, max_size=3), max_size=5))
def test_random_json(tmp_path: Path, content: dict[str, Any]) -> None:
    read_or_refuse(written(tmp_path, json.dumps(content).encode(), "labels.json"))


PHOTOS = ["cat/a.jpg", "dog/a.jpg", "a.png", "dog/s/b.JPG", "cat/.x.jpg", "x.txt"]
ENTRY = st.fixed_dictionaries({"id": st.integers(0, 2), "file_name": st.sampled_from(["a", "b", "c"])})
BOX = st.fixed_dictionaries({"image_id": st.integers(0, 2), "category_id": st.integers(0, 2)})
CATEGORY = st.fixed_dictionaries({"id": st.integers(0, 2), "name": st.sampled_from(["x", "y", "z"])})


@QUIET
@given(
    st.fixed_dictionaries(
        {
            "images": st.lists(ENTRY, max_size=3),
            "annotations": st.lists(BOX, max_size=4),
            "categories": st.lists(CATEGORY, max_size=3),
        }
    )
)
def test_random_coco(tmp_path: Path, content: dict[str, Any]) -> None:
    read_or_refuse(written(tmp_path, json.dumps(content).encode(), "labels.json"))


@QUIET
@given(st.lists(st.sampled_from(PHOTOS), unique=True))
def test_random_folders(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("photos")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    read_or_refuse(root)
