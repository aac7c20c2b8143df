"""The bundle: self-contained, by name, whole or refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.labels.table import ClassInfo
from onelabel.models.backbones import Backbone, load_backbone, open_clip_backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead

IDS = ("cat", "dog", "zebra")


@cache
def tiny_backbone() -> Backbone:
    torch.manual_seed(5)
    return load_backbone("test_resnet", pretrained=False)


def make_bundle(backbone: Backbone | None = None, ids: tuple[str, ...] = IDS, seed: int = 0) -> Bundle:
    torch.manual_seed(seed)
    backbone = backbone or tiny_backbone()
    head = LinearHead(backbone.dim, len(ids))
    torch.nn.init.normal_(head.weight)
    classes = tuple(ClassInfo(name, name.title(), (f"a {name}",)) for name in ids)
    thresholds = Thresholds(np.linspace(0.2, 0.8, len(ids)), "F1 on val.csv")
    method = {"name": "em", "alpha": 0.1}
    return Bundle(classes, head, backbone, thresholds, method, {"vlm": {"weights": "ab"}}, {"images": 7})


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "bundle"
    write_bundle(folder, make_bundle())
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A bundle of this test's own, to spoil."""
    return Path(shutil.copytree(original, tmp_path / "b"))


def write_photos(folder: Path, count: int = 5) -> list[Path]:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return paths


def probabilities(bundle: Bundle, photos: list[Path], **options: Any) -> np.ndarray:
    return np.stack([probs for _, probs in bundle.predict(photos, **options)])


def test_write_and_load_is_the_identity(tmp_path: Path) -> None:
    bundle = make_bundle()
    write_bundle(tmp_path / "b", bundle)
    again = load_bundle(tmp_path / "b")
    images = torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.score(images), bundle.score(images))
    assert again.classes == bundle.classes
    assert np.array_equal(again.thresholds.values, bundle.thresholds.values)
    assert again.thresholds.source == bundle.thresholds.source
    assert (again.method, again.facts) == (bundle.method, bundle.facts)
    assert again.backbone is not None
    assert bundle.backbone is not None
    expected = {"vlm": {"weights": "ab"}, "backbone": bundle.backbone.fingerprint}
    assert again.fingerprints == expected
    assert again.backbone.fingerprint == bundle.backbone.fingerprint
    write_bundle(tmp_path / "c", again)
    for name in ("bundle.json", "README.md", "model.safetensors"):
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_every_file_has_the_usual_permissions(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_bundle(tmp_path / "bundle", make_bundle())
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "bundle").rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~umask}


def test_a_run_folder_will_do(tmp_path: Path) -> None:
    write_bundle(tmp_path / "run" / "bundle", make_bundle())
    assert load_bundle(tmp_path / "run").class_ids == IDS


SCRIPT = """
import socket, sys
def refuse(*arguments, **options):
    raise AssertionError("the network was used")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from pathlib import Path
from onelabel.models.bundle_read import load_bundle
bundle = load_bundle(sys.argv[1])
for path, probs in bundle.predict([Path(arg) for arg in sys.argv[2:]]):
    print(path.name, *probs.tolist())
loaded = [name for name in sys.modules if name.startswith(("onelabel.training", "lightning", "onelabel.vlm"))]
assert not loaded, loaded
"""


