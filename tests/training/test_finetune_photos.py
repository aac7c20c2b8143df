"""The photos of a table as training rows: order, memory, processes, and refusal of what cannot train."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.training.order import epoch_order
from onelabel.training.photo_network import mirror_some
from onelabel.training.photo_rows import EpochOrder, photo_batches, photo_rows, require_readable

PREPROCESS = Preprocess(8, "squash", "bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def photos(folder: Path, rows: int) -> LabelTable:
    folder.mkdir(exist_ok=True)
    for row in range(rows):
        Image.new("RGB", (9, 9), (row, 0, 0)).save(folder / f"{row}.png")
    return LabelTable.from_dense([f"{row}.png" for row in range(rows)], ["a"], np.ones((rows, 1)))


@given(st.integers(0, 2**31), st.integers(1, 50), st.integers(1, 60))
def test_the_order_is_that_of_the_epoch(seed: int, epoch: int, rows: int) -> None:
    expected = epoch_order(seed, epoch, rows).tolist()
    assert list(EpochOrder(seed, rows, done=epoch - 1)) == expected
    moved = EpochOrder(seed, rows)
    moved.set_epoch(epoch - 1)  # Lightning counts from 0
    assert list(moved) == expected
    assert len(moved) == rows


def test_a_long_order_is_complete() -> None:
    assert sorted(EpochOrder(0, 10_001)) == list(range(10_001))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_follow_the_epoch_and_keep_the_last(workers: int, tmp_path: Path) -> None:
    table = photos(tmp_path, 7)
    order = EpochOrder(3, 7)
    loader = photo_batches(photo_rows(table, str(tmp_path), PREPROCESS, 100), 3, workers, order)
    before = torch.get_rng_state()
    for epoch in (1, 2):
        order.set_epoch(epoch - 1)
        batches = list(loader)
        assert [len(index) for index, _ in batches] == [3, 3, 1]
        index = torch.cat([index for index, _ in batches])
        assert torch.equal(index, epoch_order(3, epoch, 7))
        reds = torch.cat([pictures[:, 0, 0, 0] for _, pictures in batches])
        torch.testing.assert_close(reds, (index / 255 - 0.5) / 0.5)
    assert torch.equal(torch.get_rng_state(), before), "reading photos must not move the network's randomness"


def test_rows_cross_into_spawned_processes_and_hold_no_list(tmp_path: Path) -> None:
    rows = photo_rows(photos(tmp_path, 4), str(tmp_path), PREPROCESS, 100)
    assert not [value for value in vars(rows).values() if isinstance(value, list | dict | tuple)]
    loader = DataLoader(rows, 2, num_workers=1, multiprocessing_context="spawn")
    assert torch.cat([index for index, _ in loader]).tolist() == [0, 1, 2, 3]


def test_pickled_rows_grow_by_the_bytes_of_the_names(tmp_path: Path) -> None:
    few, many = (
        len(pickle.dumps(photo_rows(photos(tmp_path, rows), str(tmp_path), PREPROCESS, 100)))
        for rows in (10, 60)
    )
    assert many - few < 50 * (len("10.png") + 8 + 4)


def test_missing_photos_are_named(tmp_path: Path) -> None:
    table = photos(tmp_path, 5)
    for row in (1, 3):
        (tmp_path / f"{row}.png").unlink()
    with pytest.raises(
        OneLabelError, match=r"^2 of 5 photos are missing in .*1\.png, 3\.png.*onelabel check"
    ):
        photo_rows(table, str(tmp_path), PREPROCESS, 100)


def test_photos_that_cannot_be_used_are_found_by_their_headers(tmp_path: Path) -> None:
    train, val = photos(tmp_path, 5), photos(tmp_path / "val", 2)
    rows = photo_rows(train, str(tmp_path), PREPROCESS, 100)
    val_rows = photo_rows(val, str(tmp_path / "val"), PREPROCESS, 100)
    require_readable(rows, val_rows)
    Image.new("RGB", (11, 10)).save(tmp_path / "val" / "1.png")
    with pytest.raises(OneLabelError) as caught:
        require_readable(rows, val_rows)
    assert str(caught.value).startswith(str(tmp_path / "val" / "1.png"))
    assert "110 pixels, the limit is 100" in str(caught.value) and "onelabel check" not in str(caught.value)
    (tmp_path / "2.png").write_text("no image")
    with pytest.raises(OneLabelError, match=r"2\.png: not an image .* \(2 photos cannot be used"):
        require_readable(rows, val_rows)


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 5))
def test_exactly_the_chosen_photos_are_flipped(bits: list[bool], width: int) -> None:
    batch = torch.randn(len(bits), 3, 2, width)
    seen = mirror_some(batch, torch.tensor(bits))
    for before, after, bit in zip(batch, seen, bits, strict=True):
        assert np.array_equal(after.numpy(), before.numpy()[..., ::-1] if bit else before.numpy())
