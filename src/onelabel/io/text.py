"""Text from files on its way to a terminal."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Escape what moves the cursor, colours or reverses the line, ends it, or is no text.

    Names of files and classes come from anywhere; a terminal obeys what stands in them.

    Example:
        >>> printable("größe \x1b[31m")
        'größe \\x1b[31m'
    """
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)
