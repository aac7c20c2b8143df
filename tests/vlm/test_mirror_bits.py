"""Mirror bits: fair, independent, and a pure function of (seed, epoch, row, view)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelabel.vlm.mirror import mirror_bits

WORD = (1 << 64) - 1
N = 100_000


def splitmix64(state: int) -> int:
    """One output of the public SplitMix64 generator, in unbounded integers."""
    z = (state + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_the_mixing_is_splitmix64() -> None:
    """First output for seed 1234567, as listed with https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64."""
    assert splitmix64(1234567) == 6457827717110365317


@given(st.integers(0, 1 << 40), st.integers(0, 1000), st.integers(0, 30), st.lists(st.integers(0, 1 << 40)))
def test_equals_a_scalar_reference(seed: int, epoch: int, view: int, rows: list[int]) -> None:
    expected = []
    for row in rows:
        state = 0
        for word in (seed, epoch, view, row):
            state = splitmix64(state ^ word)
        expected.append(bool(state >> 63))
    assert mirror_bits(seed, epoch, rows, view).tolist() == expected


@given(st.permutations(range(50)), st.integers(1, 50))
def test_do_not_depend_on_order_or_batches(order: list[int], size: int) -> None:
    whole = mirror_bits(7, 3, np.arange(50))
    batches = [mirror_bits(7, 3, order[i : i + size]) for i in range(0, 50, size)]
    assert np.array_equal(np.concatenate(batches), whole[order])


@pytest.mark.parametrize(("seed", "epoch", "view"), [(0, 1, 0), (1, 1, 0), (1200, 10, 16), (2**31, 3, 1)])
def test_half_of_the_images_are_mirrored(seed: int, epoch: int, view: int) -> None:
    bits = mirror_bits(seed, epoch, np.arange(N), view)
    assert abs(bits.sum() - N / 2) < 5 * math.sqrt(N) / 2


@pytest.mark.parametrize(
    "other",
    [
        lambda rows: mirror_bits(2, 1, rows), lambda rows: mirror_bits(1, 2, rows),
        lambda rows: mirror_bits(1, 1, rows, view=1), lambda rows: mirror_bits(1, 1, rows + 1),
        lambda rows: mirror_bits(1, 1, rows + N),
    ],
    ids=["seed", "epoch", "view", "next row", "far row"],
)  # fmt: skip
def test_seeds_epochs_views_and_rows_are_independent(other) -> None:  # type: ignore[no-untyped-def]
    rows = np.arange(N)
    agree = (mirror_bits(1, 1, rows) == other(rows)).sum()
    assert abs(agree - N / 2) < 5 * math.sqrt(N) / 2


def test_swapping_seed_and_epoch_gives_other_bits() -> None:
    rows = np.arange(N)
    agree = (mirror_bits(1, 2, rows) == mirror_bits(2, 1, rows)).sum()
    assert abs(agree - N / 2) < 5 * math.sqrt(N) / 2


def test_no_rows_give_no_bits() -> None:
    assert mirror_bits(0, 1, []).shape == (0,)


@given(st.integers(0, 2**32 - 1), st.integers(1, 100), st.lists(st.integers(0, 10**9), max_size=9))
def test_many_views_at_once_are_the_same_bits(seed: int, epoch: int, rows: list[int]) -> None:
    found = mirror_bits(seed, epoch, rows, range(1, 18))
    assert found.shape == (len(rows), 17)
    for view in range(1, 18):
        np.testing.assert_array_equal(found[:, view - 1], mirror_bits(seed, epoch, rows, view))
