"""From photos and a vision-language model to pseudo-labels, through the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onelabel.images.decode import decode
from onelabel.images.transforms import mirror
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.sources.vlpl import VlplSource, vlpl_rule
from onelabel.vlm.encoder import OpenClipEncoder, load_encoder
from onelabel.vlm.prompts import text_features
from onelabel.vlm.store import EmbeddingStore, write_store

N = 12
CLASSES = tuple(ClassInfo(name, name) for name in ("cat", "dog", "traffic_light"))


@pytest.fixture(scope="module")
def encoder(tiny_clip: Path) -> OpenClipEncoder:
    return load_encoder(f"local-dir:{tiny_clip}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for n in range(N):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def store(encoder: OpenClipEncoder, root: Path) -> EmbeddingStore:
    return write_store(
        root.with_name("store"), root=root, ids=IdTable.from_strings(f"{n}.png" for n in range(N)),
        encoder=encoder.encode_images, preprocess=encoder.preprocess, dim=encoder.dim,
        fingerprint=encoder.image_fingerprint,
    )  # fmt: skip


def test_pseudo_labels_are_those_of_the_model_on_the_fly(
    encoder: OpenClipEncoder, root: Path, store: EmbeddingStore
) -> None:
    order = np.random.default_rng(1).permutation(N)
    table = LabelTable.from_dense([f"{n}.png" for n in order], [c.id for c in CLASSES], np.zeros((N, 3)))
    source = VlplSource.from_encoder(store, encoder, CLASSES, negatives=0.34)
    source.start(table)
    bits = torch.arange(N) % 2 == 0
    labels = torch.zeros(N, 3, dtype=torch.int8)
    pseudo, score = source.pseudo(torch.arange(N), labels, bits, epoch=1)
    pixels = torch.stack([encoder.preprocess(decode(root / f"{n}.png")) for n in order])
    seen = torch.where(bits[:, None, None, None], mirror(pixels), pixels)
    cosines = encoder.encode_images(seen) @ text_features(encoder, CLASSES).T
    expected, probability = vlpl_rule(cosines, temperature=0.01, threshold=0.3, negative_fraction=0.34)
    # float16 moves a cosine by about 1e-4, which at τ = 0.01 is 0.01 in the exponent
    torch.testing.assert_close(score, probability, atol=0.02, rtol=0)
    clear = (abs(probability - 0.3) > 0.02).all(dim=1)
    assert clear.sum() >= N // 2
    assert torch.equal(pseudo[clear], expected[clear])


def test_a_store_of_another_model_is_refused(
    store: EmbeddingStore, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    other = load_encoder(f"local-dir:{make_clip(tmp_path / 'other', seed=1)}")
    with pytest.raises(OneLabelError, match="made with other weights: "):
        VlplSource.from_encoder(store, other, CLASSES)
