"""The label layouts of docs/labels.md, read as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onelabel.labels import LabelTable, load_labels

DOCUMENT = (Path(__file__).parents[1] / "docs" / "labels.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (\w+):.*?^```(csv|text|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {name: (kind, text) for name, kind, text in SECTION.findall(DOCUMENT)}
FORMATS = {"List": "list-csv", "Wide": "wide-csv", "Long": "long-csv", "Folders": "folders", "COCO": "coco"}


def present(table: LabelTable) -> dict[str, set[str]]:
    """Classes marked present, by the file name of the image."""
    return {
        Path(name).stem: {c for c, value in zip(table.class_ids, row, strict=True) if value == 1}
        for name, row in zip(table.ids, table.dense(), strict=True)
    }


def write(folder: Path, kind: str, text: str) -> Path:
    if kind != "text":
        path = folder / f"labels.{kind}"
        path.write_text(text, encoding="utf-8")
        return path
    for line in text.split():
        photo = folder / line
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(photo.name.encode())
    return folder / "photos"


@pytest.mark.parametrize("name", FORMATS)
def test_an_example_of_the_document_is_read(name: str, tmp_path: Path) -> None:
    loaded = load_labels(write(tmp_path, *EXAMPLES[name]))
    assert loaded.format == FORMATS[name]
    found = present(loaded.table)
    assert "duck" in found["pond"] and found["street"] == {"car"}
    assert (loaded.table.dense() == 0).any(), "what is not marked is unknown"


def test_absent_and_unknown_are_told_apart(tmp_path: Path) -> None:
    wide = load_labels(write(tmp_path, *EXAMPLES["Wide"])).table
    assert wide.dense()[list(wide.ids).index("street.jpg")].tolist() == [1, -1, 0]
