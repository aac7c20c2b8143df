"""How many views a call of the encoder gets: by a trial, as given, and the same again where work goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from onelabel.vlm import chunk
from onelabel.vlm.chunk import SIZES, USUAL, fastest_chunk

MUCH = 10**9


class Clock:
    """An encoder that takes as long as it is told, by a clock of its own."""

    def __init__(self, seconds_a_view: dict[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.costs, self.now, self.sizes = seconds_a_view, 0.0, list[int]()
        monkeypatch.setattr("onelabel.vlm.chunk.time.perf_counter", lambda: self.now)

    def __call__(self, images: Tensor) -> Tensor:
        size = len(images)
        self.sizes.append(size)
        if self.costs[size] < 0:
            raise torch.OutOfMemoryError
        self.now += size * self.costs[size]
        return images.flatten(1)


def views() -> Tensor:
    return torch.zeros(5, 3, 2, 2)


@pytest.mark.parametrize(
    ("costs", "best", "tried"),
    [
        ({8: 1.0, 32: 1.7}, 8, 2),  # as measured for large batches on a CPU
        ({8: 1.0, 32: 0.99}, 8, 2),  # not worth the memory
        ({8: 1.0, 32: 0.5, 128: 0.49}, 32, 3),
        ({8: 1.0, 32: 0.5, 128: 0.3, 512: 0.2}, 512, 4),
        ({8: 1.0, 32: 0.5, 128: -1}, 32, 3),  # out of memory
    ],
)
def test_the_fastest_is_taken(
    costs: dict[int, float], best: int, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(costs, monkeypatch)
    assert fastest_chunk(clock, views, MUCH) == best
    assert clock.sizes == [8, *SIZES[:tried]]


def test_a_trial_costs_at_most_a_fiftieth_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for total in range(0, 60_000, 777):
        clock = Clock({8: 1.0, 32: 0.5, 128: 0.3, 512: 0.2}, monkeypatch)
        found = fastest_chunk(clock, views, total)
        assert sum(clock.sizes) <= total / 50
        assert clock.sizes or found == USUAL


def test_a_small_store_is_made_without_a_trial(photos: Any, tmp_path: Path) -> None:
    photos.write(tmp_path / "store", batch_size=None)
    assert photos.encoder.images == 2 * 23
    assert json.loads((tmp_path / "store/manifest.json").read_text())["views_at_once"] == USUAL


def test_what_the_trial_finds_is_used_and_changes_nothing(
    photos: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = photos.write(tmp_path / "plain")
    monkeypatch.setattr(chunk, "_SHARE", 0)
    sizes: list[int] = []

    def encoder(images: Tensor) -> Tensor:
        sizes.append(len(images))
        found: Tensor = photos.encoder(images)
        return found

    tried = photos.write(tmp_path / "tried", batch_size=None, encoder=encoder, shard_rows=23)
    at_once = json.loads((tmp_path / "tried/manifest.json").read_text())["views_at_once"]
    assert at_once in SIZES and set(SIZES[:2]) <= set(sizes)
    assert sizes[-2:] == [(23 % at_once) or at_once] * 2  # plain and mirrored
    every = np.arange(23)
    np.testing.assert_array_equal(tried.rows(every, every % 2), plain.rows(every, every % 2))


def test_work_goes_on_with_the_same_number(
    photos: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([3, 7])
    monkeypatch.setattr("onelabel.vlm.embed.fastest_chunk", lambda *_: next(answers))

    def stop(images: Tensor) -> Tensor:
        if photos.encoder.images > 20:
            raise KeyboardInterrupt
        found: Tensor = photos.encoder(images)
        return found

    with pytest.raises(KeyboardInterrupt):
        photos.write(tmp_path / "store", batch_size=None, encoder=stop)
    photos.write(tmp_path / "store", batch_size=None)
    assert json.loads((tmp_path / "store/manifest.json").read_text())["views_at_once"] == 3
    assert next(answers) == 7
