"""The DAMP source: its mirror bits, its limit, what it leaves alone, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.sources.base import STATIC, Source
from onelabel.sources.damp import DampSource
from onelabel.sources.damp_rule import damp_labels, damp_scores
from onelabel.vlm.mirror import mirror_bits
from onelabel.vlm.texts import ClassTexts, Names

N, V, C, D = 30, 5, 7, 16
CLASSES = [f"class{c}" for c in range(C)]


class FakeStore:
    """Vectors for plain and mirrored views, in memory; remembers the bits that it was asked for."""

    def __init__(self, mirrored: bool = True, views: int = V, images: int = N) -> None:
        self.ids = IdTable.from_strings(f"{n}.jpg" for n in range(images))
        self.dim, self.mirrored = D, mirrored
        self.views = ("global", *(f"tile {v}" for v in range(1, views)))
        self.fingerprint = {"views": "grid:2"}
        self.data = np.random.default_rng(0).normal(size=(images, views, 2, D)).astype(np.float32)
        self.asked: list[NDArray[np.bool_]] = []

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        bits = np.asarray(mirrored, np.intp)
        self.asked.append(bits == 1)
        found: NDArray[np.float32] = self.data[np.asarray(index)[:, None], np.arange(bits.shape[1]), bits]
        return found


def texts() -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(C, D)) * 9  # of any length


def table(images: int = N, checked: int = 0, positives: int = 1) -> LabelTable:
    """The first class known of each image; of the first ``checked`` images, all classes."""
    labels = np.zeros((images, C), np.int8)
    labels[:, 0] = 1
    labels[:checked] = -1
    labels[:checked, :positives] = 1
    return LabelTable.from_dense([f"{n}.jpg" for n in range(images)], CLASSES, labels)


def started(store: FakeStore | None = None, labels: LabelTable | None = None, **params: Any) -> DampSource:
    source = DampSource(store or FakeStore(), texts(), **params)
    source.start(labels or table())
    assert isinstance(source, Source)
    return source


def ask(source: Source, index: ArrayLike = range(N), epoch: int = 1, mirrored: bool = False) -> Any:
    rows = torch.as_tensor(np.asarray(index))
    labels = torch.zeros(len(rows), C, dtype=torch.int8)
    labels[:, 0] = 1
    return source.pseudo(rows, labels, torch.full((len(rows),), mirrored), epoch)


def test_is_the_rule_on_the_softmax_of_every_view() -> None:
    store = FakeStore()
    settings: dict[str, Any] = {"threshold": 0.2, "top_k": 2, "negatives": 0.3}
    source = started(store, temperature=0.2, eta=0.1, **settings)
    order = np.random.default_rng(3).permutation(N)[:9]
    pseudo, score = ask(source, order, epoch=4)
    bits = source.bits(order, 4).astype(int)
    images = store.data[order[:, None], np.arange(V), bits].astype(np.float64)
    images /= np.linalg.norm(images, axis=-1, keepdims=True)
    words = texts() / np.linalg.norm(texts(), axis=1, keepdims=True)
    scores = torch.softmax(torch.from_numpy(images @ words.T) / 0.2, dim=-1)
    labels = torch.zeros(9, C)
    labels[:, 0] = 1
    positive, negative = damp_scores(scores, labels, 0.1)
    expected = damp_labels(positive, negative, **settings)
    expected[:, 0] = 0  # observed
    assert torch.equal(pseudo, expected)
    assert {-1, 0, 1} == set(pseudo.flatten().tolist())
    torch.testing.assert_close(score, positive.float(), rtol=1e-4, atol=1e-5)
    assert pseudo.dtype == torch.int8 and score.dtype == torch.float32


def test_the_bits_are_fair_and_independent() -> None:
    """As published: g² + 1 Bernoulli(½) bits for each image and step, independent of each other, of the
    classifier's own bit, of the image and of the epoch. All pairs are tested by their correlation over 20,000
    images; the largest of 351 standard normals exceeds 4.5 with a probability of 0.2 per cent, and the seed
    is fixed."""
    images, epochs, views = 20_000, 2, 17
    source = started(FakeStore(images=4, views=views), table(4), seed=7)
    rows = np.arange(images)
    columns = [bit for epoch in range(1, epochs + 1) for bit in source.bits(rows, epoch).T]
    columns += [mirror_bits(7, epoch, rows) for epoch in range(1, epochs + 1)]  # the classifier's own
    columns += [np.roll(columns[0], 1)]  # the next image
    signs = np.stack(columns).astype(float) * 2 - 1
    assert abs(signs.mean(axis=1)).max() * np.sqrt(images) < 4.5
    correlation = signs @ signs.T / np.sqrt(images)
    np.fill_diagonal(correlation, 0)
    assert abs(correlation).max() < 4.5


def test_all_patterns_of_bits_are_equally_frequent() -> None:
    """The joint distribution of the classifier's bit and five views: 64 patterns, chi-squared."""
    images = 64_000
    source = started(FakeStore(images=4), table(4), seed=3)
    rows = np.arange(images)
    bits = np.column_stack([mirror_bits(3, 1, rows), source.bits(rows, 1)])
    counts = np.bincount(bits @ (1 << np.arange(6)), minlength=64)
    chi_squared = float(((counts - images / 64) ** 2 / (images / 64)).sum())
    assert 63 - 5 * np.sqrt(126) < chi_squared < 63 + 5 * np.sqrt(126)


def test_the_bits_do_not_follow_the_classifier_nor_the_batch() -> None:
    source, same = started(seed=1), started(seed=1)
    whole = ask(source)[1]
    assert torch.equal(whole, ask(same, mirrored=True)[1])
    assert torch.equal(whole[[4, 2]], ask(same, [4, 2])[1])
    assert not torch.equal(whole, ask(source, epoch=2)[1])
    assert not torch.equal(whole, ask(started(seed=2))[1])
    assert torch.equal(ask(started())[1], ask(started(seed=0))[1])


