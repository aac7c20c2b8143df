"""Many hostile inputs in one child process, under bounds of memory and time.

A crash, a hang, memory beyond the bound, an error that is not ours, and noise on the terminal are faults,
each with the seed that gives it again::

    PYTHONPATH=tests python tests/hostile_child.py MODULE:FUNCTION ARGUMENT FOLDER FIRST LAST
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from onelabel.io.errors import OneLabelError

MEGABYTE = 1 << 20
LONGEST_MESSAGE = 4000
WARM_UP = -1
"""Seed of an input that is as it should be: it imports what is needed before memory is bounded."""


def run(target: str, argument: str, first: int, last: int, **bounds: int) -> dict[str, Any]:
    """Call ``target(argument, seed, folder)`` for each seed in a child process; fail on a fault.

    Args:
        target: ``module:function``; it makes an input, reads it, and raises nothing but OneLabelError.
        argument: handed on.
        first: first seed.
        last: one more than the last seed.
        bounds: ``memory`` in megabytes above what the warm-up took, ``seconds`` for one input, ``noise`` in
            characters on the terminal for one input, on average.

    Returns:
        How many were ``read`` and ``refused``, the ``slowest`` input in seconds of processor time, and
        ``grown``, the megabytes of memory above the warm-up.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [target, argument, folder, str(first), str(last)]
        env = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "default",
            "HOSTILE_BOUNDS": json.dumps(bounds),
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        found = subprocess.run(
            [sys.executable, __file__, *words],
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        seed = Path(folder, "seed").read_text() if Path(folder, "seed").exists() else "none"
    where = f"{target} {argument}, seed {seed}"
    assert found.returncode == 0, f"{where}: exit code {found.returncode}\n{found.stderr[-3000:]}"
    assert len(found.stderr) < 2000 + bounds.get("noise", 0) * (last - first), (
        f"{where}: {len(found.stderr)} characters of noise\n{found.stderr[:2000]}"
    )
    report: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    faults = report["faults"]
    distinct = {fault.splitlines()[-1][:80]: fault for fault in faults}
    assert not faults, f"{target} {argument}: {len(faults)} faults\n" + "\n\n".join(distinct.values())
    assert report["grown"] < bounds.get("memory", 512), f"{target} {argument}: {report['grown']} MB"
    return report


def _limit_memory(megabytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + megabytes * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _one(function: Any, argument: str, seed: int, folder: Path, counts: Counter[str]) -> str:
    """Return what is wrong with one input, or nothing."""
    begun = time.process_time()
    try:
        function(argument, seed, folder)
        counts["read"] += 1
    except OneLabelError as error:
        counts["refused"] += 1
        if len(str(error)) > LONGEST_MESSAGE or len(str(error).splitlines()) != 1:
            return f"seed {seed}: a message of {len(str(error))} characters: {str(error)[:300]!r}"
    except BaseException:
        return f"seed {seed}: {traceback.format_exc()[-1500:]}"
    return "" if time.process_time() - begun < 5 else f"seed {seed}: {time.process_time() - begun:.1f} s"


def main() -> None:
    """Run the seeds and print what was found as one line of JSON."""
    target, argument, folder, first, last = sys.argv[1:]
    bounds = {"memory": 512, "seconds": 60, **json.loads(os.environ.get("HOSTILE_BOUNDS", "{}"))}
    module, _, name = target.partition(":")
    function, place = getattr(import_module(module), name), Path(folder, "input")
    place.mkdir(exist_ok=True)
    counts: Counter[str] = Counter()
    fault = _one(function, argument, WARM_UP, place, counts)
    if fault or not counts.pop("read", 0):
        raise SystemExit(f"the sample itself is refused: {fault}")
    before, faults, slowest = _peak(), [], 0.0
    _limit_memory(2 * bounds["memory"])
    for seed in range(int(first), int(last)):
        Path(folder, "seed").write_text(str(seed))
        faulthandler.dump_traceback_later(bounds["seconds"], exit=True)
        begun = time.process_time()
        if fault := _one(function, argument, seed, place, counts):
            faults.append(fault)
        slowest = max(slowest, time.process_time() - begun)
        faulthandler.cancel_dump_traceback_later()
    grown = round(_peak() - before)
    print(json.dumps({**counts, "faults": faults, "slowest": round(slowest, 2), "grown": grown}))


def random_of(argument: str, seed: int) -> Random:
    """Return the generator of one input: the same on every machine."""
    return Random(f"{argument} {seed}")


if __name__ == "__main__":
    main()
