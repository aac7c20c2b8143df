"""Every label reader on files changed at random: a table without contradictions, or one line that helps.

Each input is read in a child process with bounds of memory and time; `make nightly` reads 10,000 per reader.
"""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from pathlib import Path
from random import Random

import numpy as np
import pytest

import hostile_child
from hostile_labels import must_be_refused
from hostile_mutations import changed_file
from hostile_samples import NAMES, SAMPLES, npy, parquet_of
from onelabel.images.folder import expand_photos, resolve
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels import LabelTable, ReadOptions, load_labels
from onelabel.labels.class_names import similar_class_names
from onelabel.labels.describe import describe

SEEDS, NIGHTLY = 150, 10_000


def fuzz(name: str, first: int, last: int) -> None:
    found = hostile_child.run("hostile_labels:read", name, first, last, memory=300)
    print(name, found)
    assert found["read"] and found["refused"], "all are one: the mutations test nothing"


def test_every_reader_begins_with_a_sample_of_its_own() -> None:
    assert {sample.reader for sample in SAMPLES} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_changed_files(name: str) -> None:
    fuzz(name, 0, SEEDS)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_many_changed_files(name: str) -> None:
    fuzz(name, SEEDS, SEEDS + NIGHTLY)


# -- an independent slow reading of CSV files ---


def positives_of(text: str, separator: str, form: str) -> set[tuple[str, str]]:
    """Return the pairs of image and class that are present, by Python's csv module and nothing of ours."""
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    rows = [row for row in rows if any(row)]
    header, found = [cell.strip() for cell in rows[0]], set()
    place = {name: number for number, name in enumerate(header)}
    for row in rows[1:]:
        image = row[place["image"]].strip()
        if form == "list-csv":
            delimiter = next(
                (mark for mark in "|;, " if any(mark in r[place["labels"]].strip() for r in rows[1:])), "\0"
            )
            names = row[place["labels"]].split(delimiter)
        elif form == "long-csv":
            names = [row[place["label"]]] if _is_one(row[place["value"]]) else []
        else:
            names = [
                name
                for name, cell in zip(header, row, strict=True)
                if name in ("cat", "dog") and _is_one(cell)
            ]
        found |= {(plain(image), plain(name)) for name in names if name.strip()}
    return found


def _is_one(cell: str) -> bool:
    return cell.strip() in ("1", "+1", "1.", "1.0", "+1.0", "1.00")


