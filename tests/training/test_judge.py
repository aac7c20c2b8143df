"""Scoring a trained model: the right images, the right columns, or a message that says what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from onelabel.evaluation import calibration_error
from onelabel.images.decode import MAX_PIXELS, decode
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.models.backbones import load_backbone
from onelabel.models.bundle import NEVER, UNCALIBRATED, Bundle, Calibration, Thresholds
from onelabel.models.heads import LinearHead
from onelabel.training.embedding import embed_photos
from onelabel.training.encoders import backbone_under, open_source
from onelabel.training.judge import choose_split, judge, score_features, score_photos
from onelabel.vlm.features import open_features

CLASSES = ("cat", "dog", "fish")
NAMES = [f"sub/{row}.png" for row in range(5)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in ``photos``, a network in ``net``, its store in ``store``."""
    root = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    (root / "photos" / "sub").mkdir(parents=True)
    for name in NAMES:
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(root / "photos" / name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        timm.models.save_for_hf(
            timm.create_model("test_resnet", pretrained=False), str(root / "net"), safe_serialization=True
        )
    embed(root, str(root / "store"))
    return root


def embed(root: Path, out: str) -> None:
    embed_photos(
        table(), str(root / "photos"), out, kind="timm", spec=f"local-dir:{root}/net", mirrored=False,
        batch_size=2, workers=0, max_pixels=MAX_PIXELS, device="cpu", overwrite=False,
    )  # fmt: skip


def table(splits: tuple[str, ...] = ()) -> LabelTable:
    labels = np.array([[1, -1, 0], [-1, 1, 1], [1, 1, -1], [-1, -1, 0], [1, -1, 1]])
    found = LabelTable.from_dense(NAMES, CLASSES, labels)
    if not splits:
        return found
    codes = np.array([0, 0, 1, 1, 1], np.int8) % len(splits)
    return replace(found, splits=codes.astype(np.int8), split_names=splits)


@pytest.fixture
def bundle(place: Path) -> Bundle:
    backbone = load_backbone(f"local-dir:{place}/net")
    torch.manual_seed(1)
    head = LinearHead(backbone.dim, len(CLASSES))
    classes = tuple(ClassInfo(name, name) for name in CLASSES)
    fingerprints = {"features": backbone.fingerprint}
    return Bundle(classes, head, backbone, Thresholds.not_calibrated(3), fingerprints=fingerprints)


def by_hand(bundle: Bundle, place: Path, names: list[str]) -> np.ndarray:
    assert bundle.backbone is not None
    pixels = [bundle.backbone.preprocess(decode(place / "photos" / name)) for name in names]
    with torch.inference_mode():
        return np.asarray(bundle.head(bundle.backbone.eval()(torch.stack(pixels))).numpy())


def test_scores_of_photos_and_of_stored_features_are_those_by_hand(bundle: Bundle, place: Path) -> None:
    rows = table().take([3, 0, 4])
    expected = by_hand(bundle, place, [NAMES[3], NAMES[0], NAMES[4]])
    photos = score_photos(bundle, rows, str(place / "photos"), 2, 0, MAX_PIXELS)
    np.testing.assert_allclose(photos, expected, atol=1e-5)
    np.testing.assert_allclose(score_features(bundle, rows, str(place / "store")), expected, atol=2e-2)


def test_features_of_another_network_are_refused(bundle: Bundle, place: Path, tmp_path: Path) -> None:
    other = replace(bundle, fingerprints={"features": {**bundle.fingerprints["features"], "weights": "x"}})
    with pytest.raises(OneLabelError, match="was made with other weights"):
        score_features(other, table(), str(place / "store"))
    np.savez(tmp_path / "x.npz", X=np.zeros((5, 7)), ids=np.array(NAMES))
    with pytest.raises(OneLabelError, match=r"the model reads \d+ numbers, .*x.npz has 7"):
        score_features(bundle, table(), str(tmp_path / "x.npz"))
    more = LabelTable.from_dense(["new.png"], CLASSES, [[1, 0, 0]])
    with pytest.raises(OneLabelError, match=r"'new\.png'"):
        score_features(bundle, more, str(place / "store"))


def test_photos_that_cannot_be_scored_are_named(bundle: Bundle, place: Path, tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"5 of 5 photos are missing in .* \(such as sub/0\.png"):
        score_photos(bundle, table(), str(tmp_path), 2, 0, MAX_PIXELS)
    with pytest.raises(ImageError, match="pixels, the limit is 100"):
        score_photos(bundle, table(), str(place / "photos"), 2, 0, 100)
    with pytest.raises(OneLabelError, match="give --features, it reads no photos"):
        score_photos(replace(bundle, backbone=None), table(), str(place / "photos"), 2, 0, MAX_PIXELS)


@pytest.mark.parametrize("names", [("train", "test2014"), ("test2014", "train")])
def test_the_test_images_are_scored_unless_another_split_is_named(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = table(names)
    assert choose_split(whole, None) == whole.part("test2014")
    assert "of split 'test2014'" in capsys.readouterr().out
    assert choose_split(whole, "train") == whole.part("train")
    assert choose_split(table(), None) == table()
    assert capsys.readouterr().out.endswith("scoring on 5 images\n")
    with pytest.raises(OneLabelError, match="unknown split 'tain'"):
        choose_split(whole, "tain")
    with pytest.raises(OneLabelError, match="no split begins with test; give --split, one of train, val"):
        choose_split(table(("train", "val")), None)


def test_decisions_are_those_of_a_prediction(bundle: Bundle) -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    curves = Calibration(np.array([0.5, 1.0, 2.0]), np.array([1.0, 0.0, -1.0]), "Platt on x.csv")
    for cuts in ([0.2, 0.5, 0.9], [0.0, NEVER, 0.5]):
        for calibration in (None, curves):
            model = replace(bundle, thresholds=Thresholds(np.array(cuts), "by hand"), calibration=calibration)
            found = judge(model, table(), logits, ["seen before"])
            decided = model.decide(model.probabilities(torch.from_numpy(logits)))
            assert found.f1 is not None
            np.testing.assert_allclose(found.f1.predicted, (decided == 1).mean(axis=0))
            sources = [UNCALIBRATED] + ([] if calibration is None else ["Platt on x.csv"])
            assert [name for name, _ in found.calibration] == sources
            assert found.notes[0] == "seen before" and found.thresholds_source == "by hand"
            raw = 1 / (1 + np.exp(-logits.astype(np.float64)))
            expected = calibration_error(raw.astype(np.float32), table().dense()).value
            assert found.calibration[0][1].value == pytest.approx(expected)


def test_probabilities_are_the_calibrated_sigmoid(bundle: Bundle) -> None:
    logits = torch.tensor([[-200.0, 0.0, 3.0]])
    curves = Calibration(np.array([0.5, 1.0, 2.0]), np.array([1.0, 0.0, -1.0]), "x")
    z = logits.double().numpy()
    plain, curved = (1 / (1 + np.exp(-v)) for v in (z, z * curves.slope + curves.intercept))
    np.testing.assert_array_equal(bundle.probabilities(logits), plain.astype(np.float32))
    np.testing.assert_allclose(
        replace(bundle, calibration=curves).probabilities(logits), curved.astype(np.float32), rtol=1e-6
    )


# -- the encoder of a store ---


def test_the_network_under_a_store_is_the_one_that_made_it(place: Path, tmp_path: Path) -> None:
    store = open_features(place / "store")
    backbone = backbone_under(store)
    assert backbone is not None and backbone.fingerprint == store.fingerprint
    np.savez(tmp_path / "x.npz", X=np.zeros((5, 7)), ids=np.array(NAMES))
    assert backbone_under(open_features(tmp_path / "x.npz")) is None


def test_a_network_that_has_changed_since_is_refused(place: Path, tmp_path: Path) -> None:
    for name in ("photos", "net"):
        (tmp_path / name).symlink_to(place / name)
    embed(tmp_path, str(tmp_path / "store"))
    (tmp_path / "net").unlink()
    torch.manual_seed(5)
    network = timm.create_model("test_resnet", pretrained=False)
    timm.models.save_for_hf(network, str(tmp_path / "net"), safe_serialization=True)
    with pytest.raises(OneLabelError, match="was made with other weights: embed again"):
        backbone_under(open_features(tmp_path / "store"))
    (tmp_path / "net" / "model.safetensors").unlink()
    with pytest.raises(OneLabelError, match=r"model\.safetensors is missing"):
        backbone_under(open_features(tmp_path / "store"))


def embed_with_clip(place: Path, clip: Path, out: Path) -> str:
    embed_photos(
        table(), str(place / "photos"), str(out), kind="open_clip", spec=f"local-dir:{clip}", mirrored=True,
        batch_size=2, workers=0, max_pixels=MAX_PIXELS, device="cpu", overwrite=False,
    )  # fmt: skip
    return str(out)


def test_a_source_reads_the_store_of_its_own_model(
    place: Path, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(tmp_path / "clip")
    store = embed_with_clip(place, clip, tmp_path / "store")
    classes = tuple(ClassInfo(name, name) for name in CLASSES)
    source = open_source({"name": "vlpl", "threshold": 0.3}, store, classes, ("a {}.",))
    labels = LabelTable.from_dense(NAMES, CLASSES, np.zeros((5, 3), np.int8))
    source.start(labels)
    index = torch.tensor([4, 0])
    known, bits = torch.zeros(2, 3, dtype=torch.int8), torch.tensor([True, False])
    pseudo, score = source.pseudo(index, known, bits, 1)
    assert pseudo.shape == score.shape == (2, 3)
    make_clip(tmp_path / "clip", seed=1)
    with pytest.raises(OneLabelError, match="was made with other weights"):
        open_source({"name": "vlpl"}, store, classes, ("a {}.",))


def test_sources_that_do_not_fit_the_store(place: Path) -> None:
    classes = (ClassInfo("cat", "cat"),)
    with pytest.raises(OneLabelError, match="was made by a backbone, which knows no words"):
        open_source({"name": "vlpl"}, str(place / "store"), classes, ("a {}.",))
    with pytest.raises(OneLabelError, match=r"no parameter 'treshold' \(did you mean 'threshold'\?\)"):
        open_source({"name": "vlpl", "treshold": 1}, str(place / "store"), classes, ("a {}.",))
    with pytest.raises(OneLabelError, match="give --vlm-store STORE"):
        open_source({"name": "vlpl"}, None, classes, ("a {}.",))
