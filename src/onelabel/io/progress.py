"""One progress bar for all long work: what, how far, how fast, how long still."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """What :func:`progress` gives: call it with the number of items done since the last call."""

    def __call__(self, count: int = 1) -> None:
        """Move the bar on by ``count`` items."""


@contextmanager
def progress(what: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """Show a bar on standard error with ``unit``/s and the time left; silent when that is not a terminal.

    Example:
        >>> with progress("decode", 3) as advance:
        ...     for _ in range(3):
        ...         advance()
    """
    if not sys.stderr.isatty():
        yield lambda count=1: None  # noqa: ARG005 - the signature is Advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} {unit}/s")

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(""), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count=1: bar.advance(task, count)
