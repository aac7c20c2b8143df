"""Splits and drawn labels: shared by the methods of a seed, different between seeds, as the commands draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairground import full_table, small_plan
from onelabel.compare.problem import Data, Problem, check_data, make_problem
from onelabel.io.errors import OneLabelError
from onelabel.labels.simulate import simulate_single_positives
from onelabel.labels.table import LabelTable
from onelabel.training.parts import divide


def with_splits(table: LabelTable, names: tuple[str, ...], codes: list[int]) -> LabelTable:
    return replace(table, split_names=names, splits=np.array(codes, np.int8))


def parts_of(problem: Problem) -> list[LabelTable]:
    assert problem.parts.val is not None
    return [problem.parts.train, problem.parts.val, problem.test]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 500), st.sampled_from(["observed", "full"]))
def test_three_parts_share_nothing_and_hold_everything(seed: int, select: str) -> None:
    table = full_table()
    found = make_problem(Data(table), small_plan("x", select=select), seed)
    train, val, test = parts_of(found)
    assert sorted([*train.ids, *val.ids, *test.ids]) == sorted(table.ids)
    truth = table.take(table.ids.rows_of(train.ids)).dense()
    seen = train.dense()
    assert ((seen == 1).sum(axis=1) == 1).all() and not (seen == -1).any()
    assert (truth[seen == 1] == 1).all()
    assert (test.dense() == table.take(table.ids.rows_of(test.ids)).dense()).all()
    assert ((val.dense() == 0).any()) == (select == "observed"), "only full sees complete labels"
    assert found.complete is not None and found.complete.train.ids == train.ids
    assert (found.complete.train.dense() == truth).all()
    assert found.expected == pytest.approx((truth == 1).sum(axis=1).mean())


def test_draws_are_those_of_simulate_and_train() -> None:
    table = with_splits(full_table(), ("train", "test"), [0] * 60 + [1] * 30)
    found = make_problem(Data(table), small_plan("x"), 7)
    single = simulate_single_positives(table, seed=7)
    theirs = divide(single, None, 0.2, 7)
    assert found.parts.val is not None and theirs.val is not None
    assert found.parts.train.ids == theirs.train.ids and found.parts.val.ids == theirs.val.ids
    assert (found.parts.train.dense() == theirs.train.dense()).all()
    assert (found.parts.val.dense() == theirs.val.dense()).all()


def test_named_parts_stay_and_each_is_drawn_by_itself() -> None:
    table = with_splits(full_table(), ("val", "train", "test"), [0] * 20 + [1] * 40 + [2] * 30)
    first, second = (make_problem(Data(table), small_plan("x"), seed) for seed in (0, 1))
    for a, b in zip(parts_of(first), parts_of(second), strict=True):
        assert a.ids == b.ids
    assert not (first.parts.train.dense() == second.parts.train.dense()).all()
    alone = simulate_single_positives(table, seed=0)
    assert (first.parts.train.dense() == alone.part("train").dense()).all()


def test_seeds_differ_and_a_seed_repeats() -> None:
    table, plan = full_table(), small_plan("x")
    again = [make_problem(Data(table), plan, seed) for seed in (3, 3, 4)]
    assert again[0].test.ids == again[1].test.ids != again[2].test.ids
    assert (again[0].parts.train.dense() == again[1].parts.train.dense()).all()


def test_a_group_is_never_in_two_parts() -> None:
    table = full_table()
    table = replace(
        table,
        groups=(np.arange(90) // 3).astype(np.int32),
        group_names=type(table.ids).from_strings(map(str, range(30))),
    )
    for seed in range(5):
        parts = parts_of(make_problem(Data(table), small_plan("x"), seed))
        groups = [{int(name[6:9]) // 3 for name in part.ids} for part in parts]
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_checked_images_are_in_no_part() -> None:
    table = full_table()
    seen = simulate_single_positives(table, seed=1)
    checked = table.take(np.arange(0, 90, 4))
    found = make_problem(Data(seen, checked), small_plan("x", simulate=False), 0)
    used = {name for part in parts_of(found) for name in part.ids}
    assert not used & set(checked.ids) and len(used) == 90 - len(checked)
    assert found.complete is None and found.checked is checked
    assert found.expected == pytest.approx((checked.dense() == 1).sum(axis=1).mean())


def test_labels_that_are_not_what_was_said_are_refused() -> None:
    full, single = full_table(), simulate_single_positives(full_table())
    for data, simulate, said in (
        (Data(single), True, "--exhaustive"),
        (Data(full), False, "add --simulate"),
        (Data(full, full), True, "leave --checked out"),
        (Data(single, single), False, "--checked-exhaustive"),
    ):
        with pytest.raises(OneLabelError, match=said):
            check_data(data, small_plan("x", simulate=simulate))


def test_too_few_images_are_refused() -> None:
    with pytest.raises(OneLabelError, match="too few"):
        make_problem(Data(full_table(3)), small_plan("x"), 0)
