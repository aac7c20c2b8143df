"""Mistakes of users: one clear line, exit code 2, nothing written, no traceback."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from onelabel.cli import main
from onelabel.labels.readers import load_labels, save_labels
from workshop import Workshop

BASICS = {
    "check": "check labels.csv --images photos --workers 0 --json out.json",
    "simulate": "simulate full.csv --exhaustive --out out.csv",
    "embed": "embed labels.csv --images photos --backbone local-dir:net --workers 0 --out out",
    "embed --vlm": "embed labels.csv --images photos --vlm local-dir:clip --workers 0 --out out",
    "train": "train labels.csv --features features --method an --select full --epochs 1 --out out",
    "train --backbone": "train labels.csv --images photos --backbone local-dir:net --method an --select full "
    "--epochs 1 --workers 0 --out out",
    "train --val": "train single.csv --features features --method an --select full "
    "--epochs 1 --val val.csv --out out",
    "evaluate": "evaluate run full.csv --exhaustive --features features --json out.json",
    "evaluate --images": "evaluate run full.csv --exhaustive --images photos --json out.json",
    "predict": "predict run photos --out out.csv",
}
"""Every command in every way to use it: right as it stands."""

READING = [name for name in BASICS if name != "predict"]
"""Those that read labels."""

Listing = dict[str, str]


@pytest.fixture(scope="session")
def cupboard(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the commands of ``BASICS`` read, under short names."""
    folder = tmp_path_factory.mktemp("cupboard")
    shutil.copytree(workshop.photos, folder / "photos")
    shutil.copy(workshop.full, folder / "full.csv")
    shutil.copy(workshop.single, folder / "labels.csv")
    table = load_labels(workshop.single).table
    save_labels(replace(table.part("train"), splits=None, split_names=()), folder / "single.csv")
    save_labels(replace(table.part("val"), splits=None, split_names=()), folder / "val.csv")
    shutil.copytree(workshop.backbone.partition(":")[2], folder / "net")
    shutil.copytree(workshop.clip.partition(":")[2], folder / "clip")
    shutil.copytree(workshop.features, folder / "features")
    shutil.copytree(workshop.clip_store, folder / "clip-store")
    run = [*workshop.basics, "--method", "an", "--select", "full", "--out", str(folder / "run")]
    assert main(run) == 0
    return folder


