"""What the values in a label file mean, and which files can be read in two ways."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.readers.base import ReadOptions

_SIGNS = {"+": 1, "-": -1, "?": 0}
_NUMBER = re.compile(r"[+-]?[01](\.0*)?")
_SHORT = 12  # a longer value is text, not a mark
_PAIRS = (
    ("yes", "no"), ("y", "n"), ("ja", "nein"), ("j", "n"), ("oui", "non"), ("true", "false"), ("t", "f"),
    ("present", "absent"), ("positive", "negative"), ("pos", "neg"), ("1", "0"), ("1", "-1"), ("+", "-"),
)  # fmt: skip
_OPPOSITE = {word: other for pair in reversed(_PAIRS) for word, other in (pair, pair[::-1])}
_NO = frozenset(no for _, no in _PAIRS)
_UNSURE = frozenset({"?", "unknown", "unsure", "unclear", "maybe", "na", "n/a", "nan", "none", "null"})
_NUMERIC = re.compile(r"[+-]?\d+([.,]\d+)?")
_FOR_ZERO = '--values "1=+,0=?"'
_EXAMPLE = '--values "1=+,0=-,-1=?" (+ present, - absent, ? unknown)'


def canonical(cell: str) -> str:
    """Spell a value in one way: no blanks around it, and 1.0 or +1 as 1.

    Example:
        >>> [canonical(cell) for cell in (" 1.0", "-1", "-0.0", "+1", "yes")]
        ['1', '-1', '0', '1', 'yes']
    """
    text = cell.strip()
    return str(int(float(text))) if _NUMBER.fullmatch(text) else text


def parse_values(text: str) -> dict[str, int]:
    """Read ``--values``.

    Raises:
        OneLabelError: not of the form ``value=sign,...``, or a value stands twice.

    Example:
        >>> parse_values("1=+,0=-,-1=?")
        {'1': 1, '0': -1, '-1': 0}
    """
    meaning: dict[str, int] = {}
    for part in text.split(","):
        value, equals, sign = part.strip().rpartition("=")
        if not equals or sign not in _SIGNS or canonical(value) in meaning:
            raise OneLabelError(f"cannot read {part.strip()!r} in --values {text!r}; write it as {_EXAMPLE}")
        meaning[canonical(value)] = _SIGNS[sign]
    return meaning


def says_absent(values: Collection[str]) -> bool:
    """Whether the values of a column are those of yes and no, a "no" among them.

    Example:
        >>> says_absent({"Ja", "nein", ""}), says_absent({"ja"}), says_absent({"no", "Anna"})
        (True, False, False)
    """
    words = {canonical(value).lower() for value in values} - {""}
    return bool(words & _NO) and words <= set(_OPPOSITE)


def is_mark(value: str) -> bool:
    """Whether a value is a mark, such as a number, ``x`` or ``yes``, rather than a name.

    Example:
        >>> is_mark("x"), is_mark("Nein"), is_mark("12.5"), is_mark("fox")
        (True, True, True, False)
    """
    word = value.lower()
    return len(word) < 2 or word in _OPPOSITE or word in _UNSURE or bool(_NUMERIC.fullmatch(word))


def _proposal(value: str, seen: Collection[str]) -> str:
    """Return a ``--values`` that gives a value a likely meaning, beside those of numbers that were seen."""
    if _NUMERIC.fullmatch(value):
        return f'--values "1=+,0=-,{value}=?"'
    word = value.lower()
    pairs = [(number, "+" if number == "1" else "-") for number in ("1", "0", "-1") if number in seen]
    if word in _OPPOSITE:
        other = _as_written(_OPPOSITE[word], value)
        yes, no = (other, value) if word in _NO else (value, other)
        pairs += [(yes, "+"), (no, "-")]
    else:
        pairs.append((value, "?" if word in _UNSURE else "+"))
    return f'--values "{",".join(f"{name}={sign}" for name, sign in pairs)}"'


def _as_written(word: str, like: str) -> str:
    """Spell a word in capitals where another is."""
    return word.upper() if like.isupper() else word.title() if like.istitle() else word


@dataclass
class Survey:
    """Counts the values of a file, and refuses at once those without a meaning.

    Args:
        path: the file, for messages.
        options: ``values`` and ``exhaustive``.
        wide: whether every column is a class, so that a strange value may mean a column that is none.
        label_column: a column that seems to hold names of classes, to be asked about.
        empty: cells of class columns without any value; they do not say what 0 means elsewhere.
    """

    path: Path
    options: ReadOptions
    wide: bool = True
    empty: int = 0
    label_column: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.given = None if self.options.values is None else parse_values(self.options.values)

    def add(self, value: str, count: int, line: int, column: str) -> None:
        """Note a canonical value; ``line`` and ``column`` say where it stood first.

        Raises:
            LabelFileError: the value has no meaning.
        """
        if self.is_strange(value):
            raise LabelFileError(self.path, self._strange(value, column), line=line, column=column)
        self.counts[value] = self.counts.get(value, 0) + count
        self.places.setdefault(value, (line, column))

    def is_strange(self, value: str) -> bool:
        """Whether a canonical value has no meaning."""
        known = self.given if self.given is not None else ("1", "0", "-1")
        return bool(value) and value not in known

    def _strange(self, value: str, column: str) -> str:
        shown = value if len(value) <= 40 else value[:37] + "..."
        if self.given is not None:
            return f"value {shown!r} is not in --values {self.options.values!r}; add it"
        name = shlex.quote(column)
        mark = len(value) <= _SHORT and "," not in value
        example = f"say what it means: + present, - absent, ? unknown, as in {_proposal(value, self.counts)}"
        options = [example] if mark else []
        if self.label_column is not None:
            labels = shlex.quote(self.label_column)
            options = [
                f"if {self.label_column!r} holds the class or classes of each image, --label-column {labels}"
            ]
        if self.wide:
            options.append(f"if the column is no class, --ignore-columns {name}")
            options.append(f"if it is a group, --group-column {name}")
        return f"value {shown!r} is not 1, 0, -1 or blank; {'; '.join(options) or 'correct it'}"

    def meaning(self, unlisted: int = 0) -> dict[str, int]:
        """Return what each value means, blank included.

        Args:
            unlisted: cells that the file does not mention at all; they count as blank.

        Raises:
            LabelFileError: the file can be read in two ways; the message says how to choose.
        """
        blank = -1 if self.options.exhaustive else 0
        if self.given is not None:
            return {"": blank, **self.given}
        zeros = self.counts.get("0", 0)
        if zeros and self.counts.get("-1"):
            raise self._both()
        blanks = self.counts.get("", 0) + unlisted
        if zeros and not blanks and self.options.exhaustive is None:
            raise self._ambiguous(zeros)
        zero = 0 if not blanks and self.options.exhaustive is False else -1
        return {"1": 1, "0": zero, "-1": -1, "": blank}

    def notes(self) -> tuple[str, ...]:
        """Return a note where blanks decide that 0 means absent."""
        zeros, blanks = self.counts.get("0", 0), self.counts.get("", 0)
        if self.given is not None or not zeros or not blanks or self.options.exhaustive:
            return ()
        return (
            f"0 is read as absent: {zeros:,} cells; blank as unknown: {blanks + self.empty:,} cells; if 0 is"
            f" unknown, too: {_FOR_ZERO}",
        )

    def _both(self) -> LabelFileError:
        zero, minus = self.places["0"], self.places["-1"]
        later, earlier = max((minus, "-1"), (zero, "0")), min((minus, "-1"), (zero, "0"))
        (line, column), (other, there) = later[0], earlier[0]
        return LabelFileError(
            self.path,
            f"{later[1]} here and {earlier[1]} at line {other}, column {there!r}: which one is absent? Say"
            ' it with --values "1=+,0=-,-1=?" or --values "1=+,-1=-,0=?" (+ present, - absent, ? unknown)',
            line=line,
            column=column,
        )

    def _ambiguous(self, zeros: int) -> LabelFileError:
        ones = self.counts.get("1", 0)
        return LabelFileError(
            self.path,
            f"only 0 and 1, so 0 may mean 'absent' or 'nobody looked'. Add --exhaustive to read it as"
            f" {ones:,} present, {zeros + self.empty:,} absent, 0 unknown; or --no-exhaustive for"
            f" {ones:,} present, 0 absent, {zeros + self.empty:,} unknown",
        )


def codes(meaning: Mapping[str, int], raw: Mapping[str, str]) -> dict[str, int]:
    """Return value + 1 for every spelling that the file holds, so that rows become bytes.

    Example:
        >>> codes({"1": 1, "": 0}, {"1.0": "1", " ": ""})
        {'1.0': 2, ' ': 1}
    """
    return {spelling: meaning[value] + 1 for spelling, value in raw.items()}
