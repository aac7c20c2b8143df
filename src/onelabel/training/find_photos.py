"""The photos of a label table, all there."""

from __future__ import annotations

from onelabel.images.folder import resolve
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable


def find_photos(table: LabelTable, root: str) -> IdTable:
    """Return the path of each image below the image folder, and print what was noted on the way.

    Args:
        table: labels.
        root: image folder.

    Raises:
        OneLabelError: there is no such folder, an image leaves it, or photos are missing; names a few.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> root = tempfile.mkdtemp()
        >>> (Path(root) / "a.jpg").touch()
        >>> list(find_photos(LabelTable.from_dense(["a.jpg"], ["cat"], [[1]]), root))
        ['a.jpg']
    """
    found = resolve(table.ids, root)
    for note in found.notes:
        print(f"note: {note}")
    if len(found.missing):
        names = ", ".join(table.ids.text(int(row)) for row in found.missing[:3])
        raise OneLabelError(
            f"{len(found.missing)} of {len(table)} photos are missing in {root} (such as {names}): "
            "run onelabel check for the list"
        )
    return found.paths
