"""Runs jobs in several real processes that meet through gloo: `python crews.py FOLDER`, a JSON line each.

Everything heavy is imported once; each process is a fork, with the variables that torchrun would set.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelabel.training.team import Strategy

PATIENCE = 240.0
"""Seconds after which a job is ended: exit codes are then -9."""


@dataclass(frozen=True)
class Ended:
    """What became of a job, by rank.

    Args:
        codes: exit codes; the negative number of a signal.
        out: standard output.
        err: standard error.
        seconds: from the first exit to the last.
    """

    codes: list[int]
    out: list[str]
    err: list[str]
    seconds: float


class Crew:
    """Talks to the process that forks.

    Args:
        folder: for what the processes print.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
        self.server = subprocess.Popen(
            [sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip

    def run(
        self, call: str, *arguments: Any, size: int = 2, kill: int | None = None, when: Path | None = None
    ) -> Ended:
        """Run a function of this file in ``size`` processes; kill one once a file has three lines."""
        assert self.server.stdin is not None and self.server.stdout is not None
        job = {"call": call, "arguments": arguments, "size": size, "kill": kill, "when": when and str(when)}
        print(json.dumps(job), file=self.server.stdin, flush=True)
        answer = json.loads(self.server.stdout.readline())
        out, err = (
            [(self.folder / f"{rank}.{name}").read_text(encoding="utf-8") for rank in range(size)]
            for name in ("out", "err")
        )
        return Ended(answer["codes"], out, err, answer["seconds"])

    def main(self, arguments: list[str], **how: Any) -> Ended:
        """Run a command as ``torchrun -m onelabel`` would."""
        return self.run("main", arguments, **how)

    def end(self) -> None:
        """End the process."""
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(timeout=60)
        self.server.stdout.close()


def main(arguments: list[str]) -> int:
    """Run a command."""
    from onelabel import cli

    cli._UNTIL_SAID = 0  # no launcher is there that would end the others
    return cli.main(arguments)


def learn(bench: str, out: str, methods: list[str], strategy: Strategy = "ddp", lr: float = 1e-8) -> int:
    """Train with each method, and write what every step was like."""
    from team_steps import StepsBench, write_steps

    write_steps(StepsBench(Path(bench), lr), Path(out), methods, strategy)
    return 0


def cut(out: str) -> int:
    """Share a network out, and write what became of it."""
    from shares import write_shares

    write_shares(Path(out))
    return 0


CALLS: dict[str, Callable[..., int]] = {"main": main, "learn": learn, "cut": cut}


def _child(job: dict[str, Any], rank: int, port: int, folder: Path) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    if job["size"] > 1:
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(job["size"]), MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )  # fmt: skip
    code = 70
    try:
        code = CALLS[job["call"]](*job["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def _wait(children: list[int], job: dict[str, Any]) -> dict[str, Any]:
    """Wait for all; kill the one that is to be killed when its time has come, and all in the end."""
    codes: dict[int, int] = {}
    first, end = None, time.monotonic() + PATIENCE
    while len(codes) < len(children):
        for child in children:
            if child not in codes:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    codes[child] = os.waitstatus_to_exitcode(status)
                    first = first or time.monotonic()
        if job["kill"] is not None and lines_of(Path(job["when"])) >= 3:
            os.kill(children[job["kill"]], signal.SIGKILL)
            job["kill"] = None
        if time.monotonic() > end:
            for child in set(children) - codes.keys():
                os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return {"codes": [codes[child] for child in children], "seconds": time.monotonic() - (first or 0.0)}


def lines_of(file: Path) -> int:
    """Return how many lines a file has; 0 where there is none."""
    return file.read_text(encoding="utf-8").count("\n") if file.exists() else 0


def serve(folder: Path) -> None:
    """Fork for each line of standard input."""
    import torch._dynamo  # noqa: F401 - the first step of an optimiser would

    import onelabel.training.lightning_loop
    import onelabel.training.pipeline_finetune  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = []
        for rank in range(job["size"]):
            child = os.fork()
            if child == 0:
                _child(job, rank, port, folder)
            children.append(child)
        print(json.dumps(_wait(children, job)), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
