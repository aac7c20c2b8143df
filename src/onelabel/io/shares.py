"""Which part of the work one of several processes does; they never talk to each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from onelabel.io.errors import OneLabelError

_PART = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True)
class Share:
    """One of several processes.

    Args:
        number: from 0 to ``of`` - 1.
        of: number of processes.
        said_by: where both numbers come from, for people to read; empty for one process.
    """

    number: int = 0
    of: int = 1
    said_by: str = ""

    def range(self, count: int) -> range:
        """Return which of ``count`` pieces are done here: without a gap, and nearly as many as anywhere.

        Example:
            >>> [Share(number, 3).range(10) for number in range(3)]
            [range(0, 3), range(3, 6), range(6, 10)]
        """
        return range(count * self.number // self.of, count * (self.number + 1) // self.of)

    def __str__(self) -> str:
        return f"part {self.number + 1} of {self.of}"


WHOLE = Share()


def share_of(part: str | None, environment: Mapping[str, str]) -> Share:
    """Return which part this process does.

    What ``part`` says holds. Otherwise it is what ``torchrun`` (``RANK``, ``WORLD_SIZE``) or ``srun``
    (``SLURM_PROCID``, ``SLURM_NTASKS``) say, within the task of a SLURM array (``SLURM_ARRAY_TASK_ID`` and
    what goes with it) where there is one. The script of an ``sbatch`` job has ``SLURM_NTASKS`` too, but is
    one process: only what ``srun`` starts counts.

    Args:
        part: ``"I/N"``, I from 1 to N, or None.
        environment: variables of the process.

    Raises:
        OneLabelError: no such part, or variables that contradict each other.

    Example:
        >>> print(share_of("2/3", {}))
        part 2 of 3
        >>> share_of(None, {"RANK": "0", "WORLD_SIZE": "4"})
        Share(number=0, of=4, said_by='RANK and WORLD_SIZE')
    """
    if part is not None:
        found = _PART.fullmatch(part)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise OneLabelError(f"--part must be I/N with I from 1 to N, such as 2/8, not {part!r}")
        return Share(int(found[1]) - 1, int(found[2]), "--part")
    inner = _torchrun(environment) or _srun(environment)
    outer = _array(environment)
    both = [share for share in (outer, inner) if share is not None]
    if not both:
        return WHOLE
    many = Share(0, 1)
    for share in both:
        many = Share(many.number * share.of + share.number, many.of * share.of)
    return Share(many.number, many.of, ", ".join(share.said_by for share in both))


def local_number(environment: Mapping[str, str]) -> int:
    """Return the number of this process among those of the same machine, 0 where nobody says.

    Example:
        >>> local_number({"LOCAL_RANK": "3"})
        3
    """
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        if name in environment:
            return _number(name, environment)
    return 0


def _torchrun(environment: Mapping[str, str]) -> Share | None:
    if not {"RANK", "WORLD_SIZE"} <= environment.keys():
        return None
    return _checked(environment, "RANK", "WORLD_SIZE")


def _srun(environment: Mapping[str, str]) -> Share | None:
    by_srun = "SLURM_STEP_ID" in environment or "SLURM_JOB_ID" not in environment
    if not by_srun or not {"SLURM_PROCID", "SLURM_NTASKS"} <= environment.keys():
        return None
    return _checked(environment, "SLURM_PROCID", "SLURM_NTASKS")


def _checked(environment: Mapping[str, str], rank: str, world: str) -> Share:
    number, of = _number(rank, environment), _number(world, environment)
    if number >= of:
        raise OneLabelError(f"{rank} is {number} and {world} is {of}: give --part I/N instead")
    return Share(number, of, f"{rank} and {world}")


def _array(environment: Mapping[str, str]) -> Share | None:
    """The task of a SLURM array; its numbers may begin anywhere and go up in steps."""
    if not {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"} <= environment.keys():
        return None
    given = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_STEP": "1", **environment}
    task, of, first, step = (
        _number(f"SLURM_ARRAY_TASK_{name}", given) for name in ("ID", "COUNT", "MIN", "STEP")
    )
    number, rest = divmod(task - first, max(1, step))
    if rest or not 0 <= number < of:
        raise OneLabelError(
            f"task {task} of a SLURM array of {of} tasks from {first} in steps of {step}: the numbers have "
            "gaps; give --part I/N instead"
        )
    return Share(number, of, "SLURM_ARRAY_TASK_ID")


def _number(name: str, environment: Mapping[str, str]) -> int:
    text = environment[name]
    if not re.fullmatch("[0-9]{1,9}", text):
        raise OneLabelError(f"the variable {name} is {text!r}, not a number from 0: give --part I/N instead")
    return int(text)
