"""The tensors are those of timm's and open_clip's own evaluation transforms."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import image_transform  # type: ignore[import-untyped]
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform

from onelabel.images.decode import decode
from onelabel.images.transforms import Preprocess, mirror
from onelabel.io.errors import OneLabelError

HALF = (0.5, 0.5, 0.5)
MEAN, STD = (0.481, 0.457, 0.408), (0.268, 0.261, 0.275)
Interpolation = Literal["bilinear", "bicubic"]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def timm_transform(preprocess: Preprocess) -> Any:
    return create_transform(
        (3, preprocess.size, preprocess.size),
        is_training=False,
        interpolation=preprocess.interpolation,
        mean=preprocess.mean,
        std=preprocess.std,
        crop_pct=preprocess.crop_fraction,
        crop_mode={"squash": "squash", "crop": "center"}[preprocess.resize],
    )


sides = st.integers(5, 60)


@settings(max_examples=60, deadline=None)
@given(
    width=sides,
    height=sides,
    size=st.integers(3, 40),
    resize=st.sampled_from(["squash", "crop"]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    fraction=st.sampled_from([1.0, 0.95, 0.9, 0.875, 0.7]),
)
def test_equal_to_timm(
    width: int,
    height: int,
    size: int,
    resize: Literal["squash", "crop"],
    interpolation: Interpolation,
    fraction: float,
) -> None:
    preprocess = Preprocess(size, resize, interpolation, MEAN, STD, fraction)
    image = picture(width, height)
    assert torch.equal(preprocess(image), timm_transform(preprocess)(image))


@settings(max_examples=40, deadline=None)
@given(
    width=sides,
    height=sides,
    size=st.integers(3, 40),
    mode=st.sampled_from(["shortest", "squash"]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_equal_to_open_clip(
    width: int, height: int, size: int, mode: str, interpolation: Interpolation
) -> None:
    theirs = image_transform(
        size, is_train=False, mean=MEAN, std=STD, resize_mode=mode, interpolation=interpolation
    )
    ours = Preprocess(size, "squash" if mode == "squash" else "crop", interpolation, MEAN, STD)
    image = picture(width, height)
    assert torch.equal(ours(image), theirs(image))


def test_equal_to_timm_on_a_real_backbone_and_photos(data: Path) -> None:
    """Every backbone folder that is a timm folder, on photos of every data set there."""
    photos = [photo for folder in sorted(data.glob("*/images")) for photo in sorted(folder.rglob("*.*"))[:5]]
    configs = sorted(data.glob("backbones/*/config.json"))
    assert photos and configs
    for path in configs:
        config = json.loads(path.read_text())["pretrained_cfg"]
        preprocess = Preprocess(
            size=config["input_size"][1],
            resize={"squash": "squash", "center": "crop"}[config["crop_mode"]],  # type: ignore[arg-type]
            interpolation=config["interpolation"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            crop_fraction=config["crop_pct"],
        )
        options = resolve_data_config(pretrained_cfg=config)  # type: ignore[no-untyped-call]
        theirs = create_transform(**options)
        for photo in photos:
            with Image.open(photo) as image:
                assert torch.equal(preprocess(decode(photo)), theirs(image.convert("RGB"))), photo


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_shape_type_and_layout(resize: Literal["squash", "crop"]) -> None:
    tensor = Preprocess(8, resize, "bicubic", HALF, HALF, 0.8)(picture(31, 17))
    assert (tensor.shape, tensor.dtype) == ((3, 8, 8), torch.float32)
    assert tensor.is_contiguous()


def test_values_of_one_colour() -> None:
    image = Image.new("RGB", (9, 5), (0, 51, 255))
    tensor = Preprocess(4, "crop", "bicubic", mean=(0.0, 0.1, 0.5), std=(1.0, 0.5, 0.25))(image)
    expected = torch.tensor([0.0, (0.2 - 0.1) / 0.5, (1 - 0.5) / 0.25])
    torch.testing.assert_close(tensor, expected.view(3, 1, 1).expand(3, 4, 4))


def test_the_image_is_not_changed() -> None:
    image = picture(8, 8)
    before = image.tobytes()
    Preprocess(8, "squash", "bilinear", HALF, HALF)(image)  # the same size: nothing to resize
    assert image.tobytes() == before


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_other_modes_are_converted(mode: str) -> None:
    assert Preprocess(4, "squash", "bilinear", HALF, HALF)(Image.new(mode, (8, 8))).shape == (3, 4, 4)


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 20_000), (1, 1)])
@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_extreme_shapes_cost_no_memory(
    size: tuple[int, int], resize: Literal["squash", "crop"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 × 60,000 pixels resized whole to a shorter side of 224 would be 3 billion pixels."""
    areas = []
    original = Image.Image.resize

    def spy(self: Image.Image, target: tuple[int, int], *args: Any) -> Image.Image:
        areas.append(target[0] * target[1])
        return original(self, target, *args)

    monkeypatch.setattr(Image.Image, "resize", spy)
    tensor = Preprocess(224, resize, "bicubic", HALF, HALF)(Image.new("RGB", size, (255, 255, 255)))
    assert torch.all(tensor == 1)
    assert max(areas) <= 16 * 224 * 224


