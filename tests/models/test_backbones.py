"""Backbones: same features as timm and open_clip give, rebuilt without them, bad input refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from onelabel.images.decode import decode
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError
from onelabel.models.backbones import Backbone, load_backbone, open_clip_backbone, rebuild_backbone

ARCHITECTURES = ("test_resnet", "test_efficientnet", "test_vit", "test_convnext", "test_byobnet")


def write_timm(folder: Path, name: str = "test_resnet", **arguments: Any) -> torch.nn.Module:
    """Write a folder as timm does, random weights, 10 classes; return the network."""
    torch.manual_seed(1)
    network = timm.create_model(name, pretrained=False, num_classes=10, **arguments)
    with torch.no_grad():  # fresh statistics are the same everywhere: they would not show a mix-up
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
    timm.models.save_for_hf(network, str(folder), model_args=arguments or None, safe_serialization=True)
    return network.eval()


def photo(size: tuple[int, int] = (90, 60)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_local_folder_gives_timms_pooled_features(name: str, tmp_path: Path) -> None:
    network = write_timm(tmp_path / "net", name)
    backbone = load_backbone(f"local-dir:{tmp_path / 'net'}")
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.forward_head(network.forward_features(images), pre_logits=True)  # type: ignore[operator]
        torch.testing.assert_close(backbone(images), expected)
    assert backbone.dim == expected.shape[1]
    assert not backbone.training


@pytest.mark.parametrize(
    "change", [{}, {"crop_mode": "squash"}, {"crop_pct": 0.8, "interpolation": "bilinear"}]
)
def test_preprocessing_is_timms_own(change: dict[str, Any], tmp_path: Path) -> None:
    write_timm(tmp_path / "net")
    file = tmp_path / "net" / "config.json"
    config = json.loads(file.read_text())
    config["pretrained_cfg"] |= change
    file.write_text(json.dumps(config))
    backbone = load_backbone(f"local-dir:{tmp_path / 'net'}")
    network = timm.create_model(f"local-dir:{tmp_path / 'net'}", pretrained=True)
    data = timm.data.resolve_data_config({}, model=network)  # type: ignore[attr-defined, no-untyped-call]
    expected = timm.data.create_transform(**data, is_training=False)(photo())  # type: ignore[attr-defined]
    torch.testing.assert_close(backbone.preprocess(photo()), expected)


def test_arguments_of_a_folder_are_kept_through_a_rebuild(tmp_path: Path) -> None:
    write_timm(tmp_path / "a", "mobilenetv3_small_050", pad_type="same")
    backbone = load_backbone(f"local-dir:{tmp_path / 'a'}")
    plain = load_backbone("mobilenetv3_small_050", pretrained=False)
    plain.network.load_state_dict(backbone.network.state_dict())
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    again = rebuilt(backbone)
    with torch.inference_mode():
        assert torch.equal(again(images), backbone(images))
        assert not torch.allclose(plain(images), backbone(images), atol=1e-3)
    assert again.fingerprint == backbone.fingerprint != plain.fingerprint


def rebuilt(backbone: Backbone) -> Backbone:
    description = json.loads(json.dumps(backbone.describe()))
    return rebuild_backbone(description, backbone.network.state_dict(), "bundle")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rebuild_needs_only_the_description_and_the_weights(name: str) -> None:
    backbone = load_backbone(name, pretrained=False)
    again = rebuilt(backbone)
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again(images), backbone(images))
    assert again.preprocess == backbone.preprocess
    assert again.fingerprint == backbone.fingerprint


def test_fingerprint_follows_weights_and_preprocessing() -> None:
    backbone = load_backbone("test_resnet", pretrained=False)
    before = backbone.fingerprint
    assert before == backbone.fingerprint
    with torch.no_grad():
        next(backbone.parameters())[0, 0, 0, 0] += 1e-4
    after = backbone.fingerprint
    assert [key for key in before if before[key] != after[key]] == ["weights"]
    backbone.preprocess = Preprocess(160, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert [key for key in before if backbone.fingerprint[key] != after[key]] == ["preprocessing"]


def test_description_holds_no_path(tmp_path: Path) -> None:
    write_timm(tmp_path / "net")
    description = load_backbone(f"local-dir:{tmp_path / 'net'}").describe()
    assert str(tmp_path) not in json.dumps(description)
    assert description["spec"] == "local-dir:net"


# -- open_clip ---


def test_image_tower_of_open_clip(tiny_clip: Path) -> None:
    import open_clip  # type: ignore[import-untyped]

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tiny_clip}")
    config = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    preprocess = Preprocess(32, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    backbone = open_clip_backbone(model.visual, config, preprocess, f"local-dir:{tiny_clip}")
    batch = transform(photo())[None]
    torch.testing.assert_close(backbone.preprocess(photo())[None], batch)
    again = rebuilt(backbone)
    with torch.inference_mode():
        expected = normalize(model.eval().encode_image(batch), dim=1)
        torch.testing.assert_close(backbone(batch), expected)
        assert torch.equal(again(batch), backbone(batch))
    assert (backbone.dim, again.dim) == (32, 32)
    assert again.fingerprint == backbone.fingerprint
    assert "text_cfg" not in json.dumps(backbone.describe())


def test_quick_gelu_survives_a_rebuild(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    import open_clip

    config = json.loads((make_clip(tmp_path / "c") / "open_clip_config.json").read_text())["model_cfg"]
    config["quick_gelu"] = True
    model = open_clip.CLIP(**config).eval()
    preprocess = Preprocess(32, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    again = rebuilt(open_clip_backbone(model.visual, config, preprocess, "x"))
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(again(images), normalize(model.encode_image(images), dim=1))


# -- weights by name ---


def test_named_weights_are_fetched_as_safetensors_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = write_timm(tmp_path / "net")
    state = load_file(tmp_path / "net" / "model.safetensors")
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 96), torch.zeros(1000)
    save_file(state, tmp_path / "full.safetensors")
    asked = []

    def fetch(repo_id: str, filename: str, **_: object) -> str:
        asked.append((repo_id, filename))
        return str(tmp_path / "full.safetensors")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", fetch)
    backbone = load_backbone("test_resnet.r160_in1k")
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    assert torch.equal(
        backbone.network.state_dict()["conv1.0.weight"], network.state_dict()["conv1.0.weight"]
    )


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", fail)
    with pytest.raises(OneLabelError, match="test_resnet: timm cannot make it: no route to host"):
        load_backbone("test_resnet")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resnt50", "unknown backbone 'resnt50'; nearest: resnet50"),
        ("resnet50.tv_in1kk", "unknown weights of resnet50 'tv_in1kk' .did you mean 'tv_in1k'"),
        ("hf-hub:someone/net", "give a timm name such as .* or local-dir:PATH"),
        ("some/folder", "give a timm name such as .* or local-dir:PATH"),
        ("", "unknown backbone ''"),
        ("gcvit_tiny", "pickled file only, which is never read"),
    ],
)
def test_unknown_names(spec: str, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        load_backbone(spec)


# -- folders ---


def test_missing_parts_are_named(tmp_path: Path) -> None:
    spec = f"local-dir:{tmp_path / 'net'}"
    for expected in ("is not a folder; expected a folder with", "config.json is missing"):
        with pytest.raises(OneLabelError, match=expected):
            load_backbone(spec)
        (tmp_path / "net").mkdir(exist_ok=True)
    write_timm(tmp_path / "net")
    (tmp_path / "net" / "model.safetensors").unlink()
    with pytest.raises(OneLabelError, match=r"model\.safetensors is missing; expected"):
        load_backbone(spec)


class _Bomb:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def test_pickled_weights_are_never_opened(tmp_path: Path) -> None:
    write_timm(tmp_path / "net")
    bomb = tmp_path / "net" / "pytorch_model.bin"
    bomb.write_bytes(pickle.dumps(_Bomb(tmp_path / "exploded")))
    load_backbone(f"local-dir:{tmp_path / 'net'}")
    (tmp_path / "net" / "model.safetensors").unlink()
    with pytest.raises(OneLabelError, match=r"pytorch_model\.bin is a pickled file, which is never read"):
        load_backbone(f"local-dir:{tmp_path / 'net'}")
    bomb.rename(tmp_path / "net" / "model.safetensors")
    with pytest.raises(OneLabelError, match="is not a readable safetensors file"):
        load_backbone(f"local-dir:{tmp_path / 'net'}")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("change", ["missing", "other shape", "superfluous", "not finite", "cut off"])
def test_weights_that_do_not_fit(change: str, tmp_path: Path) -> None:
    write_timm(tmp_path / "net")
    file = tmp_path / "net" / "model.safetensors"
    state = load_file(file)
    if change == "missing":
        del state["conv1.0.weight"]
    elif change == "other shape":
        state["conv1.0.weight"] = torch.zeros(3, 3)
    elif change == "superfluous":
        state["conv9.weight"] = torch.zeros(3)
    elif change == "not finite":
        state["conv1.0.weight"][0, 0] = float("nan")
    save_file(state, file)
    if change == "cut off":
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(OneLabelError, match=r"do not fit|not finite|not a readable") as error:
        load_backbone(f"local-dir:{tmp_path / 'net'}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[1]", "is not a timm configuration"),
        ("{broken", "cannot be read as JSON"),
        ({"architecture": "nothing_like_it"}, "not known to timm"),
        ({"architecture": 7}, "'architecture' must be a timm name"),
        ({"model_args": {"checkpoint_path": "evil.pth"}}, "must not set checkpoint_path"),
        ({"model_args": {"no_such_argument": 1}}, "timm cannot make it"),
        ({"pretrained_cfg": {"input_size": [3, 100, 200]}}, "3 × 100 × 200.* is not supported"),
        ({"pretrained_cfg": {"crop_mode": "border"}}, "border.* is not supported"),
        ({"pretrained_cfg": {"input_size": 5}}, "does not say what input|timm cannot make it"),
    ],
)
def test_wrong_configurations(change: Any, message: str, tmp_path: Path) -> None:
    write_timm(tmp_path / "net")
    file = tmp_path / "net" / "config.json"
    if isinstance(change, dict):
        content = json.loads(file.read_text())
        inner = content["pretrained_cfg"] | change.pop("pretrained_cfg", {})
        change = json.dumps({**content, "pretrained_cfg": inner, **change})
    file.write_text(change)
    with pytest.raises(OneLabelError, match=message) as error:
        load_backbone(f"local-dir:{tmp_path / 'net'}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "pickle"},
        {"kind": ["timm"]},
        {"config": None},
        {"preprocessing": {}},
        {"preprocessing": 3},
        {"config": {"architecture": "hf-hub:someone/net"}},
        {"kind": "open_clip", "config": {"embed_dim": 4}},
        {"kind": "open_clip", "config": {"embed_dim": 4, "vision_cfg": {"timm_model_name": "hf-hub:a/b"}}},
        {"kind": "open_clip", "config": {"embed_dim": 4, "vision_cfg": {"no_such_key": 1}}},
    ],
)
def test_hostile_descriptions(change: dict[str, Any]) -> None:
    backbone = load_backbone("test_resnet", pretrained=False)
    with pytest.raises(OneLabelError) as error:
        rebuild_backbone(backbone.describe() | change, backbone.network.state_dict(), "bundle")
    assert "\n" not in str(error.value)


# -- real data ---


@pytest.mark.parametrize(("folder", "name"), [("coco128", "coco128"), ("ucm_multilabel", "ucm")])
def test_features_of_real_photos(folder: str, name: str, data: Path) -> None:
    """Features made by data/features/make.py with timm's own loader and transform."""
    backbone = load_backbone(f"local-dir:{data / 'backbones' / 'mobilenetv2_100'}")
    with np.load(data / "features" / f"{name}_mobilenetv2.npz", allow_pickle=False) as stored:
        ids, features = stored["ids"], stored["X"]
    rows = np.linspace(0, len(ids) - 1, 24).astype(int)
    photos = [backbone.preprocess(decode(data / folder / "images" / ids[row])) for row in rows]
    with torch.inference_mode():
        ours = backbone(torch.stack(photos)).numpy()
    np.testing.assert_allclose(ours, features[rows], atol=1e-4)
