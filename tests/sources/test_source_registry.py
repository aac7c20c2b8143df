"""The catalogue of sources."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onelabel.io.errors import OneLabelError
from onelabel.sources import registry
from onelabel.sources.vlpl import VlplSource


def test_every_entry_names_a_class_that_is_a_source() -> None:
    for entry in registry.catalogue():
        kind = registry.load(entry.name)
        assert all(callable(getattr(kind, name, None)) for name in ("start", "pseudo"))
    assert registry.load("vlpl") is VlplSource


def test_third_party_classes_are_loaded_by_their_address() -> None:
    assert registry.load("onelabel.sources.vlpl:VlplSource") is VlplSource


def test_only_sources_that_look_at_embeddings_read_a_store() -> None:
    found = {entry.name: registry.reads_store(registry.load(entry.name)) for entry in registry.catalogue()}
    assert found["vlpl"] and not found["file"]


def test_unknown_names_give_the_nearest() -> None:
    with pytest.raises(OneLabelError, match="did you mean 'vlpl'"):
        registry.load("vlp")


def test_the_registry_loads_no_torch() -> None:
    code = "import sys, onelabel.sources.registry, onelabel.sources.base; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
