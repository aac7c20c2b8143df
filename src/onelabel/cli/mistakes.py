"""What the parser complains of, in words that a user can act on."""

from __future__ import annotations

import re
from argparse import Action
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from onelabel.io.errors import nearest

_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def explain(command: str, actions: Sequence[Action], message: str) -> str:
    """Make a message of the parser one line that names the option, what is wrong, and the nearest valid name.

    Args:
        command: the command, for the pointer to its help.
        actions: the options of the parser.
        message: what the parser says.
    """
    line = re.sub(r"\s+", " ", message).strip()
    by_key = {action.dest: action for action in actions}
    if found := re.match(r'Parser key "([^"]+)":', line):
        line = _wrong_value(by_key.get(found[1]), found[1], line.rpartition("value: ")[2])
    elif found := re.match(r"the following arguments are required: (.+)", line):
        names = [_spelling(by_key.get(key), key) for key in found[1].split(", ")]
        line = f"{' and '.join(names)} must be given"
    elif found := re.match(r"Option '([^']+)' is not accepted", line):
        line = f"unknown key {found[1]!r}{nearest(found[1], by_key)}"
    elif found := re.match(r"Group '([^']+)' does not accept option '([^']+)'", line):
        key = f"{found[1]}.{found[2]}"
        line = f"unknown key {key!r}{nearest(key, _below(found[1], by_key))}"
    elif found := re.match(r"unrecognized arguments: (.+)", line):
        line = _unrecognised(found[1].split(" "), actions)
    elif found := re.match(r"argument (\S+): expected one argument", line):
        line = f"{found[1]} needs a value"
    return f"{command}: {line}; see onelabel {command} --help"


def _wrong_value(action: Action | None, key: str, value: str) -> str:
    kind = getattr(action, "_typehint", None)
    return f"{_spelling(action, key)} {value!r}: {wanted(kind)} is expected{nearest(value, _choices(kind))}"


def wanted(kind: Any) -> str:
    """Say in words which values a type takes.

    Example:
        >>> wanted(int | None), wanted(Literal["zero", "prior"])
        ('a whole number', 'zero or prior')
    """
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    parts = [part for part in get_args(kind) if part is not NoneType]
    if parts:
        return " or ".join(wanted(part) for part in parts)
    return _WANTED.get(kind, "another value")


def _choices(kind: Any) -> tuple[str, ...]:
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()


def _spelling(action: Action | None, key: str) -> str:
    """Return an option as users type it, and a positional argument in capitals."""
    if action is None:
        return key
    return action.option_strings[0] if action.option_strings else key.upper()


def _below(group: str, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.startswith(f"{group}.")]


def _unrecognised(words: Sequence[str], actions: Sequence[Action]) -> str:
    flag = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if flag is None:
        return f"unexpected {' '.join(words)!r}"
    options = [option for action in actions for option in action.option_strings]
    same_group = _below(flag.partition(".")[0], options) if "." in flag else []
    if flag in options:
        return f"{flag} takes no value"
    return f"unknown option {flag}{nearest(flag, same_group or options)}"
