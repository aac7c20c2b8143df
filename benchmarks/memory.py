"""What a process holds in memory, read from ``/proc``; all values in MB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def status(field: str, process: int | str = "self") -> float:
    """A field of a process: VmHWM is the peak of all, RssAnon what is not a file's now."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def unshared(process: int) -> float:
    """What a process shares with no other (USS)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


@contextmanager
def largest() -> Iterator[list[float]]:
    """Sample what is not a file's every 20 ms; the list holds its largest value at the end."""
    found, done = [status("RssAnon")], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            found[0] = max(found[0], status("RssAnon"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
