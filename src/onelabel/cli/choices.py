"""``--method NAME``, ``--source NAME`` and ``--rule NAME`` with their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from onelabel.cli.parser import Choice


def _method_class(name: str) -> type:
    from onelabel.methods.registry import load

    return load(name)


def _source_class(name: str) -> type:
    from onelabel.sources.registry import load

    return load(name)


def _rule_class(name: str) -> type:
    from onelabel.sources.registry import load_rule

    return load_rule(name)


def _source_of_method(chosen: Mapping[str, str | None]) -> str | None:
    """Return the source that a preset such as ``vlpl`` brings along."""
    from onelabel.methods.registry import info

    method = chosen.get("method")
    return None if method is None or ":" in method else info(method).source or None


_FILLED_IN = frozenset({"store", "texts"})
METHOD = Choice("method", _method_class, skip=frozenset({"expected"}))  # that is --expected-positives
SOURCE = Choice("source", _source_class, skip=_FILLED_IN, usual=_source_of_method)
RULE = Choice("rule", _rule_class, skip=_FILLED_IN)


def complete(choice: Choice, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the default of every parameter that is not given, so that records hold them all.

    Args:
        choice: the option.
        given: ``name`` and parameters.

    Raises:
        OneLabelError: unknown name.

    Example:
        >>> complete(METHOD, {"name": "em"})
        {'name': 'em', 'alpha': 0.1, 'eps': 0.0, 'reduction': 'mean'}
        >>> complete(SOURCE, {"name": "tags.npz", "path": ""})
        {'name': 'file', 'path': 'tags.npz'}
    """
    if choice is SOURCE:
        from onelabel.sources.registry import spelled_out

        given = spelled_out(given)
        if given.get("of"):
            given = {**given, "of": [complete(choice, part) for part in given["of"]]}
    parameters = signature(choice.resolve(str(given["name"]))).parameters.values()
    usual = {p.name: p.default for p in parameters if p.name not in choice.skip and p.default is not p.empty}
    return {"name": given["name"], **usual, **given}
