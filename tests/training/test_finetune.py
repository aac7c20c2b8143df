"""Fine-tuning gives the weights of a plain torch loop, learns, and survives what photos and machines do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from onelabel.evaluation.metrics import mean_average_precision
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch, Method
from onelabel.methods.registry import create
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.models.heads import LinearHead, initialise
from onelabel.training.common import Trained, observed_prior
from onelabel.training.finetune import fine_tune
from onelabel.training.order import epoch_order
from onelabel.training.parts import Parts
from onelabel.training.photo_rows import photo_rows
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.mirror import mirror_bits

COLOURS = {"red": (230, 40, 40), "green": (40, 200, 60), "blue": (40, 70, 230)}
NO_LIMIT = 10**9


def write_backbone(folder: Path, name: str, size: int, **arguments: Any) -> str:
    """Write a timm folder, random weights, that reads squares of ``size``; return its spec."""
    torch.manual_seed(1)
    network = timm.create_model(name, pretrained=False, num_classes=4, **arguments)
    timm.models.save_for_hf(network, str(folder), model_args=arguments or None, safe_serialization=True)
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config["pretrained_cfg"] |= {"input_size": [3, size, size], "crop_pct": 1.0}
    file.write_text(json.dumps(config))
    return f"local-dir:{folder}"


def paint(folder: Path, rows: int, seed: int = 0) -> LabelTable:
    """Paint pictures with squares of up to three colours, none left-right symmetric; complete labels."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((rows, len(COLOURS))) < 0.5, 1, -1)
    labels[np.arange(rows), rng.integers(0, len(COLOURS), rows)] = 1
    for row, here in enumerate(labels):
        picture = Image.fromarray(rng.integers(0, 90, (48, 48, 3), dtype=np.uint8))
        for colour, label in zip(COLOURS.values(), here, strict=True):
            x, y = rng.integers(0, 36, 2).tolist()
            if label == 1:
                ImageDraw.Draw(picture).rectangle((x, y, x + 11, y + 11), fill=colour)
        picture.save(folder / f"{row:03}.png")
    return LabelTable.from_dense([f"{row:03}.png" for row in range(rows)], list(COLOURS), labels)


def single_positives(table: LabelTable) -> LabelTable:
    labels = table.dense()
    first = np.argmax(labels == 1, axis=1)
    return LabelTable.from_dense(table.ids, table.class_ids, np.eye(table.num_classes, dtype=np.int8)[first])


def recipe(table: LabelTable, method: Method, val: LabelTable | None = None, **settings: Any) -> Recipe:
    return Recipe(Parts(table, val, ()), method, Settings(**{"select": "last", "lr": 1e-3, **settings}))


def tune(
    what: Recipe, backbone: Backbone, root: Path, val_root: Path | None = None, **options: Any
) -> Trained:
    val = what.parts.val
    photos = photo_rows(what.parts.train, str(root), backbone.preprocess, NO_LIMIT)
    val_photos = None
    if val is not None:
        val_photos = photo_rows(val, str(val_root or root), backbone.preprocess, NO_LIMIT)
    return fine_tune(what, backbone, photos, val_photos, **options)


def weights(backbone: Backbone, head: LinearHead) -> dict[str, Tensor]:
    return {**backbone.state_dict(), **{f"head.{key}": value for key, value in head.state_dict().items()}}


def pixels(table: LabelTable, root: Path, backbone: Backbone) -> Tensor:
    pictures = [Image.open(root / name).convert("RGB") for name in table.ids]
    return torch.stack([backbone.preprocess(picture) for picture in pictures])


