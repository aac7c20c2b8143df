"""Stores of several views: each view a row of its own, mirrored or not, from one decoded image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from onelabel.images.decode import decode
from onelabel.images.named import named_preprocessing
from onelabel.images.transforms import mirror
from onelabel.images.views import view_plan
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.vlm import embed
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.fingerprint import seen_through
from onelabel.vlm.made_by import PREPROCESS, require_made_by
from onelabel.vlm.store import EmbeddingStore, write_store

PLAN = view_plan("grid:2")
HALF = 2**-10


def in_the_loop(photos: Any) -> NDArray[np.float32]:
    """(N, 5, 2, D): what the encoder gives for each view and its mirror image, one at a time."""
    pixels = [PLAN.pixels(decode(photos.root / name), photos.preprocess) for name in photos.ids]
    images = photos.preprocess.normalise(torch.from_numpy(np.stack(pixels)).flatten(0, 1))
    both = torch.stack([photos.encoder(images), photos.encoder(mirror(images))], dim=1)
    found: NDArray[np.float32] = both.reshape(len(pixels), len(PLAN), 2, -1).numpy()
    return found


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_every_view_and_mirror_image_has_its_row(photos: Any, tmp_path: Path, batch_size: int) -> None:
    store = photos.write(tmp_path / "store", views=PLAN, batch_size=batch_size)
    assert store.views == PLAN.names
    expected = in_the_loop(photos)
    rng = np.random.default_rng(0)
    index, bits = rng.integers(0, 23, 40), rng.integers(0, 2, (40, 5))
    found = store.rows(index, bits)
    np.testing.assert_allclose(found, expected[index[:, None], np.arange(5), bits], rtol=HALF, atol=1e-5)
    one = store.rows(index, bits[:, 0])
    np.testing.assert_allclose(one, expected[index, :, bits[:, 0]], rtol=HALF, atol=1e-5)


def test_bits_of_fewer_views_read_those_alone(photos: Any, tmp_path: Path) -> None:
    store = photos.write(tmp_path / "store", views=PLAN)
    rng = np.random.default_rng(1)
    index, bits = rng.integers(0, 23, 40), rng.integers(0, 2, (40, 5))
    for views in range(1, 6):
        found = store.rows(index, bits[:, :views])
        np.testing.assert_array_equal(found, store.rows(index, bits)[:, :views])


def test_no_call_of_the_encoder_sees_more_views_than_asked(photos: Any, tmp_path: Path) -> None:
    sizes: list[int] = []

    def encoder(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        found: torch.Tensor = photos.encoder(images)
        return found

    photos.write(tmp_path / "store", views=PLAN, batch_size=3, encoder=encoder)
    assert max(sizes) == 3 and sum(sizes) == 23 * 5 * 2


def test_an_image_is_decoded_once(photos: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def counted(path: Path, max_pixels: int) -> Any:
        seen.append(path)
        return decode(path, max_pixels)

    monkeypatch.setattr(embed, "decode", counted)
    photos.write(tmp_path / "store", views=PLAN)
    assert len(seen) == len(set(seen)) == 23


def test_unfinished_work_of_other_views_is_not_continued(photos: Any, tmp_path: Path) -> None:
    def stop(images: torch.Tensor) -> torch.Tensor:
        if photos.encoder.images > 60:
            raise KeyboardInterrupt
        found: torch.Tensor = photos.encoder(images)
        return found

    with pytest.raises(KeyboardInterrupt):
        photos.write(tmp_path / "store", views=PLAN, encoder=stop)
    with pytest.raises(OneLabelError, match="was begun with other views"):
        photos.write(tmp_path / "store")
    resumed = photos.write(tmp_path / "store", views=PLAN)
    fresh = photos.write(tmp_path / "fresh", views=PLAN)
    np.testing.assert_array_equal(resumed.rows(range(23), [1] * 23), fresh.rows(range(23), [1] * 23))


def clip_store(tiny_clip: Path, photos: Any, path: Path, name: str) -> EmbeddingStore:
    encoder = load_encoder(f"local-dir:{tiny_clip}")
    preprocess = named_preprocessing(name, encoder.preprocess)
    return write_store(
        path, root=photos.root, ids=IdTable.from_strings(list(photos.ids)[:3]),
        encoder=encoder.encode_images, preprocess=preprocess, dim=encoder.dim, views=PLAN,
        fingerprint=seen_through(encoder.image_fingerprint, preprocess, PLAN),
        encoder_spec={PREPROCESS: name},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["encoder", "released-vlpl", "released-aevlp"])
def test_the_encoder_is_known_again_by_the_name_of_its_preprocessing(
    tiny_clip: Path, photos: Any, tmp_path: Path, name: str
) -> None:
    store, encoder = (
        clip_store(tiny_clip, photos, tmp_path / "s", name),
        load_encoder(f"local-dir:{tiny_clip}"),
    )
    require_made_by(store, encoder)
    assert np.linalg.norm(store.rows([0])[0], axis=1) == pytest.approx(np.ones(5), abs=1e-3)
    with pytest.raises(OneLabelError, match=r"made with other .*views"):
        store.require(encoder.image_fingerprint)


def test_another_encoder_is_refused(tiny_clip: Path, photos: Any, tmp_path: Path, make_clip: Any) -> None:
    store = clip_store(tiny_clip, photos, tmp_path / "s", "released-aevlp")
    other = load_encoder(f"local-dir:{make_clip(tmp_path / 'other', seed=1)}")
    with pytest.raises(OneLabelError, match="made with other weights: "):
        require_made_by(store, other)
