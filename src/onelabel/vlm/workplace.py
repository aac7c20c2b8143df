"""The folder of an unfinished store, in which several processes may work at the same time."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.atomic import check_output
from onelabel.io.errors import OneLabelError
from onelabel.io.lock import LOCK, locked
from onelabel.io.manifest import read_manifest
from onelabel.io.shares import Share
from onelabel.vlm.layout import KIND, MANIFEST, VERSION, Manifest, Plan


class GoneError(Exception):
    """The folder has been renamed or removed by another process."""


def partial_folder(path: Path) -> Path:
    """Return where a store is kept until it is finished."""
    return path.with_name(f"{path.name}.partial")


class Workplace:
    """Where a store is made: ``PATH.partial``, renamed to ``PATH`` by whoever finds all shards finished.

    Whatever changes the folder happens under a lock; embedding itself does not. A process that dies leaves at
    most files that nothing counts.

    Args:
        path: folder of the finished store.
        plan: what it will hold.
        share: which of the processes this is.
        overwrite: replace a finished store, and unfinished work, of something else.
    """

    def __init__(self, path: Path, plan: Plan, share: Share, overwrite: bool) -> None:
        self.path, self.plan, self.share = path, plan, share
        self.folder = partial_folder(path)
        self._overwrite = overwrite

    def finished(self) -> bool:
        """Return whether the store of this plan is there, whole."""
        try:
            manifest = Manifest.read(self.path)
        except OneLabelError:
            return False
        return manifest.whole and not manifest.plan.differences(self.plan)

    def finished_by_others(self) -> bool:
        """Return whether several processes make this store and have finished it already."""
        found = self.share.of > 1 and self.finished()
        if found:  # left where a process was killed between its last two calls
            (self.path / LOCK).unlink(missing_ok=True)
        return found

    def check(self) -> None:
        """Refuse to replace anything but a store: ``--out photos --overwrite`` may not cost the photos.

        Raises:
            OneLabelError: the store exists and is not to be replaced, is none, or cannot be written.
        """
        check_output(self.path, overwrite=self._overwrite)
        if self.path.exists():
            try:
                read_manifest(self.path / MANIFEST, KIND, VERSION)
            except OneLabelError:
                raise OneLabelError(
                    f"{self.path} is not a store and will not be removed; give another name"
                ) from None

    def begin(self, views_at_once: int | None, trial: Callable[[], int]) -> Manifest | None:
        """Go on with unfinished work that was begun for the same plan, or begin.

        Args:
            views_at_once: views per call of the encoder; None for what the work was begun with.
            trial: finds their number where nobody says.

        Returns:
            What the folder holds, with the finished shards of our share; None where others have finished the
            store meanwhile.

        Raises:
            OneLabelError: the work was begun for something else, or cannot be written.
        """
        while not self.finished_by_others():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with self._alone():
                    # Others may have renamed the folder just before we made this one.
                    if not self.finished_by_others():
                        return self._opened(views_at_once, trial)
            except GoneError:
                continue
            except OSError as error:
                raise OneLabelError(f"cannot write {self.folder}: {error.strerror or error}") from error
        with suppress(OSError):
            self.folder.rmdir()
        return None

    def keep(self, manifest: Manifest, number: int, rows: NDArray[np.float16], hashes: NDArray[Any]) -> None:
        """Write a finished shard, unless another process has.

        Raises:
            GoneError: the store has been finished by others, or its folder removed.
            OneLabelError: the folder has been begun for something else, or the disk is full.
        """
        with self._alone():
            self._require_ours(manifest)
            if not manifest.record_file(number).exists():
                manifest.add(number, rows, hashes)
        if self.share.of > 1:
            last = self.share.range(self.plan.num_shards).stop
            print(f"{self.share}: shard {number + 1} finished, up to {last}", file=sys.stderr, flush=True)

    def finish(self, manifest: Manifest) -> bool:
        """Give the store its name if all shards are finished; one that had it stays whole until then.

        Returns:
            Whether it is finished.

        Raises:
            GoneError: others have finished it, or its folder was removed.
            OneLabelError: a file is not as it was written, or the folder cannot be renamed.
        """
        with self._alone():
            self._require_ours(manifest)
            others = (n for n in range(self.plan.num_shards) if n not in manifest.shards)
            manifest.collect(others, verify=False)
            if manifest.whole:
                manifest.complete()
                self._rename()
        return manifest.whole

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder, needed=self.share.of > 1))
            except FileNotFoundError as error:
                raise GoneError from error
            yield

    def _opened(self, views_at_once: int | None, trial: Callable[[], int]) -> Manifest:
        if (self.folder / MANIFEST).is_file():
            try:
                return self._go_on(views_at_once, trial)
            except OneLabelError:
                if not self._overwrite:
                    raise
            for entry in self.folder.iterdir():
                if entry.name != LOCK:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        foreign = [file.name for file in self.folder.iterdir() if not file.name.endswith((".npy", ".tmp"))]
        if foreign:
            raise OneLabelError(
                f"{self.folder} is in the way: it holds {foreign[0]}, which is no part of a store"
            )
        return Manifest.begin(self.folder, self.plan, views_at_once or trial())

    def _go_on(self, views_at_once: int | None, trial: Callable[[], int]) -> Manifest:
        manifest = Manifest.read(self.folder)
        parts = manifest.plan.differences(self.plan)
        chosen = views_at_once or manifest.views_at_once or trial()
        if chosen != manifest.views_at_once and self.share.of > 1:
            parts.append("batch size")
        if parts:
            other = ", ".join(parts)
            raise OneLabelError(
                f"{self.folder} was begun with other {other}: delete that folder, or add --overwrite"
            )
        manifest.collect(self.share.range(self.plan.num_shards), verify=True)
        if chosen != manifest.views_at_once:
            manifest.views_at_once = chosen
            manifest.write()
        return manifest

    def _require_ours(self, manifest: Manifest) -> None:
        """Check that nobody has begun the folder anew since we looked at it."""
        now = read_manifest(self.folder / MANIFEST, KIND, VERSION)
        if {**now, "shards": []} != manifest.content(shards=False):
            raise OneLabelError(f"{self.folder} has been begun anew by another process; nothing was written")

    def _rename(self) -> None:
        for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            if leftover.name != LOCK:
                leftover.unlink()
        old = self.path.with_name(f".{self.path.name}.old")
        try:
            if self.path.exists():
                self.path.rename(old)
            self.folder.rename(self.path)
        except OSError as error:
            raise OneLabelError(f"cannot write {self.path}: {error.strerror or error}") from error
        (self.path / LOCK).unlink(missing_ok=True)
        shutil.rmtree(old, ignore_errors=True)
