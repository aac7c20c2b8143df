"""``scripts/write_results.py``: what it writes is what the run folders hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairground import full_table, small_plan, write_features
from onelabel.compare.problem import Data
from onelabel.compare.run import compare
from onelabel.io.manifest import write_manifest

SCRIPT = Path(__file__).parents[1] / "scripts" / "write_results.py"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A demo that printed a table, and a real comparison of a toy set."""
    demo, comparisons = tmp_path / "demo", tmp_path / "comparisons"
    demo.mkdir()
    comparisons.mkdir()
    write_manifest(demo / "demo.json", "onelabel-demo", 1, {"finished": True})
    (demo / "table.txt").write_text("AN 12.3\n", encoding="utf-8")
    features = write_features(tmp_path / "features.npz")
    compare(Data(full_table()), small_plan(features), str(comparisons / "toys-observed"))
    return demo, comparisons


def run(demo: Path, comparisons: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(demo), str(comparisons)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_row_of_the_comparison_is_there(folders: tuple[Path, Path]) -> None:
    written = run(*folders).stdout
    assert "```text\nAN 12.3\n```" in written
    found = json.loads((folders[1] / "toys-observed" / "compare.json").read_text("utf-8"))
    assert len(found["rows"]) >= 4
    for row in found["rows"]:
        begin = f"| {row['method']} | {100 * row['mean']:.1f} ± {100 * row['sd']:.1f}"
        assert begin in written


def test_what_is_not_finished_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    demo, comparisons = folders
    assert "no finished comparison" in run(demo, tmp_path / "none").stderr
    write_manifest(demo / "demo.json", "onelabel-demo", 1, {"finished": False})
    assert "is not finished" in run(demo, comparisons).stderr
