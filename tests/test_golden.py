"""Parity with the released codes: every file of the folder named by ONELABEL_GOLDEN has its reader.

A file that nobody maps, and an array that nobody reads, fail.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from golden_archive import Archive
from golden_losses import READERS, Reader, compare
from golden_state import STATE

# Read by the tests of the room that they belong to.
ELSEWHERE = {
    "formatters.npz": "tests/labels",
    "observe.npz": "tests/labels",
    "split.npz": "tests/labels",
    "metrics.npz": "tests/evaluation",
    "pixels.npz": "tests/images",
    "pseudo_damp.npz": "tests/sources",
    "pseudo_fixed9.npz": "tests/sources",
    "pseudo_vlpl.npz": "tests/sources",
    "relation.npz": "tests/sources",
    "text_features.npz": "tests/sources",
}

NO_METHOD = {
    "loss_smooth_ce.npz": "softmax cross-entropy in a helper that AEVLP never trains with",
    "loss_weight.npz": "an experiment left in two codes, in no paper; its float32 gradient is not a number",
}


def archive(golden: Path, name: str) -> Archive:
    if not (golden / name).is_file():
        pytest.skip(f"{name} is not in this folder")
    return Archive(golden / name)


def test_every_file_has_one_reader(golden: Path) -> None:
    groups = [set(READERS), set(STATE), set(ELSEWHERE), set(NO_METHOD)]
    mapped = set().union(*groups)
    assert sum(map(len, groups)) == len(mapped)
    unmapped = {path.name for path in golden.glob("*.npz")} - mapped
    assert not unmapped, f"no reader for {sorted(unmapped)}"
    assert any((golden / name).is_file() for name in READERS), f"no reference file in {golden}"


@pytest.mark.parametrize("name", READERS)
def test_loss(golden: Path, name: str) -> None:
    compare(archive(golden, name), READERS[name])


@pytest.mark.parametrize("name", STATE)
def test_state(golden: Path, name: str) -> None:
    found = archive(golden, name)
    STATE[name](found)
    assert not found.unread, f"never compared: {sorted(found.unread)[:5]}"


def test_a_wrong_loss_is_noticed(golden: Path) -> None:
    found = archive(golden, "loss_an.npz")
    wrong: Reader = lambda run, logits: READERS["loss_an.npz"](run, logits) * 1.0001  # noqa: E731
    with pytest.raises(AssertionError, match="differs by"):
        compare(found, wrong)
