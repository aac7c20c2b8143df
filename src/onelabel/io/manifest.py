"""JSON files with a kind and a format version, so that a newer or foreign file is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError


def write_manifest(path: str | Path, kind: str, version: int, content: Mapping[str, Any]) -> None:
    """Write ``content`` as JSON with ``kind`` and ``format_version`` in front, atomically."""
    with atomic_write(path) as stream:
        json.dump({"kind": kind, "format_version": version, **content}, stream, indent=1, ensure_ascii=False)
        stream.write("\n")


def read_manifest(path: str | Path, kind: str, newest: int) -> dict[str, Any]:
    """Read a file written by :func:`write_manifest`.

    Args:
        path: the JSON file.
        kind: what it must be, such as ``"onelabel-store"``.
        newest: newest format version that this release reads.

    Raises:
        OneLabelError: missing, not JSON, of another kind, or from a newer release.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "manifest.json"
        >>> write_manifest(path, "onelabel-store", 1, {"rows": 3})
        >>> read_manifest(path, "onelabel-store", 1)["rows"]
        3
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OneLabelError(f"{path} is missing: {path.parent} is not a complete {kind}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise OneLabelError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise OneLabelError(f"{path} is not a {kind} file")
    version = content.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise OneLabelError(f"{path} has no valid format_version")
    if version > newest:
        raise OneLabelError(
            f"{path} has format version {version}, this release reads up to {newest}: update onelabel"
        )
    return content


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
