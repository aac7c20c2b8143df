"""JSON files with a kind and a format version, so that a newer or foreign file is refused."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError

_LARGEST = 1 << 26  # bytes of a file that describes others


def write_manifest(path: str | Path, kind: str, version: int, content: Mapping[str, Any]) -> None:
    """Write ``content`` as JSON with ``kind`` and ``format_version`` in front, atomically.

    What is no finite number becomes null: JSON has no NaN, and :func:`read_manifest` refuses it.
    """
    whole = _finite({"kind": kind, "format_version": version, **content})
    with atomic_write(path) as stream:
        json.dump(whole, stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_manifest(path: str | Path, kind: str, newest: int) -> dict[str, Any]:
    """Read a file written by :func:`write_manifest`.

    Args:
        path: the JSON file.
        kind: what it must be, such as ``"onelabel-store"``.
        newest: newest format version that this release reads.

    Raises:
        OneLabelError: missing, not strict JSON, larger than 64 MiB, of another kind, or from a newer release.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "manifest.json"
        >>> write_manifest(path, "onelabel-store", 1, {"rows": 3})
        >>> read_manifest(path, "onelabel-store", 1)["rows"]
        3
    """
    path = Path(path)
    if not path.exists():
        raise OneLabelError(f"{path} is missing: {path.parent} is not a complete {kind}")
    content = read_json(path)
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise OneLabelError(f"{path} is not a {kind} file")
    version = content.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise OneLabelError(f"{path} has no valid format_version")
    if version > newest:
        raise OneLabelError(
            f"{path} has format version {version}, this release reads up to {newest}: update onelabel"
        )
    return content


def read_json(path: str | Path) -> Any:
    """Read a small JSON file that may come from anywhere.

    Raises:
        OneLabelError: not a regular file, larger than 64 MiB, or not strict JSON: a key that stands twice,
            NaN or infinity, nested too deep.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "twice.json"
        >>> _ = path.write_text('{"a": 1, "a": 2}')
        >>> read_json(path)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: ...twice.json cannot be read as JSON: the key 'a' stands twice
    """
    path = Path(path)
    try:
        if not path.is_file():  # reading a pipe or a device may never end
            raise ValueError("it is not a regular file")
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number, parse_float=_number)
    except (OSError, ValueError, RecursionError) as error:
        raise OneLabelError(f"{path} cannot be read as JSON: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise ValueError(f"the key {twice!r} stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _number(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def digest_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_json(content: Any) -> str:
    """Return the SHA-256 of a JSON-like value, independent of the order of its keys.

    Example:
        >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
        True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
