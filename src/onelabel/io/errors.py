"""Errors that a user can act on.

Every message says what was looked for, where, and what to change. The command line prints them as one line
and ends with exit code 2; the Python API raises them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from onelabel.io.text import printable

_LONGEST, _END = 2000, 500


class OneLabelError(Exception):
    """A mistake in the input or the set-up that the user can mend; never a bug of ours.

    Args:
        message: what is wrong and what to change; made one printable line, and of a very long one the middle
            is left out, as names from files and texts of other libraries stand in it.

    Example:
        >>> raise OneLabelError("no such column 'dog'")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: no such column 'dog'
    """

    def __init__(self, message: str = "") -> None:
        if len(message) > _LONGEST:  # a name in it came from a file that is none of ours
            message = f"{message[: _LONGEST - _END]} [...] {message[-_END:]}"
        lines = (printable(line.strip()) for line in message.split("\n"))
        super().__init__(" ".join(filter(None, lines)))


class LabelFileError(OneLabelError):
    """A label file that cannot be read as it stands.

    Args:
        path: the file.
        problem: what is wrong and what to change.
        line: 1-based line, where known.
        column: name or 1-based number of the column, where known.

    Example:
        >>> print(LabelFileError("a.csv", "value '7' has no meaning", line=3, column="dog"))
        a.csv, line 3, column 'dog': value '7' has no meaning
    """

    def __init__(
        self, path: str | Path, problem: str, *, line: int | None = None, column: str | int | None = None
    ) -> None:
        where = [str(path)]
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: {problem}")


class ImageError(OneLabelError):
    """An image that cannot be used; the message begins with its path.

    Example:
        >>> print(ImageError("a.jpg", "the file is truncated"))
        a.jpg: the file is truncated
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        self.path = str(path)
        self.problem = problem
        super().__init__(f"{path}: {problem}")

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        # Loader workers send errors through pickle, which would otherwise pass the joined message back in.
        return ImageError, (self.path, self.problem)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the choice most like ``name``, or ``""`` when none is near.

    Example:
        >>> nearest("bec", ["bce", "an", "em"])
        " (did you mean 'bce'?)"
        >>> nearest("zzz", ["bce"])
        ''
    """
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> OneLabelError:
    """Build the error for a name that is not in a registry.

    Example:
        >>> print(unknown_name("method", "bec", ["bce", "an"]))
        unknown method 'bec' (did you mean 'bce'?); known: an, bce
    """
    known = sorted(choices)
    return OneLabelError(f"unknown {kind} {name!r}{nearest(name, known)}; known: {', '.join(known)}")
