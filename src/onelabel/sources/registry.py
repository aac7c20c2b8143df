"""The catalogue of sources: frozen entries without torch, one line each.

To add a source: write its file beside this one, add its line to ``CATALOGUE``, add its test.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onelabel.io.errors import unknown_name
from onelabel.io.plugins import import_class
from onelabel.losses import papers
from onelabel.losses.papers import Paper


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """One line of the catalogue.

    Args:
        name: what users type after ``--source``.
        summary: one line on where its pseudo-labels come from.
        paper: where it comes from, or None.
        target: ``"module:Class"``.
    """

    name: str
    summary: str
    paper: Paper | None
    target: str


CATALOGUE = (
    SourceInfo(
        "vlpl", "softmax over classes of image-text cosines, cut at a threshold", papers.VLPL,
        "onelabel.sources.vlpl:VlplSource",
    ),
    SourceInfo(
        "damp", "scores of the whole image and of its tiles, combined, cut at a threshold and a rank",
        papers.AEVLP, "onelabel.sources.damp:DampSource",
    ),
    SourceInfo("file", "pseudo-labels of any origin, by id", None, "onelabel.sources.file:FileSource"),
)  # fmt: skip

FILE_ENDING = ".npz"


def catalogue() -> tuple[SourceInfo, ...]:
    """Return all sources, in the order of the documentation."""
    return CATALOGUE


def info(name: str) -> SourceInfo:
    """Return the entry of a source.

    Raises:
        OneLabelError: no source has this name; the nearest one is named.

    Example:
        >>> info("vpl")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: unknown source 'vpl' (did you mean 'vlpl'?); known: ...
    """
    found = {entry.name: entry for entry in CATALOGUE}
    if name not in found:
        raise unknown_name("source", name, found)
    return found[name]


def load(name: str) -> type:
    """Import the class of a source.

    Args:
        name: of the catalogue, a third party's ``"package.module:Class"``, or a file of pseudo-labels.

    Raises:
        OneLabelError: unknown name, or no class stands there.
    """
    name = spelled_out({"name": name})["name"]
    return import_class("source", name if ":" in name else info(name).target)


def spelled_out(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return name and parameters of a source, where the name of a file may stand for both.

    Example:
        >>> spelled_out({"name": "tags.npz"})
        {'name': 'file', 'path': 'tags.npz'}
        >>> spelled_out({"name": "vlpl", "threshold": 0.2})
        {'name': 'vlpl', 'threshold': 0.2}
    """
    name = str(given["name"])
    return {**given, "name": "file", "path": name} if name.endswith(FILE_ENDING) else dict(given)


def reads_store(kind: type) -> bool:
    """Say whether a source looks at embeddings: its constructor takes a ``store``, and ``texts``."""
    return "store" in inspect.signature(kind).parameters
