"""A store, a set, opinions, features and settings are data: changed at random, they are refused or whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hostile_child
from hostile_models import FOLDERS, SINGLE, make_store, seal_store
from hostile_samples import npy
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.vlm.store import EmbeddingStore

SEEDS, NIGHTLY = 120, 10_000
NAMES = [name for name in (*SINGLE, *FOLDERS) if name != "bundle"]


@pytest.mark.parametrize("name", NAMES)
def test_changed_files(name: str) -> None:
    found = hostile_child.run("hostile_models:read", name, 0, SEEDS, memory=300)
    assert found["refused"], found


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_many_changed_files(name: str) -> None:
    hostile_child.run("hostile_models:read", name, SEEDS, SEEDS + NIGHTLY, memory=300)


def refused(folder: Path) -> str:
    with pytest.raises(OneLabelError) as caught:
        store = EmbeddingStore.open(folder)
        list(store.ids)
        store.rows([0])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "offsets", [[0, 9, 10], [5, 0, 10], [0, -1, 10], [0, 5, 2**62], [1, 5, 10], [0, 5], [0, 5, 5, 10], []]
)
def test_ids_from_a_file(offsets: list[int]) -> None:
    buffer = IdTable.from_strings(["a.jpg", "b.jpg"]).buffer
    if offsets == [0, 9, 10]:
        assert list(IdTable.checked(buffer, np.array(offsets))) == ["a.jpgb.jp", "g"]
        return
    with pytest.raises(OneLabelError, match="offsets do not fit"):
        IdTable.checked(buffer, np.array(offsets, np.int64))


def test_ids_that_are_no_text() -> None:
    with pytest.raises(OneLabelError, match="not valid UTF-8"):
        IdTable.checked(np.array([0xFF, 0xFE], np.uint8), np.array([0, 2]))
    with pytest.raises(OneLabelError, match="not bytes"):
        IdTable.checked(np.array([1.0]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("rows-00000.npy", np.array([{}], object)),
        ("rows-00000.npy", np.ones((2, 1, 2, 5), np.float16)),
        ("ids.npy", np.array([{}], object)),
        ("ids.npy", np.full(10, 0xFF, np.uint8)),
        ("offsets.npy", np.array([5, 0, 10])),
        ("offsets.npy", np.array([0, 5, 2**62])),
    ],
)
def test_arrays_of_another_kind(tmp_path: Path, name: str, array: Any) -> None:
    folder = make_store(tmp_path / "store")
    (folder / name).write_bytes(npy(array))
    seal_store(folder, json.loads((folder / "manifest.json").read_text()))
    refused(folder)


def test_pipes_and_absurd_numbers(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    content = json.loads((folder / "manifest.json").read_text())
    values: list[Any] = [0, -1, 2**62, 10**300, "x", None, [], 1e308, True]
    for key in ("rows", "dim", "shard_rows"):
        for value in values:
            (folder / "manifest.json").write_text(json.dumps({**content, key: value}))
            refused(folder)
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    refused(folder)


@pytest.mark.parametrize("when", [0, 1, 4_102_444_800])
def test_files_of_1970_and_of_the_future(tmp_path: Path, when: int) -> None:
    """A copy keeps its content, whatever the clock said: the digest decides."""
    folder = make_store(tmp_path / "store")
    for path in (folder, *folder.iterdir()):
        os.utime(path, (when, when))
    assert list(EmbeddingStore.open(folder).ids) == ["a.jpg", "b.jpg"]