@pytest.mark.parametrize("kind", ["timm", "open_clip"])
def test_another_process_without_network_gives_the_same_scores(
    kind: str, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    if kind == "timm":
        bundle = make_bundle()
    else:
        import open_clip  # type: ignore[import-untyped]

        source = make_clip(tmp_path / "clip")
        model = open_clip.create_model(f"local-dir:{source}").eval()
        config = json.loads((source / "open_clip_config.json").read_text())["model_cfg"]
        preprocess = Preprocess(32, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
        bundle = make_bundle(open_clip_backbone(model.visual, config, preprocess, f"local-dir:{source}"))
        source.rename(tmp_path / "gone")
    write_bundle(tmp_path / "b", bundle)
    photos = write_photos(tmp_path / "photos")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "b"), *map(str, photos)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    printed = [[float(value) for value in line.split()[1:]] for line in done.stdout.splitlines()]
    np.testing.assert_allclose(printed, probabilities(bundle, photos), atol=1e-6)


def test_score_is_head_of_backbone_of_preprocessed_photos(tmp_path: Path) -> None:
    bundle = make_bundle()
    photos = write_photos(tmp_path / "photos")
    assert bundle.backbone is not None
    pixels = torch.stack([bundle.backbone.preprocess(Image.open(path)) for path in photos])
    with torch.inference_mode():
        expected = torch.sigmoid(bundle.head(bundle.backbone(pixels))).numpy()
    for options in ({"batch_size": 2}, {"batch_size": 5}, {"batch_size": 2, "workers": 1}):
        np.testing.assert_allclose(probabilities(bundle, photos, **options), expected, atol=1e-6)


def test_training_mode_does_not_change_a_prediction() -> None:
    bundle = make_bundle()
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    before = bundle.score(images)
    assert bundle.backbone is not None
    bundle.backbone.train()
    assert torch.equal(bundle.score(images), before)


def test_classes_by_name_never_by_position(tmp_path: Path) -> None:
    bundle = make_bundle()
    order = [2, 0, 1]
    head = LinearHead(bundle.head.in_features, 3)
    head.load_state_dict({key: value[order] for key, value in bundle.head.state_dict().items()})
    thresholds = Thresholds(bundle.thresholds.values[order], "F1 on val.csv")
    shuffled = Bundle(tuple(bundle.classes[i] for i in order), head, bundle.backbone, thresholds)
    write_bundle(tmp_path / "b", shuffled)
    again = load_bundle(tmp_path / "b")
    images = torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    columns = again.columns(IDS)
    torch.testing.assert_close(again.score(images)[:, columns], bundle.score(images))
    assert np.array_equal(again.thresholds.values[columns], bundle.thresholds.values)


@pytest.mark.parametrize("ids", [("cat", "dog"), ("cat", "dog", "zebra", "yak"), ("cat", "dog", "Zebra"), ()])
def test_other_classes_are_refused(ids: tuple[str, ...]) -> None:
    with pytest.raises(
        OneLabelError, match=r"classes differ: the model does not know .*; the labels do not have"
    ):
        make_bundle().columns(ids)


def test_decisions_start_at_the_threshold() -> None:
    bundle = make_bundle()
    low, high = np.nextafter(bundle.thresholds.values, 0), bundle.thresholds.values
    assert bundle.decide(np.stack([low, high])).tolist() == [[-1, -1, -1], [1, 1, 1]]


def test_without_backbone_features_are_scored_and_photos_refused(tmp_path: Path) -> None:
    bundle = make_bundle()
    bare = Bundle(bundle.classes, bundle.head, None, bundle.thresholds)
    write_bundle(tmp_path / "b", bare)
    again = load_bundle(tmp_path / "b")
    features = torch.randn(2, bundle.head.in_features)
    assert torch.equal(again.score_features(features), bundle.score_features(features))
    with pytest.raises(OneLabelError, match="cannot read photos"):
        next(again.predict(write_photos(tmp_path / "photos")))


# -- bad photos ---


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_photo_is_named(workers: int, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    photos[3].write_bytes(photos[3].read_bytes()[:200])
    bundle = make_bundle()
    with pytest.raises(ImageError, match=r"3\.png"):
        probabilities(bundle, photos, workers=workers, batch_size=2)
    errors: list[ImageError] = []
    found = list(bundle.predict(photos, workers=workers, batch_size=2, on_bad_image=errors.append))
    assert [path.name for path, _ in found] == ["0.png", "1.png", "2.png", "4.png"]
    assert [error.path for error in errors] == [str(photos[3])]


# -- parts that do not fit or belong together ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": (ClassInfo("a", "a"), ClassInfo("a", "a"), ClassInfo("b", "b"))}, "distinct"),
        ({"classes": (ClassInfo("a", "a"), ClassInfo(" ", "a"), ClassInfo("b", "b"))}, "not blank"),
        ({"classes": (ClassInfo("a", "a"),)}, "3 outputs for 1 classes"),
        ({"head": LinearHead(7, 3)}, "vectors of 7 numbers, backbone test_resnet gives 96"),
        ({"thresholds": Thresholds(np.zeros(2), "")}, "thresholds must be 3"),
        ({"thresholds": Thresholds(np.array([0, 1, np.nan]), "")}, "thresholds must be 3"),
    ],
)
def test_parts_must_fit(change: dict[str, Any], message: str) -> None:
    bundle = make_bundle()
    parts = {name: getattr(bundle, name) for name in ("classes", "head", "backbone", "thresholds")}
    with pytest.raises(OneLabelError, match=message):
        Bundle(**(parts | change))


