"""``--method NAME`` and ``--source NAME`` with their parameters."""

from __future__ import annotations

from onelabel.cli.parser import Choice


def _method_class(name: str) -> type:
    from onelabel.methods.registry import load

    return load(name)


def _source_class(name: str) -> type:
    from onelabel.sources.registry import load

    return load(name)


METHOD = Choice("method", _method_class)
SOURCE = Choice("source", _source_class, skip=frozenset({"store", "texts"}))