def plain_loop(what: Recipe, backbone: Backbone, root: Path) -> tuple[dict[str, Tensor], list[float]]:
    """The same training without Lightning, loaders or helpers: all pictures in memory."""
    settings, table = what.settings, what.parts.train
    torch.manual_seed(settings.seed)
    head = LinearHead(backbone.dim, table.num_classes)
    initialise(head, settings.head_init, observed_prior(table))
    groups: list[dict[str, Any]] = [
        {"params": list(backbone.parameters()), "lr": settings.lr},
        {"params": list(head.parameters()), "lr": settings.lr * settings.head_lr_multiplier},
    ]
    optimizer: torch.optim.Optimizer = torch.optim.Adam(groups, weight_decay=settings.weight_decay)
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=settings.weight_decay)
    pictures, labels = pixels(table, root, backbone), torch.from_numpy(table.dense())
    weight = None if table.weights is None else torch.from_numpy(table.weight_rows(np.arange(len(table))))
    losses = []
    backbone.train()
    for epoch in range(1, settings.epochs + 1):
        what.method.start_epoch(epoch)
        bits = mirror_bits(settings.seed, epoch, np.arange(len(table)))
        total = 0.0
        order = epoch_order(settings.seed, epoch, len(table))
        for start in range(0, len(table), settings.batch_size):
            index = order[start : start + settings.batch_size]
            seen = [pictures[i].flip(2) if settings.mirror and bits[i] else pictures[i] for i in index]
            logits = head(backbone(torch.stack(seen)))
            loss = what.method.loss(
                Batch(index, labels[index], logits, weight=None if weight is None else weight[index])
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(index)
        losses.append(total / len(table))
    return weights(backbone, head), losses


# -- the same as a plain loop ---


@pytest.mark.parametrize(
    ("name", "method", "settings", "workers"),
    [
        ("test_resnet", "an", {"head_lr_multiplier": 10.0, "head_init": "prior"}, 0),
        ("test_resnet", "em", {"mirror": False, "seed": 3, "weight_decay": 0.1}, 1),
        ("test_vit", "bce", {"batch_size": 5, "seed": 7}, 0),
        ("test_resnet", "ll-r", {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.1}, 0),
    ],
)
def test_weights_are_those_of_a_plain_loop(
    name: str, method: str, settings: dict[str, Any], workers: int, tmp_path: Path
) -> None:
    arguments = {"img_size": 48} if name == "test_vit" else {}
    spec = write_backbone(tmp_path / "net", name, 48, **arguments)
    complete = paint(tmp_path / "photos", 13)  # 3 batches of 4 and one of 1
    table = complete if method == "bce" else single_positives(complete)
    settings = {"epochs": 2, "batch_size": 4, **settings}
    expected, losses = plain_loop(
        recipe(table, create(method), **settings), load_backbone(spec), tmp_path / "photos"
    )
    backbone = load_backbone(spec)
    log: list[dict[str, Any]] = []
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    trained = tune(
        recipe(table, create(method), **settings),
        backbone,
        tmp_path / "photos",
        workers=workers,
        log=log.append,
    )
    found = weights(backbone, trained.head)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=1e-6, msg=key)
    assert any(not torch.equal(before[key], found[key]) for key in before)
    assert [entry["loss"] for entry in log] == pytest.approx(losses, rel=1e-5)
    assert [entry["epoch"] for entry in log] == [1, 2]
    assert all(entry.keys() == {"epoch", "loss", "selection", "seconds"} for entry in log)
    assert not backbone.training


def test_weighted_labels_reach_the_loss(tmp_path: Path) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    paint(tmp_path / "photos", 6)
    table = LabelTable.from_entries(
        [f"{row:03}.png" for row in range(6)], ["a", "b"], range(6), [0, 1] * 3, [1] * 6,
        weights=[1, 0.5, 0.25, 1, 0.125, 0.5],
    )  # fmt: skip
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 3}
    expected, _ = plain_loop(
        recipe(table, create("an"), **settings), load_backbone(spec), tmp_path / "photos"
    )
    backbone = load_backbone(spec)
    trained = tune(recipe(table, create("an"), **settings), backbone, tmp_path / "photos")
    torch.testing.assert_close(weights(backbone, trained.head), expected, rtol=0, atol=1e-6)


def test_dropout_and_the_rest_do_not_depend_on_workers(tmp_path: Path) -> None:
    spec = write_backbone(tmp_path / "net", "test_vit", 32, img_size=32, proj_drop_rate=0.3)
    table = paint(tmp_path / "photos", 9)

    def run(workers: int, seed: int) -> dict[str, Tensor]:
        backbone = load_backbone(spec)
        what = recipe(table, create("bce"), val=table, select="full", epochs=2, batch_size=4, seed=seed)
        return weights(backbone, tune(what, backbone, tmp_path / "photos", workers=workers).head)

    first = run(0, seed=5)
    torch.testing.assert_close(run(2, seed=5), first, rtol=0, atol=0)
    assert not torch.equal(run(0, seed=6)["head.weight"], first["head.weight"])


# -- learning and selection ---


def test_it_learns_to_see_colours(tmp_path: Path) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table, val = paint(tmp_path / "photos", 64), paint(tmp_path / "val", 48, seed=1)
    backbone = load_backbone(spec)
    pictures = pixels(val, tmp_path / "val", backbone)
    settings = {"select": "full", "epochs": 4, "batch_size": 8, "head_lr_multiplier": 3.0}
    what = recipe(table, create("bce"), val=val, **settings)
    torch.manual_seed(what.settings.seed)
    blind = LinearHead(backbone.dim, val.num_classes)
    with torch.inference_mode():
        before = mean_average_precision(blind(backbone(pictures)).numpy(), val.dense()).value
    entries: list[dict[str, Any]] = []
    trained = tune(what, backbone, tmp_path / "photos", tmp_path / "val", log=entries.append)
    scores = [entry["selection"] for entry in entries]
    assert max(scores) > 0.95 and before < 0.8
    assert entries[-1]["loss"] < entries[0]["loss"] / 1.5
    # The kept epoch is the best one, and the weights handed over are those of that epoch.
    assert (trained.epoch, trained.score) == (int(np.argmax(scores)) + 1, max(scores))
    with torch.inference_mode():
        again = trained.head(backbone(pictures)).numpy()
    assert trained.val_logits is not None
    np.testing.assert_allclose(trained.val_logits, again, atol=1e-4)


