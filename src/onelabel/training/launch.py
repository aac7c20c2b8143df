"""Several processes of one command on this machine, started and watched by torchrun's own agent."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from signal import Signals

from onelabel.io.errors import OneLabelError
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.place import LAUNCH_ID
from onelabel.training.team import LOST

_SAID = 2  # exit code of a process that has said what is wrong
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def launch(arguments: Sequence[str], processes: int, checkpoints: Checkpoints) -> None:
    """Run ``python -m onelabel ARGUMENTS`` in several processes, and wait for them.

    They meet on this machine only. When one of them ends badly, the others are ended: at once where they can
    be, after half a minute where they cannot.

    Args:
        arguments: of the command.
        processes: their number.
        checkpoints: of the run, to say how to go on.

    Raises:
        OneLabelError: a process was killed.
        KeyboardInterrupt: Ctrl-C, or this process was asked to end; the others are ended.
        SystemExit: a process ended with an error, which it has printed.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="onelabel-") as folder, _own_messages_only():
        config = LaunchConfig(
            1, 1, processes, run_id=f"{LAUNCH_ID}{os.getpid()}", rdzv_backend="c10d", max_restarts=0,
            rdzv_endpoint="127.0.0.1:0", local_addr="127.0.0.1", logs_specs=DefaultLogsSpecs(log_dir=folder),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "onelabel", *arguments)
        except SignalException as error:
            print(f"onelabel: {checkpoints.said()}", file=sys.stderr)
            raise KeyboardInterrupt from error
        except ChildFailedError as error:
            codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
            _explain(codes, processes, checkpoints)


def _explain(codes: Mapping[int, int], processes: int, checkpoints: Checkpoints) -> None:
    """Raise what the exit codes of processes mean, by rank; the first to fail is named first."""
    if _SAID in codes.values():
        raise SystemExit(_SAID)
    for rank, code in codes.items():
        if code < 0:
            raise OneLabelError(
                f"process {rank + 1} of {processes} was killed ({Signals(-code).name}) and the others were "
                f"ended; {checkpoints.said()}"
            )
    raise SystemExit(next((code for code in codes.values() if code != LOST), LOST))


@contextmanager
def _own_messages_only() -> Iterator[None]:
    """Keep the logs of torch to itself, and give back the signals that its agent takes."""
    handlers = {number: signal.getsignal(number) for number in _HANDLED}
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        for number, handler in handlers.items():
            signal.signal(number, handler)
