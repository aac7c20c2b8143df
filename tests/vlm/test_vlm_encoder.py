"""open_clip behind the Encoder protocol, with tiny models made on the spot; nothing is downloaded."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip  # type: ignore[import-untyped]
import pytest
import torch
from PIL import Image

from onelabel.images.transforms import mirror
from onelabel.io.errors import OneLabelError
from onelabel.vlm.encoder import Encoder, OpenClipEncoder, load_encoder
from onelabel.vlm.fingerprint import differing_parts

MakeClip = Callable[..., Path]
TEXTS = ["a photo of a cat.", "two dogs", ""]


@pytest.fixture(scope="module")
def encoder(tiny_clip: Path) -> OpenClipEncoder:
    return load_encoder(f"local-dir:{tiny_clip}")


def photo(seed: int = 0, size: tuple[int, int] = (90, 61)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), np.uint8)
    return Image.fromarray(pixels).resize(size)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> str:
    file = folder / "open_clip_config.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return f"local-dir:{folder}"


@pytest.fixture
def folder(tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(tiny_clip, tmp_path / "model"))


# -- what it gives ---


@pytest.mark.parametrize("mode", ["squash", "shortest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_equals_open_clip_itself(make_clip: MakeClip, tmp_path: Path, mode: str, interpolation: str) -> None:
    settings = {
        "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": interpolation, "resize_mode": mode
    }  # fmt: skip
    spec = f"local-dir:{make_clip(tmp_path / 'm', seed=5, preprocess=settings)}"
    model, _, transform = open_clip.create_model_and_transforms(spec)
    model.eval()
    mine: Encoder = load_encoder(spec)
    image = photo()
    pixels = mine.preprocess(image)
    torch.testing.assert_close(pixels, transform(image))  # its own mean, std and resizing
    with torch.no_grad():
        images = model.encode_image(pixels[None], normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer(spec)(TEXTS), normalize=True)
    torch.testing.assert_close(mine.encode_images(pixels[None]), images)
    torch.testing.assert_close(mine.encode_texts(TEXTS), texts)
    assert mine.logit_scale == pytest.approx(model.logit_scale.exp().item())


def test_vectors_are_float32_of_unit_length(encoder: OpenClipEncoder) -> None:
    batch = torch.stack([encoder.preprocess(photo(seed)) for seed in range(3)])
    for vectors, rows in [(encoder.encode_images(batch), 3), (encoder.encode_texts(TEXTS), len(TEXTS))]:
        assert vectors.shape == (rows, encoder.dim) and vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(rows))
        assert not vectors.requires_grad


def test_the_mirror_image_has_another_vector(encoder: OpenClipEncoder) -> None:
    pixels = encoder.preprocess(photo())[None]
    assert not torch.allclose(encoder.encode_images(pixels), encoder.encode_images(mirror(pixels)), atol=1e-4)


def test_a_vector_does_not_depend_on_its_batch(encoder: OpenClipEncoder) -> None:
    batch = torch.stack([encoder.preprocess(photo(seed)) for seed in range(5)])
    alone = torch.cat([encoder.encode_images(image[None]) for image in batch])
    torch.testing.assert_close(encoder.encode_images(batch), alone, atol=1e-5, rtol=1e-5)


def siglip(model: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(model), "init_logit_bias": -10, "init_logit_scale": 2.3, "custom_text": True}


def test_siglip_keeps_its_scale_and_bias(make_clip: MakeClip, tiny_clip: Path, tmp_path: Path) -> None:
    model = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    spec = f"local-dir:{make_clip(tmp_path / 'siglip', model=siglip(model))}"
    mine = load_encoder(spec)
    assert mine.logit_bias == -10
    assert mine.logit_scale == pytest.approx(np.exp(2.3))
    original = open_clip.create_model(spec).eval()
    pixels, tokens = mine.preprocess(photo())[None], open_clip.get_tokenizer(spec)(TEXTS)
    with torch.no_grad():
        logits = original.get_logits(pixels, tokens)[0]
    own = mine.logit_scale * mine.encode_images(pixels) @ mine.encode_texts(TEXTS).T + mine.logit_bias
    torch.testing.assert_close(own, logits, atol=1e-3, rtol=0)


def test_plain_clip_has_no_bias(encoder: OpenClipEncoder) -> None:
    assert encoder.logit_bias is None


# -- fingerprints ---


def parts_that_change(one: str, other: str) -> tuple[list[str], list[str]]:
    a, b = load_encoder(one), load_encoder(other)
    return (
        differing_parts(a.image_fingerprint, b.image_fingerprint),
        differing_parts(a.text_fingerprint, b.text_fingerprint),
    )


def test_fingerprint_is_that_of_the_content_not_of_the_place(tiny_clip: Path, folder: Path) -> None:
    assert parts_that_change(f"local-dir:{tiny_clip}", f"local-dir:{folder}") == ([], [])


def test_other_weights_are_seen(tiny_clip: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other", seed=1)
    assert parts_that_change(f"local-dir:{tiny_clip}", f"local-dir:{other}") == (["weights"], ["weights"])


def test_other_preprocessing_is_seen_and_leaves_texts_alone(tiny_clip: Path, folder: Path) -> None:
    spec = edit(folder, lambda content: content["preprocess_cfg"].update(resize_mode="shortest"))
    assert parts_that_change(f"local-dir:{tiny_clip}", spec) == (["preprocessing"], [])


def test_other_activation_is_seen(tiny_clip: Path, folder: Path) -> None:
    spec = edit(folder, lambda content: content["model_cfg"].update(quick_gelu=True))
    image, text = parts_that_change(f"local-dir:{tiny_clip}", spec)
    assert "activation" in image and "activation" in text
    assert load_encoder(spec).image_fingerprint["activation"] == "quick_gelu"


def test_fingerprints_are_text_and_name_their_parts(encoder: OpenClipEncoder) -> None:
    image, text = encoder.image_fingerprint, encoder.text_fingerprint
    assert set(image) == {"architecture", "weights", "activation", "preprocessing", "views"}
    assert set(text) == {"architecture", "weights", "activation", "tokenizer"}
    assert all(isinstance(value, str) for value in [*image.values(), *text.values()])
    assert json.loads(image["preprocessing"]) == encoder.preprocess.to_dict()


# -- named weights, with a download that is not one ---


@pytest.fixture
def named(tiny_clip: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """``tiny-test`` is an architecture with weights ``plain`` and ``quick``; returns their file by tag."""
    config = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    factory = open_clip.factory
    for name, extra in [("tiny-test", {}), ("tiny-test-quickgelu", {"quick_gelu": True})]:
        monkeypatch.setitem(factory._MODEL_CONFIGS, name, {**config, **extra})
        table: dict[str, dict[str, Any]] = {"plain": {"tag": "plain"}, "quick": {"tag": "quick"}}
        table["quick"]["quick_gelu"] = True
        own = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2), "interpolation": "bilinear"}
        entries = {tag: {**own, **entry, "resize_mode": "squash"} for tag, entry in table.items()}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, entries)
    files: dict[str, Any] = dict.fromkeys(("plain", "quick"), tiny_clip / "open_clip_model.safetensors")
    monkeypatch.setattr(open_clip, "download_pretrained", lambda entry: str(files[entry["tag"]]))
    return files


@pytest.mark.usefixtures("named")
def test_named_weights_equal_the_same_weights_from_a_folder(encoder: OpenClipEncoder) -> None:
    mine = load_encoder("tiny-test/plain")
    assert differing_parts(mine.image_fingerprint, encoder.image_fingerprint) == ["preprocessing"]
    assert mine.preprocess.mean == (0.4, 0.5, 0.6) and mine.preprocess.std == (0.2, 0.2, 0.2)
    torch.testing.assert_close(mine.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


@pytest.mark.usefixtures("named")
def test_weights_trained_with_quick_gelu_run_with_it(encoder: OpenClipEncoder) -> None:
    plain, quick = load_encoder("tiny-test/quick"), load_encoder("tiny-test-quickgelu/quick")
    torch.testing.assert_close(plain.encode_texts(TEXTS), quick.encode_texts(TEXTS))
    assert differing_parts(plain.image_fingerprint, quick.image_fingerprint) == []
    assert not torch.allclose(plain.encode_texts(TEXTS), encoder.encode_texts(TEXTS), atol=1e-6)


@pytest.mark.usefixtures("named")
def test_quick_gelu_with_weights_trained_without_is_an_error() -> None:
    with pytest.raises(OneLabelError, match=r"quick GELU.*use tiny-test/plain"):
        load_encoder("tiny-test-quickgelu/plain")


def test_pickled_named_weights_are_refused(named: dict[str, Any], tmp_path: Path) -> None:
    named["plain"] = tmp_path / "weights.bin"
    with pytest.raises(OneLabelError, match=r"weights\.bin is a pickled file.*local-dir"):
        load_encoder("tiny-test/plain")


def test_a_download_that_fails_is_one_line(named: dict[str, Any]) -> None:
    del named["plain"]
    with pytest.raises(OneLabelError, match=r"tiny-test/plain: its weights cannot be fetched"):
        load_encoder("tiny-test/plain")


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ViT-B16/openai", "did you mean 'ViT-B-16'"),
        ("nonsense", "local-dir:PATH"),
        ("tiny-test/plian", r"unknown weights of tiny-test 'plian' \(did you mean 'plain'\?\)"),
        ("tiny-test", "weights of tiny-test.*known: plain, quick"),
        ("", "hf-hub:owner/name"),
    ],
)
def test_unknown_names_give_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        load_encoder(spec)


def test_a_hub_model_equals_the_same_model_from_a_folder(
    tiny_clip: Path, encoder: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(repository: str, filename: str = "open_clip_model.safetensors", **_: object) -> str:
        assert repository == "owner/name"
        return str(tiny_clip / filename)

    for module in (open_clip.pretrained, open_clip.factory):
        monkeypatch.setattr(module, "download_pretrained_from_hf", download)
    mine = load_encoder("hf-hub:owner/name")
    assert mine.image_fingerprint == encoder.image_fingerprint
    torch.testing.assert_close(mine.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


def test_a_hub_model_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("no\nsuch repository")

    monkeypatch.setattr(open_clip.pretrained, "download_pretrained_from_hf", fail)
    with pytest.raises(OneLabelError) as caught:
        load_encoder("hf-hub:a/b")
    assert str(caught.value).startswith("hf-hub:a/b: cannot be fetched: no; without a network")


# -- folders that cannot be used ---


def test_a_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"open_clip_config\.json and open_clip_model\.safetensors"):
        load_encoder(f"local-dir:{tmp_path / 'none'}")


@pytest.mark.parametrize("name", ["open_clip_config.json", "open_clip_model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(OneLabelError, match=rf"{name} is missing.*expected a folder with"):
        load_encoder(f"local-dir:{folder}")


class _Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_pickled_weights_are_refused_and_never_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "open_clip_model.safetensors").unlink()
    (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(OneLabelError, match=r"open_clip_pytorch_model\.bin is a pickled file"):
        load_encoder(f"local-dir:{folder}")
    assert not (tmp_path / "exploded").exists()


def test_a_pickled_file_beside_the_weights_is_not_read(folder: Path, encoder: OpenClipEncoder) -> None:
    (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    (folder / "a.safetensors").write_bytes(b"nothing")
    mine = load_encoder(f"local-dir:{folder}")
    torch.testing.assert_close(mine.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"model_cfg": {"embed_dim": 8}}', "\x00"])
def test_a_broken_configuration_is_one_line(folder: Path, text: str) -> None:
    (folder / "open_clip_config.json").write_text(text)
    with pytest.raises(OneLabelError, match=r"open_clip_config\.json"):
        load_encoder(f"local-dir:{folder}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("preprocess_cfg"), "no preprocess_cfg"),
        (lambda c: c["preprocess_cfg"].update(mean=[0.1]), "preprocessing settings"),
        (lambda c: c["preprocess_cfg"].pop("std"), "preprocessing settings"),
        (lambda c: c["preprocess_cfg"].update(std=[0, 1, 1]), "std above 0"),
        (lambda c: c["preprocess_cfg"].update(resize_mode="longest"), "not supported"),
        (lambda c: c["preprocess_cfg"].update(interpolation="nearest"), "interpolation"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(image_size=[32, 40]), "does not fit|not supported"),
        (lambda c: c["model_cfg"].pop("embed_dim"), "embed_dim"),
        (lambda c: c["model_cfg"].update(nonsense=1), "cannot be built"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers="two"), "cannot be built"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=3), r"does not fit open_clip_config\.json"),
        (lambda c: c["model_cfg"]["text_cfg"].update(width=64), r"does not fit open_clip_config\.json"),
        (lambda c: c["model_cfg"]["text_cfg"].update(hf_model_name="roberta-base"), "from the network"),
    ],
)
def test_a_configuration_that_does_not_fit_says_why(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(OneLabelError, match=message):
        load_encoder(edit(folder, change))


def test_weights_that_are_cut_off_are_refused(folder: Path) -> None:
    file = folder / "open_clip_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(OneLabelError, match=r"open_clip_model\.safetensors cannot be read"):
        load_encoder(f"local-dir:{folder}")


def test_a_missing_tokenizer_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    spec = edit(folder, lambda c: c["model_cfg"]["text_cfg"].update(hf_tokenizer_name="timm/ViT-B-16-SigLIP"))
    with pytest.raises(OneLabelError, match="pip install transformers"):
        load_encoder(spec)


# -- side effects ---


def test_logging_and_the_generator_of_the_process_are_left_alone(tiny_clip: Path) -> None:
    root = logging.getLogger()
    before, state = list(root.handlers), torch.random.get_rng_state()
    load_encoder(f"local-dir:{tiny_clip}")
    assert root.handlers == before
    assert torch.equal(torch.random.get_rng_state(), state)
