"""Options of a run: stopping rules, averaged weights, the MLP head, first weights, photo size, freezing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import create
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead, MLPHead
from onelabel.training.averaging import Average
from onelabel.training.features import FeatureRows
from onelabel.training.finetune import fine_tune
from onelabel.training.first_weights import at_photo_size, take_over
from onelabel.training.heads import train_head
from onelabel.training.order import epoch_order
from onelabel.training.parts import Parts
from onelabel.training.photo_rows import photo_rows
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.training.stopping import Stop, why_stop
from onelabel.vlm.features import ArrayStore

N, C, D = 12, 3, 5
IDS, CLASSES = [f"{n}.png" for n in range(N)], ["cat", "dog", "owl"]
TABLE = LabelTable.from_dense(IDS, CLASSES, np.eye(C, dtype=np.int8)[np.arange(N) % C])
FULL = LabelTable.from_dense(IDS, CLASSES, np.where(TABLE.dense() == 1, 1, -1))


def recipe(
    method: str = "an", val: LabelTable | None = None, earlier: Bundle | None = None, **settings: Any
) -> Recipe:
    params = {key.removeprefix("method_"): settings.pop(key) for key in list(settings) if "method_" in key}
    usual: dict[str, Any] = {"epochs": 2, "batch_size": 4, "lr": 0.05, "select": "last", "mirror": False}
    given = Settings(**usual | settings)
    return Recipe(Parts(TABLE, val, ()), create(method, **params), given, earlier=earlier)


def rows() -> FeatureRows:
    features = np.random.default_rng(1).normal(size=(N, D)) + np.eye(D)[np.arange(N) % C]
    return FeatureRows(ArrayStore(IdTable.from_strings(IDS), features), TABLE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(2)
    for name in IDS:
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / name)
    return folder


def backbone(seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    return load_backbone("test_resnet", pretrained=False)


def tune(what: Recipe, network: Backbone, photos: Path, **options: Any) -> LinearHead:
    images = photo_rows(TABLE, str(photos), network.preprocess, 1_000_000)
    val = images if what.parts.val is not None else None
    return fine_tune(what, network, images, val, **options).head


# -- stopping ---


def slow_stop(stop: Stop, scores: Sequence[float]) -> int | None:
    """The loops of the released codes: the epoch after which they leave, from 1."""
    best, misses = -math.inf, 0
    for epoch, score in enumerate(scores, 1):
        drop = 100 * (best - score)
        if stop == "no-gain" and score <= best:
            return epoch
        if (stop == "drop-3" and drop > 3) or ("drop-2" in stop and drop > 2):
            return epoch
        misses = 0 if score > best else misses + 1
        best = max(best, score)
        if stop == "drop-2-or-2-misses" and misses == 2:
            return epoch
    return None


@pytest.mark.parametrize("stop", ["never", "no-gain", "drop-2", "drop-3", "drop-2-or-2-misses"])
@given(points=st.lists(st.integers(700, 760), min_size=1, max_size=12))
def test_runs_stop_where_the_released_loops_do(stop: Stop, points: list[int]) -> None:
    scores = [point / 1024 for point in points]  # exact, also a hundredfold
    reasons = [why_stop(stop, scores[:count]) for count in range(1, len(scores) + 1)]
    stopped = next((epoch for epoch, reason in enumerate(reasons, 1) if reason), None)
    assert stopped == slow_stop(stop, scores)


@pytest.mark.parametrize("loop", ["head", "photos"])
def test_a_run_ends_at_its_stopping_rule_and_says_why(loop: str, photos: Path) -> None:
    """The ranking of 12 images is soon perfect."""
    log: list[dict[str, Any]] = []
    what = recipe(val=FULL, select="full", stop="no-gain", epochs=40)
    if loop == "head":
        trained = train_head(rows(), rows_of(FULL), what, log.append)
    else:
        network = backbone()
        images = photo_rows(TABLE, str(photos), network.preprocess, 1_000_000)
        trained = fine_tune(what, network, images, images, log=log.append)
    scores = [entry["selection"] for entry in log]
    assert 1 < len(scores) < 40
    assert all(a < b for a, b in pairwise(scores[:-1])) and scores[-1] <= scores[-2]
    assert trained.epoch == len(scores) - 1
    assert trained.ended.startswith(f"stopped after epoch {len(scores)}: 1 epoch without a selection score")


def rows_of(table: LabelTable) -> FeatureRows:
    return FeatureRows(rows().features, table)


def test_a_run_that_is_not_stopped_says_so() -> None:
    assert train_head(rows(), None, recipe(epochs=3)).ended == "all 3 epochs were run"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stop": "drop-2", "select": "last"}, "--stop drop-2 watches the selection score"),
        ({"ema": 1.0}, "--ema must be below 1"),
        ({"ema": -0.1}, "--ema must be 0 or more"),
        ({"head": "mlp", "boostlu": 5.0}, "leave --boostlu out"),
        ({"head": "mlp", "head_width": 0}, "--head-width must be 1 or more"),
        ({"freeze_epochs": -1}, "--freeze-epochs must be 0 or more"),
    ],
)
def test_options_that_do_not_go_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        Settings(**settings)


# -- the average ---


def test_the_average_is_that_of_a_slow_loop() -> None:
    """Of every step's weights, from the start on; what trains is not changed by it."""
    plain = train_head(rows(), None, recipe(epochs=2)).head
    weights: list[Tensor] = []

    class Watching(Average):
        def update(self) -> None:
            weights.append(self.network.state_dict()["weight"].double().clone())
            super().update()

    torch.manual_seed(0)
    mean = LinearHead(D, C).weight.detach().double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelabel.training.course.Average", Watching)
        averaged = train_head(rows(), None, recipe(epochs=2, ema=0.8)).head
    for weight in weights:
        mean = 0.8 * mean + 0.2 * weight
    assert len(weights) == 6
    torch.testing.assert_close(weights[-1].float(), plain.weight.detach(), rtol=0, atol=0)
    torch.testing.assert_close(averaged.weight.detach().double(), mean, rtol=0, atol=1e-6)
    assert not torch.allclose(averaged.weight, plain.weight, atol=1e-3)