@pytest.fixture
def desk(cupboard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the cupboard, which is the current folder."""
    desk = tmp_path / "desk"
    shutil.copytree(cupboard, desk, copy_function=os.link)
    monkeypatch.chdir(desk)
    return desk


def listing(folder: Path) -> Listing:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def words(text: str) -> list[str]:
    return [word.replace("~", " ") for word in text.split()]


def label_file(arguments: list[str]) -> str:
    """Return the label file that a command reads last."""
    return [word for word in arguments if word in ("labels.csv", "full.csv", "val.csv")][-1]


def write(name: str, content: str | bytes) -> None:
    """Write a file of the desk without touching the one in the cupboard that it is linked to."""
    path = Path(name)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail; return what it says."""
    before = listing(Path.cwd().parent)
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    assert code == 2, said.out
    assert listing(Path.cwd().parent) == before
    assert "Traceback" not in said.out + said.err
    lines = said.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("onelabel: error: "), said.err
    print(lines[0])
    return lines[0].removeprefix("onelabel: error: ")


@pytest.mark.parametrize("name", BASICS)
def test_the_commands_are_right_as_they_stand(name: str, desk: Path) -> None:
    before = listing(desk)
    assert main(words(BASICS[name])) == 0
    after = listing(desk)
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
def test_label_files_that_cannot_be_read(
    command: str, fault: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = LABEL_FILES[fault]
    arguments = words(BASICS[command])
    name = label_file(arguments)
    (desk / name).unlink()
    if content is not None:
        write(name, content)
    said = complaint(arguments, capsys)
    assert name in said and message in said


@pytest.mark.parametrize("command", READING)
def test_a_class_that_is_not_known(command: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The known classes are those of ``--classes``, of the training labels, or of the model."""
    arguments = words(BASICS[command])
    name = label_file(arguments)
    text = Path(name).read_text(encoding="utf-8")
    write(name, text.replace(",red,", ",rde,", 1))
    if "evaluate" not in command and "--val" not in command:
        write("classes.txt", "red\ngreen\nblue thing\ngelb ü\n")
        arguments += ["--classes", "classes.txt"]
    said = complaint(arguments, capsys)
    known = "in --classes" if "--classes" in arguments else "a known class"
    assert f"{name}, line 1, column 'rde': class 'rde' is not {known}" in said
    assert "(did you mean 'red'?)" in said


@pytest.mark.parametrize("command", [n for n in READING if "images photos" in BASICS[n] and n != "check"])
def test_photos_that_are_missing(command: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for row in (1, 31, 41):
        (desk / "photos" / "old album" / f"photo {row}.png").unlink()
    said = complaint(words(BASICS[command]), capsys)
    assert "photos are missing" in said and "onelabel check" in said and "photo " in said


@pytest.mark.parametrize("command", [name for name in READING if "--features" in BASICS[name]])
def test_images_without_features(command: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = words(BASICS[command])
    text = Path(label_file(arguments)).read_text(encoding="utf-8")
    write(label_file(arguments), text.replace("old album", "new album"))
    said = complaint(arguments, capsys)
    assert "images are not in the features, such as 'new album/photo" in said


# -- outputs ---


@pytest.mark.parametrize("command", BASICS)
def test_an_output_that_exists(command: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = words(BASICS[command])
    write(arguments[-1], "precious")
    assert "exists already; give another --out or add --overwrite" in complaint(arguments, capsys)
    if not arguments[-1].endswith((".csv", ".json")):
        said = complaint([*arguments, "--overwrite"], capsys)
        assert "is not" in said and Path(arguments[-1]).read_text() == "precious"
    else:
        assert main([*arguments, "--overwrite"]) == 0
        assert Path(arguments[-1]).read_text() != "precious"


@pytest.mark.parametrize("command", ["embed", "train", "train --backbone"])
def test_a_folder_of_something_else_is_never_replaced(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("out/thesis.txt", "precious")
    said = complaint([*words(BASICS[command]), "--overwrite"], capsys)
    assert "is not a" in said


@pytest.mark.parametrize("command", BASICS)
def test_an_output_that_cannot_be_written(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    *rest, out = words(BASICS[command])
    write("file", "")
    assert "file is a file, not a folder" in complaint([*rest, f"file/{out}"], capsys)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write everywhere
    assert f"cannot write {out}: no permission to write in" in complaint([*rest, out], capsys)


@pytest.mark.parametrize("command", [name for name in BASICS if "out." in BASICS[name]])
def test_a_file_that_is_to_be_written_over_a_folder(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *rest, out = words(BASICS[command])
    write(f"{out}/x", "")
    assert "is a folder; give the name of a file" in complaint([*rest, out, "--overwrite"], capsys)


INPUTS = [
    ("check", "labels.csv"), ("check", "photos/old~album/photo~1.png"),
    ("simulate", "full.csv"), ("simulate --classes classes.csv", "classes.csv"),
    ("embed", "labels.csv"), ("embed", "photos"), ("embed", "net"), ("embed", "."), ("embed --vlm", "clip"),
    ("train", "labels.csv"), ("train", "features"), ("train --val", "val.csv"), ("train", "."),
    ("train --backbone", "photos"), ("train --backbone", "net"),
    ("evaluate", "full.csv"), ("evaluate", "run/bundle/bundle.json"), ("evaluate", "run/metrics.json"),
    ("evaluate", "features/manifest.json"), ("evaluate --images", "photos/old~album/photo~1.png"),
    ("predict", "run/bundle/bundle.json"), ("predict", "photos/old~album/photo~1.png"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "out"), INPUTS)
def test_an_output_that_would_replace_an_input(
    command: str, out: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("classes.csv", "red\ngreen\nblue thing\ngelb ü\n")
    name, _, more = command.partition(" --classes")
    arguments = [*words(BASICS[name])[:-1], *words(out), "--overwrite"]
    complaint([*arguments, "--classes", "classes.csv"] if more else arguments, capsys)
