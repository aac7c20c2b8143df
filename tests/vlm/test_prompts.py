"""Prompts and text features."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import ClassInfo
from onelabel.vlm.encoder import Encoder
from onelabel.vlm.prompts import fill, prompt_names, text_features, text_fingerprint

CAT, TV = ClassInfo("cat", "cat"), ClassInfo("tvmonitor", "TV_monitor", ("television", "TV monitor"))


class LetterEncoder:
    """Counts letters; unit length. Keeps what it was asked."""

    dim = 128
    preprocess = Preprocess(2, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    image_fingerprint: dict[str, str] = {}  # noqa: RUF012
    text_fingerprint: dict[str, str] = {"weights": "w"}  # noqa: RUF012
    logit_scale = 100.0
    logit_bias: float | None = None

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode_images(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.calls.append(list(texts))
        counts = torch.tensor([[float(text.count(chr(i))) for i in range(128)] for text in texts])
        return torch.nn.functional.normalize(counts, dim=1)


def test_names_lose_underscores_and_repetitions() -> None:
    assert prompt_names(TV) == ("TV monitor", "television")


def test_braces_in_a_name_are_only_text() -> None:
    assert fill(["a {}."], ["{x}"]) == ["a {x}."]


@pytest.mark.parametrize("templates", [[], ["a photo"], ["{} and {}"]])
def test_templates_must_have_one_place_for_the_name(templates: list[str]) -> None:
    with pytest.raises(OneLabelError, match="template"):
        text_features(LetterEncoder(), [CAT], templates)


def test_one_name_and_one_template_is_the_vector_of_the_prompt() -> None:
    encoder: Encoder = LetterEncoder()
    expected = encoder.encode_texts(["a photo of a cat."])
    torch.testing.assert_close(text_features(encoder, [CAT]), expected)


def test_names_and_templates_are_averaged_then_brought_to_unit_length() -> None:
    encoder = LetterEncoder()
    features = text_features(encoder, [CAT, TV], ["a {}", "the {}"])
    texts = ["a TV monitor", "the TV monitor", "a television", "the television"]
    mean = encoder.encode_texts(texts).double().mean(dim=0)
    torch.testing.assert_close(features[1].double(), mean / mean.norm())
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    assert features.shape == (2, 128) and features.dtype == torch.float32


def test_many_classes_are_encoded_in_bounded_batches_once_each() -> None:
    encoder = LetterEncoder()
    classes = [ClassInfo(f"c{n}", f"c{n}") for n in range(600)]
    features = text_features(encoder, classes)
    assert max(len(call) for call in encoder.calls) <= 256
    assert sum(len(call) for call in encoder.calls) == 600
    torch.testing.assert_close(features[577], LetterEncoder().encode_texts(["a photo of a c577."])[0])


def test_a_blank_name_is_refused_with_its_class() -> None:
    with pytest.raises(OneLabelError, match="'c7' has a blank name"):
        text_features(LetterEncoder(), [ClassInfo("c7", "_ ")])


def test_fingerprint_changes_with_names_and_templates_only_there() -> None:
    encoder = LetterEncoder()
    base = text_fingerprint(encoder, [CAT, TV])
    assert base["weights"] == "w"
    other = text_fingerprint(encoder, [CAT, TV], ["a {}"])
    assert {key for key in base if base[key] != other[key]} == {"templates"}
    renamed = text_fingerprint(encoder, [CAT, ClassInfo("tvmonitor", "screen")])
    assert {key for key in base if base[key] != renamed[key]} == {"names"}
