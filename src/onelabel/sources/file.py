"""Pseudo-labels from a file: another tagger's, an LLM's, or those of any program."""

from __future__ import annotations

from pathlib import Path

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file
from onelabel.labels.table import LabelTable
from onelabel.sources.opinion_source import OpinionSource
from onelabel.sources.opinions import Opinions
from onelabel.sources.opinions_csv import OpinionsCsv
from onelabel.sources.opinions_npz import read_npz


class FileSource(OpinionSource):
    """Scores or decisions, or both, from a file, matched by id whatever the order.

    A CSV file has a row for each image and class, ``image,class,score,decision``, of which score (or
    decision) may be missing or blank; or a row for each image with a column of scores for each class. Blank
    is "no opinion". A parquet file holds the same (it needs ``pip install onelabel[parquet]``). An
    ``.npz`` file holds plain arrays:

    * ``ids`` (N,) text: image ids, as in the labels;
    * ``classes`` (C,) text: class ids, as in the labels;
    * ``pseudo`` (N, C) integers: +1 present, 0 no decision, -1 absent; or
    * ``score`` (N, C) numbers in [0, 1], how probable "present" is; or both;
    * ``known`` (N, C) booleans, optional: False where there is no opinion at all.

    Every image of the labels must be there, also one without an opinion; further images are left aside. A
    class that the labels do not have is refused; one that the file does not have gets no pseudo-labels. Of
    scores alone, a rule (``--rule``) must say which are pseudo-labels: none is guessed.

    Args:
        path: the file; on the command line ``--source FILE`` is enough.

    Raises:
        OneLabelError: there is no such file, or it cannot be read as described; with line and reason.

    Example:
        >>> import tempfile
        >>> import numpy as np, torch
        >>> path = Path(tempfile.mkdtemp()) / "tags.npz"
        >>> np.savez(path, ids=["b.jpg", "a.jpg"], classes=["dog", "cat"], pseudo=[[1, 0], [1, -1]])
        >>> source = FileSource(path)
        >>> source.start(LabelTable.from_dense(["a.jpg"], ["cat", "dog"], [[0, 0]]))
        >>> nothing = torch.zeros(1, 2, dtype=torch.int8)
        >>> source.pseudo(torch.tensor([0]), nothing, torch.tensor([False]), epoch=1)
        (tensor([[-1,  1]], dtype=torch.int8), tensor([[0., 1.]]))
    """

    def __init__(self, path: str | Path = "") -> None:
        super().__init__(str(path))
        if not str(path):
            raise OneLabelError("the source 'file' needs its file: give --source FILE.csv or FILE.npz")
        file = Path(path)
        if not file.is_file():
            raise OneLabelError(f"there is no file {file} of pseudo-labels")
        rows = file.suffix.lower() in (".csv", ".parquet")
        self._found = OpinionsCsv.open(file) if rows else read_npz(file)
        if isinstance(self._found, OpinionsCsv):
            self.decides = self._found.decides
        else:
            self.decides = self._found.decision is not None
        self.provenance = {"file": file.name, "sha256": digest_file(file)}

    def _read(self, table: LabelTable) -> Opinions:
        return self._found.read(table.class_ids) if isinstance(self._found, OpinionsCsv) else self._found
