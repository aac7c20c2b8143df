"""Several names a class, relations of classes, and AEVLP's noise on text features."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from golden_archive import Archive
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import ClassInfo
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.prompts import text_features
from onelabel.vlm.relation import graph_noise, noisy_words, read_relation, sparse_relation
from onelabel.vlm.texts import ClassTexts, Names, Words, as_class_texts, class_texts

CLASSES = (
    ClassInfo("tv", "tv", ("television", "screen")),
    ClassInfo("cat", "cat"),
    ClassInfo("d", "dog", ("hound",)),
)
TEMPLATES = ("a photo of a {}.", "a drawing of a {}.")


def unit(rows: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(
        torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=1
    )


class FakeEncoder:
    """A random unit vector for each text; remembers what it was asked."""

    logit_scale, logit_bias = 20.0, -3.0
    text_fingerprint = {"weights": "w"}  # noqa: RUF012 (never changed)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.asked.extend(texts)
        return torch.cat([unit(1, sum(map(ord, text))) for text in texts])


def prompt(text: str) -> Tensor:
    return unit(1, sum(map(ord, text)))[0]


@pytest.fixture
def made() -> ClassTexts:
    return class_texts(FakeEncoder(), CLASSES, TEMPLATES)  # type: ignore[arg-type]


def test_every_prompt_is_encoded_once() -> None:
    encoder = FakeEncoder()
    made = class_texts(encoder, CLASSES, TEMPLATES)  # type: ignore[arg-type]
    assert len(encoder.asked) == len(set(encoder.asked)) == 6 * 2
    assert made.counts == (3, 1, 2) and (made.scale, made.bias) == (20.0, -3.0)
    assert set(made.fingerprint) == {"weights", "templates", "names"}


def test_names_make_one_cosine(made: ClassTexts) -> None:
    """Name by name, with the vectors of each name's prompts averaged."""
    images = unit(5, seed=99)
    names = {"tv": ("tv", "television", "screen"), "cat": ("cat",), "dog": ("dog", "hound")}
    for column, group in enumerate(names.values()):
        means = [
            torch.stack([prompt(t.replace("{}", name)) for t in TEMPLATES]).mean(dim=0) for name in group
        ]
        each = torch.stack([images @ mean / mean.norm() for mean in means])
        joint = torch.stack(means).mean(dim=0)
        expected: dict[Names, Tensor] = {
            "embedding": images @ joint / joint.norm(), "max": each.amax(dim=0), "mean": each.mean(dim=0)
        }  # fmt: skip
        for how, wanted in expected.items():
            found = made.words(how).cosines(images * 7)[:, column]
            torch.testing.assert_close(found, wanted)


def test_the_averaged_embedding_is_that_of_text_features(made: ClassTexts) -> None:
    expected = text_features(FakeEncoder(), CLASSES, TEMPLATES)  # type: ignore[arg-type]
    torch.testing.assert_close(made.words().vectors, expected)


def test_fingerprints_tell_what_decides_the_cosines_apart(made: ClassTexts) -> None:
    words = [made.words(), made.words("max"), made.words("mean"), noisy_words(made.words(), 0)]
    words += [
        noisy_words(made.words(), 1),
        noisy_words(made.words(), 0, keep=2),
        as_class_texts(unit(3), 8).words(),
    ]
    assert len({str(sorted(each.fingerprint.items())) for each in words}) == len(words)
    assert as_class_texts(unit(3), 8).fingerprint == as_class_texts(unit(3).numpy(), 8).fingerprint


@pytest.mark.parametrize("vectors", [torch.zeros(3, 7), torch.zeros(3), torch.zeros(3, 8, 1)])
def test_vectors_that_do_not_fit_are_refused(vectors: Tensor) -> None:
    with pytest.raises(OneLabelError, match="do not fit embeddings of 8 dimensions"):
        as_class_texts(vectors, 8)


