"""A trained model as a source: its probabilities by class name, on features or on photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from onelabel.images.decode import decode
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead
from onelabel.sources.bundle import BundleSource
from onelabel.vlm.store import write_store

IDS = [f"{n}.png" for n in range(6)]
CLASSES = ("cat", "dog", "cow")
LABELS = ("cow", "bee", "cat")
"""Classes of the labels: one that the model has not, and not all that it has."""


def table(ids: list[str] = IDS, classes: tuple[str, ...] = LABELS) -> LabelTable:
    return LabelTable.from_dense(ids, classes, np.zeros((len(ids), len(classes)), np.int8))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("net") / "net"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    timm.models.save_for_hf(network, str(folder), safe_serialization=True)
    return load_backbone(f"local-dir:{folder}")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Path:
    """Photos, their features, and a model on both."""
    folder, rng = tmp_path_factory.mktemp("room"), np.random.default_rng(0)
    (folder / "photos").mkdir()
    for name in IDS:
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / "photos" / name)
    write_store(
        folder / "features", root=folder / "photos", ids=IdTable.from_strings(IDS), encoder=backbone,
        preprocess=backbone.preprocess, dim=backbone.dim, fingerprint=backbone.fingerprint,
    )  # fmt: skip
    head = LinearHead(backbone.dim, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head.weight.data.normal_()
    model = Bundle(
        tuple(ClassInfo(name, name) for name in CLASSES), head, backbone,
        Thresholds(np.array([0.2, 0.5, 0.8]), "by hand"), {"name": "em"}, {"features": backbone.fingerprint},
    )  # fmt: skip
    write_bundle(folder / "model", model)
    return folder


def ask(source: BundleSource, rows: int = len(IDS)) -> tuple[np.ndarray, np.ndarray]:
    labels, mirrored = torch.zeros(rows, 3, dtype=torch.int8), torch.ones(rows, dtype=torch.bool)
    pseudo, score = source.pseudo(torch.arange(rows), labels, mirrored, epoch=1)
    return pseudo.numpy(), score.numpy()


@pytest.mark.parametrize("way", ["features", "images"])
def test_probabilities_and_decisions_are_those_of_the_model(way: str, room: Path, backbone: Backbone) -> None:
    options = {"features": str(room / "features")} if way == "features" else {"images": str(room / "photos")}
    source = BundleSource(room / "model", **options)  # type: ignore[arg-type]
    order = np.random.default_rng(1).permutation(len(IDS))
    source.start(table([IDS[n] for n in order]))
    pseudo, score = ask(source)
    assert np.isnan(score[:, 1]).all() and not pseudo[:, 1].any(), "the model has no bees"
    pixels = torch.stack([backbone.preprocess(decode(room / "photos" / IDS[n])) for n in order])
    with torch.inference_mode():
        probs = torch.sigmoid(source.bundle.head(backbone(pixels)))[:, [2, 0]].numpy()
    np.testing.assert_allclose(score[:, [0, 2]], probs, atol=2e-3)  # stored features are float16
    cuts = np.array([0.8, 0.2])
    assert (np.abs(probs - cuts) > 2e-3).all()
    np.testing.assert_array_equal(pseudo[:, [0, 2]], probs >= cuts)
    decided, silent = source.notes
    assert decided.endswith("threshold by hand") and silent.endswith("abstains from 1 classes: bee")
    assert source.provenance["method"] == "em" and len(source.provenance["sha256"]) == 64


def test_what_the_model_cannot_see(room: Path, tmp_path: Path) -> None:
    features, photos = str(room / "features"), str(room / "photos")
    for options in ({}, {"features": features, "images": photos}):
        with pytest.raises(
            OneLabelError, match=r"give either --source.features STORE or --source.images DIR"
        ):
            BundleSource(room / "model", **options)  # type: ignore[arg-type]
    with pytest.raises(OneLabelError, match="holds no trained model"):
        BundleSource(room / "photos", features=features)
    with pytest.raises(OneLabelError, match="needs its model: give --source RUN"):
        BundleSource()
    source = BundleSource(room / "model", features=features)
    with pytest.raises(OneLabelError, match=r"1 of 2 images are not in .*features, such as 'z.png'"):
        source.start(table(["0.png", "z.png"]))
    with pytest.raises(OneLabelError, match="has none of the classes of the labels"):
        source.start(table(classes=("bee", "ant", "fly")))
    with pytest.raises(OneLabelError, match=r"1 of 2 photos are missing in .*photos \(such as z.png\)"):
        BundleSource(room / "model", images=photos).start(table(["0.png", "z.png"]))
    np.savez(tmp_path / "x.npz", X=np.ones((6, 3)), ids=IDS)
    with pytest.raises(OneLabelError, match=r"reads \d+ numbers, .*x.npz has 3"):
        BundleSource(room / "model", features=str(tmp_path / "x.npz")).start(table())


def test_features_of_another_encoder_are_refused(room: Path, tmp_path: Path, backbone: Backbone) -> None:
    write_store(
        tmp_path / "other", root=room / "photos", ids=IdTable.from_strings(IDS), encoder=backbone,
        preprocess=backbone.preprocess, dim=backbone.dim,
        fingerprint=dict(backbone.fingerprint) | {"weights": "others"},
    )  # fmt: skip
    with pytest.raises(OneLabelError, match="made with other weights"):
        BundleSource(room / "model", features=str(tmp_path / "other")).start(table())
