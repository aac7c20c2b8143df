"""The workshop of the commands, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from workshop import Workshop, build_workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Workshop:
    """Photos, labels, networks and stores; no test may change them."""
    return build_workshop(tmp_path_factory.mktemp("work shop ü"), tiny_clip)
