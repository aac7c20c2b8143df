"""The VLPL source: which row it takes, what it leaves alone, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.sources import vlpl
from onelabel.sources.base import Source
from onelabel.sources.vlpl import VlplSource, vlpl_rule

N, C, D = 30, 7, 16
CLASSES = [f"class{c}" for c in range(C)]


class FakeStore:
    """Unit vectors for plain and mirrored images, in memory."""

    views: tuple[str, ...] = ("global",)
    fingerprint: dict[str, str] = {}  # noqa: RUF012 (never changed)

    def __init__(self, mirrored: bool = True, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.ids = IdTable.from_strings(f"{n}.jpg" for n in range(N))
        self.dim, self.mirrored = D, mirrored
        self.data = rng.normal(size=(N, 2, D)).astype(np.float32)

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        shape = (*np.asarray(index).shape, 1)
        assert np.asarray(mirrored).shape == shape, "of many views the first alone is read"
        bits = np.asarray(mirrored).astype(np.intp)[:, 0]
        assert self.mirrored or not bits.any()
        out: NDArray[np.float32] = self.data[np.asarray(index), bits][:, None]
        return out


def texts(seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(C, D)) * 9  # not of unit length, as coco80 in the wild


def table(order: ArrayLike, labels: NDArray[np.int8] | None = None) -> LabelTable:
    order = np.asarray(order)
    labels = np.zeros((len(order), C), np.int8) if labels is None else labels
    return LabelTable.from_dense([f"{n}.jpg" for n in order], CLASSES, labels)


def expected(store: FakeStore, rows: ArrayLike, bits: ArrayLike, **settings: float) -> torch.Tensor:
    images = store.data[np.asarray(rows), np.asarray(bits, int)].astype(np.float64)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    words = texts() / np.linalg.norm(texts(), axis=1, keepdims=True)
    return vlpl_rule(torch.from_numpy(images @ words.T), **settings)[0]


@pytest.mark.parametrize("cache", [1 << 31, 0])
def test_takes_the_row_of_each_image_with_its_mirror_bit(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vlpl, "_LARGEST_CACHE", cache)
    monkeypatch.setattr(vlpl, "_ROWS_AT_ONCE", 4)
    store, order = FakeStore(), np.random.default_rng(3).permutation(N)[:20]
    source: Source = VlplSource(store, texts(), temperature=0.1, threshold=0.2, negatives=0.3)
    source.start(table(order))
    index = torch.tensor([4, 0, 19, 4])
    bits = torch.tensor([True, False, True, False])
    pseudo, score = source.pseudo(index, torch.zeros(4, C, dtype=torch.int8), bits, epoch=1)
    settings = {"temperature": 0.1, "threshold": 0.2, "negative_fraction": 0.3}
    assert torch.equal(pseudo, expected(store, order[index], bits, **settings))
    assert (pseudo[0] != pseudo[3]).any()  # the mirror image does differ
    assert pseudo.dtype == torch.int8 and score.dtype == torch.float32
    torch.testing.assert_close(score.sum(dim=1), torch.ones(4))


def test_observed_labels_are_never_overridden() -> None:
    source = VlplSource(FakeStore(), texts(), temperature=1.0, threshold=0.05, negatives=0.5)
    source.start(table(range(N)))
    everything = torch.arange(N)
    labels = torch.from_numpy(np.random.default_rng(0).integers(-1, 2, (N, C)).astype(np.int8))
    bits = torch.zeros(N, dtype=torch.bool)
    raw = source.pseudo(everything, torch.zeros_like(labels), bits, 1)[0]
    pseudo = source.pseudo(everything, labels, bits, 1)[0]
    assert (raw[labels != 0] != 0).any()
    assert (pseudo[labels != 0] == 0).all()
    assert torch.equal(pseudo[labels == 0], raw[labels == 0])


def test_without_mirrored_rows_the_plain_row_stands_for_both_and_this_is_said() -> None:
    plain, both = FakeStore(mirrored=False), FakeStore()
    source = VlplSource(plain, texts())
    source.start(table(range(N)))
    labels = torch.zeros(N, C, dtype=torch.int8)
    bits = torch.ones(N, dtype=torch.bool)
    pseudo = source.pseudo(torch.arange(N), labels, bits, 1)[0]
    assert torch.equal(pseudo, expected(plain, range(N), np.zeros(N)))
    assert any("mirror" in note for note in source.notes)
    assert not any("mirror" in note for note in VlplSource(both, texts()).notes)


def test_notes_say_how_many_labels_the_threshold_admits() -> None:
    assert "at most 3 pseudo-labels" in VlplSource(FakeStore(), texts()).notes[0]
    assert f"at most {C} pseudo-labels" in VlplSource(FakeStore(), texts(), threshold=0.01).notes[0]


def test_images_that_are_not_in_the_store_are_named() -> None:
    with pytest.raises(OneLabelError, match=r"2 of 3 images are not in .*'30.jpg', '31.jpg'"):
        VlplSource(FakeStore(), texts()).start(table([30, 5, 31]))


def test_other_classes_or_dimensions_are_refused() -> None:
    source = VlplSource(FakeStore(), texts()[:-1])
    with pytest.raises(OneLabelError, match="6 text vectors for 7 classes"):
        source.start(table(range(N)))
    with pytest.raises(OneLabelError, match="another encoder"):
        VlplSource(FakeStore(), texts()[:, :-1])


def test_of_several_views_the_whole_image_counts() -> None:
    class TwoViews(FakeStore):
        views = ("global", "tile")

        def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
            whole = super().rows(index, mirrored)
            return np.concatenate([whole, np.zeros_like(whole)], axis=1)

    labels, bits = torch.zeros(N, C, dtype=torch.int8), torch.arange(N) % 2 == 0
    found = []
    for store in (FakeStore(), TwoViews()):
        source = VlplSource(store, texts(), temperature=0.1, threshold=0.2)
        source.start(table(range(N)))
        found.append(source.pseudo(torch.arange(N), labels, bits, 1)[1])
    assert torch.equal(*found)


def test_settings_are_checked_before_anything_is_computed() -> None:
    with pytest.raises(OneLabelError, match="threshold"):
        VlplSource(FakeStore(), texts(), threshold=30)
