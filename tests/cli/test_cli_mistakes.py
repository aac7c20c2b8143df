"""Label files and outputs that cannot be: one clear line, exit code 2, nothing written, no traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from desk import BASICS, Desk, label_file, words
from onelabel.cli import main

READING = [name for name in BASICS if name != "predict"]
"""Those that read labels."""


@pytest.mark.parametrize("name", BASICS)
def test_the_commands_are_right_as_they_stand(name: str, desk: Desk) -> None:
    before = desk.listing()
    assert main(words(BASICS[name])) == 0
    after = desk.listing()
    assert {key: after[key] for key in before} == before and len(after) > len(before)


# -- label files ---

LABEL_FILES: dict[str, tuple[str | bytes | None, str]] = {
    "missing": (None, "there is no label file or folder"),
    "empty": ("", "the file is empty"),
    "photo": (b"\x89PNG\r\n\x1a\n\0\0", "it is a PNG picture: give the label file"),
    "Excel": (b"PK\x03\x04\0\0", "it is a zip or Excel file: export the sheet as 'CSV UTF-8'"),
    "other encoding": ("image,grün\na.png,1\n".encode("cp1252"), "line 1: byte 0xFC at offset 8 is not"),
    "other JSON": ('{"a": 1}', "not a COCO detection file: it has no list 'images'"),
    "broken JSON": ('{"images": [}', "line 1: not valid JSON at character 13"),
    "prose": ("Dear all,\nhere are my labels.\n", "no column is called 'image'"),
    "no header": ("a.png,red\n", "this is a row of data; begin the file with column names"),
    "only a header": ("image,red\n", "there are column names but no rows"),
    "short row": ("image,red,green\na.png,1\n", "line 2: 2 cells, but the header names 3 columns"),
    "strange value": ("image,red\na.png,yes\n", "line 2, column 'red': value 'yes' is not 1, 0, -1 or blank"),
    "contradiction": (
        "image,red\na.png,1\nb.png,1\na.png,-1\n",
        "line 4: image 'a.png' is marked both present and absent for class 'red' (lines 2 and 4)",
    ),
    "way out": ("image,red\n../a.png,1\n", "line 2: image '../a.png' leaves the image folder"),
    "absolute path": ("image,red\n/a.png,1\n", "line 2: image '/a.png' must be a path relative to"),
}  # fmt: skip


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("fault", LABEL_FILES)
def test_label_files_that_cannot_be_read(command: str, fault: str, desk: Desk) -> None:
    content, message = LABEL_FILES[fault]
    arguments = words(BASICS[command])
    name = label_file(arguments)
    (desk.path / name).unlink()
    if content is not None:
        desk.write(name, content)
    said = desk.complaint(*arguments)
    assert name in said and message in said


@pytest.mark.parametrize("command", READING)
def test_a_class_that_is_not_known(command: str, desk: Desk) -> None:
    """The known classes are those of ``--classes``, of the training labels, or of the model."""
    arguments = words(BASICS[command])
    name = label_file(arguments)
    text = Path(name).read_text(encoding="utf-8")
    desk.write(name, text.replace(",red,", ",rde,", 1))
    if "evaluate" not in command and "--val" not in command:
        desk.write("classes.txt", "red\ngreen\nblue thing\ngelb ü\n")
        arguments += ["--classes", "classes.txt"]
    said = desk.complaint(*arguments)
    known = "in --classes" if "--classes" in arguments else "a known class"
    assert f"{name}, line 1, column 'rde': class 'rde' is not {known}" in said
    assert "(did you mean 'red'?)" in said


@pytest.mark.parametrize("command", [n for n in READING if "images photos" in BASICS[n] and n != "check"])
def test_photos_that_are_missing(command: str, desk: Desk) -> None:
    for row in (1, 31, 41):
        (desk.path / "photos" / "old album" / f"photo {row}.png").unlink()
    said = desk.complaint(*words(BASICS[command]))
    assert "photos are missing" in said and "onelabel check" in said and "photo " in said


@pytest.mark.parametrize("command", [name for name in READING if "--features" in BASICS[name]])
def test_images_without_features(command: str, desk: Desk) -> None:
    arguments = words(BASICS[command])
    text = Path(label_file(arguments)).read_text(encoding="utf-8")
    desk.write(label_file(arguments), text.replace("old album", "new album"))
    said = desk.complaint(*arguments)
    assert "images are not in the features, such as 'new album/photo" in said


# -- outputs ---


@pytest.mark.parametrize("command", BASICS)
def test_an_output_that_exists(command: str, desk: Desk) -> None:
    arguments = words(BASICS[command])
    desk.write(arguments[-1], "precious")
    assert "exists already; give another --out or add --overwrite" in desk.complaint(*arguments)
    if not arguments[-1].endswith((".csv", ".json")):
        said = desk.complaint(*arguments, "--overwrite")
        assert "is not" in said and Path(arguments[-1]).read_text() == "precious"
    else:
        assert main([*arguments, "--overwrite"]) == 0
        assert Path(arguments[-1]).read_text() != "precious"


@pytest.mark.parametrize("command", ["embed", "train", "train --backbone"])
def test_a_folder_of_something_else_is_never_replaced(command: str, desk: Desk) -> None:
    desk.write("out/thesis.txt", "precious")
    said = desk.complaint(*words(BASICS[command]), "--overwrite")
    assert "is not a" in said


@pytest.mark.parametrize("command", BASICS)
def test_an_output_that_cannot_be_written(command: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    *rest, out = words(BASICS[command])
    desk.write("file", "")
    assert "file is a file, not a folder" in desk.complaint(*rest, f"file/{out}")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write everywhere
    assert f"cannot write {out}: no permission to write in" in desk.complaint(*rest, out)


@pytest.mark.parametrize("command", [name for name in BASICS if "out." in BASICS[name]])
def test_a_file_that_is_to_be_written_over_a_folder(command: str, desk: Desk) -> None:
    *rest, out = words(BASICS[command])
    desk.write(f"{out}/x", "")
    assert "is a folder; give the name of a file" in desk.complaint(*rest, out, "--overwrite")


INPUTS = [
    ("check", "labels.csv"), ("check", "photos/old~album/photo~1.png"),
    ("check", "boxes.json"), ("simulate", "full.csv"), ("simulate --classes classes.csv", "classes.csv"),
    ("embed", "labels.csv"), ("embed", "photos"), ("embed", "net"), ("embed", "."), ("embed --vlm", "clip"),
    ("train", "labels.csv"), ("train", "features"), ("train --val", "val.csv"), ("train", "."),
    ("train --backbone", "photos"), ("train --backbone", "net"),
    ("evaluate", "full.csv"), ("evaluate", "run/bundle/bundle.json"), ("evaluate", "run/metrics.json"),
    ("evaluate", "features/manifest.json"), ("evaluate --images", "photos/old~album/photo~1.png"),
    ("predict", "run/bundle/bundle.json"), ("predict", "photos/old~album/photo~1.png"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "out"), INPUTS)
def test_an_output_that_would_replace_an_input(command: str, out: str, desk: Desk) -> None:
    desk.write("classes.csv", "red\ngreen\nblue thing\ngelb ü\n")
    desk.write("boxes.json", "{}")
    name, _, more = command.partition(" --classes")
    arguments = [*words(BASICS[name])[:-1], *words(out), "--overwrite"]
    if out == "boxes.json":
        arguments[1] = out
    desk.complaint(*arguments, *(["--classes", "classes.csv"] if more else []))


@pytest.mark.parametrize("command", ["embed", "train", "train --backbone"])
def test_a_result_never_becomes_a_class(command: str, desk: Desk) -> None:
    *rest, out = words(BASICS[command])
    rest[1] = "photos"
    assert "lies in photos, where every folder is a class" in desk.complaint(*rest, f"photos/{out}")
