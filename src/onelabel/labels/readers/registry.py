"""All label formats, and the way to one of them."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from onelabel.io.errors import LabelFileError, OneLabelError, unknown_name
from onelabel.labels.datasets import coco2014, cub, nus, openimages, voc
from onelabel.labels.readers import coco, folders, list_csv, long_csv, npy, txt, wide_csv
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions, flag
from onelabel.labels.readers.columns import no_image_column
from onelabel.labels.readers.encoding import check_text
from onelabel.labels.readers.tables import NUMPY, PARQUET, has_magic, open_table

READERS: tuple[Reader, ...] = (
    voc.READER_2012,
    voc.READER_2007,
    coco2014.READER,
    cub.READER,
    nus.COLE,
    nus.OFFICIAL,
    nus.SPLC,
    openimages.READER,
    npy.READER,
    txt.READER,
    folders.READER,  # after every other folder: it takes any
    coco.READER,
    list_csv.READER,
    long_csv.READER,
    wide_csv.READER,  # last: it takes any CSV with an image column
)

_FOR_ALL = {"format", "exhaustive", "classes_file", "class_ids", "images"}


def load_labels(path: str | Path, options: ReadOptions | None = None) -> Loaded:
    """Read labels: a folder, a CSV, JSON, parquet or NumPy file, or the folder of a published data set.

    Args:
        path: file or folder.
        options: how to read it; by default all is detected.

    Returns:
        The table, the name of the format, and notes that the user should see.

    Raises:
        OneLabelError: the file is missing, cannot be read as it stands, or can be read in two ways; the
            message names file, line and column and says what to change.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> _ = path.write_text("image,labels\\na.jpg,cat|dog\\nb.jpg,\\n")
        >>> loaded = load_labels(path)
        >>> loaded.format, loaded.table.class_ids, loaded.table.dense().tolist()
        ('list-csv', ('cat', 'dog'), [[1, 1], [0, 0]])
    """
    path, options = Path(path), options or ReadOptions()
    reader = choose_reader(path, options)
    if not options.given() & {"format", "classes_file", "class_ids"} and not reader.download:
        nus.refuse_unnamed_list(path)
    for name in useless(reader, options):
        text = f"{flag(name)} has no meaning for {reader.name}: leave it out, or force another --format"
        raise OneLabelError(text)
    try:
        return reader.read(path, options)
    except OneLabelError as error:
        if reader.download and _is_about_a_file_in(path, error, options):
            advice = f"the files of {reader.name} are incomplete or changed: unpack the archive again"
            error.args = (f"{error}; {advice}",)
        raise


def choose_reader(path: Path, options: ReadOptions) -> Reader:
    """Return the reader that the options name, or that fits what lies at the path.

    Raises:
        OneLabelError: the file is missing or cannot be read, no reader fits, or several do.
    """
    if not path.exists():
        raise OneLabelError(f"there is no label file or folder {path}{_download(options)}")
    if not path.is_dir() and not path.is_file():
        raise OneLabelError(f"{path} is neither a file nor a folder: save the labels to a file first")
    probe = probe_of(path, options)
    reader = _detect(probe) if options.format == "auto" else find_reader(options.format)
    if probe.kind not in reader.kind.split(" or "):
        raise OneLabelError(f"{path} is a {probe.kind}, but --format {reader.name} reads a {reader.kind}")
    return reader


def find_reader(name: str) -> Reader:
    """Return a reader by name, or your own by ``"module:NAME"``.

    Raises:
        OneLabelError: there is none; the nearest name is given.

    Example:
        >>> find_reader("coco").kind
        'json'
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise OneLabelError(f"--format {name}: {error}") from None
        if not isinstance(found, Reader):
            raise OneLabelError(f"--format {name} is not a onelabel.labels.readers.Reader")
        return found
    readers = {reader.name: reader for reader in READERS}
    if name not in readers:
        raise unknown_name("label format", name, [*readers, "auto"])
    return readers[name]


def _download(options: ReadOptions) -> str:
    """Return how to get a published data set that is named and not there."""
    advice = "" if options.format == "auto" else find_reader(options.format).download
    return advice and f". {advice}"


def _kind(path: Path, options: ReadOptions) -> str:
    if path.is_dir():
        return "folder"
    if has_magic(path, NUMPY):
        return "npy"
    if has_magic(path, PARQUET):
        return "csv"
    with path.open(encoding=check_text(path, options.encoding)) as stream:
        start = stream.read(4096).lstrip()
    return "json" if start[:1] in ("{", "[") or path.suffix.lower() == ".json" else "csv"


def probe_of(path: Path, options: ReadOptions) -> Probe:
    """Return what detection may look at.

    Raises:
        LabelFileError: a file that is not text, has no column names, or cannot be read.

    Example:
        >>> probe_of(Path("."), ReadOptions()).kind
        'folder'
    """
    kind = _kind(path, options)
    header = open_table(path, options.encoding).header if kind == "csv" else ()
    return Probe(path, kind, tuple(name.casefold() for name in header), options)


def useless(reader: Reader, options: ReadOptions) -> list[str]:
    """Return the names of the options that are set and have no meaning for a reader.

    Example:
        >>> useless(find_reader("coco"), ReadOptions(delimiter="|", exhaustive=True))
        ['delimiter']
    """
    return sorted(options.given() - reader.uses - _FOR_ALL)


def _detect(probe: Probe) -> Reader:
    path, options = probe.path, probe.options
    found = [reader for reader in READERS if reader.sniff(probe)]
    published = [reader.name for reader in found if reader.download]
    if len(published) > 1:
        raise OneLabelError(f"{path} holds {' and '.join(published)}: choose one with --format")
    if found:
        return found[0]
    if probe.kind == "csv":
        raise no_image_column(open_table(path, options.encoding))
    raise LabelFileError(path, f"no reader for it; known: {', '.join(reader.name for reader in READERS)}")


def _is_about_a_file_in(path: Path, error: OneLabelError, options: ReadOptions) -> bool:
    """Whether a message begins with the name of a file in the folder, but for the one of ``--classes``."""
    return str(error).startswith(f"{path}{os.sep}") and not str(error).startswith(f"{options.classes_file}")
