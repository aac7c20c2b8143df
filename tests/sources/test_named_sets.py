"""Named sets of pseudo-labels on disk: whole or not there, checked, found, compared, deleted."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.sources import named
from onelabel.sources.file import FileSource
from onelabel.sources.grade_text import agreement
from onelabel.sources.named import NamedSet, check_name, delete_set, find_set, list_sets, write_set
from onelabel.sources.opinions import Opinions
from onelabel.sources.set import SetSource

NAN = float("nan")
CLASSES = ("cat", "big dog", 'c"w')
IDS = ["a.jpg", "d/b, c.jpg", "ü.jpg"]
DECISION = np.array([[1, 0, -1], [0, 0, 0], [0, 1, 0]], np.int8)
SCORE = np.array([[0.9, 0.4, 0.1], [NAN, NAN, 0.3], [NAN, 1 / 3, NAN]], np.float32)


def opinions(decision: np.ndarray = DECISION, score: np.ndarray = SCORE) -> Opinions:
    return Opinions(IdTable.from_strings(IDS), CLASSES, decision.astype(np.int8), score)


def make(path: Path, **facts: Any) -> NamedSet:
    return write_set(path, opinions(), facts, overwrite=False)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_table_holds_the_pseudo_labels_and_is_a_file_source(tmp_path: Path) -> None:
    found = make(tmp_path / "first", note=1)
    assert found.name == "first" and found.facts["note"] == 1
    with (found.path / "table.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    third = str(np.float32(1 / 3))
    assert [tuple(row.values()) for row in rows] == [
        ("a.jpg", "cat", "0.9", "1"), ("a.jpg", 'c"w', "0.1", "-1"), ("d/b, c.jpg", "", "", ""),
        ("ü.jpg", "big dog", third, "1"),
    ]  # fmt: skip
    table = LabelTable.from_dense(IDS, CLASSES, np.zeros((3, 3), np.int8))
    answers = []
    for source in (FileSource(found.path / "table.csv"), SetSource(found.path)):
        source.start(table)
        nothing, never = torch.zeros(3, 3, dtype=torch.int8), torch.zeros(3, dtype=torch.bool)
        answers.append(source.pseudo(torch.arange(3), nothing, never, epoch=1))
        assert np.array_equal(answers[-1][0].numpy(), DECISION)
    np.testing.assert_equal(answers[1][1].numpy(), SCORE)
    np.testing.assert_equal(answers[0][1].numpy(), np.where(DECISION != 0, SCORE, NAN))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    decision = rng.integers(-1, 2, (3, 3))
    score = np.where(rng.random((3, 3)) < 0.3, NAN, rng.random((3, 3))).astype(np.float32)
    decision[np.isnan(score)] = 0
    path = tmp_path_factory.mktemp("sets") / "s"
    found = write_set(path, opinions(decision, score), {}, overwrite=False).opinions()
    assert found.ids == IdTable.from_strings(IDS) and found.class_ids == CLASSES
    assert found.decision is not None and np.array_equal(found.decision, decision)
    np.testing.assert_equal(found.score, score)


@pytest.mark.parametrize("file", ["table.csv", "opinions.npz"])
@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_set_that_was_changed_is_refused(tmp_path: Path, file: str, fault: str) -> None:
    path = make(tmp_path / "first").path
    if fault == "missing":
        (path / file).unlink()
    else:
        content = bytearray((path / file).read_bytes())
        content[len(content) // 2] ^= 1
        (path / file).write_bytes(bytes(content))
    with pytest.raises(OneLabelError, match=f"{file} is missing or was changed since the set was made"):
        SetSource(path)


def test_a_manifest_of_another_kind_or_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "first").path
    content = json.loads((path / "set.json").read_text())
    for change, message in (
        ({"format_version": 99}, "update onelabel"),
        ({"kind": "x"}, "is not a onelabel"),
    ):
        (path / "set.json").write_text(json.dumps(content | change))
        with pytest.raises(OneLabelError, match=message):
            NamedSet.open(path)
        with pytest.raises(OneLabelError, match=message):
            delete_set(path)
    (path / "set.json").write_text(json.dumps({key: content[key] for key in ("kind", "format_version")}))
    with pytest.raises(OneLabelError, match="missing or was changed"):
        NamedSet.open(path)


def test_a_set_replaces_a_set_and_nothing_else(tmp_path: Path) -> None:
    path = make(tmp_path / "first", note=1).path
    with pytest.raises(OneLabelError, match="exists already; give another --name or add --overwrite"):
        make(path)
    assert write_set(path, opinions(), {"note": 2}, overwrite=True).facts["note"] == 2
    (path / "thesis.txt").write_text("precious")
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.jpg").write_text("precious")
    before = snapshot(tmp_path)
    for folder, message in ((path, "also holds thesis.txt"), (other, "is no set of pseudo-labels")):
        with pytest.raises(OneLabelError, match=message):
            write_set(folder, opinions(), {}, overwrite=True)
        with pytest.raises(OneLabelError, match=message):
            delete_set(folder)
    assert snapshot(tmp_path) == before


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "first", note=1).path
    before = snapshot(tmp_path)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(named, "write_npz", full_disk)
    for target in (path, tmp_path / "second"):
        with pytest.raises(OneLabelError, match="No space left on device"):
            write_set(target, opinions(), {}, overwrite=True)
    assert snapshot(tmp_path) == before and [entry.name for entry in tmp_path.iterdir()] == ["first"]


def test_sets_are_found_by_name_or_path_and_deleted(tmp_path: Path) -> None:
    assert list_sets(tmp_path / "none") == []
    for name in ("second", "first"):
        make(tmp_path / name)
    (tmp_path / "other").mkdir()
    assert [found.name for found in list_sets(tmp_path)] == ["first", "second"]
    assert find_set("first", tmp_path) == find_set(str(tmp_path / "first"), "elsewhere") == tmp_path / "first"
    with pytest.raises(OneLabelError, match=r"unknown set of pseudo-labels 'frist' \(did you mean 'first'"):
        find_set("frist", tmp_path)
    with pytest.raises(OneLabelError, match="there is no set 'first', and none at all"):
        find_set("first", tmp_path / "other")
    delete_set(tmp_path / "first")
    assert [found.name for found in list_sets(tmp_path)] == ["second"]
    with pytest.raises(OneLabelError, match="there is no set"):
        delete_set(tmp_path / "first")


def test_names() -> None:
    for name in ("first", "run-2_b.x", "größe"):
        check_name(name, ("vlpl",))
    for name in ("", "a/b", "..", ".x", "-x", "a b", "a,b", "tags.csv", "a\\b"):
        with pytest.raises(OneLabelError, match="make a name"):
            check_name(name, ())
    with pytest.raises(OneLabelError, match="'vlpl' is the name of a source"):
        check_name("vlpl", ("vlpl",))


def test_agreement_of_two_sets_is_by_id_and_class() -> None:
    order, classes = [2, 0], [1, 0]
    ids = IdTable.from_strings([IDS[n] for n in order])
    other = np.array([[1, -1], [0, 1]], np.int8)  # (ü: dog +, cat -), (a: dog 0, cat +)
    second = Opinions(ids, tuple(CLASSES[c] for c in classes), other, np.zeros((2, 2), np.float32))
    said = agreement("one", opinions(), "two", second)
    assert said.startswith("one and two, 2 images: 2 of 2 present in both (100.0 %), 0 present in one and")
    second = Opinions(ids, second.class_ids, -other, second.score)
    assert "0 of 3 present in both (0.0 %), 2 present in one" in agreement("a", opinions(), "b", second)
