"""One process at a time in a folder, on one machine or on several that share the folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onelabel.io.errors import OneLabelError

LOCK = ".lock.tmp"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def locked(folder: Path, *, needed: bool) -> Iterator[None]:
    """Wait until no other process is in a folder, and keep others out until the block ends.

    The operating system lets go of the lock when a process dies. The block may rename the folder: who waits
    then finds that it has gone. The file of the lock is removed again. A
    process forked within the block would share the lock.

    Args:
        folder: must exist.
        needed: refuse to go on where the file system has no locks; else go on without.

    Raises:
        FileNotFoundError: there is no such folder, or it has gone while we waited.
        OneLabelError: the file system has no locks and one is needed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder, needed=True):
        ...     [file.name for file in folder.iterdir()]
        ['.lock.tmp']
        >>> list(folder.iterdir())
        []
    """
    handle = _acquired(folder / LOCK, needed)
    try:
        yield
    finally:
        if _is(handle, folder / LOCK):  # the folder may have been renamed, and another have its name now
            (folder / LOCK).unlink()
        os.close(handle)


def _acquired(file: Path, needed: bool) -> int:
    """Return an open handle of the locked file that has this name now, not of one removed while we waited."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is(handle, file):
                return handle
        except OSError as error:
            if error.errno in _NO_LOCKS and not needed:
                return handle
            os.close(handle)
            if error.errno == errno.ESTALE:  # another machine has removed it
                continue
            if error.errno in _NO_LOCKS:
                raise OneLabelError(
                    f"{file.parent} is on a file system without locks: several processes cannot share it; "
                    "use another place, or one process"
                ) from error
            raise
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return False
        raise
