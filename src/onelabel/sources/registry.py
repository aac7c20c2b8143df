"""The catalogue of sources: frozen entries without torch, one line each.

To add a source: write its file beside this one, add its line to ``CATALOGUE``, add its test.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        paper: where it comes from.
        target: ``"module:Class"``.
    """

    name: str
    summary: str
    paper: Paper
    target: str


CATALOGUE = (
    SourceInfo(
        "vlpl", "softmax over classes of image-text cosines, cut at a threshold", papers.VLPL,
        "onelabel.sources.vlpl:VlplSource",
    ),
)  # fmt: skip


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
        onelabel.io.errors.OneLabelError: unknown source 'vpl' (did you mean 'vlpl'?); known: vlpl
    """
    found = {entry.name: entry for entry in CATALOGUE}
    if name not in found:
        raise unknown_name("source", name, found)
    return found[name]


def load(name: str) -> type:
    """Import the class of a source: a name of the catalogue, or a third party's ``"package.module:Class"``.

    Raises:
        OneLabelError: unknown name, or no class stands there.
    """
    return import_class("source", name if ":" in name else info(name).target)