def test_siglip_brings_its_scale_and_bias(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    model: dict[str, Any] = {
        "embed_dim": 32, "init_logit_bias": -10.0, "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }  # fmt: skip
    made = class_texts(load_encoder(f"local-dir:{make_clip(tmp_path / 'siglip', model=model)}"), CLASSES)
    assert made.bias == pytest.approx(-10.0) and made.scale is not None and made.scale > 1


# -- relation and graph noise ---


def test_the_relation_equals_the_released_code(golden: Path) -> None:
    """Origin: AEVLP 0bad82a, models.get_relation. Its second result, which that code never uses, is a softmax
    of the first over what it keeps, so that it tells more about the first."""
    if not (golden / "relation.npz").is_file():
        pytest.skip("relation.npz is not in this folder")
    archive = Archive(golden / "relation.npz")
    for case in archive.cases():
        matrix = torch.from_numpy(archive[f"{case}/matrix"])
        keep, weight = int(archive[f"{case}/sparse_topk"]), float(archive[f"{case}/reweight_p"])
        assert len(matrix) == int(archive[f"{case}/num_classes"])
        if bool(archive[f"{case}/tie_at_cut"]):
            continue
        found = sparse_relation(matrix, keep, weight)
        np.testing.assert_allclose(found, archive[f"{case}/gcn_relation"], rtol=1e-5, atol=1e-7, err_msg=case)
        order = torch.argsort(matrix, dim=1, descending=True, stable=True)[:, :keep]
        kept = torch.zeros_like(matrix).scatter(
            1, order, torch.exp(found.gather(1, order) / float(archive[f"{case}/T"]))
        )
        kept /= kept.sum(dim=1, keepdim=True)
        np.testing.assert_allclose(kept, archive[f"{case}/relation"], rtol=1e-5, atol=1e-7, err_msg=case)
    assert not archive.unread, sorted(archive.unread)[:5]


def test_rows_of_a_relation_sum_to_one_and_hold_the_classes_most_alike() -> None:
    matrix = unit(12) @ unit(12).T + 1
    relation = sparse_relation(matrix, keep=4)
    torch.testing.assert_close(relation.sum(dim=1), torch.ones(12))
    assert (relation.diagonal() == 0.8).all() and ((relation > 0).sum(dim=1) == 4).all()
    alone = sparse_relation(torch.eye(3), keep=1)
    assert torch.equal(alone, torch.eye(3) * 0.8), "nothing to divide by"


def test_graph_noise_is_three_frozen_layers_written_out() -> None:
    features, relation = unit(5).double(), sparse_relation(unit(5) @ unit(5).T)
    generator = torch.Generator().manual_seed(3)
    moved = features
    for rows, columns in ((8, 1024), (1024, 1024), (1024, 8)):
        weights = (torch.rand(rows, columns, generator=generator).double() * 2 - 1) / math.sqrt(columns)
        moved = relation.double() @ moved @ weights
        if columns == 1024:
            moved = torch.where(moved > 0, moved, 0.2 * moved)
    expected = features + moved
    expected /= expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        graph_noise(features.float(), relation, 3).double(), expected, rtol=0, atol=1e-6
    )


def test_graph_noise_moves_features_a_little_and_each_seed_differently() -> None:
    """methods of the survey: cosines of about 0.996 with 768 dimensions; here 512, as ViT-B/16."""
    features = torch.nn.functional.normalize(
        torch.randn(20, 512, generator=torch.Generator().manual_seed(0)), dim=1
    )
    words = Words(features)
    moved = [noisy_words(words, seed).vectors for seed in (0, 1)]
    for each in moved:
        assert 0.9 < float((each * features).sum(dim=1).mean()) < 0.9999
        torch.testing.assert_close(each.norm(dim=1), torch.ones(20))
    assert not torch.equal(*moved)
    assert torch.equal(moved[0], noisy_words(words, 0).vectors)


def test_a_relation_from_a_file(tmp_path: Path) -> None:
    matrix = (unit(5) @ unit(5).T).numpy()
    np.save(tmp_path / "r.npy", matrix)
    words = Words(unit(5))
    from_file = noisy_words(words, 0, str(tmp_path / "r.npy"))
    torch.testing.assert_close(from_file.vectors, noisy_words(words, 0).vectors)
    np.save(tmp_path / "other.npy", np.eye(5) + 0.5)
    assert not torch.equal(noisy_words(words, 0, str(tmp_path / "other.npy")).vectors, from_file.vectors)


@pytest.mark.parametrize(
    "content", [np.zeros((5, 4)), np.zeros((4, 4)), np.array([["a"] * 5] * 5), np.full((5, 5), np.nan)]
)
def test_relations_that_do_not_fit_are_refused(tmp_path: Path, content: Any) -> None:
    np.save(tmp_path / "r.npy", content)
    with pytest.raises(OneLabelError, match="relation"):
        noisy_words(Words(unit(5)), 0, str(tmp_path / "r.npy"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", np.array([[SimpleNamespace()]], dtype=object), allow_pickle=True)
    with pytest.raises(OneLabelError, match="cannot be read"):
        read_relation(tmp_path / "r.npy", 1)
    with pytest.raises(OneLabelError, match="cannot be read"):
        read_relation(tmp_path / "none.npy", 1)


@pytest.mark.parametrize(("keep", "weight"), [(0, 0.2), (6, 0.2), (2, -0.1), (2, 1.1)])
def test_settings_of_the_relation_out_of_range(keep: int, weight: float) -> None:
    with pytest.raises(OneLabelError, match="keep must be from 1 to 5"):
        sparse_relation(torch.eye(5), keep, weight)


def test_graph_noise_needs_one_vector_for_each_class(made: ClassTexts) -> None:
    with pytest.raises(OneLabelError, match="one vector for each class"):
        noisy_words(made.words("max"), 0)
