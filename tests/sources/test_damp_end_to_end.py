"""From photos and a vision-language model to pseudo-labels of AEVLP, through the store and in the loop."""

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
from torchvision import transforms  # type: ignore[import-untyped]

from onelabel.images.decode import decode
from onelabel.images.named import IMAGENET_MEAN, IMAGENET_STD, named_preprocessing
from onelabel.images.views import view_plan
from onelabel.io.ids import IdTable
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.sources.damp import DampSource
from onelabel.sources.damp_rule import damp_labels, damp_scores
from onelabel.vlm.encoder import OpenClipEncoder, load_encoder
from onelabel.vlm.fingerprint import seen_through
from onelabel.vlm.store import write_store
from onelabel.vlm.texts import ClassTexts, as_class_texts

CLASSES = tuple(ClassInfo(name, name) for name in ("cat", "dog", "cow", "owl", "traffic_light", "star"))
PLAN = view_plan("grid:4")
ETA, THRESHOLD, TOP_K, TEMPERATURE = 0.3, 0.3, 2, 0.01
MODEL: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 128, "head_width": 32, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@dataclass(frozen=True)
class Scene:
    """Photos, an encoder, and the source on the store that it made of them."""

    root: Path
    encoder: OpenClipEncoder
    texts: ClassTexts
    source: DampSource
    table: LabelTable

    def in_the_loop(self, bits: NDArray[np.bool_]) -> Tensor:
        """Scores (N, V, C) as published: decode, cut, resize by torchvision, mirror, normalise, encode."""
        steps = [transforms.Resize((224, 224)), transforms.ToTensor()]
        made = transforms.Compose([*steps, transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])
        scores = []
        for row, name in enumerate(self.table.ids):
            image = decode(self.root / name)
            views = [image, *(image.crop(tile.box(*image.size)) for tile in PLAN.tiles)]
            seen = [made(v).flip(-1) if bit else made(v) for v, bit in zip(views, bits[row], strict=True)]
            cosines = self.texts.words().cosines(self.encoder.encode_images(torch.stack(seen)))
            scores.append(torch.softmax(cosines / TEMPERATURE, dim=-1))
        return torch.stack(scores)


def build(root: Path, names: list[str], encoder: OpenClipEncoder, store: Path, cache: bool) -> Scene:
    preprocess = named_preprocessing("released-aevlp", encoder.preprocess)
    written = write_store(
        store, root=root, ids=IdTable.from_strings(names), encoder=encoder.encode_images,
        preprocess=preprocess, dim=encoder.dim, views=PLAN,
        fingerprint=seen_through(encoder.image_fingerprint, preprocess, PLAN),
    )  # fmt: skip
    labels = np.zeros((len(names), len(CLASSES)), np.int8)
    labels[np.arange(len(names)), np.arange(len(names)) % len(CLASSES)] = 1
    table = LabelTable.from_dense(names, [info.id for info in CLASSES], labels)
    # The untrained text tower says nearly the same of all classes.
    words = torch.randn(len(CLASSES), encoder.dim, generator=torch.Generator().manual_seed(0))
    texts = as_class_texts(words, encoder.dim)
    source = DampSource(written, texts, TEMPERATURE, ETA, THRESHOLD, TOP_K, cache=cache)
    source.start(table)
    return Scene(root, encoder, texts, source, table)


def compare(scene: Scene) -> tuple[int, int]:
    """Compare epoch 3 of the source with the loop; return clear entries, and entries with a decision."""
    rows = np.arange(len(scene.table))
    labels = torch.from_numpy(scene.table.rows(rows))
    scores = scene.in_the_loop(scene.source.bits(rows, 3))
    positive, negative = damp_scores(scores, labels, ETA)
    expected = damp_labels(positive, negative, threshold=THRESHOLD, top_k=TOP_K)
    cosines = scene.source.cosines(rows, scene.source.bits(rows, 3))
    cached = torch.softmax(cosines / TEMPERATURE, dim=-1)
    torch.testing.assert_close(cached, scores, rtol=0, atol=5e-3)
    pseudo, _ = scene.source.pseudo(
        torch.from_numpy(rows), labels, torch.zeros(len(rows), dtype=torch.bool), 3
    )
    clear = outside_the_margin(scores, labels, positive) & (labels == 0)
    assert torch.equal(pseudo[clear], expected[clear])
    return int(clear.sum()), int((expected[clear] != 0).sum())


def outside_the_margin(scores: Tensor, labels: Tensor, positive: Tensor) -> Tensor:
    """Entries whose decision no error of 5e-3 in a score can change: not near θ, η or rank κ."""
    margin = 5e-3
    eta = torch.where(labels == 1, scores[:, 0], 0.0).amax(dim=1, keepdim=True).clamp(max=ETA)
    largest, smallest = scores[:, 1:].amax(dim=1), scores[:, 1:].amin(dim=1)
    chosen = (abs(largest - eta) > 2 * margin) | (largest - smallest < margin)
    clear = chosen.all(dim=1, keepdim=True) & (abs(positive - THRESHOLD) > margin)
    ordered = positive.sort(dim=1, descending=True).values
    below = ordered[:, TOP_K] < THRESHOLD - margin  # then the limit cuts nothing
    return clear & (below | (ordered[:, TOP_K - 1] - ordered[:, TOP_K] > 2 * margin))[:, None]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]) -> OpenClipEncoder:
    """Random weights, images of 224 × 224 as for ViT-B/16."""
    return load_encoder(f"local-dir:{make_clip(tmp_path_factory.mktemp('clip') / 'vit', model=MODEL)}")


@pytest.mark.parametrize("cache", [False, True])
def test_cached_and_in_the_loop_agree(encoder: OpenClipEncoder, tmp_path: Path, cache: bool) -> None:
    root, rng = tmp_path / "photos", np.random.default_rng(0)
    root.mkdir()
    names = [f"{n}.png" for n in range(16)]
    for name in names:
        small = rng.integers(0, 256, (7, 9, 3), np.uint8)
        Image.fromarray(small).resize((330, 251), Image.Resampling.BICUBIC).save(root / name)
    clear, decided = compare(build(root, names, encoder, tmp_path / "store", cache))
    assert clear >= 40 and decided >= 5


def test_cached_and_in_the_loop_agree_on_photos(encoder: OpenClipEncoder, data: Path, tmp_path: Path) -> None:
    folder = data / "coco128" / "images"
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.jpg"))[:24]]
    clear, decided = compare(build(folder, names, encoder, tmp_path / "store", cache=True))
    assert clear >= 40 and decided >= 5
