"""What a threshold is to achieve: ``f1``, ``precision:0.9``, ``recall:0.9``, ``cost:5:1``, ``share:0.1``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onelabel.io.errors import OneLabelError, unknown_name

FORMS = {
    "f1": "f1",
    "precision": "precision:P",
    "recall": "recall:R",
    "cost": "cost:FN:FP",
    "share": "share:PI",
}
"""How each rule is written."""

FROM_POSITIVES = ("recall", "share")
"""Rules that ask nothing of known absences."""


@dataclass(frozen=True)
class Rule:
    """A rule and its numbers; made by :func:`parse_rule`.

    Args:
        name: a key of ``FORMS``.
        numbers: P, R or PI; for cost, that of a missed positive and that of a false one.
    """

    name: str
    numbers: tuple[float, ...] = ()

    @property
    def needs_absent(self) -> bool:
        """Whether it takes known absences to follow the rule."""
        return self.name not in FROM_POSITIVES

    @property
    def words(self) -> str:
        """What the rule asks for.

        Example:
            >>> parse_rule("precision:0.9").words
            'precision of 90 % or more, with the highest recall'
        """
        first = f"{100 * self.numbers[0]:g} %" if self.name not in ("f1", "cost") else ""
        if self.name == "cost":
            missed, false = self.numbers
            return f"lowest cost, {missed:g} for a missed positive and {false:g} for a false one"
        return {
            "f1": "best F1",
            "precision": f"precision of {first} or more, with the highest recall",
            "recall": f"{first} or more of the known positives called present",
            "share": f"the {first} with the highest scores called present",
        }[self.name]

    def __str__(self) -> str:
        return ":".join([self.name, *(f"{number:g}" for number in self.numbers)])


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Args:
        text: ``f1``; ``precision:P`` or ``recall:R`` with a number above 0 and up to 1; ``cost:FN:FP`` with
            two costs above 0; ``share:PI`` with a number between 0 and 1.

    Raises:
        OneLabelError: another name, or numbers that are missing, too many or out of range.

    Example:
        >>> parse_rule("cost:5:1")
        Rule(name='cost', numbers=(5.0, 1.0))
        >>> parse_rule("recall:90")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: rule 'recall:90': R must be above 0 and up to 1, such as recall:0.9
    """
    name, *rest = text.split(":")
    if name not in FORMS:
        raise unknown_name("rule", name, FORMS)
    try:
        numbers = tuple(float(number) for number in rest)
    except ValueError:
        numbers = ()
    letters = FORMS[name].split(":")[1:]
    if len(numbers) != len(letters) or len(rest) != len(letters):
        raise OneLabelError(f"rule {text!r} must be written as {FORMS[name]}, with a number for each capital")
    if name == "cost":
        if not all(0 < number < math.inf for number in numbers):
            raise OneLabelError(f"rule {text!r}: both costs must be above 0, such as cost:5:1")
    elif name == "share":
        if not 0 < numbers[0] < 1:
            raise OneLabelError(f"rule {text!r}: PI must be between 0 and 1, such as share:0.1")
    elif numbers and not 0 < numbers[0] <= 1:
        raise OneLabelError(f"rule {text!r}: {letters[0]} must be above 0 and up to 1, such as {name}:0.9")
    return Rule(name, numbers)
