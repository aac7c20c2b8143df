"""Text from users' files, made fit to be seen."""

from __future__ import annotations

import math

_JOINERS = "\u200c\u200d"  # parts of words in some scripts, and of many emoji
_LONGEST = 400
MISSING = "–"
"""What stands where there is no number."""


def clean(text: str) -> str:
    r"""Return text in which every character can be seen: control and direction characters become escapes.

    Example:
        >>> print(clean("a\x07b\u202egnp"))
        a\x07b\u202egnp
    """
    return "".join(c if c.isprintable() or c in _JOINERS else repr(c)[1:-1] for c in text)


def shorten(text: str, limit: int) -> str:
    """Return cleaned text of at most ``limit`` characters, without its middle where it is longer.

    Example:
        >>> shorten("a very long name of a class", 12)
        'a very…class'
    """
    text = clean(text)
    if len(text) <= limit:
        return text
    end = (limit - 1) // 2
    return f"{text[: limit - 1 - end]}…{text[len(text) - end :]}"


def cell(value: object) -> str:
    """Return the text of a table cell: thousands apart, four digits, a dash where there is nothing.

    Example:
        >>> cell(12345), cell(0.123456), cell(float("nan")), cell(None), cell("a")
        ('12,345', '0.1235', '–', '–', 'a')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else shorten(str(value), _LONGEST)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share times 100, a dash where there is none.

    Example:
        >>> percent(0.5), percent(float("nan"))
        ('50.0', '–')
    """
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}"
