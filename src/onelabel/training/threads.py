"""How many threads a step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_WORTH_SHARING = 1 << 24
"""Multiplications of a step above which several threads were seen to be faster than one."""


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Run small steps on one thread.

    Threads that wait for each other after every small operation gain nothing, and where other programs use
    the cores too they lose a lot.

    Args:
        multiplications: of one step.

    Example:
        >>> with threads_for(1000):
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(before if multiplications > _WORTH_SHARING else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
