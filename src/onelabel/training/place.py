"""Which of several processes this one is, as its launcher says. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

LAUNCH_ID = "onelabel-"
"""Begin of the id of a launch of our own; the launcher's process number follows."""

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, and most others
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # a step of srun, not the batch script
)


@dataclass(frozen=True)
class Place:
    """The place of a process among those that do one work together.

    Args:
        rank: from 0.
        size: number of processes, at least 2.
        local_rank: number among the processes of this machine, from 0.
        launcher: process number of ``onelabel`` itself, where that started the processes.
        isolated: whether the launcher may show each process its own GPU only, as SLURM can.
    """

    rank: int
    size: int
    local_rank: int
    launcher: int | None = None
    isolated: bool = False


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place of this process; None for a process that works alone.

    Args:
        environment: variables, as ``torchrun`` or ``srun`` sets them.

    Example:
        >>> find_place({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"})
        Place(rank=1, size=2, local_rank=1, launcher=None, isolated=False)
        >>> find_place({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"})
    """
    for names in _LAUNCHERS:
        values = [environment.get(name, "") for name in names]
        if all(value.isdigit() for value in values):
            rank, size, local_rank = map(int, values)
            launch = environment.get("TORCHELASTIC_RUN_ID", "")
            own = int(launch.removeprefix(LAUNCH_ID)) if launch.startswith(LAUNCH_ID) else None
            return Place(rank, size, local_rank, own, names is _LAUNCHERS[1]) if size > 1 else None
    return None