def test_parts_of_two_models_are_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", make_bundle(seed=0))
    write_bundle(tmp_path / "b", make_bundle(seed=1))
    (tmp_path / "b" / "model.safetensors").replace(tmp_path / "a" / "model.safetensors")
    with pytest.raises(OneLabelError, match="not of one model"):
        load_bundle(tmp_path / "a")


@pytest.mark.parametrize("part", ["order", "rename", "backbone", "preprocessing"])
def test_a_changed_description_is_refused_even_with_a_right_digest(part: str, folder: Path) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    if part == "order":
        content["classes"].reverse()
    elif part == "rename":
        content["classes"][0]["id"] = "lion"
    elif part == "backbone":
        content["backbone"]["config"]["architecture"] = "test_resnet_other"
    else:
        content["backbone"]["preprocessing"]["resize"] = "squash"
    (folder / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(OneLabelError, match="not of one model"):
        load_bundle(folder)


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(OneLabelError, match="not of one model"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["bundle.json", "model.safetensors"])
def test_missing_parts(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(OneLabelError, match=name):
        load_bundle(folder)


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match="there is no such folder"):
        load_bundle(tmp_path / "nothing")


class _Bomb:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def hostile_weights(flag: Path) -> dict[str, bytes]:
    header = json.dumps(
        {"head.weight": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 4]}}
    )
    return {
        "pickle": pickle.dumps(_Bomb(flag)),
        "empty": b"",
        "huge header": struct.pack("<Q", 1 << 60) + b"{}",
        "huge shape": struct.pack("<Q", len(header)) + header.encode() + b"\0\0\0\0",
        "no json": struct.pack("<Q", 4) + b"{{{{",
        "deep json": struct.pack("<Q", 60_000) + b"[" * 60_000,
    }


@pytest.mark.parametrize("kind", list(hostile_weights(Path("unused"))))
def test_hostile_weights(kind: str, folder: Path, tmp_path: Path) -> None:
    replace_weights(folder, hostile_weights(tmp_path / "exploded")[kind])
    with pytest.raises(OneLabelError, match="not a readable safetensors file") as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "exploded").exists()


def replace_weights(folder: Path, content: bytes) -> None:
    """Replace the weights and make the recorded digest fit, as an attacker would."""
    (folder / "model.safetensors").write_bytes(content)
    described = json.loads((folder / "bundle.json").read_text())
    described["digests"]["model.safetensors"] = hashlib.sha256(content).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(described))