def test_the_kept_epoch_need_not_be_the_last(tmp_path: Path) -> None:
    """A learning rate of a method's own making: good in epoch 1, destructive in epoch 2."""

    class Destructive(Method):
        def start_epoch(self, epoch: int) -> None:
            self.sign = 1.0 if epoch == 1 else -30.0

        def loss(self, batch: Batch) -> Tensor:
            return -self.sign * (batch.logits * batch.labels).mean()

    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 32)
    backbone = load_backbone(spec)
    what = recipe(table, Destructive(), val=table, select="full", epochs=2, batch_size=4, lr=3e-3)
    entries: list[dict[str, Any]] = []
    trained = tune(what, backbone, tmp_path / "photos", log=entries.append)
    assert entries[0]["selection"] > entries[1]["selection"] + 0.1
    assert trained.epoch == 1
    with torch.inference_mode():
        again = trained.head(backbone(pixels(table, tmp_path / "photos", backbone))).numpy()
    assert mean_average_precision(again, table.dense()).value == pytest.approx(trained.score, abs=0.02)


# -- what methods and sources are told ---


class Spy(Method):
    """Writes down what the loop says; its loss trains nothing much."""

    needs_source = True

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []
        self.batches: list[tuple[int, Batch]] = []
        self.scores: list[dict[str, dict[int, NDArray[np.float32]]]] = []

    def start_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def loss(self, batch: Batch) -> Tensor:
        self.batches.append((self.epochs[-1], batch))
        return batch.logits.square().mean()

    def end_epoch(self, score_all: Any) -> None:
        def rows(view: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
            for index, probs in score_all(view):
                yield from zip(index.tolist(), probs.numpy(), strict=True)

        self.scores.append({"eval": dict(rows("eval")), "train": dict(rows("train"))})


class EchoSource:
    """Pseudo-labels that show what the source was asked: mirrored or not, and the epoch."""

    def start(self, table: LabelTable) -> None:
        self.classes = table.num_classes

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        assert labels.dtype == torch.int8 and mirrored.dtype == torch.bool and index.dtype == torch.int64
        pseudo = mirrored[:, None].expand(-1, self.classes).to(torch.int8)
        return pseudo, torch.full(pseudo.shape, float(epoch))


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("mirror", [True, False])
def test_methods_and_sources_see_every_image_with_its_own_mirror_bit(
    mirror: bool, precision: Any, tmp_path: Path
) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = single_positives(paint(tmp_path / "photos", 11))
    spy, backbone = Spy(), load_backbone(spec)
    what = Recipe(
        Parts(table, None, ()), spy,
        Settings(epochs=2, batch_size=4, select="last", seed=2, mirror=mirror, lr=1e-4), EchoSource(),
    )  # fmt: skip
    trained = tune(what, backbone, tmp_path / "photos", precision=precision)
    assert spy.epochs == [1, 2] and [len(batch.index) for _, batch in spy.batches] == [4, 4, 3] * 2
    for epoch in (1, 2):
        mine = [batch for number, batch in spy.batches if number == epoch]
        index = torch.cat([batch.index for batch in mine])
        bits = torch.cat([batch.mirrored for batch in mine if batch.mirrored is not None])
        assert torch.equal(index, epoch_order(2, epoch, 11))
        assert bits.numpy().tolist() == (mirror_bits(2, epoch, index.numpy()) & mirror).tolist()
        for batch in mine:
            assert batch.logits.dtype == torch.float32
            assert np.array_equal(batch.labels.numpy(), table.rows(batch.index.numpy()))
            assert batch.mirrored is not None and batch.pseudo is not None and batch.pseudo_score is not None
            assert torch.equal(batch.pseudo[:, 0] == 1, batch.mirrored)
            assert set(batch.pseudo_score.flatten().tolist()) == {float(epoch)}
    # score_all after the last epoch is what the finished network says, in eval mode and float32.
    pictures = pixels(table, tmp_path / "photos", backbone)
    seen = torch.where(
        torch.from_numpy(mirror_bits(2, 2, np.arange(11)) & mirror)[:, None, None, None],
        pictures.flip(3),
        pictures,
    )
    with torch.inference_mode():
        for view, images in (("eval", pictures), ("train", seen)):
            expected = torch.sigmoid(trained.head(backbone(images))).numpy()
            found = spy.scores[1][view]
            np.testing.assert_allclose(np.stack([found[row] for row in range(11)]), expected, atol=1e-5)


# -- BatchNorm and lone images ---


@pytest.mark.parametrize(("rows", "batch_size"), [(5, 4), (3, 1), (1, 4)])
def test_a_batch_of_one_image_that_shrinks_to_one_position_trains(
    rows: int, batch_size: int, tmp_path: Path
) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", rows)
    backbone = load_backbone(spec)
    with pytest.raises(ValueError, match="more than 1 value per channel"):  # what torch says to it
        backbone.train()(torch.zeros(1, 3, 32, 32))
    backbone = load_backbone(spec)
    before = weights(load_backbone(spec), LinearHead(backbone.dim, 3))
    trained = tune(
        recipe(table, create("bce"), epochs=2, batch_size=batch_size), backbone, tmp_path / "photos"
    )
    after = weights(backbone, trained.head)
    first = next(iter(before))
    assert all(torch.isfinite(value).all() for value in after.values())
    assert not torch.equal(before[first], after[first])
    # Nothing of the remedy stays behind.
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        backbone.train()(torch.zeros(1, 3, 32, 32))


# -- precision ---


def test_bf16_trains_the_backbone_in_bf16(tmp_path: Path) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 24)
    entries: dict[str, list[dict[str, Any]]] = {"32": [], "bf16": []}
    for precision, log in entries.items():
        what = recipe(table, create("bce"), epochs=3, batch_size=8, lr=3e-3)
        tune(what, load_backbone(spec), tmp_path / "photos", precision=precision, log=log.append)
    losses = {key: [entry["loss"] for entry in log] for key, log in entries.items()}
    assert losses["bf16"] != losses["32"]
    assert losses["bf16"] == pytest.approx(losses["32"], rel=0.05)


