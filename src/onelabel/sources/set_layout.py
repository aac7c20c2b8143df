"""What the folder of a named set is made of, for writing, reading and finding. Loads next to nothing."""

from __future__ import annotations

from pathlib import Path

KIND, VERSION = "onelabel-pseudo-labels", 1
MANIFEST, TABLE, ARRAYS = "set.json", "table.csv", "opinions.npz"
COLUMNS = ("image", "class", "score", "decision")
FOLDER = "pseudo"
"""Where sets are looked for by name, below the current folder."""


def is_set(path: Path) -> bool:
    """Say whether a folder looks like a set."""
    return (path / MANIFEST).is_file()
