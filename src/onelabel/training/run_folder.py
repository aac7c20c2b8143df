"""The run folder: what was asked, what happened, what came out.

``config.yaml`` (resolved settings), ``environment.json``, ``metrics.jsonl`` (a line per epoch),
``predictions.npz`` (scores of the validation rows), ``bundle/`` (the model) and, last, ``metrics.json``:
a folder with that file is a finished run. While it trains, ``checkpoint.safetensors`` is there too.
Methods with state per image leave it in ``state.safetensors``.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from onelabel.io.arrays import load_npz, texts_of
from onelabel.io.atomic import atomic_folder, atomic_write, check_output
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import read_manifest, write_manifest
from onelabel.io.yaml_file import read_yaml

KIND, ENVIRONMENT = "onelabel-run", "onelabel-environment"
VERSION = 1
_PACKAGES = (
    "onelabel", "torch", "torchvision", "timm", "open_clip_torch", "lightning", "numpy", "pillow",
    "safetensors",
)  # fmt: skip


class RunFolder:
    """A folder that one training run writes.

    Args:
        path: the folder.

    Example:
        >>> import tempfile
        >>> run = RunFolder.create(Path(tempfile.mkdtemp()) / "run", {"epochs": 2})
        >>> run.log({"epoch": 1, "loss": 0.5})
        >>> run.finish({"epochs": 2})
        >>> RunFolder.open(run.path).metrics["epochs"]
        2
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any], *, overwrite: bool = False) -> RunFolder:
        """Start a run folder; it appears, or replaces an old run, only with both its first files in it.

        Args:
            path: the folder.
            config: resolved settings, written to ``config.yaml``.
            overwrite: replace a folder that is a run folder; no other folder is ever removed.

        Raises:
            OneLabelError: the folder exists, or is not a run folder, or cannot be written.
        """
        path = require_free(path, overwrite=overwrite)
        with atomic_folder(path, overwrite=overwrite) as folder:
            with atomic_write(folder / "config.yaml") as stream:
                yaml.safe_dump(dict(config), stream, sort_keys=False, allow_unicode=True)
            write_manifest(folder / "environment.json", ENVIRONMENT, VERSION, environment())
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open a finished run.

        Raises:
            OneLabelError: there is no finished run.
        """
        path = Path(path)
        if not (path / "config.yaml").is_file():
            raise OneLabelError(
                f"{path} is not a run folder (no config.yaml in it); give the --out of a train"
            )
        if not (path / "metrics.json").is_file():
            raise OneLabelError(
                f"the run in {path} is not finished (no metrics.json): train it with --resume"
            )
        return cls(path)

    @property
    def bundle(self) -> Path:
        """Folder of the model."""
        return self.path / "bundle"

    @property
    def metrics(self) -> dict[str, Any]:
        """Content of ``metrics.json``."""
        return read_manifest(self.path / "metrics.json", KIND, VERSION)

    @property
    def config(self) -> dict[str, Any]:
        """Content of ``config.yaml``."""
        content = read_yaml(self.path / "config.yaml", "settings")
        if not isinstance(content, dict):
            raise OneLabelError(f"{self.path / 'config.yaml'} holds no settings: the file was changed")
        return content

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``.

        Raises:
            OneLabelError: it cannot be written.
        """
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as error:
            raise OneLabelError(f"cannot write {path}: {error.strerror or error}") from error

    def rewrite_log(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Make ``metrics.jsonl`` hold these lines and no others, as a resumed run begins with."""
        with atomic_write(self.path / "metrics.jsonl") as stream:
            stream.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)

    def save_predictions(self, ids: IdTable, class_ids: tuple[str, ...], logits: NDArray[np.float32]) -> None:
        """Write ``predictions.npz``: ids (N,), classes (C,), logits (N, C) float32."""
        with atomic_write(self.path / "predictions.npz", "wb") as stream:
            np.savez(stream, ids=np.array(list(ids)), classes=np.array(class_ids), logits=logits)

    def predictions(self) -> tuple[IdTable, tuple[str, ...], NDArray[np.float32]] | None:
        """Read ``predictions.npz``: ids, classes and logits; None where the run had no validation images.

        Raises:
            OneLabelError: it was changed.
        """
        file = self.path / "predictions.npz"
        if not file.is_file():
            return None
        found = load_npz(file, ("ids", "classes", "logits"))
        try:
            ids, classes = texts_of(found["ids"]), tuple(texts_of(found["classes"]))
            logits = found["logits"].astype(np.float32).reshape(len(ids), len(classes))
            return IdTable.from_strings(ids), classes, logits
        except (KeyError, TypeError, ValueError) as error:
            raise OneLabelError(f"{file} is not one that this release wrote: {error}") from None

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``, which marks the run as finished."""
        write_manifest(self.path / "metrics.json", KIND, VERSION, metrics)


def require_free(path: str | Path, *, overwrite: bool) -> Path:
    """Check that ``path`` may become a run folder, before any work.

    Raises:
        OneLabelError: it exists, and ``overwrite`` is False or it is not a run folder.
    """
    path = Path(path)
    begun = (path / "environment.json").is_file() and not (path / "metrics.json").is_file()
    if begun and not overwrite:
        raise OneLabelError(
            f"the run in {path} was not finished; add --resume to go on, or --overwrite to begin it again"
        )
    check_output(path, overwrite=overwrite)
    if path.exists():
        # Many projects have a config.yaml; ours has environment.json beside it.
        try:
            read_manifest(path / "environment.json", ENVIRONMENT, VERSION)
        except OneLabelError:
            raise OneLabelError(
                f"{path} is not a run folder and will not be removed; give another --out"
            ) from None
    return path


def environment() -> dict[str, Any]:
    """Return versions of Python and packages, and the machine's kind, as recorded with each run."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return {"python": sys.version.split()[0], "platform": platform.platform(), "packages": versions}
