"""Text that is not UTF-8: found by its mark, or named with ``--encoding``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.labels import LabelTable, ReadOptions, load_labels
from onelabel.labels.readers.encoding import check_text

TEXT = "image,größe,日本\nä.jpg,1,-1\nb.jpg,,1\n"
LABELS = [[1, -1], [0, 1]]


def read(path: Path, data: bytes, encoding: str | None = None, **options: Any) -> LabelTable:
    path.write_bytes(data)
    return load_labels(path, ReadOptions(encoding=encoding, **options)).table


def right(table: LabelTable) -> bool:
    return (
        table.class_ids == ("größe", "日本") and table.ids[0] == "ä.jpg" and table.dense().tolist() == LABELS
    )


@pytest.mark.parametrize("name", ["utf-16", "utf-32", "utf-8-sig", "utf-8"])
def test_mark_is_found(tmp_path: Path, name: str) -> None:
    assert right(read(tmp_path / "a.csv", TEXT.encode(name)))


@pytest.mark.parametrize("name", ["utf-16-be", "utf-16-le", "utf-32-be", "gb18030", "UTF8"])
def test_named_encoding(tmp_path: Path, name: str) -> None:
    assert right(read(tmp_path / "a.csv", TEXT.encode(name), name))
    if name != "gb18030":
        assert right(read(tmp_path / "a.csv", ("\ufeff" + TEXT).encode(name), name))


def test_windows_and_all_formats(tmp_path: Path) -> None:
    for text in ("image,label\na.jpg,Ä\n", "image,labels\na.jpg,Ä\n", "image;Ä\na.jpg;1\n"):
        assert read(tmp_path / "a.csv", text.encode("cp1252"), "windows-1252").class_ids == ("Ä",)
    content = {
        "images": [{"id": 1, "file_name": "a"}],
        "categories": [{"id": 1, "name": "Ä"}],
        "annotations": [],
    }
    for name in ("utf-16", "cp1252"):
        data = json.dumps(content, ensure_ascii=False).encode(name)
        assert read(tmp_path / "a.json", data, name).class_ids == ("Ä",)
    assert read(tmp_path / "a.json", json.dumps(content, ensure_ascii=False).encode("utf-16")).class_ids == (
        "Ä",
    )
    (classes := tmp_path / "classes.txt").write_bytes("Ä\n".encode("utf-16"))
    assert read(tmp_path / "a.csv", "image,Ä\na,1\n".encode(), classes_file=classes).class_ids == ("Ä",)


@pytest.mark.parametrize("name", ["latin-99", "hex", "rot13", "", "\0"])
def test_no_such_encoding(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        OneLabelError, match=r"there is no encoding .* for --encoding; name one such as utf-8"
    ):
        read(tmp_path / "a.csv", TEXT.encode(), name)


def test_where_it_has_no_meaning(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(OneLabelError, match="--encoding has no meaning for folders"):
        load_labels(tmp_path, ReadOptions(encoding="utf-16"))


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ("image,cat\na,1\n".encode("utf-16") + b"\x00\xd8", None, "line 3: byte 0x00 at offset 30 is"),
        ("a,b\n\0".encode("utf-16-le"), "utf-16-le", "line 2: byte 0x00 at offset 8 is a NUL byte"),
        (b"image\nb\x81\n", "windows-1252", "line 2: byte 0x81 at offset 7 is not valid cp1252"),
        (b"image,cat\n\xe9", "utf-8", "line 2: byte 0xE9 at offset 10 is not valid UTF-8; name the encoding"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, data: bytes, name: str | None, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        read(tmp_path / "a.csv", data, name)


@settings(deadline=None)
@given(
    st.binary(min_size=1, max_size=40),
    st.sampled_from([None, "utf-16", "utf-16-le", "shift_jis", "cp1252", "utf-7"]),
)
def test_any_bytes_are_text_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    try:
        found = check_text(path, name)
    except OneLabelError as error:
        assert str(path) in str(error)
    else:
        assert "\0" not in path.read_text(encoding=found)
