"""Every method trains on single positives of real data and beats chance; the whole table is a benchmark."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from onelabel.compare.summary import Summary
from onelabel.methods.registry import catalogue, create

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = [entry.name for entry in catalogue() if not entry.source]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("methods_on_features")


@pytest.fixture(scope="module")
def results(
    benchmark: ModuleType, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Summary]]:
    given = argparse.Namespace(
        data=data, out=tmp_path_factory.mktemp("benchmark"), sets=["emotions"], methods="all", seeds=1,
        epochs=3, lrs=[1e-2], batch_size=16, jobs=1, selects=["full"],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(benchmark.FEATURES, "")
        found: dict[str, dict[str, Summary]] = benchmark.run(given)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_method_beats_chance(
    benchmark: ModuleType, results: dict[str, dict[str, Summary]], name: str
) -> None:
    summary = results["emotions"]["full"]
    source = f" + {benchmark.SOURCE}" if create(name).needs_source else ""
    row, chance = summary.row(f"{name}{source}"), summary.row("chance")
    assert row is not None and chance is not None
    assert 0.2 < chance.mean < 0.4, "six classes, 1.87 labels a row"
    assert row.mean > chance.mean + 0.1


def test_the_tables_name_every_method(
    benchmark: ModuleType, results: dict[str, dict[str, Summary]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "SELECTS", ("full",))
    table = benchmark.methods_table(results)
    assert all(f"\n| {name} " in table for name in NAMES)
    assert benchmark.at_chance(results) == []


def test_both_choices_are_compared_seed_by_seed(
    benchmark: ModuleType, results: dict[str, dict[str, Summary]]
) -> None:
    same = {"emotions": {"observed": results["emotions"]["full"], **results["emotions"]}}
    line = benchmark.selection_table(same).splitlines()[-1]
    assert line.startswith(f"| emotions | {len(NAMES) - 1} | +0.00 ")


def test_the_stand_in_for_a_source_hears_the_neighbours(benchmark: ModuleType) -> None:
    features = np.repeat([[0.0], [9.0]], 12, axis=0) + np.arange(24)[:, None] * 1e-3
    observed = np.repeat(np.eye(2, dtype=np.int8), 12, axis=0)
    np.testing.assert_array_equal(benchmark.neighbours_vote(features, observed), observed)


def test_no_method_is_left_out() -> None:
    assert all(create(entry.name).needs_source for entry in catalogue() if entry.source)
