"""Every method trains on single positives of real data and beats chance; the whole table is a benchmark."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from onelabel.methods.registry import catalogue, create

FILE = Path(__file__).parents[2] / "benchmarks" / "methods_on_features.py"
NAMES = [entry.name for entry in catalogue() if not entry.source]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("methods_on_features", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def problem(benchmark: ModuleType, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return benchmark.make_problem(benchmark.load("emotions", data), 0, 3, tmp_path_factory.mktemp("pseudo"))


@pytest.mark.parametrize("name", NAMES)
def test_every_method_beats_chance(benchmark: ModuleType, problem: Any, name: str) -> None:
    found, chance = benchmark.test_map(name, problem), problem.chance
    assert 0.2 < chance < 0.4, "six classes, 1.87 labels a row"
    assert found > chance + 0.1


def test_the_problem_has_single_positives_and_complete_judges(problem: Any) -> None:
    train, test, full = problem.parts.train.dense(), problem.test.dense(), problem.full.dense()
    assert ((train == 1).sum(axis=1) == 1).all() and not (train == -1).any()
    assert (problem.parts.val.dense() != 0).all() and (test != 0).all()
    assert (full[train == 1] == 1).all(), "what is observed is true"
    ids = [set(table.ids) for table in (problem.parts.train, problem.parts.val, problem.test)]
    assert not (ids[0] & ids[1] or ids[0] & ids[2] or ids[1] & ids[2])
    assert len(set.union(*ids)) == 593


def test_a_method_at_chance_is_named(benchmark: ModuleType) -> None:
    results = {"chance": {"set": [0.3, 0.5]}, "good": {"set": [0.6, 0.5]}, "bad": {"set": [0.3, 0.5]}}
    assert list(benchmark.at_chance(results)) == ["bad on set"]
    assert "| good | 55.0 ± 7.1 |" in benchmark.markdown(results).splitlines()


def test_the_stand_in_for_a_source_hears_the_neighbours(benchmark: ModuleType) -> None:
    features = np.repeat([[0.0], [9.0]], 12, axis=0) + np.arange(24)[:, None] * 1e-3
    observed = np.repeat(np.eye(2, dtype=np.int8), 12, axis=0)
    np.testing.assert_array_equal(benchmark.neighbours_vote(features, observed), observed)


def test_no_method_is_left_out(benchmark: ModuleType) -> None:
    assert list(benchmark.METHODS) == NAMES
    assert all(create(entry.name).needs_source for entry in catalogue() if entry.source)
