"""The tutorial, typed as it stands, on the real photos."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script() -> str:
    """Every command of the tutorial, in order, as one shell script."""
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    shown = [text if kind == "bash" else f"python - <<'END'\n{text}END\n" for kind, text in blocks]
    return "set -euo pipefail\n" + "".join(shown)


def test_the_tutorial_is_found() -> None:
    assert script().count("onelabel train") >= 4 and "python - <<'END'" in script()


@pytest.mark.timeout(1500)
def test_the_tutorial_runs_as_it_stands(data: Path, tmp_path: Path) -> None:
    environment = dict(os.environ) | {
        "ONELABEL_DATA": str(data), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", script()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    chance = float(re.findall(r"\+ present .* ([\d.]+) %", done.stdout)[0])
    means = [float(value) for value in re.findall(r"test mAP ([\d.]+) ±", done.stdout)]
    assert len(means) == 6 and min(means) > 2 * chance, means
    evaluated = [float(value) for value in re.findall(r"^mAP ([\d.]+) over", done.stdout, re.MULTILINE)]
    assert min(evaluated) > chance, evaluated
    with (tmp_path / "tags.csv").open(encoding="utf-8", newline="") as stream:
        decisions = [row["decision"] for row in csv.DictReader(stream)]
    assert len(decisions) > 100 and set(decisions) == {"1", "-1"}
