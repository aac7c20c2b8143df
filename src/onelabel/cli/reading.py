"""The options that say how a label file is read: the same for every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onelabel.labels.table import LabelTable


def read_labels(
    labels: str,
    *,
    format: str = "auto",
    exhaustive: bool | None = None,
    values: str | None = None,
    classes: str | None = None,
    delimiter: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
) -> LabelTable:
    """Read labels and print how they were read.

    Args:
        labels: folder of class folders, CSV file (wide, long or list) or COCO JSON.
        format: layout of the file; "auto" detects and prints it.
        exhaustive: what is not marked present is absent; with --no-exhaustive it is unknown.
        values: meaning of the values in a wide or long CSV, such as "1=+,0=-,-1=?".
        classes: file with one class id per line: their order, and the only ones allowed.
        delimiter: what separates the labels in a list CSV, where detection is wrong.
        split_column: column that names the part (train, val, test) of each image.
        group_column: column that names the group (patient, scene) of each image.
    """
    from onelabel.labels.describe import describe
    from onelabel.labels.readers import ReadOptions, load_labels

    options = ReadOptions(
        format=format,
        exhaustive=exhaustive,
        values=values,
        classes_file=classes,
        delimiter=delimiter,
        split_column=split_column,
        group_column=group_column,
    )
    loaded = load_labels(labels, options)
    print(describe(loaded.table, loaded.format))
    for note in loaded.notes:
        print(f"note: {note}")
    return loaded.table
