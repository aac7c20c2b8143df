"""Runs commands in processes that are killed: `python killing.py`, a JSON line for each job.

Everything heavy is imported once; each job is a fork, which a real SIGKILL ends after a time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any


class Killer:
    """Talks to the process that forks.

    Args:
        log: file for what the commands print.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        log.touch()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, __file__, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip

    def run(
        self,
        arguments: list[str],
        seconds: float | None = None,
        *,
        when: Path | None = None,
        by: int = SIGKILL,
    ) -> tuple[int, float]:
        """Run a command; end it after a time, or once there is a file. Return exit code and seconds taken.

        Args:
            arguments: of the command.
            seconds: until the signal; None for never.
            when: file that the signal waits for, in place of a time.
            by: the signal; the exit code is its negative unless the command answers it.
        """
        assert self.server.stdin is not None and self.server.stdout is not None
        job = {"arguments": arguments, "seconds": seconds, "when": when and str(when), "by": by}
        print(json.dumps(job), file=self.server.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return int(answer["code"]), float(answer["seconds"])

    def said(self) -> str:
        """Return what the commands printed since the last call."""
        text = self.log.read_text(encoding="utf-8")
        self.log.write_text("", encoding="utf-8")
        return text

    def end(self) -> None:
        """End the process."""
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(timeout=60)
        self.server.stdout.close()


def _child(arguments: list[str], log: str) -> None:
    with suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    from onelabel.cli import main

    code = main(arguments)
    sys.stdout.flush()
    os._exit(code)


def _wait(child: int, job: dict[str, Any]) -> int:
    """Wait for a process, and send a signal to it and those it began when its time has come."""
    end = None if job["seconds"] is None else time.monotonic() + job["seconds"]
    while end is not None or job["when"]:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if (end is not None and time.monotonic() >= end) or (job["when"] and Path(job["when"]).exists()):
            os.killpg(child, job["by"])
            break
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def serve(log: str) -> None:
    """Fork for each line of standard input."""
    import onelabel.training.lightning_loop
    import onelabel.training.pipeline
    import onelabel.training.pipeline_finetune  # noqa: F401

    for line in sys.stdin:
        job, began = json.loads(line), time.monotonic()
        child = os.fork()
        if child == 0:
            _child(job["arguments"], log)
        with suppress(OSError):  # the child does so too: whoever comes first
            os.setpgid(child, child)
        code = _wait(child, job)
        print(json.dumps({"code": code, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
