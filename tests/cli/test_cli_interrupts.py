"""Ctrl-C at any point, workers that die, little shared memory, and clocks that jump."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest

from desk import BASICS, Desk, words
from onelabel.cli import INTERRUPTED, main

COMMANDS = ("check", "simulate", "embed", "embed --vlm", "predict")
POINTS = 12
MESSAGE = "onelabel: interrupted; finished files are intact\n"


class Countdown:
    """Raises KeyboardInterrupt at a call of one of our functions, as a signal between two instructions does.

    Args:
        calls: how many to let pass; -1 for all.
    """

    def __init__(self, calls: int = -1) -> None:
        self.calls, self.seen = calls, 0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        name = frame.f_code.co_filename
        if event != "call" or "/onelabel/" not in name or name.endswith("cli/__init__.py"):
            return
        self.seen += 1
        if self.seen == self.calls:
            raise KeyboardInterrupt

    def run(self, arguments: list[str]) -> int:
        """Run a command under this profiler."""
        sys.setprofile(self)
        try:
            return main(arguments)
        finally:
            sys.setprofile(None)


def new_names(desk: Desk, before: dict[str, tuple[int, ...]]) -> list[str]:
    """Check that no old file was touched; return the top names of the new ones."""
    after = desk.listing()
    assert {name: facts for name, facts in after.items() if name in before} == before
    return sorted({Path(name).relative_to(desk.path).parts[0] for name in after.keys() - before.keys()})


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_at_any_point(desk: Desk, command: str) -> None:
    arguments, before = words(BASICS[command]), desk.listing()
    whole = Countdown()
    assert whole.run(arguments) == 0
    results = new_names(desk, before)
    random = Random(command)
    for point in sorted(random.sample(range(1, whole.seen), POINTS)):
        for name in results:
            remove(desk.path / name)
        desk.capsys.readouterr()
        code = Countdown(point).run(arguments)
        said = desk.capsys.readouterr().err
        assert (code, said) == (INTERRUPTED, MESSAGE), f"call {point} of {whole.seen}"
        left = new_names(desk, before)
        assert set(left) <= {*results, "out.partial"}, f"call {point} of {whole.seen}: {left}"
        if "out.partial" in left:  # goes on where it stopped
            assert command.startswith("embed")
            assert main(arguments) == 0
            assert new_names(desk, before) == results


def remove(path: Path) -> None:
    for file in sorted(path.rglob("*"), reverse=True) if path.is_dir() else ():
        file.unlink() if file.is_file() else file.rmdir()
    if path.exists():
        path.rmdir() if path.is_dir() else path.unlink()


def start(desk: Desk, command: str, *more: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a terminal does."""
    call = [sys.executable, "-m", "onelabel", *words(command), *more]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        call,
        cwd=desk.path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What runs in the background of a shell is born deaf to Ctrl-C, and so are its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that a process has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def await_workers(process: subprocess.Popen[str], count: int) -> list[int]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if len(found := workers_of(process)) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no workers: {process.communicate()}")


def many_photos(desk: Desk, copies: int) -> None:
    """Make the work long enough to be interrupted."""
    photos = list((desk.path / "photos").rglob("*.png"))
    for number, photo in itertools.product(range(copies), photos):
        (desk.path / "many").mkdir(exist_ok=True)
        os.link(photo, desk.path / "many" / f"{photo.stem} {number}.png")
    names = sorted(path.name for path in (desk.path / "many").iterdir())
    desk.write("many.csv", "image,cat\n" + "".join(f"{name},1\n" for name in names))


SLOW = {
    "check": ("check many.csv --images many --workers 2 --json out.json", 3),
    "embed": ("embed many.csv --images many --backbone local-dir:net --workers 1 --out out", 1),
    "predict": ("predict run many --workers 1 --out out.csv", 1),
}


@pytest.mark.parametrize("name", SLOW)
def test_ctrl_c_in_a_terminal_with_workers(desk: Desk, name: str) -> None:
    """The signal goes to all processes of the group; one line is said, and nobody is left."""
    command, workers = SLOW[name]
    many_photos(desk, 40)
    process = start(desk, command)
    await_workers(process, workers)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (INTERRUPTED, MESSAGE), said
    assert not [
        path.name for path in desk.path.iterdir() if ".tmp" in path.name or path.name.startswith("out.j")
    ]
    assert is_gone(process.pid)


def is_gone(group: int) -> bool:
    """Wait for the last process of a group, such as Python's own that minds shared memory."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


DYING = {
    "embed": "embed many.csv --images many --backbone local-dir:net --workers 1 --out out",
    "predict": "predict run many --workers 1 --out out.csv",
    "train": "train many.csv --images many --backbone local-dir:net --method an --select last --epochs 50 "
    "--workers 1 --out out",
}


@pytest.mark.parametrize("name", ["train", "embed", "predict"])
def test_a_worker_that_is_killed(desk: Desk, name: str) -> None:
    """As the kernel does where memory runs out: the command ends by itself, and says what to change."""
    many_photos(desk, 40)
    process = start(desk, DYING[name])
    await_workers(process, 1)
    time.sleep(0.5)
    os.kill(await_workers(process, 1)[0], signal.SIGKILL)  # the first one seen may have been done at once
    _, said = process.communicate(timeout=60)
    errors = [line for line in said.splitlines() if line.startswith("onelabel: error: ")]
    assert process.returncode == 2 and "Traceback" not in said, said[-2000:]
    assert len(errors) == 1 and "--workers" in errors[0] and "memory" in errors[0], said[-2000:]
    assert not [path.name for path in desk.path.iterdir() if ".tmp" in path.name or path.name == "out.csv"]
    assert is_gone(process.pid)


def test_small_shared_memory(desk: Desk) -> None:
    """With 64 KB of /dev/shm, a real one, a training with workers says so and one without is well."""
    small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*small, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let the tests mount a small /dev/shm")
    many_photos(desk, 4)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for workers in ("1", "0"):
        command = DYING["train"].replace("--workers 1", f"--workers {workers} --overwrite").replace("50", "1")
        call = [*small, sys.executable, "-m", "onelabel", *words(command)]
        found = subprocess.run(
            call, cwd=desk.path, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        errors = [line for line in found.stderr.splitlines() if line.startswith("onelabel: error: ")]
        assert "Traceback" not in found.stderr, found.stderr[-2000:]
        if workers == "1":
            assert found.returncode == 2 and len(errors) == 1 and "shared memory" in errors[0], found.stderr[
                -2000:
            ]
        else:
            assert found.returncode == 0, found.stderr[-2000:]


def test_a_clock_that_jumps(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back and forth by years at every look: times are told, work is done, bars do not fail."""
    jumps = itertools.cycle([0.0, -3e8, 3e8, 5.0, -1e9])
    real = time.time
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: real() + next(jumps))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for command in COMMANDS:
        remove(desk.path / "out")
        assert main(words(BASICS[command])) == 0, command
        for name in ("out.json", "out.csv"):
            remove(desk.path / name)
