"""Writing files and folders so that a half-written one never stands under its final name."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from onelabel.io.errors import OneLabelError


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def check_output(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check that ``path`` may be created, before any work is done, and return it.

    Args:
        path: file or folder that will be written.
        overwrite: allow it to exist already.

    Raises:
        OneLabelError: it exists and ``overwrite`` is False, or its folder cannot be written to.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OneLabelError(f"{path} exists already; give another --out or add --overwrite")
    existing = path.parent
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise OneLabelError(f"cannot write {path}: {existing} is a file, not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OneLabelError(f"cannot write {path}: no permission to write in {existing.resolve()}")
    return path


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path``; sync it and rename it to ``path`` when the block ends well.

    When the block raises, or the disk is full, the previous file stays as it was and nothing is left behind.

    Args:
        path: final name; its folder is made if missing.
        mode: ``"w"`` for UTF-8 text with ``\\n`` line ends, ``"wb"`` for bytes.

    Raises:
        OneLabelError: the file cannot be written (permission, full disk), with the reason.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_write(target) as stream:
        ...     _ = stream.write("hello")
        >>> target.read_text()
        'hello'
    """
    path = Path(path)
    temporary = _temporary(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode, **text) as stream:  # type: ignore[call-overload]
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OneLabelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` and rename it to ``path`` when the block ends well.

    Args:
        path: final name.
        overwrite: replace an existing folder (only once the new one is complete).

    Raises:
        OneLabelError: ``path`` exists and ``overwrite`` is False, or it cannot be written.
    """
    path = check_output(path, overwrite=overwrite)
    temporary = _temporary(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        _replace_folder(temporary, path)
    except OSError as error:
        raise OneLabelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(new: Path, path: Path) -> None:
    if path.exists():
        old = _temporary(path)
        path.rename(old)
        new.rename(path)
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    else:
        new.rename(path)
    _sync_folder(path.parent)
