"""The sparse table against the plain matrix it stands for."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels import LabelTable
from onelabel.labels.entries import LabelConflict

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
MATRICES = hnp.arrays(np.int8, SHAPES, elements=st.sampled_from([-1, 0, 1]))


def table_of(matrix: NDArray[np.int8]) -> LabelTable:
    ids = [f"{i}.jpg" for i in range(len(matrix))]
    return LabelTable.from_dense(ids, [f"c{j}" for j in range(matrix.shape[1])], matrix)


@given(MATRICES)
def test_dense_to_sparse_and_back(matrix: NDArray[np.int8]) -> None:
    table = table_of(matrix)
    assert table.dense().dtype == np.int8
    assert np.array_equal(table.dense(), matrix)
    # Only exceptions from the cheapest default are stored.
    cheapest = np.minimum((matrix != 0).sum(axis=1), (matrix != -1).sum(axis=1)).sum()
    assert len(table.indices) == cheapest


@given(MATRICES, st.data())
def test_rows_and_take_are_numpy_indexing(matrix: NDArray[np.int8], data: st.DataObject) -> None:
    table, n = table_of(matrix), len(matrix)
    index = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=12)), np.int64)
    assert np.array_equal(table.rows(index), matrix[index])
    taken = table.take(index)
    assert np.array_equal(taken.dense(), matrix[index])
    assert list(taken.ids) == [f"{i % n}.jpg" for i in index]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assert np.array_equal(table.rows(mask), matrix[mask])


@given(MATRICES, st.data())
def test_reorder_keeps_labels_by_class_name(matrix: NDArray[np.int8], data: st.DataObject) -> None:
    table = table_of(matrix)
    order = data.draw(st.permutations(range(matrix.shape[1])))
    order = order[: data.draw(st.integers(1, len(order)))]
    other = table.reorder([f"c{j}" for j in order])
    assert np.array_equal(other.dense(), matrix[:, order])
    assert all(
        np.all(np.diff(other.indices[a:b]) > 0) for a, b in zip(other.indptr, other.indptr[1:], strict=False)
    )


@given(MATRICES)
def test_counts(matrix: NDArray[np.int8]) -> None:
    table = table_of(matrix)
    for counts, axis in ((table.counts(), 0), (table.counts_per_image(), 1)):
        for value, found in ((1, counts.positive), (-1, counts.negative), (0, counts.unknown)):
            assert found.tolist() == (matrix == value).sum(axis=axis).tolist()


@given(MATRICES, st.randoms(use_true_random=False))
def test_entries_in_any_order_and_repeated(matrix: NDArray[np.int8], random: object) -> None:
    image, column = np.indices(matrix.shape).reshape(2, -1)
    order = np.random.default_rng(hash(str(random)) % 2**32).permutation(np.tile(np.arange(matrix.size), 2))
    ids, names = [f"{i}.jpg" for i in range(len(matrix))], [f"c{j}" for j in range(matrix.shape[1])]
    flat = matrix.ravel()
    table = LabelTable.from_entries(ids, names, image[order], column[order], flat[order])
    assert table == table_of(matrix)
    assert np.array_equal(table.dense(), matrix)


@given(MATRICES)
def test_with_default_works_on_cells_not_on_storage(matrix: NDArray[np.int8]) -> None:
    table = table_of(matrix)
    assert np.array_equal(table.with_default(True).dense(), np.where(matrix == 1, 1, -1))
    assert np.array_equal(table.with_default(False).dense(), np.where(matrix == 1, 1, 0))
    assert len(table.with_default(True).indices) == (matrix == 1).sum()


def test_known_beats_unknown_and_the_larger_weight_stays() -> None:
    table = LabelTable.from_entries(
        ["a"], ["x", "y"], [0, 0, 0], [1, 1, 0], [0, 1, 1], weights=[0.2, 0.5, 1.0]
    )
    assert table.dense().tolist() == [[1, 1]]
    assert table.weight_rows([0]).tolist() == [[1.0, 0.5]]


def test_weight_of_a_default_cell_is_kept() -> None:
    table = LabelTable.from_entries(["a"], ["x", "y"], [0], [1], [-1], weights=[0.5], default=-1)
    assert table.weight_rows([0]).tolist() == [[1.0, 0.5]]
    assert table.dense().tolist() == [[-1, -1]]


def test_conflict_names_image_and_class() -> None:
    with pytest.raises(LabelConflict, match=r"'b' is marked both present and absent for class 'y'") as caught:
        LabelTable.from_entries(["a", "b"], ["x", "y"], [0, 1, 1], [0, 1, 1], [1, 1, -1])
    assert (caught.value.image, caught.value.column) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "a"], ["x"], [[1], [0]]), "image 'a' appears twice"),
        ((["a"], ["x", "x"], [[1, 0]]), "class 'x' stands twice"),
        ((["a"], [" x"], [[1]]), "class name ' x'"),
        ((["a"], ["x"], [[2]]), "label 2 has no meaning"),
        ((["a"], ["x"], [[1, 0]]), r"shape \(1, 2\), expected \(1, 1\)"),
    ],
)
def test_bad_matrix(arguments: tuple[list[str], list[str], list[list[int]]], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        LabelTable.from_dense(*arguments)


@pytest.mark.parametrize(("weight", "default"), [(0.0, 0), (1.5, 0), (float("nan"), 0), (0.5, 1)])
def test_bad_weight_or_default(weight: float, default: int) -> None:
    with pytest.raises(OneLabelError):
        LabelTable.from_entries(["a"], ["x"], [0], [0], [1], weights=[weight], default=default)


@pytest.mark.parametrize("index", [[2], [-3], [0, 99]])
def test_rows_that_do_not_exist(index: list[int]) -> None:
    with pytest.raises(IndexError):
        table_of(np.zeros((2, 3), np.int8)).rows(index)


def test_fraction_as_row_number_is_refused() -> None:
    with pytest.raises(TypeError):
        table_of(np.zeros((2, 3), np.int8)).rows([0.5])


def test_part_and_pickle() -> None:
    table = replace(
        table_of(np.eye(3, dtype=np.int8)), splits=np.array([0, 1, -1], np.int8), split_names=("train", "val")
    )
    assert list(table.part("val").ids) == ["1.jpg"]
    assert pickle.loads(pickle.dumps(table)) == table
    with pytest.raises(OneLabelError, match=r"unknown split 'vall' \(did you mean 'val'\?\)"):
        table.part("vall")
    with pytest.raises(OneLabelError, match="--split-column"):
        table_of(np.eye(2, dtype=np.int8)).part("val")


def test_equality_looks_at_names_not_at_codes() -> None:
    table = table_of(np.eye(2, dtype=np.int8))
    groups = replace(table, groups=np.array([0, 1], np.int32), group_names=IdTable.from_strings(["p", "q"]))
    swapped = replace(table, groups=np.array([1, 0], np.int32), group_names=IdTable.from_strings(["q", "p"]))
    other = replace(table, groups=np.array([1, 0], np.int32), group_names=IdTable.from_strings(["p", "q"]))
    assert groups == swapped
    assert groups != other
    assert groups != table
    assert table != table.reorder(["c1", "c0"])


def test_ten_thousand_classes_take_memory_of_what_is_marked() -> None:
    n, classes = 200_000, 10_000
    buffer = np.frombuffer("".join(f"{i:07d}" for i in range(n)).encode(), np.uint8)
    ids = IdTable(buffer, np.arange(n + 1, dtype=np.int64) * 7)
    table = LabelTable.from_entries(
        ids,
        [f"c{j}" for j in range(classes)],
        np.arange(n),
        np.arange(n) % classes,
        np.ones(n, np.int8),
        default=-1,
    )
    stored = sum(a.nbytes for a in (table.default, table.indptr, table.indices, table.values))
    assert stored < 15 * n
    assert table.counts().positive.tolist() == [20] * classes
    assert table.rows([5, n - 1]).sum(axis=1).tolist() == [2 - classes] * 2
