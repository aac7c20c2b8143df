"""Named sets of pseudo-labels on disk: made once, graded, listed, compared, trained on, deleted.

A set is a folder: ``set.json`` says what it is, where it comes from and how good it is; ``table.csv`` holds
the pseudo-labels for people and other programs; ``opinions.npz`` holds every score and decision.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from onelabel.io.atomic import atomic_folder
from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.manifest import digest_file, read_manifest, write_manifest
from onelabel.sources.opinions import Opinions
from onelabel.sources.opinions_npz import read_npz, write_npz
from onelabel.sources.set_layout import ARRAYS, COLUMNS, KIND, MANIFEST, TABLE, VERSION, is_set

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class NamedSet:
    """A set of pseudo-labels, checked by digest.

    Args:
        path: its folder.
        facts: content of ``set.json``: counts, source, rule, provenance, grade.
    """

    path: Path
    facts: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> NamedSet:
        """Open a set.

        Raises:
            OneLabelError: there is none, or one of its files was changed.
        """
        path = Path(path)
        if not is_set(path):
            raise OneLabelError(f"{path} is no set of pseudo-labels: onelabel pseudo --list lists them")
        facts = read_manifest(path / MANIFEST, KIND, VERSION)
        digests = facts.get("digests")
        for name in (TABLE, ARRAYS):
            file = path / name
            if not isinstance(digests, dict) or not file.is_file() or digest_file(file) != digests.get(name):
                raise OneLabelError(
                    f"{file} is missing or was changed since the set was made: make it again (to train on a "
                    f"table that was corrected by hand, copy it and give --source COPY.csv)"
                )
        return cls(path, facts)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    def opinions(self) -> Opinions:
        """Read scores and decisions."""
        return read_npz(self.path / ARRAYS)


def check_name(name: str, taken: tuple[str, ...]) -> None:
    """Check that a set may have a name.

    Args:
        name: of the set.
        taken: names with another meaning for ``--source``.

    Raises:
        OneLabelError: it is not a plain folder name, or is taken.

    Example:
        >>> check_name("a/b", ())
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: --name 'a/b': letters, digits, '-', '_' and '.' make a name, ...
    """
    plain = bool(name) and all(c.isalnum() or c in "-_." for c in name) and name[0] not in "-."
    if not plain or name.endswith((".csv", ".npz")):
        raise OneLabelError(
            f"--name {name!r}: letters, digits, '-', '_' and '.' make a name, which begins with none of the "
            "signs and is no file name"
        )
    if name in taken:
        raise OneLabelError(f"--name {name!r} is the name of a source; give another")


def write_set(path: str | Path, opinions: Opinions, facts: Mapping[str, Any], *, overwrite: bool) -> NamedSet:
    """Write a set; it appears, or replaces an older one, only when it is complete.

    Args:
        path: folder to make.
        opinions: scores and decisions.
        facts: what else ``set.json`` is to hold, JSON-like.
        overwrite: replace a set of this name; nothing else is ever replaced.

    Raises:
        OneLabelError: the folder exists, or is no set, or cannot be written.
    """
    path = require_free(path, overwrite=overwrite)
    with atomic_folder(path, overwrite=overwrite) as folder:
        with (folder / TABLE).open("w", encoding="utf-8", newline="") as text:
            _write_table(text, opinions)
        with (folder / ARRAYS).open("wb") as stream:
            write_npz(stream, opinions)
        digests = {name: digest_file(folder / name) for name in (TABLE, ARRAYS)}
        write_manifest(folder / MANIFEST, KIND, VERSION, {**facts, "digests": digests})
    return NamedSet.open(path)


def require_free(path: str | Path, *, overwrite: bool) -> Path:
    """Check that a folder may become a set, before any work.

    Raises:
        OneLabelError: it exists, and ``overwrite`` is False or it is no set.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OneLabelError(f"{path} exists already; give another --name or add --overwrite")
    if path.exists():
        _require_ours(path)
    return path


def _require_ours(path: Path) -> None:
    """Refuse a folder that holds anything but a set: it is about to be removed."""
    if not is_set(path) or path.is_symlink():
        raise OneLabelError(f"{path} is no set of pseudo-labels and will not be removed")
    read_manifest(path / MANIFEST, KIND, VERSION)
    others = sorted(file.name for file in path.iterdir() if file.name not in (MANIFEST, TABLE, ARRAYS))
    if others:
        raise OneLabelError(f"{path} also holds {others[0]}, which is no part of a set: move it away first")


def delete_set(path: str | Path) -> None:
    """Delete a set.

    Raises:
        OneLabelError: there is none, or the folder holds something else too.
    """
    path = Path(path)
    if not path.is_dir():
        raise OneLabelError(f"there is no set {path}: onelabel pseudo --list lists them")
    _require_ours(path)
    (path / MANIFEST).unlink()  # what is left, should this be interrupted, is no set
    shutil.rmtree(path)


def list_sets(folder: str | Path) -> list[NamedSet]:
    """Return the sets in a folder, by name; their files are not checked."""
    found = sorted(path for path in Path(folder).glob("*") if is_set(path))
    return [NamedSet(path, read_manifest(path / MANIFEST, KIND, VERSION)) for path in found]


def find_set(name: str, folder: str | Path) -> Path:
    """Return the folder of a set, given by path or by its name below ``folder``.

    Raises:
        OneLabelError: there is none; the nearest name is given.
    """
    for path in (Path(folder) / name, Path(name)):
        if is_set(path):
            return path
    known = [found.name for found in list_sets(folder)]
    if not known:
        raise OneLabelError(f"there is no set {name!r}, and none at all in the folder {folder}")
    raise unknown_name("set of pseudo-labels", name, known)


def _write_table(stream: IO[str], opinions: Opinions) -> None:
    """Write a row for each pseudo-label, and one without a class for an image that has none."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for start in range(0, len(opinions.ids), _ROWS_AT_ONCE):
        writer.writerows(_table_rows(opinions, start, min(start + _ROWS_AT_ONCE, len(opinions.ids))))


def _table_rows(opinions: Opinions, start: int, stop: int) -> Iterator[tuple[str, str, str, str]]:
    assert opinions.decision is not None and opinions.score is not None
    for row in range(start, stop):
        image = opinions.ids.text(row)
        columns = np.flatnonzero(opinions.decision[row])
        for column in columns.tolist():
            score = opinions.score[row, column]
            shown = "" if np.isnan(score) else str(score)
            yield image, opinions.class_ids[column], shown, str(opinions.decision[row, column])
        if not len(columns):
            yield image, "", "", ""
