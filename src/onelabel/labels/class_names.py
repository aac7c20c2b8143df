"""Class names that are nearly the same: other case or spacing, one letter more, less, other or swapped."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

from onelabel.labels.findings import Finding

_SPACING = re.compile(r"[\s_\-]+")
_SHORT = 4  # letters; among short words, most pairs one letter apart are both meant: cat and car
_LONG = 100  # letters; longer names are sentences, and their neighbours would fill the memory
_CROWD = 100  # names around one spelling; so many are a system, such as codes, and no slips
_CASE = "differ only in case or spacing"
_SPELLING = "differ only in case, spacing or the spelling of a letter, such as ß and ss"


def similar_class_names(names: Sequence[str]) -> list[Finding]:
    """Find names that differ by case, by space, ``_`` or ``-``, or by one letter.

    Differences in digits alone (``class1``, ``class2``) are taken as meant. One letter between words of up to
    four letters is no finding, unless two letters are swapped or an ``s`` is added. Names of more than 100
    letters, and more than 100 names around one spelling, are compared for case and spacing only.
    The time grows with the number of letters in all names, not with the number of pairs.

    Example:
        >>> for finding in similar_class_names(["dog", "Dog", "cat", "dgo", "car"]):
        ...     print(finding.severity, finding.subjects, finding.message)
        warning ('dog', 'Dog') differ only in case or spacing
        warning ('dog', 'dgo') two letters swapped
    """
    same: dict[str, list[str]] = defaultdict(list)
    for name in names:
        same[_normal(name)].append(name)
    findings = [
        Finding("similar_class_names", "warning", tuple(group), _difference(group))
        for group in same.values()
        if len(group) > 1
    ]
    for first, second in _pairs(list(same)):
        judged = _judge(first, second)
        if judged is not None:
            subjects = (same[first][0], same[second][0])
            findings.append(Finding("similar_class_names", "warning", subjects, judged))
    return findings


def _normal(name: str) -> str:
    return _spaceless(name).casefold() or name


def _spaceless(name: str) -> str:
    return _SPACING.sub("", unicodedata.normalize("NFKC", name))


def _difference(group: Sequence[str]) -> str:
    return _CASE if len({_spaceless(name).lower() for name in group}) == 1 else _SPELLING


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give every pair that may be one letter apart: they are equal once each has lost at most one letter."""
    sharing: dict[str, list[int]] = defaultdict(list)
    for number, word in enumerate(words):
        if len(word) > _LONG:
            continue
        shorter = {word[:i] + word[i + 1 :] for i in range(len(word)) if not word[i].isdigit()}
        for key in shorter | {word}:
            sharing[key].append(number)
    groups = [group for group in sharing.values() if len(group) <= _CROWD]
    pairs = {(a, b) for group in groups for i, b in enumerate(group) for a in group[:i]}
    return ((words[a], words[b]) for a, b in sorted(pairs))


def _judge(first: str, second: str) -> str | None:
    start = _shared_start(first, second)
    a, b = first[start:], second[start:]
    end = _shared_start(a[::-1], b[::-1])
    a, b = a[: len(a) - end], b[: len(b) - end]
    if len(a) == 2 and a == b[::-1]:
        return "two letters swapped"
    if len(a) > 1 or len(b) > 1 or (a + b).isdigit():
        return None
    plural = end == 0 and {a, b} == {"", "s"}
    short = min(len(first), len(second)) <= _SHORT and not plural
    return None if short else "differ in one letter"


def _shared_start(first: str, second: str) -> int:
    differ = (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(differ, min(len(first), len(second)))
