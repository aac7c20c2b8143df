"""A head on cached features has the weights of a slow loop in numpy; methods see what they are promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch, Method
from onelabel.methods.registry import create
from onelabel.models.heads import LinearHead, initialise
from onelabel.training.common import observed_prior
from onelabel.training.features import FeatureRows
from onelabel.training.heads import score, train_head
from onelabel.training.order import epoch_order
from onelabel.training.parts import Parts
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import ArrayStore
from onelabel.vlm.mirror import mirror_bits

ROWS, DIM, CLASSES = 23, 5, ("a", "b", "c")
Matrix = NDArray[np.float64]


class MirroredStore:
    """Features with a second row for the mirror image, which is another vector altogether."""

    views = ("global",)
    mirrored = True
    dim = DIM
    fingerprint: dict[str, str] = {}  # noqa: RUF012 - the protocol asks for this

    def __init__(self, ids: list[str], seed: int = 0) -> None:
        self.ids = IdTable.from_strings(ids)
        self.both = np.random.default_rng(seed).normal(size=(len(ids), 2, DIM)).astype(np.float32)

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        rows = np.asarray(index)
        bits = np.zeros(len(rows), int) if mirrored is None else np.asarray(mirrored).astype(int)
        found: NDArray[np.float32] = self.both[rows, bits][:, None]
        return found


def labels(seed: int = 1) -> LabelTable:
    """One known positive per image."""
    matrix = np.eye(len(CLASSES), dtype=np.int8)[np.random.default_rng(seed).integers(0, 3, ROWS)]
    return LabelTable.from_dense([f"{row}.jpg" for row in range(ROWS)], CLASSES, matrix)


def recipe(table: LabelTable, method: Method, val: LabelTable | None = None, **settings: Any) -> Recipe:
    usual = {"epochs": 3, "lr": 0.05, "batch_size": 4, "select": "last"}
    return Recipe(Parts(table, val, ()), method, Settings(**{**usual, **settings}))


# -- against numpy ---


def an_gradient(s: Matrix, z: Matrix) -> Matrix:
    return np.asarray(1 / (1 + np.exp(-s)) - (z == 1))


def em_gradient(s: Matrix, z: Matrix) -> Matrix:
    """d/ds of -[z=1] log p - 0.1 [z=0] H(p), H being the entropy of (p, 1 - p)."""
    p = 1 / (1 + np.exp(-s))
    return np.asarray(np.where(z == 1, p - 1, 0.1 * p * (1 - p) * s))


def descent(what: Recipe, features: NDArray[np.float32], gradient: Any) -> tuple[Matrix, Matrix]:
    """Adam (Kingma and Ba 2015, algorithm 1) or SGD with momentum, on the mean over images × classes."""
    settings, table = what.settings, what.parts.train
    torch.manual_seed(settings.seed)
    start = LinearHead(DIM, len(CLASSES))
    initialise(start, settings.head_init, observed_prior(table))
    theta = [start.weight.detach().double().numpy(), start.bias.detach().double().numpy()]
    first, second, step = [0.0, 0.0], [0.0, 0.0], 0
    z = table.dense()
    for epoch in range(1, settings.epochs + 1):
        bits = mirror_bits(settings.seed, epoch, np.arange(len(table))) & settings.mirror
        order = epoch_order(settings.seed, epoch, len(table)).numpy()
        for begin in range(0, len(table), settings.batch_size):
            rows = order[begin : begin + settings.batch_size]
            x = features[rows, bits[rows].astype(int)].astype(np.float64)
            g = gradient(x @ theta[0].T + theta[1], z[rows]) / (len(rows) * len(CLASSES))
            step += 1
            for i, slope in enumerate((g.T @ x, g.sum(axis=0))):
                slope = slope + settings.weight_decay * theta[i]
                if settings.optimizer == "sgd":
                    first[i] = 0.9 * first[i] + slope
                    theta[i] = theta[i] - settings.lr * first[i]
                    continue
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope**2
                mean, spread = first[i] / (1 - 0.9**step), second[i] / (1 - 0.999**step)
                theta[i] = theta[i] - settings.lr * mean / (np.sqrt(spread) + 1e-8)
    return theta[0], theta[1]


@pytest.mark.parametrize(
    ("method", "gradient", "settings"),
    [
        ("an", an_gradient, {}),
        ("an", an_gradient, {"head_init": "prior", "seed": 5, "weight_decay": 0.1}),
        ("em", em_gradient, {"mirror": False, "batch_size": 23}),
        ("em", em_gradient, {"seed": 2, "batch_size": 1}),
        ("an", an_gradient, {"optimizer": "sgd", "lr": 0.5, "weight_decay": 0.1}),
    ],
)
def test_weights_are_those_of_the_slow_loop(method: str, gradient: Any, settings: dict[str, Any]) -> None:
    table = labels()
    store = MirroredStore(list(table.ids))
    what = recipe(table, create(method), **settings)
    weight, bias = descent(what, store.both, gradient)
    trained = train_head(FeatureRows(store, table), None, what)
    np.testing.assert_allclose(trained.head.weight.detach().numpy(), weight, atol=2e-4)
    np.testing.assert_allclose(trained.head.bias.detach().numpy(), bias, atol=2e-4)


def test_weights_of_labels_scale_the_loss() -> None:
    """Images of weight 1e-6 teach next to nothing: the head is that of the others alone, nearly."""
    table = labels()
    rows, columns = np.nonzero(table.dense())
    light = rows % 2 == 0
    heavy = np.where(light, 1e-6, 1.0)
    weighted = LabelTable.from_entries(table.ids, CLASSES, rows, columns, np.ones(len(rows)), heavy)
    some = LabelTable.from_entries(table.ids, CLASSES, rows[~light], columns[~light], np.ones((~light).sum()))
    store = MirroredStore(list(table.ids))
    heads = [
        train_head(FeatureRows(store, t), None, recipe(t, create("bce"), batch_size=ROWS)).head
        for t in (weighted, some, table)
    ]
    torch.testing.assert_close(heads[0].weight, heads[1].weight, atol=1e-3, rtol=0)
    assert (heads[0].weight - heads[2].weight).abs().max() > 1e-2


# -- what methods and sources see ---


class Spy(Method):
    """Keeps every batch and every score that it is given."""

    needs_source = True

    def __init__(self) -> None:
        super().__init__()
        self.batches: dict[int, list[Batch]] = {}
        self.scores: dict[tuple[int, str], list[tuple[Tensor, Tensor]]] = {}

    def start_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches[epoch] = []

    def loss(self, batch: Batch) -> Tensor:
        self.batches[self.epoch].append(batch)
        return batch.logits.mean()

    def end_epoch(self, score_all: Any) -> None:
        for view in ("eval", "train"):
            self.scores[self.epoch, view] = list(score_all(view))


class Echo:
    """A source that returns what it was asked for."""

    def start(self, table: LabelTable) -> None:
        self.rows = len(table)

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        score = torch.stack([index, mirrored.long(), torch.full_like(index, epoch)], dim=1).float()
        return (labels == 0).to(torch.int8), score


def test_every_image_comes_once_an_epoch_with_its_own_labels_bits_and_features() -> None:
    table, spy = labels(), Spy()
    store = MirroredStore(list(table.ids)[::-1])  # another order than the labels
    settings = Settings(epochs=3, batch_size=4, select="last", seed=4)
    what = Recipe(Parts(table, None, ()), spy, settings, Echo())
    train_head(FeatureRows(store, table), None, what)
    seen_mirrored = []
    for epoch, batches in spy.batches.items():
        index = torch.cat([batch.index for batch in batches])
        assert sorted(index.tolist()) == list(range(ROWS))
        assert [len(batch.index) for batch in batches] == [4, 4, 4, 4, 4, 3]
        bits = mirror_bits(4, epoch, np.arange(ROWS))
        seen_mirrored.append(tuple(bits))
        for batch in batches:
            rows = batch.index.numpy()
            assert batch.mirrored is not None and batch.pseudo is not None and batch.features is not None
            assert batch.pseudo_score is not None and batch.weight is None
            assert np.array_equal(batch.labels.numpy(), table.dense()[rows])
            assert np.array_equal(batch.mirrored.numpy(), bits[rows])
            assert np.array_equal(batch.features.numpy(), store.both[::-1][rows, bits[rows].astype(int)])
            assert np.array_equal(batch.pseudo.numpy(), table.dense()[rows] == 0)
            expected = np.stack([rows, bits[rows], np.full(len(rows), epoch)], axis=1)
            assert np.array_equal(batch.pseudo_score.numpy(), expected)
    assert len(set(seen_mirrored)) == 3, "every epoch flips its own coins"


def test_scores_for_the_method_are_in_order_and_of_the_asked_view() -> None:
    table, spy = labels(), Spy()
    store = MirroredStore(list(table.ids))
    settings = Settings(epochs=1, lr=1e-9, batch_size=4, select="last")
    trained = train_head(
        FeatureRows(store, table), None, Recipe(Parts(table, None, ()), spy, settings, Echo())
    )
    bits = mirror_bits(0, 1, np.arange(ROWS)).astype(int)
    for view, features in (("eval", store.both[:, 0]), ("train", store.both[np.arange(ROWS), bits])):
        index = torch.cat([part[0] for part in spy.scores[1, view]])
        probs = torch.cat([part[1] for part in spy.scores[1, view]])
        assert index.tolist() == list(range(ROWS))
        with torch.no_grad():
            expected = torch.sigmoid(trained.head(torch.from_numpy(features)))
        torch.testing.assert_close(probs, expected, atol=1e-6, rtol=0)


# -- which epoch is kept ---


class Tilt(Method):
    """Pushes the logits of class a up in odd epochs and down in even ones."""

    def start_epoch(self, epoch: int) -> None:
        self.sign = -1.0 if epoch % 2 else 1.0

    def loss(self, batch: Batch) -> Tensor:
        return self.sign * batch.logits[:, 0].mean()


def test_the_best_epoch_is_kept_with_its_own_weights_and_scores() -> None:
    table = labels()
    rng = np.random.default_rng(3)
    val = LabelTable.from_dense(
        [f"v{row}.jpg" for row in range(40)], CLASSES, np.where(rng.random((40, 3)) < 0.4, 1, -1)
    )
    everything = LabelTable.from_dense(
        [*table.ids, *val.ids], CLASSES, np.concatenate([table.dense(), val.dense()])
    )
    store = MirroredStore(list(everything.ids))
    logs: list[dict[str, Any]] = []
    what = recipe(table, Tilt(), val, select="full", epochs=6, lr=0.5)
    rows = FeatureRows(store, val)
    trained = train_head(FeatureRows(store, table), rows, what, logs.append)
    scores = [entry["selection"] for entry in logs]
    assert [entry["epoch"] for entry in logs] == [1, 2, 3, 4, 5, 6] and len(set(scores)) > 1
    assert trained.epoch == 1 + int(np.argmax(scores)) and trained.score == max(scores)
    assert trained.val_logits is not None
    np.testing.assert_array_equal(score(trained.head, rows), trained.val_logits)
    short = recipe(table, Tilt(), val, select="last", epochs=trained.epoch, lr=0.5)
    same = train_head(FeatureRows(store, table), rows, short)
    assert torch.equal(same.head.weight, trained.head.weight), "the weights after that very epoch"


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    class Broken(Method):
        def loss(self, batch: Batch) -> Tensor:
            return batch.logits.mean() * float("nan")

    table = labels()
    rows = FeatureRows(MirroredStore(list(table.ids)), table)
    with pytest.raises(OneLabelError, match=r"the loss became nan in epoch 1, step 1, on .*: lower --lr"):
        train_head(rows, None, recipe(table, Broken()))


def test_the_same_seed_gives_the_same_digits() -> None:
    table = labels()
    rows = FeatureRows(MirroredStore(list(table.ids)), table)
    first, second, other = (
        train_head(rows, None, recipe(table, create("em"), seed=seed)).head.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_a_store_without_mirror_images_trains_on_the_plain_ones() -> None:
    table = labels()
    plain = MirroredStore(list(table.ids)).both[:, 0]
    rows = FeatureRows(ArrayStore(table.ids, plain), table)
    both = [
        train_head(rows, None, recipe(table, create("an"), mirror=mirror)).head.weight
        for mirror in (True, False)
    ]
    assert torch.equal(both[0], both[1])


def test_images_without_features_are_named() -> None:
    table = labels()
    store = ArrayStore(IdTable.from_strings(["0.jpg", "1.jpg"]), np.zeros((2, DIM), np.float32))
    with pytest.raises(OneLabelError, match=r"21 of 23 images are not in .* such as '2\.jpg'"):
        FeatureRows(store, table)


def test_chunks_cover_all_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelabel.training.features.CHUNK", 5)
    table = labels()
    rows = FeatureRows(MirroredStore(list(table.ids)), table)
    pieces: Iterator[NDArray[np.int64]] = rows.chunks()
    assert np.concatenate(list(pieces)).tolist() == list(range(ROWS))
    head = LinearHead(DIM, len(CLASSES))
    with torch.no_grad():
        whole = head(rows.batch(np.arange(ROWS))).numpy()
    np.testing.assert_allclose(score(head, rows), whole, atol=1e-6)
