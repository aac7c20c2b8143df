"""Prompt templates as a user gives them: one, several in a row, or a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from onelabel.io.errors import OneLabelError

BETWEEN = "|"


def spelled_templates(given: Iterable[str]) -> tuple[str, ...]:
    """Return the templates that are meant.

    Args:
        given: each a template with ``{}``, several with ``|`` between them, or the name of a text file that
            holds one on each line.

    Raises:
        OneLabelError: a file that cannot be read, or nothing with ``{}`` in it.

    Example:
        >>> spelled_templates(["a photo of a {}. | a drawing of a {}."])
        ('a photo of a {}.', 'a drawing of a {}.')
    """
    return tuple(template for text in given for template in _spelled(text))


def _spelled(text: str) -> list[str]:
    if "{" in text:
        return _checked(text.split(BETWEEN), "--template")
    try:
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError, ValueError):
        raise OneLabelError(
            f"--template {text!r} has no {{}} where the class name goes, and is no text file of templates"
        ) from None
    return _checked(lines, text)


def _checked(templates: list[str], where: str) -> list[str]:
    found = [template.strip() for template in templates if template.strip()]
    for template in found:
        if template.count("{}") != 1:
            raise OneLabelError(f"{where}: {template!r} must hold {{}} once, where the class name goes")
    if not found:
        raise OneLabelError(f"{where} holds no template; write one on each line, as 'a photo of a {{}}.'")
    return found
