"""The catalogue of sources: frozen entries without torch, one line each.

To add a source: write its file beside this one, add its line to ``CATALOGUE``, add its test.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.plugins import import_class
from onelabel.losses import papers
from onelabel.losses.papers import Paper
from onelabel.sources.set_layout import FOLDER, is_set


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """One line of the catalogue.

    Args:
        name: what users type after ``--source``.
        summary: one line on where its pseudo-labels come from.
        paper: where it comes from, or None.
        target: ``"module:Class"``.
        rule: whether it is a rule on image-text cosines, which ``--rule`` takes too.
    """

    name: str
    summary: str
    paper: Paper | None
    target: str
    rule: bool = False


CATALOGUE = (
    SourceInfo(
        "vlpl", "softmax over classes of image-text cosines, cut at a threshold", papers.VLPL,
        "onelabel.sources.vlpl:VlplSource", rule=True,
    ),
    SourceInfo(
        "damp", "scores of the whole image and of its tiles, combined, cut at a threshold and a rank",
        papers.AEVLP, "onelabel.sources.damp:DampSource", rule=True,
    ),
    SourceInfo("file", "scores or decisions of any origin, by id", None, "onelabel.sources.file:FileSource"),
    SourceInfo("review", "labels of a second look, in any label format", None,
               "onelabel.sources.review:ReviewSource"),
    SourceInfo("bundle", "probabilities of a trained OneLabel model", None,
               "onelabel.sources.bundle:BundleSource"),
    SourceInfo("set", "a named set, made by onelabel pseudo", None, "onelabel.sources.set:SetSource"),
    SourceInfo("several", "two or more sources together", None, "onelabel.sources.several:SeveralSource"),
)  # fmt: skip

RULES = {
    "threshold": "onelabel.sources.rules:Threshold",
    "top": "onelabel.sources.rules:Top",
    "none": "onelabel.sources.rules:Nothing",
}
"""Rules on scores of any origin: name and ``"module:Class"``."""

FILE_ENDINGS = (".csv", ".npz", ".parquet")
STORE = "store"


class StoreFolder:
    """A store of embeddings in the place of a source: it has cosines, and ``--rule`` says what they mean.

    Args:
        path: folder made by ``onelabel embed --vlm``.
    """

    def __init__(self, path: str = "") -> None:
        self.path = path


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
        name: of the catalogue, a third party's ``"package.module:Class"``, or what :func:`spelled_out` takes.

    Raises:
        OneLabelError: unknown name, or no class stands there.
    """
    name = spelled_out({"name": name})["name"]
    if name == STORE:
        return StoreFolder
    return import_class("source", name if ":" in name else info(name).target)


def load_rule(name: str) -> type:
    """Import the class of a rule, on scores or on cosines.

    Args:
        name: of :data:`RULES`, of a source that is a rule, or a third party's ``"package.module:Class"``.

    Raises:
        OneLabelError: unknown name, or no class stands there.
    """
    targets = RULES | {entry.name: entry.target for entry in CATALOGUE if entry.rule}
    if ":" not in name and name not in targets:
        raise unknown_name("rule", name, targets)
    return import_class("rule", targets.get(name, name))


def reads_cosines(rule: str) -> bool:
    """Say whether a rule looks at image-text cosines, and not at scores."""
    return any(entry.rule and entry.name == rule for entry in CATALOGUE)


def spelled_out(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return name and parameters of a source, where a path or the name of a set may stand for both.

    A file of opinions, a run folder, a store and a set are told by what they are; several sources are
    separated by commas.

    Example:
        >>> spelled_out({"name": "tags.npz"})
        {'name': 'file', 'path': 'tags.npz'}
        >>> spelled_out({"name": "vlpl", "threshold": 0.2})
        {'name': 'vlpl', 'threshold': 0.2}
        >>> spelled_out({"name": "vlpl,tags.csv"})["of"]
        [{'name': 'vlpl'}, {'name': 'file', 'path': 'tags.csv'}]
    """
    name = str(given["name"])
    if any(entry.name == name for entry in CATALOGUE):
        if name != "several" or not isinstance(given.get("of"), (list, tuple)):
            return dict(given)
        return {**given, "of": [_part(part) for part in given["of"]]}
    path = Path(name)
    if "," in name and not path.exists():
        return {**given, "name": "several", "of": [_part(part.strip()) for part in name.split(",")]}
    kind = _kind_of(path)
    if kind is None and is_set(Path(FOLDER) / path):
        kind, path = "set", Path(FOLDER) / path
    return dict(given) if kind is None else {**given, "name": kind, "path": str(path)}


def _part(given: Any) -> dict[str, Any]:
    if isinstance(given, str) and given:
        return spelled_out({"name": given})
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return spelled_out(given)
    raise OneLabelError("each of several sources is a name, a file, or {name: NAME, parameter: value}")


def _kind_of(path: Path) -> str | None:
    """Return which source a path is, or None."""
    if str(path).endswith(FILE_ENDINGS):
        return "file"
    if is_set(path):
        return "set"
    if any((folder / "bundle.json").is_file() for folder in (path, path / "bundle")):
        return "bundle"
    return STORE if (path / "manifest.json").is_file() else None


def inputs_of(source: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the paths that a source reads, so that no result replaces them.

    Example:
        >>> inputs_of({"name": "several", "of": ["tags.csv", {"name": "bundle", "path": "r", "images": "p"}]})
        ('tags.csv', 'r', 'p')
    """
    if source is None:
        return ()
    found = spelled_out(source)
    own = [str(found[key]) for key in ("path", "features", "images") if found.get(key)]
    return (*own, *(path for part in found.get("of") or () for path in inputs_of(part)))


def reads_store(kind: type) -> bool:
    """Say whether a source looks at embeddings: its constructor takes a ``store``, and ``texts``."""
    return "store" in inspect.signature(kind).parameters
