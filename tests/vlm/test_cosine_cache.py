"""Cosines beside a store: the same as computed, made once, refused when changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onelabel.images.views import view_plan
from onelabel.io.errors import OneLabelError
from onelabel.vlm import cosine_cache
from onelabel.vlm.cosine_cache import open_cosines
from onelabel.vlm.store import EmbeddingStore
from onelabel.vlm.texts import Words, as_class_texts


@pytest.fixture
def store(photos: Any, tmp_path: Path) -> EmbeddingStore:
    found: EmbeddingStore = photos.write(tmp_path / "store", views=view_plan("grid:2"))
    return found


def words(seed: int = 0) -> Words:
    return as_class_texts(np.random.default_rng(seed).normal(size=(4, 6)), 6).words()


def folders(store: EmbeddingStore) -> list[Path]:
    return sorted(store.path.glob("cosines-*"))


def test_rows_are_those_computed(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosine_cache, "_ROWS_AT_ONCE", 4)
    cache = open_cosines(store, words())
    rng = np.random.default_rng(1)
    index, bits = rng.integers(0, 23, 50), rng.integers(0, 2, (50, 5))
    expected = words().cosines(torch.from_numpy(store.rows(index, bits))).numpy()
    found = cache.rows(index, bits)
    assert found.shape == (50, 5, 4) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.51 / cosine_cache.UNIT)


def test_is_made_once_for_each_list_of_classes(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_cosines(store, words()).rows([3], [True])
    open_cosines(store, words(1))
    assert len(folders(store)) == 2
    monkeypatch.setattr(EmbeddingStore, "rows", None)  # nothing may read embeddings any more
    np.testing.assert_array_equal(
        open_cosines(EmbeddingStore.open(store.path), words()).rows([3], [True]), first
    )


def test_other_embeddings_have_other_cosines(photos: Any, tmp_path: Path) -> None:
    for mirrored in (True, False):
        store = photos.write(tmp_path / "store", mirrored=mirrored, overwrite=True)
        cache = open_cosines(store, words())
        expected = words().cosines(torch.from_numpy(store.rows(range(23)))).numpy()
        np.testing.assert_allclose(cache.rows(range(23)), expected, rtol=0, atol=1e-4)


def test_stays_on_disk(store: EmbeddingStore) -> None:
    assert isinstance(open_cosines(store, words())._array, np.memmap)


@pytest.mark.parametrize("fault", ["cut", "byte", "gone", "manifest"])
def test_a_changed_cache_is_refused(store: EmbeddingStore, fault: str) -> None:
    open_cosines(store, words())
    (folder,) = folders(store)
    file = folder / "cosines.npy"
    content = file.read_bytes()
    if fault == "gone":
        file.unlink()
    elif fault == "manifest":
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["file"]["sha256"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
    else:
        file.write_bytes(content[:-1] if fault == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(OneLabelError, match="it is made again"):
        open_cosines(store, words())


def test_an_interrupted_cache_leaves_nothing(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cosine_cache, "_computed", stop)
        open_cosines(store, words())
    assert not list(store.path.glob("*cosines*"))
    open_cosines(store, words())
