"""A folder of small photos and a way to embed them with a fake encoder, fast and exactly known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from onelabel.images.decode import decode
from onelabel.images.transforms import Preprocess, mirror
from onelabel.io.ids import IdTable
from onelabel.vlm.store import EmbeddingStore, write_store

DIM = 6


class FakeEncoder:
    """A fixed linear map of the pixels; counts its images."""

    def __init__(self, size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(3 * size * size, DIM, generator=generator)
        self.images = 0

    def __call__(self, images: Tensor) -> Tensor:
        self.images += len(images)
        return images.flatten(1) @ self.matrix


@dataclass
class Photos:
    """Photos below ``root`` and what is needed to embed them."""

    root: Path
    ids: IdTable
    preprocess: Preprocess
    encoder: FakeEncoder

    def write(self, path: Path, **changes: Any) -> EmbeddingStore:
        """Embed all photos: shards of 5, batches of 2."""
        settings = {
            "root": self.root, "ids": self.ids, "encoder": self.encoder, "preprocess": self.preprocess,
            "dim": DIM, "fingerprint": {"weights": "w1", "views": "global"}, "batch_size": 2, "shard_rows": 5,
        }  # fmt: skip
        return write_store(path, **{**settings, **changes})

    def expected(self) -> NDArray[np.float32]:
        """(N, 2, D): what the encoder gives for each image and its mirror image, image by image."""
        pixels = [self.preprocess(decode(self.root / name)) for name in self.ids]
        batch = torch.stack(pixels)
        encoder = FakeEncoder(self.preprocess.size)
        both: NDArray[np.float32] = torch.stack([encoder(batch), encoder(mirror(batch))], dim=1).numpy()
        return both


MakePhotos = Callable[[Path, int], Photos]


@pytest.fixture(scope="session")
def make_photos() -> MakePhotos:
    """``make_photos(root, count)``: write that many small PNG files, some in a folder `ä b`."""

    def make(root: Path, count: int) -> Photos:
        rng = np.random.default_rng(0)
        names = [f"ä b/{n:03d}.png" if n % 3 else f"{n:03d}.png" for n in range(count)]
        (root / "ä b").mkdir(parents=True)
        for name in names:
            Image.fromarray(rng.integers(0, 256, (10, 12, 3), np.uint8)).save(root / name)
        preprocess = Preprocess(8, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
        return Photos(root, IdTable.from_strings(names), preprocess, FakeEncoder(8))

    return make


@pytest.fixture
def photos(tmp_path: Path, make_photos: MakePhotos) -> Photos:
    """23 photos: shards of 5, 5, 5, 5 and 3."""
    return make_photos(tmp_path / "photos", 23)
