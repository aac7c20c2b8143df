"""A second label file (--val, --complete, --checked) that is laid out otherwise than the first."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from desk import Desk, words
from onelabel.cli import main
from onelabel.labels import load_labels
from onelabel.models.bundle_read import load_bundle
from onelabel.report.gather import gather
from onelabel.training.run_folder import RunFolder

RULE = "was left aside for"
TRAIN = "train list.csv --delimiter | --classes ids --features features --method an --select full --epochs 1"


@pytest.fixture
def layouts(desk: Desk) -> Desk:
    """The desk, with the single positives also as a list, and as a long file with columns of other names."""
    with Path("single.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    found = [
        (row[0], [n for n, cell in zip(header[1:], row[1:], strict=True) if cell == "1"]) for row in rows
    ]
    desk.write(
        "list.csv", "image,labels\n" + "".join(f"{name},{'|'.join(labels)}\n" for name, labels in found)
    )
    text = "".join(f"{name},{label},lab {len(name) % 3}\n" for name, labels in found for label in labels)
    desk.write("long.csv", "Foto,Art,Labor\n" + text)
    return desk


def notes(desk: Desk) -> list[str]:
    return [line for line in desk.capsys.readouterr().out.splitlines() if RULE in line]


def test_the_first_file_must_fit_the_options(layouts: Desk) -> None:
    said = layouts.complaint(
        *words("train single.csv --delimiter | --features features --method an --out out")
    )
    assert "--delimiter has no meaning for wide-csv" in said


def test_validation_labels_and_the_report_of_the_run(layouts: Desk) -> None:
    layouts.write("ids", "red\ngreen\nblue thing\ngelb ü\n")
    assert main([*words(TRAIN), *words("--val val.csv --out out")]) == 0
    assert notes(layouts) == [f"note: --delimiter has no meaning for wide-csv and {RULE} val.csv"]
    plain = TRAIN.replace("list.csv --delimiter |", "single.csv")
    assert main([*words(plain), *words("--val val.csv --out plain")]) == 0
    (weights,) = Path("out/bundle").glob("*.safetensors")
    assert weights.read_bytes() == (Path("plain/bundle") / weights.name).read_bytes()
    page = gather(RunFolder.open("out"), load_bundle("out", "cpu"), draws=0)
    assert page.train is not None and len(page.train) == len(load_labels("single.csv").table)


def test_complete_labels_of_a_diagnosis(layouts: Desk) -> None:
    columns = "--image-column Foto --label-column Art --group-column Labor --format long-csv"
    given = f"diagnose run long.csv {columns} --complete full.csv --features features --out found"
    assert main(words(given)) == 0
    assert notes(layouts) == [
        f"note: --image-column names the column 'Foto', which is not there, and {RULE} full.csv",
        f"note: --label-column names the column 'Art', which is not there, and {RULE} full.csv",
        f"note: --group-column names the column 'Labor', which is not there, and {RULE} full.csv",
        f"note: --format long-csv does not fit and {RULE} full.csv",
    ]


def test_checked_labels_of_a_comparison(layouts: Desk) -> None:
    given = "compare list.csv --delimiter | --checked val.csv --features features --methods an --seeds 1"
    assert main([*words(given), *words("--epochs 1 --jobs 1 --out c")]) == 0
    assert notes(layouts) == [f"note: --delimiter has no meaning for wide-csv and {RULE} val.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Bild,red\na.png,1\n", "val.csv, line 1: no column 'Foto' for --image-column"),
        ("image,rde\na.png,1\n", "val.csv, line 1, column 'rde': class 'rde' is not a known class"),
        ("image,labels\na.png,rde\n", "val.csv, line 2, column 'labels': class 'rde' is not a known class"),
    ],
)
def test_second_files_that_cannot_be_read(layouts: Desk, content: str, message: str) -> None:
    layouts.write("val.csv", content)
    given = "train long.csv --format long-csv --image-column Foto --label-column Art --val val.csv"
    assert message in layouts.complaint(*words(given), *words("--features features --method an --out out"))


def test_names_of_several_words_at_the_command_line(layouts: Desk) -> None:
    """They are asked about; both answers in the message are taken as they stand there."""
    layouts.write("digits.csv", "image,labels\na.png,digit zero\nb.png,digit one\n")
    said = layouts.complaint("check", "digits.csv")
    assert "digits.csv, line 2, column 'labels': 'digit zero' may be several labels or one name" in said
    for delimiter, classes in ((" ", 3), ("|", 2)):
        assert f"--delimiter '{delimiter}' if" in said
        assert main(["check", "digits.csv", "--delimiter", delimiter]) == 0
        assert f"{classes} classes" in layouts.capsys.readouterr().out
