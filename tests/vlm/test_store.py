"""The embedding store: what is written is what the encoder gave, and is read by row."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onelabel.images.decode import decode
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.vlm import embed
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.layout import usual_shard_rows
from onelabel.vlm.store import EmbeddingStore, write_store

HALF = 2.0**-11  # largest relative error of rounding to float16


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, make_photos: Any) -> Any:
    """Photos, their finished store, and what the encoder gives for them."""
    folder = tmp_path_factory.mktemp("store")
    photos = make_photos(folder / "photos", 23)
    return photos, photos.write(folder / "store"), photos.expected()


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_are_what_the_encoder_gives(photos: Any, tmp_path: Path, workers: int) -> None:
    store = photos.write(tmp_path / "store", workers=workers)
    expected = photos.expected()
    assert list(store.ids) == list(photos.ids) and len(store) == 23
    assert (store.dim, store.views, store.mirrored) == (6, ("global",), True)
    everything = np.arange(23)
    for bit in (False, True):
        rows = store.rows(everything, np.full(23, bit))
        assert rows.dtype == np.float32 and rows.shape == (23, 1, 6)
        np.testing.assert_allclose(rows[:, 0], expected[:, int(bit)], rtol=HALF, atol=1e-6)
    np.testing.assert_array_equal(store.rows(everything), store.rows(everything, np.zeros(23, bool)))


@given(st.lists(st.tuples(st.integers(0, 22), st.booleans())))
def test_any_rows_in_any_order(kept: Any, wanted: list[tuple[int, bool]]) -> None:
    _, store, expected = kept
    index, bits = [row for row, _ in wanted], [bit for _, bit in wanted]
    rows = store.rows(np.array(index, np.int64), np.array(bits, bool))
    assert rows.shape == (len(wanted), 1, 6)
    np.testing.assert_allclose(rows[:, 0], expected[index, np.array(bits, int)], rtol=HALF, atol=1e-6)


def test_an_image_is_decoded_once(photos: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def counted(path: Path, max_pixels: int) -> Image.Image:
        seen.append(path)
        return decode(path, max_pixels)

    monkeypatch.setattr(embed, "decode", counted)
    photos.write(tmp_path / "store")
    assert sorted(seen) == sorted(photos.root / name for name in photos.ids)
    assert photos.encoder.images == 2 * 23


def test_without_mirror_images(photos: Any, tmp_path: Path) -> None:
    store = photos.write(tmp_path / "store", mirrored=False)
    assert photos.encoder.images == 23 and not store.mirrored
    np.testing.assert_allclose(store.rows([3])[0, 0], photos.expected()[3, 0], rtol=HALF, atol=1e-6)
    np.testing.assert_array_equal(store.rows([3], [False]), store.rows([3]))
    with pytest.raises(OneLabelError, match="no rows for mirror images"):
        store.rows([3, 4], [False, True])


def test_files_may_have_other_names_than_ids(photos: Any, tmp_path: Path) -> None:
    ids = IdTable.from_strings(f"id{n}" for n in range(23))
    store = photos.write(tmp_path / "store", ids=ids, paths=photos.ids)
    assert store.ids == ids
    np.testing.assert_allclose(store.rows([22])[0, 0], photos.expected()[22, 0], rtol=HALF, atol=1e-6)


def test_rows_stay_on_disk(kept: Any) -> None:
    store = kept[1]
    assert all(isinstance(shard.base, np.memmap) and not shard.flags.writeable for shard in store._shards)


def test_sending_a_store_to_a_worker_sends_its_path(kept: Any) -> None:
    store = kept[1]
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).rows([1, 20], [1, 0]), store.rows([1, 20], [1, 0]))


@pytest.mark.parametrize("index", [[23], [-1], [0, 99]])
def test_rows_that_do_not_exist_are_refused(kept: Any, index: list[int]) -> None:
    with pytest.raises(IndexError, match="store with 23"):
        kept[1].rows(index)


def test_how_to_load_the_encoder_again_is_kept(photos: Any, tmp_path: Path, kept: Any) -> None:
    spec = {"kind": "open_clip", "spec": "local-dir:clip"}
    photos.write(tmp_path / "store", encoder_spec=spec)
    assert EmbeddingStore.open(tmp_path / "store").encoder == spec
    assert kept[1].encoder == {}


def test_fingerprints_are_compared_part_by_part(kept: Any) -> None:
    store = kept[1]
    store.require({"views": "global", "weights": "w1"})
    with pytest.raises(OneLabelError, match="made with other weights: "):
        store.require({"views": "global", "weights": "w2"})
    with pytest.raises(OneLabelError, match="made with other activation: "):
        store.require({"views": "global", "weights": "w1", "activation": "gelu"})


def test_contents_do_not_depend_on_how_they_were_made(photos: Any, tmp_path: Path, kept: Any) -> None:
    """Batch size, workers and shard size change nothing but the cut into files."""
    store = photos.write(tmp_path / "store", batch_size=23, workers=1, shard_rows=None)
    everything = np.arange(23)
    for bit in (0, 1):
        ours, theirs = (each.rows(everything, np.full(23, bit)) for each in (store, kept[1]))
        np.testing.assert_allclose(ours, theirs, rtol=2 * HALF, atol=1e-6)
    assert len(list((tmp_path / "store").glob("rows-*.npy"))) == 1


def test_all_shards_can_be_open_at_once() -> None:
    for images in (1, 5_000, 1_000_000, 50_000_000):
        assert -(-images // usual_shard_rows(images)) <= 256


def test_a_vision_language_model_end_to_end(photos: Any, tmp_path: Path, tiny_clip: Path) -> None:
    encoder = load_encoder(f"local-dir:{tiny_clip}")
    settings = {"encoder": encoder.encode_images, "preprocess": encoder.preprocess, "dim": encoder.dim}
    photos.write(tmp_path / "store", **settings, fingerprint=encoder.image_fingerprint)
    store = EmbeddingStore.open(tmp_path / "store", verify=True)
    store.require(encoder.image_fingerprint)
    norms = np.linalg.norm(store.rows(np.arange(23), np.arange(23) % 2 == 0), axis=2)
    np.testing.assert_allclose(norms, 1, atol=2e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (float("nan"), "float16 cannot hold"),
        (float("inf"), "float16 cannot hold"),
        (7e4, "float16 cannot hold"),
    ],
)
def test_values_that_cannot_be_kept_name_their_image(
    photos: Any, tmp_path: Path, values: float, message: str
) -> None:
    calls = []

    def encoder(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        out = torch.zeros(len(images), 6)
        out[-1] = values if len(calls) == 3 else 0  # second batch, plain, last image: row 3
        return out

    with pytest.raises(OneLabelError, match=message) as caught:
        photos.write(tmp_path / "store", encoder=encoder)
    assert photos.ids.text(3) in str(caught.value)


def test_an_encoder_of_another_size_is_refused(photos: Any, tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"gives \(2, 6\) for a batch, expected \(2, 7\)"):
        photos.write(tmp_path / "store", dim=7)


def test_no_images_is_an_error(photos: Any, tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match="no images"):
        photos.write(tmp_path / "store", ids=IdTable.from_strings([]))
    assert not list(tmp_path.glob("store*"))


def test_the_encoder_runs_without_gradients(photos: Any, tmp_path: Path) -> None:
    layer = torch.nn.Linear(3 * 8 * 8, 6)
    write_store(
        tmp_path / "store", root=photos.root, ids=photos.ids, preprocess=photos.preprocess, dim=6,
        encoder=lambda images: layer(images.flatten(1)), fingerprint={},
    )  # fmt: skip
    assert layer.weight.grad is None
