"""Which column of a CSV file is what: by name, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onelabel.io.errors import LabelFileError, nearest
from onelabel.labels.readers.base import Probe, ReadOptions, flag
from onelabel.labels.readers.tables import Table

IMAGE_NAMES = (
    "image", "filename", "file_name", "file", "image_path", "image_name", "image_file", "image_id", "imageid",
    "path", "filepath", "file_path", "img", "img_path", "id", "photo", "photo_path", "picture",
)  # fmt: skip
LABEL_NAMES = (
    "label", "class", "category", "tag", "class_name", "label_name", "labelname", "category_name",
)  # fmt: skip
LIST_NAMES = ("labels", "tags", "classes", "categories")
VALUE_NAMES = ("value", "present")
WEIGHT_NAMES = ("weight", "confidence")
SPLIT_NAMES = ("split",)

# Column names of our own wide files where a class has one of the names above, and always for groups, which no
# ordinary column name declares. Where OWN_IMAGE stands, only these are special.
OWN_IMAGE, OWN_SPLIT, OWN_GROUP = "onelabel:image", "onelabel:split", "onelabel:group"
SPECIAL = frozenset(
    (*IMAGE_NAMES, *LABEL_NAMES, *LIST_NAMES, *SPLIT_NAMES, OWN_IMAGE, OWN_SPLIT, OWN_GROUP)
)  # fmt: skip

CSV_OPTIONS = frozenset({"image_column", "split_column", "group_column", "ignore_columns", "encoding"})
COLUMN_OPTIONS = (
    "image_column", "label_column", "value_column", "weight_column", "split_column", "group_column",
)  # fmt: skip
_PHOTO = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")


@dataclass(frozen=True)
class Columns:
    """Positions of the columns that every CSV format has.

    Args:
        image: path of the image.
        split: split of the image, if there is such a column.
        group: group of the image, if there is such a column.
        rest: all others that are not to be ignored.
        notes: what was decided without being asked.
    """

    image: int
    split: int | None
    group: int | None
    rest: tuple[int, ...]
    notes: tuple[str, ...]


def plain(name: str) -> str:
    """Return a column name as it is compared with the known ones.

    Example:
        >>> plain(" Image-ID ")
        'image_id'
    """
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def named(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the position of the first of ``names`` that is in the header, or None.

    Example:
        >>> named(["id", "Image"], ("image", "id"))
        1
    """
    found = {plain(column): position for position, column in reversed(list(enumerate(header)))}
    return next((found[name] for name in names if name in found), None)


def optional(file: Table, options: ReadOptions, option: str, names: Sequence[str]) -> int | None:
    """Return the position of the column that an option names, else of one called as in ``names``, else None.

    A column that is to be ignored, or that another option names, is not guessed.

    Raises:
        LabelFileError: the option names a column that is not there.
    """
    name = getattr(options, option)
    if name is not None:
        return _position(file, name, flag(option))
    taken = {*options.ignore_columns, *(getattr(options, other) for other in COLUMN_OPTIONS)}
    return named(["" if column in taken else column for column in file.header], names)


def needed(file: Table, options: ReadOptions, option: str, names: Sequence[str]) -> int:
    """Return the same for a column that must be there.

    Raises:
        LabelFileError: there is no such column.
    """
    column = optional(file, options, option, names)
    if column is None:
        usual = names[0].rpartition(":")[2]
        text = f"no column is called {usual!r}; name it: {flag(option)} NAME ({_some(file.header)})"
        raise LabelFileError(file.path, text, line=1)
    return column


def has_image(probe: Probe) -> bool:
    """Whether a CSV header has a column that can be the image."""
    return (
        probe.options.image_column is not None or named(probe.header, (OWN_IMAGE, *IMAGE_NAMES)) is not None
    )


def find_columns(file: Table, options: ReadOptions) -> Columns:
    """Find image, split and group.

    Raises:
        LabelFileError: no image column, no column of a name that is given, or one column with two uses.
    """
    own = named(file.header, (OWN_IMAGE,)) is not None
    if _looks_like_data(file.header):
        raise no_image_column(file)
    image = needed(file, options, "image_column", (OWN_IMAGE, *IMAGE_NAMES))
    split = optional(file, options, "split_column", (OWN_SPLIT,) if own else SPLIT_NAMES)
    group = optional(file, options, "group_column", (OWN_GROUP,))
    ignored = {_position(file, name, "--ignore-columns") for name in options.ignore_columns}
    notes = []
    if split is not None and options.split_column is None:
        notes.append(f"column {file.header[split]!r} is read as the split of each image")
    used = [column for column in (image, split, group) if column is not None]
    for column in used:
        if used.count(column) > 1 or column in ignored:
            raise LabelFileError(
                file.path, "the column is given two uses", line=1, column=file.header[column]
            )
    rest = tuple(column for column in range(len(file.header)) if column not in {*used, *ignored})
    return Columns(image, split, group, rest, tuple(notes))


def no_image_column(file: Table) -> LabelFileError:
    """Build the error for a file in which no column is known to hold the image."""
    if _looks_like_data(file.header):
        text = "this is a row of data; begin the file with column names, such as image,label"
    else:
        text = f"no column is called 'image'; name it: --image-column NAME ({_some(file.header)})"
    return LabelFileError(file.path, text, line=1)


def _looks_like_data(header: Sequence[str]) -> bool:
    """Whether a photo stands where a column name should; with a column "image", a class may be called so."""
    photo = any(cell.lower().endswith(_PHOTO) for cell in header)
    return photo and named(header, (OWN_IMAGE, IMAGE_NAMES[0])) is None


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")


def _position(file: Table, name: str, option: str) -> int:
    if name in file.header:
        return file.header.index(name)
    raise LabelFileError(file.path, f"no column {name!r} for {option}{nearest(name, file.header)}", line=1)


def unused_note(file: Table, columns: Columns, used: set[int | None]) -> tuple[str, ...]:
    """Return a note on the columns that were not read, if there are any."""
    names = [repr(file.header[column]) for column in columns.rest if column not in used]
    return (f"columns not read: {', '.join(names)}",) if names else ()
