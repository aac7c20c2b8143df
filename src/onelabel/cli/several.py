"""A command that is one of several processes, as ``torchrun`` starts them: before torch is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from onelabel.io.errors import OneLabelError
from onelabel.training.place import find_place


class _NoTerminal(TextIOWrapper):
    """A stream that shows no progress."""

    def isatty(self) -> bool:
        return False


def hush_torch() -> None:
    """Keep torch's hints on speed to itself, which every process would print; it reads this when imported."""
    if find_place() is not None:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def take_place(devices: int) -> int:
    """Return the number of processes that train together, and be quiet if another one speaks to the user.

    Args:
        devices: what the user asked for; 1 for whatever the launcher says.

    Raises:
        OneLabelError: the launcher started another number.
    """
    place = find_place()
    if place is None:
        return devices
    if devices not in (1, place.size):
        raise OneLabelError(
            f"--devices {devices} and {place.size} processes were started: leave --devices out"
        )
    if place.rank > 0:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
        errors = os.fdopen(os.dup(2), "wb", 0)
        sys.stderr = _NoTerminal(errors, "utf-8", "backslashreplace", write_through=True)
    return place.size


def follows(arguments: Sequence[str]) -> bool:
    """Say whether this process trains with others, of which the first says what is wrong with the command."""
    place = find_place()
    return list(arguments[:1]) == ["train"] and place is not None and place.rank > 0
