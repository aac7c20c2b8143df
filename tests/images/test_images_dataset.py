"""Rows for a loader: in worker processes, pickled, and with a broken image among them."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from onelabel.images import loading
from onelabel.images.dataset import ImageRows
from onelabel.images.decode import OversizedImageError, decode
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable

PREPROCESS = Preprocess(8, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def rows(tmp_path: Path) -> ImageRows:
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return ImageRows(tmp_path, IdTable.from_strings(f"{i}.png" for i in range(5)), PREPROCESS)


def test_items_carry_their_row(rows: ImageRows) -> None:
    assert len(rows) == 5
    for i in range(5):
        index, tensor = rows[i]
        assert index == i
        assert torch.equal(tensor, PREPROCESS(decode(rows.root / f"{i}.png")))


def test_too_little_shared_memory_is_said_before_processes_are_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    free = {"bytes": 40 << 10}
    monkeypatch.setattr(loading, "_SHARED", tmp_path)
    monkeypatch.setattr(
        "onelabel.images.loading.shutil.disk_usage", lambda _: SimpleNamespace(free=free["bytes"])
    )
    with pytest.raises(OneLabelError, match=r"has 40 KiB free.* use --workers 0"):
        loading.require_shared_memory(workers=1)
    loading.require_shared_memory(workers=0)
    free["bytes"] = 1 << 30
    loading.require_shared_memory(workers=8)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_loader_with_workers_gives_the_same(rows: ImageRows, context: str) -> None:
    loader = DataLoader(rows, batch_size=2, num_workers=1, multiprocessing_context=context)
    seen: list[int] = []
    for index, images in loader:
        for i, image in zip(index.tolist(), images, strict=True):
            assert torch.equal(image, rows[i][1])
            seen.append(i)
    assert seen == [0, 1, 2, 3, 4]


def test_pickle_is_as_small_as_the_ids(rows: ImageRows) -> None:
    many = ImageRows(rows.root, IdTable.from_strings(f"{i:07}.png" for i in range(10_000)), PREPROCESS)
    content = pickle.dumps(many)
    assert len(content) < 10_000 * (11 + 8) + 5_000  # 11 bytes of text and one offset each
    assert pickle.loads(content).ids.text(9_999) == "0009999.png"


def test_a_broken_image_is_an_error_that_names_it(rows: ImageRows) -> None:
    (rows.root / "3.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match=r"3\.png: "):
        rows[3]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("name", ["3.png", "zeile\nzwei: ü.png"])
def test_the_error_is_the_same_from_a_worker(rows: ImageRows, workers: int, name: str) -> None:
    """torch passes on a worker's exception as text with a traceback; ours stays one line for the user."""
    (rows.root / name).write_bytes(b"")
    broken = ImageRows(rows.root, IdTable.from_strings(["0.png", name]), PREPROCESS)
    with pytest.raises(ImageError) as caught:
        list(DataLoader(broken, batch_size=1, num_workers=workers))
    assert str(caught.value) == f"{rows.root / name}: the file is empty (0 bytes)".replace("\n", " ")
    assert (caught.value.path, caught.value.problem) == (str(rows.root / name), "the file is empty (0 bytes)")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_pixel_limit_is_used(rows: ImageRows) -> None:
    with pytest.raises(OversizedImageError):
        ImageRows(rows.root, rows.ids, PREPROCESS, max_pixels=119)[0]
