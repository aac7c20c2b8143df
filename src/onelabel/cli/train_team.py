"""``onelabel train`` in several processes: who starts them, and which of them speaks to the user.

Errors before the processes have met are the same in all, and the first process says them. Later, the first
one that has something to say says it.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import yaml

from onelabel.io.errors import OneLabelError
from onelabel.training.place import Place, find_place
from onelabel.training.team import ALONE, LOST, Team, join, leave, partner_lost

_LOST = (
    "another process of this run has ended or does not answer: this one ends too; the same command with "
    "--resume goes on from the last checkpoint"
)


def launch_all(config: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Run ``onelabel train`` with these settings in ``devices`` processes on this machine.

    Raises:
        OneLabelError: a process was killed, or there are too few GPUs.
        KeyboardInterrupt: Ctrl-C.
        SystemExit: the processes ended with an error, which they have printed.
    """
    import torch

    from onelabel.training.checkpoint import Checkpoints
    from onelabel.training.launch import launch

    gpus = torch.cuda.device_count()
    if 0 < gpus < config["devices"]:
        raise OneLabelError(
            f"--devices {config['devices']}: this machine has {gpus} GPU{'s' if gpus > 1 else ''}; "
            f"give at most {gpus}, or start more machines with torchrun"
        )
    flags = [flag for flag, given in (("--resume", resume), ("--overwrite", overwrite)) if given]
    with tempfile.TemporaryDirectory(prefix="onelabel-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(dict(config), allow_unicode=True), encoding="utf-8")
        launch(["train", "--config", str(file), *flags], config["devices"], Checkpoints(config["out"]))


@contextmanager
def together() -> Iterator[Team]:
    """Meet the other processes, and part from them; alone, there is nothing to do.

    A process of several that fails ends here, at once: its partners may wait for it.
    """
    place = find_place()
    if place is None:
        yield ALONE
        return
    team = join(place)
    if place.launcher is not None:  # which says how to go on
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield team
        leave(team)
    except Exception as error:
        _fail(error, place, team)
    except KeyboardInterrupt:
        if team.leads:
            raise
        _end(130)


def _fail(error: Exception, place: Place, team: Team) -> NoReturn:
    """Say what is wrong, unless another process has done so, and end."""
    from onelabel.cli import USAGE_ERROR, complain, mistake

    said = mistake(error)
    if said is not None:
        if team.claim():
            complain(said)
        team.linger()
        _end(USAGE_ERROR)
    if not partner_lost(error):
        traceback.print_exc()
        _end(1)
    if place.launcher is None and team.claim():
        complain(_LOST)
    _end(LOST)


def _end(code: int) -> NoReturn:
    """End without waiting for what the interpreter would wait for, such as partners."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
