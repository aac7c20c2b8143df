"""Reads every photo once, on all cores: does it decode, and is it byte for byte the same as another?"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, repeat
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.images.decode import OversizedImageError, decode, read_header
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.progress import progress

_CHUNK = 16
_FEW = 200  # starting processes takes as long as reading so many photos
_CRASHED = "its decoder crashed the process, or the memory ran out"


@dataclass(frozen=True)
class Outcome:
    """What one photo is like: kind of finding (or ``""``), its message, and its digest where asked for."""

    kind: str = ""
    message: str = ""
    digest: bytes = b""


@dataclass(frozen=True)
class Photos:
    """What is known about the photos after they were read.

    Attributes:
        problems: row to outcome, only for the photos of which there is something to say.
        identical: groups of rows whose files hold the same bytes, each ascending.
    """

    problems: dict[int, Outcome]
    identical: list[NDArray[np.int64]]


@dataclass(frozen=True)
class _Task:
    root: str
    rows: list[int]
    paths: list[str]
    hashed: list[bool]
    max_pixels: int
    decoded: bool

    def singles(self) -> Iterator[_Task]:
        for row, path, hashed in zip(self.rows, self.paths, self.hashed, strict=True):
            yield replace(self, rows=[row], paths=[path], hashed=[hashed])


def scan(
    paths: IdTable,
    rows: NDArray[np.int64],
    root: str | Path,
    *,
    max_pixels: int,
    workers: int | None = None,
    decoded: bool = True,
) -> Photos:
    """Read photos and compare their bytes.

    Only files of equal size are hashed. A bounded number of small tasks is under way at any time, so that
    memory does not grow with the number of photos. A photo that kills its process is reported as unreadable.

    Args:
        paths: files below ``root``.
        rows: which of them to read.
        root: the image folder.
        max_pixels: larger images are reported and not decoded.
        workers: processes; 0 or 1 reads in this process, None takes all cores (few photos: this process).
        decoded: False to read the headers only.

    Raises:
        OneLabelError: worker processes cannot be started.
    """
    sizes = np.fromiter((_size(Path(root, paths.text(row))) for row in rows.tolist()), np.int64, len(rows))
    _, group, count = np.unique(sizes, return_inverse=True, return_counts=True)
    hashed = count[group] > 1
    digests = np.zeros((len(rows), 2), np.uint64)
    known = np.zeros(len(rows), bool)
    problems: dict[int, Outcome] = {}
    tasks = (
        _Task(str(root), part.tolist(), [paths.text(row) for row in rows[part].tolist()],
              hashed[part].tolist(), max_pixels, decoded)
        for part in (np.arange(a, min(a + _CHUNK, len(rows))) for a in range(0, len(rows), _CHUNK))
    )  # fmt: skip
    with progress("read photos", len(rows), "photos") as advance:
        for task, outcomes in _outcomes(tasks, _number_of_workers(workers, len(rows))):
            for position, outcome in zip(task.rows, outcomes, strict=True):
                if outcome.kind:
                    problems[int(rows[position])] = outcome
                if outcome.digest:
                    digests[position] = np.frombuffer(outcome.digest, np.uint64)
                    known[position] = True
            advance(len(outcomes))
    return Photos(dict(sorted(problems.items())), _identical(rows[known], digests[known]))


def examine(task: _Task) -> list[Outcome]:
    """Read the photos of one task; runs in a worker process."""
    return [
        _examine(Path(task.root, path), hashed, task.max_pixels, task.decoded)
        for path, hashed in zip(task.paths, task.hashed, strict=True)
    ]


def _examine(path: Path, hashed: bool, max_pixels: int, decoded: bool) -> Outcome:
    kind, message = "", ""
    try:
        if read_header(path, max_pixels).animated:
            kind, message = "first_frame_only", "holds several frames"
        if decoded:
            decode(path, max_pixels)
    except OversizedImageError as error:
        kind, message = "oversized_image", error.problem
    except ImageError as error:
        kind, message = "unreadable_image", error.problem
    return Outcome(kind, message, _digest(path) if hashed else b"")


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:  # reported as unreadable already
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _identical(rows: NDArray[np.int64], digests: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    _, group, count = np.unique(digests, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    parts = np.split(rows[order], np.cumsum(count)[:-1])
    return sorted((part for part in parts if len(part) > 1), key=lambda part: int(part[0]))


def _number_of_workers(workers: int | None, photos: int) -> int:
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = cores if photos >= _FEW else 1
    return min(workers, -(-photos // _CHUNK))


def _outcomes(tasks: Iterator[_Task], workers: int) -> Iterator[tuple[_Task, list[Outcome]]]:
    """Give each task with its outcomes, in any order."""
    if workers <= 1:
        yield from ((task, examine(task)) for task in tasks)
        return
    while lost := (yield from _until_broken(tasks, workers)):
        yield from _one_by_one(lost)


def _until_broken(
    tasks: Iterator[_Task], workers: int
) -> Generator[tuple[_Task, list[Outcome]], None, list[_Task]]:
    """Work in parallel until all is done or a process dies; return the tasks that were lost with it."""
    pending: dict[Future[list[Outcome]], _Task] = {}
    with _pool(workers) as pool:
        for task in chain(tasks, repeat(None)):
            if task is not None:
                pending[_submit(pool, task)] = task
            if not pending:
                return []
            if task is not None and len(pending) < 2 * workers:
                continue
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(pending.values())
                yield pending.pop(future), future.result()
    raise AssertionError("the loop ends by itself")


def _one_by_one(tasks: list[_Task]) -> Iterator[tuple[_Task, list[Outcome]]]:
    """Read the photos of lost tasks one after the other, in a process that may die."""
    pool = _tried_pool()
    for task in tasks:
        outcomes = []
        for single in task.singles():
            try:
                outcomes += _submit(pool, single).result()
            except BrokenProcessPool:
                outcomes.append(Outcome("unreadable_image", _CRASHED))
                pool.shutdown()
                pool = _tried_pool()
        yield task, outcomes
    pool.shutdown()


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: this process has threads (the progress bar's, torch's), whose locks a fork would copy.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_silence)


def _silence() -> None:
    """Keep what decoders print about broken files, in C, off the terminal; the outcome says it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while processes start: they inherit it, and only this one answers to the user."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # would let Ctrl-C through again, were it started below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tried_pool() -> ProcessPoolExecutor:
    pool = _pool(1)
    try:
        with _without_interrupts():
            first = pool.submit(int)
        first.result()
    except BrokenProcessPool:
        raise OneLabelError(
            "processes to read photos cannot be started; in a script, call this below "
            "`if __name__ == '__main__':`, or set workers=1"
        ) from None
    return pool


def _submit(pool: ProcessPoolExecutor, task: _Task) -> Future[list[Outcome]]:
    try:
        with _without_interrupts():
            return pool.submit(examine, task)
    except BrokenProcessPool as error:
        future: Future[list[Outcome]] = Future()
        future.set_exception(error)
        return future
