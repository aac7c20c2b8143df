"""The classes of a label file: those of ``--classes``, or those that are found."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import LabelFileError, OneLabelError, nearest
from onelabel.labels.entries import CONTROL, check_class_ids
from onelabel.labels.readers.base import ReadOptions
from onelabel.labels.readers.encoding import check_text

LONGEST_NAME = 1000
"""Characters of a class name, at most."""


def class_name(text: str) -> str:
    """Return a class name as it is compared: no blanks around it, Unicode NFC.

    Example:
        >>> class_name(" cafe\\u0301 ")
        'café'
    """
    text = text.strip()
    # Sorting the accents of one letter takes quadratic time, and so long a text is no name.
    return unicodedata.normalize("NFC", text) if len(text) <= LONGEST_NAME else text


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Read a class file: one class a line, blank lines left out.

    Raises:
        LabelFileError: missing, empty, not text, or with a class that stands twice, naming the line.
    """
    path = Path(path)
    lines: dict[str, int] = {}
    with path.open(encoding=check_text(path)) as stream:
        for line, text in enumerate(stream, start=1):
            name = class_name(text)
            if name in lines:
                raise LabelFileError(path, f"class {name!r} stands at line {lines[name]} already", line=line)
            if name:
                lines[name] = line
    if not lines:
        raise LabelFileError(path, "the file names no class")
    return tuple(lines)


def _no_name(name: str) -> str:
    """Say why a text cannot name a class, or nothing."""
    if not name:
        return "a class without a name"
    if len(name) > LONGEST_NAME:
        most = f"which has {LONGEST_NAME:,} at most"
        return f"{len(name):,} characters are no class name, {most}: {name[:40]!r}..."
    if CONTROL.search(name):
        return f"class name {name!r} holds a line end or another control character"
    return ""


class ClassList:
    """Gives each class name its number.

    Args:
        options: ``classes_file`` or ``class_ids``: then only these, in this order. Otherwise every name asked
            for becomes a class.
        keep_order: the classes that are found stay in the order found; otherwise they are sorted at the end.

    Raises:
        OneLabelError: the class file cannot be used, or both options are given.
    """

    def __init__(self, options: ReadOptions, *, keep_order: bool = False) -> None:
        if options.classes_file is not None and options.class_ids is not None:
            raise OneLabelError("give either a class file or class_ids, not both")
        given = options.class_ids if options.classes_file is None else read_classes(options.classes_file)
        check_class_ids(given or ())
        self.given = "a known class" if options.classes_file is None else "in --classes"
        self.closed = given is not None
        self.keep_order = keep_order or self.closed
        self.numbers = {name: number for number, name in enumerate(given or ())}

    def number(self, name: str, path: Path, *, line: int | None = None, column: str | None = None) -> int:
        """Return the number of a class.

        Raises:
            LabelFileError: the name is blank, too long, holds a control character, or is not one of
                ``--classes``.
        """
        name = class_name(name)
        if problem := _no_name(name):
            raise LabelFileError(path, problem, line=line, column=column)
        if self.closed and name not in self.numbers:
            known = nearest(name, self.numbers) or f" ({', '.join([*self.numbers][:5])}, ...)"
            problem = f"class {name!r} is not {self.given}{known}"
            raise LabelFileError(path, problem, line=line, column=column)
        return self.numbers.setdefault(name, len(self.numbers))

    def finish(self, path: Path) -> tuple[Sequence[str], NDArray[np.int64]]:
        """Return the names in their final order, and the final number of each number given.

        Raises:
            LabelFileError: there are no classes.
        """
        names = list(self.numbers)
        if not names:
            raise LabelFileError(path, "no class is named anywhere: there is nothing to learn")
        if self.keep_order:
            return names, np.arange(len(names))
        order = sorted(names)
        final = {name: number for number, name in enumerate(order)}
        return order, np.array([final[name] for name in names])