# -- faults ---


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_breaks_in_the_middle_is_named(workers: int, tmp_path: Path) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 8)
    truncate(tmp_path / "photos" / "005.png")
    backbone = load_backbone(spec)
    with pytest.raises(ImageError) as caught:
        tune(recipe(table, create("bce"), epochs=1), backbone, tmp_path / "photos", workers=workers)
    assert str(caught.value).startswith(str(tmp_path / "photos" / "005.png"))
    assert "\n" not in str(caught.value)


def test_a_loss_that_explodes_stops_the_run(tmp_path: Path) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 8)
    entries: list[dict[str, Any]] = []
    what = recipe(table, create("bce"), epochs=5, batch_size=2, lr=1e10, head_lr_multiplier=1e10)
    with pytest.raises(OneLabelError, match=r"the loss became .* in epoch 1.*: lower --lr"):
        tune(what, load_backbone(spec), tmp_path / "photos", log=entries.append)
    assert entries == []


def test_ctrl_c_comes_through(tmp_path: Path) -> None:
    class Pressed(Method):
        def loss(self, batch: Batch) -> Tensor:
            signal.raise_signal(signal.SIGINT)
            return batch.logits.sum()

    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 4)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
    try:
        with pytest.raises(KeyboardInterrupt):
            tune(recipe(table, Pressed(), epochs=1), load_backbone(spec), tmp_path / "photos")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "--batch-size"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), "--workers"),
    ],
)
def test_a_machine_that_is_too_small_is_explained(error: Exception, message: str, tmp_path: Path) -> None:
    class Small(Method):
        def loss(self, batch: Batch) -> Tensor:  # noqa: ARG002
            raise error

    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 4)
    with pytest.raises(OneLabelError, match=message):
        tune(recipe(table, Small(), epochs=1), load_backbone(spec), tmp_path / "photos")


def test_a_fault_of_the_code_is_not_explained_away(tmp_path: Path) -> None:
    class Faulty(Method):
        def loss(self, batch: Batch) -> Tensor:  # noqa: ARG002
            raise RuntimeError("shapes do not match")

    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 4)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        tune(recipe(table, Faulty(), epochs=1), load_backbone(spec), tmp_path / "photos")


# -- manners ---


@pytest.mark.filterwarnings("default")
def test_lightning_says_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_backbone(tmp_path / "net", "test_resnet", 32)
    table = paint(tmp_path / "photos", 4)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    done = []
    what = recipe(table, create("bce"), val=table, select="full", epochs=2)
    capfd.readouterr()
    tune(what, load_backbone(spec), tmp_path / "photos", advance=lambda count=1: done.append(count))
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "empty").iterdir()) == []
    assert sum(done) == 2 * (4 + 4)


def test_lightning_is_imported_only_when_training_starts() -> None:
    code = (
        "import sys, onelabel.training.finetune, onelabel.training.pipeline_finetune\n"
        "sys.exit('lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
