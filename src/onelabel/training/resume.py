"""Going on with a run that was interrupted: only with the settings and data that it began with."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import read_manifest
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.run_folder import ENVIRONMENT, RunFolder, environment, require_free
from onelabel.training.run_folder import VERSION as RUN_VERSION
from onelabel.training.space import require_room
from onelabel.training.team import ALONE, Team

_WITHOUT_EFFECT = {"out", "workers", "checkpoint_every", "resume", "overwrite"}
_TEMPORARY = re.compile(r"\.tmp\w*|\..+\.[0-9a-f]{8}\.tmp")
"""Names of what a killed process leaves behind: safetensors' files, and ours."""

Found = Literal["nothing", "begun", "finished"]


@dataclass(frozen=True)
class Keep:
    """How a run is kept against interruptions.

    Args:
        resume: go on with the run in the folder, if there is one.
        every: least number of seconds between two checkpoints, which are written at the end of epochs; 0 for
            one after each epoch.

    Raises:
        OneLabelError: ``every`` below 0.
    """

    resume: bool = False
    every: float = 10.0

    def __post_init__(self) -> None:
        if not self.every >= 0:
            raise OneLabelError(f"--checkpoint-every must be 0 or more, not {self.every}")


KEEP = Keep()
"""A checkpoint at the end of an epoch, ten seconds after the one before at the earliest."""


def look(out: str | Path, config: Mapping[str, Any]) -> Found:
    """Say what is in a run folder that is to be resumed.

    Args:
        out: the folder.
        config: resolved settings of the run that is asked for.

    Raises:
        OneLabelError: it is no run folder, or that of a run with other settings; names each of them.
    """
    path = Path(out)
    if not path.exists():
        return "nothing"
    require_free(path, overwrite=True)
    different = differences(RunFolder(path).config, yaml.safe_load(yaml.safe_dump(dict(config))))
    if different:
        raise OneLabelError(
            f"the run in {path} has other settings ({'; '.join(different)}): resume with those of the run, "
            "or give another --out"
        )
    return "finished" if (path / "metrics.json").is_file() else "begun"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name each setting that differs, old → new; those without effect on the result are left out.

    Example:
        >>> differences({"lr": 0.1, "method": {"name": "em"}}, {"lr": 0.2, "method": {"name": "an"}})
        ['lr 0.1 → 0.2', 'method.name em → an']
    """
    before, after = _flat(old), _flat(new)
    return [
        f"{key} {_shown(before.get(key))} → {_shown(after.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key) and key not in _WITHOUT_EFFECT
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def open_run(
    out: str | Path, config: Mapping[str, Any], data: Mapping[str, str], needed: int, keep: Keep,
    team: Team = ALONE,
) -> tuple[RunFolder, Checkpoints]:  # fmt: skip
    """Make the folder of a run, or go on with the one that is there, and say which.

    Args:
        out: the folder; unless ``keep.resume``, it is free or that of a run to replace.
        config: resolved settings, for ``config.yaml``.
        data: digests of everything that the run is trained on and from, by name.
        needed: bytes on disk.
        keep: how it is kept.
        team: the processes that train together; this one leads.

    Raises:
        OneLabelError: the data have changed since, the checkpoint cannot be used, there is no room, or
            another process trains in the folder.
    """
    path = Path(out)
    require_room(path, needed)
    if path.is_dir():
        with _locked(path):
            pass
    if keep.resume:
        _tidy(path)
        checkpoints = Checkpoints(path, keep.every, data, team)
        saved = checkpoints.read()
        if saved is not None:
            _require_same(path, saved.notes.get("data", {}), data)
            run = RunFolder(path)
            run.rewrite_log(saved.notes["history"])
            _note_versions(path)
            print(f"resuming {path} after epoch {saved.epoch}")
            return run, checkpoints
        print(f"no checkpoint in {path}: starting from the beginning")
    run = RunFolder.create(path, config, overwrite=True)
    return run, Checkpoints(path, keep.every, data, team)


def _require_same(path: Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:
        raise OneLabelError(
            f"{' and '.join(changed)} changed since the run in {path} began: resume with what it began with, "
            "or begin again with --overwrite"
        )


def _note_versions(path: Path) -> None:
    old = read_manifest(path / "environment.json", ENVIRONMENT, RUN_VERSION)
    changed = differences(*(_versions(found) for found in (old, environment())))
    if changed:
        print(f"note: {'; '.join(changed)} since the run began: the last digits may differ")


def _versions(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"python": found.get("python"), **found.get("packages", {})}


def _tidy(run: Path) -> None:
    """Remove what a process that was killed while writing left behind."""
    left = [*run.glob(".*"), *run.parent.glob(f".{run.name}.*.tmp")]
    for path in left:
        if _TEMPORARY.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Lock a run folder for this process.

    Raises:
        OneLabelError: another process trains in it.
    """
    handle = os.open(run, os.O_RDONLY)
    _held.add(handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OneLabelError(
                f"another process is training in {run}: wait for it, or give another --out"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        _let_go(handle)


@contextmanager
def claimed(run: RunFolder, checkpoints: Checkpoints) -> Iterator[None]:
    """Keep other processes out of a run while it is written; on Ctrl-C say how to go on.

    Raises:
        OneLabelError: another process trains in it.
    """
    with _locked(run.path):
        try:
            yield
        except KeyboardInterrupt:
            print(f"onelabel: {checkpoints.said()}", file=sys.stderr)
            raise


def _let_go(handle: int) -> None:
    if handle in _held:
        _held.remove(handle)
        os.close(handle)


def _hold_nothing() -> None:
    """Close what a forked process got from its parent: it would keep the run locked when that is killed."""
    for handle in tuple(_held):
        _let_go(handle)


_held: set[int] = set()
os.register_at_fork(after_in_child=_hold_nothing)
