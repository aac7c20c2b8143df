"""The run folder of several processes: one writes it, the others read the checkpoint that they go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onelabel.training.checkpoint import Checkpoints
from onelabel.training.resume import Keep, open_run
from onelabel.training.run_folder import RunFolder, environment
from onelabel.training.team import Team


def open_together(
    team: Team, out: str, config: Mapping[str, Any], data: Mapping[str, str], needed: int, keep: Keep
) -> tuple[RunFolder | None, Checkpoints]:
    """Open a run in all processes; its folder only in the one that leads, None in the others.

    Args:
        team: the processes.
        out: the folder.
        config: resolved settings.
        data: digests of everything that the run is trained on and from, by name.
        needed: bytes on disk.
        keep: how it is kept.

    Raises:
        OneLabelError: as :func:`~onelabel.training.resume.open_run`; or the processes are not given the same
            labels, weights, packages and checkpoint.
    """
    team.agree("the labels, the method or the first weights", sorted(data.items()))
    if team.leads:
        run, checkpoints = open_run(out, config, data, needed, keep, team)
    else:
        run, checkpoints = None, Checkpoints(out, keep.every, data, team)
    team.agree("the installed packages", sorted(environment()["packages"].items()))
    if run is None and keep.resume:
        checkpoints.read()
    team.agree(f"the checkpoints in {out}", checkpoints.epoch)
    return run, checkpoints
