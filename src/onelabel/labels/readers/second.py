"""A second label file of one command, such as the one of ``--val``, read by the options of the first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from onelabel.labels.readers.base import Loaded, ReadOptions, flag
from onelabel.labels.readers.columns import COLUMN_OPTIONS, has_image
from onelabel.labels.readers.registry import (
    READERS,
    choose_reader,
    find_reader,
    load_labels,
    probe_of,
    useless,
)
from onelabel.labels.readers.tables import open_table


def load_second(path: str | Path, options: ReadOptions) -> Loaded:
    """Read labels as :func:`load_labels`, but leave aside, and note, what cannot be meant for this file.

    That is a format that the file cannot be of, a column that it does not have, and an option that has no
    meaning for its format.

    Raises:
        OneLabelError: as :func:`load_labels`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "val.csv"
        >>> _ = path.write_text("image,cat,dog\\na.jpg,1,-1\\n")
        >>> loaded = load_second(path, ReadOptions(delimiter="|"))
        >>> loaded.format, loaded.notes
        ('wide-csv', ('--delimiter has no meaning for wide-csv and was left aside for val.csv',))
    """
    path, notes = Path(path), []
    if path.is_file() or path.is_dir():
        for fit in (_fit_columns, _fit_format, _fit_reader):
            options, found = fit(path, options)
            notes += [f"{reason} and was left aside for {path.name}" for reason in found]
    loaded = load_labels(path, options)
    return replace(loaded, notes=(*notes, *loaded.notes))


def _fit_columns(path: Path, options: ReadOptions) -> tuple[ReadOptions, list[str]]:
    """Leave aside columns that are not there; the image column only if another has a usual name."""
    if probe_of(path, options).kind != "csv":
        return options, []
    header = open_table(path, options.encoding).header
    named = {option: getattr(options, option) for option in COLUMN_OPTIONS}
    absent = {option: name for option, name in named.items() if name is not None and name not in header}
    if not has_image(probe_of(path, replace(options, image_column=None))):
        absent.pop("image_column", None)
    notes = [
        f"{flag(option)} names the column {name!r}, which is not there," for option, name in absent.items()
    ]
    ignored = tuple(name for name in options.ignore_columns if name in header)
    gone: dict[str, Any] = dict.fromkeys(absent)
    return replace(options, ignore_columns=ignored, **gone), notes


def _fit_format(path: Path, options: ReadOptions) -> tuple[ReadOptions, list[str]]:
    """Leave aside a format of another kind of file, and one of a CSV file with other columns."""
    if options.format == "auto":
        return options, []
    reader, probe = find_reader(options.format), probe_of(path, options)
    sure = probe.kind != "csv" or options.label_column is not None or reader not in READERS
    if probe.kind in reader.kind.split(" or ") and (sure or reader.sniff(probe)):
        return options, []
    return replace(options, format="auto"), [f"--format {options.format} does not fit"]


def _fit_reader(path: Path, options: ReadOptions) -> tuple[ReadOptions, list[str]]:
    reader = choose_reader(path, options)
    left = useless(reader, options)
    notes = [f"{flag(name)} has no meaning for {reader.name}" for name in left]
    return replace(options, **{name: getattr(ReadOptions, name) for name in left}), notes
