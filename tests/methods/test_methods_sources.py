"""Every loss that takes pseudo-labels with every source: all pairs of the two catalogues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from onelabel.images.transforms import Preprocess
from onelabel.images.views import view_plan
from onelabel.io.ids import IdTable
from onelabel.labels.readers import save_labels
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.methods.base import Batch, Context
from onelabel.methods.registry import catalogue, create
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead
from onelabel.sources import registry as sources
from onelabel.sources.base import Source
from onelabel.sources.bundle import BundleSource
from onelabel.sources.damp import DampSource
from onelabel.sources.file import FileSource
from onelabel.sources.named import write_set
from onelabel.sources.review import ReviewSource
from onelabel.sources.rules import RuledSource, Threshold
from onelabel.sources.set import SetSource
from onelabel.sources.several import SeveralSource
from onelabel.sources.vlpl import VlplSource
from onelabel.training.features import FeatureRows
from onelabel.training.heads import train_head
from onelabel.training.parts import Parts
from onelabel.training.pseudo import ask
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.store import EmbeddingStore, write_store

N, CLASSES, DIM = 12, ("cat", "dog", "cow", "owl"), 6
IDS = [f"{n}.png" for n in range(N)]


@dataclass(frozen=True)
class Room:
    """Photos' embeddings on disk, and words that point to some of them."""

    folder: Path
    store: EmbeddingStore
    tiles: EmbeddingStore
    words: Tensor

    def table(self) -> LabelTable:
        """One known positive for each image but the last, one known negative for every third."""
        labels = np.zeros((N, len(CLASSES)), np.int8)
        labels[np.arange(N - 1), np.arange(N - 1) % 4] = 1
        labels[::3, :][labels[::3, :] == 0] = -1
        return LabelTable.from_dense(IDS, CLASSES, labels)


def fake_encoder(pixels: Tensor) -> Tensor:
    mixing = torch.randn(pixels[0].numel(), DIM, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(pixels.flatten(1) @ mixing, dim=1)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("room")
    rng = np.random.default_rng(0)
    for name in IDS:
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / name)
    preprocess = Preprocess(8, "squash", "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    store, tiles = (
        write_store(
            folder / f"store-{views}", root=folder, ids=IdTable.from_strings(IDS), encoder=fake_encoder,
            preprocess=preprocess, dim=DIM, fingerprint={"architecture": "fake"}, views=view_plan(views),
        )
        for views in ("global", "grid:2")
    )  # fmt: skip
    return Room(folder, store, tiles, torch.from_numpy(store.rows(np.arange(4))[:, 0]))


def vlpl(room: Room) -> Source:
    return VlplSource(room.store, room.words, temperature=0.3, threshold=0.3, negatives=0.25)


def damp(room: Room) -> Source:
    return DampSource(room.tiles, room.words, temperature=0.3, threshold=0.3, negatives=0.25)


def file(room: Room) -> Source:
    path = room.folder / "tags.npz"
    pseudo = np.random.default_rng(1).integers(-1, 2, (N, len(CLASSES)))
    np.savez(path, ids=IDS[::-1], classes=CLASSES[::-1], pseudo=pseudo)
    return FileSource(path)


def review(room: Room) -> Source:
    path = room.folder / "review.csv"
    signs = np.random.default_rng(2).integers(-1, 2, (N, len(CLASSES)))
    save_labels(LabelTable.from_dense(IDS[::-1], CLASSES, signs), path, overwrite=True)
    return ReviewSource(path)


def bundle(room: Room) -> Source:
    head = LinearHead(DIM, len(CLASSES))
    head.weight.data = room.words.clone()
    classes = tuple(ClassInfo(name, name) for name in CLASSES)
    prints = {"features": room.store.fingerprint}
    model = Bundle(classes, head, None, Thresholds.not_calibrated(len(CLASSES)), fingerprints=prints)
    write_bundle(room.folder / "model", model, overwrite=True)
    source = BundleSource(room.folder / "model", features=str(room.store.path))
    return RuledSource(source, [(Threshold(positive=0.55, negative=0.5), range(len(CLASSES)))])


