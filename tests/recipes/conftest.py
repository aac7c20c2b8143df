"""All data sets, made once; no test changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import Bench, build_bench
from fake_archives import ARCHIVES


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Bench:
    """All data sets, and the two networks."""
    return build_bench(tmp_path_factory.mktemp("bench"), tiny_clip, ARCHIVES)
