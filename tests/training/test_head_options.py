"""BoostLU with every method, and the phase in which the head trains alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import catalogue, create
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead
from onelabel.models.maps import feature_maps
from onelabel.sources.file import FileSource
from onelabel.training.features import FeatureRows
from onelabel.training.finetune import fine_tune
from onelabel.training.heads import train_head
from onelabel.training.order import epoch_order
from onelabel.training.parts import Parts
from onelabel.training.photo_rows import photo_rows
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import ArrayStore

N, C, D = 12, 3, 5
IDS, CLASSES = [f"{n}.png" for n in range(N)], ["cat", "dog", "owl"]


def table() -> LabelTable:
    return LabelTable.from_dense(IDS, CLASSES, np.eye(C, dtype=np.int8)[np.arange(N) % C])


def recipe(method: str, source: Path | None = None, params: Any = None, **settings: Any) -> Recipe:
    built = create(method, **params or {})
    opened = FileSource(source) if source and built.needs_source else None
    usual: dict[str, Any] = {"epochs": 2, "batch_size": 4, "lr": 0.05, "select": "last", "mirror": False}
    given = Settings(**usual | settings)
    return Recipe(Parts(table(), None, ()), built, given, opened, 1.5)


# -- BoostLU ---


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tags") / "tags.npz"
    pseudo = np.random.default_rng(0).integers(-1, 2, (N, C))
    np.savez(path, ids=IDS, classes=CLASSES, pseudo=pseudo)
    return path


@pytest.mark.parametrize("name", [entry.name for entry in catalogue()])
def test_a_boosted_head_trains_with_every_method(name: str, tags: Path) -> None:
    features = np.random.default_rng(1).normal(size=(N, D)) + 3 * np.eye(D)[np.arange(N) % C]
    rows = FeatureRows(ArrayStore(IdTable.from_strings(IDS), features), table())
    heads = [train_head(rows, None, recipe(name, tags, boostlu=boost)).head for boost in (1.0, 5.0)]
    assert [head.boost for head in heads] == [1.0, 5.0]
    assert all(torch.isfinite(head.weight).all() for head in heads)
    assert not torch.equal(heads[0].weight, heads[1].weight), "the boost is part of the training"


def test_a_boost_below_one_is_refused() -> None:
    with pytest.raises(OneLabelError, match=r"--boostlu must be 1 or more, not 0\.5"):
        Settings(boostlu=0.5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(2)
    for name in IDS:
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / name)
    return folder


def backbone() -> Backbone:
    torch.manual_seed(0)
    return load_backbone("test_resnet", pretrained=False)


def tune(what: Recipe, network: Backbone, photos: Path, **options: Any) -> LinearHead:
    rows = photo_rows(table(), str(photos), network.preprocess, 1_000_000)
    return fine_tune(what, network, rows, None, **options).head


def test_fine_tuning_with_boostlu_is_that_of_a_plain_loop_over_maps(photos: Path) -> None:
    theirs = backbone()
    what = recipe("an", boostlu=5.0, lr=1e-3)
    head = torch.nn.Conv2d(theirs.dim, C, 1)
    torch.manual_seed(0)
    start = LinearHead(theirs.dim, C)
    with torch.no_grad():
        head.weight.copy_(start.weight[:, :, None, None])
        assert head.bias is not None
        head.bias.zero_()
    adam = torch.optim.Adam([*theirs.parameters(), *head.parameters()], lr=1e-3)
    pixels = torch.stack([theirs.preprocess(Image.open(photos / name)) for name in IDS])
    positive = torch.from_numpy(table().dense()).float()
    theirs.train()
    for epoch in (1, 2):
        for rows in torch.split(epoch_order(0, epoch, N), 4):
            scores = head(feature_maps(theirs, pixels[rows]))
            logits = torch.where(scores > 0, 5 * scores, scores).mean(dim=(2, 3))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, positive[rows])
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
    ours = backbone()
    found = tune(what, ours, photos)
    torch.testing.assert_close(found.weight, head.weight[:, :, 0, 0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        dict(ours.named_parameters()), dict(theirs.named_parameters()), rtol=1e-3, atol=1e-4
    )


def test_a_bundle_of_a_head_on_maps_predicts_as_the_network_did(photos: Path, tmp_path: Path) -> None:
    network = backbone()
    head = tune(recipe("em", boostlu=5.0, lr=1e-3), network, photos)
    images = torch.randn(2, 3, network.preprocess.size, network.preprocess.size)
    with torch.no_grad():
        wanted = head(feature_maps(network.eval(), images))
        pooled = head(network(images))
    assert not torch.allclose(wanted, pooled), "the maps matter"
    write_bundle(tmp_path / "b", Bundle(table().classes, head, network, Thresholds.not_calibrated(C)))
    loaded = load_bundle(tmp_path / "b")
    assert (loaded.head.boost, loaded.head.maps) == (5.0, True)
    torch.testing.assert_close(loaded.score(images), wanted)
    with pytest.raises(OneLabelError, match="BoostLU on feature maps and cannot use pooled features"):
        loaded.score_features(network(images))


def test_a_boosted_head_on_features_stays_one(tmp_path: Path) -> None:
    head = LinearHead(D, C, boost=5.0)
    torch.nn.init.normal_(head.weight)
    write_bundle(tmp_path / "b", Bundle(table().classes, head, None, Thresholds.not_calibrated(C)))
    features = torch.randn(6, D)
    torch.testing.assert_close(load_bundle(tmp_path / "b").score_features(features), head(features).detach())


@pytest.mark.parametrize(("key", "value"), [("boost", "5"), ("boost", True), ("boost", 0.1), ("maps", 1)])
def test_a_boost_that_somebody_wrote_is_refused(tmp_path: Path, key: str, value: object) -> None:
    from onelabel.models import bundle_read

    description = {"kind": "linear", "dim": D, key: value}
    state: dict[str, Tensor] = {"weight": torch.zeros(C, D), "bias": torch.zeros(C)}
    with pytest.raises(OneLabelError, match="boost"):
        bundle_read._head(description, state, tmp_path / "model.safetensors")


def test_a_network_without_maps_is_refused(photos: Path) -> None:
    with pytest.raises(OneLabelError, match="BoostLU needs the feature maps"):
        tune(recipe("an", boostlu=5.0), load_backbone("test_vit", pretrained=False), photos)
    vit = load_backbone("test_vit", pretrained=False)
    head = LinearHead(vit.dim, C, 5.0, maps=True)
    with pytest.raises(OneLabelError, match="BoostLU needs the feature maps"):
        Bundle(table().classes, head, vit, Thresholds.not_calibrated(C))


# -- the head alone, first ---


def snapshot(network: Backbone) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(("name", "linear"), [("role-li", 2), ("role-li", None), ("gr", 1), ("em", 0)])
def test_the_backbone_stays_as_it_is_in_the_linear_phase(photos: Path, name: str, linear: int | None) -> None:
    network = backbone()
    params = {} if name == "em" else {"linear_epochs": linear}
    what = recipe(name, params=params, epochs=4, lr=1e-3)
    seen = [snapshot(network)]

    def log(_: dict[str, Any]) -> None:
        seen.append(snapshot(network))

    tune(what, network, photos, log=log)
    stays = [same(before, after) for before, after in pairwise(seen)]
    phase = 4 * 5 // 7 if linear is None else linear
    assert stays == [epoch <= phase for epoch in (1, 2, 3, 4)], "weights and BatchNorm's statistics alike"
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_head_trains_in_the_linear_phase(photos: Path) -> None:
    torch.manual_seed(0)
    start = LinearHead(backbone().dim, C).weight.detach()
    head = tune(recipe("gr", params={"linear_epochs": 1}, epochs=2, lr=1e-3), backbone(), photos)
    assert not torch.equal(head.weight, start)
