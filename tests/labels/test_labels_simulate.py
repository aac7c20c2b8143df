"""The published draw of labels and the published split, against values of the official code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels import LabelTable, group_split, observe, random_split, simulate_single_positives

MATRICES = hnp.arrays(
    np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([-1, 0, 1])
)


def table_of(matrix: NDArray[np.int8]) -> LabelTable:
    return LabelTable.from_dense(
        [f"{i}" for i in range(len(matrix))], [f"c{j}" for j in range(matrix.shape[1])], matrix
    )


def test_golden_observe(golden: Path) -> None:
    with np.load(golden / "observe.npz", allow_pickle=False) as file:
        for run in file["runs"].tolist():
            labels = 2 * file[f"{run.rpartition('/')[0]}/labels"].astype(np.int8) - 1
            num_pos, num_neg, seed = (int(file[f"{run}/{name}"]) for name in ("num_pos", "num_neg", "seed"))
            expected = file[f"{run}/observed"]
            assert np.array_equal(observe(labels, num_pos, num_neg, seed), expected), run
            hidden = simulate_single_positives(
                table_of(labels), positives=num_pos, negatives=num_neg, seed=seed
            )
            assert np.array_equal(hidden.dense(), expected), run


def test_golden_split(golden: Path) -> None:
    with np.load(golden / "split.npz", allow_pickle=False) as file:
        for case in file["cases"].tolist():
            n, fraction, seed = int(file[f"{case}/n"]), float(file[f"{case}/frac"]), int(file[f"{case}/seed"])
            train, val = random_split(n, fraction, seed)
            assert np.array_equal(train, file[f"{case}/train"]), case
            # The one deviation: the official code returns all rows when the fraction rounds to none.
            expected = file[f"{case}/val"] if round(fraction * n) else []
            assert np.array_equal(val, expected), case


@pytest.mark.parametrize(
    ("n", "start", "total"),
    [
        (5717, [5, 6, 11, 15, 22, 23], 3_242_061),
        (82081, [3, 4, 34, 37, 48, 64], 667_885_558),
        (150000, [2, 4, 5, 7, 9, 11], 2_243_968_737),
        (5994, [5, 6, 11, 15, 22, 23], 3_558_234),
    ],
)
def test_published_split_of_the_four_benchmarks(n: int, start: list[int], total: int) -> None:
    train, val = random_split(n, 0.2)
    assert val[:6].tolist() == start
    assert val.sum() == total
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(n))


def test_second_shuffle_moves_the_stream() -> None:
    full = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [1, 1, 0, 0, 1], [0, 0, 1, 1, 0]])
    assert observe(2 * full - 1).argmax(axis=1).tolist() == [0, 1, 4, 3]
    assert observe(full).argmax(axis=1).tolist() == [0, 1, 1, 2]  # nothing absent, so nothing to shuffle


@given(MATRICES, st.integers(-1, 4), st.integers(-1, 4), st.integers(0, 99))
def test_observed_are_a_part_of_what_is_known(
    matrix: NDArray[np.int8], pos: int, neg: int, seed: int
) -> None:
    observed = observe(matrix, pos, neg, seed)
    assert np.all((observed == 0) | (observed == matrix))
    for value, number in ((1, pos), (-1, neg)):
        known = (matrix == value).sum(axis=1)
        assert np.array_equal(
            (observed == value).sum(axis=1), known if number == -1 else np.minimum(known, number)
        )


@given(MATRICES, st.integers(-1, 2))
def test_draw_does_not_depend_on_the_size_of_pieces(matrix: NDArray[np.int8], neg: int) -> None:
    table = table_of(matrix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelabel.labels.simulate._CELLS_AT_ONCE", 1)
        pieces = simulate_single_positives(table, negatives=neg)
    assert np.array_equal(pieces.dense(), observe(matrix, 1, neg))


def with_splits(table: LabelTable, codes: list[int], names: tuple[str, ...]) -> LabelTable:
    return replace(table, splits=np.array(codes, np.int8), split_names=names)


def test_validation_part_keeps_its_labels() -> None:
    matrix = np.random.default_rng(0).choice(np.array([1, -1], np.int8), (20, 6))
    table = table_of(matrix)
    hidden = simulate_single_positives(table, val_fraction=0.2)
    train, val = random_split(20, 0.2)
    assert np.array_equal(hidden.part("train").dense(), observe(matrix)[train])
    assert np.array_equal(hidden.part("val").dense(), matrix[val])


def test_held_out_splits_take_no_part_in_the_draw() -> None:
    matrix = np.random.default_rng(1).choice(np.array([1, -1], np.int8), (9, 5))
    table = with_splits(table_of(matrix), [0, 1, 2, 0, -1, 0, 1, 2, 0], ("train2017", "val2017", "Test"))
    hidden = simulate_single_positives(table)
    training = [0, 3, 4, 5, 8]
    assert np.array_equal(hidden.rows(training), observe(matrix[training]))
    assert np.array_equal(hidden.rows([1, 2, 6, 7]), matrix[[1, 2, 6, 7]])
    assert hidden.split_names == table.split_names


def test_test_part_stays_when_a_validation_part_is_made() -> None:
    matrix = np.ones((10, 3), np.int8)
    table = with_splits(table_of(matrix), [0] * 8 + [1] * 2, ("train", "test"))
    hidden = simulate_single_positives(table, val_fraction=0.25)
    assert [len(hidden.part(name)) for name in ("train", "val", "test")] == [6, 2, 2]
    assert hidden.part("test").counts().positive.tolist() == [2, 2, 2]


def test_weights_follow_the_labels_that_are_kept() -> None:
    table = LabelTable.from_entries(
        ["a"], ["x", "y"], [0, 0], [0, 1], [1, -1], weights=[0.25, 0.5], default=0
    )
    assert simulate_single_positives(table).weight_rows([0]).tolist() == [[0.25, 1.0]]


@pytest.mark.parametrize(
    ("splits", "arguments", "message"),
    [
        (None, {"positives": -2}, "-2 positives an image has no meaning"),
        (None, {"negatives": -5}, "-1 for all"),
        (None, {"val_fraction": 1.0}, "at least 0 and below 1"),
        (("train", "val"), {"val_fraction": 0.5}, "there is a split 'val' already"),
        (("val", "test"), {}, "every image is in a split that keeps its labels"),
    ],
)
def test_bad_requests(splits: tuple[str, ...] | None, arguments: dict[str, Any], message: str) -> None:
    table = table_of(np.ones((2, 2), np.int8))
    if splits:
        table = with_splits(table, [0, 1], splits)
    with pytest.raises(OneLabelError, match=message):
        simulate_single_positives(table, **arguments)


@given(st.lists(st.integers(-1, 5), max_size=30), st.floats(0, 0.99), st.integers(0, 50))
def test_group_split_never_separates_a_group(groups: list[int], fraction: float, seed: int) -> None:
    codes = np.array(groups, np.int32)
    train, val = group_split(codes, fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(len(groups)))
    assert not {g for g in codes[train].tolist() if g >= 0} & {g for g in codes[val].tolist() if g >= 0}
    largest = max(np.bincount(codes[codes >= 0]).max(initial=1), 1)
    assert abs(len(val) - fraction * len(groups)) <= largest


@given(st.integers(0, 60), st.floats(0, 0.99), st.integers(0, 50), st.booleans())
def test_group_split_of_single_rows_is_the_published_split(
    n: int, fraction: float, seed: int, named: bool
) -> None:
    groups = np.arange(n)[::-1] if named else np.full(n, -1)
    for ours, published in zip(
        group_split(groups.astype(np.int32), fraction, seed), random_split(n, fraction, seed), strict=True
    ):
        assert np.array_equal(ours, published)


def test_groups_stay_together_in_the_simulation() -> None:
    groups = np.repeat(np.arange(5, dtype=np.int32), 4)
    table = replace(
        table_of(np.ones((20, 3), np.int8)), groups=groups, group_names=IdTable.from_strings("abcde")
    )
    hidden = simulate_single_positives(table, val_fraction=0.3)
    train, val = hidden.part("train").groups, hidden.part("val").groups
    assert train is not None and val is not None
    assert not set(train.tolist()) & set(val.tolist())
    assert len(val) in (4, 8)
