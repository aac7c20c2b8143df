"""Loader processes: how they begin, and what is said when they die."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onelabel.io.errors import OneLabelError

_PATIENCE = 2.0
_SIGNS = ("DataLoader worker", "shared memory", "shm")
_SHARED, _LEAST_SHARED = Path("/dev/shm"), 1 << 20


@contextmanager
def loader_faults_explained() -> Iterator[None]:
    """Turn the death of a loader process, or too little shared memory, into an error that a user can mend.

    To stand around the whole loop over a ``DataLoader``: torch raises from a signal handler, wherever the
    process is at that moment, such as in the network that reads the batch.

    Raises:
        OneLabelError: a loader process died, or there is too little shared memory.

    Example:
        >>> with loader_faults_explained():
        ...     raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: a process that reads photos died (DataLoader worker (pid 7) ...
    """
    try:
        yield
    except (RuntimeError, ConnectionError) as error:
        told = _told_by_torch(error)
        if not any(sign in str(told) for sign in _SIGNS):
            raise
        reason = str(told).splitlines()[0].rstrip(". ")
        raise OneLabelError(
            f"a process that reads photos died ({reason}): too little memory or shared memory (/dev/shm); "
            "use fewer --workers, or --workers 0"
        ) from error


def require_shared_memory(workers: int) -> None:
    """Check that loader processes can be started at all: what they share lies in ``/dev/shm``.

    Args:
        workers: their number.

    Raises:
        OneLabelError: less than 1 MiB is free there.

    Example:
        >>> require_shared_memory(workers=0)
    """
    if not workers or not _SHARED.is_dir():
        return
    free = shutil.disk_usage(_SHARED).free
    if free < _LEAST_SHARED:
        raise OneLabelError(
            f"too little shared memory: {_SHARED} has {free >> 10} KiB free, and processes that read photos "
            "need 1 MiB or more; use --workers 0, or give more (docker run --shm-size 1g)"
        )


def begin_worker(number: int) -> None:  # noqa: ARG001 (torch gives it)
    """Keep the memory that a loader process shares with its parent: ``worker_init_fn`` of a ``DataLoader``.

    A collection of garbage writes into every object that it looks at, and what is written is no longer
    shared; so it is to leave alone what was there before.

    Args:
        number: of the worker.

    Example:
        >>> begin_worker(0)
        >>> gc.get_freeze_count() > 0
        True
        >>> gc.unfreeze()
    """
    gc.freeze()


def _told_by_torch(error: Exception) -> Exception:
    """Wait for the signal that says who died: it comes a little later than the connection breaks."""
    if isinstance(error, RuntimeError):
        return error
    try:
        time.sleep(_PATIENCE)
    except RuntimeError as told:
        return told
    return error
