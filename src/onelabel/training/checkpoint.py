"""The checkpoint of a run: one file, whole or not there, that a resumed run goes on from.

``RUN/checkpoint.safetensors`` holds all tensors, and the rest as JSON in the file's own metadata: one file,
so that one rename replaces all of it at once. It is removed when the run is finished.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.training.team import ALONE, Team

NAME = "checkpoint.safetensors"
VERSION = 1
_LARGEST_SHARE = 0.1  # of the time of a run that checkpoints may take, unless each epoch is asked for


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Args:
        tensors: by name.
        notes: JSON-like.
    """

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """The last finished epoch, from 1."""
        return int(self.notes["epoch"])

    @property
    def over(self) -> bool:
        """Whether no epoch is left to train."""
        return bool(self.notes["over"])

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose name begins with ``prefix.``, without it; copies."""
        return {name: tensor.clone() for name, tensor in self.views(prefix).items()}

    def views(self, prefix: str) -> dict[str, Tensor]:
        """Return what :meth:`part` does, but to be read only: from a file, it takes no memory."""
        begin = f"{prefix}."
        return {
            name.removeprefix(begin): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(begin)
        }


class Checkpoints:
    """Writes the checkpoint of one run, now and then, and reads it.

    Args:
        folder: the run folder.
        every: least number of seconds between two checkpoints; 0 for one after each epoch. Where writing
            takes long, they are rarer: a tenth of the time of the run at most.
        data: digests of what the run is trained on, by name, for the file.
        team: the processes that train together: the first writes, when its clock says so.

    Attributes:
        epoch: the epoch after which the file was written; 0 for no file.
        saved: what :meth:`read` found, or None.

    Example:
        >>> import tempfile, torch
        >>> checkpoints = Checkpoints(tempfile.mkdtemp(), every=0)
        >>> checkpoints.offer(lambda: Saved({"a": torch.ones(1)}, {"epoch": 3, "over": False}))
        >>> saved = Checkpoints(checkpoints.path.parent).read()
        >>> saved.epoch, saved.tensors["a"]
        (3, tensor([1.]))
    """

    def __init__(
        self, folder: str | Path, every: float = 10.0, data: Mapping[str, str] | None = None,
        team: Team = ALONE,
    ) -> None:  # fmt: skip
        self.path = Path(folder) / NAME
        self.every, self.data, self.team = every, data or {}, team
        self.epoch = 0
        self.saved: Saved | None = None
        self._last, self._cost = time.monotonic(), 0.0

    def read(self) -> Saved | None:
        """Read the checkpoint; None where there is none.

        Raises:
            OneLabelError: it is not one that this release reads.
        """
        if not self.path.is_file():
            return None
        try:
            notes = _notes(self.path)
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
            raise OneLabelError(
                f"{self.path} is not a checkpoint ({error}): remove it to begin from the start"
            ) from None
        if notes.get("version") != VERSION:
            raise OneLabelError(f"{self.path} is that of another release: resume with the one that wrote it")
        self.saved = Saved(tensors, notes)
        self.epoch = self.saved.epoch
        return self.saved

    def offer(self, take: Callable[[], Saved]) -> None:
        """Write a checkpoint if it is time.

        Args:
            take: gives what to write; called in all processes, which may share the tensors.

        Raises:
            OneLabelError: it cannot be written; the one before is intact.
        """
        began = time.monotonic()
        wait = max(self.every, self._cost / _LARGEST_SHARE) if self.every else 0
        if not self.team.decides(began - self._last >= wait):
            return
        saved = take()
        if not self.team.leads:
            return
        try:
            _write(self.path, Saved(saved.tensors, {**saved.notes, "data": dict(self.data)}))
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OneLabelError(f"cannot write {self.path}: {reason}; {self.said()}") from error
        self.epoch = saved.epoch
        self._last = time.monotonic()
        self._cost = self._last - began

    def kept(self) -> str:
        """Say what is there, which an interruption at the wrong moment may have kept from us."""
        epoch = self._epoch_in_file()
        return f"the checkpoint after epoch {epoch} is intact" if epoch else "no checkpoint yet"

    def said(self) -> str:
        """Say how to go on with the run."""
        way = "goes on from there" if self._epoch_in_file() else "begins again"
        return f"{self.kept()}: the same command with --resume {way}"

    def _epoch_in_file(self) -> int:
        try:
            return int(_notes(self.path)["epoch"])
        except (SafetensorError, OSError, ValueError, KeyError):
            return 0

    def remove(self) -> None:
        """Remove the checkpoint, as the run is finished."""
        self.path.unlink(missing_ok=True)


def _notes(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        found: dict[str, Any] = json.loads((file.metadata() or {})["onelabel"])
    return found


def _write(path: Path, saved: Saved) -> None:
    """Write a file under another name, sync it, and rename it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    notes = json.dumps({"version": VERSION, **saved.notes})
    try:
        temporary.touch()
        usual = stat.S_IMODE(temporary.stat().st_mode)
        save_file(_apart(saved.tensors), temporary, {"onelabel": notes})
        temporary.chmod(usual)  # safetensors makes a file that only its owner can read
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    finally:
        temporary.unlink(missing_ok=True)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU of which no two share memory, as the format wants it."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        if value.numel() and value.untyped_storage().data_ptr() in seen:
            value = value.clone()
        seen.add(value.untyped_storage().data_ptr())
        found[name] = value
    return found
