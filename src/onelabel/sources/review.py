"""What people have looked at: a label file in any format that we read, as a source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.labels.table import LabelTable
from onelabel.sources.opinion_source import OpinionSource
from onelabel.sources.opinions import Opinions


class ReviewSource(OpinionSource):
    """Labels that people gave on a second look: present (score 1), absent (0), or no opinion.

    It may cover some of the images and classes. What the labels themselves say is not touched by it: to
    correct an observed label, correct the label file.

    Args:
        path: folder of class folders, CSV file (wide, long or list) or COCO JSON.
        format: its layout; "auto" detects it.
        exhaustive: what is not marked is absent; with false it is unknown.

    Raises:
        OneLabelError: it cannot be read, or covers none of the images; with line and reason.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "review.csv"
        >>> _ = path.write_text("image,cat,dog\\na.jpg,,-1\\n")
        >>> source = ReviewSource(path)
        >>> source.start(LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[0, 0], [0, 1]]))
        >>> source.notes
        ('... has an opinion on 1 of 2 images',)
        >>> nothing = torch.zeros(2, 2, dtype=torch.int8)
        >>> source.pseudo(torch.arange(2), nothing, torch.zeros(2) > 0, epoch=1)[0].tolist()
        [[0, -1], [0, 0]]
    """

    whole = False

    def __init__(self, path: str | Path = "", format: str = "auto", exhaustive: bool | None = None) -> None:
        super().__init__(str(path))
        if not str(path):
            raise OneLabelError("the source 'review' needs its labels: give --source.path FILE")
        if not Path(path).exists():
            raise OneLabelError(f"there is no review file or folder {path}")
        self._options = ReadOptions(format=format, exhaustive=exhaustive)
        self.provenance = {"review": Path(path).name}
        if Path(path).is_file():
            self.provenance["sha256"] = digest_file(path)

    def _read(self, table: LabelTable) -> Opinions:
        loaded = load_labels(self.origin, replace(self._options, class_ids=table.class_ids))
        return Opinions(loaded.table.ids, table.class_ids, loaded.table.dense(), None)
