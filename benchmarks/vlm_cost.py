"""What pseudo-labels of AEVLP and VLPL cost: passes of the frozen encoder, in the loop and from a store.

Measured, on a few photos with random weights of the published architectures:

* in the loop, as published: in every epoch each photo is decoded twice, for the image of the classifier and
  for its whole image and 16 tiles, each mirrored or not; in every step all prompts are encoded, and the views
  of eight photos go through the encoder at once;
* from a store, first run: every view and its mirror image once, the prompts once;
* from the same store, a later run: no pass at all, but the prompts once;
* the classifier that is trained beside it, ResNet-50 at 448 x 448, which costs the same in all three.

Computed, and marked so: passes of the published runs on the data sets' sizes, from the same counts; and the
wall time of whole epochs and runs of AEVLP, from the times measured here.

The time of a pass is that of the whole run over its passes, prompts and reading of photos included. Beside
the wall time stands that of the processors, of all threads, which tells more on a machine that others use. In
the loop the classifier's image is read together with the views; from a store, its reading is part of the
classifier's time.

python benchmarks/vlm_cost.py PHOTOS            16 photos, 2 epochs, ViT-B/16, and one pass of ViT-L/14-336
python benchmarks/vlm_cost.py PHOTOS --photos-used 4 --large ""         a quick look
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import open_clip  # type: ignore[import-untyped]
import timm
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from embed import ReleasedItem
from onelabel.images.dataset import ImageRows
from onelabel.images.folder import list_images
from onelabel.images.named import IMAGENET_MEAN, IMAGENET_STD, named_preprocessing
from onelabel.images.transforms import Preprocess
from onelabel.images.views import view_plan
from onelabel.io.ids import IdTable
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.sources.damp import DampSource
from onelabel.sources.damp_rule import damp_labels, damp_scores
from onelabel.vlm.encoder import OpenClipEncoder
from onelabel.vlm.fingerprint import seen_through
from onelabel.vlm.store import EmbeddingStore, write_store
from onelabel.vlm.texts import class_texts

CLIP_MEAN, CLIP_STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)
BATCH, GRID = 8, 4
PLAN = view_plan(f"grid:{GRID}")


class Counted(OpenClipEncoder):
    """An encoder that counts the images and the prompts that go through it."""

    def __init__(self, name: str, size: int) -> None:
        torch.manual_seed(0)
        own = Preprocess(size, "crop", "bicubic", CLIP_MEAN, CLIP_STD)
        model = open_clip.create_model(name, pretrained=None)
        super().__init__(model, open_clip.get_tokenizer(name), open_clip.get_model_config(name), own)
        self.passes, self.prompts = 0, 0

    def encode_images(self, images: Tensor) -> Tensor:
        self.passes += len(images)
        return super().encode_images(images)

    @torch.inference_mode()
    def encode_at_once(self, images: Tensor) -> Tensor:
        self.passes += len(images)
        return normalize(self.model.encode_image(images).float(), dim=1)  # type: ignore[operator]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.prompts += len(texts)
        return super().encode_texts(texts)

    def taken(self) -> tuple[int, int]:
        """Return passes and prompts since the last call."""
        found = self.passes, self.prompts
        self.passes, self.prompts = 0, 0
        return found


@dataclass(frozen=True)
class Photos:
    root: Path
    table: LabelTable
    classes: tuple[ClassInfo, ...]


def in_the_loop(encoder: Counted, photos: Photos, epochs: int) -> None:
    """The vision-language part of the released training loop, all views of a batch at once."""
    items = ReleasedItem([photos.root / name for name in photos.table.ids], GRID)
    for _ in range(epochs):
        for start in range(0, len(photos.table), BATCH):
            index = np.arange(start, min(len(photos.table), start + BATCH))
            views = torch.cat([items[int(row)][1] for row in index])
            words = class_texts(encoder, photos.classes).words()
            cosines = words.cosines(encoder.encode_at_once(views)).view(len(index), len(PLAN), -1)
            labels = torch.from_numpy(photos.table.rows(index))
            damp_labels(*damp_scores(torch.softmax(cosines / 0.01, dim=-1), labels, 0.3), top_k=3)


def classifier(photos: Photos) -> None:
    """One epoch of the network that is trained: ResNet-50, Adam, batches of eight at 448 x 448."""
    network = timm.create_model("resnet50", pretrained=False, num_classes=len(photos.classes)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-5)
    pixels = Preprocess(448, "squash", "bilinear", IMAGENET_MEAN, IMAGENET_STD)
    rows = ImageRows(photos.root, photos.table.ids, pixels)
    for start in range(0, len(photos.table), BATCH):
        index = range(start, min(len(photos.table), start + BATCH))
        target = torch.from_numpy(photos.table.rows(np.array(index))).float()
        logits = network(torch.stack([rows[row][1] for row in index]))
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(logits, target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def embed(encoder: Counted, photos: Photos, folder: Path) -> EmbeddingStore:
    preprocess = named_preprocessing("released-aevlp", encoder.preprocess)
    return write_store(
        folder, root=photos.root, ids=photos.table.ids, encoder=encoder.encode_images, dim=encoder.dim,
        preprocess=preprocess, views=PLAN, batch_size=2 * len(PLAN),
        fingerprint=seen_through(encoder.image_fingerprint, preprocess, PLAN),
    )  # fmt: skip


def from_store(encoder: Counted, store: EmbeddingStore, photos: Photos, epochs: int) -> None:
    source = DampSource(store, class_texts(encoder, photos.classes), top_k=3)
    source.start(photos.table)
    for epoch in range(1, epochs + 1):
        for start in range(0, len(photos.table), BATCH):
            index = torch.arange(start, min(len(photos.table), start + BATCH))
            labels = torch.from_numpy(photos.table.rows(index.numpy()))
            source.pseudo(index, labels, torch.zeros(len(index), dtype=torch.bool), epoch)


class Spent(NamedTuple):
    """Seconds on the wall, and of all processors together."""

    wall: float
    cpu: float


def report(what: str, encoder: Counted, spent: Spent, epochs: int) -> tuple[int, int]:
    passes, prompts = encoder.taken()
    each = (
        f"{1000 * spent.wall / passes:.0f} ms a pass, {1000 * spent.cpu / passes:.0f} ms of processors"
        if passes
        else "no pass of the image encoder"
    )
    print(
        f"measured  {what:26s} {passes:6d} passes, {prompts:5d} prompts, {spent.wall:7.1f} s, "
        f"{spent.wall / epochs:6.1f} s an epoch, {each}",
        flush=True,
    )
    return passes, prompts


def timed(run: Any, *arguments: Any) -> tuple[Any, Spent]:
    begin = time.perf_counter(), time.process_time()
    found = run(*arguments)
    return found, Spent(time.perf_counter() - begin[0], time.process_time() - begin[1])


def aevlp(photos: Photos, model: str, epochs: int) -> bool:
    """Measure AEVLP three ways; say whether all counts are what the arithmetic expects."""
    encoder, images, views = Counted(model, 224), len(photos.table), len(PLAN)
    steps = -(-images // BATCH)
    with tempfile.TemporaryDirectory() as place:
        _, looped = timed(in_the_loop, encoder, photos, epochs)
        loop = report("in the loop, as published", encoder, looped, epochs)
        store, embedding = timed(embed, encoder, photos, Path(place) / "store")
        _, reading = timed(from_store, encoder, store, photos, epochs)
        whole = Spent(embedding.wall + reading.wall, embedding.cpu + reading.cpu)
        first = report("store, first run", encoder, whole, epochs)
        _, again = timed(from_store, encoder, EmbeddingStore.open(Path(place) / "store"), photos, epochs)
        later = report("store, a later run", encoder, again, epochs)
    _, trained = timed(classifier, photos)
    print(f"measured  {'the classifier beside it':26s} {trained.wall:6.1f} s an epoch", flush=True)
    for clock in ("wall", "cpu"):
        parts = [getattr(spent, clock) for spent in (looped, embedding, again, trained)]
        print(f"computed  from {'wall time' if clock == 'wall' else 'time of the processors'}:")
        whole_runs(parts[0] / epochs, parts[1], parts[2] / epochs, parts[3])
    prompts = len(photos.classes)
    expected = [
        (images * views * epochs, prompts * steps * epochs),
        (2 * images * views, prompts),
        (0, prompts),
    ]
    return [loop, first, later] == expected


def whole_runs(loop: float, embedding: float, stored: float, classifier: float) -> None:
    """Time of AEVLP with its classifier, from the times of an epoch and of the embedding."""
    slow, fast = loop + classifier, stored + classifier
    print(f"computed  an epoch with the classifier: {slow:.1f} s in the loop, {fast:.1f} s from the store, "
          f"{slow / fast:.1f} times faster; pseudo-labels alone {loop / stored:.0f} times")  # fmt: skip
    for epochs in (8, 10):
        whole, first, later = epochs * slow, embedding + epochs * fast, epochs * fast
        alone = epochs * loop / (embedding + epochs * stored)
        print(f"computed  {epochs:2d} epochs with it: {whole:.0f} s in the loop, {first:.0f} s first "
              f"({whole / first:.1f} times faster), {later:.0f} s later ({whole / later:.1f} times); "
              f"pseudo-labels alone {alone:.1f} times first")  # fmt: skip


# Images that train, validate and test, and classes: VOC 2012, COCO 2014, NUS-WIDE (list of 210,260), CUB.
SIZES = {
    "VOC": (4574, 1143, 5823, 8, 17), "COCO": (65665, 16416, 40137, 8, 17),
    "NUS": (120000, 30000, 60260, 10, 17), "CUB": (4795, 1199, 5794, 10, 26),
}  # fmt: skip


def computed() -> None:
    """Passes of whole published runs: AEVLP of its 8 to 10 epochs, VLPL of its 10."""
    for name, (train, val, test, epochs, views) in SIZES.items():
        loop, store = train * views * epochs, 2 * train * views
        print(f"computed  AEVLP {name:5s} {epochs:2d} epochs: {loop:10,} passes, {store:9,} first, 0 later: "
              f"{loop / store:5.1f} times fewer")  # fmt: skip
        loop, store = (train + val + test) * 10, 2 * train
        print(f"computed  VLPL  {name:5s} 10 epochs: {loop:10,} passes, {store:9,} first, 0 later: "
              f"{loop / store:5.1f} times fewer")  # fmt: skip


def chosen(options: argparse.Namespace) -> Photos:
    names = list_images(options.photos)[: options.photos_used]
    classes = tuple(ClassInfo(f"c{n}", f"thing {n}") for n in range(options.classes))
    labels = np.zeros((len(names), len(classes)), np.int8)
    labels[np.arange(len(names)), np.arange(len(names)) % len(classes)] = 1
    table = LabelTable.from_dense(IdTable.from_strings(names), [info.id for info in classes], labels)
    return Photos(options.photos, table, classes)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--photos-used", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--model", default="ViT-B-16-quickgelu")
    parser.add_argument("--large", default="ViT-L-14-336-quickgelu", help='"" for none')
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 for its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    photos, begin = chosen(options), time.perf_counter()
    print(f"{len(photos.table)} photos, {options.epochs} epochs, {options.classes} classes, {options.model}, "
          f"random weights, {torch.get_num_threads()} threads")  # fmt: skip
    right = aevlp(photos, options.model, options.epochs)
    print(f"measured  counts are {'those' if right else 'NOT those'} of the arithmetic")
    if options.large:
        encoder = Counted(options.large, 336)
        _, spent = timed(encoder.encode_images, torch.zeros(1, 3, 336, 336))
        report(f"VLPL, {options.large}", encoder, spent, 1)
    computed()
    print(f"all in {time.perf_counter() - begin:.0f} s")
    return int(not right)


if __name__ == "__main__":
    raise SystemExit(main())