@pytest.mark.parametrize("change", ["no head", "flat head", "other dim", "extra", "missing", "nan"])
def test_weights_of_another_shape(change: str, folder: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    file = folder / "model.safetensors"
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    state = load_file(file)
    if change == "no head":
        del state["head.weight"]
    elif change == "flat head":
        state["head.weight"] = torch.zeros(3)
    elif change == "other dim":
        state["head.weight"] = torch.zeros(3, 5)
    elif change == "extra":
        state["more.weight"] = torch.zeros(3)
    elif change == "missing":
        del state["backbone.conv1.0.weight"]
    else:
        state["head.bias"][0] = float("nan")
    save_file(state, tmp_path / "new", metadata)
    replace_weights(folder, (tmp_path / "new").read_bytes())
    with pytest.raises(OneLabelError) as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", None), ("classes", []), ("classes", [3]), ("classes", [{"id": 1, "name": "a"}]),
        ("classes", [{"id": "a", "name": "a", "synonyms": 3}]), ("thresholds", {}), ("thresholds", [0.5]),
        ("thresholds", {"cat": 0.5, "dog": "x", "zebra": 1}),
        ("thresholds", {"cat": 5, "dog": 0, "zebra": 1}),
        ("thresholds", {"cat": 10**400, "dog": 0, "zebra": 1}), ("thresholds_source", 3), ("method", []),
        ("digests", None), ("digests", {}), ("backbone", None), ("backbone", 7), ("facts", "x"),
        ("format_version", 2), ("format_version", "1"), ("kind", "onelabel-store"),
    ],
)  # fmt: skip
def test_hostile_descriptions(key: str, value: Any, folder: Path) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(content | {key: value}))
    with pytest.raises(OneLabelError) as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


# -- writing ---


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    bundle = make_bundle()
    with torch.no_grad():
        bundle.head.bias[1] = float("inf")
    with pytest.raises(OneLabelError, match=r"head\.bias holds values that are not finite"):
        write_bundle(tmp_path / "b", bundle)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_kept_unless_asked(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", make_bundle(seed=0))
    before = (tmp_path / "b" / "model.safetensors").read_bytes()
    with pytest.raises(OneLabelError, match="exists already"):
        write_bundle(tmp_path / "b", make_bundle(seed=1))
    assert (tmp_path / "b" / "model.safetensors").read_bytes() == before
    write_bundle(tmp_path / "b", make_bundle(seed=1), overwrite=True)
    assert (tmp_path / "b" / "model.safetensors").read_bytes() != before


def test_json_is_strict_and_the_card_holds_the_facts(tmp_path: Path) -> None:
    bundle = make_bundle()
    facts = {"metrics": {"mAP": np.float64(0.75), "AP": [np.nan, 1.0]}, "images": np.int64(12)}
    noted = Bundle(bundle.classes, bundle.head, bundle.backbone, bundle.thresholds, {"name": "em"}, {}, facts)
    write_bundle(tmp_path / "b", noted)

    def refuse(token: str) -> None:
        raise AssertionError(token)

    content = json.loads((tmp_path / "b" / "bundle.json").read_text(), parse_constant=refuse)
    assert content["facts"] == {"metrics": {"mAP": 0.75, "AP": [None, 1.0]}, "images": 12}
    assert content["thresholds"] == dict(zip(IDS, bundle.thresholds.values.tolist(), strict=True))
    assert (content["kind"], content["format_version"]) == ("onelabel-bundle", 1)
    card = (tmp_path / "b" / "README.md").read_text()
    for expected in ("metrics.mAP | 0.75", "name | em", "Cat, Dog, Zebra", "0.2 to 0.8", "F1 on val.csv"):
        assert expected in card


@given(st.text(max_size=30))
def test_a_name_cannot_write_markup_into_the_card(name: str) -> None:
    from onelabel.models.card import model_card

    content: dict[str, Any] = {
        "classes": [{"id": "a", "name": name}], "thresholds": {"a": 0.5}, "thresholds_source": name,
        "convention": "", "method": {"name": name}, "backbone": None, "facts": {name: name}, "versions": {},
    }  # fmt: skip
    plain = model_card(content | {"classes": [{"id": "a", "name": "x"}], "facts": {"x": "x"},
                                  "method": {"name": "x"}, "thresholds_source": "x"})  # fmt: skip
    card = model_card(content)
    assert len(card.splitlines()) == len(plain.splitlines())
    assert card.count("|") == plain.count("|")
    assert card.count("<") == card.count("`") - plain.count("`") == 0


@pytest.mark.parametrize("name", ["../../evil", "a,b «ü»", "=1+1", "‮abc", "a" * 500, "日本"])
def test_strange_class_names_come_back_as_they_are(name: str, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", make_bundle(ids=(name, "other")))
    assert load_bundle(tmp_path / "b").class_ids == (name, "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]
