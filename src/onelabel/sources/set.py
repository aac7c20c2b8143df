"""A named set of pseudo-labels as a source."""

from __future__ import annotations

from pathlib import Path

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.named import NamedSet, find_set
from onelabel.sources.opinion_source import OpinionSource
from onelabel.sources.opinions import Opinions
from onelabel.sources.set_layout import ARRAYS, FOLDER


class SetSource(OpinionSource):
    """A named set of pseudo-labels, made by ``onelabel pseudo``.

    Args:
        path: its name in the folder ``pseudo``, or its folder; on the command line ``--source NAME`` is
            enough.

    Raises:
        OneLabelError: there is none, or one of its files was changed.
    """

    def __init__(self, path: str | Path = "") -> None:
        if not str(path):
            raise OneLabelError("the source 'set' needs its name: give --source NAME")
        found = NamedSet.open(find_set(str(path), FOLDER))
        super().__init__(f"the set {found.name}")
        self._set = found
        self.provenance = {"set": found.name, "sha256": str(found.facts["digests"][ARRAYS])}

    def _read(self, table: LabelTable) -> Opinions:  # noqa: ARG002 (the set has its own classes)
        return self._set.opinions()