def named_set(room: Room) -> Source:
    table, opened = room.table(), file(room)
    opened.start(table)
    made = write_set(room.folder / "set", ask(opened, table), {}, overwrite=True)
    return SetSource(made.path)


def several(room: Room) -> Source:
    return SeveralSource([vlpl(room), file(room), review(room)], combine="majority")


BUILDERS: dict[str, Callable[[Room], Source]] = {
    "vlpl": vlpl, "damp": damp, "file": file, "review": review, "bundle": bundle, "set": named_set,
    "several": several,
}  # fmt: skip
GUIDED = [entry.name for entry in catalogue() if entry.needs_pseudo]
PAIRS = list(product(GUIDED, BUILDERS))


def test_every_source_has_a_builder_here() -> None:
    assert set(BUILDERS) == {entry.name for entry in sources.catalogue()}
    assert set(GUIDED) >= {"em-pl", "em-pl-asl", "an-pl", "gr-pl", "gpr", "vlpl", "aevlp"}


@pytest.mark.parametrize(("method", "source"), PAIRS)
def test_every_pair_trains(room: Room, method: str, source: str) -> None:
    table = room.table()
    settings = Settings(epochs=3, batch_size=5, lr=0.05, select="last")
    recipe = Recipe(Parts(table, None, ()), create(method), settings, BUILDERS[source](room), 1.5)
    losses: list[float] = []
    trained = train_head(
        FeatureRows(room.store, table), None, recipe, lambda entry: losses.append(entry["loss"])
    )
    assert len(losses) == 3 and np.isfinite(losses).all()
    assert all(torch.isfinite(value).all() for value in trained.head.state_dict().values())


@pytest.mark.parametrize(("method", "source"), PAIRS)
def test_pseudo_labels_reach_unknown_entries_and_no_others(room: Room, method: str, source: str) -> None:
    table, index = room.table(), torch.arange(N)
    labels, bits = torch.from_numpy(table.dense()), torch.zeros(N, dtype=torch.bool)
    opened = BUILDERS[source](room)
    opened.start(table)
    pseudo, score = opened.pseudo(index, labels, bits, epoch=2)
    assert {-1, 1} <= set(pseudo.flatten().tolist()), "the test needs both kinds"
    built = create(method)
    built.start(Context(table, epochs=3))
    built.start_epoch(2)

    def slope(pseudo: Tensor) -> Tensor:
        logits = torch.linspace(-2, 2, labels.numel()).reshape(labels.shape).requires_grad_()
        batch = Batch(index, labels, logits, bits, pseudo=pseudo, pseudo_score=score)
        return torch.autograd.grad(built.loss(batch), logits)[0]

    moved = slope(pseudo) - slope(torch.zeros_like(pseudo))
    assert (moved[labels != 0] == 0).all()
    assert (moved[pseudo == 1] < 0).all(), "towards present"
    # AN-PL counts unknown as absent already, and so has nothing to move.
    assert method == "an-pl" or (moved[pseudo == -1] != 0).all()
    everywhere = torch.where(labels == 0, pseudo, -labels)
    assert torch.equal(slope(everywhere), slope(pseudo)), "what is observed is not overridden"


@pytest.mark.parametrize(
    ("given", "checked", "expected", "note"),
    [
        (1.5, 0, 1.5, "1.5 labels expected per image, as given"),
        (None, 11, 2.0, "2.00 labels expected per image, from 11 checked images"),
        (None, 9, None, "the loss does without"),
    ],
)
def test_the_expected_number_is_given_or_taken_from_checked_images_or_left_out(
    given: float | None, checked: int, expected: float | None, note: str
) -> None:
    labels = np.zeros((N, len(CLASSES)), np.int8)
    labels[:, 0], labels[:checked] = 1, [1, 1, -1, -1]
    method = create("aevlp")
    method.start(Context(LabelTable.from_dense(IDS, CLASSES, labels), epochs=2, expected_positives=given))
    assert f"expected={expected}" in str(method.criterion)
    assert note in method.notes[0]
    fixed = create("aevlp", expected=0.5)
    fixed.start(Context(LabelTable.from_dense(IDS, CLASSES, labels), epochs=2))
    assert "expected=0.5" in str(fixed.criterion)
