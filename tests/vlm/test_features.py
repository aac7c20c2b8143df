"""Features by row, from a store or from an ``.npz`` file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.vlm.features import ArrayStore, FeatureStore, align, open_features
from onelabel.vlm.store import EmbeddingStore

X = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = ["b.jpg", "ä/a.jpg", "c.jpg", "d.jpg"]


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_reads_numbers_of_any_width(tmp_path: Path, dtype: type[Any]) -> None:
    store: FeatureStore = open_features(
        save(tmp_path / "f.npz", X=X.astype(dtype), ids=np.array(IDS), more=1)
    )
    assert list(store.ids) == IDS
    assert (store.dim, store.mirrored, store.views) == (3, False, ("global",))
    rows = store.rows([3, 0, 3], [False] * 3)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows[:, 0], X[[3, 0, 3]])


def test_mirror_images_are_refused() -> None:
    store = ArrayStore(IdTable.from_strings(IDS), X)
    with pytest.raises(OneLabelError, match="mirror"):
        store.rows([0, 1], [False, True])


def test_the_fingerprint_follows_the_file(tmp_path: Path) -> None:
    one = open_features(save(tmp_path / "1.npz", X=X, ids=np.array(IDS)))
    two = open_features(save(tmp_path / "2.npz", X=X + 1, ids=np.array(IDS)))
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, "has no ids; it must"),
        ({"ids": np.array(IDS)}, "has no X"),
        ({"Y": X}, "has no X and no ids; it must"),
        ({"X": X[:3], "ids": np.array(IDS)}, "3 rows of features but 4 ids"),
        ({"X": X[0], "ids": np.array(IDS)}, r"not \(3,\)"),
        ({"X": X[:0], "ids": np.array([], "U1")}, r"not \(0, 3\)"),
        ({"X": X.astype("U8"), "ids": np.array(IDS)}, "numbers, not"),
        ({"X": X > 1, "ids": np.array(IDS)}, "numbers, not"),
        ({"X": X, "ids": np.arange(4)}, "list of text"),
        ({"X": X, "ids": np.array([IDS])}, "list of text"),
        ({"X": X, "ids": np.array(["a", "b", "a", "c"])}, "'a' appears twice"),
        ({"X": np.where(X == 7, np.nan, X), "ids": np.array(IDS)}, r"'c.jpg' \(row 2\)"),
        ({"X": np.where(X == 7, np.inf, X), "ids": np.array(IDS)}, r"'c.jpg' \(row 2\)"),
        ({"X": np.where(X == 7, 1e300, X.astype(float)), "ids": np.array(IDS)}, r"'c.jpg' \(row 2\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_file(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    path = save(tmp_path / "f.npz", **arrays)
    with pytest.raises(OneLabelError, match=message) as caught:
        open_features(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["X", "ids"])
def test_nothing_is_unpickled(tmp_path: Path, key: str) -> None:
    arrays = {"X": X, "ids": np.array(IDS)}
    arrays[key] = np.array([{"a": 1}, 2], dtype=object)
    with pytest.raises(OneLabelError, match="cannot be read as plain arrays"):
        open_features(save(tmp_path / "f.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", pickle.dumps({"X": 1}), b"\x93NUMPY"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.npz"
    path.write_bytes(content)
    with pytest.raises(OneLabelError, match=r"f\.npz"):
        open_features(path)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "f.npz").open("wb") as stream:
        np.save(stream, X)
    with pytest.raises(OneLabelError, match=r"f\.npz"):
        open_features(tmp_path / "f.npz")


@pytest.mark.parametrize("compressed", [True, False])
def test_an_archive_with_a_changed_byte_is_refused(tmp_path: Path, compressed: bool) -> None:
    (np.savez_compressed if compressed else np.savez)(tmp_path / "f.npz", X=X, ids=np.array(IDS))
    good = (tmp_path / "f.npz").read_bytes()
    place = good.index(b"X.npy") + 60  # inside the data of X
    (tmp_path / "f.npz").write_bytes(good[:place] + bytes([good[place] ^ 255]) + good[place + 1 :])
    with pytest.raises(OneLabelError, match="cannot be read as plain arrays"):
        open_features(tmp_path / "f.npz")


def test_a_folder_is_a_store(photos: Any, tmp_path: Path) -> None:
    written = photos.write(tmp_path / "store")
    store = open_features(tmp_path / "store")
    assert isinstance(store, EmbeddingStore)
    np.testing.assert_array_equal(store.rows([2], [True]), written.rows([2], [True]))


@pytest.mark.parametrize("name", ["none", "none.npz", "notes.txt"])
def test_a_place_without_features_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(OneLabelError, match=name):
        open_features(tmp_path / name)


def test_rows_are_found_by_id_not_by_position() -> None:
    store = ArrayStore(IdTable.from_strings(IDS), X)
    wanted = IdTable.from_strings(["d.jpg", "b.jpg"])
    assert align(store, wanted, "f.npz").tolist() == [3, 0]
    assert align(store, IdTable.from_strings(IDS), "f.npz").tolist() == [0, 1, 2, 3]


def test_images_without_features_are_named() -> None:
    store = ArrayStore(IdTable.from_strings(IDS), X)
    with pytest.raises(OneLabelError, match=r"5 of 6 images are not in f\.npz, such as '0', '1', '2':"):
        align(store, IdTable.from_strings(["0", "1", "b.jpg", "2", "3", "4"]), "f.npz")


def test_real_features(data: Path) -> None:
    for file in sorted((data / "features").glob("*.npz")):
        with np.load(file, allow_pickle=False) as archive:
            expected, ids = archive["X"], archive["ids"]
        store = open_features(file)
        assert list(store.ids) == ids.tolist()
        np.testing.assert_array_equal(store.rows([5, 1])[:, 0], expected[[5, 1]])