def plain(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


OWN = {
    "wide-csv": "image,cat,dog\na.jpg,1,-1\nb/c.png,,1\n\"d,e.jpg\",-1,1.0\n f.jpg , 1,\n",
    "long-csv": "image,label,value\na.jpg,cat,1\na.jpg,dog,-1\nb.jpg,\"big, cat\",+1\nc.jpg,cat,\n",
    "list-csv": "image,labels\na.jpg,cat|dog\n\"b\"\"x.jpg\",\nc.jpg,größe | cat\n",
}  # fmt: skip


@pytest.mark.parametrize("form", OWN)
def test_what_is_read_is_what_stands_there(tmp_path: Path, form: str) -> None:
    """Changed CSV files that are accepted hold the positives that a slow reading finds, and no others."""
    path, read = tmp_path / "labels.csv", 0
    for seed in range(600):
        random = Random(f"{form} {seed}")
        separator = random.choice(",;\t")
        text = OWN[form].replace(",", separator) if '"' not in OWN[form] else _with(OWN[form], separator)
        data = random.choice([b"", b"\xef\xbb\xbf"]) + changed_file("labels.csv", text.encode(), random)
        data = data.replace(b"\n", random.choice([b"\n", b"\r\n", b"\n\n"]))
        path.write_bytes(data)
        try:
            table = load_labels(path, ReadOptions(format=form, exhaustive=random.choice([True, False]))).table
        except OneLabelError:
            continue
        if (
            data.startswith((b"\xff\xfe", b"\xfe\xff"))
            or (first := data.decode("utf-8-sig").split("\n")[0]) == ""
        ):
            continue
        found = next((mark for mark in first if mark in ",;\t"), ",")
        try:
            expected = positives_of(data.decode("utf-8-sig"), found, form)
        except (KeyError, IndexError, ValueError, csv.Error):
            continue  # a column that is called otherwise: the slow reading does not know it
        dense = table.dense()
        present = {
            (table.ids.text(r), table.class_ids[c]) for r, c in zip(*(dense == 1).nonzero(), strict=True)
        }
        named = {(image, name) for image, name in present if form != "wide-csv" or name in ("cat", "dog")}
        if {image for image, _ in expected} <= set(
            table.ids
        ):  # paths are written in one way, such as ./a as a
            assert named == expected, f"seed {seed}: {data!r}"
            read += bool(expected)
    assert read > 60


def _with(text: str, separator: str) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\n").writerows(csv.reader(io.StringIO(text)))
    return stream.getvalue()


# -- what was found ---


def written(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.timeout(20)
def test_long_lines_and_names_take_no_long_time(tmp_path: Path) -> None:
    """A number that can be read in two ways, blanks between slashes, and accents take steps, not squares."""
    digits = "1" * 3000
    written(tmp_path / "boxes" / "a.txt", f"1 {digits} {digits} {digits} {digits} {digits}x\n")
    assert "no class name" in must_be_refused(tmp_path / "boxes")
    written(tmp_path / "many" / "a.txt", f"{'9' * 5000} 1 1 1 1")
    written(tmp_path / "many" / "classes.txt", "cat")
    assert "but there are 1 classes" in must_be_refused(tmp_path / "many")
    slashes = "".join(f"{n}{'/ ' * 2000},1\n" for n in range(50))
    assert load_labels(written(tmp_path / "a.csv", "image,cat\n" + slashes)).table.ids[0] == "0"
    accents = "a" + "\u0345" * 65_000 + "\u0334" * 65_000
    assert "no class name" in must_be_refused(written(tmp_path / "b.csv", f"image,{accents}\na,1\n"))
    assert "longer than any path" in must_be_refused(written(tmp_path / "c.csv", f"image,cat\n{accents},1\n"))
    names = [f"{n}{'x' * 900}" for n in range(500)] + [f"a{chr(0x4E00 + n)}" for n in range(15_000)]
    assert similar_class_names(names) == []


@pytest.mark.parametrize(
    "name", ["C:\\x.jpg", "C:x.jpg", "\\\\server\\x.jpg", "/x.jpg", "../x.jpg", "a\\..\\..\\x.jpg"]
)
def test_paths_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    assert "image" in must_be_refused(written(tmp_path / "a.csv", f"image,cat\n{name},1\n"))
    with pytest.raises(OneLabelError, match="leaves the image folder"):
        resolve(IdTable.from_strings([name]), tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../x.jpg", "b"], "leaves the image folder by '..'"),
        (["a\x1b.jpg", "b"], "no path can hold"),
        (["", "b"], "the image is blank"),
    ],
)
def test_image_paths_in_arrays(tmp_path: Path, names: list[str], message: str) -> None:
    written(tmp_path / "x_images.npy", npy(np.array(names)))
    path = written(tmp_path / "x_labels.npy", npy(np.ones((2, 1))))
    assert message in must_be_refused(path, class_ids=("cat",))


def test_arrays_that_are_made_to_do_harm(tmp_path: Path) -> None:
    labels = written(tmp_path / "x_labels.npy", npy(np.ones((2, 1))))
    images = tmp_path / "x_images.npy"
    good = npy(np.array(["aaaaaaaaa", "b"]))
    for data, message in (
        (good[:-36] + b"\xff" * 36, "numbers that are no characters"),
        (npy(np.array([["a"], {"b": 1}], object)), "array.astype"),
        (good.replace(b"'descr': '", b"'descr': ((("), "not a NumPy array"),
        (good.replace(b"(2,), }", b"(2**63,)}"), "not a NumPy array"),
    ):
        images.write_bytes(data)
        assert message in must_be_refused(labels, class_ids=("cat",))


def test_texts_without_letters_take_no_memory(tmp_path: Path) -> None:
    labels = written(tmp_path / "x_labels.npy", npy(np.ones((2, 1))))
    header = b"{'descr': '<U0', 'fortran_order': False, 'shape': (2,), }"
    data = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n"
    written(tmp_path / "x_images.npy", data)
    assert must_be_refused(labels, class_ids=("cat",))


def test_half_a_letter_in_any_column(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "image,split,cat\na,+2AA-,1\n")
    assert "line 2: '\\ud800' is not valid Unicode" in must_be_refused(path, encoding="utf-7")
    with pytest.raises(OneLabelError, match="not valid Unicode"):
        LabelTable.from_dense(["\ud800"], ["cat"], [[1]])


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    os.mkfifo(folder / "classes.txt")
    written(folder / "a.txt", "0 1 1 1 1")
    assert "class numbers: give their names" in must_be_refused(folder)
    path = written(tmp_path / "a.csv", "image,cat\na,1\n")
    assert "not a regular file" in must_be_refused(path, classes_file=folder / "classes.txt")
    assert "not a regular file" in must_be_refused(path, classes_file="/dev/zero")


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    for name in ("l1", "l2"):
        (tmp_path / name).symlink_to(".")
    for name in ("a.jpg", "s/b.jpg", ".h/c.jpg", "s/t/d.png"):
        written(tmp_path / name, b"x")
    found = [path.relative_to(tmp_path).as_posix() for path in expand_photos([f"{tmp_path}/**/*.jpg"])]
    assert found == ["a.jpg", "s/b.jpg"]
    assert len(expand_photos([f"{tmp_path}/**"])) == 3


def test_nothing_that_is_printed_reaches_the_terminal_raw(tmp_path: Path) -> None:
    written(tmp_path / "photos" / "cat" / "a\x9b31m.jpg", b"x")
    written(tmp_path / "photos" / "dog" / "a\x9b31m.jpg", b"x")
    loaded = load_labels(tmp_path / "photos")
    assert any("a\\x9b31m.jpg" in note for note in loaded.notes)
    table = load_labels(written(tmp_path / "a.csv", "image,split,cat\na,\x1b]0;x\x07,1\n")).table
    assert "\x1b" not in describe(table, "wide-csv")
    assert "\x1b" not in must_be_refused(tmp_path / "none\x1b[31m.csv")


def test_rows_of_a_parquet_file_are_counted_through(tmp_path: Path) -> None:
    rows = 70_000
    columns = {"image": [f"{n}.jpg" for n in range(rows)], "labels": [["x"]] * (rows - 1) + [["a|b"]]}
    message = must_be_refused(written(tmp_path / "a.parquet", parquet_of(columns)))
    assert f"line {rows:d}" in message and "holds '|'" in message