def test_a_long_image_shows_its_middle() -> None:
    """Left third black, middle third white, right third black; 60 times as wide as high."""
    image = Image.new("RGB", (600, 10))
    image.paste((255, 255, 255), (200, 0, 400, 10))
    assert torch.all(Preprocess(10, "crop", "bilinear", HALF, HALF)(image) == 1)


class TestSettings:
    def test_dict_and_pickle_round_trip(self) -> None:
        preprocess = Preprocess(224, "crop", "bicubic", MEAN, STD, 0.875)
        text = json.dumps(preprocess.to_dict())
        assert Preprocess.from_dict(json.loads(text)) == preprocess
        assert pickle.loads(pickle.dumps(preprocess)) == preprocess
        assert hash(Preprocess.from_dict(json.loads(text))) == hash(preprocess)

    @pytest.mark.parametrize(
        "change",
        [
            {"size": 0},
            {"size": "224"},
            {"resize": "pad"},
            {"interpolation": "lanczos"},
            {"crop_fraction": 0.0},
            {"crop_fraction": 1.1},
            {"crop_fraction": float("nan")},
            {"std": [0.1, 0.1, 0.0]},
            {"std": [0.1, 0.1]},
            {"mean": None},
            {"mean": ["a", "b", "c"]},
            {"gamma": 2},
        ],
    )
    def test_values_outside_their_range_are_refused(self, change: dict[str, Any]) -> None:
        values = Preprocess(224, "crop", "bicubic", MEAN, STD).to_dict()
        with pytest.raises(OneLabelError):
            Preprocess.from_dict({**values, **change})

    def test_missing_value_is_refused(self) -> None:
        values = Preprocess(224, "crop", "bicubic", MEAN, STD).to_dict()
        del values["mean"]
        with pytest.raises(OneLabelError, match="mean"):
            Preprocess.from_dict(values)


def test_mirror_flips_left_and_right() -> None:
    batch = torch.arange(24.0).view(2, 3, 2, 2)
    assert torch.equal(mirror(batch), batch[..., [1, 0]])
    assert torch.equal(mirror(mirror(batch)), batch)


def test_mirror_after_an_odd_crop_is_not_the_crop_of_the_mirrored_photo() -> None:
    """Why the flip belongs after the resize: a centre crop of an odd remainder is not symmetric."""
    image = picture(15, 8)
    preprocess = Preprocess(8, "crop", "bilinear", HALF, HALF)
    flipped_first = preprocess(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert not torch.equal(mirror(preprocess(image)), flipped_first)