def test_without_mirrored_rows_the_plain_views_stand_for_them_and_this_is_said() -> None:
    store = FakeStore(mirrored=False)
    source = started(store)
    ask(source)
    assert not np.concatenate(store.asked).any()
    assert any("mirror" in note for note in source.notes)
    assert not any("mirror" in note for note in started().notes)


def test_a_set_that_is_made_once_takes_plain_views() -> None:
    store = FakeStore()
    ask(started(store), epoch=STATIC)
    assert not np.concatenate(store.asked).any()


def test_the_records_say_what_decides_the_scores() -> None:
    one, other = started().provenance, started(graph_noise=1).provenance
    assert one["views"] == "grid:2" and "texts: vectors" in one
    assert one.items() < other.items()


def test_observed_labels_are_never_overridden() -> None:
    source = started(temperature=0.5, threshold=0.2, negatives=0.5)
    labels = torch.from_numpy(np.random.default_rng(0).integers(-1, 2, (N, C)).astype(np.int8))
    pseudo = source.pseudo(torch.arange(N), labels, torch.zeros(N, dtype=torch.bool), 1)[0]
    assert (pseudo[labels != 0] == 0).all()
    assert {-1, 1} <= set(pseudo.flatten().tolist())


@pytest.mark.parametrize(
    ("params", "checked", "most", "note"),
    [
        ({"top_k": 2}, 20, 2, "at most 2 pseudo-labels per image, as given"),
        ({}, 20, 3, "at most 3 pseudo-labels per image: 20 checked images have 3.00 on average"),
        ({}, 9, C, "no limit on the pseudo-labels"),
        ({}, 0, C, "no limit on the pseudo-labels"),
    ],
)
def test_the_limit_is_given_or_taken_from_checked_images_or_left_out(
    params: dict[str, Any], checked: int, most: int, note: str
) -> None:
    source = started(labels=table(checked=checked, positives=3), temperature=5.0, threshold=0.01, **params)
    nothing = torch.zeros(N, C, dtype=torch.int8)
    pseudo = source.pseudo(torch.arange(N), nothing, torch.zeros(N, dtype=torch.bool), 1)[0]
    assert (pseudo == 1).sum(dim=1).tolist() == [most] * N
    assert any(note in each for each in source.notes)


def test_as_released_is_what_its_parts_are() -> None:
    common: dict[str, Any] = {"temperature": 0.3, "threshold": 0.12, "negatives": 0.6, "top_k": 3}
    released = started(as_released=True, **common)
    parts = started(bottom="unknown", erase=True, graph_noise=0, **common)
    assert torch.equal(ask(released)[0], ask(parts)[0])
    assert set(ask(released)[0].flatten().tolist()) == {0, 1}
    corrected, paper = started(**common), started(erase=True, **common)
    assert (ask(corrected)[0] == 1).sum() > (ask(paper)[0] == 1).sum()
    assert (ask(paper)[0] == -1).sum() > (ask(corrected)[0] == -1).sum() > 0
    other_seed = started(as_released=True, graph_noise=5, **common)
    assert not torch.equal(ask(released)[1], ask(other_seed)[1])
    assert not torch.equal(ask(released)[1], ask(corrected)[1])


def test_several_names_and_sigmoid_scores() -> None:
    vectors = torch.randn(C + 1, D, generator=torch.Generator().manual_seed(0))
    siglip = ClassTexts(vectors, (2, *[1] * (C - 1)), scale=10.0, bias=-1.0)
    store = FakeStore()
    found = {}
    hows: tuple[Names, ...] = ("embedding", "max", "mean")
    for names in hows:
        source = DampSource(store, siglip, eta=0.0, names=names, score="sigmoid")
        source.start(table())
        found[names] = ask(source)[1]
        torch.testing.assert_close(found[names][:, 1:], found["embedding"][:, 1:])
    assert (found["max"][:, 0] > found["mean"][:, 0]).all()
    assert not torch.equal(found["embedding"][:, 0], found["mean"][:, 0])
    assert any("--source.score sigmoid" in note for note in DampSource(store, siglip).notes)


def test_sigmoid_needs_a_model_with_a_bias() -> None:
    with pytest.raises(OneLabelError, match="trained with a softmax"):
        DampSource(FakeStore(), texts(), score="sigmoid")


def test_stores_of_the_whole_image_alone_are_refused() -> None:
    with pytest.raises(OneLabelError, match="--views grid:4"):
        DampSource(FakeStore(views=1), texts())


def test_other_classes_or_dimensions_or_images_are_refused() -> None:
    with pytest.raises(OneLabelError, match="another encoder"):
        DampSource(FakeStore(), texts()[:, :-1])
    with pytest.raises(OneLabelError, match="6 classes for 7"):
        DampSource(FakeStore(), texts()[:-1]).start(table())
    with pytest.raises(OneLabelError, match=r"1 of 31 images are not in .*'30.jpg'"):
        DampSource(FakeStore(), texts()).start(table(31))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"eta": 1.5}, "eta"), ({"temperature": 0.0}, "temperature"), ({"top_k": 0}, "top_k"),
        ({"score": "cosine"}, "score"), ({"names": "first"}, "names"), ({"graph_noise": -1}, "seed"),
        ({"relation": "r.npy"}, "give graph_noise"), ({"bottom": "gone"}, "bottom"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        DampSource(FakeStore(), texts(), **params)


def test_cosines_are_kept_beside_a_store_on_disk_only() -> None:
    with pytest.raises(OneLabelError, match="on disk only"):
        started(cache=True)
