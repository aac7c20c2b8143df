"""YAML files of settings, which are untrusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from onelabel.io.errors import OneLabelError

_LARGEST = 1_000_000
_DEEPEST = 50  # brackets; the time that the parser takes grows with the square of their number


def read_yaml(path: str | Path, what: str) -> Any:
    """Read a YAML file.

    Aliases (``*name``) are refused: settings have no need of them, and some lines of them can stand for
    billions of values.

    Args:
        path: the file.
        what: what it is, for messages, such as ``--config``.

    Raises:
        OneLabelError: it cannot be read, or is no such YAML; names the line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rules.yaml"
        >>> _ = path.write_text("dog: {name: threshold, positive: 0.8}\\ncat: none\\n")
        >>> read_yaml(path, "--rules")
        {'dog': {'name': 'threshold', 'positive': 0.8}, 'cat': 'none'}
    """
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise OneLabelError(f"{what} {path} is too large for settings: more than {_LARGEST:,} bytes")
        if not file.is_file():  # reading a device may never end
            raise OneLabelError(f"{what} {path} is not a regular file")
        text = file.read_text(encoding="utf-8")
        _require_plain(text, f"{what} {path}")
        return yaml.safe_load(text)
    except OSError as error:
        raise OneLabelError(f"{what} {path} cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise OneLabelError(
            f"{what} {path}{_line(error.problem_mark)} is not YAML: {error.problem}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OneLabelError(f"{what} {path} is not YAML: {error}") from None


def _require_plain(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise OneLabelError(
                f"{file}{_line(event.start_mark)}: *{event.anchor} is an alias, which is not read: write "
                "the value itself"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise OneLabelError(f"{file}{_line(event.start_mark)} is not YAML: too deeply nested")


def _line(mark: Any) -> str:
    return f", line {mark.line + 1}" if mark else ""