def test_the_average_of_a_network_covers_batchnorm(photos: Path) -> None:
    """Decay 0 is the network as it is; with a decay the statistics lie between start and end."""
    start, plain, zero, mean = (backbone() for _ in range(4))
    heads = [tune(recipe(lr=1e-3, ema=ema), network, photos) for network, ema in ((plain, 0.0), (zero, 0.9))]
    tune(recipe(lr=1e-3, ema=1e-12), mean, photos)
    assert not torch.equal(heads[0].weight, heads[1].weight)
    first, last, between = (dict(network.named_buffers()) for network in (start, plain, zero))
    key = next(name for name in first if name.endswith("running_mean"))
    assert torch.allclose(dict(mean.named_buffers())[key], last[key], atol=1e-6)
    travelled = (between[key] - first[key]).norm() / (last[key] - first[key]).norm()
    assert 0.02 < travelled < 0.7, "six steps with a decay of 0.9"


def test_scores_and_kept_weights_are_those_of_the_average(photos: Path) -> None:
    network = backbone()
    images = photo_rows(TABLE, str(photos), network.preprocess, 1_000_000)
    what = recipe(val=FULL, select="full", epochs=2, lr=1e-3, ema=0.7)
    trained = fine_tune(what, network, images, images)
    with torch.inference_mode():
        pixels = torch.stack([network.preprocess(Image.open(photos / name)) for name in IDS])
        again = trained.head(network(pixels)).numpy()
    assert trained.val_logits is not None
    np.testing.assert_allclose(trained.val_logits, again, atol=1e-5)


# -- the MLP head ---


def test_an_mlp_head_trains_as_plain_layers_do() -> None:
    torch.manual_seed(0)
    start = MLPHead(D, C, 7)
    layers = nn.Sequential(nn.Linear(D, 7), nn.ReLU(), nn.Linear(7, C))
    theirs = list(layers.parameters())
    ours = [start.hidden.weight, start.hidden.bias, start.weight, start.bias]
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            other.copy_(mine)
    adam = torch.optim.Adam(theirs, lr=0.05)
    data = rows()
    for epoch in (1, 2):
        for index in torch.split(epoch_order(0, epoch, N), 4):
            logits = layers(data.batch(index.numpy()))
            target = torch.from_numpy(TABLE.rows(index.numpy())).float()
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
    head = train_head(data, None, recipe(head="mlp", head_width=7)).head
    assert isinstance(head, MLPHead)
    for mine, other in zip(
        [head.hidden.weight, head.hidden.bias, head.weight, head.bias], theirs, strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["em", "role", "ll-cp"])
def test_a_network_with_an_mlp_head_survives_its_bundle(method: str, photos: Path, tmp_path: Path) -> None:
    network = backbone()
    settings: dict[str, Any] = {"method_expected": 1.5} if method == "role" else {}
    head = tune(recipe(method, head="mlp", head_width=6, lr=1e-3, **settings), network, photos)
    write_bundle(tmp_path / "b", Bundle(TABLE.classes, head, network, Thresholds.not_calibrated(C)))
    loaded = load_bundle(tmp_path / "b")
    assert loaded.head.describe() == {"kind": "mlp", "dim": network.dim, "width": 6}
    images = torch.randn(2, 3, network.preprocess.size, network.preprocess.size)
    with torch.no_grad():
        torch.testing.assert_close(loaded.score(images), head(network(images)))


# -- first weights ---


def bundle_of(head: LinearHead, network: Backbone | None = None, classes: Sequence[str] = CLASSES) -> Bundle:
    infos = {info.id: info for info in TABLE.classes}
    chosen = tuple(infos.get(name, replace(TABLE.classes[0], id=name)) for name in classes)
    return Bundle(chosen, head, network, Thresholds.not_calibrated(len(chosen)))


