"""The options that say how a label file is read: the same for every command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelabel.labels.readers import Loaded, ReadOptions
    from onelabel.labels.table import LabelTable


def read_labels(labels: str, **reading: Any) -> LabelTable:
    """Read labels and print how they were read.

    Args:
        labels: as :func:`read_loaded`.
    """
    return read_loaded(labels, **reading).table


def photo_folder(labels: str, images: str | None, format: str | None) -> str | None:
    """Return the folder of the photos: the one given, else the labels where they are class folders."""
    if images is not None or not Path(labels).is_dir():
        return images
    from onelabel.labels.readers import ReadOptions
    from onelabel.labels.readers.registry import choose_reader

    return (
        labels
        if choose_reader(Path(labels), ReadOptions(format=format or "auto")).name == "folders"
        else None
    )


def read_loaded(
    labels: str,
    *,
    images: str | None = None,
    format: str = "auto",
    exhaustive: bool | None = None,
    values: str | None = None,
    classes: str | None = None,
    delimiter: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    value_column: str | None = None,
    weight_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    ignore_columns: str | None = None,
    encoding: str | None = None,
    class_ids: tuple[str, ...] | None = None,
) -> Loaded:
    """Read labels, print how they were read, and return them with what else was found.

    Args:
        labels: CSV or parquet file (wide, long or list), COCO JSON, .npy pair, folder of class folders or of
            .txt files, or folder of a published data set.
        images: folder of the photos.
        format: layout: folders, txt, wide-csv, long-csv, list-csv, coco or npy, or a published data set:
            voc2012, voc2007, coco2014, cub, nus-cole, nus-official, nus-splc or openimages-v3; "auto" detects
            and prints it.
        exhaustive: what is not marked is absent; with --no-exhaustive it is unknown.
        values: meaning of the values in a wide or long CSV, such as "1=+,0=-,-1=?".
        classes: text file with one class id per line: their order, and the only ones allowed.
        delimiter: what separates the labels of a list CSV, where detection is wrong; with one that no cell
            holds, such as "|", every cell is one label.
        image_column: column with the path of the photo.
        label_column: column with the class, or with the list of classes.
        value_column: column of a long CSV that says present or absent.
        weight_column: column of a long CSV with a weight, above 0 and up to 1.
        split_column: column with the part (train, val, test); one called "split" is taken without asking.
        group_column: column with the group (patient, scene); never guessed.
        ignore_columns: columns to leave out, separated by commas.
        encoding: of a text file that is not UTF-8 and has no mark of UTF-16, such as windows-1252.
        class_ids: the classes, where a model or another file has fixed them; no option of a command.
    """
    given = {key: value for key, value in locals().items() if key != "labels" and value is not None}
    from onelabel.labels.readers import load_labels

    return _printed(load_labels(labels, _options(given)))


def read_second(
    labels: str, class_ids: tuple[str, ...], reading: Mapping[str, Any], exhaustive: bool | None = None
) -> LabelTable:
    """Read another label file of the same command, such as ``--val``, and print how it was read.

    Options that cannot be meant for this file, as it is laid out otherwise, are left aside and noted.

    Args:
        labels: as :func:`read_loaded`.
        class_ids: the classes; they take the place of ``--classes``.
        reading: how the labels of the command are read.
        exhaustive: takes the place of the one in ``reading``, unless None.
    """
    given = {key: value for key, value in reading.items() if key != "classes" and value is not None}
    given |= {"class_ids": class_ids} | ({} if exhaustive is None else {"exhaustive": exhaustive})
    from onelabel.labels.readers import load_second

    return _printed(load_second(labels, _options(given))).table


def _options(given: dict[str, Any]) -> ReadOptions:
    from onelabel.labels.readers import ReadOptions

    ignored = tuple(filter(None, given.pop("ignore_columns", "").split(",")))
    classes = given.pop("classes", None)
    return ReadOptions(**given, ignore_columns=ignored, classes_file=classes)


def _printed(loaded: Loaded) -> Loaded:
    from onelabel.labels.describe import describe

    print(describe(loaded.table, loaded.format))
    for note in loaded.notes:
        print(f"note: {note}")
    return loaded
