"""What every reader shares: its options, its result, its entry in the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from onelabel.io.text import printable
from onelabel.labels.table import LabelTable

_FLAGS = {"classes_file": "--classes", "class_ids": "--classes"}


def flag(name: str) -> str:
    """Return how the command line spells an option.

    Example:
        >>> flag("split_column"), flag("classes_file")
        ('--split-column', '--classes')
    """
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


@dataclass(frozen=True)
class ReadOptions:
    """How to read labels; what is left out is detected, and what cannot be known is asked for.

    Args:
        format: name of a reader, ``"module:NAME"`` for one of your own, or ``"auto"``.
        exhaustive: what is not marked is absent (True) or unknown (False); None is "unknown, but ask where
            the file can be read both ways".
        values: meaning of the values, such as ``"1=+,0=-,-1=?"`` (present, absent, unknown).
        classes_file: text file with one class a line: their order, and no others are allowed.
        class_ids: the same from Python, such as the classes of a trained model.
        delimiter: what stands between the labels of a list CSV; with a mark that no cell holds, such as
            ``"|"``, every cell is one label.
        image_column: column with the path of the image.
        label_column: column with the class or the list of classes.
        value_column: column of a long CSV that says present or absent.
        weight_column: column of a long CSV with a weight in (0, 1].
        split_column: column with the split (train, val, test); ``split`` is taken without asking.
        group_column: column with the group (patient, scene); never guessed.
        ignore_columns: columns to leave out.
        images: image folder, for a folder of class folders: ids are relative to it (default: the folder).
        encoding: of a text file, such as ``"windows-1252"``; by default UTF-8, or UTF-16 where the file
            begins with its mark.
    """

    format: str = "auto"
    exhaustive: bool | None = None
    values: str | None = None
    classes_file: str | Path | None = None
    class_ids: tuple[str, ...] | None = None
    delimiter: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    value_column: str | None = None
    weight_column: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    ignore_columns: tuple[str, ...] = ()
    images: str | Path | None = None
    encoding: str | None = None

    def given(self) -> set[str]:
        """Return the names of the options that are set."""
        return {field.name for field in fields(self) if getattr(self, field.name) != field.default}


@dataclass(frozen=True)
class Loaded:
    """Labels as read.

    Args:
        table: the labels.
        format: name of the reader.
        notes: what was decided on the way and should be seen, one sentence each; made printable, as names of
            files stand in them.
        copies: photos that the labels name as well, each the same picture as an image of the table.
    """

    table: LabelTable
    format: str
    notes: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(map(printable, self.notes)))


@dataclass(frozen=True)
class Probe:
    """What detection may look at: the path, and the column names if it is a CSV file.

    Args:
        path: file or folder.
        kind: ``"folder"``, ``"json"``, ``"npy"`` or ``"csv"``, which is a parquet file, too.
        header: column names, lower case, in order; empty unless a CSV.
        options: as given by the user.
    """

    path: Path
    kind: str
    header: tuple[str, ...]
    options: ReadOptions


@dataclass(frozen=True)
class Reader:
    """One label format.

    Args:
        name: what ``--format`` takes.
        summary: one line for the help.
        kind: ``"folder"``, ``"json"``, ``"npy"`` or ``"csv"``, several joined by ``" or "``.
        uses: names of the options that have a meaning for it, beside ``format``, ``exhaustive``, ``images``
            and the classes.
        sniff: whether the path is of this format; asked in the order of the registry.
        read: reads it.
        download: for a published data set, what to download from where, and the folder expected.
    """

    name: str
    summary: str
    kind: str
    uses: frozenset[str]
    sniff: Callable[[Probe], bool]
    read: Callable[[Path, ReadOptions], Loaded]
    download: str = ""