def filled(head: LinearHead, seed: int = 3) -> LinearHead:
    generator = torch.Generator().manual_seed(seed)
    for parameter in head.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return head


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_run_starts_from_an_earlier_head_whatever_the_order_of_classes(kind: Any) -> None:
    head = filled(LinearHead(D, C) if kind == "linear" else MLPHead(D, C, 6))
    features = torch.randn(4, D)
    earlier = bundle_of(head, classes=["owl", "cat", "dog"])
    what = recipe(earlier=earlier, lr=1e-30, head=kind, head_width=6)
    found = train_head(rows(), None, what).head
    torch.testing.assert_close(found(features), head(features)[:, [1, 2, 0]])


def test_fine_tuning_starts_from_head_and_network_of_a_run(photos: Path) -> None:
    theirs = backbone(seed=5)
    head = filled(LinearHead(theirs.dim, C))
    ours = backbone(seed=6)
    found = tune(recipe(earlier=bundle_of(head, theirs), lr=1e-30, epochs=1), ours, photos)
    torch.testing.assert_close(found.weight, head.weight)
    torch.testing.assert_close(dict(ours.named_parameters()), dict(theirs.named_parameters()))


def test_a_head_on_features_from_a_file_leaves_the_network_alone(photos: Path) -> None:
    ours, untouched = backbone(seed=6), backbone(seed=6)
    head = filled(LinearHead(ours.dim, C))
    found = tune(recipe(earlier=bundle_of(head), lr=1e-30, epochs=1), ours, photos)
    torch.testing.assert_close(found.weight, head.weight)
    torch.testing.assert_close(dict(ours.named_parameters()), dict(untouched.named_parameters()))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OneLabelError, match="the model does not know 'owl'; the labels do not have 'bee'"):
        recipe(earlier=bundle_of(LinearHead(D, C), classes=["cat", "dog", "bee"]))
    head = LinearHead(D, C)
    for other in (LinearHead(D + 1, C), MLPHead(D, C, 4), LinearHead(D, C, boost=5.0)):
        with pytest.raises(OneLabelError, match="the head of --init is"):
            take_over(bundle_of(other), head, tuple(CLASSES), None)
    network, ours = load_backbone("test_vit", pretrained=False), backbone()
    with pytest.raises(OneLabelError, match="--init holds a network test_vit and --backbone is test_resnet"):
        take_over(bundle_of(LinearHead(network.dim, C), network), head, tuple(CLASSES), ours)


# -- photo size ---


def test_photos_are_squashed_as_in_the_papers(photos: Path, tmp_path: Path) -> None:
    network = at_photo_size(backbone(), 48)
    head = tune(recipe(lr=1e-3), network, photos)
    write_bundle(tmp_path / "b", Bundle(TABLE.classes, head, network, Thresholds.not_calibrated(C)))
    with Image.open(photos / IDS[0]) as photo:
        small = np.asarray(photo.convert("RGB").resize((48, 48), Image.Resampling.BILINEAR)) / 255.0
    pixels = (small - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    images = torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        wanted = torch.sigmoid(head(network(images)))[0].numpy()
    ((_, found),) = load_bundle(tmp_path / "b").predict([photos / IDS[0]])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(("name", "size"), [("test_vit", 97), ("test_resnet", 5000)])
def test_a_size_that_a_network_cannot_read_is_refused(name: str, size: int) -> None:
    with pytest.raises(OneLabelError, match=rf"--photo-size {size}: {name} cannot read photos of that size"):
        at_photo_size(load_backbone(name, pretrained=False), size)


# -- the head alone ---


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize(
    ("method", "settings"), [("an", {"freeze_epochs": 2}), ("gr", {"method_linear_epochs": 2})]
)
def test_in_the_frozen_phase_weights_stay_and_statistics_as_asked(
    method: str, settings: dict[str, Any], freeze: bool, photos: Path
) -> None:
    network = backbone()
    seen: list[dict[str, Tensor]] = []

    def look(_: Any = None) -> None:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})

    look()
    what = recipe(method, epochs=3, lr=1e-3, freeze_batchnorm=freeze, **settings)
    tune(what, network, photos, log=look)
    parameters = {name for name, _ in network.named_parameters()}
    statistics = set(seen[0]) - parameters
    for number, (before, after) in enumerate(pairwise(seen), 1):
        same = {name for name, value in after.items() if torch.equal(value, before[name])}
        assert (parameters <= same) == (number <= 2)
        assert (statistics <= same) == (number <= 2 and freeze)


def test_a_frozen_phase_is_said_once_and_leaves_an_epoch() -> None:
    with pytest.raises(OneLabelError, match="has 1 linear epochs of its own"):
        recipe("gr", method_linear_epochs=1, freeze_epochs=1)
    with pytest.raises(OneLabelError, match="--freeze-epochs 2 takes all 2 epochs"):
        recipe(freeze_epochs=2)
